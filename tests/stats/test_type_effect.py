"""The test of task types against every permutation one at a time, planted effects, and its level."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from skillkit.errors import SkillkitError
from skillkit.stats.type_effect import type_effect


def contrast(values, types):
    """Mean inside types minus mean across, as a loop over pairs; exact for fractions."""
    inside, across = [], []
    for i, j in itertools.permutations(range(len(types)), 2):
        if values[i][j] is not None:
            (inside if types[i] == types[j] else across).append(values[i][j])
    return sum(inside) / len(inside) - sum(across) / len(across)


@pytest.mark.parametrize("types", ["aabb", "aaabb", "aabbcc", "abacdb"])
@pytest.mark.parametrize("seed", range(3))
def test_p_equals_the_share_of_all_permutations(types, seed):
    """Fractions have no rounding, so ties, of which there are many in whole hundredths, are ties."""
    rng = np.random.default_rng(seed)
    hundredths = rng.integers(30, 40, (len(types), len(types)))
    exact = [[Fraction(int(x), 100) for x in row] for row in hundredths]
    exact[0][1] = None
    values = hundredths / 100
    values[0, 1] = np.nan
    observed = contrast(exact, types)
    drawn = [contrast(exact, order) for order in itertools.permutations(types)]
    effect = type_effect(values, list(types))
    assert effect.p == sum(each >= observed for each in drawn) / math.factorial(len(types))
    assert effect.difference == pytest.approx(float(observed), abs=1e-14)
    low, high = np.quantile([float(each) for each in drawn], [0.025, 0.975])
    assert (effect.chance_low, effect.chance_high) == pytest.approx((low, high), abs=1e-11)


def test_the_interval_equals_a_loop_over_resamples_of_the_tasks():
    rng = np.random.default_rng(0)
    values, types = rng.random((5, 5)), list("aabbb")
    effect = type_effect(values, types, resamples=300, seed=4)
    drawn = []
    for tasks in np.random.default_rng(4).integers(5, size=(300, 5)):
        pairs = [(i, j) for i, j in itertools.product(tasks, tasks) if i != j]
        inside = [values[i, j] for i, j in pairs if types[i] == types[j]]
        across = [values[i, j] for i, j in pairs if types[i] != types[j]]
        if inside and across:
            drawn.append(np.mean(inside) - np.mean(across))
    assert (effect.low, effect.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert effect.measurement().interval == "bootstrap over tasks"
    without = type_effect(values, types, resamples=0)
    assert math.isnan(without.low) and without.measurement().interval == ""


def test_a_planted_effect_is_found():
    types = ["a"] * 4 + ["b"] * 4
    rng = np.random.default_rng(0)
    transfer = rng.uniform(0.4, 0.6, (8, 8))
    transfer[np.equal.outer(types, types)] += 0.3
    effect = type_effect(transfer, types)
    assert effect.difference == pytest.approx(0.3, abs=0.05)
    assert (effect.inside_pairs, effect.across_pairs) == (24, 32)
    assert 0.2 < effect.low < effect.difference < effect.high < 0.4
    assert effect.p == 2 / 70  # the true labelling, and the one with the two names exchanged
    assert effect.beyond_chance().low == 0  # two of 70 labellings reach it, and a tie is no lead
    symmetric = type_effect(transfer + transfer.T, types)
    assert (symmetric.inside_pairs, symmetric.across_pairs) == (12, 16)


def test_random_permutations_keep_their_level_and_their_seed():
    rng = np.random.default_rng(3)
    types = list("aaabbbccc")
    p = [
        type_effect(rng.uniform(0.3, 1, (9, 9)), types, permutations=200, resamples=0, seed=seed).p
        for seed in range(80)
    ]
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) <= 0.1) < 0.25
    values = rng.random((9, 9))
    assert type_effect(values, types) == type_effect(values, types)
    assert type_effect(values, types, permutations=199).p * 200 == pytest.approx(
        round(type_effect(values, types, permutations=199).p * 200)
    )  # the observed labelling is counted among the random ones


def test_without_pairs_of_both_kinds_the_effect_is_undefined():
    effect = type_effect(np.ones((3, 3)), ["a", "b", "c"])
    assert not effect.defined and math.isnan(effect.inside) and math.isnan(effect.p)
    assert not type_effect(np.ones((3, 3)), ["a", "a", "a"]).defined
    with pytest.raises(SkillkitError, match="one type per task"):
        type_effect(np.ones((3, 3)), ["a"])
