"""From the labels that a file has to the numbers of the task table, by name wherever there is a name.

Two files may number the same labels in another order, and a number does not say which order is meant. So
names decide: those in the rows, or those that the file carries for its numbers (`datasets` writes them into
parquet files). A name that is not the task's is refused.
"""

import math
import re
from collections import Counter
from typing import Any

from skillkit.data.tables import Table, counted
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError

HIDDEN = -1
"""What data sets write for labels that they keep to themselves, or that annotators did not agree on."""

# Short forms in public data sets (IMDb, Rotten Tomatoes).
_SHORT = {"neg": "negative", "neu": "neutral", "pos": "positive"}


def label_numbers(table: Table, task: Task) -> tuple[list[int], tuple[str, ...]]:
    """The task's number for each row's label, `HIDDEN` where it is hidden, and notes on what was mapped.

    Raises:
        SkillkitError: a row whose label is missing, or none of the task's.
    """
    values = table.values("label")
    known: dict[tuple[type, Any], int | None] = {}
    numbers = []
    for row, label in enumerate(values):
        key = (type(label), label if isinstance(label, str | int | float) else repr(label))
        if key not in known:
            known[key] = label_number(label, task, table.label_names)
        number = known[key]
        if number is None:
            raise _refusal(table, row, label, task)
        numbers.append(number)
    return numbers, _mapped(table, values, numbers, task)


def label_number(label: Any, task: Task, names: tuple[str, ...] | None = None) -> int | None:
    """The number of one label; None where it is not one of the task's.

    Args:
        label: as a row has it.
        task: whose labels are asked for.
        names: those that the file gives to numbers.
    """
    if isinstance(label, str):
        number = _by_name(label, task)
        if number is not None:
            return number
        try:
            label = float(label)
        except ValueError:
            return HIDDEN if label.strip() == "-" else None  # SNLI's own files write it so
    if isinstance(label, bool) or not isinstance(label, int | float):
        return None
    if not math.isfinite(label) or label != int(label):
        return None
    if label == HIDDEN or names is None:
        return int(label) if HIDDEN <= label < len(task.labels) else None
    if not 0 <= label < len(names):
        return None
    name = names[int(label)]
    number = _by_name(name, task)
    return int(label) if number is None and name == str(int(label)) and label < len(task.labels) else number


def _by_name(name: str, task: Task) -> int | None:
    """The number of a label by its name, in whatever case and with whatever spaces; None for none or two."""
    if name in task.labels:
        return task.labels.index(name)
    wanted = _bare(name)
    matching = [number for number, label in enumerate(task.labels) if _bare(label) == wanted]
    return matching[0] if len(matching) == 1 else None


def _bare(name: str) -> str:
    """A name without case, outer spaces, and the difference between spaces, hyphens and underscores."""
    bare = re.sub(r"[\s_-]+", " ", name).strip().casefold()
    return _SHORT.get(bare, bare)


def _refusal(table: Table, row: int, label: Any, task: Task) -> SkillkitError:
    place, carried = table.place(row), table.label_names
    expected = f"expected the numbers 0 to {len(task.labels) - 1} or the names {', '.join(task.labels)}"
    if label is None or label != label or str(label).strip() == "":
        return SkillkitError(f"No label in {place}; {expected}. Fill it in, or drop such rows.")
    if isinstance(label, bool) or label in ("True", "False"):
        return SkillkitError(
            f"Label {label!r} in {place} does not say which label is meant; {expected}. Write one of these."
        )
    if carried and not isinstance(label, str):
        named = carried[int(label)] if isinstance(label, int) and 0 <= label < len(carried) else None
        return SkillkitError(
            f"Label {label!r}{f', which the file names {named!r},' if named else ''} in {place}; the file "
            f"carries the label names {', '.join(carried)}, the task has {', '.join(task.labels)}. "
            "Rename the labels in the file, or drop such rows."
        )
    return SkillkitError(f"Label {label!r} in {place}; {expected}. Correct or drop such rows.")


def _mapped(table: Table, values: list[Any], numbers: list[int], task: Task) -> tuple[str, ...]:
    """What to say about labels that are read as something else than they look like."""
    pairs = [pair for pair in zip(values, numbers, strict=True) if pair[1] != HIDDEN]
    renamed = Counter(
        (repr(label), number)
        for label, number in pairs
        if isinstance(label, str) and label != task.labels[number] and _by_name(label, task) is not None
    )
    renumbered = Counter(
        (str(int(label)), number)
        for label, number in pairs
        if not isinstance(label, str) and int(label) != number
    )
    return tuple(
        f"{counted(sum(found.values()), 'label')} of {table.short} {how}: "
        + ", ".join(f"{label} as {task.labels[number]!r}" for label, number in sorted(found))
        + "."
        for found, how in (
            (renamed, "written in another way than in the task table"),
            (renumbered, "numbered in another order, and read by the names in the file"),
        )
        if found
    )
