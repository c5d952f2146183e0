"""The bundled tasks: seeded splits with documented generating factors, exact label noise and held-out test words.

`TASKS` lists them (and their adversarial twins `adv_<task>`); `classroom_splits(name, seed)` generates one.

Columns of a split: the task's text columns, int64 `label`, and `factor_*` columns (documented in the grammar
module of each task), among them
- `factor_noise`: 1 where the label was flipped on purpose (the share is `ClassroomTask.noise`, exact and balanced),
- `factor_held_out_word`, `factor_held_out_template`: 1 where a word or sentence pattern was used that only the test
  split has. In train and validation both are 0 throughout.

Which split a text may be in is a property of the text (`grammar.bucket`), so splits are disjoint for every seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import pyarrow as pa
from datasets import Dataset, Features, Value

from ..errors import unknown
from .grammar import Draw, Example, Picker, bucket
from .grammar_chores import draw_excuse
from .grammar_questions import draw_question_pair
from .grammar_reviews import draw_review
from .grammar_scenes import draw_home_pair, draw_park_pair
from .grammar_sentences import draw_sentence
from .grammar_topics import draw_topic

SIZES = {"train": 3000, "validation": 400, "test": 1000}
#: Chance of a held-out item wherever there is a choice, in the half of the test examples that may have any.
HELD_OUT_WORD, HELD_OUT_TEMPLATE = 0.5, 0.3

Rule = Callable[[Picker, int], Example]

FACTORS: dict[str, str] = {
    "label": "the label, noise included",
    "sign": "polarity of the deciding word, +1 or -1",
    "negated": "the deciding clause, the hypothesis or the excuse has a negation",
    "minor": "polarity of a clause that is set aside, 0 if there is none",
    "part": "part of speech of the deciding word",
    "topic": "topic of the main clause",
    "other": "topic of another word in the sentence",
    "truth": "what the premise says about the hypothesis",
    "kind": "what is told (an act alone or between two, a state), or asked (an action, a route)",
    "general": "the hypothesis also has a more general word that does not decide",
    "form": "sentence pattern of the premise, by number",
    "relation": "what the second text changes in the first",
    "phenomenon": "the rule of grammar that is kept or broken",
    "plural": "the subject is plural",
    "attractor": "a noun of another number stands between subject and verb",
    "matched": "the excuse is about this chore (1), another (0), or the speaker (2)",
    "reason": "the kind of excuse",
    "held_out_word": "has a word that only the test split has",
    "held_out_template": "has a sentence pattern that only the test split has",
    "noise": "the label was flipped on purpose",
}
"""What the generating factors mean that can be asked about with a few values; the grammar modules have the others."""


@dataclass(frozen=True)
class ClassroomTask:
    """One bundled task.

    `label_words`: one vocabulary word per label. `noise`: share of flipped labels in every split. `twin`: name of the
    adversarial twin, or None for a twin itself; `original`: for a twin, the name of its clean task.
    """

    name: str
    type: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...]
    label_words: tuple[str, ...]
    noise: float
    description: str
    rule: Rule
    twin: str | None = None
    original: str | None = None


def _review(domain: str, noise: float) -> ClassroomTask:
    return ClassroomTask(
        name=f"{domain}_sentiment",
        type="sentiment",
        text_columns=("sentence",),
        labels=("negative", "positive"),
        label_words=("bad", "good"),
        noise=noise,
        description=f"Does the writer like the {domain}? A negation flips a word; a contrast sets one verdict aside.",
        rule=partial(draw_review, domain_name=domain),
    )


_CLEAN = (
    _review("film", 0.03),
    _review("food", 0.03),
    _review("gadget", 0.03),
    ClassroomTask(
        name="daily_topic",
        type="topic",
        text_columns=("sentence",),
        labels=("sport", "cooking", "travel", "science"),
        label_words=("sport", "cooking", "travel", "science"),
        noise=0.02,
        description="What is the main clause about? Another topic may be mentioned beside it.",
        rule=draw_topic,
    ),
    ClassroomTask(
        name="park_entailment",
        type="inference",
        text_columns=("premise", "hypothesis"),
        labels=("not_entailment", "entailment"),
        label_words=("no", "yes"),
        noise=0.03,
        description="Does the premise make the hypothesis true? Two-way; things people and animals do outdoors.",
        rule=draw_park_pair,
    ),
    ClassroomTask(
        name="home_inference",
        type="inference",
        text_columns=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
        label_words=("yes", "maybe", "no"),
        noise=0.03,
        description="Is the hypothesis true, open or false given the premise? Three-way; what happens in a house.",
        rule=draw_home_pair,
    ),
    ClassroomTask(
        name="question_paraphrase",
        type="paraphrase",
        text_columns=("question1", "question2"),
        labels=("different", "same"),
        label_words=("different", "same"),
        noise=0.03,
        description="Do two questions ask the same thing?",
        rule=draw_question_pair,
    ),
    ClassroomTask(
        name="sentence_acceptability",
        type="acceptability",
        text_columns=("sentence",),
        labels=("unacceptable", "acceptable"),
        label_words=("wrong", "right"),
        noise=0.03,
        description="Is the sentence grammatical? Agreement, tense, case, reflexives, word order.",
        rule=draw_sentence,
    ),
    ClassroomTask(
        name="chore_excuse",
        type="ethics",
        text_columns=("scenario", "excuse"),
        labels=("unreasonable", "reasonable"),
        label_words=("invalid", "valid"),
        noise=0.03,
        description="Is the excuse a valid reason for not doing the chore?",
        rule=draw_excuse,
    ),
)


def _with_twin(task: ClassroomTask) -> tuple[ClassroomTask, ClassroomTask]:
    twin_name = f"adv_{task.name}"
    shared = {key: getattr(task, key) for key in ("type", "text_columns", "labels", "label_words", "rule")}
    twin = ClassroomTask(
        name=twin_name,
        noise=0.0,
        original=task.name,
        description=f"Test examples of {task.name} under word, sentence and human-style attacks that keep the label.",
        **shared,
    )
    return ClassroomTask(**{**task.__dict__, "twin": twin_name}), twin


#: Every bundled task and twin by name.
TASKS: dict[str, ClassroomTask] = {task.name: task for clean in _CLEAN for task in _with_twin(clean)}


def find_task(name: str) -> ClassroomTask:
    """The task called `name`; raises `SkillkitError` (a ValueError) that lists the bundled tasks otherwise."""
    if name not in TASKS:
        raise unknown("bundled task", name, TASKS)
    return TASKS[name]


def draw_examples(task: ClassroomTask, split: str, size: int, seed: int = 0) -> list[Example]:
    """`size` different examples of one split before label noise, the labels in turn so that they balance exactly."""
    draw = Draw("classroom", task.name, split, seed)
    examples: list[Example] = []
    known: set[tuple[str, ...]] = set()
    while len(examples) < size:
        example = task.rule(_picker(draw, split), len(examples) % len(task.labels))
        if bucket(example.texts) == split and example.texts not in known:
            known.add(example.texts)
            examples.append(example)
    return draw.shuffled(examples)


def _picker(draw: Draw, split: str) -> Picker:
    if split != "test":
        return Picker(draw)
    return Picker(
        draw,
        words=HELD_OUT_WORD if draw.chance(0.5) else 0.0,
        templates=HELD_OUT_TEMPLATE if draw.chance(0.5) else 0.0,
    )


def noisy_labels(examples: list[Example], classes: int, noise: float, draw: Draw) -> list[int]:
    """Labels with the same number of randomly chosen rows of each class moved to the other classes in turn."""
    labels = [example.label for example in examples]
    flips = round(noise * len(examples) / classes)
    for label in range(classes):
        rows = [row for row, example in enumerate(examples) if example.label == label]
        for count, row in enumerate(draw.shuffled(rows)[:flips]):
            labels[row] = (label + 1 + count % (classes - 1)) % classes
    return labels


@lru_cache(maxsize=64)
def _clean_split(name: str, split: str, seed: int) -> tuple[tuple[Example, ...], tuple[int, ...]]:
    task = TASKS[name]
    examples = draw_examples(task, split, SIZES[split], seed)
    labels = noisy_labels(examples, len(task.labels), task.noise, Draw("noise", name, split, seed))
    return tuple(examples), tuple(labels)


def draw_task(name: str, seed: int = 0) -> None:
    """Draw a bundled task's examples ahead of time: later calls of `classroom_splits` in this process, or in forks of it, find them
    drawn. Raises `SkillkitError` for an unknown name.
    """
    task = find_task(name)
    for split in ("test",) if task.original else SIZES:
        _clean_split(task.original or name, split, seed)


def classroom_splits(name: str, seed: int = 0) -> dict[str, Dataset]:
    """The splits of a bundled task: train, validation and test, or only test for an adversarial twin.

    The same name and seed give the same bytes everywhere. Raises `SkillkitError` for an unknown name.
    """
    task = find_task(name)
    if task.original:
        from .attacks import twin_rows  # the attacks are built on the clean test split below

        examples, labels = _clean_split(task.original, "test", seed)
        return {"test": _dataset(task, twin_rows(TASKS[task.original], examples, labels, seed))}
    splits = {}
    for split in SIZES:
        examples, labels = _clean_split(name, split, seed)
        rows = [
            row_of(task, example, label) | {"factor_noise": int(label != example.label)}
            for example, label in zip(examples, labels, strict=True)
        ]
        splits[split] = _dataset(task, rows)
    return splits


def row_of(task: ClassroomTask, example: Example, label: int) -> dict[str, object]:
    """One table row: texts, label and factors."""
    row: dict[str, object] = dict(zip(task.text_columns, example.texts, strict=True))
    row["label"] = label
    return row | {f"factor_{key}": value for key, value in example.factors.items()}


def _dataset(task: ClassroomTask, rows: list[dict[str, object]]) -> Dataset:
    integers = {key for key, value in rows[0].items() if isinstance(value, int)}
    features = Features({key: Value("int64" if key in integers else "string") for key in rows[0]})
    # `Dataset.from_list` encodes every value by itself, which takes longer than drawing the texts.
    return Dataset(pa.Table.from_pylist(rows, schema=features.arrow_schema))
