"""Partial rank correlation: against scipy without controls, against the textbook formula with one, and on
planted cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from skillkit.errors import SkillkitError
from skillkit.stats.correlation import partial_rank_correlation


@given(seed=st.integers(0, 1000), count=st.integers(6, 60))
@settings(max_examples=50, deadline=None)
def test_without_controls_it_is_spearman(seed, count):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 30, count), rng.normal(size=count)
    if len(set(x)) > 1:
        assert partial_rank_correlation(x, y).value == pytest.approx(spearmanr(x, y).statistic)


@given(seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_with_one_control_it_is_the_formula_of_the_textbook(seed):
    x, y, z = np.random.default_rng(seed).normal(size=(3, 30))
    a, b, c = spearmanr(x, y).statistic, spearmanr(x, z).statistic, spearmanr(y, z).statistic
    slow = (a - b * c) / np.sqrt((1 - b**2) * (1 - c**2))
    assert partial_rank_correlation(x, y, [z]).value == pytest.approx(slow)


def test_what_only_a_third_quantity_explains_goes_away():
    rng = np.random.default_rng(0)
    size = rng.normal(size=500)
    predictivity, effect = size + rng.normal(size=500), size + rng.normal(size=500)
    plain, partial = (partial_rank_correlation(predictivity, effect, c) for c in ((), [size]))
    assert plain.low > 0.3 and partial.low < 0 < partial.high


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(1)
    held = sum(
        (m := partial_rank_correlation(*rng.normal(size=(2, 40)), [rng.normal(size=40)])).low <= 0 <= m.high
        for _ in range(400)
    )
    assert 0.93 <= held / 400 <= 0.97


def test_a_quantity_that_follows_its_control_alone_has_no_correlation():
    x = np.arange(10.0)
    found = partial_rank_correlation(x, x[::-1] ** 3, [np.exp(x)])
    assert np.isnan(found.value) and np.isnan(found.low) and not found.interval


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0, 2, 3], [1.0, 2, 3]), "too few"),
        (([1.0] * 9, [1.0] * 8), "one length"),
        (([1.0] * 8 + [np.nan], [1.0] * 9), "finite"),
    ],
)
def test_bad_input_is_named(given, message):
    with pytest.raises(SkillkitError, match=message):
        partial_rank_correlation(*given)
