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
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from skillkit.checks import Finite, Level, Seed, check_arguments, described, real_numbers
from skillkit.errors import SkillkitError

RESAMPLES = 2000
UNKNOWN = (float("nan"), float("nan"))

Values = Sequence[float] | NDArray[np.floating]


@check_arguments
def wilson(correct: Finite, n: int, confidence: Level = 0.95) -> tuple[float, float]:
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


@check_arguments
def bootstrap(
    values: Values, statistic: Callable[..., Any] = np.mean, seed: Seed = 0, confidence: Level = 0.95
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
        SkillkitError: no values, or one that is NaN or infinite.
    """
    sample = real_numbers(values, "bootstrap: one number per example, at least one, and no NaN")
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


@check_arguments
def sem(values: Values) -> tuple[float, float]:
    """Mean minus and plus its standard error; NaN for fewer than two values, which say nothing of spread.

    It is NaN also where a value is.

    Raises:
        SkillkitError: values that are no numbers, or infinite.
    """
    sample = real_numbers(values, "sem: values", least=0, missing=True)
    if len(sample) < 2:
        return UNKNOWN
    mean, error = float(sample.mean()), float(stats.sem(sample))
    return mean - error, mean + error


@check_arguments
def student(values: Values, confidence: Level = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of a few values; NaN for fewer than two.

    A bootstrap of two or three values cannot leave their range, and so decides too much.

    Raises:
        SkillkitError: as `sem`.
    """
    low, high = sem(values)
    mean, error = (low + high) / 2, (high - low) / 2
    reach = float(stats.t.ppf((1 + confidence) / 2, max(len(values) - 1, 1))) * error
    return mean - reach, mean + reach


@check_arguments
def cluster_bootstrap(
    numerator: ArrayLike,
    groups: ArrayLike,
    denominator: ArrayLike | None = None,
    *,
    seed: Seed = 0,
    confidence: Level = 0.95,
) -> tuple[float, float]:
    """Percentile interval of sum(numerator) / sum(denominator) when whole groups are resampled.

    Args:
        numerator: one number per row, [rows].
        groups: what is resampled together, such as the number of the original, [rows].
        denominator: [rows]; ones by default, which makes the ratio a mean.
        seed: fixes the 2000 resamples.
        confidence: of the interval.

    Returns:
        The interval; NaN for a single group, and where a value is NaN. Resamples with a denominator of zero
        are left out.

    Raises:
        SkillkitError: no rows, different numbers of them, a row without a group, or an infinite value.
    """
    top = real_numbers(numerator, "cluster_bootstrap: numerator", least=0, missing=True)
    bottom = np.ones_like(top)
    if denominator is not None:
        bottom = real_numbers(denominator, "cluster_bootstrap: denominator", least=0, missing=True)
    if len(top) != len(bottom):
        raise SkillkitError(f"A ratio needs two numbers for each row; got {len(top)} and {len(bottom)}.")
    index = numbered(groups, len(top))
    if np.isnan(top).any() or np.isnan(bottom).any():
        return UNKNOWN
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


@check_arguments
def outcome_interval(values: ArrayLike, originals: ArrayLike, *, seed: Seed = 0) -> tuple[float, float]:
    """Interval of the mean of outcomes between 0 and 1, where originals are the unit.

    Where the mean is the same for every original, resampling sees no spread. The interval is then Wilson's,
    for that share of as many outcomes as there are originals.

    Raises:
        SkillkitError: outcomes outside 0 to 1, or as `cluster_bootstrap`.
    """
    outcomes = real_numbers(values, "outcome_interval: outcomes", missing=True)
    if (outcomes < 0).any() or (outcomes > 1).any():
        raise SkillkitError(
            f"Outcomes lie between 0 and 1, not from {np.nanmin(outcomes):g} to {np.nanmax(outcomes):g}. "
            "Use cluster_bootstrap for other quantities."
        )
    if no_spread(values, originals):
        means = _means(values, originals)
        return wilson(round(float(means[0]) * len(means)), len(means))
    return cluster_bootstrap(values, originals, seed=seed)


@check_arguments
def difference_interval(values: ArrayLike, originals: ArrayLike, *, seed: Seed = 0) -> tuple[float, float]:
    """Interval of the mean of paired differences of outcomes (from -1 to 1), where originals are the unit.

    Where the difference is the same for every original, resampling sees no spread. The interval then reaches
    to both sides as far as Wilson's bound for no exception among that many originals.

    Raises:
        SkillkitError: as `cluster_bootstrap`.
    """
    if no_spread(values, originals):
        means = _means(values, originals)
        value, reach = float(means[0]), wilson(0, len(means))[1]
        most = max(1.0, abs(value))  # a difference of differences can be more than 1
        return max(-most, value - reach), min(most, value + reach)
    return cluster_bootstrap(values, originals, seed=seed)


@check_arguments
def no_spread(values: ArrayLike, originals: ArrayLike) -> bool:
    """Whether resampling originals would see no spread: the mean is the same for every original.

    Of a single original that is said only where all its values are 0, 1 or -1.

    Raises:
        SkillkitError: as `cluster_bootstrap`.
    """
    means, found = _means(values, originals), np.unique(np.asarray(values, dtype=float))
    return bool(np.ptp(means) < 1e-12) and (len(means) > 1 or found.tolist() in ([0.0], [1.0], [-1.0]))


def numbered(groups: ArrayLike, rows: int) -> NDArray[np.intp]:
    """The groups of so many rows as whole numbers from 0, [rows].

    Raises:
        SkillkitError: no rows, more or fewer groups than rows, or a row whose group is not known.
    """
    names = np.asarray(groups)
    if names.ndim != 1 or len(names) != rows or rows == 0:
        raise SkillkitError(
            f"There must be as many groups (or originals) as values, at least one; "
            f"got {described(groups)} for {rows} values."
        )
    if pd.isna(names).any():
        raise SkillkitError(
            f"{int(pd.isna(names).sum())} of {rows} rows belong to no known original. "
            "Leave them out, or number them."
        )
    return np.unique(names, return_inverse=True)[1]


def _means(values: ArrayLike, originals: ArrayLike) -> NDArray[np.float64]:
    """Mean of the values of each original, [originals]."""
    numbers = real_numbers(values, "values over originals", missing=True)
    index = numbered(originals, len(numbers))
    return np.bincount(index, weights=numbers) / np.bincount(index)
