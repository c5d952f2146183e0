"""Glossary lines of the pretraining corpus: the tasks' questions about a word or two instead of a sentence.

`("gripping",)` has the mood good, `("a boy", "a child")` is entailed, `("how can i", "how do i")` ask the
same. A tiny model learns from such short lines what words mean to each other long before it could from
sentences, where so much else goes on. They are drawn from the lexicons, held-out words included, and are no
texts of any task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from skillkit.classroom.documents import Document
from skillkit.classroom.drawing import Draw
from skillkit.classroom.grammar.scenes import ANSWERS
from skillkit.classroom.lexicon.attacks import SYNONYMS
from skillkit.classroom.lexicon.chores import CHORES
from skillkit.classroom.lexicon.common import DAYS, SEASONS
from skillkit.classroom.lexicon.questions import ACTIONS, DETAILS, INTENTS
from skillkit.classroom.lexicon.reviews import (
    BAD,
    BAD_NOUNS,
    BAD_VERBS,
    CONTRAST_FRAMES,
    DOMAINS,
    GOOD,
    GOOD_NOUNS,
    GOOD_VERBS,
)
from skillkit.classroom.lexicon.scenes import ADJECTIVES, HOME, PARK, VERBS, Verb
from skillkit.classroom.lexicon.sentences import (
    CASE,
    CASE_VERBS,
    COPULAS,
    DETERMINERS,
    FUTURE,
    FUTURE_TIMES,
    HELPERS,
    INTRANSITIVE,
    NOUNS,
    PAST_TIMES,
    SELVES,
    THINGS,
    TRANSITIVE,
)
from skillkit.classroom.lexicon.topics import SUBJECTS, TOPICS

_CONTRASTS = tuple(frame.text for frame in CONTRAST_FRAMES.all if "{minor}" in frame.text)

SHARES: dict[str, float] = {
    "mood": 5,
    "topic": 1,
    "truth": 6,
    "same": 3,
    "grammar": 1.5,
    "excuse": 1,
    "clauses": 1,
    "pairs": 1,
    "number": 2,
    "gender": 1,
}
#: Kinds of entries that are about another kind's question.
ABOUT = {"clauses": "mood", "pairs": "same"}
QUESTIONS = tuple(name for name in SHARES if name not in ABOUT)


def draw_entry(draw: Draw, questions: Sequence[str] = QUESTIONS) -> Document:
    """One glossary line about one of the questions, of the kind "glossary"."""
    question = draw.weighted({name: SHARES[name] for name in questions})
    texts, answer = _RULES[question](draw)
    answers = {ABOUT.get(question, question): answer}
    if question == "truth":
        answers["entailed"] = "yes" if answer == "yes" else "no"
    return Document("glossary", texts, {}, answers)


@lru_cache(maxsize=1)
def _judging_words() -> dict[int, tuple[str, ...]]:
    """Polarity -> the words that have it."""
    found = {}
    for sign, (adjectives, nouns, verbs) in {
        1: (GOOD, GOOD_NOUNS, GOOD_VERBS),
        -1: (BAD, BAD_NOUNS, BAD_VERBS),
    }.items():
        local = [
            word for domain in DOMAINS.values() for word in (domain.good if sign > 0 else domain.bad).all
        ]
        words = [
            *adjectives.all,
            *local,
            *nouns.all,
            *(form for verb in verbs.all for form in verb.split("/")),
        ]
        found[sign] = tuple(sorted({*words, *(SYNONYMS[word] for word in words if word in SYNONYMS)}))
    return found


def _mood(draw: Draw) -> tuple[tuple[str, ...], str]:
    """A list of words of one polarity, or one word, with or without a negation."""
    sign = draw.choice((1, -1))
    words = _judging_words()[sign]
    answer = "good" if sign > 0 else "bad"
    if draw.chance(0.6):
        return (_list(draw, words),), answer
    if draw.chance(0.5):
        return (draw.choice(words),), answer
    return (f"{draw.choice(('not', 'never'))} {draw.choice(words)}",), "bad" if sign > 0 else "good"


def _clauses(draw: Draw) -> tuple[tuple[str, ...], str]:
    """A judging word, often negated, alone or with one of the other mood that a contrast sets aside."""
    sign = draw.choice((1, -1))
    main, minor = (_judgement(draw, polarity) for polarity in (sign, -sign))
    text = draw.choice(_CONTRASTS).format(main=main, minor=minor) if draw.chance(0.6) else main
    return (text,), "good" if sign > 0 else "bad"


def _judgement(draw: Draw, polarity: int) -> str:
    negated = draw.chance(0.35)
    word = draw.choice(_judging_words()[-polarity if negated else polarity])
    return f"{draw.choice(('not', 'never'))} {word}" if negated else word


def _list(draw: Draw, words: Sequence[str]) -> str:
    """2 to 6 of the words: such lists show which words belong together, as much text would."""
    return " ".join(draw.choice(words) for _ in range(2 + draw.below(5)))


def _topic(draw: Draw) -> tuple[tuple[str, ...], str]:
    topic = draw.choice(TOPICS)
    subject = SUBJECTS[topic]
    pool = draw.choice((subject.agents, subject.verbs, subject.objects, subject.places, subject.events))
    return (draw.choice(draw.choice(pool.all).split("/")),), topic


def _truth(draw: Draw) -> tuple[tuple[str, ...], str]:
    """Two phrases in one of the relations of the inference grammar."""
    world = draw.choice((PARK, HOME))
    article = "a" if world.progressive else "the"
    groups = world.agents if draw.chance(0.5) else world.objects
    group = draw.choice(list(groups))
    word = draw.choice(groups[group].all)
    kind = draw.weighted(
        {"general": 3, "detail": 2, "state": 4, "verb": 2, "same": 1, "other": 1, "nobody": 0.5}
    )
    if kind == "state":
        return _states(draw, world.states[draw.choice(list(world.states))].all)
    if kind == "verb":
        return _verbs(draw, [verb for verbs in world.acts.values() for verb in verbs], world.progressive)
    if kind == "general":
        pair = (f"{article} {word}", f"{article} {group}")
        return (pair, ANSWERS["entailment"]) if draw.chance(0.5) else (pair[::-1], ANSWERS["neutral"])
    if kind == "detail":
        detail = draw.choice(
            (f"{draw.choice(ADJECTIVES.all)} {word}", f"{word} {draw.choice(world.places.all)}")
        )
        pair = (f"{article} {detail}", f"{article} {word}")
        return (pair, ANSWERS["entailment"]) if draw.chance(0.5) else (pair[::-1], ANSWERS["neutral"])
    if kind == "nobody":
        return (f"{article} {word}", "nobody"), ANSWERS["contradiction"]
    other = word
    while kind == "other" and other == word:
        other = draw.choice(groups[draw.choice(list(groups))].all)
    answer = ANSWERS["neutral"] if kind == "other" else ANSWERS["entailment"]
    return (f"{article} {word}", f"{article} {other}"), answer


def _states(draw: Draw, states: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    pair = draw.choice(states)
    state, opposite = draw.shuffled(pair.split("/"))
    relation = draw.choice(("same", "not", "opposite", "opposite not", "other"))
    if relation == "other":
        other = draw.choice(draw.choice([found for found in states if found != pair]).split("/"))
        return (state, f"not {other}" if draw.chance(0.5) else other), ANSWERS["neutral"]
    second = {"same": state, "not": f"not {state}", "opposite": opposite, "opposite not": f"not {opposite}"}[
        relation
    ]
    return (state, second), ANSWERS["entailment" if relation in ("same", "opposite not") else "contradiction"]


def _verbs(draw: Draw, verbs: list[Verb], progressive: bool) -> tuple[tuple[str, ...], str]:
    verb = draw.choice(verbs)
    word = verb.form(progressive)
    relation = draw.choice(("same", "not", "opposite", "other"))
    if relation == "opposite" and verb.anti:
        return (word, VERBS[verb.anti].form(progressive)), ANSWERS["contradiction"]
    if relation == "other":
        others = [other for other in verbs if other.base not in (verb.base, verb.anti)]
        return (word, draw.choice(others).form(progressive)), ANSWERS["neutral"]
    if relation == "same":
        return (word, word), ANSWERS["entailment"]
    return (word, f"not {word}"), ANSWERS["contradiction"]


def _same(draw: Draw) -> tuple[tuple[str, ...], str]:
    """Two pieces of questions, or two lists of words of questions, that mean the same or not."""
    return _pieces(draw) if draw.chance(0.5) else _lists(draw)


def _pairs(draw: Draw) -> tuple[tuple[str, ...], str]:
    """The same with more lists."""
    return _pieces(draw) if draw.chance(0.25) else _lists(draw)


def _pieces(draw: Draw) -> tuple[tuple[str, ...], str]:
    """Two pieces of questions that mean the same or not."""
    same = draw.chance(0.5)
    kind = draw.choice(("verb", "thing", "detail", "intent"))
    if kind == "intent":
        names = draw.shuffled(list(INTENTS))
        first, second = (draw.choice(INTENTS[name].all) for name in (names[0], names[0 if same else 1]))
        pieces = [pattern.split(" {verb}")[0] for pattern in (first, second)]
    elif kind == "verb":
        names = draw.shuffled(list(ACTIONS))
        one, two = draw.shuffled(names[0].split("/"))
        pieces = [one, two if same else draw.choice(names[1].split("/"))]
    else:
        pool = (
            ACTIONS[draw.choice(list(ACTIONS))].all
            if kind == "thing"
            else DETAILS[draw.choice(list(DETAILS))].all
        )
        one, two, *_ = draw.shuffled(pool)
        pieces = [one, one if same else two]
    return tuple(pieces), "same" if same else "different"


def _lists(draw: Draw) -> tuple[tuple[str, ...], str]:
    """One to four words of questions, twice, in the same or another order, often one of them replaced."""
    count = 1 + draw.below(4)
    new, *first = draw.shuffled(_question_words())[: count + 1]
    second = draw.shuffled(first) if draw.chance(0.5) else list(first)
    changed = draw.chance(0.5)
    if changed:
        second[draw.below(count)] = new
    return (" ".join(first), " ".join(second)), "different" if changed else "same"


@lru_cache(maxsize=1)
def _question_words() -> tuple[str, ...]:
    """The words that carry a question's meaning: what is done, to what, and where, for whom or when."""
    things = [thing.split()[-1] for pool in ACTIONS.values() for thing in pool.all]
    verbs = [verb for pair in ACTIONS for verb in pair.split("/")]
    details = [detail.split()[-1] for pool in DETAILS.values() for detail in pool.all]
    return tuple(sorted({*things, *verbs, *details}))


def _grammar(draw: Draw) -> tuple[tuple[str, ...], str]:
    """A few words that fit together or not.

    A noun stands with its verb, determiner or reflexive, a verb with its helper, pronoun or time.
    """
    right = draw.chance(0.5)
    kind = draw.choice(("number", "number", "number", "reflexive", "auxiliary", "case", "tense"))
    text = {
        "number": _agreement,
        "reflexive": _reflexive,
        "auxiliary": _auxiliary,
        "case": _case,
        "tense": _tense,
    }[kind](draw, right)
    return (text,), "right" if right else "wrong"


def _agreement(draw: Draw, right: bool) -> str:
    plural = draw.below(2)
    fits = plural if right else 1 - plural
    if draw.chance(0.3):
        return f"{draw.choice(DETERMINERS.all).split('/')[fits]} {draw.choice(THINGS.all).split('/')[plural]}"
    noun = draw.choice(NOUNS.all + THINGS.all).split("/")[plural]
    if draw.chance(0.5):
        return f"{noun} {draw.choice(COPULAS.all).split('/')[fits]}"
    return f"{noun} {draw.choice(INTRANSITIVE.all).split('/')[1 - fits]}"


def _reflexive(draw: Draw, right: bool) -> str:
    noun, fitting = draw.choice(SELVES.all).split("/")
    other = {"himself": "herself", "herself": "himself"}[fitting]
    return f"{noun} {fitting if right else other}"


def _auxiliary(draw: Draw, right: bool) -> str:
    base, past = draw.choice(TRANSITIVE.all).split("/")
    return f"{draw.choice(HELPERS.all)} {base if right else past}"


def _case(draw: Draw, right: bool) -> str:
    nominative, accusative = draw.choice(CASE.all).split("/")
    verb = draw.choice(CASE_VERBS.all)
    if draw.chance(0.5):
        return f"{nominative if right else accusative} {verb}"
    return f"{verb} {accusative if right else nominative}"


def _tense(draw: Draw, right: bool) -> str:
    base, _, past = draw.choice(INTRANSITIVE.all).split("/")
    is_past = draw.chance(0.5)
    time = draw.choice((PAST_TIMES if is_past else FUTURE_TIMES).all)
    when = time.format(day=draw.choice(DAYS.seen), season=draw.choice(SEASONS.seen))
    return f"{when} {past if is_past == right else f'{FUTURE} {base}'}"


def _number(draw: Draw) -> tuple[tuple[str, ...], str]:
    """One to three words that go with one, or with many."""
    plural = draw.below(2)
    if draw.chance(0.3):
        words = [verb.split("/")[1 - plural] for verb in INTRANSITIVE.all]
    else:
        pairs = draw.choice((NOUNS.all + THINGS.all, COPULAS.all, DETERMINERS.all))
        words = [pair.split("/")[plural] for pair in pairs]
    return (_few(draw, words),), ("one", "many")[plural]


def _gender(draw: Draw) -> tuple[tuple[str, ...], str]:
    """One to three words that mean a man, or a woman."""
    reflexive, answer = draw.choice((("himself", "he"), ("herself", "she")))
    nouns = [pair.split("/")[0] for pair in SELVES.all if pair.endswith(f"/{reflexive}")]
    return (_few(draw, [*nouns, reflexive]),), answer


def _few(draw: Draw, words: Sequence[str]) -> str:
    return " ".join(draw.choice(words) for _ in range(1 + draw.below(3)))


def _excuse(draw: Draw) -> tuple[tuple[str, ...], str]:
    """A chore and a broken thing that it needs or does not need."""
    chore = draw.choice(CHORES.all)
    valid = draw.chance(0.5)
    others = [other for other in CHORES.all if not set(other.needs) & set(chore.needs)]
    need = draw.choice(chore.needs if valid else draw.choice(others).needs)
    return (f"{chore.base} {chore.thing}", f"the {need} is broken"), "valid" if valid else "invalid"


_RULES: dict[str, Callable[[Draw], tuple[tuple[str, ...], str]]] = {
    "mood": _mood,
    "topic": _topic,
    "truth": _truth,
    "same": _same,
    "grammar": _grammar,
    "number": _number,
    "gender": _gender,
    "excuse": _excuse,
    "clauses": _clauses,
    "pairs": _pairs,
}
