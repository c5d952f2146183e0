"""Zero-shot transfer against plain loops, its intervals, and what is left out of the tests."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models import prompts as prompts_module
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.stats.intervals import bootstrap, wilson
from skillkit.stats.type_effect import type_effect
from skillkit.transfer.zero_shot import (
    MAJORITY,
    RANDOM,
    drop_seen_tests,
    sample_splits,
    transfer_pairs,
    zero_shot,
    zero_shot_claims,
)

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
    table = zero_shot(backbone, prompts, tasks, batch_size=7).table().set_index(["source", "target", "seed"])
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
    table = zero_shot(backbone, normal_prompts(backbone, tasks), tasks).table()
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
    zero_shot(backbone, normal_prompts(backbone, tasks), tasks, batch_size=64)
    assert (
        len(passes) == (3 * 2 + 2) * 3
    )  # every test split fits one batch: (prompts and untuned ones) x targets
    assert (
        len([k for k in tokenised if "truncation" in k]) == 3
    )  # one call per task; label words are looked up apart


def test_matrices_and_summary(tasks):
    backbone = tiny_backbone("roberta")
    answers = zero_shot(backbone, normal_prompts(backbone, tasks), tasks)
    table, names = answers.table(), list(tasks)
    absolute, relative = answers.matrix(), answers.matrix(relative=True)
    values = table.set_index(["source", "target", "seed"])["value"]
    for i, s in enumerate(names):
        for j, t in enumerate(names):
            assert absolute[i, j] == pytest.approx(np.mean([values[s, t, k] for k in (0, 1)]))
            expected = np.mean([values[s, t, k] / values[t, t, k] for k in (0, 1)])
            assert relative[i, j] == pytest.approx(expected)
    summary = answers.summary().set_index(["source", "target"])
    assert summary.loc[("toy", "three"), "value"] == pytest.approx(absolute[0, 2])
    assert summary.loc[("toy", "three"), "relative"] == pytest.approx(relative[0, 2])
    assert summary.loc[("toy", "three"), "prompts"] == 2
    assert summary.index.get_level_values(0).unique().tolist() == [*names, RANDOM, MAJORITY]
    kept = answers.rows()
    assert kept["metric"].value_counts().to_dict() == {
        "accuracy": len(table),
        "relative_transfer": len(summary),
    }
    assert kept.loc[kept["metric"] == "relative_transfer", ["low", "high"]].isna().all().all()


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_intervals_are_over_texts_and_standard_errors_have_a_column(tasks, seeds):
    """They were Wilson's for one prompt and one standard error for two, in the same columns."""
    backbone = tiny_backbone("roberta")
    prompts = normal_prompts(backbone, tasks, seeds)
    answers = zero_shot(backbone, prompts, tasks)
    row = answers.summary().set_index(["source", "target"]).loc[("other", "toy")]
    correct = np.array([answers.evaluations["other", "toy", seed].correct for seed in seeds])
    assert row["value"] == pytest.approx(correct.mean())
    assert (row["n"], row["unit"], row["prompts"]) == (len(tasks["toy"].test), "texts", len(seeds))
    if len(seeds) == 1:
        assert (row["low"], row["high"]) == wilson(correct.sum(), correct.size)
        assert row["interval"] == "Wilson" and np.isnan(row["se"])
    else:
        assert (row["low"], row["high"]) == bootstrap(correct.mean(0))
        assert row["interval"] == "bootstrap over texts"
        assert row["se"] == pytest.approx(abs(correct[0].mean() - correct[1].mean()) / 2)


def test_claims_count_pairs_inside_a_type():
    pairs = [
        ("a", "b", 0.8),
        ("b", "a", 0.9),
        ("a", "c", 0.4),
        ("c", "a", 0.3),
        ("b", "c", 0.5),
        ("c", "b", 0.4),
    ]
    summary = pd.DataFrame(
        [{"source": s, "target": t, "prompt": "other", "value": v, "relative": v} for s, t, v in pairs]
        + [{"source": MAJORITY, "target": t, "prompt": "majority", "value": 0.5} for t in "abc"]
    )
    types = {"a": "x", "b": "x", "c": "y"}
    matrix = np.array([[1, 0.8, 0.4], [0.9, 1, 0.5], [0.3, 0.4, 1]])
    effect = type_effect(matrix, list(types.values()))
    better, beyond = zero_shot_claims(summary, effect, types)
    assert better["value"] == pytest.approx(0.85 - 0.4) and better["unit"] == "tasks"
    assert beyond["value"] == pytest.approx(0.35) and (beyond["n"], beyond["unit"]) == (2, "pairs")
    assert beyond["low"] < 0.3 and beyond["interval"] == "Student's t"  # two values bound no bootstrap
    assert transfer_pairs(summary, types)["pair"].tolist() == ["same type"] * 2 + ["different type"] * 4


def test_splits_are_sampled_without_touching_the_tasks_given(tasks):
    fewer = sample_splits(tasks, test=10, validation=None)
    assert all(len(data.test) == 10 for data in fewer.values())
    assert len(tasks["toy"].test) == 33 and fewer["toy"].train is tasks["toy"].train


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


def test_prompts_that_differ_in_length_are_refused(tasks):
    backbone = tiny_backbone("roberta")
    prompts = normal_prompts(backbone, ["toy", "other"])
    prompts["other"][0] = SoftPrompt.initial(backbone, 4, 0)
    with pytest.raises(SkillkitError, match="Tune them alike"):
        zero_shot(backbone, prompts, tasks)
    with pytest.raises(SkillkitError, match="No prompts"):
        zero_shot(backbone, {}, tasks)
