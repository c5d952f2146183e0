"""The permutation null: against a slow reference, planted neurons, and calibrated on empty labels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from tiny import TASK, tiny_backbone, toy_data

from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import measure_baseline, score_neurons
from skillkit.neurons.significance import (
    ThresholdBits,
    permutation_null,
    score_with_null,
)


class DrawnBits(ThresholdBits):
    """Bits [prompts, sites, positions, examples, width] from an array instead of a model."""

    def __init__(self, bits, labels):
        self.sites, self.width, self.device = bits.shape[1], bits.shape[-1], torch.device("cpu")
        self._labels, self._rows = [torch.as_tensor(labels)], [torch.arange(len(labels))]
        packed = np.packbits(bits, axis=-1)
        self._parts = {(i, s): [packed[i, s]] for i in range(bits.shape[0]) for s in range(bits.shape[1])}


def slow_predictivity(bits, labels):
    """bits [prompts, sites, positions, examples, width]: neuron by neuron, straight from the definition."""
    prompts, sites, positions, _, width = bits.shape
    result = np.zeros((sites, width))
    for s in range(sites):
        for w in range(width):
            over_prompts = []
            for i in range(prompts):
                accuracies = [np.mean(bits[i, s, p, :, w] == labels) for p in range(positions)]
                over_prompts.append(max(max(a, 1 - a) for a in accuracies))
            result[s, w] = np.mean(over_prompts)
    return result


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2), st.integers(2, 30), st.integers(1, 11))
def test_predictivity_of_any_labels_equals_the_definition(seed, prompts, examples, width):
    rng = np.random.default_rng(seed)
    bits = rng.random((prompts, 2, 3, examples, width)) < rng.random()
    labels = rng.integers(0, 2, (4, examples))
    scores = DrawnBits(bits, labels[0]).predictivity(torch.from_numpy(labels))
    for draw in range(4):
        np.testing.assert_allclose(scores[:, draw], slow_predictivity(bits, labels[draw]), atol=1e-6)


@pytest.mark.parametrize("examples", [2047, 2048, 3001])
def test_sums_are_exact_where_pairs_of_positions_stop_fitting(examples):
    """Two sums share a float32 up to 2,047 examples; the largest sums on either side of that."""
    rng = np.random.default_rng(0)
    labels = np.arange(examples) % 2
    bits = rng.random((1, 1, 5, examples, 4)) < 0.5
    bits[0, 0, :, :, 0] = labels  # the largest sum
    bits[0, 0, 2:, :, 1] = 1 - labels  # the smallest
    bits[0, 0, :, :, 2], bits[0, 0, 1, :, 3] = True, False
    draws = np.stack([labels, 1 - labels, np.ones_like(labels), np.zeros_like(labels)])
    scores = DrawnBits(bits, labels).predictivity(torch.from_numpy(draws))
    for draw in range(4):
        np.testing.assert_allclose(scores[:, draw], slow_predictivity(bits, draws[draw]), atol=1e-7)


def test_weights_count_examples_as_often_as_they_say():
    rng = np.random.default_rng(0)
    bits, labels = rng.random((1, 2, 3, 9, 5)) < 0.5, rng.integers(0, 2, 9)
    weights = rng.integers(0, 4, 9)
    repeated = np.repeat(np.arange(9), weights)
    scores = DrawnBits(bits, labels).predictivity(
        torch.from_numpy(labels)[None], torch.from_numpy(weights)[None].float()
    )
    np.testing.assert_allclose(
        scores[:, 0], slow_predictivity(bits[:, :, :, repeated], labels[repeated]), atol=1e-6
    )


def test_weights_may_be_fractions():
    rng = np.random.default_rng(2)
    bits, labels = rng.random((1, 2, 4, 9, 5)) < 0.5, rng.integers(0, 2, 9)
    weights = rng.random(9)
    found = DrawnBits(bits, labels).predictivity(
        torch.from_numpy(labels)[None], torch.from_numpy(weights)[None].float()
    )
    hits = (bits == labels[:, None]).astype(float)
    accuracy = np.average(hits, axis=3, weights=weights)
    slow = np.maximum(accuracy, 1 - accuracy).max(2).mean(0)
    np.testing.assert_allclose(found[:, 0], slow, atol=1e-6)


def test_p_values_equal_a_slow_permutation_test():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 14)
    bits = rng.random((2, 2, 3, 14, 6)) < 0.5
    bits[:, 1, 1, :, 2] = labels  # one neuron that knows the answer
    null = permutation_null(DrawnBits(bits, labels), permutations=50, seed=3)
    order = np.random.default_rng(3).permuted(np.tile(np.arange(14), (50, 1)), axis=1)
    observed = slow_predictivity(bits, labels)
    permuted = np.array([slow_predictivity(bits, labels[row]) for row in order])
    np.testing.assert_allclose(null.p, (1 + (permuted >= observed - 1e-9).sum(0)) / 51, atol=1e-6)
    highest = permuted.max(2)
    np.testing.assert_allclose(null.maxima, highest, atol=1e-6)
    above = (highest[:, :, None] >= observed - 1e-9).sum(0)
    np.testing.assert_allclose(null.p_site, (1 + above) / 51, atol=1e-6)
    assert null.p_site[1, 2] == pytest.approx(1 / 51)
    np.testing.assert_allclose(
        null.adjusted(), false_discovery_control(null.p.double().numpy().ravel()).reshape(2, 6)
    )


def test_a_planted_neuron_is_the_only_discovery():
    rng = np.random.default_rng(5)
    labels = np.arange(80) % 2
    bits = rng.random((1, 2, 4, 80, 30)) < 0.5
    bits[0, 1, 2, :, 7] = np.where(rng.random(80) < 0.9, labels, 1 - labels)
    null = permutation_null(DrawnBits(bits, labels), permutations=1500, seed=0)
    assert torch.nonzero(null.discoveries(0.05)).tolist() == [[1, 7]]
    assert torch.nonzero(null.p_site < 0.05).tolist() == [[1, 7]]


def test_p_values_are_uniform_on_labels_that_say_nothing():
    """Many small draws. Ties make p slightly too large, never too small."""
    p, p_site = [], []
    for draw in range(40):
        rng = np.random.default_rng(draw)
        labels = rng.permutation(np.arange(101) % 2)
        # Positions of a real neuron agree mostly: the null must keep that dependence.
        common = rng.random((1, 1, 1, 101, 40)) < 0.5
        bits = np.where(rng.random((1, 1, 3, 101, 40)) < 0.8, common, rng.random((1, 1, 3, 101, 40)) < 0.5)
        null = permutation_null(DrawnBits(bits, labels), permutations=199, seed=draw)
        p.append(null.p.numpy().ravel())
        p_site.append(null.p_site.min().item())
    p, p_site = np.concatenate(p), np.array(p_site)
    for level in (0.02, 0.05, 0.1, 0.25, 0.5, 0.75):
        noise = 3 * np.sqrt(level * (1 - level) / len(p))
        assert 0.75 * level - noise <= (p <= level).mean() <= level + noise
    assert (p_site <= 0.1).mean() <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / len(p_site))
    assert (p_site <= 0.5).mean() >= 0.5 - 3 * np.sqrt(0.25 / len(p_site))


def test_false_discoveries_keep_their_level():
    """Of real and useless neurons mixed, useless ones stay at the level or below among the discoveries."""
    shares, found = [], []
    for draw in range(30):
        rng = np.random.default_rng(100 + draw)
        labels = rng.permutation(np.arange(60) % 2)
        bits = rng.random((1, 2, 3, 60, 40)) < 0.5
        bits[0, :, 0, :, :8] = np.where(
            rng.random((2, 60, 8)) < 0.85, labels[None, :, None], 1 - labels[None, :, None]
        )
        called = permutation_null(DrawnBits(bits, labels), permutations=400, seed=draw).discoveries(0.1)
        shares.append(called[:, 8:].sum().item() / max(1, called.sum().item()))
        found.append(called[:, :8].float().mean().item())
    assert np.mean(shares) <= 0.1 + 3 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(found) > 0.8


@pytest.mark.parametrize("family", ["roberta", "t5", "t5-gated", "gpt2"])
def test_one_pass_gives_the_scores_and_the_null_of_stored_activations(family):
    backbone, data = tiny_backbone(family), toy_data(train=20, scored=17)
    prompts = [SoftPrompt.initial(backbone, 3, seed) for seed in (0, 1)]
    scores, null, bits = score_with_null(backbone, prompts, data, permutations=30, seed=2, batch_size=4)
    torch.testing.assert_close(
        scores.predictivity, score_neurons(backbone, prompts, data).predictivity, equal_nan=True
    )

    labels = bits.labels.numpy()
    assert labels.tolist() == [data.validation["label"][i] for i in bits.rows.tolist()]
    stored = []
    for prompt in prompts:
        threshold = measure_baseline(backbone, prompt, data.train, data.task, batch_size=4).mean
        activation = record(backbone, prompt, data.validation, data.task)[bits.rows]
        above = (
            (activation > threshold).numpy().transpose(1, 2, 0, 3)
        )  # NaN positions are all False, and no better than others
        present = ~torch.isnan(threshold).any(-1).numpy()
        stored.append(
            [
                [above[s, p] if present[s, p] else above[s, present[s].argmax()] for p in range(4)]
                for s in range(len(above))
            ]
        )
    stored = np.array(stored)
    np.testing.assert_allclose(scores.predictivity, slow_predictivity(stored, labels), atol=1e-6)
    order = np.random.default_rng(2).permuted(np.tile(np.arange(17), (30, 1)), axis=1)
    permuted = np.array([slow_predictivity(stored, labels[row]) for row in order])
    np.testing.assert_allclose(null.maxima, permuted.max(2), atol=1e-6)


def test_a_model_has_no_skilled_neuron_for_labels_that_say_nothing():
    backbone, discovered = tiny_backbone("roberta"), 0
    prompt = SoftPrompt.initial(backbone, 3, 0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        splits = {}
        for name, split in toy_data(train=20, scored=40, seed=seed).splits.items():
            shuffled = rng.permutation(np.arange(len(split)) % 2)
            splits[name] = split.remove_columns("label").add_column("label", shuffled.tolist())
        _, null, _ = score_with_null(
            backbone, prompt, TaskData(TASK, splits, "the test"), permutations=199, seed=seed
        )
        discovered += bool(null.discoveries(0.05).any())
    assert discovered <= 4  # 20 trials at 5 %: five or more have probability 0.003


def test_sites_without_positions_are_nan():
    backbone = tiny_backbone("t5")
    _, null, _ = score_with_null(backbone, None, toy_data(), permutations=20)
    encoder = torch.tensor([site.stack == "encoder" for site in backbone.sites])
    assert torch.isnan(null.p[encoder]).all() and not torch.isnan(null.p[~encoder]).any()
    assert not null.discoveries()[encoder].any()


def test_seed_fixes_the_null_and_zero_permutations_are_refused():
    backbone, data = tiny_backbone("roberta"), toy_data()
    prompt = SoftPrompt.initial(backbone, 2, 0)
    first, second = (score_with_null(backbone, prompt, data, permutations=25, seed=7)[1] for _ in range(2))
    torch.testing.assert_close(first.maxima, second.maxima)
    with pytest.raises(SkillkitError, match="permutations is 0"):
        score_with_null(backbone, prompt, data, permutations=0)


def test_threshold_is_passed_as_often_as_its_level_says():
    rng = np.random.default_rng(0)
    bits, labels = rng.random((1, 2, 2, 90, 20)) < 0.5, rng.integers(0, 2, 90)
    null = permutation_null(DrawnBits(bits, labels), permutations=200)
    assert ((null.maxima > null.threshold(0.05)).float().mean(0) <= 0.05).all()
    assert ((null.maxima >= null.threshold(0.05)).float().mean(0) >= 0.05).all()
