"""The one tokenizer of both mini models."""

import pytest

from skillkit.classroom.pretraining.corpus import tokenizer_words
from skillkit.classroom.pretraining.tokenizer import PUNCTUATION, build_tokenizer
from skillkit.classroom.tasks import TASKS
from skillkit.classroom.vocabulary import vocabulary
from skillkit.errors import SkillkitError


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(tokenizer_words())


def test_every_word_is_one_token_and_comes_back(tokenizer):
    words = sorted(tokenizer_words())
    encoded = tokenizer(words, add_special_tokens=False)["input_ids"]
    assert [tokenizer.convert_ids_to_tokens(ids) for ids in encoded] == [[word] for word in words]
    assert set(vocabulary()) <= set(words)
    for task in TASKS.values():
        assert set(task.label_words) <= set(words)


def test_an_unknown_word_falls_apart_without_an_unknown_token(tokenizer):
    ids = tokenizer("wondreful", add_special_tokens=False)["input_ids"]
    assert len(ids) > 1
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == "wondreful"


def test_texts_and_pairs_go_through_the_templates(tokenizer):
    one, two = tokenizer("the plot was good."), tokenizer("a boy", "a child")
    assert tokenizer.convert_ids_to_tokens(one["input_ids"]) == [
        "<s>",
        "the",
        "plot",
        "was",
        "good",
        ".",
        "</s>",
    ]
    assert tokenizer.convert_ids_to_tokens(two["input_ids"]) == [
        "<s>",
        "a",
        "boy",
        "</s>",
        "</s>",
        "a",
        "child",
        "</s>",
    ]
    assert set(one) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize("word", ["Good", "two words", "end.", "naïve"])
def test_a_word_that_cannot_be_a_token_is_refused(word):
    with pytest.raises(SkillkitError, match="cannot be one token"):
        build_tokenizer([word])


def test_word_order_does_not_change_the_tokenizer():
    assert (
        build_tokenizer(["b", "good", "bad"]).get_vocab()
        == build_tokenizer(["bad", "good", "bad"]).get_vocab()
    )


def test_punctuation_is_known(tokenizer):
    assert tokenizer.unk_token_id not in tokenizer(PUNCTUATION)["input_ids"]
