import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skillkit.stats.intervals import bootstrap, cluster_bootstrap, sem, student, wilson


def wilson_by_hand(correct, n, z=1.959963984540054):
    share = correct / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_the_textbook_formula(pair):
    correct, n = pair
    low, high = wilson(correct, n)
    assert (low, high) == pytest.approx(wilson_by_hand(correct, n), abs=1e-9)
    assert low <= correct / n + 1e-12 and correct / n <= high + 1e-12


@pytest.mark.parametrize(("correct", "n"), [(3, 2), (-1, 2), (0, 0), (0.5, 2)])
def test_wilson_refuses_what_is_no_share(correct, n):
    with pytest.raises(ValueError, match="whole number between 0 and n"):
        wilson(correct, n)


def test_bootstrap_of_the_mean_is_near_the_normal_interval_and_repeats():
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap(values)
    error = values.std() / math.sqrt(400)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.1 * error * 4
    )
    assert bootstrap(values) == (low, high)
    assert bootstrap(values, seed=1) != (low, high)


def test_bootstrap_takes_any_statistic_and_refuses_bad_values():
    low, high = bootstrap([0, 0, 1, 1, 1], statistic=lambda sample: float(max(sample)))
    assert (low, high)[1] == 1
    assert all(math.isnan(end) for end in bootstrap([1.0]))
    for bad in ([], [1.0, float("nan")], [[1.0], [2.0]]):
        with pytest.raises(ValueError, match="one number per example"):
            bootstrap(bad)


def test_sem_is_the_mean_plus_minus_its_standard_error():
    low, high = sem([0.5, 0.7, 0.9])
    error = np.std([0.5, 0.7, 0.9], ddof=1) / math.sqrt(3)
    assert (low, high) == pytest.approx((0.7 - error, 0.7 + error))
    assert all(math.isnan(end) for end in sem([0.5]))


def test_student_is_the_t_test_turned_round():
    values = [0.033, 0.239, 0.1]
    low, high = student(values)
    assert stats.ttest_1samp(values, low).pvalue == pytest.approx(0.05)
    assert stats.ttest_1samp(values, high).pvalue == pytest.approx(0.05)


def test_two_runs_decide_little():
    low, high = student([0.033, 0.239])
    assert low < 0 < high
    assert all(math.isnan(end) for end in student([0.2]))


def test_resampling_originals_widens_the_interval_where_examples_repeat():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random(30) < 0.5, 5).astype(float)
    groups = np.repeat(np.arange(30), 5)
    low, high = cluster_bootstrap(values, groups)
    alone = cluster_bootstrap(values, np.arange(150))
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(5**0.5, rel=0.15)


def test_cluster_bootstrap_agrees_with_a_loop():
    rng = np.random.default_rng(1)
    values, weights, groups = rng.normal(size=40), rng.random(40) + 0.5, rng.integers(0, 12, 40)
    names = np.unique(groups)
    drawn = np.random.default_rng(7).integers(0, len(names), (2000, len(names)))
    means = []
    for draw in drawn:
        rows = np.concatenate([np.flatnonzero(groups == names[g]) for g in draw])
        means.append(values[rows].sum() / weights[rows].sum())
    np.testing.assert_allclose(
        cluster_bootstrap(values, groups, weights, seed=7), np.quantile(means, [0.025, 0.975])
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_an_interval_stays_within_the_values(rows):
    values, groups = [float(v) for v, _ in rows], [g for _, g in rows]
    low, high = cluster_bootstrap(values, groups)
    if len(set(groups)) == 1:
        assert np.isnan(low) and np.isnan(high)
    else:
        assert 0 <= low <= high <= 1
