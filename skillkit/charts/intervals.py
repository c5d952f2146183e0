"""Values with their intervals: single numbers, groups of them side by side, and the whole study."""

from typing import Any

import altair as alt
import pandas as pd

from skillkit.charts import parts
from skillkit.charts.parts import Panels
from skillkit.charts.theme import BLUE, Figure
from skillkit.checks import check_arguments

GRID_COLUMNS = 3  # panels of `comparison_grid` in a row, so that a row fits into the book's text column


@check_arguments
def accuracy_bars(
    table: pd.DataFrame,
    by: str = "prompt",
    *,
    title: str = "Accuracy",
    x_title: str = "accuracy (share of examples answered correctly)",
    chance: float | None = None,
    interval: str = "95 % Wilson interval",
) -> Figure:
    """One dot with its interval and its number per row, coloured by a category.

    Args:
        table: Columns `by`, value, low, high, n; and seed where a category has several rows.
        by: The column of the category.
        title: Of the figure.
        x_title: Of the axis.
        chance: The accuracy of guessing, drawn as a dashed line.
        interval: What the bars mean.
    """
    frame = parts.marks_table(table, [by, "value", "low", "high", "n"], "accuracy_bars")
    frame["row"] = frame[by].astype(str)
    if "seed" in frame:
        frame["row"] += [f", seed {int(seed)}" if pd.notna(seed) else "" for seed in frame["seed"]]
    frame["words"] = [f"{row.value:.3f}, n = {row.n:,.0f}" for row in frame.itertuples()]
    examples = alt.Tooltip("n:Q", title="examples", format=",d")
    base = alt.Chart(frame).encode(
        y=alt.Y("row:N", sort=parts.distinct(frame["row"]), title=None, axis=alt.Axis(labelFontSize=13)),
        color=parts.colour(by, parts.distinct(frame[by])).legend(None),
        tooltip=["row:N", *parts.numbers("value", "low", "high"), examples],
    )
    x = alt.X("low:Q", title=x_title, scale=alt.Scale(domain=[0, 1]))
    bars = parts.interval_bars(base, x, width=3, opacity=0.55)
    dots = base.mark_point(size=80, opacity=1).encode(x="value:Q")
    layers = [bars, dots, *_beside(base)]
    if chance is not None:
        layers.append(parts.named_level(chance, f"chance {chance:.2f}"))
    return alt.layer(*layers).properties(
        width=500,
        height=max(30 * frame["row"].nunique(), 90),
        title=alt.Title(title, subtitle=f"bars: {interval}"),
        description=f"{title}, {interval} in brackets: " + parts.values_in_words(frame, "row"),
    )


def _beside(base: alt.Chart) -> list[Any]:
    """The number beside its interval, on whichever side has room."""
    ink = alt.value("#222222")
    right = base.transform_filter("datum.high <= 0.75").mark_text(align="left", dx=7, fontSize=11)
    left = base.transform_filter("datum.high > 0.75").mark_text(align="right", dx=-7, fontSize=11)
    return [
        right.encode(x="high:Q", text="words:N", color=ink),
        left.encode(x="low:Q", text="words:N", color=ink),
    ]


@check_arguments
def factor_bars(table: pd.DataFrame, *, title: str = "Which factor does a skill neuron follow?") -> Figure:
    """Predictivity of single neurons for each generating factor, one panel per neuron.

    Args:
        table: Columns neuron (its name), factor, value, low, high, n.
        title: Of the figure.
    """
    frame = parts.marks_table(table, ["neuron", "factor", "value", "low", "high", "n"], "factor_bars")
    factors = parts.distinct(frame["factor"])
    base = alt.Chart(frame).encode(
        y=alt.Y("factor:N", sort=factors, title=None),
        tooltip=["neuron:N", "factor:N", *parts.numbers("value", "low", "high"), "n:Q"],
    )
    x = alt.X(
        "low:Q",
        scale=alt.Scale(domain=[min(0.5, float(frame["low"].min())), 1]),
        title="predictivity for the factor",
        axis=alt.Axis(values=[0.5, 0.75, 1.0], format=".2f"),
    )
    bars = parts.interval_bars(base, x, width=3, color=BLUE, opacity=0.55)
    dots = base.mark_point(size=70, color=BLUE).encode(x="value:Q")
    best = frame.loc[frame.dropna(subset="value").groupby("neuron", sort=False)["value"].idxmax()]
    said = "; ".join(f"{row.neuron} follows {row.factor} best ({row.value:.2f})" for row in best.itertuples())
    panels = Panels("neuron", across=3)
    return parts.faceted(
        [bars, dots], frame, panels, width=145, height=max(24 * len(factors), 80)
    ).properties(
        title=alt.Title(
            title, subtitle="bars: 95 % interval over examples; 0.5 is no relation for a balanced factor"
        ),
        description=f"{title} {said}.",
    )


@check_arguments
def interval_dots(
    table: pd.DataFrame,
    *,
    row: str,
    colour: str,
    x_title: str,
    title: str,
    panel: str | Panels | None = None,
    level: float | None = None,
    interval: str = "95 % interval",
) -> Figure:
    """Values with intervals, one line per `row`, one colour and shape per `colour`.

    Args:
        table: Columns `row`, `colour`, value, low, high (NaN: no interval is drawn), the panels' column,
            optional n.
        row: The column of the lines.
        colour: The column of the colours; the same as `row` when colours would say nothing new.
        x_title: Of the axis, with its unit.
        title: Of the figure.
        panel: The column that splits the figure, or `Panels` to say how many go side by side.
        level: Where to draw a dashed line (chance, or no correlation).
        interval: What the bars mean.
    """
    panels = Panels(panel) if isinstance(panel, str) else panel
    split = [panels.column] if panels else []
    frame = parts.marks_table(table, [row, colour, "value", "low", "high", *split], "interval_dots")
    rows, colours = parts.distinct(frame[row]), parts.distinct(frame[colour])
    plain = row == colour or len(colours) == 1  # colours would repeat what the lines say
    named = [row, *([] if plain else [colour]), *split]
    tooltip: list[Any] = [f"{name}:N" for name in named]
    tooltip += [*parts.numbers("value", "low", "high"), *(["n:Q"] if "n" in frame else [])]
    base = alt.Chart(frame).encode(
        y=alt.Y(f"{row}:N", sort=rows, title=None, scale=alt.Scale(domain=rows)), tooltip=tooltip
    )
    layers = _dots(base, colour, colours, x_title, plain=plain)
    if level is not None:
        layers.append(parts.level(frame, level, "x", panels.column if panels else None))
    words = [" ".join(dict.fromkeys(str(each[name]) for name in named)) for each in frame.to_dict("records")]
    about = {
        "title": alt.Title(title, subtitle=f"bars: {interval}"),
        "description": f"{title}, {interval} in brackets: "
        + parts.values_in_words(frame.assign(words=words), "words"),
    }
    height = len(rows) * (22 if plain else max(22, 11 * len(colours)))
    if panels is None:
        return alt.layer(*layers, data=frame).properties(width=440, height=height, **about)
    width = 560 // panels.across - 40 if len(parts.distinct(frame[panels.column])) > 1 else 440
    return parts.faceted(layers, frame, panels, width=width, height=height).properties(**about)


def _dots(base: alt.Chart, colour: str, names: list[str], x_title: str, *, plain: bool) -> list[Any]:
    """Bars and dots of `interval_dots`; several colours of one line lie side by side."""
    channel = parts.colour(colour, names)
    if plain:
        base = base.encode(color=channel.legend(None))
    else:
        base = base.encode(color=channel, yOffset=alt.YOffset(f"{colour}:N", sort=names))
    x = alt.X("low:Q", title=x_title, axis=alt.Axis(tickCount=5, labelOverlap=True))
    bars = parts.interval_bars(base.transform_filter("isValid(datum.low)"), x)
    dots = base.mark_point(size=55, opacity=1).encode(x="value:Q")
    return [bars, dots if plain else dots.encode(shape=parts.shape(colour, names))]


@check_arguments
def comparison_grid(
    table: pd.DataFrame, *, title: str = "The whole study", interval: str = "95 % interval"
) -> Figure:
    """All models and tasks side by side: one panel per quantity, one line per task, one mark per model.

    Args:
        table: Columns task, model, quantity (panel title), value, low, high; optional reference, drawn as a
            dashed line.
        title: Of the figure.
        interval: What the bars mean.
    """
    columns = ["task", "model", "quantity", "value", "low", "high"]
    frame = parts.marks_table(table, columns, "comparison_grid")
    tasks, models = parts.distinct(frame["task"]), parts.distinct(frame["model"])
    panels = []
    for position, quantity in enumerate(parts.distinct(frame["quantity"])):
        first = position % GRID_COLUMNS == 0  # the others stand beside its labels
        rows = frame[frame["quantity"] == quantity]
        panels.append(_grid_panel(rows, quantity, tasks, models, labelled=first))
    spread = frame.groupby("quantity", sort=False)["value"].agg(["min", "max"])
    said = "; ".join(f"{name} from {row['min']:.2f} to {row['max']:.2f}" for name, row in spread.iterrows())
    return alt.concat(*panels, columns=GRID_COLUMNS, spacing=14).properties(
        title=alt.Title(title, subtitle=f"bars: {interval}"),
        description=f"{title}, {len(tasks)} tasks by {len(models)} models: {said}.",
    )


def _grid_panel(
    rows: pd.DataFrame, quantity: str, tasks: list[str], models: list[str], *, labelled: bool
) -> Figure:
    axis = alt.Axis(labels=labelled, ticks=labelled)
    base = alt.Chart(rows).encode(
        y=alt.Y("task:N", sort=tasks, scale=alt.Scale(domain=tasks), title=None, axis=axis),
        yOffset=alt.YOffset("model:N", sort=models),
        color=parts.colour("model", models, "model"),
        tooltip=["task:N", "model:N", *parts.numbers("value", "low", "high")],
    )
    x = alt.X("low:Q", title=quantity, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
    dots = base.mark_point(size=50).encode(x="value:Q", shape=parts.shape("model", models, "model"))
    layers: list[Any] = [parts.interval_bars(base, x), dots]
    if "reference" in rows and rows["reference"].notna().any():
        layers.append(parts.level(rows, float(rows["reference"].dropna().iloc[0]), "x"))
    return alt.layer(*layers).properties(width=150, height=max(15 * len(models) * len(tasks), 100))
