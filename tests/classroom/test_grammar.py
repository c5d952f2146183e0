"""Seeded choices, the hash that puts a text into a split, and the reviews' truth against another reader."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillkit.classroom.drawing import Draw, Picker, Pool, bucket, sentence, tokens, words
from skillkit.classroom.grammar.reviews import draw_review
from skillkit.classroom.lexicon.reviews import (
    BAD,
    BAD_NOUNS,
    BAD_VERBS,
    DOMAINS,
    GOOD,
    GOOD_NOUNS,
    GOOD_VERBS,
)


def test_a_stream_of_choices_is_fixed_by_the_parts_of_its_seed():
    draw = Draw("a", 1)
    assert [draw.below(1000) for _ in range(5)] == [775, 692, 448, 346, 450]
    assert draw.shuffled("abcdef") == ["a", "f", "b", "c", "d", "e"]
    assert Draw("a", 1).below(1000) == 775 and Draw("a", 2).below(1000) != 775


def test_weighted_choices_come_in_proportion():
    draw = Draw("weights")
    drawn = [draw.weighted({"a": 3, "b": 1, "never": 0}) for _ in range(4000)]
    assert "never" not in drawn
    assert 0.72 < drawn.count("a") / len(drawn) < 0.78


def test_a_picker_takes_held_out_items_only_where_it_may():
    pool = words("a b", "c d")
    strict, loose = Picker(Draw(1)), Picker(Draw(1), words=1.0)
    assert {strict.word(pool) for _ in range(50)} == {"a", "b"} and not strict.flags["held_out_word"]
    assert {loose.word(pool) for _ in range(50)} == {"c", "d"} and loose.flags["held_out_word"]
    assert loose.word(Pool(("x",))) == "x"
    assert Picker(Draw(1)).word(pool, but=("a",)) == "b"


def test_the_corpus_draws_seen_and_held_out_items_alike():
    picker, pool = Picker(Draw(2), words=None), words("a b c", "d")
    drawn = [picker.word(pool) for _ in range(4000)]
    assert 0.22 < drawn.count("d") / len(drawn) < 0.28


@pytest.mark.parametrize(
    ("raw", "tidy"),
    [
        ("it was a  awful plot", "it was an awful plot."),
        ("a hour , a unit ?", "an hour, a unit?"),
        ("an great film", "a great film."),
    ],
)
def test_a_sentence_is_tidied(raw, tidy):
    assert sentence(raw) == tidy


@given(st.lists(st.text("abc ,.", min_size=1), min_size=1, max_size=2))
def test_the_split_of_a_pair_does_not_depend_on_its_order(texts):
    assert bucket(texts) == bucket(texts[::-1])
    assert bucket(texts) in ("train", "validation", "test")


def test_splits_take_their_share_of_all_texts():
    drawn = [bucket([f"text {number}"]) for number in range(5000)]
    assert abs(drawn.count("test") / 5000 - 51 / 256) < 0.02
    assert abs(drawn.count("validation") / 5000 - 26 / 256) < 0.02


def test_tokens_rebuild_a_sentence():
    text = "i found it dull, but we loved the end."
    assert sentence(" ".join(tokens(text))) == text


def _polarity_words():
    good = {*GOOD.all, *GOOD_NOUNS.all, *(form for verb in GOOD_VERBS.all for form in verb.split("/"))}
    bad = {*BAD.all, *BAD_NOUNS.all, *(form for verb in BAD_VERBS.all for form in verb.split("/"))}
    for domain in DOMAINS.values():
        good, bad = good | set(domain.good.all), bad | set(domain.bad.all)
    assert not good & bad
    return dict.fromkeys(good, 1) | dict.fromkeys(bad, -1)


def _read_verdict(text, polarity):
    """A slow reader that knows contrast markers and negators, and nothing about how texts are drawn."""
    for pattern in (
        r".*, but (?:overall |in the end )?(.*)",
        r"although .*?, (.*) overall\.",
        r"overall (.*), even though .*",
        r".*\. still, (.*)",
        r"while .*?, (.*) in the end\.",
        r".*, yet all in all (.*)",
    ):
        found = re.fullmatch(pattern, text)
        if found:
            text = found[1]
            break
    verdicts = []
    text = re.sub(r"\b(felt|feel) like", r"\1", text)
    for clause in re.split(r"\.|, just as| and ", text):
        signs = [polarity[word] for word in tokens(clause) if word in polarity]
        if signs:
            negations = re.findall(r"\b(?:not|never|nobody|none|far from|by no means)\b", clause)
            verdicts.append(signs[0] * (-1) ** len(negations))
    assert len(set(verdicts)) == 1, text
    return verdicts[0]


@pytest.mark.parametrize("domain", DOMAINS)
def test_reviews_say_what_their_label_says(domain):
    polarity = _polarity_words()
    for number in range(1500):
        example = draw_review(Picker(Draw(domain, number), words=None, templates=None), number % 2, domain)
        verdict = _read_verdict(example.texts[0], polarity)
        assert verdict == (1 if example.label else -1), example
        assert example.factors["sign"] * (-1) ** example.factors["negated"] == verdict
        assert example.factors["key"] in tokens(example.texts[0])
