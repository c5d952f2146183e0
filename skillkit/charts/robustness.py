"""Figures about patching and calibration, drawn from tidy tables alone like those of `charts.py`, whose look they
share.
"""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from skillkit.charts.figures import (
    Figure,
    _capped,
    _checked,
    _colour,
    _level,
    _names,
    _numbers,
    _shape,
)


def share_curves(
    table: pd.DataFrame,
    *,
    panel: str = "direction",
    title: str = "How much of the attack's effect passes through some neurons",
    interval: str = "95 % bootstrap interval over originals",
) -> Figure:
    """Mediation share against the share of patched neurons, one line with its band per selection, one panel per `panel`.

    Columns: fraction (0 to 1), neurons (which selection), value, low, high, n, and `panel`. Dashed lines: nothing (0) and all (1).
    """
    frame = _capped(
        _checked(table, ["fraction", "neurons", "value", "low", "high", "n", panel], "share_curves"),
        "share_curves",
    )
    frame["percent"] = 100 * frame["fraction"]
    names, panels = _names(frame["neurons"]), _names(frame[panel])
    words = "mediation share (1: all of the lost margin)"
    base = alt.Chart(frame).encode(
        x=alt.X("percent:Q", title="neurons patched (% of each site)"),
        color=_colour("neurons", names, "neurons patched"),
    )
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=words), y2="high:Q")
    line = base.mark_line().encode(y="value:Q")
    dots = base.mark_point(size=50).encode(
        y="value:Q",
        shape=_shape("neurons", names, "neurons patched"),
        tooltip=[
            "neurons:N",
            alt.Tooltip("percent:Q", title="patched, %"),
            *_numbers("value", "low", "high"),
            "n:Q",
        ],
    )
    layers: list[Any] = [band, line, dots, _level(frame, 0.0, "y", panel), _level(frame, 1.0, "y", panel)]
    last = frame[frame["fraction"] == frame["fraction"].max()]
    said = "; ".join(f"{row[panel]} {row['neurons']} {row['value']:.2f}" for row in last.to_dict("records"))
    return (
        alt.layer(*layers, data=frame)
        .properties(width={1: 520, 2: 270}.get(len(panels), 175), height=260)
        .facet(facet=alt.Facet(f"{panel}:N", sort=panels, title=None), columns=3)
        .properties(
            title=alt.Title(title, subtitle=f"bands: {interval}; dashed: nothing and all of it"),
            description=f"{title}. At {100 * frame['fraction'].max():g} % of the neurons: {said}.",
        )
    )


def reliability_diagram(
    table: pd.DataFrame, *, title: str = "Is the model right as often as it is sure?"
) -> Figure:
    """Accuracy against confidence in bins, clean and adversarial.

    Columns: text ("clean" or "adversarial"), confidence (mean of the bin), value (accuracy), low, high, n (answers in the bin).
    Points below the dashed diagonal are overconfident.
    """
    frame = _capped(
        _checked(table, ["text", "confidence", "value", "low", "high", "n"], "reliability_diagram"),
        "reliability_diagram",
    )
    names = _names(frame["text"])
    low = max(0.0, float(frame["confidence"].min()) - 0.05)
    x = alt.X(
        "confidence:Q", title="confidence (probability of the answer)", scale=alt.Scale(domain=[low, 1])
    )
    y = alt.Y("low:Q", title="accuracy (share correct)", scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(frame).encode(x=x, color=_colour("text", names, "text"))
    bars = base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=y, y2="high:Q")
    dots = base.mark_point(filled=True).encode(
        y="value:Q",
        shape=_shape("text", names, "text"),
        size=alt.Size("n:Q", legend=alt.Legend(title="answers", orient="right", values=_sizes(frame["n"]))),
        tooltip=["text:N", *_numbers("confidence", "value", "low", "high"), "n:Q"],
    )
    ends = pd.DataFrame({"confidence": [low, 1.0], "value": [low, 1.0]})
    diagonal = (
        alt.Chart(ends)
        .mark_line(strokeDash=[5, 4], strokeWidth=1, color="#555555")
        .encode(x="confidence:Q", y="value:Q")
    )
    parts = []
    for text, rows in frame.groupby("text", sort=False):
        gap = float(((rows["confidence"] - rows["value"]) * rows["n"]).sum() / rows["n"].sum())
        parts.append(f"{text}: confidence minus accuracy {gap:+.2f}")
    return (diagonal + bars + dots).properties(
        width=420,
        height=300,
        title=alt.Title(title, subtitle="bars: 95 % Wilson interval; dashed: as often right as sure"),
        description=f"{title} {'; '.join(parts)}.",
    )


def consistency_scatter(
    points: pd.DataFrame,
    measures: Mapping[str, str],
    *,
    title: str = "Are prompts that activate the same neurons under attack more robust?",
) -> Figure:
    """Robustness against neuron consistency: a panel per measure of consistency, a point per model, task and seed.

    Columns: model, task, seed, robustness, n, and one column for each of `measures` (column -> words for the axis).
    """
    frame = _capped(
        _checked(points, ["model", "task", "seed", "robustness", "n", *measures], "consistency_scatter"),
        "consistency_scatter",
    )
    models = _names(frame["model"])
    panels = [
        alt.Chart(frame)
        .mark_point(size=70, strokeWidth=2)
        .encode(
            x=alt.X(f"{column}:Q", title=words, scale=alt.Scale(zero=False)),
            y=alt.Y(
                "robustness:Q",
                title="right answers that stay right under attack (share)" if position == 0 else None,
                scale=alt.Scale(zero=False),
            ),
            color=_colour("model", models, "model"),
            shape=_shape("model", models, "model"),
            tooltip=["model:N", "task:N", "seed:Q", *_numbers("robustness", column), "n:Q"],
        )
        .properties(width=270, height=260)
        for position, (column, words) in enumerate(measures.items())
    ]
    said = "; ".join(
        f"{model}: robustness {part['robustness'].mean():.2f}, "
        + ", ".join(f"{column} {part[column].mean():.2f}" for column in measures)
        for model, part in frame.groupby("model", sort=False)
    )
    return alt.hconcat(*panels).properties(
        title=alt.Title(title, subtitle=f"{len(frame)} points: one per model, task and seed"),
        description=f"{title} Means of {said}.",
    )


def _sizes(counts: pd.Series) -> list[int]:
    """Two sizes for the legend."""
    return sorted({int(counts.min()), int(counts.max())})
