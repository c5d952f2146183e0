"""The tokenizer and the pretraining lines."""

import re
from collections import Counter

import numpy as np
import pytest
import torch

from skillkit.classroom.corpus import (
    CHANGED_WORDS,
    FILLER_WORDS,
    IGNORED,
    LABEL_QUESTIONS,
    QUESTION_WORDS,
    Batches,
    draw_lines,
    label_words,
    lesson,
    tokenizer_words,
)
from skillkit.classroom.corpus_glossary import draw_entry
from skillkit.classroom.grammar import Draw
from skillkit.classroom.tasks import TASKS
from skillkit.classroom.tasks_vocabulary import vocabulary
from skillkit.classroom.tokenizer import PUNCTUATION, SENTINELS, build_tokenizer
from skillkit.errors import SkillkitError


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(tokenizer_words())


@pytest.fixture(scope="module")
def lines():
    return draw_lines(np.random.default_rng(0), 3000)


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


def test_prefixes_ask_what_is_answered(lines):
    asks = {word: question for question, words in QUESTION_WORDS.items() for word in words}
    assert len(asks) == 2 * len(QUESTION_WORDS)
    assert not set(asks) & set(FILLER_WORDS)
    labels = set(label_words())
    kinds = Counter()
    for line in lines:
        assert 1 <= len(line.prefix) <= 18
        questions = {asks[word] for word in line.prefix if word in asks}
        if line.answer is None:
            assert not questions
            kinds["unasked"] += 1
            continue
        assert len(questions) == 1
        kinds["asked"] += 1
        if questions & set(LABEL_QUESTIONS):
            assert line.answer in labels
            kinds["label"] += 1
    assert 0.12 < kinds["unasked"] / len(lines) < 0.24  # some texts have nothing that could be asked
    assert kinds["label"] / kinds["asked"] > 0.7


def test_the_curriculum_goes_from_words_to_texts_and_from_question_to_question():
    early, late = (draw_lines(np.random.default_rng(1), 400, lesson(step)) for step in (0, 31_000))
    assert {word for line in early for word in line.prefix} & set(QUESTION_WORDS["mood"])
    assert not {word for line in early for word in line.prefix} & set(QUESTION_WORDS["truth"])
    assert max(len(line.first.split()) for line in early) <= 7 < max(len(line.first.split()) for line in late)
    focused = draw_lines(np.random.default_rng(1), 400, lesson(16_000))
    asked = [set(line.prefix) & set(QUESTION_WORDS["mood"]) for line in focused]
    assert lesson(16_000).focus == ("mood",)
    assert sum(map(bool, asked)) / len(focused) > 0.45


def test_practice_names_the_new_word_of_a_pair_and_then_asks_whether_there_is_one():
    lines = draw_lines(np.random.default_rng(2), 600, lesson(33_000))
    named = [line for line in lines if set(line.prefix) <= {*FILLER_WORDS, *CHANGED_WORDS} and line.answer]
    assert len(named) > 200
    assert not any(line.answer in line.first.split() for line in named)
    present = [line.answer in re.findall("[a-z]+", line.second) for line in named]
    assert sum(present) / len(present) > 0.9  # in the others, the word has a typo
    later = draw_lines(np.random.default_rng(2), 600, lesson(40_000))
    whether = [line for line in later if set(line.prefix) & set(QUESTION_WORDS["same"]) and line.answer]
    which = [line for line in later if set(line.prefix) <= {*FILLER_WORDS, *CHANGED_WORDS} and line.answer]
    for lines in (whether, which):
        assert len(lines) > 120
        assert 0.35 < sum(line.answer == "same" for line in lines) / len(lines) < 0.65


def test_two_lists_mean_the_same_if_they_have_the_same_words():
    draw = Draw("lists test")
    entries = [draw_entry(draw, ("pairs",)) for _ in range(2000)]
    lists = [
        entry for entry in entries if len(set(entry.texts[0].split())) == len(entry.texts[1].split()) == 4
    ]
    found = Counter()
    for entry in lists:
        first, second = (set(text.split()) for text in entry.texts)
        if len(first & second) >= 3:
            found[entry.answers["same"]] += 1
            assert entry.answers["same"] == ("same" if first == second else "different")
    assert min(found.values()) > 30


def test_at_least_half_of_the_lines_compare_two_texts(lines):
    assert sum(line.second is not None for line in lines) / len(lines) > 0.5


def test_label_words_are_those_of_the_tasks():
    assert set(label_words()) == {word for task in TASKS.values() for word in task.label_words}


def test_lines_are_no_test_texts(lines):
    from skillkit.classroom import classroom_splits

    known = {(line.first, line.second) for line in lines}
    for name in ("film_sentiment", "park_entailment"):
        columns = TASKS[name].text_columns
        test = classroom_splits(name)["test"]
        rows = {(row[columns[0]], row[columns[1]] if len(columns) == 2 else None) for row in test}
        assert not rows & known


def test_glossary_entries_agree_with_the_grammar():
    draw = Draw("glossary test")
    entries = [draw_entry(draw) for _ in range(4000)]
    truths = {entry.texts: entry.answers["truth"] for entry in entries if "truth" in entry.answers}
    assert truths[("a boy", "a child")] == "yes"
    assert truths[("a child", "a boy")] == "maybe"
    assert {answer for (first, second), answer in truths.items() if second == f"not {first}"} == {"no"}
    assert {answer for (first, second), answer in truths.items() if second == first} == {"yes"}
    moods = {entry.texts[0]: entry.answers["mood"] for entry in entries if "mood" in entry.answers}
    assert moods["great"] == "good"
    negated = [word for word in moods if f"not {word}" in moods]
    assert len(negated) > 20
    assert all(moods[f"not {word}"] != moods[word] for word in negated)
    lists = [text.split() for text in moods if len(text.split()) > 2]
    assert all(
        moods.get(word, moods[" ".join(words)]) == moods[" ".join(words)] for words in lists for word in words
    )
    same = {entry.texts: entry.answers["same"] for entry in entries if "same" in entry.answers}
    assert same[("fix", "repair")] == "same"


def test_clauses_are_judged_by_what_is_not_set_aside():
    draw = Draw("clauses test")
    moods = {
        entry.texts[0]: entry.answers["mood"]
        for entry in (draw_entry(draw, ("clauses",)) for _ in range(4000))
    }
    contrasts = [text.split(", but overall ") for text in moods if ", but overall " in text]
    known = [(minor, main) for minor, main in contrasts if minor in moods and main in moods]
    assert len(known) > 20
    for minor, main in known:
        assert moods[minor] != moods[main] == moods[f"{minor}, but overall {main}"]


@pytest.mark.parametrize("family", ["masked-lm", "encoder-decoder"])
def test_batches_depend_on_seed_and_step_alone(tokenizer, family):
    one = Batches(tokenizer, family, seed=1, batch_size=4)
    two = Batches(tokenizer, family, seed=1, batch_size=4)
    other = Batches(tokenizer, family, seed=2, batch_size=4)
    two[40]
    for step in (3, 20):
        assert torch.equal(one[step].inputs, two[step].inputs)
        assert torch.equal(one[step].targets, two[step].targets)
    assert not torch.equal(one[3].inputs, other[3].inputs)


def test_masked_lm_batches_restore_the_text(tokenizer):
    batches = Batches(tokenizer, "masked-lm", seed=0, batch_size=32)
    hidden = answered = 0
    for step in range(22_000, 22_008):
        batch = batches[step]
        wanted = batch.targets != IGNORED
        kept = batch.inputs[wanted]
        assert ((kept == tokenizer.mask_token_id) | (kept == batch.targets[wanted])).all()
        assert not wanted[batch.attention == 0].any()
        assert (batch.inputs[:, 0] == tokenizer.mask_token_id).all()
        assert not wanted[:, 0].any()
        hidden += int(wanted.sum())
        answered += int((batch.answers >= 0).sum())
    assert hidden > 100
    assert answered > 100


def test_encoder_decoder_batches_restore_the_text(tokenizer):
    """Put every hidden span back in place of its sentinel: only words and templates are left."""
    batches = Batches(tokenizer, "encoder-decoder", seed=0, batch_size=32)
    sentinels = set(tokenizer.convert_tokens_to_ids(list(SENTINELS)))
    hidden = 0
    for step in range(22_000, 22_008):
        batch = batches[step]
        for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
            assert target[0] == IGNORED
            spans: dict[int, list[int]] = {}
            for token in target:
                if token in sentinels:
                    spans[token] = []
                elif token not in (IGNORED, tokenizer.eos_token_id):
                    spans[list(spans)[-1]].append(token)
            assert set(spans) == sentinels & set(row)
            whole = [token for place in row for token in spans.get(place, [place])]
            assert not sentinels & set(whole)
            assert all(1 <= len(span) <= 3 for span in spans.values())
            hidden += len(spans)
    assert hidden > 50


def test_punctuation_is_known(tokenizer):
    assert tokenizer.unk_token_id not in tokenizer(PUNCTUATION)["input_ids"]
