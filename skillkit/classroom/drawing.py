"""What every bundled grammar shares: seeded choices, pools of words with a held-out part, and an example.

Only `random.Random.random()` is used to make a choice, because it is the one method whose stream Python
promises never to change; seeds come from a SHA-256 digest of readable parts. Hence the same sentences on
every machine and Python version.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Draw:
    """A stream of seeded choices, named by the parts of its seed: `Draw("film_sentiment", "train", 0)`."""

    def __init__(self, *parts: object) -> None:
        digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self._random.random() < probability

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        return int(self._random.random() * limit)

    def choice(self, items: Sequence[Item]) -> Item:
        """One item, all equally likely."""
        return items[self.below(len(items))]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """One key of `weights`, drawn in proportion to its weight."""
        point = self._random.random() * sum(weights.values())
        for key, weight in weights.items():
            point -= weight
            if point < 0:
                return key
        return key

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in a random order (Fisher–Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


@dataclass(frozen=True)
class Pool(Generic[Item]):
    """Interchangeable words or templates: `seen` for every split, `held` for the test split only."""

    seen: tuple[Item, ...]
    held: tuple[Item, ...] = ()

    @property
    def all(self) -> tuple[Item, ...]:
        """Both parts."""
        return self.seen + self.held


def words(seen: str, held: str = "") -> Pool[str]:
    """A pool from two lists of words separated by spaces."""
    return Pool(tuple(seen.split()), tuple(held.split()))


def phrases(seen: str, held: str = "") -> Pool[str]:
    """A pool from two lists of phrases separated by `|`."""
    return Pool(_split(seen), _split(held))


def _split(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split("|") if phrase.strip())


@dataclass(frozen=True)
class Template:
    """A sentence pattern with {slots}; `negated` lists the patterns that say the opposite."""

    name: str
    text: str
    negated: tuple[str, ...] = ()


class Picker:
    """Draws words and templates for one example, and remembers whether a held-out one was used.

    `words` and `templates` are the probabilities of taking a held-out item where a pool has one; `None`
    means that no difference is made between seen and held-out items (the pretraining corpus).
    """

    def __init__(self, draw: Draw, words: float | None = 0.0, templates: float | None = 0.0) -> None:
        self.draw = draw
        self._rates = {"word": words, "template": templates}
        self.held: set[str] = set()

    def word(self, pool: Pool[Item], *, but: Sequence[Item] = ()) -> Item:
        """One item of `pool` that is not in `but`."""
        return self._pick("word", pool, but)

    def template(self, pool: Pool[Item]) -> Item:
        """One sentence pattern of `pool`."""
        return self._pick("template", pool, ())

    def _pick(self, kind: str, pool: Pool[Item], but: Sequence[Item]) -> Item:
        seen, held = pool.seen, pool.held
        if but:
            seen = tuple(item for item in seen if item not in but)
            held = tuple(item for item in held if item not in but)
        rate = self._rates[kind]
        if rate is None:
            rate = len(held) / (len(seen) + len(held))
        if held and self.draw.chance(rate):
            self.held.add(kind)
            return self.draw.choice(held)
        return self.draw.choice(seen)

    @property
    def flags(self) -> dict[str, int | str]:
        """The two held-out factors of the example drawn so far."""
        return {"held_out_word": int("word" in self.held), "held_out_template": int("template" in self.held)}


@dataclass(frozen=True)
class Example:
    """One drawn example, before label noise.

    `texts`: one string per text column. `label`: what a reader would say. `factors`: how it was generated.
    `answers`: the same knowledge as one-word answers to one-word questions, for the pretraining corpus.
    `key`: words that decide the label (attacks aim at them).
    """

    texts: tuple[str, ...]
    label: int
    factors: dict[str, int | str]
    answers: dict[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()


def sentence(text: str) -> str:
    """Tidy a filled-in template: single spaces, `an` before vowels, tight punctuation, a full stop."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([.,?!:])", r"\1", text)
    text = re.sub(r"\ban? (?=[a-z])", "a ", text)
    text = re.sub(r"\ba (?=(?!uni|use|one)[aeiou]|hour)", "an ", text)
    return text if text[-1] in ".?!" else text + "."


def tokens(text: str) -> list[str]:
    """The words and punctuation marks of a text, in order."""
    return re.findall(r"[a-z]+|[^\sa-z]", text)


def bucket(texts: Sequence[str]) -> str:
    """The split a text (or pair, in either order) belongs to, from its hash: about 1/5 test, 1/10 validation.

    Because the split is a property of the text, no text is ever in two splits, whatever the seed, and the
    pretraining corpus can leave out every possible test text.
    """
    first = hashlib.sha256("\n".join(sorted(texts)).encode()).digest()[0]
    return "test" if first < 51 else "validation" if first < 77 else "train"
