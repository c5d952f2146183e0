"""Figures about prompt transfer: pairs of tasks, starts from other prompts, and prompts during tuning."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from skillkit.charts import parts
from skillkit.charts.parts import Panels
from skillkit.charts.theme import Figure
from skillkit.charts.thinning import thinning
from skillkit.checks import check_arguments


@check_arguments
def pair_kind(sources: Sequence[str], targets: Sequence[str], types: dict[str, str]) -> list[str]:
    """For each pair of tasks "same type" or "different type", given each task's type."""
    return [
        "same type" if types[source] == types[target] else "different type"
        for source, target in zip(sources, targets, strict=True)
    ]


@check_arguments
def metric_pairs(
    metrics: dict[str, np.ndarray], relative: np.ndarray, tasks: Sequence[str], types: dict[str, str]
) -> pd.DataFrame:
    """The pairs of different tasks that `metric_scatter` draws, one row per metric and pair.

    Args:
        metrics: Similarities by metric, each [sources, targets].
        relative: Relative transfer [sources, targets].
        tasks: The names behind rows and columns.
        types: The type of each task.
    """
    rows = [
        {"metric": name, "source": s, "target": t, "similarity": matrix[i, j], "relative": relative[i, j]}
        for name, matrix in metrics.items()
        for i, s in enumerate(tasks)
        for j, t in enumerate(tasks)
        if i != j
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(pair=pair_kind(frame["source"], frame["target"], types))


@check_arguments
@thinning(None)
def type_strip(table: pd.DataFrame, *, title: str = "Transfer inside and across task types") -> Figure:
    """Every pair of different tasks as a point, inside types beside across them, with the groups' means.

    Args:
        table: Columns source, target, relative (share of the target's own prompt), pair ("same type" or
            "different type").
        title: Of the figure.
    """
    frame = parts.marks_table(table, ["source", "target", "relative", "pair"], "type_strip")
    pairs = parts.distinct(frame["pair"])
    # A fixed spread instead of random jitter, so that the figure is the same every time.
    frame["spread"] = frame.groupby("pair").cumcount() * 0.618 % 1
    base = alt.Chart(frame).encode(y=alt.Y("pair:N", sort=pairs, title=None))
    words = "accuracy relative to the target's own prompt"
    points = base.mark_point(opacity=0.7).encode(
        x=alt.X("relative:Q", title=words, scale=alt.Scale(zero=False)),
        yOffset=alt.YOffset("spread:Q", scale=alt.Scale(domain=[-0.3, 1.3])),
        color=parts.colour("pair", pairs).legend(None),
        tooltip=["source:N", "target:N", *parts.numbers("relative")],
    )
    means = base.mark_tick(thickness=3, size=60, color="black").encode(x="mean(relative):Q")
    average = frame.groupby("pair", sort=False)["relative"].agg(["mean", "size"])
    said = "; ".join(
        f"{name}: mean {row['mean']:.2f} of {int(row['size'])} pairs" for name, row in average.iterrows()
    )
    subtitle = "a point: one source and target; black ticks: means; dashed: the target's own prompt"
    return (points + means + parts.level(frame, 1.0, "x")).properties(
        width=520,
        height=75 * len(pairs),
        title=alt.Title(title, subtitle=subtitle),
        description=f"{title}. {said}.",
    )


@check_arguments
@thinning("step", "target", "start", "seed")
def start_curves(curves: pd.DataFrame, *, title: str = "Tuning from another task's prompt") -> Figure:
    """Validation accuracy during tuning by start, a panel per target; thin lines are seeds, thick ones means.

    Args:
        curves: Columns target, start, seed, step, accuracy (validation, share correct).
        title: Of the figure.
    """
    frame = parts.marks_table(curves, ["target", "start", "seed", "step", "accuracy"], "start_curves")
    frame["seed"] = frame["seed"].astype(int).astype(str)
    starts = parts.distinct(frame["start"])
    base = alt.Chart(frame).encode(
        x=alt.X("step:Q", title="optimiser step"), color=parts.colour("start", starts, "start")
    )
    thin = base.mark_line(opacity=0.35, strokeWidth=1).encode(
        y=alt.Y("accuracy:Q", title="validation accuracy (share correct)", scale=alt.Scale(zero=False)),
        detail="seed:N",
        tooltip=["start:N", "seed:N", "step:Q", *parts.numbers("accuracy")],
    )
    thick = base.mark_line(strokeWidth=2.5).encode(
        y=alt.Y("mean(accuracy):Q"), strokeDash=alt.StrokeDash("start:N", sort=starts, legend=None)
    )
    end = frame[frame["step"] == frame["step"].max()]
    last = end.groupby(["target", "start"], sort=False)["accuracy"].mean()
    said = "; ".join(f"{target} from {start} ends at {value:.2f}" for (target, start), value in last.items())
    width = 300 if len(parts.distinct(frame["target"])) > 1 else 520
    return parts.faceted([thin, thick], frame, Panels("target"), width=width, height=200).properties(
        title=alt.Title(title, subtitle="thin: one seed; thick: mean over seeds; step 0: before tuning"),
        description=f"{title}, validation accuracy by step: {said}.",
    )


@check_arguments
@thinning(None)
def metric_scatter(
    table: pd.DataFrame, metrics: Sequence[str], *, title: str = "Similarity against transfer"
) -> Figure:
    """Relative transfer of each pair of tasks against similarity metrics, a panel for each metric.

    Args:
        table: Columns metric, similarity, relative, source, target, pair ("same type" or "different type").
        metrics: Which metrics to show, in this order.
        title: Of the figure.
    """
    needed = ["metric", "similarity", "relative", "source", "target", "pair"]
    frame = parts.checked(table, needed, "metric_scatter")
    frame = frame[frame["metric"].isin(metrics)].reset_index(drop=True)
    points = alt.Chart(parts.limited(frame, "metric_scatter")).mark_point(opacity=0.75)
    encoded = points.encode(
        x=alt.X("similarity:Q", title="similarity of the two prompts", scale=alt.Scale(zero=False)),
        y=alt.Y("relative:Q", title="relative transfer", scale=alt.Scale(zero=False)),
        **parts.look("pair", parts.distinct(frame["pair"])),
        tooltip=["source:N", "target:N", "pair:N", *parts.numbers("similarity", "relative")],
    )
    ranks = parts.rank_correlations(frame, "metric", "similarity", "relative")
    said = "; ".join(f"{name} {value:.2f}" for name, value in ranks.items())
    return (
        encoded.properties(width=270, height=190)
        .facet(facet=alt.Facet("metric:N", sort=list(metrics), title=None), columns=2)
        .resolve_scale(x="independent")
        .properties(
            title=alt.Title(title, subtitle="a point: one source and target"),
            description=f"{title}; Spearman correlation over all pairs: {said}.",
        )
    )


@check_arguments
@thinning(None)
def norm_scatter(table: pd.DataFrame, *, title: str = "Prompts grow while they are tuned") -> Figure:
    """Length of a prompt's rows against the steps it was tuned for, both on log scales.

    Args:
        table: Columns model, task, seed, steps, norm (median length of the prompt's rows).
        title: Of the figure.
    """
    frame = parts.marks_table(table, ["model", "task", "seed", "steps", "norm"], "norm_scatter")
    ranks = parts.rank_correlations(frame, "model", "steps", "norm")
    said = "; ".join(f"{name}: Spearman correlation {value:.3f}" for name, value in ranks.items())
    log = alt.Scale(type="log", nice=False)
    points = alt.Chart(frame).mark_point()
    return points.encode(
        x=alt.X("steps:Q", title="optimiser steps (log scale)", scale=log),
        y=alt.Y("norm:Q", title="median length of a prompt row (log scale)", scale=log),
        **parts.look("model", parts.distinct(frame["model"]), "model"),
        tooltip=["model:N", "task:N", "seed:Q", "steps:Q", *parts.numbers("norm")],
    ).properties(
        width=480,
        height=300,
        title=alt.Title(title, subtitle=said),
        description=f"{title}: {len(frame)} prompts. {said}.",
    )


@check_arguments
@thinning("step", "activation", "pair")
def overlap_history(
    table: pd.DataFrame, *, title: str = "Overlap of activated neurons during tuning"
) -> Figure:
    """Overlap rate (ON) of two prompts' activated neurons by training step.

    Args:
        table: Columns activation (panel), pair (line), step, value.
        title: Of the figure.
    """
    frame = parts.marks_table(table, ["activation", "pair", "step", "value"], "overlap_history")
    pairs, kinds = parts.distinct(frame["pair"]), parts.distinct(frame["activation"])
    ordered = frame.sort_values("step").groupby(["activation", "pair"], sort=False)["value"]
    said = "; ".join(
        f"{kind}, {pair}: {row['first']:.2f} to {row['last']:.2f}"
        for (kind, pair), row in ordered.agg(["first", "last"]).iterrows()
    )
    lines = alt.Chart(frame).mark_line(point=alt.OverlayMarkDef(size=25))
    return (
        lines.encode(
            x=alt.X("step:Q", title="training step"),
            y=alt.Y("value:Q", title="ON (cosine of 0/1 patterns)", scale=alt.Scale(domain=[0, 1])),
            color=parts.colour("pair", pairs),
            strokeDash=alt.StrokeDash("pair:N", sort=pairs, legend=None),
            tooltip=["pair:N", "step:Q", *parts.numbers("value")],
        )
        .properties(width=290, height=220)
        .facet(facet=alt.Facet("activation:N", sort=kinds, title=None), columns=2)
        .properties(title=title, description=f"{title}: {said}.")
    )
