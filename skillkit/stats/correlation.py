"""Rank correlation of two quantities, given others that both may follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from skillkit.checks import check_arguments, real_numbers
from skillkit.errors import SkillkitError
from skillkit.stats.measurement import Measurement

Values = Sequence[float] | NDArray[np.floating]


@check_arguments
def partial_rank_correlation(
    first: Values, other: Values, controls: Sequence[Values] = (), unit: str = "neurons"
) -> Measurement:
    """Spearman's correlation of two quantities [n] with the ranks of `controls` [n] each regressed out of
    both.

    The interval is Fisher's, with Bonett and Wright's variance for ranks (2000, Psychometrika 65) and one
    degree of freedom less for each control. It treats the `unit`s as independent.

    Returns:
        A measurement with n units; value and interval are NaN where one quantity does not vary beyond the
        controls.

    Raises:
        SkillkitError: different lengths, a value that is not finite, or fewer units than controls and four
            more.
    """
    columns = [
        real_numbers(values, "A correlation needs finite values") for values in (first, other, *controls)
    ]
    count = len(columns[0])
    if any(len(column) != count for column in columns):
        raise SkillkitError(f"A correlation needs columns of one length; got {[len(c) for c in columns]}.")
    freedom = count - 3 - len(controls)
    if freedom < 1:
        raise SkillkitError(
            f"{count} {unit} are too few for a correlation with {len(controls)} controls; "
            f"{4 + len(controls)} are enough."
        )
    ranks = [stats.rankdata(column) for column in columns]
    design = np.stack([np.ones(count), *ranks[2:]], axis=1)
    one, two = (_residuals(design, column) for column in ranks[:2])
    if min(_relative_size(one, ranks[0]), _relative_size(two, ranks[1])) < 1e-9:
        return Measurement(float("nan"), count, unit)
    value = float(np.corrcoef(one, two)[0, 1])
    reach = stats.norm.ppf(0.975) * np.sqrt((1 + value**2 / 2) / freedom)
    centre = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    low, high = np.tanh([centre - reach, centre + reach])
    return Measurement(value, count, unit, float(low), float(high), "Fisher's z for ranks")


def _residuals(design: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
    return column - design @ np.linalg.lstsq(design, column, rcond=None)[0]


def _relative_size(residuals: NDArray[np.float64], ranks: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(residuals) / np.linalg.norm(ranks))
