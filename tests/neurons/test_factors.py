"""Factors: questions are asked once, activations are the recorded ones, and a planted follower is named."""

import numpy as np
import pytest
from datasets import Dataset
from tiny import TASK, tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.factors import (
    SHUFFLED,
    agreement_margin,
    binary_factors,
    factor_predictivity,
    label_against_rival,
    labels_over_rivals,
    nearly_the_same,
    site_predictivity,
    task_questions,
)
from skillkit.neurons.scores import measure_baseline, score_neurons
from skillkit.stats.measurement import Measurement


def test_questions_from_factors() -> None:
    rows = 90
    table = {
        "text": ["a"] * rows,
        "factor_negated": [i % 2 for i in range(rows)],
        "factor_opposite": [1 - i % 2 for i in range(rows)],
        "factor_part": [("adjective", "noun", "verb")[i % 3] for i in range(rows)],
        "factor_rare": [int(i == 0) for i in range(rows)],
        "factor_constant": [1] * rows,
        "factor_word": [f"word{i}" for i in range(rows)],
        "factor_minor": [None if i % 3 == 0 else i % 2 for i in range(rows)],
    }
    questions = binary_factors(Dataset.from_dict(table), least=20)
    assert list(questions) == [
        "negated = 1",
        "part = adjective",
        "part = noun",
        "part = verb",
        "minor = 1",
    ] or set(questions) == {
        "negated = 1",
        "part = adjective",
        "part = noun",
        "part = verb",
        "minor = 1.0",
    }
    assert np.isnan(questions[list(questions)[-1]]).sum() == 30
    assert questions["part = noun"].sum() == 30


def test_a_follower_is_told_from_a_bystander_even_when_the_factor_is_rare() -> None:
    rng = np.random.default_rng(0)
    rare = (rng.random(2000) < 0.1).astype(float)
    other = (rng.random(2000) < 0.5).astype(float)
    follower = np.where(rng.random(2000) < 0.9, rare, 1 - rare).astype(bool)
    silent = np.zeros(2000, dtype=bool)
    table = factor_predictivity(
        np.stack([~follower, silent], 1), {"rare": rare, "other": other}, ["follower", "silent"]
    )
    value = table.set_index(["neuron", "factor"])["value"]
    assert value["follower", "rare"] == pytest.approx(0.9, abs=0.04)
    assert value["follower", "other"] < 0.56
    assert value["silent", "rare"] == pytest.approx(0.5)
    row = table.set_index(["neuron", "factor"]).loc[("follower", "rare")]
    assert row["low"] < row["value"] < row["high"] and row["n"] == 2000
    with pytest.raises(SkillkitError, match="2 neurons"):
        factor_predictivity(np.stack([silent], 1), {"rare": rare}, ["a", "b"])


def test_the_label_is_asked_first_and_no_question_twice() -> None:
    labels = [i % 2 for i in range(80)]
    dataset = Dataset.from_dict(
        {
            "text": ["a"] * 80,
            "label": labels,
            "factor_sign": [2 * y - 1 for y in labels],
            "factor_half": [i // 40 for i in range(80)],
        }
    )
    assert list(task_questions(dataset, TASK)) == ["label = good", "half = 1"]


@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_site_predictivity_for_the_label_is_the_neurons_own(family: str) -> None:
    backbone, data = tiny_backbone(family), toy_data(40, 32)
    prompt = SoftPrompt.initial(backbone, 3, 0)
    labels = np.array(data.test["label"], dtype=float)
    unknown = np.where(np.arange(32) < 8, np.nan, labels)
    questions = {"label = good": labels, "known ones": unknown}
    table = site_predictivity(
        backbone, prompt, data.test, TASK, measure_baseline(backbone, prompt, data.train, TASK), questions
    )
    whole = score_neurons(backbone, prompt, data, split="test").predictivity.amax(1)
    assert labels.mean() == 0.5  # balanced, so that plain and balanced predictivity are the same
    assert table[table["factor"] == "label = good"]["value"].tolist() == pytest.approx(
        whole.tolist(), abs=1e-5
    )
    rest = type(data)(TASK, {**data.splits, "test": data.test.select(range(8, 32))}, "the test")
    part = score_neurons(backbone, prompt, rest, split="test").predictivity.amax(1)
    assert table[table["factor"] == "known ones"]["value"].tolist() == pytest.approx(part.tolist(), abs=1e-5)
    assert set(table[table["factor"] == SHUFFLED]["n"]) == {32}
    assert table["value"].between(0.5, 1).all()


def test_site_predictivity_is_balanced() -> None:
    """For a rare factor, against shares right among yes and no, counted one neuron and position at a time."""
    backbone, data = tiny_backbone("t5"), toy_data(40, 33)
    prompt = SoftPrompt.initial(backbone, 3, 0)
    rare = (np.arange(33) % 5 == 0).astype(float)
    baseline = measure_baseline(backbone, prompt, data.train, TASK)
    table = site_predictivity(backbone, prompt, data.test, TASK, baseline, {"rare": rare}, batch_size=8)
    bits = (record(backbone, prompt, data.test, TASK) > baseline.mean).numpy()
    for site in range(len(backbone.sites)):
        best = 0.5
        for position in range(4):
            if np.isnan(baseline.mean[site, position, 0]):
                continue
            for neuron in range(backbone.width):
                bit = bits[:, site, position, neuron]
                share = (bit[rare == 1].mean() + (~bit)[rare == 0].mean()) / 2
                best = max(best, share, 1 - share)
        assert table[table["factor"] == "rare"]["value"].iloc[site] == pytest.approx(best, abs=1e-5)


def test_nearly_the_same_questions_are_told_from_related_ones() -> None:
    label = np.array([0.0, 1] * 50)
    noisy = np.where(np.arange(100) < 4, 1 - label, label)
    related = np.where(np.arange(100) < 25, 1 - label, label)
    assert nearly_the_same(noisy, label) and nearly_the_same(1 - noisy, label)
    assert not nearly_the_same(related, label)
    assert nearly_the_same(np.where(np.arange(100) < 50, np.nan, label), label)


def test_a_neuron_that_follows_the_word_agrees_less_with_the_verdict() -> None:
    rng = np.random.default_rng(0)
    sign = rng.integers(0, 2, 600).astype(float)
    negated = rng.random(600) < 0.3
    verdict = np.where(negated, 1 - sign, sign)
    margin = agreement_margin(sign == 0, verdict, sign)  # follows the word, the other way round
    assert margin.value == pytest.approx(-negated.mean(), abs=0.02) and margin.high < 0
    assert (margin.n, margin.unit) == (600, "texts")


def test_intervals_of_balanced_agreement_have_the_width_of_repeated_samples() -> None:
    """Class shares are counted anew in each resample: a constant neuron is at one half in all of them."""
    rng = np.random.default_rng(2)

    def sample() -> Measurement:
        label = (rng.random(400) < 0.3).astype(float)
        rival = np.where(rng.random(400) < 0.1, 1 - label, label)
        follower = np.where(rng.random(400) < 0.9, label, 1 - label).astype(bool)
        return agreement_margin(follower, label, rival)

    rows = [sample() for _ in range(200)]
    spread = 2 * 1.96 * float(np.std([row.value for row in rows]))
    assert np.mean([row.high - row.low for row in rows]) == pytest.approx(spread, rel=0.25)
    rare = (np.arange(200) < 20).astype(float)
    table = factor_predictivity(np.stack([rare == 1, np.ones(200, bool)], 1), {"rare": rare}, ["it", "all"])
    assert table[["value", "low", "high"]].values.tolist() == [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]


def test_a_rare_question_is_no_easy_rival() -> None:
    """A neuron that is silent agrees with "no" nearly always; balanced, that is no agreement at all."""
    rng = np.random.default_rng(1)
    label, rare = rng.integers(0, 2, 800).astype(float), (rng.random(800) < 0.05).astype(float)
    follower = np.where(rng.random(800) < 0.8, label, 1 - label).astype(bool)
    margin = agreement_margin(follower, label, rare)
    assert margin.low > 0.1 and margin.value == pytest.approx(0.3, abs=0.12)


def test_the_rival_of_the_label_is_the_factor_followed_most_but_no_copy_of_the_label() -> None:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 600).astype(float)
    copy = np.where(rng.random(600) < 0.02, 1 - label, label)
    half = np.where(rng.random(600) < 0.25, 1 - label, label)
    other = rng.integers(0, 2, 600).astype(float)
    questions = {"label = good": label, "copy = 1": copy, "half = 1": half, "other = 1": other}
    bits = label == 1
    followed = factor_predictivity(bits[:, None], questions, ["it"])
    assert set(followed["unit"]) == {"texts"} and set(followed["metric"]) == {"neuron_follows"}
    found = label_against_rival(bits, questions, followed)
    assert found is not None and found[:2] == ("label = good", "half = 1")
    assert found[2] == agreement_margin(bits, label, half) and found[2].low > 0
    alone = {name: questions[name] for name in ("label = good", "copy = 1")}
    assert label_against_rival(bits, alone, followed[followed["factor"].isin(alone)]) is None


def test_rivals_are_found_on_one_set_of_texts_and_counted_on_another() -> None:
    rng = np.random.default_rng(4)

    def drawn(count: int, share: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        label, other = (rng.integers(0, 2, count).astype(float) for _ in range(2))
        near = np.where(rng.random(count) < share, 1 - label, label)
        bits = np.stack([label == 1, other == 1], axis=1)
        return bits, {"label = good": label, "near = 1": near, "other = 1": other}

    validation, test = drawn(500, 0.25), drawn(400, 0.5)  # on test, nothing is near the label
    rows = labels_over_rivals(validation, test, ["skilled", "other"])
    assert [row["factor"] for row in rows] == ["label = good over near = 1", "label = good over other = 1"]
    label, near = test[1]["label = good"], test[1]["near = 1"]
    expected = agreement_margin(test[0][:, 0], label, near)
    assert (rows[0]["value"], rows[0]["n"], rows[0]["unit"]) == (expected.value, 400, "texts")
    assert rows[0]["low"] > 0 > rows[1]["high"], "the second follows its factor, and not the label"
    bare = {"label = good": label}
    assert labels_over_rivals((test[0], bare), (test[0], bare), ["skilled", "other"]) == []
