"""Neurons as judges of attacked texts, against a loop and on reversed neurons."""

import numpy as np
import pytest
import torch
from attacks import masks_of, toy_pairs
from datasets import Dataset
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons, score_task, skill_neurons
from skillkit.neurons.subtasks import combine_subtasks
from skillkit.robustness.agreement import agreement, agreement_table
from skillkit.robustness.pairs import pair_up
from skillkit.robustness.scores_under_attack import predictivity_table, score_under_attack

THREE = Task("toy3", "sentiment", ("text",), ("bad", "middling", "good"), ("bad", "middling", "good"))


def test_agreement_agrees_with_a_loop(setting):
    backbone, prompt, pairs, selection = setting
    masks = masks_of(selection)
    rows = agreement(backbone, prompt, pairs, selection, masks, batch_size=5)
    activations = {
        "clean": record(backbone, prompt, pairs.clean, TASK),
        "adversarial": record(backbone, prompt, pairs.attacked, TASK),
    }
    labels = list(pairs.clean["label"])
    best = torch.nan_to_num(torch.maximum(selection.accuracy, 1 - selection.accuracy), nan=-1).argmax(1)
    for row in rows.sample(40, random_state=0).to_dict("records"):
        (site,) = [
            i for i, s in enumerate(backbone.sites) if (s.stack, s.layer) == (row["stack"], row["layer"])
        ]
        right = []
        for neuron in torch.nonzero(masks[row["neurons"]][site]).flatten().tolist():
            place = best[site, neuron]
            fires = (
                activations[row["text"]][row["pair"], site, place, neuron]
                > selection.baseline[site, place, neuron]
            )
            straight = selection.accuracy[site, place, neuron] >= 0.5
            right.append(float(bool(fires == straight) == bool(labels[row["pair"]])))
        assert row["value"] == pytest.approx(np.mean(right))
        assert row["weight"] == len(right)


def test_a_neuron_reversed_by_the_attack_is_seen():
    """Attacking by swapping all words for the other label's turns neurons that read words round."""
    backbone, data = tiny_backbone("roberta"), toy_data(60, 60)
    prompt = SoftPrompt.initial(backbone, 3, 0)
    clean = toy_dataset(60, 9, low=4)
    swapped = [" ".join(f"word{(int(w[4:]) + 10) % 20}" for w in t.split()) for t in clean["text"]]
    rows = Dataset.from_dict(
        {"text": swapped, "original_text": list(clean["text"]), "label": list(clean["label"])}
    )
    pairs, selection = pair_up(rows, TASK), score_neurons(backbone, prompt, data)
    masks = {"best": skill_neurons(selection.predictivity, 0.1)}
    table = agreement_table(agreement(backbone, prompt, pairs, selection, masks)).set_index("text")
    assert (
        table.loc["clean", "low"] > 0.55
        and table.loc["adversarial", "high"] < 0.45
        and table.loc["drop", "low"] > 0.15
    )
    kept = predictivity_table(score_under_attack(backbone, prompt, pairs, selection), backbone.sites, 0.1)
    skill = kept[kept["skill"]]
    assert (
        skill["kept_attacked"].mean() < 0.45 < skill["attacked"].mean()
    )  # predictivity itself does not show the reversal
    assert len(kept) == len(backbone.sites) * backbone.width


def test_tasks_of_three_classes_go_by_their_subtasks():
    backbone, prompt = tiny_backbone("roberta"), None
    prompt = SoftPrompt.initial(backbone, 2, 0)
    data = toy_data(task=THREE)
    data = type(data)(
        THREE,
        {s: toy_dataset(45, i, classes=3) for i, s in enumerate(("train", "validation", "test"))},
        "the test",
    )
    selection = combine_subtasks(score_task(backbone, prompt, data))
    pairs = toy_pairs(30, THREE, classes=3)
    scores = score_under_attack(backbone, prompt, pairs, selection)
    assert scores.attacked.accuracy.shape == selection.accuracy.shape
    rows = agreement(backbone, prompt, pairs, selection, masks_of(selection))
    assert set(rows["subtask"]) == {"toy3-pn", "toy3-neu"}
    assert agreement_table(rows)["value"].between(-1, 1).all()
    two_classes = score_neurons(backbone, prompt, toy_data())
    with pytest.raises(SkillkitError, match="subtasks"):
        score_under_attack(backbone, prompt, pairs, two_classes)
