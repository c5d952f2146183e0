"""Exact tests in which the original is the unit: attacks on one original are never taken for independent.

Several adversarial texts often stem from one original. Both tests sum up what happened to each original
first, and are then exact over originals: their null distributions are sums of independent terms, one per
original, and come from convolving these terms, where a permutation by random draws would only estimate them.
With one attack per original they are McNemar's and the binomial test; repeating every attack changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skillkit.checks import Share, check_arguments, real_numbers
from skillkit.errors import SkillkitError
from skillkit.stats.intervals import numbered


@check_arguments
def sign_flip_test(differences: ArrayLike, originals: ArrayLike) -> float:
    """Two-sided p of a mean difference as far from 0, if each original's could as well be reversed.

    With one row per original this is the exact McNemar test.

    Args:
        differences: first outcome minus second outcome of each pair, -1, 0 or 1, [pairs].
        originals: the number of each pair's original, [pairs].

    Returns:
        The share of all ways of flipping the signs of the originals' sums that give a sum at least as far
        from 0; 1.0 where nothing differs.

    Raises:
        SkillkitError: differences other than -1, 0 and 1, or another number of originals.
    """
    sums = _sums(differences, originals, (-1, 0, 1))
    sizes = np.abs(sums)
    # The sum of the signed sizes, for each possible total of those that get a plus.
    flipped = 2 * np.arange(sizes.sum() + 1) - sizes.sum()
    as_far = np.abs(flipped) >= abs(int(sums.sum()))
    return float(min(1.0, _distribution(sizes, 0.5)[as_far].sum()))


@check_arguments
def share_test(correct: ArrayLike, originals: ArrayLike, chance: Share) -> tuple[float, float]:
    """One-sided p-values of a share as low, and as high, if every answer is right with probability `chance`.

    The answers to one original are taken to be right or wrong together. No other dependence inside originals
    gives their total a larger variance, so the test errs on the side of deciding nothing. With one answer per
    original it is the exact binomial test.

    Args:
        correct: 0 or 1 for each answer, [answers].
        originals: the number of each answer's original, [answers].
        chance: the probability to test against.

    Returns:
        p of a share at most, and p of a share at least as high as the observed one.

    Raises:
        SkillkitError: outcomes other than 0 and 1, another number of originals, or a chance that is no
            probability.
    """
    right = int(_sums(correct, originals, (0, 1)).sum())
    pmf = _distribution(_sums(np.ones(len(np.asarray(correct))), originals, (1,)), chance)
    return float(min(1.0, pmf[: right + 1].sum())), float(min(1.0, pmf[right:].sum()))


def _sums(values: ArrayLike, originals: ArrayLike, possible: tuple[int, ...]) -> NDArray[np.int64]:
    """Sum of the values of each original, [originals]."""
    rows = real_numbers(values, "An exact test of outcomes")
    if not np.isin(rows, possible).all():
        raise SkillkitError(
            f"An exact test needs whole outcomes, each one of {possible}; "
            f"these go from {rows.min():g} to {rows.max():g}."
        )
    index = numbered(originals, len(rows))
    return np.bincount(index, weights=rows).round().astype(np.int64)


def _distribution(sizes: NDArray[np.int64], probability: float) -> NDArray[np.float64]:
    """Probability of each total when every size is counted with some probability, on its own: [sum + 1]."""
    pmf = np.ones(1)
    for size in sizes[sizes > 0]:
        taken = np.zeros(len(pmf) + size)
        taken[size:] = probability * pmf
        taken[: len(pmf)] += (1 - probability) * pmf
        pmf = taken
    return pmf
