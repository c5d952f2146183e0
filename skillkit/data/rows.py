"""From a table as it was found to a split: texts are strings, labels are the task's numbers.

Rows are left out for one reason only, a hidden label. That, and whatever else was not simply taken over, is
said in the notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from datasets import Dataset

from skillkit.data.labels import HIDDEN, label_numbers
from skillkit.data.tables import Table, arrow_table, counted
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError


@dataclass(frozen=True)
class Rows:
    """One split, checked: its data (None where all labels are hidden) and what there is to say about it."""

    data: Dataset | None
    notes: tuple[str, ...]
    name: str


def checked_rows(table: Table, task: Task, split: str) -> Rows:
    """The rows of a split with texts and labels as the task has them.

    Raises:
        SkillkitError: no row, a missing column, a row without a text or with a label that is none, or only
            one label in the training split.
    """
    table.need((*task.text_columns, "label"))
    texts: dict[str, list[str]] = {}
    notes = list(table.notes)
    for column in task.text_columns:
        texts[column], said = _texts(table, column)
        notes += said
    numbers, mapped = label_numbers(table, task)
    notes += mapped
    kept = [row for row, number in enumerate(numbers) if number != HIDDEN]
    if not kept:
        notes.append(f"All labels of {table.short} are hidden ({HIDDEN}), so this split was not used.")
        return Rows(None, tuple(notes), table.name)
    _refuse_one_label(table, [numbers[row] for row in kept], task, split)
    notes += _absent_labels(table, numbers, task)
    whole = Dataset(arrow_table(table, {**texts, "label": pa.array(numbers, pa.int64())}))
    if len(kept) < len(numbers):
        left_out = len(numbers) - len(kept)
        notes.append(
            f"Left out of {table.short}: {counted(left_out, 'row')} of {len(numbers):,} whose label is "
            f"hidden ({HIDDEN})."
        )
        whole = whole.select(kept)
    return Rows(whole, tuple(notes), table.name)


def _texts(table: Table, column: str) -> tuple[list[str], list[str]]:
    """The texts of a column, and notes on those that are empty, or numbers in the file."""
    values = table.values(column)
    numbers = [row for row, value in enumerate(values) if type(value) is int]
    for row, value in enumerate(values):
        if not isinstance(value, str) and type(value) is not int:
            raise _no_text(table, column, row, value)
    texts = [value if isinstance(value, str) else str(value) for value in values]
    empty = [row for row, text in enumerate(texts) if not text.strip()]
    notes = [
        f"{counted(len(rows), thing)} in column {column!r} of {table.short}{how} (first in "
        f"{table.number(rows[0])})."
        for rows, thing, how in ((numbers, "number", ", read as text"), (empty, "empty text", ""))
        if rows
    ]
    return texts, notes


def _no_text(table: Table, column: str, row: int, value: Any) -> SkillkitError:
    place = table.place(row)
    if value is None or value != value:
        return SkillkitError(f"No text in column {column!r}, {place}. Write a text, or drop such rows.")
    return SkillkitError(
        f"Column {column!r} holds {value!r:.60} in {place}, which is not a text. "
        "Write a text there (a number in quotation marks), or drop such rows."
    )


def _refuse_one_label(table: Table, numbers: Sequence[int], task: Task, split: str) -> None:
    if split == "train" and len(set(numbers)) == 1:
        raise SkillkitError(
            f"All {len(numbers)} labels in {table.name} are {task.labels[numbers[0]]!r}, "
            "so nothing can be learnt. Give a file with examples of every label."
        )


def _absent_labels(table: Table, numbers: Sequence[int], task: Task) -> list[str]:
    absent = [label for number, label in enumerate(task.labels) if number not in set(numbers)]
    return [f"No row of {table.short} has the label {' or '.join(map(repr, absent))}."] if absent else []
