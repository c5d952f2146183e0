"""Accuracy under attack: pairing, intervals over originals, tests and calibration."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PAIR_TASK, TASK, tiny_backbone, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.robustness.pairs import (
    answer_pairs,
    attack_table,
    calibration,
    calibration_error,
    chance_test,
    judge,
    load_pairs,
    pair_up,
    reliability,
)
from skillkit.stats.intervals import cluster_bootstrap, mcnemar


def twin(originals=(None, "word1 word2", "word1 word2", "word3")):
    texts = ["word0 good", "word1 bad", "word2 word2", "word9"]
    return Dataset.from_dict(
        {
            "text": texts,
            "label": [0, 1, 1, 0],
            "original_text": list(originals),
            "data_construction": ["human", "word", "word", "sentence"],
            "method": ["CheckList", "typo", "typo", "distractor"],
        }
    )


def examples_of(clean, adversarial, groups=None, **more):
    """A table such as answer_pairs gives, from 0/1 outcomes."""
    n = len(clean)
    frame = {"example": range(n), "group": range(n) if groups is None else groups, "label": [i % 2 for i in range(n)],
             "data_construction": "word", "method": "typo", "paired": True}  # fmt: skip
    table = pd.DataFrame(frame).assign(**more)
    for name, correct in (("clean", clean), ("adversarial", adversarial)):
        table[f"{name}_correct"] = np.asarray(correct, dtype=float)
        table[f"{name}_prediction"] = np.where(
            table[f"{name}_correct"] == 1, table["label"], 1 - table["label"]
        )
        table[f"{name}_confidence"] = 0.8
        table[f"{name}_probability"] = np.where(table[f"{name}_correct"] == 1, 0.8, 0.2)
    return table


def value(table, metric, attack="all"):
    (row,) = table[(table["metric"] == metric) & (table["attack"] == attack)].to_dict("records")
    return row


def test_pairs_are_joined_with_their_originals():
    pairs = pair_up(twin(), TASK)
    assert pairs.rows == [1, 2, 3] and len(pairs) == 3
    assert list(pairs.clean["text"]) == ["word1 word2", "word1 word2", "word3"]
    assert list(pairs.clean["label"]) == [1, 1, 0]
    assert list(pairs.attacked["text"]) == ["word1 bad", "word2 word2", "word9"]
    assert pairs.pair_groups[0] == pairs.pair_groups[1] != pairs.pair_groups[2]
    assert len(set(pairs.groups.tolist())) == 3


def test_an_unchanged_column_of_a_pair_is_the_examples_own():
    rows = Dataset.from_dict({"first": ["a", "b"], "second": ["c", "d"], "original_first": ["x", None],
                              "original_second": [None, "y"], "label": [0, 1]})  # fmt: skip
    clean = pair_up(rows, PAIR_TASK).clean
    assert list(zip(clean["first"], clean["second"], strict=True)) == [("x", "c"), ("b", "y")]


def test_a_twin_without_originals_has_no_pairs_but_an_accuracy():
    rows = toy_dataset(6, 0)
    pairs = pair_up(rows, TASK)
    assert len(pairs) == 0 and len(pairs.clean) == 0
    table = attack_table(answer_pairs(tiny_backbone("bert"), None, pairs))
    assert list(table["metric"]) == ["adversarial_accuracy_all"]
    with pytest.raises(SkillkitError, match="original_text"):
        pairs.need()


def test_bundled_twins_pair_up():
    pairs = load_pairs("film_sentiment", limit=60)
    assert len(pairs) > 40
    originals, attacked = list(pairs.clean["sentence"]), list(pairs.attacked["sentence"])
    assert all(a != b for a, b in zip(originals, attacked, strict=True))
    with pytest.raises(SkillkitError, match="no adversarial version"):
        load_pairs("imdb")
    with pytest.raises(SkillkitError, match="Choose from"):
        load_pairs("mnli", twin="adv_sst2")


def test_answers_are_those_of_the_logits(backbone):
    pairs, prompt = pair_up(twin(), TASK), SoftPrompt.initial(backbone, 2, 0)
    table = answer_pairs(backbone, prompt, pairs)
    logits = label_logits(backbone, prompt, pairs.adversarial, TASK)
    assert list(table["adversarial_prediction"]) == logits.argmax(1).tolist()
    labels = torch.tensor([0, 1, 1, 0])
    np.testing.assert_allclose(
        -np.log(table["adversarial_probability"]),
        torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none"),
        rtol=1e-5,
    )
    clean = label_logits(backbone, prompt, pairs.clean, TASK)
    np.testing.assert_allclose(
        table["clean_margin"][1:], (clean[:, 1] - clean[:, 0]).numpy() * [1, 1, -1], rtol=1e-4, atol=1e-5
    )
    assert table["clean_correct"].isna().tolist() == [True, False, False, False]


def test_the_drop_is_counted_on_pairs():
    table = attack_table(examples_of([1, 1, 1, 0], [1, 0, 0, 1]))
    assert value(table, "clean_accuracy")["value"] == 0.75
    assert value(table, "adversarial_accuracy")["value"] == 0.5
    assert value(table, "drop")["value"] == 0.25
    assert value(table, "flip_rate")["value"] == 0.75
    assert value(table, "success_rate") | {"low": 0, "high": 0, "p": 0} == {
        "attack": "all", "metric": "success_rate", "value": pytest.approx(2 / 3), "n": 3, "low": 0, "high": 0, "p": 0
    }  # fmt: skip


def test_a_planted_drop_is_found_by_method():
    rng = np.random.default_rng(0)
    clean = rng.random(400) < 0.9
    typo = np.arange(400) < 200
    adversarial = np.where(typo, rng.random(400) < 0.5, clean)
    table = attack_table(examples_of(clean, adversarial, method=np.where(typo, "typo", "synonym")), "method")
    found, none = value(table, "drop", "typo"), value(table, "drop", "synonym")
    assert found["low"] > 0.25 and found["p"] < 1e-6
    assert (none["value"], none["p"]) == (0, 1)
    with pytest.raises(SkillkitError, match="column"):
        attack_table(examples_of([1], [1]), "kind")


def test_several_prompts_are_averaged_over_the_same_originals():
    rng = np.random.default_rng(0)
    clean, adversarial = rng.random(80) < 0.9, rng.random(80) < 0.6
    one = examples_of(clean, adversarial)
    table = attack_table(pd.concat([one.assign(seed=0), one.assign(seed=1)]))
    single = attack_table(one)
    # The same answers twice are no further evidence: the interval is that of one prompt.
    for column in ("value", "low", "high", "n"):
        np.testing.assert_allclose(table[column].astype(float), single[column].astype(float))
    assert table["p"].isna().all()


def test_resampling_originals_widens_the_interval_where_examples_repeat():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random(30) < 0.5, 5).astype(float)
    groups = np.repeat(np.arange(30), 5)
    low, high = cluster_bootstrap(values, groups)
    alone = cluster_bootstrap(values, np.arange(150))
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(5**0.5, rel=0.15)


def test_cluster_bootstrap_agrees_with_a_loop():
    rng = np.random.default_rng(1)
    values, weights, groups = rng.normal(size=40), rng.random(40) + 0.5, rng.integers(0, 12, 40)
    names = np.unique(groups)
    drawn = np.random.default_rng(7).integers(0, len(names), (2000, len(names)))
    means = []
    for draw in drawn:
        rows = np.concatenate([np.flatnonzero(groups == names[g]) for g in draw])
        means.append(values[rows].sum() / weights[rows].sum())
    np.testing.assert_allclose(
        cluster_bootstrap(values, groups, weights, seed=7), np.quantile(means, [0.025, 0.975])
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_an_interval_stays_within_the_values(rows):
    values, groups = [float(v) for v, _ in rows], [g for _, g in rows]
    low, high = cluster_bootstrap(values, groups)
    if len(set(groups)) == 1:
        assert np.isnan(low) and np.isnan(high)
    else:
        assert 0 <= low <= high <= 1


def test_a_perfect_accuracy_has_an_interval_too():
    row = value(attack_table(examples_of([1] * 20, [1] * 20)), "adversarial_accuracy")
    assert row["low"] < 0.9 < row["high"] == 1


def test_no_difference_at_all_is_not_known_without_error():
    row = value(attack_table(examples_of([1, 0] * 10, [1, 0] * 10)), "drop")
    assert row["value"] == 0 and row["low"] == -row["high"] < 0
    assert judge(row["low"], row["high"]) == "undecided"


def test_chance_has_two_readings():
    below = chance_test(examples_of([1] * 60, [0] * 45 + [1] * 15), classes=2)
    assert set(below["verdict"]) == {"below"} and (below["p_below"] < 0.01).all()
    unbalanced = examples_of([1] * 100, [1] * 60 + [0] * 40).assign(label=[1] * 70 + [0] * 30)
    table = chance_test(unbalanced, classes=2).set_index("reference")
    assert table.loc["most frequent label", "chance"] == 0.7
    assert (
        table.loc["uniform guess", "verdict"] == "above"
        and table.loc["most frequent label", "verdict"] == "below"
    )
    assert set(chance_test(examples_of([1] * 8, [1, 0] * 4), classes=2)["verdict"]) == {"undecided"}


def test_mcnemar_is_a_sign_test_of_the_discordant_pairs():
    first, second = np.array([1, 1, 1, 1, 1, 0, 0, 1]), np.array([0, 0, 0, 0, 0, 1, 0, 1])
    assert mcnemar(first, second) == pytest.approx(2 * (1 + 6) / 2**6)
    assert mcnemar(first, first) == 1.0


def test_judge_needs_the_interval_on_one_side():
    assert [judge(0.1, 0.2), judge(-0.2, -0.1), judge(-0.1, 0.1), judge(np.nan, np.nan), judge(0.4, 0.45, 0.5)] == [
        "above", "below", "undecided", "undecided", "below"
    ]  # fmt: skip


def test_calibration_error_agrees_with_a_loop_over_bins():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 300)
    correct = (rng.random(300) < confidence - 0.1).astype(float)
    expected = 0.0
    for bin_ in range(10):
        own = (confidence >= bin_ / 10) & (confidence < (bin_ + 1) / 10)
        if own.any():
            expected += own.mean() * abs(confidence[own].mean() - correct[own].mean())
    assert calibration_error(confidence, correct) == pytest.approx(expected)


def test_overconfidence_under_attack_is_found():
    right = np.arange(300) % 5 > 0  # 80 %, as sure as it says
    table = calibration(examples_of(right, np.arange(300) % 5 > 2)).set_index(["text", "metric"])
    assert judge(*table.loc[("clean", "overconfidence"), ["low", "high"]]) == "undecided"
    assert table.loc[("adversarial", "overconfidence"), "low"] > 0.3
    row = table.loc[("adversarial", "calibration_error")]
    assert row["low"] <= row["value"] <= row["high"]
    assert set(reliability(examples_of([1, 0, 1], [1, 1, 1]))["text"]) == {"clean", "adversarial"}


def test_a_text_answered_by_several_prompts_is_one_text():
    once = examples_of([1, 1, 0], [1, 1, 1])
    thrice = pd.concat([once.assign(seed=seed) for seed in range(3)])
    columns = ["value", "n", "low", "high"]
    pd.testing.assert_frame_equal(reliability(once)[columns], reliability(thrice)[columns])
