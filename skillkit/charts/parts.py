"""What figures share: checked tables, colours and shapes of categories, recurring marks, panels, and words.

Every figure takes a DataFrame with one row per mark and says in its docstring which columns it reads. It
returns a chart that carries axis titles with units, drawn intervals and a `description` for readers who
cannot see it. Fractions and accuracies are 0 to 1 in the tables; axes show them as they are, and shares of
neurons in per cent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from skillkit.charts.theme import MAX_ROWS, PALETTE, ROLE_COLOURS, RULE_COLOUR, Figure
from skillkit.errors import SkillkitError

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES = [5, 4]  # px of line and gap
SITE_AXIS = "FFN site (stack, layer)"


# ---------------------------------------------------------------------------------------------------- tables


def checked(table: pd.DataFrame, columns: Iterable[str], figure: str) -> pd.DataFrame:
    """A copy of `table` with plain numbers, once it is known to hold what `figure` needs.

    Raises:
        SkillkitError: It is no DataFrame, lacks a column, or has no rows.
    """
    if not isinstance(table, pd.DataFrame):
        raise SkillkitError(f"{figure} needs a pandas DataFrame, got {type(table).__name__}.")
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SkillkitError(
            f"{figure} needs the column(s) {', '.join(missing)}; "
            f"the table has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise SkillkitError(f"{figure} got a table with no rows; check the filter that made it.")
    frame = table.reset_index(drop=True).copy()
    # Altair does not know pandas' nullable numbers, which result tables have: missing ones become NaN. So do
    # infinite ones, for which no axis has a place.
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column) and pd.api.types.is_extension_array_dtype(column):
            frame[name] = column.astype(float)
        if pd.api.types.is_float_dtype(frame[name]):
            frame[name] = frame[name].replace([float("inf"), float("-inf")], float("nan"))
    return frame


def limited(table: pd.DataFrame, figure: str) -> pd.DataFrame:
    """The same table, once it is known to have no more rows than a page can draw marks.

    Raises:
        SkillkitError: It has more than `MAX_ROWS` rows.
    """
    if len(table) > MAX_ROWS:
        raise SkillkitError(
            f"{figure} would draw {len(table):,} marks, more than the {MAX_ROWS:,} a page can carry; "
            "aggregate, bin or sample the table first."
        )
    return table


def marks_table(table: pd.DataFrame, columns: Iterable[str], figure: str) -> pd.DataFrame:
    """`checked` and `limited`, for figures that draw one mark for each row."""
    return limited(checked(table, columns, figure), figure)


def distinct(column: pd.Series) -> list[str]:
    """The values of a column as text, in order of appearance."""
    return [str(name) for name in pd.unique(column.dropna())]


def with_sites(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with a column `site`, a label such as "encoder 3", and all labels, encoder first."""
    order = table[["stack", "layer"]].drop_duplicates()
    order = order.assign(last=order["stack"].eq("decoder")).sort_values(["last", "stack", "layer"])
    labels = order["stack"].astype(str) + " " + order["layer"].astype(str)
    return table.assign(site=table["stack"].astype(str) + " " + table["layer"].astype(str)), labels.tolist()


# ------------------------------------------------------------------------------------------ colour and shape


def colour_scale(names: Sequence[str]) -> alt.Scale:
    """One colour per name: its fixed one when the name has a role, else the next free one of the palette."""
    taken = {ROLE_COLOURS[name] for name in names if name in ROLE_COLOURS}
    free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
    others = [name for name in names if name not in ROLE_COLOURS]
    chosen = {name: free[place % len(free)] for place, name in enumerate(others)} | ROLE_COLOURS
    return alt.Scale(domain=list(names), range=[chosen[name] for name in names])


def colour(field: str, names: Sequence[str], title: str | None = None) -> alt.Color:
    """The colour channel of a category; it has a legend when there is more than one name."""
    return alt.Color(f"{field}:N", scale=colour_scale(names), legend=_legend(names, title))


def shape(field: str, names: Sequence[str], title: str | None = None) -> alt.Shape:
    """The shape channel of a category, to go with `colour`."""
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(names))]
    return alt.Shape(
        f"{field}:N", scale=alt.Scale(domain=list(names), range=shapes), legend=_legend(names, title)
    )


def look(field: str, names: Sequence[str], title: str | None = None) -> dict[str, Any]:
    """The channels `color` and `shape` of a category drawn as points."""
    return {"color": colour(field, names, title), "shape": shape(field, names, title)}


def _legend(names: Sequence[str], title: str | None) -> alt.Legend | None:
    if len(names) < 2:
        return None
    return alt.Legend(title=title, orient="top", symbolSize=90, symbolOpacity=1, columns=4)


# ----------------------------------------------------------------------------------------------------- marks


def numbers(*names: str) -> list[alt.Tooltip]:
    """Tooltips of numeric columns, to three places."""
    return [alt.Tooltip(f"{name}:Q", format=".3f") for name in names]


def interval_bars(base: alt.Chart, axis: alt.X | alt.Y, *, width: float = 2, **mark: Any) -> alt.Chart:
    """Bars from `low`, which `axis` encodes, to the column `high`; `mark` is what else the bars look like."""
    across = isinstance(axis, alt.X)
    ends = {"x": axis, "x2": "high:Q"} if across else {"y": axis, "y2": "high:Q"}
    return base.mark_rule(strokeWidth=width, **{"opacity": 0.6, **mark}).encode(**ends)


def curve(base: alt.Chart, y: alt.Y | str, shapes: alt.Shape, tooltip: list[Any]) -> list[alt.Chart]:
    """The line of a quantity and the points on it."""
    dots = base.mark_point(size=50).encode(y=y, shape=shapes, tooltip=tooltip)
    return [base.mark_line().encode(y=y), dots]


def band(base: alt.Chart, y: alt.Y) -> alt.Chart:
    """The area from `low`, which `y` encodes, to the column `high`."""
    return base.mark_area(opacity=0.15).encode(y=y, y2="high:Q")


def level(frame: pd.DataFrame, value: float, axis: str, panel: str | None = None) -> alt.Chart:
    """One dashed line at `value` on `axis` ("x" or "y"), in every panel of a figure made from `frame`."""
    rule = alt.Chart(frame).transform_aggregate(rows="count()", groupby=[panel] if panel else [])
    return rule.mark_rule(strokeDash=DASHES, color=RULE_COLOUR).encode(**{axis: alt.datum(value)})


def named_level(value: float, words: str, axis: str = "x") -> alt.LayerChart:
    """A dashed line at `value` with its name, for figures of one panel."""
    data = pd.DataFrame({axis: [value], "words": [words]})
    channel: dict[str, Any] = {axis: alt.X("x:Q") if axis == "x" else alt.Y("y:Q")}
    line = alt.Chart(data).mark_rule(strokeDash=DASHES, color=RULE_COLOUR).encode(**channel)
    label = alt.Chart(data)
    if axis == "x":
        text = label.mark_text(align="left", dx=4, dy=-6, color=RULE_COLOUR, fontSize=11)
        return line + text.encode(**channel, y=alt.value(0), text="words:N")
    text = label.mark_text(align="right", dx=-4, dy=-6, color=RULE_COLOUR, fontSize=11)
    return line + text.encode(**channel, x=alt.value("width"), text="words:N")


def diagonal(low: float, high: float, x: str = "x", y: str = "y") -> alt.Chart:
    """A dashed line on which the two axes agree."""
    ends = pd.DataFrame({x: [low, high], y: [low, high]})
    line = alt.Chart(ends).mark_line(strokeDash=DASHES, strokeWidth=1, color=RULE_COLOUR)
    return line.encode(x=f"{x}:Q", y=f"{y}:Q")


# ---------------------------------------------------------------------------------------------------- panels


@dataclass(frozen=True)
class Panels:
    """How a figure is split: one panel for each value of `column`, `across` of them in a row."""

    column: str
    across: int = 2


def faceted(layers: Sequence[Any], frame: pd.DataFrame, panels: Panels, **size: int) -> alt.FacetChart:
    """The layers once for each panel, in order of appearance; `size` is the width and height of one panel."""
    order = distinct(frame[panels.column])
    facet = alt.Facet(f"{panels.column}:N", sort=order, title=None)
    return alt.layer(*layers, data=frame).properties(**size).facet(facet=facet, columns=panels.across)


def in_panels(layers: Sequence[Any], frame: pd.DataFrame, column: str | None, height: int) -> Figure:
    """The layers as one chart that fills the page, or as a row of panels when `column` is given.

    Four panels make two rows of two.
    """
    number = frame[column].dropna().astype(str).nunique() if column else 1
    across = 2 if number == 4 else min(number, 3)
    size = {"width": {1: 520, 2: 265}.get(across, 175), "height": height}
    if column is None:
        return alt.layer(*layers, data=frame).properties(**size)
    return faceted(layers, frame, Panels(column, across), **size)


def full_rows(panels: int) -> int:
    """How many panels to put in a row so that, if possible, the last row is full."""
    if panels <= 4:
        return panels
    return next((columns for columns in (4, 3, 5) if panels % columns == 0), 4)


# ----------------------------------------------------------------------------------------------------- words


def values_in_words(rows: pd.DataFrame, label: str, most: int = 12) -> str:
    """Rows with columns value, low and high as words, each named by its column `label`; for descriptions."""
    parts = []
    for row in rows.head(most).to_dict("records"):
        interval = f" ({row['low']:.2f} to {row['high']:.2f})" if pd.notna(row.get("low")) else ""
        parts.append(f"{row[label]} {row['value']:.2f}{interval}")
    more = f", and {len(rows) - most} more" if len(rows) > most else ""
    return "; ".join(parts) + more + "."


def rank_correlations(frame: pd.DataFrame, by: str, x: str, y: str) -> dict[str, float]:
    """Spearman's correlation of the columns `x` and `y` within each value of `by`."""
    groups = frame.groupby(by, sort=False)
    return {str(name): float(rows[x].corr(rows[y], method="spearman")) for name, rows in groups}
