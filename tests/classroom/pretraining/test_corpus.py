"""The pretraining lines, and the curriculum that they follow."""

import re
from collections import Counter

import numpy as np
import pytest

from skillkit.classroom.pretraining.corpus import (
    FILLER_WORDS,
    LABEL_QUESTIONS,
    QUESTION_WORDS,
    draw_lines,
    label_words,
)
from skillkit.classroom.pretraining.curriculum import STAGES, lesson
from skillkit.classroom.pretraining.training import RECIPES
from skillkit.classroom.splits import classroom_splits
from skillkit.classroom.tasks import TASKS


@pytest.fixture(scope="module")
def lines():
    return draw_lines(np.random.default_rng(0), 3000)


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


def test_at_least_half_of_the_lines_compare_two_texts(lines):
    assert sum(line.second is not None for line in lines) / len(lines) > 0.5


def test_label_words_are_those_of_the_tasks():
    assert set(label_words()) == {word for task in TASKS.values() for word in task.label_words}


def test_lines_are_no_test_texts(lines):
    known = {(line.first, line.second) for line in lines}
    for name in ("film_sentiment", "park_entailment"):
        columns = TASKS[name].text_columns
        test = classroom_splits(name)["test"]
        rows = {(row[columns[0]], row[columns[1]] if len(columns) == 2 else None) for row in test}
        assert not rows & known
