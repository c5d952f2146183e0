"""Exact tests over originals, against scipy and against enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skillkit.errors import SkillkitError
from skillkit.stats.exact import share_test, sign_flip_test

pairs = st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 5)), min_size=1, max_size=12)
answers = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=12)


def sums(rows):
    return [sum(value for value, group in rows if group == name) for name in {group for _, group in rows}]


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_the_sign_flip_test_agrees_with_every_flip(rows):
    values, groups = zip(*rows, strict=True)
    observed = abs(sum(values))
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, sums(rows), strict=True))) >= observed
        for signs in itertools.product((-1, 1), repeat=len(sums(rows)))
    ]
    assert sign_flip_test(values, groups) == pytest.approx(np.mean(flips))


def test_the_sign_flip_test_agrees_with_scipy_s():
    values = [1, 1, 1, 0, -1, 1, 1, 1, -1, 1, 0, 1]
    groups = [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7]
    totals = np.bincount(groups, weights=values)
    expected = stats.permutation_test(
        (totals,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_test(values, groups) == pytest.approx(expected.pvalue)


@given(st.lists(st.integers(-1, 1), min_size=1, max_size=400))
def test_with_one_attack_per_original_it_is_mcnemar_s_test(differences):
    better, worse = differences.count(1), differences.count(-1)
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_flip_test(differences, range(len(differences))) == pytest.approx(expected)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=300), st.floats(0.05, 0.95))
def test_with_one_answer_per_original_the_share_test_is_the_binomial_one(correct, chance):
    expected = [
        stats.binomtest(sum(correct), len(correct), chance, alternative=side).pvalue
        for side in ("less", "greater")
    ]
    assert share_test(correct, range(len(correct)), chance) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(answers, st.floats(0.05, 0.95))
def test_the_share_test_agrees_with_every_outcome_of_the_originals(rows, chance):
    values, groups = zip(*rows, strict=True)
    sizes = [groups.count(name) for name in sorted(set(groups))]
    below = above = 0.0
    for outcome in itertools.product((0, 1), repeat=len(sizes)):
        probability = np.prod([chance if right else 1 - chance for right in outcome])
        total = np.dot(outcome, sizes)
        below += probability * (total <= sum(values))
        above += probability * (total >= sum(values))
    assert share_test(values, groups, chance) == pytest.approx((below, above))


@settings(max_examples=50, deadline=None)
@given(pairs, st.integers(2, 5))
def test_repeating_every_attack_is_no_evidence(rows, times):
    values, groups = zip(*rows, strict=True)
    assert sign_flip_test(values * times, groups * times) == pytest.approx(sign_flip_test(values, groups))
    correct = [int(value > 0) for value in values]
    assert share_test(correct * times, groups * times, 0.4) == pytest.approx(share_test(correct, groups, 0.4))


def test_outcomes_need_originals_and_whole_numbers():
    for bad in (([1, 0], [0]), ([], []), ([0.5, 1], [0, 1])):
        with pytest.raises(SkillkitError, match=r"whole outcomes|as many groups|0 values"):
            sign_flip_test(*bad)
