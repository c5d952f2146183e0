"""Unlabelled text from the same grammars, for pretraining, and the vocabulary of everything bundled.

`corpus_documents(seed)` yields `Document`s without end, in a fixed order for a seed:
- `texts`: one text, or the two texts of a pair, spelled as in the tasks (lowercase, ordinary punctuation);
- `kind`: the clean task whose grammar drew it ("film_sentiment", …, "question_paraphrase"), or "remark" for plain lines;
- `factors`: the same factors as the task columns (without the prefix `factor_`);
- `answers`: one-word answers, all of them vocabulary words, to one-word questions about the text, for pretraining
  lines with an answer slot. Questions by kind:
  reviews: mood (bad/good), domain (film/food/gadget), subject, word, negated (yes/no), contrast (yes/no);
  topics: topic, agent, object; inference: truth (yes/maybe/no), entailed (yes/no), key; paraphrase: same
  (different/same); acceptability: grammar (wrong/right), key; excuses: excuse (invalid/valid); remarks: none.
Held-out words and templates occur as often as all others. Some words are replaced by synonyms, so that every
vocabulary word occurs. No text (or pair, in either order) that could be in any test split, of any seed, occurs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import (
    lexicon_attacks,
    lexicon_chores,
    lexicon_common,
    lexicon_questions,
    lexicon_reviews,
    lexicon_scenes,
    lexicon_sentences,
    lexicon_topics,
)
from .grammar import Draw, Picker, Pool, Template, bucket, sentence, tokens
from .grammar_reviews import remark
from .lexicon_attacks import CORPUS_LINES, reworded
from .tasks import TASKS

#: Share of each kind of document; pairs are harder and therefore more frequent.
SHARES: dict[str, float] = {
    "film_sentiment": 0.09,
    "food_sentiment": 0.09,
    "gadget_sentiment": 0.09,
    "daily_topic": 0.08,
    "park_entailment": 0.17,
    "home_inference": 0.17,
    "question_paraphrase": 0.14,
    "sentence_acceptability": 0.08,
    "chore_excuse": 0.07,
    "remark": 0.02,
}
#: Chance that a word with a synonym is replaced by it.
REWORD = 0.1


@dataclass(frozen=True)
class Document:
    """One pretraining text or pair with what is known about it."""

    kind: str
    texts: tuple[str, ...]
    factors: dict[str, int | str]
    answers: dict[str, str]


def corpus_documents(seed: int = 0, kinds: tuple[str, ...] | None = None) -> Iterator[Document]:
    """Documents without end; `kinds` restricts them to some kinds, in the same proportions."""
    draw = Draw("classroom", "corpus", seed)
    shares = {kind: share for kind, share in SHARES.items() if kinds is None or kind in kinds}
    while True:
        document = _draw_document(draw, draw.weighted(shares))
        if bucket(document.texts) != "test":
            yield document


def _draw_document(draw: Draw, kind: str) -> Document:
    picker = Picker(draw, words=None, templates=None)
    if kind == "remark":
        line = picker.word(CORPUS_LINES) if draw.chance(0.5) else remark(picker)
        return Document(kind, (sentence(line),), {}, {})
    task = TASKS[kind]
    example = task.rule(picker, draw.below(len(task.labels)))
    texts = tuple(reworded(text, draw, REWORD)[0] for text in example.texts)
    return Document(kind, texts, example.factors, example.answers)


def vocabulary() -> list[str]:
    """Every word and punctuation mark that a task, a label word, an answer, an attack (typos aside) or the corpus
    may use, sorted."""  # noqa: D205
    modules = (
        lexicon_attacks,
        lexicon_chores,
        lexicon_common,
        lexicon_questions,
        lexicon_reviews,
        lexicon_scenes,
        lexicon_sentences,
        lexicon_topics,
    )
    found: set[str] = set("a an the is are not did and . , ? ! : yes no film food gadget".split())
    found |= set("being was by nobody".split())
    for module in modules:
        for name, value in vars(module).items():
            if name.isupper():
                found |= _words_in(value)
    for task in TASKS.values():
        found |= set(task.label_words)
    return sorted(found)


def _words_in(value: object) -> set[str]:
    """All words of the strings in a nested constant; {slots} and template names are not words."""
    import re

    if isinstance(value, str):
        return set(tokens(re.sub(r"\{\w+\}|[/_]", " ", value)))
    if isinstance(value, Pool):
        return _words_in(value.all)
    if isinstance(value, Template):
        return _words_in((value.text, *value.negated))
    if isinstance(value, dict):
        return _words_in((tuple(value.keys()), tuple(value.values())))
    if isinstance(value, (tuple, list, set, frozenset)):
        return set().union(*map(_words_in, value)) if value else set()
    if hasattr(value, "__dataclass_fields__"):
        return _words_in(tuple(vars(value).values()))
    return set()
