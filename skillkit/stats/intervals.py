"""Intervals for the numbers in tables and figures; thin over scipy where scipy does it exactly.

A share of independent outcomes gets `wilson`, anything computed from independent examples `bootstrap`. Where
several outcomes stem from one original (attacks on one text, prompts answering one text), originals are the
unit: `cluster_bootstrap`, and for outcomes and their differences `outcome_interval` and
`difference_interval`, which also know what to say where resampling sees no spread. A mean of a handful of
runs gets `student`; `sem` is a standard error, not a 95 % interval. All return `(low, high)` in the units of
the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from skillkit.errors import SkillkitError

RESAMPLES = 2000
UNKNOWN = (float("nan"), float("nan"))

Values = Sequence[float] | NDArray[np.floating]


def wilson(correct: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of the share `correct / n` of independent outcomes.

    Raises:
        SkillkitError: `correct` is no count of `n`.
    """
    if n < 1 or not 0 <= correct <= n or correct != int(correct):
        raise SkillkitError(
            f"wilson: {correct} correct of {n}; expected a whole number between 0 and n, and n at least 1."
        )
    interval = stats.binomtest(int(correct), int(n)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(
    values: Values, statistic: Callable[..., Any] = np.mean, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over independent examples.

    Args:
        values: one number per example, [examples].
        statistic: of the values.
        seed: fixes the 2000 resamples, so that the same values give the same interval.
        confidence: of the interval.

    Returns:
        The interval, NaN for a single value.

    Raises:
        SkillkitError: no values, or a NaN among them.
    """
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or len(sample) == 0 or np.isnan(sample).any():
        raise SkillkitError("bootstrap: expected one number per example, at least one, and no NaN.")
    if len(sample) == 1:
        return UNKNOWN
    interval = stats.bootstrap(
        (sample,),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return float(interval.low), float(interval.high)


def sem(values: Values) -> tuple[float, float]:
    """Mean minus and plus its standard error; NaN for fewer than two values, which say nothing of spread."""
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return UNKNOWN
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
    numerator: ArrayLike,
    groups: ArrayLike,
    denominator: ArrayLike | None = None,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of sum(numerator) / sum(denominator) when whole groups are resampled.

    Args:
        numerator: one number per row, [rows].
        groups: what is resampled together, such as the number of the original, [rows].
        denominator: [rows]; ones by default, which makes the ratio a mean.
        seed: fixes the 2000 resamples.
        confidence: of the interval.

    Returns:
        The interval; NaN for a single group. Resamples with a denominator of zero are left out.

    Raises:
        SkillkitError: no rows, or different numbers of them.
    """
    top = np.asarray(numerator, dtype=float)
    bottom = np.ones_like(top) if denominator is None else np.asarray(denominator, dtype=float)
    names = np.asarray(groups)
    if len(top) == 0 or not len(top) == len(bottom) == len(names):
        raise SkillkitError(
            f"An interval needs as many groups as values, at least one; got {len(top)} and {len(names)}."
        )
    _, index = np.unique(names, return_inverse=True)
    count = index.max() + 1
    if count < 2:
        return UNKNOWN
    tops, bottoms = np.bincount(index, weights=top), np.bincount(index, weights=bottom)
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    above, below = tops[drawn].sum(1), bottoms[drawn].sum(1)
    values = above[below != 0] / below[below != 0]
    if len(values) == 0:
        return UNKNOWN
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def outcome_interval(values: ArrayLike, originals: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of outcomes between 0 and 1, where originals are the unit.

    Where the mean is the same for every original, resampling sees no spread. The interval is then Wilson's,
    for that share of as many outcomes as there are originals.
    """
    if no_spread(values, originals):
        means = _means(values, originals)
        return wilson(round(float(means[0]) * len(means)), len(means))
    return cluster_bootstrap(values, originals, seed=seed)


def difference_interval(values: ArrayLike, originals: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of paired differences of outcomes (from -1 to 1), where originals are the unit.

    Where the difference is the same for every original, resampling sees no spread. The interval then reaches
    to both sides as far as Wilson's bound for no exception among that many originals.
    """
    if no_spread(values, originals):
        means = _means(values, originals)
        value, reach = float(means[0]), wilson(0, len(means))[1]
        most = max(1.0, abs(value))  # a difference of differences can be more than 1
        return max(-most, value - reach), min(most, value + reach)
    return cluster_bootstrap(values, originals, seed=seed)


def no_spread(values: ArrayLike, originals: ArrayLike) -> bool:
    """Whether resampling originals would see no spread: the mean is the same for every original.

    Of a single original that is said only where all its values are 0, 1 or -1.
    """
    means, found = _means(values, originals), np.unique(np.asarray(values, dtype=float))
    return bool(np.ptp(means) < 1e-12) and (len(means) > 1 or found.tolist() in ([0.0], [1.0], [-1.0]))


def _means(values: ArrayLike, originals: ArrayLike) -> NDArray[np.float64]:
    """Mean of the values of each original, [originals]."""
    _, index = np.unique(np.asarray(originals), return_inverse=True)
    return np.bincount(index, weights=np.asarray(values, dtype=float)) / np.bincount(index)
