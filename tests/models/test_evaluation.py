"""Accuracies, intervals and paired differences against the obvious computation."""

import numpy as np
import pytest
from tiny import TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.evaluation import (
    Evaluation,
    confusion_table,
    evaluate,
    evaluate_majority,
    mean_correct,
    over_prompts,
    sample_examples,
)
from skillkit.models.inputs import encode, encode_task
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.stats.intervals import wilson


def test_evaluate_answers_with_the_highest_label_word() -> None:
    backbone, data = tiny_backbone("roberta"), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    seen = evaluate(backbone, prompt, data.test, data.task, batch_size=7)
    logits = label_logits(backbone, prompt, data.test, data.task)
    expected = [int(row[1] > row[0]) for row in logits.tolist()]
    labels = data.test["label"][:]
    assert seen.answers.tolist() == expected and seen.labels.tolist() == labels
    right = sum(a == b for a, b in zip(expected, labels, strict=True))
    row = seen.row(prompt="tuned")
    assert (row["value"], row["n"], row["prompt"]) == (right / len(labels), len(labels), "tuned")
    assert (row["low"], row["high"], row["unit"]) == (*wilson(right, len(labels)), "texts")
    assert vars(seen.measurement).items() <= row.items() and row["metric"] == "accuracy"


def test_majority_takes_the_training_split_s_class() -> None:
    train, test = toy_dataset(30, 0).filter(lambda row: row["label"] == 1), toy_dataset(21, 1)
    assert evaluate_majority(train, test).accuracy == pytest.approx(10 / 21)


def test_a_sample_is_fixed_by_its_seed_and_keeps_the_order() -> None:
    dataset = toy_dataset(50, 0).add_column("row", list(range(50)))
    rows = sample_examples(dataset, 20)["row"][:]
    assert rows == sorted(set(rows)) and len(rows) == 20
    assert rows == sample_examples(dataset, 20)["row"][:] != sample_examples(dataset, 20, seed=1)["row"][:]
    assert len(sample_examples(dataset, None)) == len(sample_examples(dataset, 90)) == 50


def test_confusion_counts_every_example_of_every_prompt_once() -> None:
    one = Evaluation(np.array([0, 1, 1]), np.array([0, 0, 1]))
    other = Evaluation(np.array([0, 0, 0]), np.array([0, 0, 1]))
    table = confusion_table([one, other], ["no", "yes"])
    assert dict(zip(zip(table["label"], table["answer"], strict=True), table["count"], strict=True)) == {
        ("no", "no"): 3,
        ("no", "yes"): 1,
        ("yes", "no"): 1,
        ("yes", "yes"): 1,
    }


def test_means_over_prompts() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    evaluations = [
        Evaluation(np.where(rng.random(200) < share, labels, 1 - labels), labels) for share in (0.8, 0.9, 0.6)
    ]
    row = over_prompts(evaluations, "accuracy_mean", prompt="tuned")
    shares = [sum(a == b for a, b in zip(e.answers, labels, strict=True)) / 200 for e in evaluations]
    assert row["value"] == pytest.approx(sum(shares) / 3) and (row["n"], row["unit"]) == (200, "texts")
    assert (row["prompts"], row["metric"], row["prompt"]) == (3, "accuracy_mean", "tuned")
    mean = sum(shares) / 3
    assert row["se"] == pytest.approx((sum((s - mean) ** 2 for s in shares) / 2 / 3) ** 0.5)
    drawn = [rng.integers(0, 200, 200) for _ in range(3000)]
    resampled = [np.mean([e.correct[rows].mean() for e in evaluations]) for rows in drawn]
    assert (row["low"], row["high"]) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.01)
    assert np.isnan(over_prompts(evaluations[:1], "accuracy_mean")["se"])


def test_means_are_over_the_same_examples() -> None:
    one = Evaluation(np.array([0, 1]), np.array([0, 0]))
    other = Evaluation(np.array([0, 0]), np.array([0, 0]))
    assert mean_correct([one, other]).tolist() == [1.0, 0.5]
    for labels in ([0, 0, 0], [0, 1]):
        with pytest.raises(SkillkitError, match="different examples"):
            mean_correct([one, Evaluation(np.array(labels), np.array(labels))])
    with pytest.raises(SkillkitError, match="no evaluation"):
        over_prompts([], "accuracy_mean")


def test_encoded_splits_are_sampled_and_counted_like_texts() -> None:
    backbone, data = tiny_backbone("roberta"), toy_data()
    encoded = encode_task(backbone, data)
    assert sample_examples(encoded.test, 7).ids == encode(backbone, sample_examples(data.test, 7), TASK).ids
    one, other = (evaluate_majority(each.train, each.test) for each in (data, encoded))
    assert one.answers.tolist() == other.answers.tolist() and one.labels.tolist() == other.labels.tolist()
