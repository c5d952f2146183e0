"""The pretraining corpus of the mini models: lines that ask a question about a text.

A line is an answer slot, a prefix of 1 to 18 words, and a text or pair. The prefix is idle talk except for some question words,
and the slot's target is the answer to that question about the text. A prefix that asks nothing has no right answer;
its target is every label word alike. In half of the lines a tenth of the text's words are hidden too, and to be restored
(masked words, or removed spans). No target stands at a prefix position.

A soft prompt takes the prefix's place later: prompt tuning has to find, without words, the question to ask.
The texts are the grammars' (`classroom/documents.py`) and shorter ones made of a word or two (`glossary.py`), in the order
of a curriculum (`lesson`). Both models read the same lines. The batch of a given step depends on the seed and the step
alone, so training resumes without stored generator state.

Lines without a prefix, whose words only had to be restored, were tried and left out: with a quarter of them neither model learnt
to tell good from bad in the time it takes without them.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from skillkit.classroom.documents import Document, corpus_documents, draw_document
from skillkit.classroom.drawing import Draw
from skillkit.classroom.pretraining.glossary import draw_entry
from skillkit.classroom.pretraining.tokenizer import SENTINELS
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
OPENED_AT = {
    "mood": 0,
    "number": 0,
    "gender": 0,
    "same": 7_000,
    "grammar": 7_000,
    "topic": 7_300,
    "truth": 7_500,
    "excuse": 10_000,
}
"""Step from which a question is asked outside the practice of a stage ("entailed" with "truth")."""
TEXTS_FROM = 7_300
"""Step from which texts get longer than a few words."""


@dataclass(frozen=True)
class Stage:
    """Practice from the step `start` to the next stage's.

    A share `focused` of the lines is about the questions in `focus`, if there are any, and of these a share `entries` are glossary
    entries. "clauses" is the mood once more, with practice in what negation and contrast do to it. "changed" asks which word of a
    pair is new, "pairs" asks that, or whether one is. "number" asks whether a word goes with one or many,
    "gender" whether it means a man or a woman.
    """

    start: int
    focus: tuple[str, ...] = ()
    focused: float = 0.6
    entries: float = 0.4


STAGES = (
    Stage(0, ("changed",), 1.0, 1.0),
    Stage(2_000, ("pairs",), 1.0, 1.0),
    Stage(4_000, ("pairs", "number", "gender"), 0.9, 1.0),
    Stage(5_000, ("pairs", "grammar"), 0.9, 1.0),
    Stage(7_000),
    Stage(20_000, ("topic",)),
    Stage(21_000, ("mood",)),
    Stage(24_500, ("truth",)),
    Stage(28_000, ("clauses",)),
    Stage(32_000, ("pairs",)),
    Stage(35_000, ("grammar",)),
    Stage(37_000, ("excuse",)),
    Stage(39_000),
    Stage(40_000, ("pairs", "clauses", "truth", "excuse", "grammar"), 0.8),
    Stage(58_000),
)
"""What is practised when: each question is learnt in a short time when most lines are about it, or about a few.

Comparing comes first. Both fresh models learn in 1,500 steps which word of two short lists is new. With 1,000 steps on number and
gender before, each of them failed to in 2,500 steps in one of two tries; mini-roberta, once it had spent 32,000 steps on single
texts, took about 20,000 more. Whether words fit together mini-roberta learnt in 500 steps after 1,000 on number and gender, and not
in 3,000 after a curriculum that asked for neither (the entries of that one were fewer, too). All this is of one seed.
"""
FOCUS_KINDS = {
    "topic": ("daily_topic",),
    "mood": ("film_sentiment", "food_sentiment", "gadget_sentiment"),
    "truth": ("park_entailment", "home_inference"),
    "clauses": ("film_sentiment", "food_sentiment", "gadget_sentiment"),
    "excuse": ("chore_excuse",),
    "pairs": ("question_paraphrase",),
    "grammar": ("sentence_acceptability",),
}
FACTOR_QUESTIONS = ("relation", "phenomenon", "reason")
"""Generating factors that are asked for too, because they lead to the label."""

GLOSSARY = 0.25  # share of all lines whose text is a glossary entry
UNASKED = 0.04  # share of lines that ask nothing, which teaches that a random prompt has no answer
UNASKED_LATER, LATER = 0.15, 20_000  # their share from this step on
HIDDEN = 0.1  # share of words hidden in every other line, so that most answers can be told
LABEL_SHARE = 0.7  # share of label questions among the questions, where a text has others too
TYPO = 0.05  # share of texts with a typo

IGNORED = -100
_BLOCK = 16  # batches that are drawn together and sorted by length, so that little of a batch is padding


@dataclass(frozen=True)
class Line:
    """One line: a text or pair, the prefix before it, and the answer expected in the slot, None where nothing is asked."""

    first: str
    second: str | None
    prefix: tuple[str, ...]
    answer: str | None


@dataclass(frozen=True)
class Batch:
    """Token ids of one step.

    inputs, attention: [lines, width]. targets: [lines, width] (masked LM) or [lines, decoder positions]
    (encoder-decoder), IGNORED where nothing is to be predicted. answers: [lines], the answer's token in the slot,
    IGNORED where nothing is asked.
    """

    inputs: Tensor
    attention: Tensor
    targets: Tensor
    answers: Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on another device."""
        return Batch(
            self.inputs.to(device),
            self.attention.to(device),
            self.targets.to(device),
            self.answers.to(device),
        )


@dataclass(frozen=True)
class Lesson:
    """What the lines of a step are about: the stage's practice, and else which questions, in texts of how many words at most.

    A share `unasked` of all lines asks nothing: many such lines from the start would keep the model from finding out
    what the others ask.
    """

    stage: Stage
    questions: tuple[str, ...]
    longest: int
    unasked: float


def lesson(step: int) -> Lesson:
    """The curriculum: one question after the other, and of each first words, then short texts, then all.

    In a mixture from the start, the polarity of words drowns in sentences that negate and weigh them, and in
    the answers to other questions that the model cannot find yet.
    """
    return Lesson(
        [stage for stage in STAGES if step >= stage.start][-1],
        tuple(question for question, start in OPENED_AT.items() if step >= start),
        7 + max(0, step - TEXTS_FROM) // 60,
        UNASKED_LATER if step >= LATER else UNASKED,
    )


def draw_lines(generator: np.random.Generator, count: int, chosen: Lesson | None = None) -> list[Line]:
    """Return `count` lines of a lesson (the last one if None)."""
    draw = Draw("pretraining lines", generator.integers(2**62))
    wanted = chosen or lesson(10**6)
    return [_line(_document(draw, wanted), draw, wanted.unasked) for _ in range(count)]


def _document(draw: Draw, chosen: Lesson) -> Document:
    """A text of the grammars, or, a quarter of the time and where a text does not fit the lesson, a glossary entry."""
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
    """1 to 18 words, 1 to about half of which ask the question (none if it is None); the others are idle talk, or any words."""
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


class Batches:
    """The batches of a pretraining run for a model family ("masked-lm" or "encoder-decoder"), by step number."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        family: str,
        *,
        seed: int,
        batch_size: int = 32,
    ) -> None:
        self._tokenizer = tokenizer
        self._family = family
        self._seed = seed
        self._batch_size = batch_size
        self._block = -1
        self._batches: list[list[tuple[Line, list[int]]]] = []

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step (counted from 0), the same one whenever and in whatever order it is asked for."""
        block, place = divmod(step, _BLOCK)
        if block != self._block:
            self._batches, self._block = self._draw_block(block), block
        generator = np.random.default_rng([self._seed, zlib.crc32(b"masks"), step])
        lines = self._batches[place]
        if self._family == "masked-lm":
            return _masked_lm_batch(lines, self._tokenizer, generator)
        return _encoder_decoder_batch(lines, self._tokenizer, generator)

    def _draw_block(self, block: int) -> list[list[tuple[Line, list[int]]]]:
        generator = np.random.default_rng([self._seed, zlib.crc32(b"lines"), block])
        lines = draw_lines(generator, _BLOCK * self._batch_size, lesson(block * _BLOCK))
        firsts = [line.first for line in lines]
        encoded = [
            self._tokenizer(line.first, line.second)["input_ids"] if line.second is not None else ids
            for line, ids in zip(lines, self._tokenizer(firsts)["input_ids"], strict=True)
        ]
        pairs = sorted(zip(lines, encoded, strict=True), key=lambda pair: len(pair[1]) + len(pair[0].prefix))
        size = self._batch_size
        batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
        return [batches[index] for index in generator.permutation(len(batches))]


def _ids(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[str]) -> list[int]:
    found: Any = tokenizer.convert_tokens_to_ids(list(tokens))
    return list(found)


def _pad(rows: list[list[int]], value: int) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def _masked_lm_batch(
    lines: list[tuple[Line, list[int]]], tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> Batch:
    """`<mask>` prefix text: the answer is expected at the mask, and the hidden words where they were."""
    rows, targets = [], []
    for line, text in lines:
        ids = np.array(text)
        chosen = generator.random(len(ids)) < _hidden_share(generator)
        chosen &= ~np.isin(ids, tokenizer.all_special_ids)
        masked = chosen & (generator.random(len(ids)) < 0.9)
        asking = [tokenizer.mask_token_id, *_ids(tokenizer, line.prefix)]
        rows.append(asking + np.where(masked, tokenizer.mask_token_id, ids).tolist())
        targets.append([IGNORED] * len(asking) + np.where(chosen, ids, IGNORED).tolist())
    return _batch(rows, targets, lines, tokenizer)


def _encoder_decoder_batch(
    lines: list[tuple[Line, list[int]]], tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> Batch:
    """Prefix text: the answer is expected first, then the hidden spans."""
    rows, targets = [], []
    for line, text in lines:
        row, target = _hide_spans(text, _hidden_share(generator), tokenizer, generator)
        rows.append([*_ids(tokenizer, line.prefix), *row])
        targets.append([IGNORED, *target])
    return _batch(rows, targets, lines, tokenizer)


def _hidden_share(generator: np.random.Generator) -> float:
    return HIDDEN * float(generator.random() < 0.5)


def _batch(
    rows: list[list[int]],
    targets: list[list[int]],
    lines: list[tuple[Line, list[int]]],
    tokenizer: PreTrainedTokenizerFast,
) -> Batch:
    inputs = _pad(rows, tokenizer.pad_token_id)
    lengths = torch.tensor([len(row) for row in rows])
    attention = (torch.arange(inputs.shape[1]) < lengths[:, None]).long()
    answers = [IGNORED if line.answer is None else _ids(tokenizer, [line.answer])[0] for line, _ in lines]
    return Batch(inputs, attention, _pad(targets, IGNORED), torch.tensor(answers))


def _hide_spans(
    text: list[int], share: float, tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Replace spans of one to three words by sentinels; return the rest, and the sentinels each with what it hid."""
    special = set(tokenizer.all_special_ids)
    sentinels = iter(_ids(tokenizer, SENTINELS))
    row: list[int] = []
    target: list[int] = []
    place = 0
    while place < len(text):
        hidden = text[place : place + int(generator.integers(1, 4))]
        sentinel = None
        if generator.random() < share / 2 and not special & set(hidden):
            sentinel = next(sentinels, None)
        if sentinel is None:
            row.append(text[place])
            place += 1
        else:
            row.append(sentinel)
            target += [sentinel, *hidden]
            place += len(hidden)
    return row, [*target, tokenizer.eos_token_id]
