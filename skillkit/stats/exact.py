"""Exact tests in which the original is the unit: attacks on one original are never taken for independent.

Several adversarial texts often stem from one original. Both tests sum up what happened to each original
first, and are then exact over originals: their null distributions are sums of independent terms, one per
original, and come from convolving these terms, where a permutation by random draws would only estimate them.
With one attack per original they are McNemar's and the binomial test; repeating every attack changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skillkit.errors import SkillkitError


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
        SkillkitError: differences that are not whole, or another number of originals.
    """
    sums = _sums(differences, originals)
    sizes = np.abs(sums)
    # The sum of the signed sizes, for each possible total of those that get a plus.
    flipped = 2 * np.arange(sizes.sum() + 1) - sizes.sum()
    as_far = np.abs(flipped) >= abs(int(sums.sum()))
    return float(min(1.0, _distribution(sizes, 0.5)[as_far].sum()))


def share_test(correct: ArrayLike, originals: ArrayLike, chance: float) -> tuple[float, float]:
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
        SkillkitError: outcomes that are not whole, or another number of originals.
    """
    right = int(_sums(correct, originals).sum())
    pmf = _distribution(_sums(np.ones(len(np.asarray(correct))), originals), chance)
    return float(min(1.0, pmf[: right + 1].sum())), float(min(1.0, pmf[right:].sum()))


def _sums(values: ArrayLike, originals: ArrayLike) -> NDArray[np.int64]:
    """Sum of the values of each original, [originals]."""
    rows, names = np.asarray(values, dtype=float), np.asarray(originals)
    if len(rows) == 0 or len(rows) != len(names) or (rows != np.round(rows)).any():
        raise SkillkitError(
            f"An exact test needs whole outcomes, each with its original; got {len(rows)} outcomes and "
            f"{len(names)} originals."
        )
    _, index = np.unique(names, return_inverse=True)
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
