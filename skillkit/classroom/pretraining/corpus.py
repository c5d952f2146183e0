"""The pretraining corpus of the mini models: lines that ask a question about a text.

A line is an answer slot, a prefix of 1 to 18 words, and a text or pair. The prefix is idle talk except for
some question words, and the slot's target is the answer to that question about the text. A prefix that asks
nothing has no right answer; its target is every label word alike.

A soft prompt takes the prefix's place later: prompt tuning has to find, without words, the question to ask.
The texts are the grammars' (`classroom.documents`) and shorter ones made of a word or two (`glossary`), in
the order of a curriculum (`curriculum`). Both models read the same lines; `batches` turns them into token
ids.

Lines without a prefix, whose words only had to be restored, were tried and left out: with a quarter of them,
neither model learnt to tell good from bad in the time that it takes without them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np

from skillkit.classroom.documents import Document, corpus_documents, draw_document
from skillkit.classroom.drawing import Draw
from skillkit.classroom.pretraining.curriculum import FOCUS_KINDS, Lesson, Stage, lesson
from skillkit.classroom.pretraining.glossary import draw_entry
from skillkit.classroom.vocabulary import vocabulary

FILLER_WORDS = (
    *("please", "read", "this", "short", "line", "and", "then", "say", "what", "it", "holds", "tell", "us"),
    *("in", "one", "word", "here", "comes", "now", "so", "well", "look", "ask", "answer", "note", "think"),
    *("about", "the", "next", "text", "with", "care", "my", "your", "given", "below", "as", "for"),
)
"""Idle words of a prefix: they ask nothing."""

QUESTION_WORDS: dict[str, tuple[str, ...]] = {
    "mood": ("opinion", "verdict"),
    "negated": ("negated", "denied"),
    "contrast": ("contrast", "concession"),
    "topic": ("topic", "theme"),
    "truth": ("truth", "status"),
    "entailed": ("entailed", "implied"),
    "same": ("paraphrase", "equivalent"),
    "relation": ("relation", "change"),
    "grammar": ("grammar", "syntax"),
    "phenomenon": ("phenomenon", "construction"),
    "number": ("number", "count"),
    "gender": ("gender", "sex"),
    "changed": ("odd", "new"),
    "excuse": ("excuse", "justified"),
    "reason": ("reason", "grounds"),
}
"""Question -> the words that ask it."""

LABEL_QUESTIONS = ("mood", "topic", "truth", "entailed", "same", "grammar", "excuse")
"""The questions whose answers are the tasks' label words."""

FACTOR_QUESTIONS = ("relation", "phenomenon", "reason")
"""Generating factors that are asked for too, because they lead to the label."""

GLOSSARY = 0.25  # share of all lines whose text is a glossary entry
LABEL_SHARE = 0.7  # share of label questions among the questions, where a text has others too
TYPO = 0.05  # share of texts with a typo


@dataclass(frozen=True)
class Line:
    """A text or pair, the prefix before it, and the expected answer (None where nothing is asked)."""

    first: str
    second: str | None
    prefix: tuple[str, ...]
    answer: str | None


def draw_lines(generator: np.random.Generator, count: int, chosen: Lesson | None = None) -> list[Line]:
    """Draw lines of a lesson, the last one of the curriculum unless told otherwise."""
    draw = Draw("pretraining lines", generator.integers(2**62))
    wanted = chosen or lesson(10**6)
    return [_line(_document(draw, wanted), draw, wanted.unasked) for _ in range(count)]


def _document(draw: Draw, chosen: Lesson) -> Document:
    """A text of the grammars or, for a quarter of them and where the text does not fit, a glossary entry."""
    stage = chosen.stage
    if stage.focus and draw.chance(stage.focused):
        focus = draw.choice(stage.focus)
        return (
            _compared(draw, focus, stage) if focus in ("changed", "pairs") else _practice(draw, focus, stage)
        )
    if not draw.chance(GLOSSARY):
        document = draw_document(draw)
        fits = sum(len(text.split()) for text in document.texts) <= chosen.longest
        if fits and (not document.answers or set(document.answers) & set(chosen.questions)):
            return document
    return draw_entry(draw, chosen.questions)


def _practice(draw: Draw, focus: str, stage: Stage) -> Document:
    """A glossary entry or a text about a question in focus."""
    if draw.chance(stage.entries):
        return draw_entry(draw, (focus,))
    return draw_document(draw, FOCUS_KINDS[focus])


def _compared(draw: Draw, focus: str, stage: Stage) -> Document:
    """A pair with one question about it: which word is new, or else, as often, whether both mean the same."""
    while True:
        document = _practice(draw, "pairs", stage)
        same = document.answers["same"]
        new = "same" if same == "same" else _new_word(document)
        if focus == "changed" and new in (None, "same"):
            continue
        asked = "changed" if new and (focus == "changed" or draw.chance(0.5)) else "same"
        return replace(document, factors={}, answers={asked: str(new) if asked == "changed" else same})


def _new_word(document: Document) -> str | None:
    """The word by which the second text of a pair means something else; None if there is no single one."""
    first, second = (text.split() for text in document.texts)
    if document.kind == "glossary":
        new = [word for word in second if word not in first]
        return new[0] if len(new) == 1 else None
    key = str(document.factors["key"])
    return key if key not in first else None


def _line(document: Document, draw: Draw, unasked: float) -> Line:
    texts = [_with_typo(text, draw) if draw.chance(TYPO) else text for text in document.texts]
    first, second = texts[0], texts[1] if len(texts) == 2 else None
    answers = line_answers(document)
    if not answers or draw.chance(unasked):
        return Line(first, second, _prefix(draw, None), None)
    chosen = [question for question in answers if question in LABEL_QUESTIONS]
    others = [question for question in answers if question not in LABEL_QUESTIONS]
    label = not others or (bool(chosen) and draw.chance(LABEL_SHARE))
    question = draw.choice(chosen if label else others)
    return Line(first, second, _prefix(draw, question), answers[question])


def line_answers(document: Document) -> dict[str, str]:
    """Question -> one-token answer for a document."""
    factors = {
        name: str(document.factors[name]).replace("_", "-")
        for name in FACTOR_QUESTIONS
        if name in document.factors
    }
    return {
        name: answer
        for name, answer in {**document.answers, **factors}.items()
        if name in QUESTION_WORDS and " " not in answer
    }


def _prefix(draw: Draw, question: str | None) -> tuple[str, ...]:
    """1 to 18 words: 1 to about half of them ask the question, if there is one; the others ask nothing."""
    length = 16 if draw.chance(0.25) else 1 + draw.below(18 if draw.chance(0.4) else 6)
    idle = _idle_words() if draw.chance(0.5 if question is None else 0.1) else FILLER_WORDS
    prefix = [draw.choice(idle) for _ in range(length)]
    if question is not None:
        for place in draw.shuffled(range(length))[: 1 + draw.below(1 + length // 2)]:
            prefix[place] = draw.choice(QUESTION_WORDS[question])
    return tuple(prefix)


def _with_typo(text: str, draw: Draw) -> str:
    """The text with a letter of one longer word left out, doubled, or exchanged with the next."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 3]
    if long:
        place = draw.choice(long)
        word = words[place]
        at = draw.below(len(word) - 1)
        one, two = word[at], word[at + 1]
        words[place] = word[:at] + draw.choice((two, one + one + two, two + one)) + word[at + 2 :]
    return " ".join(words)


@lru_cache(maxsize=1)
def _idle_words() -> tuple[str, ...]:
    asking = {word for words in QUESTION_WORDS.values() for word in words}
    return tuple(word for word in vocabulary() if word.isalpha() and word not in asking)


@lru_cache(maxsize=1)
def _answers() -> dict[str, set[str]]:
    """Question -> its answers in a large piece of the corpus."""
    found: dict[str, set[str]] = {}
    for document in islice(corpus_documents(0), 20_000):
        for question, answer in line_answers(document).items():
            found.setdefault(question, set()).add(answer)
    return found


def label_words() -> list[str]:
    """The answers to the label questions, sorted: the label words of all tasks."""
    return sorted(set().union(*(_answers()[question] for question in LABEL_QUESTIONS)))


def tokenizer_words() -> set[str]:
    """Every word that is one token: the grammar's, and those of prefixes and answers."""
    asked = {word for words in QUESTION_WORDS.values() for word in words}
    return {*vocabulary(), *FILLER_WORDS, *asked, *set().union(*_answers().values())}
