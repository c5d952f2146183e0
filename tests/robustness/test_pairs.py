"""Adversarial examples are paired with their originals."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny import PAIR_TASK, TASK, tiny_backbone, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.robustness.accuracy import attack_table
from skillkit.robustness.answers import answer_pairs
from skillkit.robustness.pairs import load_pairs, pair_up


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
