"""Curves: a planted neuron is what breaks the answers, controls are equal in number, and gaps are paired."""

import numpy as np
import pytest
import torch
from tiny import TASK, tiny_backbone, toy_data

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.evaluation import evaluate
from skillkit.models.inputs import encode
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, label_token_ids
from skillkit.neurons.perturbation import SELECTIONS, choose_neurons, perturb
from skillkit.neurons.scores import score_neurons, score_task
from skillkit.neurons.significance import score_with_null
from skillkit.neurons.subtasks import (
    combine_subtasks,
    score_prompts,
    scores_of_seed,
    subtask_baselines,
    subtask_predictivities,
    task_skill_neurons,
)

FRACTIONS = [0.0, 0.1, 0.5]


@pytest.fixture(scope="module")
def setting():
    backbone, data = tiny_backbone("t5"), toy_data(60, 40)
    prompts = {}
    for seed in (0, 1):
        prompt = SoftPrompt.initial(backbone, 3, seed)
        prompts[seed] = (prompt, score_neurons(backbone, prompt, data))
    return backbone, data, prompts


def test_curves_equal_interventions_one_by_one(setting) -> None:
    backbone, data, prompts = setting
    encoded = encode(backbone, data.test, TASK)
    curves = perturb(
        backbone,
        prompts,
        encoded,
        TASK,
        fractions=FRACTIONS,
        modes=("zero", "mean"),
        selections=("skill", "least"),
    )
    table = curves.table().set_index(["mode", "neurons", "fraction"])
    assert len(table) == 2 * 2 * 3 and set(table["prompts"]) == {2} and set(table["n"]) == {40}
    for mode in ("zero", "mean"):
        for name in ("skill", "least"):
            expected = []
            for seed, (prompt, scores) in prompts.items():
                mask = choose_neurons(scores, 0.5, [name], seed)[name]
                with intervene(backbone, mask, mode, values=scores.mean):
                    expected.append(evaluate(backbone, prompt, encoded, TASK).accuracy)
            assert table.loc[(mode, name, 0.5), "value"] == pytest.approx(np.mean(expected))
    whole = np.mean([evaluate(backbone, prompt, encoded, TASK).accuracy for prompt, _ in prompts.values()])
    assert table.xs(0.0, level="fraction")["value"].tolist() == pytest.approx([whole] * 4)


def test_noise_is_in_each_neurons_own_unit_or_in_that_of_the_activations(setting) -> None:
    backbone, data, prompts = setting
    encoded, (prompt, scores) = encode(backbone, data.test, TASK), prompts[0]
    options = {"fractions": [0.5], "selections": ("skill",), "noise": 50.0, "sigma": 5.0}
    curves = perturb(backbone, {3: prompts[0]}, encoded, TASK, modes=("noise", "absolute noise"), **options)
    mask = choose_neurons(scores, 0.5, ["skill"])["skill"]
    for mode, scale, unit in (("noise", 50.0, scores.deviation), ("absolute noise", 5.0, None)):
        with intervene(backbone, mask, "noise", scale=scale, unit=unit, seed=3):
            expected = evaluate(backbone, prompt, encoded, TASK)
        assert curves.correct[mode, "skill", 0.5][0].tolist() == expected.correct.tolist()
    own, absolute = (curves.correct[mode, "skill", 0.5][0] for mode in ("noise", "absolute noise"))
    assert (own != absolute).any()
    with pytest.raises(SkillkitError, match="absolute noise"):
        perturb(backbone, prompts, encoded, TASK, fractions=[0.5], modes=["loud"])


def test_gap_is_the_mean_difference_over_the_curve(setting) -> None:
    backbone, data, prompts = setting
    encoded = encode(backbone, data.test, TASK)
    curves = perturb(
        backbone, prompts, encoded, TASK, fractions=FRACTIONS, modes=("zero",), selections=("skill", "random")
    )
    table = curves.table().set_index(["neurons", "fraction"])["value"]
    differences = [table["random", f] - table["skill", f] for f in (0.1, 0.5)]
    assert curves.gap("zero", "random")["value"] == pytest.approx(np.mean(differences))
    assert curves.gap("zero", "random", 0.5)["value"] == pytest.approx(differences[1])
    with pytest.raises(SkillkitError, match="no curve"):
        curves.gap("noise", "random")


@pytest.mark.parametrize("sites", [[3], [2, 3]], ids=["one layer", "the decoder"])
def test_some_sites_alone(setting, sites) -> None:
    backbone, data, prompts = setting
    encoded = encode(backbone, data.test, TASK)
    options = {"fractions": [1.0], "modes": ("zero",), "selections": ("skill",)}
    every, some = (
        perturb(backbone, prompts, encoded, TASK, sites=chosen, **options).correct["zero", "skill", 1.0]
        for chosen in (None, sites)
    )
    for chosen, found in ((range(4), every), (sites, some)):
        mask = torch.tensor([site in chosen for site in range(4)])[:, None].expand(-1, backbone.width)
        for (prompt, _), correct in zip(prompts.values(), found, strict=True):
            with intervene(backbone, mask, "zero"):
                expected = evaluate(backbone, prompt, encoded, TASK).correct
            assert correct.tolist() == expected.tolist()


@pytest.mark.parametrize("sites", [[], [4], [-1]])
def test_sites_that_are_not_there_are_refused(setting, sites) -> None:
    backbone, data, prompts = setting
    encoded = encode(backbone, data.test, TASK)
    with pytest.raises(SkillkitError, match="sites 0 to 3"):
        perturb(backbone, prompts, encoded, TASK, fractions=[1.0], sites=sites)


def test_selections_have_the_same_number_in_every_site(setting) -> None:
    _, _, prompts = setting
    masks = choose_neurons(prompts[0][1], 0.3)
    assert set(masks) == set(SELECTIONS)
    assert all(mask.sum(1).tolist() == [6] * 4 for mask in masks.values())
    assert not (masks["matched"] & masks["skill"]).any() and not (masks["least"] & masks["skill"]).any()
    with pytest.raises(SkillkitError, match="selection"):
        choose_neurons(prompts[0][1], 0.3, ["skil"])


def test_a_planted_neuron_is_found_and_breaking_it_breaks_the_answers() -> None:
    """One decoder neuron alone moves the answer from one label word to the other; the labels are what the model then says."""
    backbone, data = tiny_backbone("t5"), toy_data(120, 80)
    prompt = SoftPrompt.initial(backbone, 3, 0)
    last = len(backbone.sites) - 1
    active = (record(backbone, prompt, data.train, TASK)[:, last, 0] > 0).float().mean(0)
    neuron = int((active - 0.5).abs().argmin())
    words = backbone.embeddings.weight[label_token_ids(backbone, TASK)]
    usual = int(evaluate(backbone, prompt, data.train, TASK).answers.mean() > 0.5)
    with torch.no_grad():
        backbone.down(backbone.sites[last]).weight[:, neuron] = 50 * (words[1 - usual] - words[usual])
    answers = {name: evaluate(backbone, prompt, split, TASK).answers for name, split in data.splits.items()}
    assert all(0.1 < each.mean() < 0.9 for each in answers.values())
    relabelled = {
        n: s.remove_columns("label").add_column("label", answers[n].tolist()) for n, s in data.splits.items()
    }
    data = type(data)(TASK, relabelled, "the test")
    scores = score_neurons(backbone, prompt, data)
    assert int(scores.predictivity[last].argmax()) == neuron
    encoded = encode(backbone, data.test, TASK)
    curves = perturb(backbone, {0: (prompt, scores)}, encoded, TASK, fractions=[0.0, 0.05], modes=("zero",))
    broken = {name: curves.correct["zero", name, 0.05][0].mean() for name in SELECTIONS}
    majority = max(answers["test"].mean(), 1 - answers["test"].mean())
    assert curves.correct["zero", "skill", 0.0][0].mean() == 1
    assert broken["skill"] <= majority + 1e-9
    assert min(broken["random"], broken["matched"], broken["least"]) > broken["skill"] + 0.1
    assert curves.gap("zero", "random")["low"] > 0


def test_scores_of_many_classes_are_one_file_and_one_mask(tmp_path) -> None:
    task = Task("three", "sentiment", ("text",), ("bad", "middling", "good"), ("bad", "middling", "good"))
    backbone, data = tiny_backbone("roberta"), toy_data(90, 60, task=task)
    data = type(data)(task, {name: three_classes(split) for name, split in data.splits.items()}, "the test")
    prompt = SoftPrompt.initial(backbone, 3, 0)
    each = score_task(backbone, prompt, data)
    combined = combine_subtasks(each)
    combined.save(tmp_path / "scores.safetensors")
    again = type(combined).load(tmp_path / "scores.safetensors")
    for ours, theirs in zip(subtask_predictivities(again), each.values(), strict=True):
        assert torch.equal(ours, theirs.predictivity)
    for ours, theirs in zip(subtask_baselines(again), each.values(), strict=True):
        assert torch.equal(ours.mean.nan_to_num(), theirs.baseline.nan_to_num())
    assert torch.allclose(again.predictivity, torch.stack([s.predictivity for s in each.values()]).mean(0))
    assert task_skill_neurons(again, 0.2).sum(1).tolist() == [4, 4]
    assert again.examples == sum(s.examples for s in each.values())


def three_classes(split):
    labels = [(label + row) % 3 for row, label in enumerate(split["label"])]
    return split.remove_columns("label").add_column("label", labels)


def test_scoring_several_prompts_at_once_is_scoring_them_together() -> None:
    backbone, data = tiny_backbone("roberta"), toy_data()
    prompts = {seed: SoftPrompt.initial(backbone, 3, seed) for seed in (4, 9)}
    [(name, part)] = score_prompts(backbone, prompts, data, permutations=50).items()
    together, null, _ = score_with_null(backbone, list(prompts.values()), data, permutations=50)
    assert name == TASK.name
    assert torch.allclose(part.predictivity, together.predictivity)
    assert torch.equal(part.null.p, null.p) and torch.equal(part.null.maxima, null.maxima)
    for seed, prompt in prompts.items():
        alone = score_neurons(backbone, prompt, data)
        assert torch.equal(
            scores_of_seed({name: part}, seed).accuracy.nan_to_num(), alone.accuracy.nan_to_num()
        )
