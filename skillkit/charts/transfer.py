"""Figures about prompt transfer, drawn from tidy tables alone like those of `charts.py`, whose look they
share.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from skillkit.charts.figures import Figure, _capped, _checked, _colour, _level, _names, _numbers, _say, _shape


def interval_dots(
    table: pd.DataFrame,
    *,
    row: str,
    colour: str,
    x_title: str,
    title: str,
    panel: str | None = None,
    level: float | None = None,
    columns: int = 2,
    interval: str = "95 % interval",
) -> Figure:
    """Values with intervals: one line per `row`, one colour and shape per `colour`, a panel per `panel`.

    Columns: `row`, `colour`, value, low, high (NaN: no interval drawn), and `panel` and n where given.
    `level` draws a dashed line (chance, or no correlation).
    """
    needed = [row, colour, "value", "low", "high", *([panel] if panel else [])]
    frame = _capped(_checked(table, needed, "interval_dots"), "interval_dots")
    rows, colours = _names(frame[row]), _names(frame[colour])
    alone = row == colour or len(colours) == 1
    shown = [row, *([] if alone else [colour]), *([panel] if panel else [])]
    tooltip: list[Any] = [f"{name}:N" for name in shown]
    tooltip += [*_numbers("value", "low", "high"), *(["n:Q"] if "n" in frame else [])]
    base = alt.Chart(frame).encode(
        y=alt.Y(f"{row}:N", sort=rows, title=None, scale=alt.Scale(domain=rows)),
        color=_colour(colour, colours).legend(None) if alone else _colour(colour, colours),
        tooltip=tooltip,
    )
    if not alone:
        base = base.encode(yOffset=alt.YOffset(f"{colour}:N", sort=colours))
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.6)
    dots = base.mark_point(size=55, opacity=1).encode(x="value:Q")
    if not alone:
        dots = dots.encode(shape=_shape(colour, colours))
    layers: list[Any] = [
        bars.encode(
            x=alt.X("low:Q", title=x_title, axis=alt.Axis(tickCount=5, labelOverlap=True)), x2="high:Q"
        ),
        dots,
    ]
    if level is not None:
        layers.append(_level(frame, level, "x", panel))
    per_row = 22 if alone else max(22, 11 * len(colours))
    panels = _names(frame[panel]) if panel else []
    size = {"width": 440 if len(panels) < 2 else 560 // columns - 40, "height": per_row * len(rows)}
    said = frame.assign(
        words=[
            " ".join(dict.fromkeys(str(entry[name]) for name in shown)) for entry in frame.to_dict("records")
        ]
    )
    about = {
        "title": alt.Title(title, subtitle=f"bars: {interval}"),
        "description": f"{title}, {interval} in brackets: " + _say(said, "words"),
    }
    drawn = alt.layer(*layers, data=frame)
    if panel is None:
        return drawn.properties(**size, **about)
    facets = drawn.properties(**size).facet(
        facet=alt.Facet(f"{panel}:N", sort=panels, title=None), columns=columns
    )
    return facets.properties(**about)


def type_strip(table: pd.DataFrame, *, title: str = "Transfer inside and across task types") -> Figure:
    """Every pair of different tasks as a point, inside types beside across them, with the groups' means.

    Columns: source, target, relative (share of the target's own prompt), pair ("same type" or "different
    type").
    """
    frame = _capped(_checked(table, ["source", "target", "relative", "pair"], "type_strip"), "type_strip")
    pairs = _names(frame["pair"])
    # a fixed spread instead of random jitter, so that the figure is the same every time
    frame["spread"] = frame.groupby("pair").cumcount() * 0.618 % 1
    base = alt.Chart(frame).encode(y=alt.Y("pair:N", sort=pairs, title=None))
    points = base.mark_point(opacity=0.7).encode(
        x=alt.X(
            "relative:Q", title="accuracy relative to the target's own prompt", scale=alt.Scale(zero=False)
        ),
        yOffset=alt.YOffset("spread:Q", scale=alt.Scale(domain=[-0.3, 1.3])),
        color=_colour("pair", pairs).legend(None),
        tooltip=["source:N", "target:N", *_numbers("relative")],
    )
    means = base.mark_tick(thickness=3, size=60, color="black").encode(x="mean(relative):Q")
    average = frame.groupby("pair", sort=False)["relative"].agg(["mean", "size"])
    said = "; ".join(
        f"{name}: mean {entry['mean']:.2f} of {int(entry['size'])} pairs"
        for name, entry in average.iterrows()
    )
    return (points + means + _level(frame, 1.0, "x")).properties(
        width=520,
        height=75 * len(pairs),
        title=alt.Title(
            title,
            subtitle="a point: one source and target; black ticks: means; dashed: the target's own prompt",
        ),
        description=f"{title}. {said}.",
    )


def start_curves(curves: pd.DataFrame, *, title: str = "Tuning from another task's prompt") -> Figure:
    """Validation accuracy during tuning, by start: thin lines are seeds, thick ones their mean; a panel per
    target.

    Columns: target, start, seed, step, accuracy (validation, share correct).
    """
    frame = _checked(curves, ["target", "start", "seed", "step", "accuracy"], "start_curves")
    frame = _capped(frame, "start_curves")
    frame["seed"] = frame["seed"].astype(int).astype(str)
    targets, starts = _names(frame["target"]), _names(frame["start"])
    base = alt.Chart(frame).encode(
        x=alt.X("step:Q", title="optimiser step"),
        color=_colour("start", starts, "start"),
    )
    y = alt.Y("accuracy:Q", title="validation accuracy (share correct)", scale=alt.Scale(zero=False))
    thin = base.mark_line(opacity=0.35, strokeWidth=1).encode(
        y=y, detail="seed:N", tooltip=["start:N", "seed:N", "step:Q", *_numbers("accuracy")]
    )
    thick = base.mark_line(strokeWidth=2.5).encode(
        y=alt.Y("mean(accuracy):Q"), strokeDash=alt.StrokeDash("start:N", sort=starts, legend=None)
    )
    last = (
        frame[frame["step"] == frame["step"].max()]
        .groupby(["target", "start"], sort=False)["accuracy"]
        .mean()
    )
    said = "; ".join(f"{target} from {start} ends at {value:.2f}" for (target, start), value in last.items())
    return (
        alt.layer(thin, thick, data=frame)
        .properties(width=300 if len(targets) > 1 else 520, height=200)
        .facet(facet=alt.Facet("target:N", sort=targets, title=None), columns=2)
        .properties(
            title=alt.Title(title, subtitle="thin: one seed; thick: mean over seeds; step 0: before tuning"),
            description=f"{title}, validation accuracy by step: {said}.",
        )
    )


def metric_scatter(
    table: pd.DataFrame, metrics: Sequence[str], *, title: str = "Similarity against transfer"
) -> Figure:
    """Relative transfer of each pair of tasks against similarity metrics, a panel for each.

    Columns: metric, similarity, relative, source, target, pair ("same type" or "different type").
    """
    needed = ["metric", "similarity", "relative", "source", "target", "pair"]
    frame = _checked(table, needed, "metric_scatter")
    frame = _capped(frame[frame["metric"].isin(metrics)].reset_index(drop=True), "metric_scatter")
    pairs = _names(frame["pair"])
    points = (
        alt.Chart(frame)
        .mark_point(opacity=0.75)
        .encode(
            x=alt.X("similarity:Q", title="similarity of the two prompts", scale=alt.Scale(zero=False)),
            y=alt.Y("relative:Q", title="relative transfer", scale=alt.Scale(zero=False)),
            color=_colour("pair", pairs),
            shape=_shape("pair", pairs),
            tooltip=["source:N", "target:N", "pair:N", *_numbers("similarity", "relative")],
        )
    )
    ranks = {
        name: group["similarity"].corr(group["relative"], method="spearman")
        for name, group in frame.groupby("metric", sort=False)
    }
    said = "; ".join(f"{name} {value:.2f}" for name, value in ranks.items())
    return (
        points.properties(width=270, height=190)
        .facet(facet=alt.Facet("metric:N", sort=list(metrics), title=None), columns=2)
        .resolve_scale(x="independent")
        .properties(
            title=alt.Title(title, subtitle="a point: one source and target"),
            description=f"{title}; Spearman correlation over all pairs: {said}.",
        )
    )


def norm_scatter(table: pd.DataFrame, *, title: str = "Prompts grow while they are tuned") -> Figure:
    """Length of a prompt's rows against the steps it was tuned for, both on log scales.

    Columns: model, task, seed, steps, norm (median length of its rows).
    """
    frame = _capped(
        _checked(table, ["model", "task", "seed", "steps", "norm"], "norm_scatter"), "norm_scatter"
    )
    models = _names(frame["model"])
    ranks = {
        name: group["steps"].corr(group["norm"], method="spearman")
        for name, group in frame.groupby("model", sort=False)
    }
    said = "; ".join(f"{name}: Spearman correlation {value:.3f}" for name, value in ranks.items())
    log = alt.Scale(type="log", nice=False)
    return (
        alt.Chart(frame)
        .mark_point()
        .encode(
            x=alt.X("steps:Q", title="optimiser steps (log scale)", scale=log),
            y=alt.Y("norm:Q", title="median length of a prompt row (log scale)", scale=log),
            color=_colour("model", models, "model"),
            shape=_shape("model", models, "model"),
            tooltip=["model:N", "task:N", "seed:Q", "steps:Q", *_numbers("norm")],
        )
        .properties(
            width=480,
            height=300,
            title=alt.Title(title, subtitle=said),
            description=f"{title}: {len(frame)} prompts. {said}.",
        )
    )


def overlap_history(
    table: pd.DataFrame, *, title: str = "Overlap of activated neurons during tuning"
) -> Figure:
    """ON of activation patterns by training step.

    Columns: activation (panel), pair (line), step, value.
    """
    frame = _capped(
        _checked(table, ["activation", "pair", "step", "value"], "overlap_history"), "overlap_history"
    )
    pairs, kinds = _names(frame["pair"]), _names(frame["activation"])
    last = (
        frame.sort_values("step").groupby(["activation", "pair"], sort=False)["value"].agg(["first", "last"])
    )
    said = "; ".join(
        f"{kind}, {pair}: {row['first']:.2f} to {row['last']:.2f}"
        for (kind, pair), row in zip(last.index, last.to_dict("records"), strict=True)
    )
    return (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(size=25))
        .encode(
            x=alt.X("step:Q", title="training step"),
            y=alt.Y("value:Q", title="ON (cosine of 0/1 patterns)", scale=alt.Scale(domain=[0, 1])),
            color=_colour("pair", pairs),
            strokeDash=alt.StrokeDash("pair:N", sort=pairs, legend=None),
            tooltip=["pair:N", "step:Q", *_numbers("value")],
        )
        .properties(width=290, height=220)
        .facet(facet=alt.Facet("activation:N", sort=kinds, title=None), columns=2)
        .properties(title=title, description=f"{title}: {said}.")
    )


def pair_kind(sources: Sequence[str], targets: Sequence[str], types: dict[str, str]) -> list[str]:
    """ "same type" or "different type" for each pair of tasks."""
    return [
        "same type" if types[s] == types[t] else "different type"
        for s, t in zip(sources, targets, strict=True)
    ]


def metric_pairs(
    metrics: dict[str, np.ndarray], relative: np.ndarray, tasks: Sequence[str], types: dict[str, str]
) -> pd.DataFrame:
    """The pairs of different tasks behind `metric_scatter`, one row per metric and pair."""
    rows = [
        {"metric": name, "source": s, "target": t, "similarity": matrix[i, j], "relative": relative[i, j]}
        for name, matrix in metrics.items()
        for i, s in enumerate(tasks)
        for j, t in enumerate(tasks)
        if i != j
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(pair=pair_kind(frame["source"], frame["target"], types))
