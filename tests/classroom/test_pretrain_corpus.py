"""The tokenizer and the pretraining lines."""

import re
from collections import Counter

import numpy as np
import pytest
import torch

from skillkit.classroom.drawing import Draw
from skillkit.classroom.lexicon.sentences import NOUNS
from skillkit.classroom.pretraining.corpus import (
    FILLER_WORDS,
    IGNORED,
    LABEL_QUESTIONS,
    QUESTION_WORDS,
    STAGES,
    Batches,
    draw_lines,
    label_words,
    lesson,
    tokenizer_words,
)
from skillkit.classroom.pretraining.glossary import draw_entry
from skillkit.classroom.pretraining.tokenizer import PUNCTUATION, SENTINELS, build_tokenizer
from skillkit.classroom.pretraining.training import RECIPES
from skillkit.classroom.tasks import TASKS
from skillkit.classroom.vocabulary import vocabulary
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


def asking(lines, question):
    return [line for line in lines if set(line.prefix) & set(QUESTION_WORDS[question]) and line.answer]


def test_the_curriculum_goes_from_words_to_texts_and_from_question_to_question():
    early, late = (draw_lines(np.random.default_rng(1), 400, lesson(step)) for step in (7_000, 39_500))
    assert asking(early, "mood") and not asking(early, "truth")
    assert asking(late, "truth")
    assert max(len(line.first.split()) for line in early) <= 7 < max(len(line.first.split()) for line in late)


@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if stage.focus], ids=lambda stage: str(stage.start)
)
def test_most_lines_of_a_stage_are_about_what_it_practises(stage):
    lines = draw_lines(np.random.default_rng(1), 400, lesson(stage.start))
    asked = {"pairs": ("same", "changed"), "clauses": ("mood",), "truth": ("truth", "entailed")}
    about = {line for name in stage.focus for q in asked.get(name, (name,)) for line in asking(lines, q)}
    assert len(about) / len(lines) > 0.75 * stage.focused
    whole = max(len(line.first.split()) for line in lines) > 9
    assert whole == (stage.entries < 1)


def test_stages_follow_each_other_and_end_with_all_questions():
    starts = [stage.start for stage in STAGES]
    assert starts == sorted(set(starts)) and starts[0] == 0
    assert not STAGES[-1].focus
    assert starts[-1] < min(recipe.steps for recipe in RECIPES.values())


def test_practice_names_the_new_word_of_a_pair_and_then_asks_whether_there_is_one():
    named = asking(draw_lines(np.random.default_rng(2), 600, lesson(1_000)), "changed")
    assert len(named) > 350
    assert not any(line.answer in line.first.split() for line in named)
    present = [line.answer in re.findall("[a-z]+", line.second) for line in named]
    assert sum(present) / len(present) > 0.9  # in the others, the word has a typo
    for step in (3_000, 33_000):
        later = draw_lines(np.random.default_rng(2), 1000, lesson(step))
        for lines in (asking(later, "same"), asking(later, "changed")):
            assert len(lines) > 120
            assert 0.3 < sum(line.answer == "same" for line in lines) / len(lines) < 0.7


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
    from skillkit.classroom.splits import classroom_splits

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
    assert all(answer == "same" for (first, second), answer in same.items() if first == second)
    draw = Draw("synonyms test")
    synonyms = {
        entry.texts: entry.answers["same"] for entry in (draw_entry(draw, ("same",)) for _ in range(4000))
    }
    assert synonyms[("fix", "repair")] == "same"


def test_words_that_fit_together_have_one_number():
    draw = Draw("number test")
    entries = [draw_entry(draw, ("number", "gender", "grammar")) for _ in range(20_000)]
    numbers = {entry.texts[0]: entry.answers["number"] for entry in entries if "number" in entry.answers}
    for pair in NOUNS.all:
        assert [numbers[noun] for noun in pair.split("/")] == ["one", "many"]
    genders = {entry.texts[0]: entry.answers["gender"] for entry in entries if "gender" in entry.answers}
    assert genders["himself"] == genders["king"] == "he" and genders["queen"] == "she"
    right = {
        entry.texts[0]: entry.answers["grammar"] == "right" for entry in entries if "grammar" in entry.answers
    }
    known = [
        (right[text], numbers[noun] == numbers[verb])
        for text in right
        for noun, verb in [(text.split()[0], text.split()[-1])]
        if len(text.split()) == 2 and noun in numbers and verb in numbers
    ]
    assert len(known) > 100
    assert all(fit == alike for fit, alike in known)
    assert right["did not like"] and not right["did not liked"]
    assert right["saw him"] and not right["saw he"] and right["he saw"] and not right["him saw"]
    assert right["very soon will sing"] and not right["very soon sang"]


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
