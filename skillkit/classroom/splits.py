"""Seeded splits of the bundled tasks, with generating factors, exact label noise and held-out test words.

Columns of a split: the task's text columns, int64 `label`, and `factor_*` columns (documented in the grammar
module of each task), among them
- `factor_noise`: 1 where the label was flipped on purpose (the share is `ClassroomTask.noise`, exact and
  balanced),
- `factor_held_out_word`, `factor_held_out_template`: 1 where a word or sentence pattern was used that only
  the test split has. In train and validation both are 0 throughout.

Which split a text may be in is a property of the text (`drawing.bucket`), so splits are disjoint for every
seed.
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
from datasets import Dataset, Features, Value

from skillkit.checks import Seed, Size, check_arguments
from skillkit.classroom.attacks import twin_rows
from skillkit.classroom.drawing import Draw, Example, Picker, bucket
from skillkit.classroom.kinds import ClassroomTask, row_of
from skillkit.classroom.tasks import TASKS, find_task
from skillkit.errors import unknown

SIZES = {"train": 3000, "validation": 400, "test": 1000}

#: Chance of a held-out item wherever there is a choice, in the half of the test examples that may have any.
HELD_OUT_WORD = 0.5
HELD_OUT_TEMPLATE = 0.3


@check_arguments
def draw_examples(task: ClassroomTask, split: str, size: Size, seed: Seed = 0) -> list[Example]:
    """Different examples of one split before label noise, with each label equally often.

    Raises:
        SkillkitError: an unknown split, or a size or seed that is no whole number.
    """
    if split not in SIZES:
        raise unknown("split", split, SIZES)
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
    """The labels, with as many random rows of each class moved to the other classes in turn."""
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


@check_arguments
def draw_task(name: str, seed: Seed = 0) -> None:
    """Draw a bundled task's examples ahead of time.

    Later calls of `classroom_splits` in this process, or in forks of it, find them drawn.

    Raises:
        SkillkitError: for an unknown name, or a seed that is no whole number.
    """
    task = find_task(name)
    for split in ("test",) if task.original else SIZES:
        _clean_split(task.original or name, split, seed)


@check_arguments
def classroom_splits(name: str, seed: Seed = 0) -> dict[str, Dataset]:
    """The splits of a bundled task: train, validation and test, or only test for an adversarial twin.

    The same name and seed give the same bytes everywhere.

    Raises:
        SkillkitError: for an unknown name, or a seed that is no whole number.
    """
    task = find_task(name)
    if task.original:
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


def _dataset(task: ClassroomTask, rows: list[dict[str, object]]) -> Dataset:
    integers = {key for key, value in rows[0].items() if isinstance(value, int)}
    features = Features({key: Value("int64" if key in integers else "string") for key in rows[0]})
    # `Dataset.from_list` encodes every value by itself, which takes longer than drawing the texts.
    return Dataset(pa.Table.from_pylist(rows, schema=features.arrow_schema))
