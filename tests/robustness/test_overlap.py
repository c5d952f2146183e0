"""Overlap of top neurons, right and as released, against shuffled labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import concatenate_datasets
from tiny import tiny_backbone

from skillkit.neurons.scores import skill_neurons
from skillkit.neurons.stability import top_overlap
from skillkit.robustness.overlap import both_overlaps, permuted_overlap, released_overlap, shuffle_by_original
from skillkit.robustness.pairs import pair_up
from skillkit.robustness.scores_under_attack import score_under_attack


def test_the_released_overlap_is_that_of_the_least_predictive_neurons():
    backbone = tiny_backbone("t5")
    rng = np.random.default_rng(0)
    first, second = (torch.from_numpy(rng.permutation(80).reshape(4, 20)).float() for _ in range(2))
    table = released_overlap(first, second, [0.25], backbone.sites)
    # As their code does it: ascending order within a layer, then the order of the *layers* reversed.
    a, b = (np.argsort(x.numpy(), axis=1)[::-1][:, :5] for x in (first, second))
    expected = [len(set(x.tolist()) & set(y.tolist())) / 5 for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(table["value"], expected)


def test_the_released_overlap_misses_a_planted_one():
    """Equal top neurons, unrelated rest: the right overlap is 1, the released one what chance gives."""
    backbone = tiny_backbone("t5")
    rng = np.random.default_rng(0)
    first, second = (torch.from_numpy(rng.random((4, 20))).float() for _ in range(2))
    first[:, :4] += 2
    second[:, :4] += 2
    table = both_overlaps(first, second, [0.2], backbone.sites).groupby("ranking")["value"].mean()
    assert table["descending"] == 1
    assert table["ascending (released code)"] < 0.5
    right = top_overlap(first, second, [0.2], backbone.sites)
    np.testing.assert_allclose(right["value"], 1)


def test_permuted_labels_give_a_null_for_the_overlap(setting):
    backbone, prompt, pairs, selection = setting
    table = permuted_overlap(backbone, prompt, pairs, selection, [0.2], permutations=40)
    found = score_under_attack(backbone, prompt, pairs, selection).adversarial
    expected = (
        skill_neurons(selection.predictivity, 0.2) & skill_neurons(found.predictivity, 0.2)
    ).float().sum(1) / 4
    np.testing.assert_allclose(table["value"], expected)
    assert table["expected"].between(table["chance_low"], table["chance_high"]).all()
    assert ((table["p"] > 0) & (table["p"] <= 1)).all()


def test_labels_are_shuffled_among_originals():
    labels, originals = np.array([0, 0, 0, 1, 1, 0]), np.array([7, 7, 7, 3, 3, 5])
    shuffled = shuffle_by_original(labels, originals, 300)
    assert (shuffled[:, :3] == shuffled[:, :1]).all() and (shuffled[:, 3] == shuffled[:, 4]).all()
    by_original = shuffled[:, [0, 3, 5]]
    assert (by_original.sum(1) == 1).all() and by_original.mean(0) == pytest.approx(1 / 3, abs=0.1)


def test_attacking_every_text_again_does_not_sharpen_the_null(setting):
    """With every attack ten times over, shuffling single labels would give a null ten times as certain."""
    backbone, prompt, pairs, selection = setting
    tenfold = pair_up(concatenate_datasets([pairs.adversarial] * 10), pairs.task)
    once, ten = (
        permuted_overlap(backbone, prompt, each, selection, [0.2], permutations=40)
        for each in (pairs, tenfold)
    )
    columns = ["value", "expected", "chance_low", "chance_high", "p"]
    pd.testing.assert_frame_equal(once[columns], ten[columns])
