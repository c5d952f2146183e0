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
