"""A task's splits: from the bundled tasks, a local folder, or the Hugging Face Hub.

Selection (which checkpoint, which neurons) happens on ``validation``, reporting on ``test``. Splits depend on
the task's name and a seed alone. Labels are int64, texts are strings without nulls; all other columns of a
split are kept as they come.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import Dataset

from skillkit.checks import Seed, Size, check_arguments
from skillkit.classroom.splits import classroom_splits
from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.data.files import SPLITS
from skillkit.data.folder import read_folder
from skillkit.data.hub import read_hub
from skillkit.data.rows import Rows
from skillkit.data.splits import AnySplits, TaskData
from skillkit.data.tasks import Task, get_task
from skillkit.errors import SkillkitError
from skillkit.files import text_digest
from skillkit.provenance import note_read

#: Share of train that becomes validation where a task has none.
VALIDATION_SHARE = 0.1


@check_arguments
def load_task(
    name: str, *, data: str | os.PathLike[str] | None = None, seed: Seed = 0, limit: Size | None = None
) -> TaskData:
    """A task's splits.

    Bundled tasks come from the package. Others come from the folder ``data`` (default: the environment
    variable ``SKILLKIT_DATA``), which holds ``<task>/{train,validation,test}.{parquet,csv,json,jsonl}``; with
    neither, from the Hub.

    Args:
        name: a task of ``skillkit.data.tasks``.
        data: a local folder; the empty string asks for the Hub.
        seed: fixes the validation cut and the sample taken under ``limit``.
        limit: at most so many examples in each split, a seeded sample in the original order.

    Raises:
        SkillkitError: unknown task, missing folder, split or column, labels or texts that do not fit, or no
            network.
    """
    task = get_task(name)
    splits, notes, source = _read(task, data, seed)
    for split, dataset in splits.items():
        note_read("data", f"{task.name} {split} from {source}", _digest(dataset))
    if "train" in splits and len(splits["train"]) == 0:
        raise SkillkitError(f"The train split of {task.name!r} has a single example. Give a larger file.")
    if limit is not None:
        splits = {split: _sample(dataset, limit, task.name, split, seed) for split, dataset in splits.items()}
    if source.startswith("folder "):  # pages name it, and are read on other machines
        source = f"the folder {Path(source.removeprefix('folder ')).resolve().name}"
    return TaskData(task, splits, source, notes)


@check_arguments
def binary_subtasks(task_data: AnySplits, seed: Seed = 0) -> dict[str, AnySplits]:
    """The two-class questions that a task with three or more classes is made of (Wang et al. 2022, 3.1).

    Three classes (negative, neutral, positive or alike): ``<task>-pn`` asks for the last class against the
    first, ``<task>-neu`` for the middle one against the rest. More classes: ``<task>-<label>`` asks for one
    class against the rest. Each split is down-sampled to equally many examples of both answers, at random
    under ``seed`` (the released code takes the first ones). A binary task comes back as it is.

    Raises:
        SkillkitError: something else than a task with its splits, a seed that is no whole number, or a split
            without an example for one of the answers.
    """
    task, count = task_data.task, len(task_data.task.labels)
    if count == 2:
        return {task.name: task_data}
    if count == 3:
        questions = {
            f"{task.name}-pn": (("no", "yes"), {0: 0, 2: 1}),
            f"{task.name}-neu": (("rest", "neutral"), {0: 0, 1: 1, 2: 0}),
        }
    else:
        questions = {
            f"{task.name}-{label}": (("rest", label), {i: int(i == k) for i in range(count)})
            for k, label in enumerate(task.labels)
        }
    return {
        name: _subtask(task_data, name, labels, mapping, seed)
        for name, (labels, mapping) in questions.items()
    }


def texts_of(dataset: Dataset, task: Task) -> Iterable[str]:
    """All texts of a split, column by column.

    Raises:
        SkillkitError: a column of the task is missing.
    """
    missing = [column for column in task.text_columns if column not in dataset.column_names]
    if missing:
        raise SkillkitError(
            f"Task {task.name!r} needs column {missing[0]!r}; the data set has "
            f"{', '.join(dataset.column_names)}."
        )
    return (text for column in task.text_columns for text in dataset[column][:])


def bare_text(text: str) -> str:
    """A text without case, spaces and punctuation, to find it again in another data set."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _digest(dataset: Dataset) -> str:
    """The SHA-256 of a split's columns, in their order: it does not depend on where or how they are
    stored."""
    columns = ({name: dataset[name][:]} for name in dataset.column_names)
    return text_digest("\n".join(json.dumps(column, default=str) for column in columns))


def _generator(*parts: object) -> np.random.Generator:
    """A random generator fixed by its parts everywhere (Python's own ``hash`` is salted per process)."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _sample(dataset: Dataset, limit: int, *parts: object) -> Dataset:
    if len(dataset) <= limit:
        return dataset
    return dataset.select(np.sort(_generator("sample", *parts).permutation(len(dataset))[:limit]))


def _subtask(
    task_data: AnySplits, name: str, labels: tuple[str, str], mapping: dict[int, int], seed: int
) -> AnySplits:
    task = task_data.task
    words = tuple(task.words[next(i for i in mapping if mapping[i] == answer)] for answer in (0, 1))
    subtask = replace(task, name=name, labels=labels, words=words, su_words={}, twins=(), clean=None)
    splits = {}
    for split in task_data.splits:
        answers = np.array([mapping.get(int(label), -1) for label in task_data.labels(split)])
        fewest = min((answers == 0).sum(), (answers == 1).sum())
        if fewest == 0:
            raise SkillkitError(
                f"The {split} split of {task.name!r} has no example for one answer of {name!r}. "
                "Use a larger limit."
            )
        rng = _generator("subtask", name, split, seed)
        rows = np.sort(
            np.concatenate([rng.permutation(np.flatnonzero(answers == a))[:fewest] for a in (0, 1)])
        )
        splits[split] = task_data.relabelled(split, rows, answers[rows])
    return replace(task_data, task=subtask, splits=splits)


def _read(
    task: Task, data: str | os.PathLike[str] | None, seed: int
) -> tuple[dict[str, Dataset], tuple[str, ...], str]:
    """Splits, notes, and where they come from; complete, but for the sample that a limit takes."""
    if task.name in BUNDLED_TASKS:
        return classroom_splits(task.name, seed=0), (), "the bundled tasks"
    folder = os.environ.get("SKILLKIT_DATA", "") if data is None else os.fspath(data)
    found, notes = read_folder(task, Path(folder)) if folder else (read_hub(task), ())
    splits, more = _complete(found, task, seed)
    notes = (*notes, *(note for rows in found.values() for note in rows.notes), *more)
    return splits, notes, f"folder {folder}" if folder else "the Hub"


def _complete(found: dict[str, Rows], task: Task, seed: int) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """The splits, and what is said of them.

    Validation becomes test where there is none (or none with labels), and is then cut from train.
    """
    splits = {split: rows.data for split, rows in found.items() if rows.data is not None}
    hidden = {split: rows.name for split, rows in found.items() if rows.data is None}
    notes: tuple[str, ...] = ()
    if task.clean is None and "train" not in splits:
        raise _missing(task, "train", hidden, found)
    if "test" not in splits:
        if "validation" not in splits:
            raise _missing(task, "test", hidden, found)
        splits["test"] = splits.pop("validation")
        notes = ("The validation split serves as test split.",) if "test" in hidden else ()
    if "validation" not in splits and "train" in splits:
        train = splits["train"]
        order = _generator("validation", task.name, seed).permutation(len(train))
        size = max(1, int(len(train) * VALIDATION_SHARE))
        splits["validation"] = train.select(np.sort(order[:size]))
        splits["train"] = train.select(np.sort(order[size:]))
    return {split: splits[split] for split in SPLITS if split in splits}, notes


def _missing(task: Task, split: str, hidden: dict[str, str], found: dict[str, Rows]) -> SkillkitError:
    if split in hidden:
        return SkillkitError(
            f"All labels in {hidden[split]} are hidden (-1), and task {task.name!r} has no other {split} "
            f"split. Give a {split} file with labels"
            + (" (or a validation file, which then serves as test)." if split == "test" else ".")
        )
    if split == "train":
        return SkillkitError(
            f"Task {task.name!r} has no train split. Add a train file beside {', '.join(found)}."
        )
    return SkillkitError(f"Task {task.name!r} has neither a test nor a validation split. Add a test file.")
