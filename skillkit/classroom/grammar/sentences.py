"""Sentences that are grammatical (1) or not (0), drawn as one member of a minimal pair.

`phenomenon`: agreement_be and agreement_verb (with a noun of another number in between where `attractor` is
1), determiner, reflexive, tense, auxiliary, case, order (two neighbouring words swapped), missing_verb.
`plural`: number of the subject. `key`: the word that is right or wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from skillkit.classroom.drawing import Example, Picker, Pool, sentence
from skillkit.classroom.lexicon.common import DAYS, RELATIVES, SEASONS
from skillkit.classroom.lexicon.sentences import (
    CARRIERS,
    CASE,
    CASE_VERBS,
    COPULAS,
    DETERMINERS,
    FUTURE,
    FUTURE_TIMES,
    HABITS,
    HELPERS,
    INFINITIVE,
    INTRANSITIVE,
    LINKS,
    NOUNS,
    PAST_TIMES,
    SELF_VERBS,
    SELVES,
    STATES,
    THINGS,
    TRANSITIVE,
)

WEIGHTS = {
    "agreement_be": 3.0,
    "agreement_verb": 2.0,
    "determiner": 1.5,
    "reflexive": 1.5,
    "tense": 1.5,
    "auxiliary": 1.5,
    "case": 1.0,
    "order": 2.0,
    "missing_verb": 1.0,
}
Body = tuple[str, str, dict[str, int]]


def draw_sentence(picker: Picker, label: int) -> Example:
    """A sentence that is grammatical (`label` 1) or has one error (0)."""
    phenomenon = picker.draw.weighted(WEIGHTS)
    body, key, extra = RULES[phenomenon](picker, bool(label))
    carrier = picker.template(CARRIERS)
    text = sentence(
        carrier.format(body=body, relative=picker.word(RELATIVES) if "{relative}" in carrier else "")
    )
    return Example(
        texts=(text,),
        label=label,
        factors={"phenomenon": phenomenon, "plural": 0, "attractor": 0, **extra, "key": key, **picker.flags},
        answers={"grammar": "right" if label else "wrong", "key": key},
        key=(key,),
    )


def _subject(picker: Picker) -> tuple[str, int, int]:
    """A subject, half of the time with a second noun after it.

    Returns:
        The words, whether the subject is plural, and whether the second noun is of another number.
    """
    plural = int(picker.draw.chance(0.5))
    text = "the " + picker.word(NOUNS).split("/")[plural]
    if not picker.draw.chance(0.5):
        return text, plural, 0
    other = int(picker.draw.chance(0.5))
    return (
        f"{text} {picker.word(LINKS)} the {picker.word(THINGS).split('/')[other]}",
        plural,
        int(other != plural),
    )


def _time(picker: Picker, pool: Pool[str]) -> str:
    return picker.word(pool).format(
        day=picker.draw.choice(DAYS.seen), season=picker.draw.choice(SEASONS.seen)
    )


def _agreement_be(picker: Picker, right: bool) -> Body:
    subject, plural, attractor = _subject(picker)
    verb = picker.word(COPULAS).split("/")[plural if right else 1 - plural]
    return (
        f"{subject} {verb} {picker.word(STATES)}",
        verb.split()[0],
        {"plural": plural, "attractor": attractor},
    )


def _agreement_verb(picker: Picker, right: bool) -> Body:
    subject, plural, attractor = _subject(picker)
    base, third, _ = picker.word(INTRANSITIVE).split("/")
    verb = base if plural == right else third
    return f"{subject} {verb} {_time(picker, HABITS)}", verb, {"plural": plural, "attractor": attractor}


def _determiner(picker: Picker, right: bool) -> Body:
    plural = int(picker.draw.chance(0.5))
    thing = picker.word(THINGS).split("/")[plural]
    word = picker.word(DETERMINERS).split("/")[plural if right else 1 - plural]
    subject = picker.word(NOUNS).split("/")[picker.draw.below(2)]
    return f"the {subject} {picker.word(TRANSITIVE).split('/')[1]} {word} {thing}", word, {"plural": plural}


def _reflexive(picker: Picker, right: bool) -> Body:
    noun, self_word = picker.word(SELVES).split("/")
    if not right:
        self_word = {"himself": "herself", "herself": "himself"}[self_word]
    return f"the {noun} {picker.word(SELF_VERBS)} {self_word} {_time(picker, PAST_TIMES)}", self_word, {}


def _tense(picker: Picker, right: bool) -> Body:
    plural = int(picker.draw.chance(0.5))
    noun = picker.word(NOUNS).split("/")[plural]
    base, _, past = picker.word(INTRANSITIVE).split("/")
    is_past = picker.draw.chance(0.5)
    verb = past if is_past == right else f"{FUTURE} {base}"
    time = _time(picker, PAST_TIMES if is_past else FUTURE_TIMES)
    return f"{time} the {noun} {verb}", verb.split()[0], {"plural": plural}


def _auxiliary(picker: Picker, right: bool) -> Body:
    plural = int(picker.draw.chance(0.5))
    noun = picker.word(NOUNS).split("/")[plural]
    thing = picker.word(THINGS).split("/")[picker.draw.below(2)]
    base, past = picker.word(TRANSITIVE).split("/")
    helper = picker.draw.choice((*HELPERS.seen, ""))
    verb = (base if right else past) if helper else (past if right else f"{INFINITIVE} {base}")
    return f"the {noun} {helper} {verb} the {thing}", verb.split()[-1], {"plural": plural}


def _case(picker: Picker, right: bool) -> Body:
    nominative, accusative = picker.word(CASE).split("/")
    noun = picker.word(NOUNS).split("/")[picker.draw.below(2)]
    past = picker.word(CASE_VERBS)
    if picker.draw.chance(0.5):
        word = nominative if right else accusative
        return f"{word} {past} the {noun} {_time(picker, PAST_TIMES)}", word, {}
    word = accusative if right else nominative
    return f"the {noun} {past} {word} {_time(picker, PAST_TIMES)}", word, {}


def _plain(picker: Picker) -> tuple[list[str], int]:
    plural = int(picker.draw.chance(0.5))
    noun = picker.word(NOUNS).split("/")[plural]
    past = picker.word(TRANSITIVE).split("/")[1]
    thing = picker.word(THINGS).split("/")[picker.draw.below(2)]
    return ["the", picker.word(STATES), noun, past, "the", picker.word(STATES), thing], plural


def _order(picker: Picker, right: bool) -> Body:
    body, plural = _plain(picker)
    if not right:
        first = picker.draw.choice((0, 1, 4, 5))
        body[first], body[first + 1] = body[first + 1], body[first]
    return f"{' '.join(body)} {_time(picker, PAST_TIMES)}", body[2], {"plural": plural}


def _missing_verb(picker: Picker, right: bool) -> Body:
    body, plural = _plain(picker)
    key = body[3]
    if not right:
        del body[3]
    return f"{' '.join(body)} {_time(picker, PAST_TIMES)}", key, {"plural": plural}


RULES: dict[str, Callable[[Picker, bool], Body]] = {
    "agreement_be": _agreement_be,
    "agreement_verb": _agreement_verb,
    "determiner": _determiner,
    "reflexive": _reflexive,
    "tense": _tense,
    "auxiliary": _auxiliary,
    "case": _case,
    "order": _order,
    "missing_verb": _missing_verb,
}
