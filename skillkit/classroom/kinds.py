"""What a bundled task is: its columns, labels and words, and the rule that draws its examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skillkit.classroom.drawing import Example, Picker

Rule = Callable[[Picker, int], Example]


@dataclass(frozen=True)
class ClassroomTask:
    """One bundled task.

    Attributes:
        name: the name that `load_task` takes.
        type: what is asked, as in the task table ("sentiment", "inference", …).
        text_columns: the column of the text, or those of the two texts of a pair.
        labels: the name of each label, by number.
        label_words: one vocabulary word for each label.
        noise: share of flipped labels in every split.
        description: one line for readers.
        rule: draws an example of a given label.
        twin: name of the adversarial twin; None for a twin itself.
        original: for a twin, the name of its clean task.
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


def row_of(task: ClassroomTask, example: Example, label: int) -> dict[str, object]:
    """One table row: texts, label and factors."""
    row: dict[str, object] = dict(zip(task.text_columns, example.texts, strict=True))
    row["label"] = label
    return row | {f"factor_{key}": value for key, value in example.factors.items()}
