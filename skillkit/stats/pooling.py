"""One number from many tasks: a random-effects estimate and its heterogeneity.

A claim is measured once per task; tasks differ, so the pooled estimate is of the mean effect over tasks like
these, and its interval grows with their spread (DerSimonian & Laird 1986 for the variance between tasks,
Hartung & Knapp 2001 for the interval, which keeps its level with few tasks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from skillkit.checks import Finite, check_arguments
from skillkit.errors import SkillkitError
from skillkit.stats.measurement import Measurement

Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Pooled:
    """A claim's mean effect over tasks.

    `measurement` counts tasks, or whatever else was pooled. `between` is the standard deviation of the true
    effects between tasks, in the effect's own units; `heterogeneity` is I squared, the share of the spread
    that sampling does not explain (0 to 1); `p` is the two-sided p-value of no effect against `border`, by
    the t distribution of the interval.
    """

    measurement: Measurement
    between: float
    heterogeneity: float
    p: float


@check_arguments
def pool(measurements: Sequence[Measurement], border: Finite = 0.0, unit: str = "tasks") -> Pooled:
    """Pool one measurement per task (or other `unit`), weighted by how well each is known.

    Each measurement's standard error is taken from the width of its 95 % interval; one without an interval is
    left out. A single one is given back as it is; of two, the interval is very wide (one degree of freedom).

    Raises:
        SkillkitError: no measurement has an interval of positive width.
    """
    known = [
        each for each in measurements if np.isfinite([each.low, each.high]).all() and each.high > each.low
    ]
    if not known:
        raise SkillkitError(
            "There is nothing to pool: no measurement has an interval. Measure more texts or tasks."
        )
    values = np.array([each.value for each in known])
    variances = np.array([((each.high - each.low) / (2 * Z)) ** 2 for each in known])
    between, heterogeneity = _between(values, variances)
    weights = 1 / (variances + between)
    mean = float((weights * values).sum() / weights.sum())
    if len(known) == 1:
        only = known[0]
        p = 2 * stats.norm.sf(abs(mean - border) / np.sqrt(variances[0]))
        return Pooled(Measurement(mean, 1, unit, only.low, only.high, only.interval), 0.0, 0.0, float(p))
    freedom = len(known) - 1
    spread = (weights * (values - mean) ** 2).sum() / (freedom * weights.sum())
    # Never narrower than the fixed-effect interval would be: Hartung and Knapp's own correction for effects
    # that agree too well.
    error = float(np.sqrt(max(spread, 1 / weights.sum())))
    reach = float(stats.t.ppf(0.975, freedom)) * error
    name = f"random effects over {unit}"
    measured = Measurement(mean, len(known), unit, mean - reach, mean + reach, name)
    return Pooled(
        measured,
        float(np.sqrt(between)),
        heterogeneity,
        float(2 * stats.t.sf(abs(mean - border) / error, freedom)),
    )


def _between(values: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[float, float]:
    """DerSimonian and Laird's variance between tasks, and I squared."""
    weights = 1 / variances
    fixed = (weights * values).sum() / weights.sum()
    q, freedom = float((weights * (values - fixed) ** 2).sum()), len(values) - 1
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, (q - freedom) / scale) if scale > 0 else 0.0
    return between, max(0.0, 1 - freedom / q) if q > 0 else 0.0
