"""One shape for every number of a study: a value, what it rests on, and its interval.

Whatever makes a row of a result table makes a `Measurement` first, so that `n` always says what it counts and `low` to `high` is
always a 95 % interval of the value, never a standard error and never a range of chance (those have columns of their own).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillkit.errors import SkillkitError, unknown
from skillkit.stats.intervals import bootstrap, difference_interval, outcome_interval, student, wilson

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

Values = Sequence[float] | NDArray[Any]
NAN = float("nan")


@dataclass(frozen=True)
class Measurement:
    """A value from `n` `unit`, with its 95 % interval from `low` to `high` (NaN where none is known).

    `interval` says in words how the interval was made, such as "Wilson" or "bootstrap over texts"; it is empty exactly where there
    is none.

    Raises:
        SkillkitError: an unknown unit, an n below 0, or an interval without its name.
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
        if self.n < 0:
            raise SkillkitError(f"A measurement rests on n = {self.n} {self.unit}; expected 0 or more.")
        known = not (np.isnan(self.low) and np.isnan(self.high))
        if known != bool(self.interval):
            raise SkillkitError(
                f"The interval {self.low} to {self.high} is called {self.interval!r}: name it where it is known, and only there."
            )

    def row(self, metric: str, **more: Any) -> dict[str, Any]:
        """A row of a result table: `metric`, the six fields, and whatever `more` says."""
        return {"metric": metric, **vars(self), **more}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Measurement:
        """The measurement that a row of a table holds."""
        named = {name: row[name] for name in ("value", "n", "unit", "low", "high", "interval")}
        return cls(**{**named, "n": int(named["n"]), "interval": named["interval"] or ""})


def without_interval(value: float, n: int, unit: str) -> Measurement:
    """A number that has no interval, such as a count or a setting."""
    return Measurement(float(value), int(n), unit)


def proportion(count: float, n: int, unit: str = "texts") -> Measurement:
    """The share `count / n` of independent outcomes, with Wilson's interval."""
    low, high = wilson(count, n)
    return Measurement(count / n, n, unit, low, high, "Wilson")


def mean_of(values: Values, unit: str = "texts", *, seed: int = 0) -> Measurement:
    """The mean of one number per independent `unit` [n], with a bootstrap interval.

    Where all are the same share, resampling sees no spread: then Wilson's interval for that share of as many.
    """
    sample = np.asarray(values, dtype=float)
    count = len(sample)
    if count > 1 and bool(np.all(sample == sample[0])) and 0 <= sample[0] <= 1:
        low, high = wilson(round(float(sample[0]) * count), count)
        return Measurement(float(sample.mean()), count, unit, low, high, "Wilson")
    return _measured(
        float(sample.mean()), count, unit, bootstrap(sample, seed=seed), f"bootstrap over {unit}"
    )


def paired_difference(one: Values, other: Values, unit: str = "texts", *, seed: int = 0) -> Measurement:
    """Mean of `one` minus `other`, two outcomes of the same units [n], with a paired bootstrap interval.

    Where the difference is the same everywhere, resampling sees no spread: then Wilson's bound for no exception among so many, to
    both sides.

    Raises:
        SkillkitError: the two have different lengths.
    """
    first, second = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if first.shape != second.shape:
        raise SkillkitError(
            f"A paired difference needs the same {unit} twice; got {len(first)} and {len(second)}. Use difference_of_means."
        )
    differences, count = first - second, len(first)
    value = float(differences.mean())
    if count > 1 and bool((differences == differences[0]).all()):
        reach = wilson(0, count)[1]
        return Measurement(value, count, unit, max(-1.0, value - reach), min(1.0, value + reach), "Wilson")
    low_high = bootstrap(differences, seed=seed)
    return _measured(value, count, unit, low_high, f"paired bootstrap over {unit}")


def difference_of_means(one: Values, other: Values, unit: str = "texts", *, seed: int = 0) -> Measurement:
    """Mean of `one` minus mean of `other`, two separate samples, each resampled on its own; n is the smaller one's."""
    rng = np.random.default_rng(seed)
    samples = [np.asarray(values, dtype=float) for values in (one, other)]
    means = [sample[rng.integers(len(sample), size=(2000, len(sample)))].mean(1) for sample in samples]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    value, count = float(samples[0].mean() - samples[1].mean()), min(map(len, samples))
    return _measured(value, count, unit, (float(low), float(high)), f"bootstrap over {unit}")


def mean_of_runs(values: Values, unit: str = "prompts") -> Measurement:
    """The mean of one number per run, of which there are few, with Student's t interval (NaN for a single one)."""
    sample = np.asarray(values, dtype=float)
    return _measured(float(sample.mean()), len(sample), unit, student(sample), "Student's t")


def mean_over_originals(
    outcomes: Values, originals: Values, n: int | None = None, unit: str = "texts", *, seed: int = 0
) -> Measurement:
    """The mean of outcomes [answers] where several stem from one original [answers]: originals are resampled together.

    `n` counts `unit`, where answers are more than texts (several prompts).
    """
    sample, groups = np.asarray(outcomes, dtype=float), np.asarray(originals)
    interval = outcome_interval(sample, groups, seed=seed)
    return _measured(float(sample.mean()), n or len(sample), unit, interval, "bootstrap over originals")


def difference_over_originals(
    differences: Values, originals: Values, n: int | None = None, unit: str = "pairs", *, seed: int = 0
) -> Measurement:
    """The mean of paired differences [answers] where several stem from one original: originals are resampled together."""
    sample, groups = np.asarray(differences, dtype=float), np.asarray(originals)
    interval = difference_interval(sample, groups, seed=seed)
    return _measured(float(sample.mean()), n or len(sample), unit, interval, "bootstrap over originals")


def _measured(value: float, n: int, unit: str, low_high: tuple[float, float], name: str) -> Measurement:
    low, high = low_high
    return Measurement(value, n, unit, low, high, "" if np.isnan(low) and np.isnan(high) else name)
