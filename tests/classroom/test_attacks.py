"""The adversarial twins: paired with their originals, balanced, and with the label kept by construction."""

import re
from collections import Counter
from difflib import SequenceMatcher
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillkit.classroom.attacks import ATTACKS, PER_METHOD, misspell
from skillkit.classroom.drawing import Draw, bucket, tokens
from skillkit.classroom.lexicon.attacks import (
    ASIDES,
    BAD_ASIDES,
    GOOD_ASIDES,
    REJECTIONS,
    SYNONYMS,
    TAUTOLOGIES,
    TOPIC_ASIDES,
)
from skillkit.classroom.lexicon.reviews import BAD, DOMAINS, GOOD
from skillkit.classroom.lexicon.scenes import HOME, PARK
from skillkit.classroom.lexicon.topics import SUBJECTS
from skillkit.classroom.splits import classroom_splits
from skillkit.classroom.tasks import TASKS
from skillkit.classroom.vocabulary import vocabulary, words_in

TWINS = [task.name for task in TASKS.values() if task.original]
CONSTRUCTION = {attack.method: attack.construction for attack in ATTACKS}


@cache
def rows_of(name):
    """The rows of a test split."""
    return classroom_splits(name)["test"].to_list()


def pairs(name, method):
    """(row, [(attacked text, original text), …] of the changed columns) of one attack."""
    for row in rows_of(name):
        if row["method"] == method:
            changed = [
                (row[column], row[f"original_{column}"])
                for column in TASKS[name].text_columns
                if row[f"original_{column}"] is not None
            ]
            yield row, changed


@pytest.mark.parametrize("name", TWINS)
def test_each_attacked_example_names_its_clean_original(name):
    task = TASKS[name]
    clean, rows = rows_of(task.original), rows_of(name)
    for row in rows:
        original = clean[row["clean_row"]]
        assert original["label"] == row["label"] and not original["factor_noise"] and not row["factor_noise"]
        assert row["data_construction"] == CONSTRUCTION[row["method"]]
        changed = 0
        for column in task.text_columns:
            before = row[f"original_{column}"]
            if before is None:
                assert row[column] == original[column]
            else:
                assert before == original[column] != row[column]
                changed += 1
        assert changed == 1
        assert row["factor_held_out_word"] == original["factor_held_out_word"]


@pytest.mark.parametrize("name", TWINS)
def test_every_attack_has_enough_examples_of_each_class(name):
    counts = Counter((row["method"], row["label"]) for row in rows_of(name))
    assert {method for method, _ in counts} == set(CONSTRUCTION)
    for method in CONSTRUCTION:
        sizes = {counts[method, label] for label in range(len(TASKS[name].labels))}
        assert len(sizes) == 1 and min(sizes) * len(TASKS[name].labels) > 0.8 * PER_METHOD


@pytest.mark.parametrize("name", TWINS)
def test_attacked_texts_belong_to_the_test_split(name):
    for row in rows_of(name):
        assert bucket([row[column] for column in TASKS[name].text_columns]) == "test"


@pytest.mark.parametrize("name", TWINS)
def test_only_typos_leave_the_vocabulary(name):
    known = set(vocabulary())
    for row in rows_of(name):
        new = {word for column in TASKS[name].text_columns for word in tokens(row[column])} - known
        assert bool(new) == (row["method"] == "typo")


@pytest.mark.parametrize("name", TWINS)
def test_a_typo_changes_the_inside_of_one_or_two_words(name):
    for _, changed in pairs(name, "typo"):
        for attacked, original in changed:
            after, before = tokens(attacked), tokens(original)
            assert len(after) == len(before)
            slips = [
                (new, old) for new, old in zip(after, before, strict=True) if new != old and old not in "an"
            ]
            assert 1 <= len(slips) <= 2
            for new, old in slips:
                assert (new[0], new[-1]) == (old[0], old[-1]) and abs(len(new) - len(old)) <= 1
                assert SequenceMatcher(None, new, old).ratio() > 0.6


@given(st.sampled_from([word for word in vocabulary() if len(word) >= 5]), st.integers(0, 10**6))
def test_a_misspelling_keeps_first_and_last_letter(word, seed):
    slipped = misspell(word, Draw(seed))
    assert (slipped[0], slipped[-1]) == (word[0], word[-1])
    assert -1 <= len(slipped) - len(word) <= 1


@pytest.mark.parametrize("name", TWINS)
def test_a_synonym_attack_only_replaces_words_by_their_synonyms(name):
    for _, changed in pairs(name, "synonym"):
        for attacked, original in changed:
            differences = [
                (new, old) for new, old in zip(tokens(attacked), tokens(original), strict=True) if new != old
            ]
            swapped = [pair for pair in differences if set(pair) != {"a", "an"}]
            assert 1 <= len(swapped) <= 3
            assert all(SYNONYMS[old] == new for new, old in swapped)


def test_synonyms_never_cross_from_good_to_bad_or_from_thing_to_thing():
    good, bad = set(GOOD.all), set(BAD.all)
    for domain in DOMAINS.values():
        good, bad = good | set(domain.good.all), bad | set(domain.bad.all)
    assert not {SYNONYMS.get(word) for word in good} & bad
    assert not {SYNONYMS.get(word) for word in bad} & good
    assert not {SYNONYMS[word] for word in good & set(SYNONYMS)} & {
        SYNONYMS[word] for word in bad & set(SYNONYMS)
    }
    for world in (
        PARK,
        HOME,
    ):  # a synonym that is another thing of the world would change what follows from what
        nouns = words_in((world.agents, world.objects, world.states))
        assert not {SYNONYMS[word] for word in nouns & set(SYNONYMS)} & nouns
    for name, subject in SUBJECTS.items():
        own = {SYNONYMS[word] for word in words_in(subject) & set(SYNONYMS)}
        others = set().union(*(words_in(other) for key, other in SUBJECTS.items() if key != name))
        assert not own & others


@pytest.mark.parametrize("name", TWINS)
def test_a_distractor_only_adds_a_known_line(name):
    lines = (*ASIDES.seen, *GOOD_ASIDES.seen, *BAD_ASIDES.seen, *TOPIC_ASIDES.seen, *TAUTOLOGIES.seen)
    known = re.compile("|".join(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(line)) for line in lines))
    for row, changed in pairs(name, "distractor"):
        for attacked, original in changed:
            body = original.rstrip(".")
            assert body in attacked
            added = attacked.replace(body, "", 1).strip(" .")
            assert known.fullmatch(added), added
            if TASKS[name].type == "sentiment" and not added.startswith("and "):
                moods = GOOD_ASIDES if row["label"] == 0 else BAD_ASIDES
                assert added.split()[:3] in [line.split()[:3] for line in moods.seen]


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("method", ["negation", "contrast"])
def test_rewrites_keep_the_text_or_deny_its_opposite(name, method):
    rejections = [line.removesuffix("{opposite}") for line in REJECTIONS.seen]
    for row, changed in pairs(name, method):
        for attacked, original in changed:
            if original.rstrip(".") in attacked:
                continue
            opening = next((line for line in rejections if attacked.startswith(line)), None)
            if (
                opening
            ):  # the denied clause says the opposite about the same thing, by one unnegated adjective
                denied = attacked.removeprefix(opening)
                domain = DOMAINS[TASKS[name].original.split("_")[0]]
                adjectives = (
                    {*BAD.seen, *domain.bad.seen} if row["label"] else {*GOOD.seen, *domain.good.seen}
                )
                assert re.fullmatch(rf"the {row['factor_aspect']} (is|was) \w+\.", denied)
                assert tokens(denied)[-2] in adjectives
            else:  # a false reason is denied before the true one
                assert TASKS[name].type == "ethics"
                denied = re.search(
                    r"not because (?:of the weather|it is late|i forgot it), but because (.*)", attacked
                )
                assert denied and re.search(rf"(because|since) {re.escape(denied[1])}$", original)


def test_a_contrast_is_not_put_before_another_contrast():
    for name in TWINS:
        for row, _ in pairs(name, "contrast"):
            assert row.get("factor_minor", 0) == 0 and row.get("factor_other", "none") == "none"
