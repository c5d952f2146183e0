"""Scores against a slow reference that stores every activation, planted neurons, masks and controls."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.neurons import scores as neurons
from skillkit.neurons.scores import (
    NeuronScores,
    count_of,
    least_predictive_neurons,
    matched_neurons,
    measure_baseline,
    merge_subtasks,
    predictivity,
    random_neurons,
    score_neurons,
    score_task,
    skill_neurons,
)
from skillkit.tuning.prompt import accuracy


def reference(backbone, prompt, data, split="validation"):
    """Everything stored, one number at a time: section 3 of Wang et al. as it is written."""
    train = record(backbone, prompt, data.train, data.task, batch_size=1).double().numpy()
    scored = record(backbone, prompt, data.split(split), data.task, batch_size=1).double().numpy()
    labels = data.split(split)["label"][:]
    _, sites, positions, width = train.shape
    baseline, share = np.full((sites, positions, width), np.nan), np.full((sites, positions, width), np.nan)
    best = np.full((sites, width), -1.0)
    for s in range(sites):
        for p in range(positions):
            for n in range(width):
                if np.isnan(train[0, s, p, n]):
                    continue
                baseline[s, p, n] = sum(train[:, s, p, n]) / len(train)
                right = [
                    float((a > np.float32(baseline[s, p, n])) == bool(y))
                    for a, y in zip(scored[:, s, p, n], labels, strict=True)
                ]
                share[s, p, n] = sum(right) / len(right)
                best[s, n] = max(best[s, n], share[s, p, n], 1 - share[s, p, n])
    return baseline, share, best


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_equal_the_reference_for_every_family_and_batch_size(family):
    backbone, data = tiny_backbone(family), toy_data()
    prompts = [SoftPrompt.initial(backbone, 3, seed) for seed in (0, 1)]
    references = [reference(backbone, prompt, data) for prompt in prompts]
    for batch_size in (1, 7, 32):
        scores = score_neurons(backbone, prompts, data, batch_size=batch_size)
        for i, (baseline, share, _) in enumerate(references):
            np.testing.assert_allclose(scores.baseline[i], baseline, atol=1e-6, equal_nan=True)
            np.testing.assert_allclose(scores.accuracy[i], share, atol=1e-6, equal_nan=True)
        np.testing.assert_allclose(
            scores.predictivity, np.mean([best for *_, best in references], axis=0), atol=1e-6
        )
        single = score_neurons(backbone, prompts[1], data, batch_size=batch_size)
        np.testing.assert_allclose(single.predictivity, references[1][2], atol=1e-6)


def test_positions_that_a_site_lacks_are_nan():
    scores = score_neurons(tiny_backbone("t5"), SoftPrompt.initial(tiny_backbone("t5"), 3, 0), toy_data())
    missing = torch.isnan(scores.accuracy).all(-1)
    assert missing[:2].tolist() == [[True, False, False, False]] * 2  # encoder: no answer slot
    assert missing[2:].tolist() == [[False, True, True, True]] * 2  # decoder: only the answer slot
    assert not torch.isnan(scores.predictivity).any()


def test_deviation_and_mean_equal_the_stored_activations(backbone, data):
    prompt = SoftPrompt.initial(backbone, 3, 0)
    stored = record(backbone, prompt, data.train, TASK).double()
    baseline = measure_baseline(backbone, prompt, data.train, TASK, batch_size=7)
    expected = stored.var(dim=0, correction=0).nanmean(dim=1).sqrt()
    torch.testing.assert_close(baseline.deviation.double(), expected, atol=1e-6, rtol=1e-4)
    scores = score_neurons(backbone, prompt, data)
    torch.testing.assert_close(scores.mean.double(), stored.nanmean(dim=(0, 2)), atol=1e-6, rtol=1e-4)


class TestPlantedNeuron:
    """A model of one layer in which neuron 5 alone sees the label and alone writes the answer."""

    def build(self):
        backbone = tiny_backbone("roberta")
        model, tokenizer = backbone.model, backbone.tokenizer
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
            for module in model.modules():
                if isinstance(module, torch.nn.LayerNorm):
                    module.weight.fill_(1.0)
            words = model.roberta.embeddings.word_embeddings.weight
            signal, answer, other = torch.zeros(3, 12)
            signal[0], signal[1] = 1.0, -1.0
            answer[2], answer[3] = 1.0, -1.0
            other[4], other[5] = 1.0, -1.0
            for i in range(10):
                words[tokenizer.convert_tokens_to_ids(f"word{i}")] = -signal
                words[tokenizer.convert_tokens_to_ids(f"word{10 + i}")] = signal
            words[tokenizer.mask_token_id] = other
            words[tokenizer.convert_tokens_to_ids("good")] = answer
            words[tokenizer.convert_tokens_to_ids("bad")] = -answer
            first = model.roberta.encoder.layer[0]
            first.attention.self.value.weight.copy_(torch.eye(12))  # the mask sees the mean of the text
            first.attention.output.dense.weight.copy_(4 * torch.eye(12))
            first.intermediate.dense.weight[5] = 3 * signal
            first.output.dense.weight[:, 5] = 5 * answer
            first.output.dense.bias.copy_(-2 * answer)
            model.lm_head.dense.weight.copy_(torch.eye(12))
        splits = {}
        for k, (name, size) in enumerate((("train", 60), ("validation", 40), ("test", 60))):
            dataset = toy_dataset(size, k, low=2)
            texts = [
                f"word{10 * y + i % 10} word{10 * y + (3 * i) % 10}" for i, y in enumerate(dataset["label"])
            ]
            splits[name] = dataset.remove_columns("text").add_column("text", texts)
        return backbone, TaskData(TASK, splits, "the test")

    def test_it_is_ranked_first_and_its_suppression_leaves_chance(self):
        backbone, data = self.build()
        prompt = SoftPrompt(torch.zeros(2, 12))
        scores = score_neurons(backbone, prompt, data)
        assert scores.predictivity[0].argmax().item() == 5
        assert scores.predictivity[0, 5] == 1.0
        mask = skill_neurons(scores.predictivity, 1 / 20)
        mask[1] = False  # the second layer only copies
        assert mask[0].nonzero().flatten().tolist() == [5]
        labels = torch.tensor(data.test["label"][:])
        assert accuracy(label_logits(backbone, prompt, data.test, TASK), labels) == 1.0
        with intervene(backbone, mask, "zero"):
            assert accuracy(label_logits(backbone, prompt, data.test, TASK), labels) == 0.5
        others = random_neurons(mask, seed=0, exclude=mask)
        with intervene(backbone, others, "zero"):
            assert accuracy(label_logits(backbone, prompt, data.test, TASK), labels) == 1.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_complementing_the_labels_keeps_predictivity(seed):
    share = torch.rand(3, 4, 9, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(predictivity(share), predictivity(1 - share))


def test_complementing_the_labels_complements_accuracy(backbone, data):
    prompt = SoftPrompt.initial(backbone, 2, 0)
    flipped = {s: d.map(lambda row: {"label": 1 - row["label"]}) for s, d in data.splits.items()}
    one, two = (
        score_neurons(backbone, prompt, data),
        score_neurons(backbone, prompt, TaskData(TASK, flipped, "flipped")),
    )
    torch.testing.assert_close(one.accuracy, 1 - two.accuracy, equal_nan=True)
    torch.testing.assert_close(one.predictivity, two.predictivity)


def test_order_of_examples_does_not_matter(backbone, data):
    prompt = SoftPrompt.initial(backbone, 2, 0)
    shuffled = {s: d.shuffle(seed=3) for s, d in data.splits.items()}
    one = score_neurons(backbone, prompt, data, batch_size=5)
    two = score_neurons(backbone, prompt, TaskData(TASK, shuffled, "shuffled"), batch_size=8)
    torch.testing.assert_close(one.accuracy, two.accuracy, equal_nan=True)


def test_a_given_baseline_is_used(data):
    backbone = tiny_backbone("roberta")
    prompt = SoftPrompt.initial(backbone, 2, 0)
    clean = measure_baseline(backbone, prompt, data.train, TASK)
    test_only = TaskData(TASK, {"test": data.test}, "an adversarial twin")
    assert torch.equal(
        score_neurons(backbone, prompt, test_only, split="test", baseline=clean).accuracy,
        score_neurons(backbone, prompt, data, split="test").accuracy,
    )


def test_scores_survive_the_disk(tmp_path, data):
    backbone = tiny_backbone("t5")
    scores = score_neurons(backbone, SoftPrompt.initial(backbone, 2, 0), data)
    loaded = NeuronScores.load(scores.save(tmp_path / "scores.safetensors"))
    torch.testing.assert_close(loaded.accuracy, scores.accuracy, equal_nan=True)
    assert (loaded.examples, loaded.positive) == (scores.examples, scores.positive)
    (tmp_path / "scores.safetensors").write_bytes(b"no")
    with pytest.raises(SkillkitError, match="truncated or foreign"):
        NeuronScores.load(tmp_path / "scores.safetensors")
    with pytest.raises(SkillkitError, match="02_skill_neurons"):
        NeuronScores.load(tmp_path / "absent.safetensors")


def test_more_than_two_classes_go_through_balanced_subtasks():
    task = Task("three", "sentiment", ("text",), ("bad", "middling", "good"), ("bad", "middling", "good"))
    data = TaskData(
        task,
        {s: toy_dataset(45, i, classes=3) for i, s in enumerate(("train", "validation", "test"))},
        "the test",
    )
    backbone = tiny_backbone("roberta")
    prompt = SoftPrompt.initial(backbone, 2, 0)
    with pytest.raises(SkillkitError, match="3 classes"):
        score_neurons(backbone, prompt, data)
    scores = score_task(backbone, prompt, data)
    assert list(scores) == ["three-pn", "three-neu"]
    assert all(s.positive * 2 == s.examples for s in scores.values())


def test_one_class_only_is_refused(data):
    backbone = tiny_backbone("roberta")
    single = data.validation.filter(lambda row: row["label"] == 1)
    with pytest.raises(SkillkitError, match="same label"):
        score_neurons(backbone, None, TaskData(TASK, {**data.splits, "validation": single}, "one class"))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 1000))
def test_masks_hold_the_asked_number_of_the_right_neurons(width, fraction, seed):
    scores = torch.rand(3, width, generator=torch.Generator().manual_seed(seed))
    top, bottom = skill_neurons(scores, fraction), least_predictive_neurons(scores, fraction)
    count = count_of(fraction, width)
    for site in range(3):
        ranked = sorted(range(width), key=lambda n: (-scores[site, n].item(), n))
        assert top[site].nonzero().flatten().tolist() == sorted(ranked[:count])
        assert bottom[site].sum() == count
    assert torch.equal(random_neurons(top, seed).sum(1), top.sum(1))


def test_ties_go_to_the_lower_index():
    for n in range(
        2, 700, 7
    ):  # as far from one half as its mirror, for every count: else rounding would break ties
        right = torch.arange(n + 1, dtype=torch.float64)
        share, mirror = neurons._mirrored(right / n), neurons._mirrored((n - right) / n)
        assert torch.equal(predictivity(share[None, None]), predictivity(mirror[None, None]))
        torch.testing.assert_close(share.double(), right / n, atol=1e-7, rtol=0)
    assert skill_neurons(torch.full((1, 10), 0.5), 0.3).nonzero()[:, 1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("fraction", "width", "count"),
    [(0.02, 3072, 61), (0.29, 100, 29), (0.07, 100, 7), (1.0, 5, 5), (0.0, 5, 0)],
)
def test_counts_are_floors_without_rounding_error(fraction, width, count):
    assert count_of(fraction, width) == count == math.floor(round(fraction * width, 6))


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_silent_neurons_do_not_vary(family):
    backbone = tiny_backbone(family)
    with torch.no_grad():
        backbone.up(backbone.sites[0])[0].weight[3] = 0.0  # its activation depends on nothing
    scores = score_neurons(backbone, SoftPrompt.initial(backbone, 2, 0), toy_data(20, 12))
    assert not scores.varying[0, 3] and scores.varying[0].any()


def test_fractions_outside_0_to_1_are_refused():
    with pytest.raises(SkillkitError, match=r"5 % is 0\.05"):
        skill_neurons(torch.rand(2, 10), 5)


def test_merged_subtasks_follow_the_walk_down_the_second_ranking():
    first = torch.tensor([[0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0]])
    second = torch.tensor([[0.9, 0.1, 0.8, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    # 4 of 10: two of the first (0, 1), then 0 is taken already, 2 and 3 follow
    assert merge_subtasks([first, second], 0.4)[0].nonzero().flatten().tolist() == [0, 1, 2, 3]


def test_random_neurons_are_seeded_and_can_exclude():
    like = skill_neurons(torch.rand(4, 30, generator=torch.Generator().manual_seed(1)), 0.5)
    assert torch.equal(random_neurons(like, 7), random_neurons(like, 7))
    assert not torch.equal(random_neurons(like, 7), random_neurons(like, 8))
    assert not (random_neurons(like, 7, exclude=like) & like).any()
    with pytest.raises(SkillkitError, match="smaller fraction"):
        random_neurons(
            skill_neurons(torch.rand(2, 10), 0.6), 0, exclude=skill_neurons(torch.rand(2, 10), 0.6)
        )


def test_matched_neurons_have_nearly_the_same_deviation():
    generator = torch.Generator().manual_seed(0)
    deviation = torch.rand(2, 400, generator=generator)
    mask = skill_neurons(
        deviation + 0.3 * torch.rand(2, 400, generator=generator), 0.05
    )  # skill neurons vary more
    matched, plain = matched_neurons(mask, deviation, 0), random_neurons(mask, 0, exclude=mask)
    assert not (matched & mask).any()
    assert torch.equal(matched.sum(1), mask.sum(1))
    gap = (deviation[matched].mean() - deviation[mask].mean()).abs()
    assert gap < 0.25 * (deviation[plain].mean() - deviation[mask].mean()).abs()
