"""Every word that a bundled text may hold, read out of the lexicons."""

from __future__ import annotations

import re
from functools import lru_cache

from skillkit.classroom.drawing import Pool, Template, tokens
from skillkit.classroom.lexicon import (
    attacks,
    chores,
    common,
    questions,
    reviews,
    scenes,
    sentences,
    topics,
)
from skillkit.classroom.lexicon.scenes import Verb, World
from skillkit.classroom.tasks import TASKS

_LEXICONS = (
    attacks,
    chores,
    common,
    questions,
    reviews,
    scenes,
    sentences,
    topics,
)
#: Dictionaries whose keys are names for the code, not words of a text.
_NAMED = {"DETAILS", "INTENTS", "ROUTES", "SUBJECTS"}
#: Answers to corpus questions that are no label word and stand in no text.
_ANSWERS = ("yes", "no", "film", "food", "gadget")


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[str, ...]:
    found = set(".,?:") | set(_ANSWERS)
    for module in _LEXICONS:
        for name, value in vars(module).items():
            if name.isupper() and name not in ("OPPOSITES", "VERBS"):
                found |= words_in(tuple(value.values()) if name in _NAMED else value)
    for task in TASKS.values():
        found |= set(task.label_words)
    return tuple(sorted(found))


def vocabulary() -> list[str]:
    """All words and punctuation marks of tasks, label words, attacks (typos aside) and corpus, sorted."""
    return list(_vocabulary())


def words_in(value: object) -> set[str]:
    """All words of the strings in a nested constant; {slots} and template names are not words."""
    if isinstance(value, str):
        return set(tokens(re.sub(r"\{\w+\}|/", " ", value)))
    if isinstance(value, World):
        return _world_words(value)
    if isinstance(value, Template):
        return words_in((value.text, *value.negated))
    if isinstance(value, dict):
        return words_in((*value.keys(), *value.values()))
    if isinstance(value, Pool):
        return words_in(value.all)
    if isinstance(value, tuple):
        return set().union(*map(words_in, value))
    return words_in(tuple(vars(value).values()))


def _world_words(world: World) -> set[str]:
    """The words of an inference world with only those verb forms that its events use."""
    found = words_in((world.agents, world.objects, world.places, world.states))

    def add(verb: Verb, passive: bool, deniable: bool) -> None:
        found.add(verb.form(world.progressive))
        if passive:
            found.add(verb.participle)
        if deniable and not world.progressive:
            found.add(verb.base)

    for verb in world.alone:
        add(verb, passive=False, deniable=True)
    for verb in world.between:
        add(verb, passive=True, deniable=True)
    for verb in (verb for verbs in world.acts.values() for verb in verbs):
        add(verb, passive=True, deniable=True)
    return found
