"""Zero-shot transfer against plain loops; tuning from other prompts; the definitions of the speed-ups."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models import prompts as prompts_module
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.neurons.scores import score_neurons, skill_neurons
from skillkit.transfer.similarities import activated, overlap_rate, similarity
from skillkit.transfer.zero_shot import (
    FRESH,
    MAJORITY,
    RANDOM,
    drop_seen_tests,
    prompt_similarities,
    skill_masks,
    speed_ups,
    transfer_matrix,
    transfer_summary,
    transfer_table,
    tune_from,
)
from skillkit.tuning.prompt import tune_prompt

THREE = Task("three", "topic", ("text",), ("a", "b", "c"), ("word1", "word2", "middling"))


def three_data():
    splits = {
        split: toy_dataset(n, seed, classes=3)
        for split, n, seed in (("train", 31, 5), ("validation", 20, 6), ("test", 22, 7))
    }
    return TaskData(THREE, splits, "the test")


def normal_prompts(backbone, names, seeds=(0, 1)):
    """Untuned prompts, another one for each task and seed."""
    return {
        name: {seed: SoftPrompt.initial(backbone, 3, 100 * place + seed, "normal") for seed in seeds}
        for place, name in enumerate(names)
    }


@pytest.fixture
def tasks():
    return {
        "toy": toy_data(),
        "other": replace(toy_data(seed=9), task=replace(TASK, name="other")),
        "three": three_data(),
    }


@pytest.mark.parametrize("family", ["roberta", "t5", "gpt2"])
def test_zero_shot_equals_one_example_at_a_time(family, tasks):
    backbone = tiny_backbone(family)
    prompts = normal_prompts(backbone, tasks)
    table = transfer_table(backbone, prompts, tasks, batch_size=7).set_index(["source", "target", "seed"])
    for source, by_seed in prompts.items():
        for target, data in tasks.items():
            correct = 0
            for row in range(len(data.test)):
                logits = label_logits(backbone, by_seed[1], data.test.select([row]), data.task)
                assert logits.shape[1] == len(data.task.labels)  # the target's label words, not the source's
                correct += int(logits.argmax()) == data.test[row]["label"]
            found = table.loc[(source, target, 1)]
            assert found["value"] == pytest.approx(correct / len(data.test))
            assert found["prompt"] == ("own" if source == target else "other")
            assert found["low"] <= found["value"] <= found["high"]


def test_majority_and_random_rows(tasks):
    backbone = tiny_backbone("roberta")
    tasks["toy"].splits["train"] = toy_dataset(40, 0).filter(
        lambda row: row["label"] == 1
    )  # only label 1 in training
    table = transfer_table(backbone, normal_prompts(backbone, tasks), tasks)
    majority = table[(table["source"] == MAJORITY) & (table["target"] == "toy")]["value"].item()
    assert majority == pytest.approx(np.mean(tasks["toy"].test["label"]))
    untuned = table[table["source"] == RANDOM]
    assert len(untuned) == 2 * len(tasks)
    assert set(untuned["prompt"]) == {"random"}
    counts = table.groupby("prompt").size()
    assert counts.to_dict() == {"own": 6, "other": 12, "random": 6, "majority": 3}


def test_one_pass_per_prompt_and_target_and_no_repeated_tokenisation(tasks, monkeypatch):
    backbone = tiny_backbone("roberta")
    passes, tokenised = [], []
    forward, call = prompts_module.answer_hidden, type(backbone.tokenizer).__call__
    monkeypatch.setattr(prompts_module, "answer_hidden", lambda *a: passes.append(1) or forward(*a))
    monkeypatch.setattr(
        type(backbone.tokenizer), "__call__", lambda *a, **k: tokenised.append(k) or call(*a, **k)
    )
    transfer_table(backbone, normal_prompts(backbone, tasks), tasks, batch_size=64)
    assert (
        len(passes) == (3 * 2 + 2) * 3
    )  # every test split fits one batch: (prompts and untuned ones) x targets
    assert (
        len([k for k in tokenised if "truncation" in k]) == 3
    )  # one call per task; label words are looked up apart


def test_matrices_and_summary(tasks):
    backbone = tiny_backbone("roberta")
    table = transfer_table(backbone, normal_prompts(backbone, tasks), tasks)
    names = list(tasks)
    absolute, relative = transfer_matrix(table, names), transfer_matrix(table, names, relative=True)
    values = table.set_index(["source", "target", "seed"])["value"]
    for i, s in enumerate(names):
        for j, t in enumerate(names):
            assert absolute[i, j] == pytest.approx(np.mean([values[s, t, k] for k in (0, 1)]))
            expected = np.mean([values[s, t, k] / values[t, t, k] for k in (0, 1)])
            assert relative[i, j] == pytest.approx(expected)
    summary = transfer_summary(table, names).set_index(["source", "target"])
    assert summary.loc[("toy", "three"), "value"] == pytest.approx(absolute[0, 2])
    assert summary.loc[("toy", "three"), "relative"] == pytest.approx(relative[0, 2])
    assert summary.loc[("toy", "three"), "seeds"] == 2
    assert (summary.loc[RANDOM, "low"] <= summary.loc[RANDOM, "high"]).all()
    assert summary.index.get_level_values(0).unique().tolist() == [*names, RANDOM, MAJORITY]


def test_test_examples_that_another_task_was_tuned_on_are_dropped(tasks):
    texts = list(tasks["toy"].test["text"])
    leak = texts[3].upper() + "!"
    tasks["other"].splits["validation"] = tasks["other"].validation.add_item({"text": leak, "label": 0})
    before = {
        name: {
            t.replace(" ", "")
            for other, d in tasks.items()
            if other != name
            for s in ("train", "validation")
            for t in d.split(s)["text"]
        }
        for name in tasks
    }
    kept = drop_seen_tests(tasks)
    for name, data in kept.items():
        expected = [
            t for t in tasks[name].test["text"] if t.replace(" ", "") not in before[name] and t != texts[3]
        ]
        assert list(data.test["text"]) == expected
    assert texts[3] not in kept["toy"].test["text"]
    assert kept["toy"].train is tasks["toy"].train


def test_skill_masks_average_over_prompts():
    backbone, data = tiny_backbone("roberta"), toy_data()
    scores = [score_neurons(backbone, SoftPrompt.initial(backbone, 2, s, "normal"), data) for s in (0, 1)]
    mask = skill_masks({"toy": scores}, 0.25)["toy"]
    mean = (scores[0].predictivity + scores[1].predictivity) / 2
    for site in range(len(backbone.sites)):
        best = sorted(range(backbone.width), key=lambda n: (-mean[site, n].item(), n))[:5]  # floor(0.25 * 20)
        assert sorted(best) == mask[site].nonzero().flatten().tolist()


def test_prompts_that_differ_in_length_are_refused(tasks):
    backbone = tiny_backbone("roberta")
    prompts = normal_prompts(backbone, ["toy", "other"])
    prompts["other"][0] = SoftPrompt.initial(backbone, 4, 0)
    with pytest.raises(SkillkitError, match="Tune them alike"):
        transfer_table(backbone, prompts, tasks)
    with pytest.raises(SkillkitError, match="No prompts"):
        transfer_table(backbone, {}, tasks)


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


def test_tuning_from_a_tuned_prompt_starts_where_that_prompt_is():
    backbone, data = tiny_backbone("roberta"), toy_data(train=120)
    budget = {"steps": 60, "batch_size": 16, "learning_rate": 0.1, "evaluate_every": 15}
    tuned = tune_prompt(backbone, data, length=3, seed=0, **budget)
    tried = tune_from(backbone, data, {"itself": {0: tuned.prompt}}, seeds=[0], length=3, **budget)

    fresh = tried.curves[tried.curves["start"] == FRESH].set_index("step")["accuracy"]
    assert fresh.index.tolist() == [0, 15, 30, 45, 60]
    assert fresh.loc[15:].tolist() == pytest.approx(
        tuned.history["accuracy"].tolist()
    )  # the same run as tune_prompt's
    again = tried.curves[tried.curves["start"] == "itself"].set_index("step")["accuracy"]
    assert again[0] == pytest.approx(tuned.validation_accuracy)
    assert tuned.validation_accuracy > fresh[0]  # there was something to learn

    ups = speed_ups(tried.curves).set_index("start")
    assert ups.loc["itself", "steps_to_fresh_best"] == 0
    assert ups.loc["itself", "comparable_speed_up"] >= 1
    results = tried.results.set_index("start")
    assert results.loc[FRESH, "n"] == len(data.test)
    assert results.loc[FRESH, "low"] < results.loc[FRESH, "value"] < results.loc[FRESH, "high"]


def test_a_short_last_stretch_does_not_sharpen_the_resolution():
    curves = pd.DataFrame(
        {"start": name, "seed": 0, "step": step, "accuracy": value, "n": 100}
        for name, values in {FRESH: [0.5, 0.6, 0.8, 0.8], "there": [0.8, 0.8, 0.8, 0.8]}.items()
        for step, value in zip((0, 20, 40, 50), values, strict=True)
    )
    assert speed_ups(curves).set_index("start").loc["there", "comparable_speed_up"] == 2


def test_speed_ups_by_hand():
    runs = {
        FRESH: [0.50, 0.60, 0.70, 0.80, 0.79],
        "quick": [0.60, 0.80, 0.90, 0.895, 0.90],
        "never": [0.50, 0.55, 0.60, 0.60, 0.60],
        "there": [0.85, 0.80, 0.80, 0.80, 0.80],
    }
    curves = pd.DataFrame(
        [
            {"start": name, "seed": 0, "step": 10 * i, "accuracy": value, "n": 100}
            for name, values in runs.items()
            for i, value in enumerate(values)
        ]
    )
    ups = speed_ups(curves, tolerance=0.01).set_index("start")
    assert ups["steps_to_fresh_best"].to_dict() == pytest.approx(
        {FRESH: 30, "quick": 10, "never": np.nan, "there": 0}, nan_ok=True
    )
    assert ups["comparable_speed_up"].to_dict() == pytest.approx(
        {FRESH: 1, "quick": 3, "never": np.nan, "there": 3}, nan_ok=True
    )
    assert ups["steps_to_convergence"].to_dict() == {FRESH: 30, "quick": 20, "never": 20, "there": 0}
    assert ups["convergence_speed_up"].to_dict() == pytest.approx(
        {FRESH: 1, "quick": 1.5, "never": 1.5, "there": 3}
    )
