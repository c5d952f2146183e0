"""Figures about attacked text: accuracy, neurons in common, calibration and consistency."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from skillkit.charts import parts
from skillkit.charts.parts import Panels
from skillkit.charts.theme import GREY, Figure
from skillkit.charts.thinning import thinning
from skillkit.checks import check_arguments


@check_arguments
def clean_vs_adversarial(
    table: pd.DataFrame,
    *,
    by: str = "model",
    title: str = "Clean and adversarial accuracy",
    interval: str = "95 % interval",
) -> Figure:
    """A slope from clean to adversarial accuracy for every category, one panel per task.

    Args:
        table: Columns task, `by` (category), text ("clean" or "adversarial"), value, low, high, n; optional
            chance.
        by: The column of the category.
        title: Of the figure.
        interval: What the bars mean.
    """
    columns = ["task", by, "text", "value", "low", "high", "n"]
    frame = parts.marks_table(table, columns, "clean_vs_adversarial")
    names, tasks = parts.distinct(frame[by]), parts.distinct(frame["task"])
    values = [*parts.numbers("value", "low", "high"), alt.Tooltip("n:Q", format=",d")]
    base = alt.Chart(frame).encode(
        x=alt.X("text:N", sort=["clean", "adversarial"], title="text", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset(f"{by}:N", sort=names),
        color=parts.colour(by, names, by),
        tooltip=["task:N", f"{by}:N", "text:N", *values],
    )
    y = alt.Y("low:Q", scale=alt.Scale(domain=[0, 1]), title="accuracy (share correct)")
    layers: list[Any] = [
        parts.interval_bars(base, y),
        base.mark_line(opacity=0.7).encode(y="value:Q", detail=f"{by}:N"),
        base.mark_point(size=60).encode(y="value:Q", shape=parts.shape(by, names, by)),
    ]
    subtitle = f"bars: {interval}"
    if "chance" in frame and frame["chance"].notna().any():
        rule = alt.Chart(frame).mark_rule(strokeDash=parts.DASHES, color=parts.RULE_COLOUR)
        layers.append(rule.encode(y="mean(chance):Q"))
        subtitle += "; dashed: chance"
    frame["what"] = frame["task"].astype(str) + " " + frame[by].astype(str) + " " + frame["text"].astype(str)
    across = parts.full_rows(len(tasks))
    width = {5: 105, 3: 185, 2: 250, 1: 400}.get(across, 135)
    return parts.faceted(layers, frame, Panels("task", across), width=width, height=200).properties(
        title=alt.Title(title, subtitle=subtitle),
        description=f"{title}: " + parts.values_in_words(frame, "what", 24),
    )


@check_arguments
def overlap_by_site(
    table: pd.DataFrame, *, title: str = "Are the same neurons predictive on clean and on adversarial text?"
) -> Figure:
    """Share of the top neurons on clean text that are top neurons elsewhere too, site by site.

    Args:
        table: Columns stack, layer, fraction (of each site's width), value, expected, chance_low, chance_high
            (range if independent); optional text, a name for where else (clean originals, adversarial text…).
        title: Of the figure.
    """
    columns = ["stack", "layer", "fraction", "value", "expected", "chance_low", "chance_high"]
    frame, sites = parts.with_sites(parts.marks_table(table, columns, "overlap_by_site"))
    frame["panel"] = [f"top {100 * fraction:g} % of each site" for fraction in frame["fraction"]]
    frame["text"] = frame["text"].astype(str) if "text" in frame else "adversarial"
    base = alt.Chart(frame).encode(
        y=alt.Y("site:N", sort=sites, title=parts.SITE_AXIS),
        tooltip=["site:N", "panel:N", "text:N", *parts.numbers(*columns[3:])],
    )
    x = alt.X("chance_low:Q", scale=alt.Scale(domain=[0, 1]), title="neurons in common (share)")
    dots = base.mark_point(size=70).encode(
        x="value:Q", **parts.look("text", parts.distinct(frame["text"]), "compared with")
    )
    layers = [
        base.mark_bar(height=12, color=GREY, opacity=0.3).encode(x=x, x2="chance_high:Q"),
        base.mark_tick(thickness=2, height=14, color=GREY).encode(x="expected:Q"),
        dots,
    ]
    frame["what"] = frame["site"] + " " + frame["panel"] + " " + frame["text"]
    inside = int(frame["value"].between(frame["chance_low"], frame["chance_high"]).sum())
    width = {1: 480, 2: 250}.get(len(parts.distinct(frame["panel"])), 160)
    height = max(20 * len(sites), 110)
    return parts.faceted(layers, frame, Panels("panel", across=3), width=width, height=height).properties(
        title=alt.Title(
            title, subtitle="grey: expectation and 95 % range if the two selections were independent"
        ),
        description=f"{title} {inside} of {len(frame)} points lie in the range that chance gives. "
        + parts.values_in_words(frame.assign(low=np.nan), "what"),
    )


@check_arguments
def reliability_diagram(
    table: pd.DataFrame, *, title: str = "Is the model right as often as it is sure?"
) -> Figure:
    """Accuracy against confidence in bins, clean and adversarial.

    Points below the diagonal are overconfident.

    Args:
        table: Columns text ("clean" or "adversarial"), confidence (mean of the bin), value (accuracy), low,
            high, n (answers in the bin).
        title: Of the figure.
    """
    columns = ["text", "confidence", "value", "low", "high", "n"]
    frame = parts.marks_table(table, columns, "reliability_diagram")
    names = parts.distinct(frame["text"])
    low = max(0.0, float(frame["confidence"].min()) - 0.05)
    words = "confidence (probability of the answer)"
    base = alt.Chart(frame).encode(
        x=alt.X("confidence:Q", title=words, scale=alt.Scale(domain=[low, 1])),
        color=parts.colour("text", names, "text"),
    )
    y = alt.Y("low:Q", title="accuracy (share correct)", scale=alt.Scale(domain=[0, 1]))
    ends = sorted({int(frame["n"].min()), int(frame["n"].max())})
    dots = base.mark_point(filled=True).encode(
        y="value:Q",
        shape=parts.shape("text", names, "text"),
        size=alt.Size("n:Q", legend=alt.Legend(title="answers", orient="right", values=ends)),
        tooltip=["text:N", *parts.numbers("confidence", "value", "low", "high"), "n:Q"],
    )
    gaps = []
    for text, rows in frame.groupby("text", sort=False):
        gap = float(np.average(rows["confidence"] - rows["value"], weights=rows["n"]))
        gaps.append(f"{text}: confidence minus accuracy {gap:+.2f}")
    diagonal = parts.diagonal(low, 1.0, "confidence", "value")
    return (diagonal + parts.interval_bars(base, y, opacity=0.5) + dots).properties(
        width=420,
        height=300,
        title=alt.Title(title, subtitle="bars: 95 % Wilson interval; dashed: as often right as sure"),
        description=f"{title} {'; '.join(gaps)}.",
    )


@check_arguments
@thinning(None)
def consistency_scatter(
    points: pd.DataFrame,
    measures: Mapping[str, str],
    *,
    title: str = "Are prompts that activate the same neurons under attack more robust?",
) -> Figure:
    """Robustness against neuron consistency: a panel per measure, a point per model, task and seed.

    Args:
        points: Columns model, task, seed, robustness, n, and one for each of `measures`.
        measures: For each column that measures consistency, the words for its axis.
        title: Of the figure.
    """
    columns = ["model", "task", "seed", "robustness", "n", *measures]
    frame = parts.marks_table(points, columns, "consistency_scatter")
    models = parts.distinct(frame["model"])
    scale = alt.Scale(zero=False)
    panels = []
    for position, (column, words) in enumerate(measures.items()):
        y_title = None if position else "right answers that stay right under attack (share)"
        marks = alt.Chart(frame).mark_point(size=70, strokeWidth=2)
        panel = marks.encode(
            x=alt.X(f"{column}:Q", title=words, scale=scale),
            y=alt.Y("robustness:Q", title=y_title, scale=scale),
            **parts.look("model", models, "model"),
            tooltip=["model:N", "task:N", "seed:Q", *parts.numbers("robustness", column), "n:Q"],
        )
        panels.append(panel.properties(width=270, height=260))
    said = "; ".join(
        f"{model}: robustness {rows['robustness'].mean():.2f}, "
        + ", ".join(f"{column} {rows[column].mean():.2f}" for column in measures)
        for model, rows in frame.groupby("model", sort=False)
    )
    return alt.hconcat(*panels).properties(
        title=alt.Title(title, subtitle=f"{len(frame)} points: one per model, task and seed"),
        description=f"{title} Means of {said}.",
    )
