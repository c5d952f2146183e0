"""Neurons under attack, on a planted neuron, against slow references, and the errors of the released code."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.evaluation import evaluate
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons, score_task, skill_neurons
from skillkit.neurons.significance import ThresholdBits
from skillkit.neurons.stability import top_overlap
from skillkit.neurons.subtasks import combine_subtasks, task_skill_neurons
from skillkit.robustness.attacked import (
    activation_shift,
    agreement,
    agreement_table,
    both_overlaps,
    label_misalignment,
    permuted_overlap,
    predictivity_table,
    released_overlap,
    released_t5_predictivity,
    score_under_attack,
    shift_table,
    suppression,
    suppression_gap,
    suppression_table,
)
from skillkit.robustness.pairs import pair_up

FAMILIES = ("roberta", "t5")
THREE = Task("toy3", "sentiment", ("text",), ("bad", "middling", "good"), ("bad", "middling", "good"))


def toy_pairs(examples=24, task=TASK, classes=2):
    """The attack puts the words of the other label into every other text."""
    clean = toy_dataset(examples, 5, classes=classes, low=3)
    labels = list(clean["label"])
    texts = list(clean["text"])
    other = [
        " ".join(f"word{10 + int(w[4:]) % 10 - 10 * (y % 2)}" for w in t.split())
        for t, y in zip(texts, labels, strict=True)
    ]
    attacked = [
        b + " middling" if i % 2 else a + " word30" for i, (a, b) in enumerate(zip(texts, other, strict=True))
    ]
    return pair_up(Dataset.from_dict({"text": attacked, "original_text": texts, "label": labels}), task)


@pytest.fixture(params=FAMILIES)
def setting(request):
    backbone, data = tiny_backbone(request.param), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    return backbone, prompt, toy_pairs(), score_neurons(backbone, prompt, data)


def masks_of(selection, fraction=0.2):
    skill = skill_neurons(selection.predictivity, fraction)
    return {"skill": skill, "random": ~skill & (torch.arange(skill.shape[1]) % 3 == 0)}


def test_pairs_are_scored_by_the_clean_thresholds(setting):
    backbone, prompt, pairs, selection = setting
    scores = score_under_attack(backbone, prompt, pairs, selection)
    for name, dataset in (("originals", pairs.clean), ("attacked", pairs.attacked)):
        activations = record(backbone, prompt, dataset, TASK)
        right = (activations > selection.baseline).float() == torch.tensor(list(dataset["label"]))[
            :, None, None, None
        ]
        expected = right.float().mean(0).masked_fill(torch.isnan(selection.baseline), torch.nan)
        torch.testing.assert_close(getattr(scores, name).accuracy, expected, equal_nan=True)
    assert scores.selection is selection and scores.adversarial.examples == len(pairs.adversarial)


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


def test_identical_texts_neither_shift_nor_drop(setting):
    backbone, prompt, _, selection = setting
    texts = toy_dataset(10, 3)
    rows = Dataset.from_dict(
        {"text": list(texts["text"]), "original_text": list(texts["text"]), "label": list(texts["label"])}
    )
    pairs, masks = pair_up(rows, TASK), masks_of(selection)
    assert activation_shift(backbone, prompt, pairs, selection.deviation, masks)["value"].abs().max() < 1e-4
    assert (
        agreement_table(agreement(backbone, prompt, pairs, selection, masks)).query("text == 'drop'")["value"]
        == 0
    ).all()


def test_shift_agrees_with_a_loop(setting):
    backbone, prompt, pairs, selection = setting
    masks = masks_of(selection)
    rows = activation_shift(backbone, prompt, pairs, selection.deviation, masks, batch_size=7)
    difference = record(backbone, prompt, pairs.attacked, TASK) - record(backbone, prompt, pairs.clean, TASK)
    deviation = selection.deviation
    unit = torch.maximum(deviation, 0.1 * deviation.square().mean(1, keepdim=True).sqrt())
    for row in rows.sample(30, random_state=0).to_dict("records"):
        (site,) = [
            i for i, s in enumerate(backbone.sites) if (s.stack, s.layer) == (row["stack"], row["layer"])
        ]
        distance = difference[row["pair"], site].square().nanmean(0).sqrt() / unit[site]
        assert row["value"] == pytest.approx(distance[masks[row["neurons"]][site]].mean().item(), rel=1e-4)
    table = shift_table(rows).set_index("neurons")
    gap = table.loc["skill - random"]
    assert gap["value"] == pytest.approx(table.loc["skill", "value"] - table.loc["random", "value"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert set(shift_table(rows, by_site=True)["layer"]) == {0, 1}


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
    assert ((table["low"] <= table["expected"]) & (table["expected"] <= table["high"])).all()
    assert ((table["p"] > 0) & (table["p"] <= 1)).all()


def test_suppressing_nothing_changes_nothing_and_all_texts_are_tried(setting):
    backbone, prompt, pairs, selection = setting
    rows = suppression(backbone, prompt, pairs, selection, [0.0, 0.2], batch_size=24)
    table = suppression_table(rows).set_index(["neurons", "fraction", "text"])
    for text in ("clean", "adversarial"):
        base = {
            table.loc[(name, 0.0, text), "value"] for name in ("clean", "adversarial", "random", "matched")
        }
        assert len(base) == 1
    assert (table["n"] == len(pairs)).all()


def test_suppression_is_compared_pair_by_pair():
    rows = pd.DataFrame(
        [
            {
                "neurons": name,
                "fraction": 0.1,
                "text": "clean",
                "pair": pair,
                "group": pair,
                "correct": correct,
            }
            for name, answers in (("clean", [0, 0, 1, 1]), ("random", [1, 1, 1, 0]))
            for pair, correct in sorted(enumerate(answers), reverse=name == "random")
        ]
    ).astype({"correct": float})
    (row,) = suppression_gap(rows, control="random").to_dict("records")
    assert row["value"] == 0.25 and row["n"] == 4 and row["low"] <= 0.25 <= row["high"]
    with pytest.raises(SkillkitError, match="same pairs"):
        suppression_gap(rows, control="matched")


def test_released_labels_lift_the_median_to_three_quarters(setting):
    backbone, prompt, pairs, selection = setting
    table = (
        label_misalignment(backbone, prompt, pairs, selection, batch_size=4)
        .groupby("labels")["median"]
        .mean()
    )
    assert table["as released"] > 0.7 > table["aligned"]


def test_suppression_at_some_sites_leaves_the_others_alone():
    backbone, data = tiny_backbone("t5"), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    selection = score_neurons(backbone, prompt, data)
    encoder = [number for number, site in enumerate(backbone.sites) if site.stack == "encoder"]
    everywhere, listed, encoder_only = (
        suppression(backbone, prompt, toy_pairs(), selection, [0.4], sites=sites)
        for sites in (None, range(len(backbone.sites)), encoder)
    )
    assert everywhere.equals(listed)
    with pytest.raises(SkillkitError, match="at least one of the sites"):
        suppression(backbone, prompt, toy_pairs(), selection, [0.4], sites=[])
    mask = task_skill_neurons(selection, 0.4)
    mask[[number for number in range(len(backbone.sites)) if number not in encoder]] = False
    pairs = toy_pairs()
    with intervene(backbone, mask, "zero"):
        expected = evaluate(backbone, prompt, pairs.clean, pairs.task).correct
    rows = encoder_only[(encoder_only["neurons"] == "clean") & (encoder_only["text"] == "clean")]
    assert rows.sort_values("pair")["correct"].tolist() == expected.tolist()


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


def test_misaligned_labels_give_every_neuron_three_quarters():
    """The released T5 code on a perfect neuron: its accuracy is about a quarter, so its predictivity three
    quarters, like anyone's.
    """
    backbone = tiny_backbone("t5")
    bits = ThresholdBits(backbone)
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 2, 640))
    order = torch.from_numpy(rng.permutation(640))

    class Current:
        class Batch:
            pass

        batch = Batch()

    Current.batch.rows, Current.batch.labels = order, labels[order]
    chance = torch.from_numpy(rng.integers(0, 2, (640, 1, backbone.width))).bool()
    perfect = chance.clone()
    perfect[:, 0, 0] = labels[order].bool()
    for site in range(len(backbone.sites)):
        bits.watcher(0, site, perfect, Current)
    right = bits.predictivity(bits.labels[None])[:, 0]
    wrong = released_t5_predictivity(bits, batch_size=16)
    assert (right[:, 0] == 1).all() and (right[:, 1:] < 0.6).all()
    torch.testing.assert_close(wrong, torch.full_like(wrong, 0.75), atol=0.05, rtol=0)

    # and against a loop over batches, as the code goes
    in_order = torch.empty_like(chance[:, 0])
    in_order[order] = perfect[:, 0]
    correct = torch.zeros(backbone.width)
    for start in range(0, 640, 16):
        flat = torch.stack([labels[start : start + 16], torch.full((16,), 1000)], 1).flatten()
        for i in range(16):
            correct += (in_order[start + i].long() == flat[i]).float()
    torch.testing.assert_close(wrong[0], torch.maximum(correct / 640, 1 - correct / 640))
