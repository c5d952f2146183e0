"""How well a similarity of prompts predicts their zero-shot transfer.

Both come as matrices [T, T] over the same tasks in the same order: `transfer[s, t]` is the accuracy of
source task s's prompt on target task t, its diagonal holds each task's own prompt, and *relative* transfer
is transfer[s, t] / transfer[t, t]. Su et al. (2022) report a Spearman correlation but released no code for
it, so how they aggregated it is unknown; the five natural ways are all here, because they disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from skillkit.checks import Count, Level, Seed, check_arguments, real_numbers
from skillkit.errors import SkillkitError
from skillkit.stats.measurement import Measurement

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

AGGREGATIONS = {
    "tgt_off": "per target, over the other tasks' prompts; mean over targets",
    "tgt_all": "per target, its own prompt included; mean over targets",
    "src_off": "per source, over the other targets, relative transfer; mean over sources",
    "pool_rel_off": "one correlation over all pairs of different tasks, relative transfer",
    "pool_rel_all": "one correlation over all pairs, own prompts included, relative transfer",
}
"""The ways to turn two matrices into one Spearman correlation, and what each means."""


@check_arguments
def relative_transfer(transfer: ArrayLike) -> Array:
    """Transfer divided by each target's own-prompt value, [T, T]; NaN for a target whose own value is 0."""
    values = _square(transfer, "transfer")
    own = np.diag(values)
    return cast(Array, values / np.where(own > 0, own, np.nan))


@check_arguments
def prediction(metric: ArrayLike, transfer: ArrayLike) -> dict[str, float]:
    """Spearman correlation of `metric` with `transfer`, for each of `AGGREGATIONS`.

    Pairs in which either is NaN are left out. A target or source for which a correlation is undefined (fewer
    than two pairs, or constant values) is left out of the mean.

    Args:
        metric: [T, T] (source, target), of the same tasks as `transfer`.
        transfer: [T, T] (source, target), accuracies.

    Raises:
        SkillkitError: the shapes do not match.
    """
    scores, values = _square(metric, "metric"), _square(transfer, "transfer")
    _same_shape(scores, values)
    own = np.eye(len(scores), dtype=bool)
    result = _aggregate(scores[None], values[None], relative_transfer(values)[None], ~own[None], own[None])
    return {name: float(value[0]) for name, value in result.items()}


@check_arguments
def prediction_intervals(
    metric: ArrayLike,
    transfer: ArrayLike,
    *,
    resamples: Count = 1000,
    confidence: Level = 0.95,
    seed: Seed = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals (low, high) over *tasks* for each of `AGGREGATIONS`.

    A resample draws T tasks with replacement. A pair of two copies of one task is no pair of tasks and is
    left out; "own prompt" pairs enter once per copy. Resamples that leave a correlation undefined are
    dropped.
    """
    drawn = _resampled(metric, transfer, resamples, seed)
    return {name: _interval(values, confidence) for name, values in drawn.items()}


@check_arguments
def prediction_difference(
    first: ArrayLike,
    second: ArrayLike,
    transfer: ArrayLike,
    *,
    resamples: Count = 1000,
    seed: Seed = 0,
) -> dict[str, Measurement]:
    """How much better `first` predicts transfer than `second`, for each of `AGGREGATIONS`.

    Both metrics are correlated with transfer in the same resamples of the tasks, so the 95 % interval is a
    paired one.
    """
    one, other = prediction(first, transfer), prediction(second, transfer)
    drawn = _resampled(first, transfer, resamples, seed), _resampled(second, transfer, resamples, seed)
    count = len(np.asarray(transfer))
    return {
        name: _over_tasks(one[name] - other[name], count, _interval(drawn[0][name] - drawn[1][name], 0.95))
        for name in AGGREGATIONS
    }


@check_arguments
def prediction_table(
    metrics: Mapping[str, ArrayLike], transfer: ArrayLike, *, resamples: Count = 1000, seed: Seed = 0
) -> pd.DataFrame:
    """`prediction` of several metrics [T, T] by name, with 95 % bootstrap intervals over tasks.

    One row per metric and aggregation: metric, aggregation, value, n (tasks), unit, low, high, interval.
    `resamples=0` leaves out the intervals (NaN).
    """
    rows = []
    for name, metric in metrics.items():
        intervals = (
            prediction_intervals(metric, transfer, resamples=resamples, seed=seed) if resamples else {}
        )
        for aggregation, value in prediction(metric, transfer).items():
            interval = intervals.get(aggregation, (math.nan, math.nan))
            measured = _over_tasks(value, len(np.asarray(transfer)), interval)
            rows.append({"metric": name, "aggregation": aggregation, **vars(measured)})
    return pd.DataFrame(rows)


def _over_tasks(value: float, tasks: int, interval: tuple[float, float]) -> Measurement:
    known = not math.isnan(interval[0])
    return Measurement(value, tasks, "tasks", *interval, "bootstrap over tasks" if known else "")


def _resampled(metric: ArrayLike, transfer: ArrayLike, resamples: int, seed: int) -> dict[str, Array]:
    """The correlations in each bootstrap resample of the tasks, [resamples] for each of `AGGREGATIONS`."""
    scores, values = _square(metric, "metric"), _square(transfer, "transfer")
    _same_shape(scores, values)
    relative = relative_transfer(values)
    count = len(scores)
    rng = np.random.default_rng(seed)
    parts: list[dict[str, Array]] = []
    for start in range(0, resamples, 200):  # 200 at a time keep the arrays small
        draw = rng.integers(count, size=(min(200, resamples - start), count))
        rows, columns = draw[:, :, None], draw[:, None, :]
        own = np.broadcast_to(np.eye(count, dtype=bool), (len(draw), count, count))
        parts.append(
            _aggregate(
                scores[rows, columns],
                values[rows, columns],
                relative[rows, columns],
                np.broadcast_to(rows != columns, own.shape),
                own,
            )
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in AGGREGATIONS}


def _interval(values: Array, confidence: float) -> tuple[float, float]:
    """Percentile interval of the defined values; NaN where there is none."""
    kept = values[~np.isnan(values)]
    if len(kept) == 0:
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _aggregate(scores: Array, values: Array, relative: Array, others: Mask, own: Mask) -> dict[str, Array]:
    """`AGGREGATIONS` of B pairs of matrices [B, T, T].

    `others` marks pairs of different tasks, `own` the tasks' own prompts.
    """
    batch = len(scores)
    every = others | own

    def by_target(matrix: NDArray) -> NDArray:
        return matrix.swapaxes(1, 2)

    def pooled(matrix: NDArray) -> NDArray:
        return matrix.reshape(batch, -1)

    return {
        "tgt_off": _mean_of(_spearman(by_target(scores), by_target(values), by_target(others))),
        "tgt_all": _mean_of(_spearman(by_target(scores), by_target(values), by_target(every))),
        "src_off": _mean_of(_spearman(scores, relative, others)),
        "pool_rel_off": _spearman(pooled(scores), pooled(relative), pooled(others)),
        "pool_rel_all": _spearman(pooled(scores), pooled(relative), pooled(every)),
    }


def _spearman(first: Array, second: Array, use: Mask) -> Array:
    """Spearman correlation along the last axis of the entries marked in `use`; NaN where it is undefined."""
    use = use & ~np.isnan(first) & ~np.isnan(second)
    x, y = _centred_ranks(first, use), _centred_ranks(second, use)
    with np.errstate(invalid="ignore"):
        return cast(Array, (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)))


def _centred_ranks(values: Array, use: Mask) -> Array:
    """Average ranks of the used entries minus their mean; 0 elsewhere. Unused ones, as +inf, rank last."""
    ranks = rankdata(np.where(use, values, np.inf), axis=-1)
    count = use.sum(-1, keepdims=True)
    return cast(Array, np.where(use, ranks - (count + 1) / 2, 0.0))


def _mean_of(values: Array) -> Array:
    """Mean over the last axis of the defined values; NaN where there is none."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return cast(Array, np.where(defined, values, 0).sum(-1) / defined.sum(-1))


def _square(values: ArrayLike, name: str) -> Array:
    matrix = real_numbers(values, name, axes=None, missing=True)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise SkillkitError(
            f"{name}: shape {matrix.shape}; expected [tasks, tasks], sources down, targets across."
        )
    return matrix


def _same_shape(scores: Array, values: Array) -> None:
    if scores.shape != values.shape:
        raise SkillkitError(
            f"metric {scores.shape} and transfer {values.shape}: expected the same tasks in both."
        )
