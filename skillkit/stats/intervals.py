"""Intervals for the numbers in tables and figures; thin over scipy.

An accuracy over n examples gets `wilson` (a count) or `bootstrap` (anything computed from examples), a mean
over prompts tuned with different seeds gets `sem`, and `student` where a claim rests on a handful of runs. All
return `(low, high)` in the units of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from skillkit.errors import SkillkitError

Array = NDArray[np.float64]
RESAMPLES = 2000

Values = Sequence[float] | NDArray[np.floating]


def wilson(correct: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of the share `correct / n`. Raises ValueError for what is no count of n."""
    if n < 1 or not 0 <= correct <= n or correct != int(correct):
        raise ValueError(
            f"wilson: {correct} correct of {n}; expected a whole number between 0 and n, and n at least 1."
        )
    interval = stats.binomtest(int(correct), int(n)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(
    values: Values, statistic: Callable[..., Any] = np.mean, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic` over the examples, `values` [examples].

    The resamples (2000) depend on `seed` alone, so the same values give the same interval. NaN for a single
    value. Raises ValueError when `values` is empty or holds a NaN.
    """
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or len(sample) == 0 or np.isnan(sample).any():
        raise ValueError("bootstrap: expected one number per example, at least one, and no NaN.")
    if len(sample) == 1:
        return float("nan"), float("nan")
    interval = stats.bootstrap(
        (sample,), statistic, n_resamples=2000, confidence_level=confidence, method="percentile", rng=seed
    ).confidence_interval
    return float(interval.low), float(interval.high)


def sem(values: Values) -> tuple[float, float]:
    """Mean minus and plus its standard error; NaN for fewer than two values, which say nothing of spread."""
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return float("nan"), float("nan")
    mean, error = float(sample.mean()), float(stats.sem(sample))
    return mean - error, mean + error


def student(values: Values, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of a few values; NaN for fewer than two.

    A bootstrap of two or three values cannot leave their range, and so decides too much.
    """
    low, high = sem(values)
    mean, error = (low + high) / 2, (high - low) / 2
    reach = float(stats.t.ppf((1 + confidence) / 2, max(len(values) - 1, 1))) * error
    return mean - reach, mean + reach


def cluster_bootstrap(
    numerator: Sequence[float] | Array,
    groups: Sequence[int] | NDArray[np.integer],
    denominator: Sequence[float] | Array | None = None,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of sum(numerator) / sum(denominator) when whole groups are resampled; the
    denominator defaults to ones (a mean).

    2000 resamples fixed by ``seed``; resamples with a zero denominator are left out. NaN for a single group.
    """
    top = np.asarray(numerator, dtype=float)
    bottom = np.ones_like(top) if denominator is None else np.asarray(denominator, dtype=float)
    if len(top) == 0 or not len(top) == len(bottom) == len(groups):
        raise SkillkitError(
            f"An interval needs as many groups as values, at least one; got {len(top)} and {len(groups)}."
        )
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    count = index.max() + 1
    if count < 2:
        return float("nan"), float("nan")
    tops, bottoms = np.bincount(index, weights=top), np.bincount(index, weights=bottom)
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    above, below = tops[drawn].sum(1), bottoms[drawn].sum(1)
    values = above[below != 0] / below[below != 0]
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def outcome_interval(values: Array, groups: NDArray[np.integer], *, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of outcomes over originals (``cluster_bootstrap``). Where all are 0, or all 1, resampling sees no spread:
    then Wilson's interval for as many outcomes as there are originals.
    """
    if set(np.unique(values)) in ({0.0}, {1.0}):
        count = len(np.unique(groups))
        return wilson(count * int(values[0]), count)
    return cluster_bootstrap(values, groups, seed=seed)


def difference_interval(values: Array, groups: NDArray[np.integer], *, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of paired differences of outcomes (-1, 0, 1) over originals. Where all are 0,
    resampling sees no spread: then Wilson's bound for that many originals without a difference, to both sides.
    """
    if not np.any(values):
        bound = wilson(0, len(np.unique(groups)))[1]
        return -bound, bound
    return cluster_bootstrap(values, groups, seed=seed)


def mcnemar(first: Array, second: Array) -> float:
    """Exact two-sided McNemar test of two paired 0/1 outcomes: p of so uneven a split of the discordant
    pairs, 1.0 without any.
    """
    better, worse = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0
