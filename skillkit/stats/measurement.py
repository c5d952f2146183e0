"""One shape for every number of a study: a value, what it rests on, and its interval.

Whatever makes a row of a result table makes a `Measurement` first, so that `n` always says what it counts and
`low` to `high` is always a 95 % interval of the value, never a standard error and never a range of chance
(those have columns of their own). Which constructor fits depends on what is independent:

- a count of independent outcomes: `proportion`
- one number per independent text: `mean_of`; two numbers per text: `paired_difference`
- two separate samples: `difference_of_means`
- one number per run, of which there are few: `mean_of_runs`
- several rows per original: `mean_over_originals` and `difference_over_originals` for outcomes,
  `ratio_over_originals` for quantities without bounds and for ratios
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skillkit.checks import Count, Seed, Size, check_arguments, real_numbers
from skillkit.errors import SkillkitError, unknown
from skillkit.stats.intervals import (
    RESAMPLES,
    UNKNOWN,
    bootstrap,
    cluster_bootstrap,
    difference_interval,
    no_spread,
    outcome_interval,
    student,
    wilson,
)

UNITS = (
    "texts",
    "pairs",
    "originals",
    "neurons",
    "sites",
    "positions",
    "prompts",
    "tasks",
    "runs",
    "factors",
)
"""What the n of a measurement may count."""

FIELDS = ("value", "n", "unit", "low", "high", "interval")
"""The columns of a table that hold a measurement."""

Values = Sequence[float] | NDArray[Any]
NAN = float("nan")


@dataclass(frozen=True)
class Measurement:
    """A value from `n` `unit`, with its 95 % interval from `low` to `high` (NaN where none is known).

    `interval` says in words how the interval was made, such as "Wilson" or "bootstrap over texts". It is
    empty exactly where there is none.

    Raises:
        SkillkitError: an unknown unit, an n below 0 or not whole, an infinite number, one end of an interval
            without the other, an interval of an unknown value, ends in the wrong order, or an interval
            without its name.
    """

    value: float
    n: int
    unit: str
    low: float = NAN
    high: float = NAN
    interval: str = ""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise unknown("unit", self.unit, UNITS)
        if self.n < 0 or self.n != int(self.n):
            raise SkillkitError(
                f"A measurement rests on n = {self.n} {self.unit}; expected a whole number of 0 or more."
            )
        if np.isinf([self.value, self.low, self.high]).any():
            raise SkillkitError(
                f"A measurement is finite, or NaN where it is unknown; got {self.value} "
                f"({self.low} to {self.high}). Look for a division by zero where it was computed."
            )
        if np.isnan(self.low) != np.isnan(self.high) or self.low > self.high:
            raise SkillkitError(
                f"The interval goes from {self.low} to {self.high}; expected both ends, the lower one first."
            )
        if np.isnan(self.value) and not np.isnan(self.low):
            raise SkillkitError(
                f"The value is NaN, but its interval goes from {self.low} to {self.high}; expected "
                "neither or both. Look for missing numbers where the value was computed."
            )
        if np.isnan(self.low) == bool(self.interval):
            raise SkillkitError(
                f"The interval {self.low} to {self.high} is called {self.interval!r}: "
                "name it where it is known, and only there."
            )

    def row(self, metric: str, **more: Any) -> dict[str, Any]:
        """A row of a result table: `metric`, the six fields, and whatever `more` says."""
        return {"metric": metric, **vars(self), **more}

    def subtracted_from(self, constant: float) -> Measurement:
        """A constant minus this value: the ends of the interval change places."""
        low, high = constant - self.high, constant - self.low
        return Measurement(constant - self.value, self.n, self.unit, low, high, self.interval)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Measurement:
        """The measurement that a row of a table holds; missing values are read as unknown.

        Raises:
            SkillkitError: the row has no n, no unit, or text where a number belongs.
        """
        known = {name: row[name] for name in FIELDS if name in row and not pd.isna(row[name])}
        if not {"n", "unit"} <= set(known):
            raise SkillkitError(
                f"The row {dict(row)} is no measurement: it says {sorted(known)}, but not what n counts. "
                "Make it with the functions of skillkit.stats.measurement."
            )
        try:
            value, low, high = (float(known.get(name, NAN)) for name in ("value", "low", "high"))
            count = int(known["n"])
        except (TypeError, ValueError) as error:
            raise SkillkitError(
                f"The row {dict(row)} is no measurement: value, n, low and high must be numbers ({error})."
            ) from error
        return cls(value, count, str(known["unit"]), low, high, str(known.get("interval", "")))


@check_arguments
def without_interval(value: float, n: Count, unit: str) -> Measurement:
    """A number that has no interval, such as a count or a setting.

    Raises:
        SkillkitError: as `Measurement`.
    """
    return Measurement(float(value), int(n), unit)


@check_arguments
def proportion(count: float, n: int, unit: str = "texts") -> Measurement:
    """The share `count / n` of independent outcomes, with Wilson's interval.

    Raises:
        SkillkitError: `count` is no count of `n`, or n is 0.
    """
    low, high = wilson(count, n)
    return Measurement(count / n, n, unit, low, high, "Wilson")


@check_arguments
def mean_of(values: Values, unit: str = "texts", *, seed: Seed = 0) -> Measurement:
    """The mean of one number per independent `unit` [n], with a bootstrap interval.

    Where all are the same share, resampling sees no spread. The interval is then Wilson's, for that share of
    as many. A single value has no interval.

    Raises:
        SkillkitError: no values, or one that is NaN or infinite.
    """
    sample = real_numbers(values, f"mean_of: one number for each of the {unit}")
    count = len(sample)
    if count > 1 and bool(np.all(sample == sample[0])) and 0 <= sample[0] <= 1:
        low, high = wilson(round(float(sample[0]) * count), count)
        return Measurement(float(sample.mean()), count, unit, low, high, "Wilson")
    interval = bootstrap(sample, seed=seed)
    return _measured(float(sample.mean()), count, unit, interval, f"bootstrap over {unit}")


@check_arguments
def paired_difference(one: Values, other: Values, unit: str = "texts", *, seed: Seed = 0) -> Measurement:
    """Mean of `one` minus `other`, two outcomes of the same units [n], with a paired bootstrap interval.

    Where the difference is the same everywhere, resampling sees no spread. The interval then reaches to both
    sides as far as Wilson's bound for no exception among so many.

    Raises:
        SkillkitError: the two have different lengths, are empty, or hold NaN or infinite values.
    """
    first, second = (real_numbers(each, f"paired_difference: {unit}") for each in (one, other))
    if first.shape != second.shape:
        raise SkillkitError(
            f"A paired difference needs the same {unit} twice; got {len(first)} and {len(second)}. "
            "Use difference_of_means."
        )
    differences, count = first - second, len(first)
    value = float(differences.mean())
    if count > 1 and bool((differences == differences[0]).all()):
        reach = wilson(0, count)[1]
        return Measurement(value, count, unit, max(-1.0, value - reach), min(1.0, value + reach), "Wilson")
    interval = bootstrap(differences, seed=seed)
    return _measured(value, count, unit, interval, f"paired bootstrap over {unit}")


@check_arguments
def difference_of_means(one: Values, other: Values, unit: str = "texts", *, seed: Seed = 0) -> Measurement:
    """Mean of `one` minus mean of `other`, two separate samples, each resampled on its own.

    n is that of the smaller sample; a sample of one value gives no interval.

    Raises:
        SkillkitError: an empty sample, or a value that is NaN or infinite.
    """
    rng = np.random.default_rng(seed)
    samples = [real_numbers(values, f"difference_of_means: {unit}") for values in (one, other)]
    value, count = float(samples[0].mean() - samples[1].mean()), min(map(len, samples))
    if count < 2:
        return without_interval(value, count, unit)
    means = [sample[rng.integers(len(sample), size=(RESAMPLES, len(sample)))].mean(1) for sample in samples]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return Measurement(value, count, unit, float(low), float(high), f"bootstrap over {unit}")


@check_arguments
def mean_of_runs(values: Values, unit: str = "prompts") -> Measurement:
    """The mean of one number per run, of which there are few, with Student's t interval (none for one).

    Without a run, and where a run's number is NaN, the mean is NaN: a claim about it stays undecided.

    Raises:
        SkillkitError: values that are no numbers, or infinite.
    """
    sample = real_numbers(values, f"mean_of_runs: {unit}", least=0, missing=True)
    return _measured(
        float(sample.mean()) if len(sample) else NAN, len(sample), unit, student(sample), "Student's t"
    )


@check_arguments
def mean_over_originals(
    outcomes: ArrayLike, originals: ArrayLike, n: Size | None = None, unit: str = "texts", *, seed: Seed = 0
) -> Measurement:
    """The mean of outcomes from 0 to 1, of which several stem from one original.

    Args:
        outcomes: [answers].
        originals: the number of each answer's original, [answers]; an original's answers are resampled
            together.
        n: how many `unit` there are, where answers are more than that (several prompts).
        unit: what n counts.
        seed: fixes the resamples.

    Returns:
        The measurement; NaN where an outcome is.

    Raises:
        SkillkitError: no outcome, one outside 0 to 1, or not one original for each.
    """
    sample = real_numbers(outcomes, f"mean_over_originals: {unit}", missing=True)
    interval = outcome_interval(sample, originals, seed=seed)
    return _measured(float(sample.mean()), n or len(sample), unit, interval, _way(sample, originals))


@check_arguments
def difference_over_originals(
    differences: ArrayLike,
    originals: ArrayLike,
    n: Size | None = None,
    unit: str = "pairs",
    *,
    seed: Seed = 0,
) -> Measurement:
    """The mean of paired differences from -1 to 1, of which several stem from one original.

    Arguments as in `mean_over_originals`, and what it returns and raises.
    """
    sample = real_numbers(differences, f"difference_over_originals: {unit}", missing=True)
    interval = difference_interval(sample, originals, seed=seed)
    return _measured(float(sample.mean()), n or len(sample), unit, interval, _way(sample, originals))


@check_arguments
def ratio_over_originals(
    numerator: ArrayLike,
    originals: ArrayLike,
    denominator: ArrayLike | None = None,
    *,
    n: Size | None = None,
    unit: str = "pairs",
    seed: Seed = 0,
) -> Measurement:
    """A sum over another, or the mean of a quantity without bounds, with several rows per original.

    Args:
        numerator: [rows].
        originals: the number of each row's original, [rows]; an original's rows are resampled together.
        denominator: [rows]; ones by default, which makes the ratio a mean.
        n: how many `unit` there are, where rows are more than that.
        unit: what n counts.
        seed: fixes the resamples.

    Returns:
        The measurement; NaN where the denominator sums to 0, or a value is NaN.

    Raises:
        SkillkitError: no rows, different numbers of them, a row without an original, or an infinite value.
    """
    top = real_numbers(numerator, f"ratio_over_originals: {unit}", missing=True)
    bottom = np.ones_like(top)
    if denominator is not None:
        bottom = real_numbers(denominator, "ratio_over_originals: denominator", missing=True)
    value = float(top.sum() / bottom.sum()) if bottom.sum() else NAN
    interval = cluster_bootstrap(top, originals, bottom, seed=seed) if bottom.sum() else UNKNOWN
    return _measured(value, n or len(top), unit, interval, "bootstrap over originals")


def _way(values: ArrayLike, originals: ArrayLike) -> str:
    """How the interval over originals is made."""
    return "Wilson over originals" if no_spread(values, originals) else "bootstrap over originals"


def _measured(value: float, n: int, unit: str, interval: tuple[float, float], name: str) -> Measurement:
    low, high = interval
    return Measurement(value, n, unit, low, high, "" if np.isnan(low) else name)
