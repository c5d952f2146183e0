"""The curriculum of the mini models: what the lines of a step are about, and how long their texts are.

One question comes after the other, and each with single words before sentences (`lesson`). Comparing two
texts comes first, because a model that has spent its first steps on single texts learns it much more slowly
(`STAGES`).
"""

from __future__ import annotations

from dataclasses import dataclass

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


UNASKED = 0.04  # share of lines that ask nothing, which teaches that a random prompt has no answer
UNASKED_LATER, LATER = 0.15, 20_000  # their share from this step on


@dataclass(frozen=True)
class Stage:
    """Practice from the step `start` to the next stage's.

    A share `focused` of the lines is about the questions in `focus`, if there are any, and of these a share
    `entries` are glossary entries. "clauses" is the mood once more, with practice in what negation and
    contrast do to it. "changed" asks which word of a pair is new; "pairs" asks that, or whether one is.
    "number" asks whether a word goes with one or many, "gender" whether it means a man or a woman.
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
"""What is practised when.

Each question is learnt in a short time when most lines are about it, or about it and a few others.

Comparing comes first. Both fresh models learn in 1,500 steps which word of two short lists is new. After
1,000 steps on number and gender, each of them failed to learn it in 2,500 steps in one of two tries; after
32,000 steps on single texts, mini-roberta took about 20,000 more. Whether words fit together, mini-roberta
learnt in 500 steps after 1,000 on number and gender; it did not in 3,000 after a curriculum that asked for
neither (and had fewer such entries, too). All this was seen with one seed.
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


@dataclass(frozen=True)
class Lesson:
    """What the lines of a step are about.

    Some lines practise what the `stage` is for; the others ask one of the `questions`, about texts of at most
    `longest` words. A share `unasked` of all lines asks nothing: many such lines from the start would keep
    the model from finding out what the others ask.
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
