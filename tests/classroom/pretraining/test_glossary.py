"""The glossary entries of the pretraining corpus agree with the grammars."""

from collections import Counter

from skillkit.classroom.drawing import Draw
from skillkit.classroom.lexicon.sentences import NOUNS
from skillkit.classroom.pretraining.glossary import draw_entry


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
