"""Unlabelled text from the same grammars, for pretraining.

`corpus_documents(seed)` yields `Document`s without end, in a fixed order for a seed, and
`draw_document(draw)` draws the next one of a stream of choices:
- `texts`: one text, or the two texts of a pair, spelled as in the tasks (lowercase, ordinary punctuation);
- `kind`: the clean task whose grammar drew it ("film_sentiment", …, "question_paraphrase"), or "remark" for
  plain lines;
- `factors`: the same factors as the task columns (without the prefix `factor_`);
- `answers`: one-word answers, all of them vocabulary words, to one-word questions about the text, for
  pretraining lines with an answer slot. Questions by kind: reviews: mood (bad/good), domain
  (film/food/gadget), subject, word, negated (yes/no), contrast (yes/no); topics: topic, agent, object;
  inference: truth (yes/maybe/no), entailed (yes/no), key; paraphrase: same (different/same); acceptability:
  grammar (wrong/right), key; excuses: excuse (invalid/valid); remarks: none.
Held-out words and templates occur as often as all others. Some words are replaced by synonyms, so that every
vocabulary word occurs. No text (or pair, in either order) that could be in any test split, of any seed,
occurs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from skillkit.classroom.drawing import Draw, Picker, bucket, sentence, tokens
from skillkit.classroom.grammar.reviews import remark
from skillkit.classroom.lexicon.attacks import (
    ASIDES,
    BAD_ASIDES,
    CORPUS_FRAMES,
    GOOD_ASIDES,
    SYNONYMS,
    TAUTOLOGIES,
    reworded,
)
from skillkit.classroom.lexicon.common import DAYS
from skillkit.classroom.tasks import TASKS

#: Share of each kind of document; pairs are harder and therefore more frequent.
SHARES: dict[str, float] = {
    "film_sentiment": 0.09,
    "food_sentiment": 0.09,
    "gadget_sentiment": 0.09,
    "daily_topic": 0.08,
    "park_entailment": 0.16,
    "home_inference": 0.16,
    "question_paraphrase": 0.14,
    "sentence_acceptability": 0.08,
    "chore_excuse": 0.07,
    "remark": 0.04,
}
#: Chance that a word with a synonym is replaced by it.
REWORD = 0.15


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
    while True:
        yield draw_document(draw, kinds)


def draw_document(draw: Draw, kinds: tuple[str, ...] | None = None) -> Document:
    """The next document of a stream of choices."""
    shares = {kind: share for kind, share in SHARES.items() if kinds is None or kind in kinds}
    while True:
        document = _any_document(draw, draw.weighted(shares))
        if bucket(document.texts) != "test":
            return document


def _any_document(draw: Draw, kind: str) -> Document:
    picker = Picker(draw, words=None, templates=None)
    if kind == "remark":
        return Document(kind, (_plain_line(picker),), {}, {})
    task = TASKS[kind]
    example = task.rule(picker, draw.below(len(task.labels)))
    texts = tuple(reworded(text, draw, REWORD)[0] for text in example.texts)
    present = {word for text in texts for word in tokens(text)}
    answers = {
        question: SYNONYMS[answer] if answer not in present and SYNONYMS.get(answer) in present else answer
        for question, answer in example.answers.items()
    }
    return Document(kind, texts, example.factors, answers)


def _plain_line(picker: Picker) -> str:
    """A line that no task asks about, in which the words of distractors and rewrites occur."""
    kind = picker.draw.below(4)
    if kind == 0:
        return sentence(remark(picker))
    aside = picker.word(picker.draw.choice((ASIDES, GOOD_ASIDES, BAD_ASIDES)))
    line = aside.format(day=picker.word(DAYS))
    if kind == 1:
        return sentence(line)
    if kind == 2:
        return sentence(f"{line} {picker.word(TAUTOLOGIES)}")
    return sentence(picker.word(picker.draw.choice(CORPUS_FRAMES)).format(text=remark(picker)))
