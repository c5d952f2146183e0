"""Rank correlations of similarity and transfer against loops over scipy, and planted effects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from skillkit.errors import SkillkitError
from skillkit.transfer.ranking import (
    AGGREGATIONS,
    prediction,
    prediction_difference,
    prediction_intervals,
    relative_transfer,
)


def plain_prediction(metric, transfer):
    """The five aggregations as loops over targets, sources and pairs."""
    count = len(metric)

    def rho(pairs):
        x, y = zip(*pairs, strict=True)
        return spearmanr(x, y)[0]

    def relative(s, t):
        return transfer[s][t] / transfer[t][t]

    tasks = range(count)
    pairs = [(s, t) for s in tasks for t in tasks]
    off = [(s, t) for s, t in pairs if s != t]
    return {
        "tgt_off": np.mean([rho([(metric[s][t], transfer[s][t]) for s in tasks if s != t]) for t in tasks]),
        "tgt_all": np.mean([rho([(metric[s][t], transfer[s][t]) for s in tasks]) for t in tasks]),
        "src_off": np.mean([rho([(metric[s][t], relative(s, t)) for t in tasks if s != t]) for s in tasks]),
        "pool_rel_off": rho([(metric[s][t], relative(s, t)) for s, t in off]),
        "pool_rel_all": rho([(metric[s][t], relative(s, t)) for s, t in pairs]),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 8))
def test_prediction_equals_plain_loops(seed, count):
    rng = np.random.default_rng(seed)
    metric = (
        np.round(rng.random((count, count)), 1) + np.arange(count)[:, None] * 1e-3 + np.arange(count) * 1e-3
    )
    transfer = np.round(rng.uniform(0.3, 1, (count, count)), 2)
    transfer[0] += np.arange(count) * 1e-4  # no constant rows or columns
    transfer[:, 0] += np.arange(count) * 1e-4
    expected = plain_prediction(metric, transfer)
    found = prediction(metric, transfer)
    for name in AGGREGATIONS:
        assert found[name] == pytest.approx(expected[name], abs=1e-9, nan_ok=True), name


def test_a_planted_monotone_relation_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    metric = rng.random((10, 10))
    transfer = 0.3 + 0.5 * metric**2
    np.fill_diagonal(transfer, 0.9)
    assert prediction(metric, transfer)["tgt_off"] == pytest.approx(1)
    low, high = prediction_intervals(metric, transfer, resamples=200)["tgt_off"]
    assert (low, high) == pytest.approx((1, 1))

    noise = rng.random((10, 10))
    low, high = prediction_intervals(noise, transfer, resamples=400)["pool_rel_off"]
    assert low < 0 < high
    assert (low, high) == prediction_intervals(noise, transfer, resamples=400)["pool_rel_off"]


def test_the_difference_of_two_metrics_is_paired():
    rng = np.random.default_rng(0)
    transfer = rng.uniform(0.2, 1, (9, 9))
    good, noise = transfer + 0.05 * rng.random((9, 9)), rng.random((9, 9))
    better = prediction_difference(good, noise, transfer, resamples=300)["pool_rel_off"]
    assert better.low > 0
    expected = prediction(good, transfer)["pool_rel_off"] - prediction(noise, transfer)["pool_rel_off"]
    assert better.value == pytest.approx(expected)
    same = prediction_difference(noise, 2 * noise, transfer, resamples=100)["tgt_off"]
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0))


def test_missing_transfer_results_are_left_out():
    rng = np.random.default_rng(0)
    metric, transfer = rng.random((6, 6)), rng.uniform(0.2, 1, (6, 6))
    kept = prediction(metric[:5, :5], transfer[:5, :5])
    transfer[5], transfer[:, 5] = np.nan, np.nan
    found = prediction(metric, transfer)
    assert found == pytest.approx(kept)


def test_relative_transfer_divides_by_each_targets_own_prompt():
    relative = relative_transfer([[0.8, 0.3], [0.4, 0.6]])
    np.testing.assert_allclose(relative, [[1, 0.5], [0.5, 1]])
    assert np.isnan(relative_transfer([[0.0, 0.3], [0.4, 0.6]])[:, 0]).all()
    with pytest.raises(SkillkitError, match="tasks, tasks"):
        relative_transfer([[0.8, 0.3]])
    with pytest.raises(SkillkitError, match="same tasks"):
        prediction(np.eye(3), np.eye(4))
