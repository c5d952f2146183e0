"""Controls that match: for each treated unit a partner that is alike in what could explain the effect away.

Skill neurons differ from others in more than what they predict: they vary more, are larger and fire more
often. A comparison that is to be about prediction needs partners that are alike in all of these. Partners are
sought inside one stratum (an FFN site), within a caliper on every covariate, without replacement; units
without a partner are left out and counted. How alike the two groups are afterwards is stated as standardised
mean differences, as is usual in matched studies (Stuart 2010, "Matching methods for causal inference"):
beyond 0.1 the comparison is not a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from skillkit.checks import Positive, check_arguments, real_numbers
from skillkit.errors import SkillkitError

CALIPER = 0.25
"""How far partners may differ in each covariate, in standard deviations of it inside the stratum."""

BALANCED = 0.1
"""The largest standardised mean difference of two groups that are still called alike."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Matching:
    """Partners of treated units: `treated` and `partners` [pairs] are places in the arrays that were given,
    pair by pair.

    `sought` is the number of treated units; `covariates` [units, covariates] are the standardised ones that
    were matched on, and `names` their names.
    """

    treated: NDArray[np.int64]
    partners: NDArray[np.int64]
    sought: int
    covariates: Array
    names: tuple[str, ...]
    candidates: NDArray[np.int64]
    wanted: NDArray[np.int64]

    @property
    def share(self) -> float:
        """Share of treated units for which a partner was found."""
        return len(self.treated) / self.sought if self.sought else float("nan")

    def balance(self) -> pd.DataFrame:
        """Standardised mean differences, treated minus control, before and after matching.

        Returns:
            One row per covariate: covariate, before (all treated against all candidates), after (matched
            pairs; NaN without pairs). Both are in units of the same pooled standard deviation, that before
            matching.
        """
        first, other = self.covariates[self.wanted], self.covariates[self.candidates]
        spread = np.sqrt((_variance(first) + _variance(other)) / 2)
        spread[spread == 0] = np.nan  # a covariate that is the same everywhere is balanced as it is
        before = (first.mean(0) - other.mean(0)) / spread
        pairs = self.covariates[self.treated] - self.covariates[self.partners]
        after = pairs.mean(0) / spread if len(pairs) else np.full(len(self.names), np.nan)
        constant = np.isnan(spread)
        return pd.DataFrame(
            {
                "covariate": self.names,
                "before": np.where(constant, 0.0, before),
                "after": np.where(constant & bool(len(pairs)), 0.0, after),
            }
        )

    @property
    def is_balanced(self) -> bool:
        """Whether there are pairs, and no covariate differs by more than `BALANCED` between them."""
        after = self.balance()["after"].abs()
        return bool(len(self.treated)) and bool((after <= BALANCED).all())


@check_arguments
def match(
    treated: Sequence[bool] | Mask,
    candidates: Sequence[bool] | Mask,
    strata: Sequence[int] | NDArray[np.integer],
    covariates: Mapping[str, Sequence[float] | Array],
    *,
    caliper: Positive = CALIPER,
) -> Matching:
    """Find for each treated unit a partner among the candidates of its stratum.

    Covariates are standardised over all units of a stratum. A pair is allowed where every covariate differs
    by at most `caliper`; of all ways to pair, the one with most pairs and then the smallest sum of squared
    differences is taken (an assignment problem, solved exactly), so that the result does not depend on the
    order of the units.

    Args:
        treated: bool [units].
        candidates: bool [units], who may be a partner; treated units never are.
        strata: the stratum of each unit [units].
        covariates: name to values [units].

    Raises:
        SkillkitError: arrays of different lengths, no covariate, a covariate that is not finite, a caliper
            that is not above 0, or no treated unit. Without a candidate nobody gets a partner, and the groups
            are not balanced.
    """
    wanted, allowed = np.asarray(treated, dtype=bool), np.asarray(candidates, dtype=bool)
    groups = np.asarray(strata)
    values = _table(covariates, wanted, allowed, groups)
    allowed = allowed & ~wanted
    standard = np.zeros_like(values)
    found: list[tuple[int, int]] = []
    for group in np.unique(groups):
        inside = groups == group
        standard[inside] = _standardised(values[inside])
        first, other = np.flatnonzero(inside & wanted), np.flatnonzero(inside & allowed)
        found += _pairs(standard, first, other, caliper)
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return Matching(
        pairs[:, 0],
        pairs[:, 1],
        int(wanted.sum()),
        standard,
        tuple(covariates),
        np.flatnonzero(allowed),
        np.flatnonzero(wanted),
    )


def _table(covariates: Mapping[str, Sequence[float] | Array], *masks: NDArray[Any]) -> Array:
    if not covariates:
        raise SkillkitError("Matching needs at least one covariate, such as the standard deviation.")
    columns = {name: real_numbers(values, f"The covariate {name!r}") for name, values in covariates.items()}
    if any(mask.ndim != 1 for mask in masks) or {len(values) for values in columns.values()} | {
        len(mask) for mask in masks
    } != {len(masks[0])}:
        raise SkillkitError("Matching needs treated, candidates, strata and covariates of one length.")
    if not masks[0].any():
        raise SkillkitError("No unit is treated, so there is nothing to match.")
    return np.stack(list(columns.values()), axis=1)


def _standardised(values: Array) -> Array:
    """Mean 0 and standard deviation 1 per column; 0 throughout where a column is constant."""
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _pairs(
    standard: Array, first: NDArray[np.int64], other: NDArray[np.int64], caliper: float
) -> list[tuple[int, int]]:
    if not len(first) or not len(other):
        return []
    gaps = np.abs(standard[first][:, None] - standard[other][None])
    inside: Mask = np.asarray((gaps <= caliper).all(axis=2))
    costs = (gaps**2).sum(axis=2)
    # A forbidden pair costs more than all allowed ones together, so as few as possible are taken, and then
    # dropped.
    forbidden = 1.0 + min(len(first), len(other)) * standard.shape[1] * caliper**2
    rows, columns = linear_sum_assignment(np.where(inside, costs, forbidden))
    allowed = inside[rows, columns]
    return list(zip(first[rows[allowed]].tolist(), other[columns[allowed]].tolist(), strict=True))


def _variance(values: Array) -> Array:
    return values.var(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
