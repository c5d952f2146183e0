"""Operations add up, and a median of few runs has an interval only where the runs are enough for one."""

import numpy as np
import pytest
import torch
from tiny import TASK, tiny_backbone, toy_dataset

from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.cost import forward_flops, median_of, speed_up
from skillkit.neurons.pruning import prune_ffn
from skillkit.neurons.scores import random_neurons


def mask_of(backbone, count, seed=0):
    like = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.bool)
    like[:, :count] = True
    return random_neurons(like, seed)


def test_flops_fall_by_what_the_removed_neurons_multiply():
    backbone = tiny_backbone("roberta")
    dataset, keep = toy_dataset(4, 0), mask_of(backbone, 5)
    pruned = prune_ffn(backbone, keep, torch.zeros(keep.shape))
    prompt = SoftPrompt.initial(backbone, 3, 0)
    tokens = encode(backbone, dataset, TASK).lengths.mean() + 1 + 3
    saved = forward_flops(backbone, prompt, dataset, TASK) - forward_flops(pruned, prompt, dataset, TASK)
    assert saved == pytest.approx(2 * 2 * 2 * tokens * 12 * 15)  # sites, projections, multiply and add


def test_the_speed_up_of_one_backbone_over_another_counts_its_rounds():
    backbone = tiny_backbone("roberta")
    encoded = encode(backbone, toy_dataset(4, 0), TASK)
    found = speed_up(backbone, backbone, None, encoded, batch_size=6, rounds=7, seconds=0.001)
    assert (found.n, found.unit) == (7, "runs") and 0 < found.low <= found.value <= found.high


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [median_of(list(rng.exponential(size=9))) for _ in range(400)]
    covered = np.mean([each.low <= np.log(2) <= each.high for each in found])
    assert 0.94 <= covered <= 1.0
    assert median_of([3.0, 1.0, 2.0]).value == 2.0 and median_of([3.0, 1.0, 2.0]).interval == ""
    seven = median_of([float(value) for value in range(7)])
    assert (seven.low, seven.value, seven.high) == (0.0, 3.0, 6.0)
