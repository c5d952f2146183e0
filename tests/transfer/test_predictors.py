"""Similarities of the prompts of tasks against pairs of prompts, one at a time."""

import numpy as np
import pytest
import torch
from tiny import tiny_backbone, toy_data

from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons, skill_neurons
from skillkit.transfer.predictors import prompt_similarities, skill_masks
from skillkit.transfer.similarities import activated, overlap_rate, similarity


def normal_prompts(backbone, names, seeds=(0, 1)):
    """Untuned prompts, another one for each task and seed."""
    return {
        name: {seed: SoftPrompt.initial(backbone, 3, 100 * place + seed, "normal") for seed in seeds}
        for place, name in enumerate(names)
    }


def test_skill_masks_average_over_prompts():
    backbone, data = tiny_backbone("roberta"), toy_data()
    scores = [score_neurons(backbone, SoftPrompt.initial(backbone, 2, s, "normal"), data) for s in (0, 1)]
    mask = skill_masks({"toy": scores}, 0.25)["toy"]
    mean = (scores[0].predictivity + scores[1].predictivity) / 2
    for site in range(len(backbone.sites)):
        best = sorted(range(backbone.width), key=lambda n: (-mean[site, n].item(), n))[:5]  # floor(0.25 * 20)
        assert sorted(best) == mask[site].nonzero().flatten().tolist()


def test_prompt_similarities_compare_different_seeds():
    backbone = tiny_backbone("t5")
    prompts = normal_prompts(backbone, ["one", "two"])
    mask = skill_neurons(torch.rand(len(backbone.sites), backbone.width), 0.4)
    found = prompt_similarities(
        backbone, prompts, {"one": "a", "two": "b"}, skill={"one": ~mask, "two": mask}, group_size=1
    )
    one, two = prompts["one"], prompts["two"]
    crossed = [(one[0], two[1]), (one[1], two[0])]
    assert found["C_concat"][0, 1] == pytest.approx(
        np.mean([similarity(p.matrix, q.matrix)["C_concat"] for p, q in crossed])
    )
    assert found["E_concat"][0, 0] == 1
    patterns = [[activated(backbone, prompt).numpy() for prompt in pair] for pair in crossed]
    assert found["ON"][0, 1] == pytest.approx(np.mean([overlap_rate(*pair) for pair in patterns]))
    on_target = [overlap_rate(*pair, neurons=mask.numpy()) for pair in patterns]
    assert found["ON skill neurons"][0, 1] == pytest.approx(np.mean(on_target))
    # the encoder has no answer slot, so ON is about decoder layers alone
    assert {name for name in found if name.startswith("ON ")} == {
        "ON decoder 0",
        "ON decoder 1",
        "ON skill neurons",
    }
    np.testing.assert_array_equal(found["same-type"], np.eye(2))


def test_with_one_seed_tasks_are_compared_by_that_seed():
    backbone = tiny_backbone("roberta")
    prompts = normal_prompts(backbone, ["one", "two"], seeds=(0,))
    found = prompt_similarities(backbone, prompts, {"one": "a", "two": "a"})
    expected = similarity(prompts["one"][0].matrix, prompts["two"][0].matrix)
    assert found["C_average"][0, 1] == pytest.approx(expected["C_average"])
