"""Labelled matrices with the figure written into each cell."""

from typing import Any

import altair as alt
import pandas as pd

from skillkit.charts import parts
from skillkit.charts.theme import Figure
from skillkit.checks import check_arguments


@check_arguments
def confusion(table: pd.DataFrame, *, title: str = "What is taken for what") -> Figure:
    """Share of each true label's examples that were given each answer.

    Args:
        table: Columns label, answer (words), count.
        title: Of the figure.
    """
    frame = parts.marks_table(table, ["label", "answer", "count"], "confusion")
    names = parts.distinct(frame["label"])
    total = frame.groupby("label")["count"].transform("sum")
    frame["share"] = frame["count"] / total.where(total > 0)
    frame["words"] = [
        f"{share:.0%} ({int(count)})" for share, count in zip(frame["share"], frame["count"], strict=True)
    ]
    base = alt.Chart(frame).encode(
        x=alt.X("answer:N", sort=names, title="answer given", axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("label:N", sort=names, title="true label"),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "share:Q",
            scale=alt.Scale(scheme="viridis", domain=[0, 1]),
            legend=alt.Legend(title="share of the true label", format=".0%", orient="right"),
        ),
        tooltip=["label:N", "answer:N", alt.Tooltip("share:Q", format=".1%"), "count:Q"],
    )
    words = base.mark_text(fontSize=13).encode(text="words:N", color=_ink("datum.share > 0.6", "black"))
    right = frame[frame["label"].astype(str) == frame["answer"].astype(str)]
    said = "; ".join(f"{row.label} right in {row.share:.0%}" for row in right.itertuples())
    return (cells + words).properties(
        width=min(110 * len(names), 440),
        height=min(60 * len(names), 300),
        title=title,
        description=f"Confusion table, shares of each true label: {said}.",
    )


@check_arguments
def matrix_heatmap(
    table: pd.DataFrame,
    *,
    row_title: str,
    column_title: str,
    value_title: str,
    signed: bool = False,
    domain: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """A matrix with rows and columns in order of appearance.

    Args:
        table: Columns row, column, value; optional low and high (tooltips).
        row_title: What the rows are.
        column_title: What the columns are.
        value_title: What the values are, with their unit.
        signed: Whether to colour from blue to orange around zero, instead of viridis.
        domain: Lowest and highest value of the colours; by default those of the table.
        title: Of the figure.
    """
    frame = parts.marks_table(table, ["row", "column", "value"], "matrix_heatmap")
    rows, columns = parts.distinct(frame["row"]), parts.distinct(frame["column"])
    scale, ink = _value_colours(*(domain or _range(frame["value"])), signed=signed)
    tooltips: list[Any] = ["row:N", "column:N", *parts.numbers("value")]
    tooltips += parts.numbers(*(name for name in ("low", "high") if name in frame))
    base = alt.Chart(frame).encode(
        x=alt.X("column:N", sort=columns, title=column_title, axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("row:N", sort=rows, title=row_title),
    )
    layers = [
        base.mark_rect().encode(color=alt.Color("value:Q", scale=scale, title=value_title), tooltip=tooltips)
    ]
    size = min(46, 480 // max(len(columns), 1))  # px of a cell
    if size >= 26:  # wide enough for a number
        layers.append(base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=".2f"), color=ink))
    said = f"values from {frame['value'].min():.2f} to {frame['value'].max():.2f}"
    return alt.layer(*layers).properties(
        width=size * len(columns),
        height=max(24, min(size, 34)) * len(rows),
        title=title,
        description=f"{title or value_title}: {len(rows)} rows ({row_title}) by {len(columns)} columns "
        f"({column_title}), {said}.",
    )


def _range(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _value_colours(low: float, high: float, *, signed: bool) -> tuple[alt.Scale, Any]:
    """The colours of values from `low` to `high`, and the ink that can be read on them."""
    if signed:
        high = max(abs(low), abs(high))
        scale = alt.Scale(scheme="blueorange", domain=[-high, 0, high])
        return scale, _ink(f"abs(datum.value) > {0.75 * high}", "white")
    return alt.Scale(scheme="viridis", domain=[low, high]), _ink(
        f"datum.value > {low + 0.6 * (high - low)}", "black"
    )


def _ink(condition: str, colour: str) -> Any:
    """Black or white text: `colour` where the condition holds, the other elsewhere."""
    other = {"black": "white", "white": "black"}[colour]
    return alt.condition(condition, alt.value(colour), alt.value(other))
