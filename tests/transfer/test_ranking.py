"""Rank correlations of similarity and transfer against loops over scipy, planted effects, permutations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from skillkit.transfer.ranking import (
    AGGREGATIONS,
    prediction,
    prediction_difference,
    prediction_intervals,
    relative_transfer,
    type_effect,
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
    assert better["low"] > 0
    expected = prediction(good, transfer)["pool_rel_off"] - prediction(noise, transfer)["pool_rel_off"]
    assert better["value"] == pytest.approx(expected)
    same = prediction_difference(noise, 2 * noise, transfer, resamples=100)["tgt_off"]
    assert (same["value"], same["low"], same["high"]) == pytest.approx((0, 0, 0))


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
    with pytest.raises(ValueError, match="tasks, tasks"):
        relative_transfer([[0.8, 0.3]])
    with pytest.raises(ValueError, match="same tasks"):
        prediction(np.eye(3), np.eye(4))


def test_type_effect_finds_a_planted_effect():
    types = ["a"] * 4 + ["b"] * 4
    rng = np.random.default_rng(0)
    transfer = rng.uniform(0.4, 0.6, (8, 8))
    transfer[np.equal.outer(types, types)] += 0.3
    np.fill_diagonal(transfer, 1.0)
    effect = type_effect(transfer, types, resamples=2000)
    assert effect.difference == pytest.approx(0.3, abs=0.05)
    assert (effect.inside_pairs, effect.across_pairs) == (24, 32)
    assert 0.2 < effect.low < effect.difference < effect.high < 0.4
    assert effect.p_value < 0.05  # 2 of 70 labellings are as extreme


def test_type_effect_counts_all_labellings_of_few_tasks():
    transfer = np.full((4, 4), 0.2)
    transfer[:2, :2] = transfer[2:, 2:] = 0.8
    np.fill_diagonal(transfer, 1.0)
    effect = type_effect(transfer, ["a", "a", "b", "b"])
    assert effect.p_value == pytest.approx(1 / 3)  # 8 of the 24 orders keep the two pairs together


def test_type_effect_is_calibrated_when_types_do_not_matter():
    rng = np.random.default_rng(3)
    p_values = [
        type_effect(rng.uniform(0.3, 1, (9, 9)), list("aaabbbccc"), resamples=200, seed=seed).p_value
        for seed in range(80)
    ]
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.1) < 0.25


def test_type_effect_without_pairs_inside_a_type_is_undefined():
    effect = type_effect(np.ones((3, 3)), ["a", "b", "c"])
    assert np.isnan(effect.inside)
    assert np.isnan(effect.p_value)
    with pytest.raises(ValueError, match="one type per task"):
        type_effect(np.ones((3, 3)), ["a"])
