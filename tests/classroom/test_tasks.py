"""The bundled tasks: the same bytes everywhere, balanced, in the vocabulary, and solved by no single word."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from skillkit.classroom.documents import corpus_documents
from skillkit.classroom.drawing import Pool, bucket, tokens
from skillkit.classroom.grammar.scenes import ANSWERS, RELATIONS
from skillkit.classroom.lexicon.attacks import SYNONYMS
from skillkit.classroom.lexicon.chores import CHORES
from skillkit.classroom.lexicon.questions import ACTIONS, CITIES, DETAILS
from skillkit.classroom.lexicon.reviews import BAD, DOMAINS, GOOD
from skillkit.classroom.lexicon.scenes import HOME, PARK
from skillkit.classroom.lexicon.sentences import NOUNS, STATES, THINGS
from skillkit.classroom.lexicon.topics import SUBJECTS
from skillkit.classroom.splits import SIZES, _clean_split, classroom_splits, draw_examples, draw_task
from skillkit.classroom.tasks import FACTORS, TASKS
from skillkit.classroom.vocabulary import vocabulary, words_in
from skillkit.data.loading import load_task
from skillkit.errors import SkillkitError
from skillkit.neurons.factors import task_questions

CLEAN = [task.name for task in TASKS.values() if task.twin]
RECORDED = Path(__file__).with_name("split_hashes.json")
#: The word lists (not the sentence patterns) whose held-out part a task may use in its test split only.
WORD_LISTS = {
    "film_sentiment": (DOMAINS["film"], GOOD, BAD),
    "food_sentiment": (DOMAINS["food"], GOOD, BAD),
    "gadget_sentiment": (DOMAINS["gadget"], GOOD, BAD),
    "daily_topic": SUBJECTS,
    "park_entailment": PARK,
    "home_inference": HOME,
    "question_paraphrase": (ACTIONS, CITIES, DETAILS),
    "sentence_acceptability": (NOUNS, STATES, THINGS),
    "chore_excuse": CHORES,
}


def digest(rows):
    """SHA-256 of rows as JSON lines with sorted keys."""
    lines = "\n".join(json.dumps(row, sort_keys=True) for row in rows)
    return hashlib.sha256(lines.encode()).hexdigest()


@cache
def splits_of(name):
    """The splits of a task as lists of rows."""
    return {split: dataset.to_list() for split, dataset in classroom_splits(name).items()}


def texts_of(name, split):
    """Every text of a split, over its text columns."""
    return [row[column] for column in TASKS[name].text_columns for row in splits_of(name)[split]]


def words_of(name, *splits):
    """All words of some splits."""
    return {word for split in splits for text in texts_of(name, split) for word in tokens(text)}


def pools_in(value):
    """Every pool inside a nested constant."""
    if isinstance(value, Pool):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from pools_in(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from pools_in(inner)
    elif hasattr(value, "__dataclass_fields__"):
        yield from pools_in(vars(value))


def content_words(items):
    """The words of single-word items, and the last word of "a zipper" or "in vienna": no longer phrases."""
    return {
        word
        for item in items
        for word in (item.split()[-1].split("/") if isinstance(item, str) else words_in(item))
        if not isinstance(item, str) or len(item.split()) <= 2
    }


def test_every_split_is_the_recorded_one():
    """A change here changes what the mini models were trained on: pretrain them again, then record anew with
    `python -m tests.classroom.test_tasks`."""
    recorded = json.loads(RECORDED.read_text())
    assert {
        f"{name}/{split}": digest(rows) for name in TASKS for split, rows in splits_of(name).items()
    } == recorded


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.original is None])
def test_every_question_about_a_factor_is_explained(name):
    data = load_task(name)
    assert {question.split(" = ")[0] for question in task_questions(data.test, data.task)} <= set(FACTORS)


def test_another_process_with_other_string_hashes_draws_the_same():
    code = (
        "from itertools import islice; from skillkit.classroom.documents import corpus_documents;"
        "print([document.texts for document in islice(corpus_documents(3), 200)])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.strip() == str([document.texts for document in islice(corpus_documents(3), 200)])


def test_there_are_eight_tasks_of_four_types_each_with_a_twin():
    assert len(CLEAN) >= 8 and len({TASKS[name].type for name in CLEAN}) >= 4
    for name in CLEAN:
        twin = TASKS[TASKS[name].twin]
        assert (twin.original, twin.twin, twin.labels) == (name, None, TASKS[name].labels)


def test_an_unknown_task_is_named_in_the_error():
    with pytest.raises(SkillkitError, match="film_sentimant"):
        classroom_splits("film_sentimant")


@pytest.mark.parametrize("name", ["home_inference", "adv_home_inference"])
def test_what_is_drawn_ahead_is_not_drawn_again(name, monkeypatch):
    expected = splits_of(name)
    _clean_split.cache_clear()
    draw_task(name)
    monkeypatch.setattr("skillkit.classroom.splits.draw_examples", None)
    assert {split: dataset.to_list() for split, dataset in classroom_splits(name).items()} == expected


@pytest.mark.parametrize("name", CLEAN)
def test_classes_balance_and_the_noise_is_exact(name):
    task = TASKS[name]
    for split, dataset in splits_of(name).items():
        assert len(dataset) == SIZES[split]
        counts = Counter(row["label"] for row in dataset)
        assert set(counts) == set(range(len(task.labels)))
        assert max(counts.values()) - min(counts.values()) <= 1
        assert abs(sum(row["factor_noise"] for row in dataset) / len(dataset) - task.noise) < 0.002


@pytest.mark.parametrize("name", CLEAN)
def test_only_noisy_rows_disagree_with_what_was_drawn(name):
    rows = splits_of(name)["validation"]
    drawn = {
        example.texts: example.label
        for example in draw_examples(TASKS[name], "validation", SIZES["validation"])
    }
    for row in rows:
        truth = drawn[tuple(row[column] for column in TASKS[name].text_columns)]
        assert (row["label"] != truth) == bool(row["factor_noise"])


@pytest.mark.parametrize("name", CLEAN)
def test_no_text_is_in_two_splits_or_in_two_seeds_splits(name):
    columns = TASKS[name].text_columns
    splits = {
        split: {tuple(row[column] for column in columns) for row in dataset}
        for split, dataset in splits_of(name).items()
    }
    assert all(len(texts) == SIZES[split] for split, texts in splits.items())
    assert not splits["train"] & splits["test"] and not splits["validation"] & splits["test"]
    assert not splits["train"] & splits["validation"]
    other_seed = {example.texts for example in draw_examples(TASKS[name], "train", 600, seed=1)}
    assert not other_seed & (splits["test"] | splits["validation"]) and not other_seed <= splits["train"]


@pytest.mark.parametrize("name", CLEAN)
def test_held_out_words_and_templates_are_in_the_test_split_alone(name):
    splits = splits_of(name)
    for factor in ("factor_held_out_word", "factor_held_out_template"):
        assert not any(row[factor] for row in splits["train"] + splits["validation"])
        assert 0.1 < np.mean([row[factor] for row in splits["test"]]) < 0.6
    pools = list(pools_in(WORD_LISTS[name]))
    held = set().union(*(content_words(pool.held) for pool in pools))
    held -= set().union(*(words_in(pool.seen) for pool in pools))
    assert not held & words_of(name, "train", "validation")
    assert len(held & words_of(name, "test")) >= 10


@pytest.mark.parametrize("name", CLEAN)
def test_every_word_is_in_the_vocabulary(name):
    assert words_of(name, *SIZES) <= set(vocabulary())
    assert set(TASKS[name].label_words) <= set(vocabulary())


@pytest.mark.parametrize("name", CLEAN)
def test_no_single_word_solves_a_task(name):
    """The best rule "word present: this label, absent: that label" stays far below what a reader reaches."""
    task, rows = TASKS[name], splits_of(name)["train"]
    texts = [
        {(place, word) for place, column in enumerate(task.text_columns) for word in tokens(row[column])}
        for row in rows
    ]
    labels = np.array([row["label"] for row in rows])
    best = max(
        sum(np.bincount(labels[here == present], minlength=2).max() for present in (True, False))
        for here in (np.array([word in text for text in texts]) for word in set().union(*texts))
    ) / len(rows)
    chance = 1 / len(task.labels)
    assert chance < best < chance + 0.15


def test_relations_cover_every_truth_and_agree_with_the_labels():
    for name, truths in (("park_entailment", ("", "entailment")), ("home_inference", tuple(ANSWERS))):
        for row in splits_of(name)["test"]:
            assert row["factor_relation"] in RELATIONS[row["factor_truth"]]
            agrees = (row["factor_truth"] == "entailment") == (truths[row["label"]] == "entailment")
            assert agrees or row["factor_noise"]


def test_the_corpus_never_shows_a_text_that_may_be_tested():
    shown = {document.texts for document in islice(corpus_documents(0), 3000)}
    assert all(bucket(texts) != "test" for texts in shown)
    for name in CLEAN:
        assert not shown & {
            tuple(row[column] for column in TASKS[name].text_columns) for row in splits_of(name)["test"]
        }


@pytest.mark.slow
def test_the_corpus_shows_every_word_and_answers_in_known_words():
    shown, answered = Counter(), Counter()
    for document in islice(corpus_documents(2), 25000):
        for text in document.texts:
            shown.update(tokens(text))
        answered.update(document.answers.values())
    known = set(vocabulary())
    assert set(shown) <= known and set(answered) <= known
    assert known - set(shown) <= set(answered)
    assert set(SYNONYMS.values()) <= set(shown)


if __name__ == "__main__":
    hashes = {f"{name}/{split}": digest(rows) for name in TASKS for split, rows in splits_of(name).items()}
    RECORDED.write_text(json.dumps(hashes, indent=1) + "\n")
