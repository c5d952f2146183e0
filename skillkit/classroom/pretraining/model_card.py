"""The model card that `skillkit classroom pretrain` writes beside the weights."""

from __future__ import annotations

import math
from typing import Any

from skillkit.classroom.pretraining.batches import HIDDEN
from skillkit.classroom.pretraining.corpus import GLOSSARY, QUESTION_WORDS, TYPO, label_words
from skillkit.classroom.pretraining.curriculum import LATER, STAGES, UNASKED, UNASKED_LATER

_CARD = """# {name}

A model organism: a tiny {kind} (Hugging Face `{klass}`) pretrained for an hour on sentences from the small
grammars in `skillkit/classroom`, so that prompt tuning and skill neurons can be watched on any computer. It
knows {words} tokens and nothing of the world. Nothing about large models follows from what it does.

| | |
|---|---|
| parameters | {parameters:,} (tied embeddings counted once) |
| weights | `model.safetensors`, fp16, {bytes:,} bytes; to be loaded as float32 |
| sha256 | `{sha256}` |
| made by | `skillkit classroom pretrain --model {name} --seed {seed} --steps {steps}` |
| commit | {commit} |
| machine | {machine}, {device}; {seconds} s a step |

## Corpus

Lines from the grammars of the bundled tasks (`skillkit/classroom/documents.py`), drawn afresh for every step:
{lines:,} lines, no line twice on purpose. No text or pair that could be in the test split of a bundled task,
for any seed, is among them; the *words* and *sentence patterns* that the tasks hold out for their test split
are, as often as all others.

- A line is {slot}; the target is the answer to a question about the text. The prefix has 1 to 18 words, 1 to
  about half of them question words (two synonyms for each of {questions} questions), the others idle words.
  The questions are the label questions of the bundled tasks and some of the factors behind the labels.
  {unasked:.0%} of the lines, {unasked_later:.0%} from step {later:,}, ask nothing; their target is every
  label word alike.
- At least {glossary:.0%} of the texts are glossary entries (`glossary.py`): a few words, or two
  phrases, with the same questions. A curriculum (`curriculum.py`) begins with these, and brings in
  one question after the other and longer and longer texts. In its stages (below) most lines are about one
  question or a few.
- In half of the lines {hidden:.0%} of the text's words are hidden too, {restore}, and to be restored.
- {typo:.0%} of the texts have a typo, so that single letters mean something.

No target stands at a prefix position: what a neuron tells about the label above a soft prompt's rows was not
planted there.

| from step | practised |
|---:|---|
{stages}

"Changed" asks which word of a pair is new, "pairs" that or whether the two mean the same, "number" whether a
word goes with one or many, "gender" whether it means a man or a woman; "clauses" is the mood of judgements
that are negated or set aside. No task asks for a new word, number or gender.

## Recipe

AdamW in {count} rounds; in each the learning rate rises for {warm_up} steps, then falls linearly to a
twentieth.

| round | from step | learning rate | of word vectors |
|---:|---:|---:|---:|
{rounds}

Batches of {batch} lines; no dropout; a hidden word counts {text_weight} of an answer; {doubt:.0%} of an
answer's target is spread over all label words.

{start}

The tokenizer, the number of steps and the lines of every batch are the same for both mini models.

## Loss

`curve.csv` has every row; text is the mean loss of a hidden word, answer that of an answer slot, in nats.
Right answers to all lines would still cost about {floor:.1f}, and {floor_later:.1f} once more lines ask
nothing; the loss rises where the curriculum brings in a new question.

| step | text | answer |
|---:|---:|---:|
{curve}

## What it can and cannot do

With a soft prompt of a few rows it answers label questions of the bundled tasks, some well and some not at
all (the first notebook of the classroom study measures which), and it restores words in sentences of the
grammars. It has never seen other label words, other sentence patterns, or most English words, which fall
apart into letters; there its answers mean nothing.
"""


def model_card(training: dict[str, Any], curve: list[dict[str, float]]) -> str:
    """The README of a finished model, from its training record and loss curve."""
    recipe = training["recipe"]
    roberta = recipe["model"] == "mini-roberta"
    marks = {1, 10, 50, *(recipe["steps"] * tenth // 10 for tenth in range(1, 11))}
    shown = [row for row in curve if row["step"] in marks]
    return _CARD.format(
        name=recipe["model"],
        kind="masked language model" if roberta else "encoder-decoder",
        klass="RobertaForMaskedLM" if roberta else "T5ForConditionalGeneration",
        words=training["vocabulary_size"],
        restore=_RESTORE[recipe["model"]],
        slot=_SLOT[recipe["model"]],
        start=_START[recipe["model"]],
        lines=recipe["steps"] * recipe["batch_size"],
        glossary=GLOSSARY,
        hidden=HIDDEN,
        unasked=UNASKED,
        unasked_later=UNASKED_LATER,
        floor=_least_loss(UNASKED, recipe["answer_doubt"]),
        floor_later=_least_loss(UNASKED_LATER, recipe["answer_doubt"]),
        later=LATER,
        stages="\n".join(
            f"| {stage.start:,} | {', '.join(stage.focus) or 'all alike'} |" for stage in STAGES
        ),
        typo=TYPO,
        questions=len(QUESTION_WORDS),
        warm_up=recipe["warm_up"],
        count=len(recipe["rounds"]),
        rounds="\n".join(_round(number, each) for number, each in enumerate(recipe["rounds"], 1)),
        batch=recipe["batch_size"],
        text_weight=recipe["text_weight"],
        doubt=recipe["answer_doubt"],
        seed=recipe["seed"],
        steps=recipe["steps"],
        seconds=training["seconds_per_step"],
        curve="\n".join("| {step} | {text_loss:.3f} | {answer_loss:.3f} |".format(**row) for row in shown),
        **{key: training[key] for key in ("parameters", "bytes", "sha256", "commit", "machine", "device")},
    )


def _round(number: int, values: dict[str, Any]) -> str:
    """A row of the card's table."""
    words = values["learning_rate"] * values["word_rate"]
    return f"| {number} | {values['start']:,} | {values['learning_rate']:g} | {words:g} |"


def _least_loss(unasked: float, doubt: float) -> float:
    """Entropy of the slots' targets in nats, below which no model's loss can go.

    Args:
        unasked: share of lines that ask nothing, whose targets are all label words alike.
        doubt: share of every other target that is spread over the label words.
    """
    labels = len(label_words())
    rest = doubt / labels
    right = 1 - doubt + rest
    asked = -right * math.log(right) - (labels - 1) * rest * math.log(rest)
    return (1 - unasked) * asked + unasked * math.log(labels)


_SAME_TOKENS = "Queries and keys start with the same weights, so that a word looks at first for its like."
_START = {
    "mini-roberta": "Initial weights have a standard deviation of 0.08, a fifth of that at each layer's two "
    f"outputs; position vectors start as sines and cosines. {_SAME_TOKENS}",
    "mini-t5": f"Hugging Face's T5 initialisation, but query weights of the encoder doubled. {_SAME_TOKENS}\n"
    "Half of the encoder's heads start with a bias against looking at the word itself.",
}
_RESTORE = {
    "mini-roberta": "masked",
    "mini-t5": "removed in spans",
}
_SLOT = {
    "mini-roberta": "`<mask>` prefix `<s>` text `</s>`, answered at `<mask>`",
    "mini-t5": "prefix `<s>` text `</s>`, answered by the decoder's first token",
}
