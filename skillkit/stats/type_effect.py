"""Are tasks of one type more alike, or better for one another, than tasks of different types?

The values come as a matrix [tasks, tasks]; its diagonal is ignored. The test permutes the types over the
tasks, which keeps how many tasks each type has and what is peculiar to each task. The interval resamples the
tasks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from skillkit.checks import Count, Seed, Size, check_arguments, real_numbers
from skillkit.errors import SkillkitError
from skillkit.stats.measurement import Measurement

ALL_ORDERS = 8
"""Up to so many tasks, every permutation of the types is counted (8! = 40,320); with more, random ones."""

_DIGITS = 12  # differences that agree to so many digits are ties: sums of equal values differ by rounding

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TypeEffect:
    """Mean of the pairs of tasks inside a type and of those across types, and their difference.

    `low` to `high` is the difference's 95 % bootstrap interval over the tasks; `chance_low` to `chance_high`
    is the range that 95 % of the permuted types give, and `p` the one-sided probability that they give at
    least this difference. All are NaN when no pair is inside a type, or none across. Pairs are ordered ones,
    unless the values are symmetric: then each is counted once.
    """

    inside: float
    across: float
    difference: float
    low: float
    high: float
    p: float
    chance_low: float
    chance_high: float
    inside_pairs: int
    across_pairs: int
    tasks: int

    @property
    def defined(self) -> bool:
        """Whether there are pairs of both kinds to compare."""
        return not math.isnan(self.difference)

    def measurement(self) -> Measurement:
        """The difference with its interval over tasks."""
        interval = "" if math.isnan(self.low) else "bootstrap over tasks"
        return Measurement(self.difference, self.tasks, "tasks", self.low, self.high, interval)

    def beyond_chance(self) -> Measurement:
        """The difference minus the middle of what permuted types give, and an interval as wide as that."""
        value = self.difference - (self.chance_low + self.chance_high) / 2
        # What permuted types give is rounded; without rounding, too, a tie with the largest would look like a
        # lead.
        low = round(self.difference - self.chance_high, _DIGITS)
        high = round(self.difference - self.chance_low, _DIGITS)
        return Measurement(value, self.inside_pairs, "pairs", low, high, "range of permuted types")


@check_arguments
def type_effect(
    values: ArrayLike,
    types: Sequence[str],
    *,
    permutations: Size = 10_000,
    resamples: Count = 1000,
    seed: Seed = 0,
) -> TypeEffect:
    """The mean inside types minus the mean across types, with a permutation test and a bootstrap interval.

    Args:
        values: of each ordered pair of tasks, [tasks, tasks]; NaN where one is missing.
        types: of each task.
        permutations: random permutations of the types where there are more than `ALL_ORDERS` tasks.
        resamples: of the tasks, for the interval; 0 leaves it out.
        seed: of the permutations and resamples.

    Raises:
        SkillkitError: the shape does not match the types, infinite values, or no permutation.
    """
    matrix, count = real_numbers(values, "type_effect: values", axes=None, missing=True), len(types)
    if matrix.shape != (count, count):
        raise SkillkitError(
            f"{count} types for values of shape {list(matrix.shape)}; give one type per task and values "
            "[tasks, tasks]."
        )
    codes = np.unique(np.asarray(types), return_inverse=True)[1]
    same, usable = codes[:, None] == codes, ~np.eye(count, dtype=bool) & ~np.isnan(matrix)
    inside, across = _mean(matrix, usable & same), _mean(matrix, usable & ~same)
    p, chance_low, chance_high = _permuted(matrix, codes, permutations, seed)
    low, high = _interval_over_tasks(matrix, same, resamples, seed)
    once = 2 if np.array_equal(matrix, matrix.T, equal_nan=True) else 1
    return TypeEffect(
        inside=float(inside),
        across=float(across),
        difference=float(inside - across),
        low=low,
        high=high,
        p=p,
        chance_low=chance_low,
        chance_high=chance_high,
        inside_pairs=int((usable & same).sum()) // once,
        across_pairs=int((usable & ~same).sum()) // once,
        tasks=count,
    )


def _permuted(
    matrix: Array, codes: NDArray[np.int_], permutations: int, seed: int
) -> tuple[float, float, float]:
    """The one-sided p-value, and the range of 95 % of the differences, under permuted types."""
    count = len(codes)
    usable = ~np.eye(count, dtype=bool) & ~np.isnan(matrix)

    def difference(order: NDArray[np.int_], axis: int = -1) -> Array:
        permuted = codes[np.moveaxis(order, axis, -1)]
        same = permuted[..., :, None] == permuted[..., None, :]
        return np.round(_mean(matrix, usable & same) - _mean(matrix, usable & ~same), _DIGITS)

    tasks = np.arange(count)
    if np.isnan(difference(tasks)):
        return math.nan, math.nan, math.nan
    test = stats.permutation_test(
        (tasks,),
        difference,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=math.factorial(count) if count <= ALL_ORDERS else permutations,
        batch=2000,
        alternative="greater",
        rng=seed,
    )
    low, high = _quantiles(test.null_distribution)
    return float(test.pvalue), low, high


def _interval_over_tasks(matrix: Array, same: Mask, resamples: int, seed: int) -> tuple[float, float]:
    """Bootstrap interval of the difference. A pair of two copies of one task is no pair and is left out."""

    def difference(drawn: NDArray[np.int_], axis: int = -1) -> Array:
        rows, columns = drawn[..., :, None], drawn[..., None, :]
        values, alike = matrix[rows, columns], same[rows, columns]
        usable = (rows != columns) & ~np.isnan(values)
        return _mean(values, usable & alike) - _mean(values, usable & ~alike)

    tasks = np.arange(len(matrix))
    if resamples < 1 or len(tasks) < 2 or np.isnan(difference(tasks)):
        return math.nan, math.nan
    with warnings.catch_warnings():  # resamples without a pair of one kind are left out below
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            (tasks,), difference, n_resamples=resamples, vectorized=True, method="percentile", rng=seed
        ).bootstrap_distribution
    return _quantiles(drawn)


def _mean(values: Array, mask: Mask) -> Array:
    """Mean of the marked values over the last two axes; NaN where none is marked."""
    count = mask.sum((-2, -1))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(mask, values, 0.0).sum((-2, -1)) / count, dtype=np.float64)


def _quantiles(values: Array) -> tuple[float, float]:
    """The range of 95 % of the defined values; NaN where there is none."""
    kept = values[~np.isnan(values)]
    if len(kept) == 0:
        return math.nan, math.nan
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)
