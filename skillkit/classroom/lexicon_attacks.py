"""Synonyms for word-level attacks, and the lines that sentence-level and human-style attacks add."""

from __future__ import annotations

from .grammar import Draw, phrases, sentence, tokens

_GROUPS = """
great/grand | excellent/exquisite | wonderful/wondrous | awful/ghastly | terrible/abysmal | horrible/horrid
"""

#: word -> its synonyms
SYNONYMS: dict[str, tuple[str, ...]] = {}
for _group in _GROUPS.replace("\n", " ").split("|"):
    _first, *_rest = _group.strip().split("/")
    SYNONYMS[_first] = tuple(_rest)

CORPUS_LINES = phrases("two and two make four")


def reworded(text: str, draw: Draw, rate: float) -> tuple[str, int]:
    """The text with each word that has a synonym replaced with probability `rate`, and the number replaced."""
    count = 0
    out = []
    for token in tokens(text):
        if token in SYNONYMS and draw.chance(rate):
            token = draw.choice(SYNONYMS[token])
            count += 1
        out.append(token)
    return sentence(" ".join(out)), count
