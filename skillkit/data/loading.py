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
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset, Value, load_dataset

from skillkit.classroom.splits import classroom_splits
from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.data.splits import AnySplits, TaskData
from skillkit.data.tasks import HubSource, Task, all_tasks, get_task
from skillkit.errors import SkillkitError
from skillkit.files import text_digest
from skillkit.provenance import note_read

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")
_SUFFIXES = (".parquet", ".csv", ".json", ".jsonl")

#: Share of train that becomes validation where a task has none.
VALIDATION_SHARE = 0.1


def load_task(
    name: str, *, data: str | os.PathLike[str] | None = None, seed: int = 0, limit: int | None = None
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
    if limit is not None and limit < 1:
        raise SkillkitError(f"limit={limit} leaves no example. Give a positive number, or None for all.")
    splits, source = _read(task, data, seed)
    for split, dataset in splits.items():
        note_read("data", f"{task.name} {split} from {source}", _digest(dataset))
    splits = _complete(splits, task, seed)
    if "train" in splits and len(splits["train"]) == 0:
        raise SkillkitError(f"The train split of {task.name!r} has a single example. Give a larger file.")
    if limit is not None:
        splits = {split: _sample(dataset, limit, task.name, split, seed) for split, dataset in splits.items()}
    return TaskData(task, splits, source)


def binary_subtasks(task_data: AnySplits, seed: int = 0) -> dict[str, AnySplits]:
    """The two-class questions that a task with three or more classes is made of (Wang et al. 2022, 3.1).

    Three classes (negative, neutral, positive or alike): ``<task>-pn`` asks for the last class against the
    first, ``<task>-neu`` for the middle one against the rest. More classes: ``<task>-<label>`` asks for one
    class against the rest. Each split is down-sampled to equally many examples of both answers, at random
    under ``seed`` (the released code takes the first ones). A binary task comes back as it is.
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
    """All texts of a split, column by column."""
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


def _read(task: Task, data: str | os.PathLike[str] | None, seed: int) -> tuple[dict[str, Dataset], str]:
    if task.name in BUNDLED_TASKS:
        return classroom_splits(task.name, seed=0), "the bundled tasks"
    folder = os.environ.get("SKILLKIT_DATA", "") if data is None else os.fspath(data)
    return (_read_folder(task, Path(folder)), f"folder {folder}") if folder else (_read_hub(task), "the Hub")


def _read_folder(task: Task, folder: Path) -> dict[str, Dataset]:
    if not folder.is_dir():
        raise SkillkitError(
            f"The data folder {folder} does not exist. "
            "Set SKILLKIT_DATA, or data=, to a folder of task folders."
        )
    here = folder / task.name
    if not here.is_dir():
        present = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name in all_tasks())
        raise SkillkitError(
            f"{folder} has no folder {task.name!r} (it has: {', '.join(present) or 'no known task'}). "
            "Add it, or pass data='' to take the task from the Hub."
        )
    splits = {split: _read_file(path) for split in SPLITS if (path := _split_file(here, split))}
    if not splits:
        raise SkillkitError(f"{here} holds no {'/'.join(SPLITS)} file ending in {', '.join(_SUFFIXES)}.")
    annotations = here / "annotations.parquet"
    if annotations.exists() and "test" in splits:
        splits["test"] = _annotate(splits["test"], _read_file(annotations), here)
    return splits


def _split_file(folder: Path, split: str) -> Path | None:
    return next(
        (folder / f"{split}{suffix}" for suffix in _SUFFIXES if (folder / f"{split}{suffix}").exists()), None
    )


def _read_file(path: Path) -> Dataset:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        elif path.suffix == ".csv":
            frame = pd.read_csv(path, keep_default_na=False)
        else:
            frame = pd.read_json(path, lines=path.suffix == ".jsonl" or path.read_text()[:1] != "[")
    except Exception as error:
        raise SkillkitError(
            f"{path} cannot be read ({type(error).__name__}: {error}). Is it a complete {path.suffix} file?"
        ) from error
    try:
        return Dataset.from_pandas(frame, preserve_index=False)
    except Exception as error:
        raise SkillkitError(
            f"{path} does not fit into a table: {_mixture(frame) or error}. "
            "Write one kind of value in each column."
        ) from error


def _mixture(frame: "pd.DataFrame") -> str:
    """Where a column first holds another kind of value than before, such as a text among numbers, if any."""
    for column in frame.columns:
        values = frame[column].dropna()
        kinds = list(values.map(type))
        row = next((row for row, kind in enumerate(kinds) if kind != kinds[0]), None)
        if row is not None:
            return f"column {column!r} holds {values.iloc[row]!r} in row {values.index[row]}, unlike before"
    return ""


def _annotate(test: Dataset, annotations: Dataset, folder: Path) -> Dataset:
    """AdvGLUE's clean originals and attack names, one row per test row."""
    if any("label" not in part.column_names for part in (test, annotations)):
        raise SkillkitError(f"{folder}: test and annotations.parquet both need a column 'label'. Add it.")
    if len(test) != len(annotations) or list(test["label"]) != list(annotations["label"]):
        raise SkillkitError(f"{folder}/annotations.parquet does not match test.parquet row by row.")
    for column in annotations.column_names:
        if column not in test.column_names:
            test = test.add_column(column, annotations[column][:])
    return test


def _read_hub(task: Task) -> dict[str, Dataset]:
    hub = task.hub
    if hub is None:
        raise SkillkitError(
            f"Task {task.name!r} is not on the Hub in a form that can be loaded. "
            f"Set SKILLKIT_DATA to a folder that holds {task.name}/train.parquet and so on."
        )
    try:
        if hub.files:
            loaded = load_dataset(hub.repository, data_files=hub.files, revision=hub.revision)
            splits = {split: loaded[split] for split in hub.files}
        else:
            splits = {
                ours: load_dataset(hub.repository, hub.config, split=theirs, revision=hub.revision)
                for ours, theirs in hub.splits.items()
            }
    except Exception as error:
        raise SkillkitError(
            f"Task {task.name!r} could not be loaded from the Hub ({hub.repository}): "
            f"{type(error).__name__}: {error}. Without network, set SKILLKIT_DATA to a folder of task "
            "folders, or use a bundled task."
        ) from error
    return {split: _tidy_hub(dataset, hub) for split, dataset in splits.items()}


def _tidy_hub(dataset: Dataset, hub: HubSource) -> Dataset:
    dataset = dataset.rename_columns(
        {old: new for old, new in hub.rename.items() if old in dataset.column_names}
    )
    labels = np.asarray(dataset["label"])
    return (
        dataset.select(np.flatnonzero(labels >= 0)) if (labels < 0).any() else dataset
    )  # SNLI marks "no gold label" by -1


def _complete(splits: dict[str, Dataset], task: Task, seed: int) -> dict[str, Dataset]:
    """The checked splits. Validation becomes test where there is none, and is then cut from train."""
    if task.clean is None and "train" not in splits:
        raise SkillkitError(
            f"Task {task.name!r} has no train split. Add a train file beside {', '.join(splits)}."
        )
    splits = {split: _check(dataset, task, split) for split, dataset in splits.items()}  # rows as in the file
    if "test" not in splits:
        if "validation" not in splits:
            raise SkillkitError(
                f"Task {task.name!r} has neither a test nor a validation split. Add a test file."
            )
        splits["test"] = splits.pop("validation")
    if "validation" not in splits and "train" in splits:
        train = splits["train"]
        order = _generator("validation", task.name, seed).permutation(len(train))
        size = max(1, int(len(train) * VALIDATION_SHARE))
        splits["validation"] = train.select(np.sort(order[:size]))
        splits["train"] = train.select(np.sort(order[size:]))
    return {split: splits[split] for split in SPLITS if split in splits}


def _check(dataset: Dataset, task: Task, split: str) -> Dataset:
    where = f"the {split} split of {task.name!r}"
    if len(dataset) == 0:
        raise SkillkitError(f"No examples in {where}.")
    missing = [c for c in (*task.text_columns, "label") if c not in dataset.column_names]
    if missing:
        raise SkillkitError(
            f"Missing column {', '.join(map(repr, missing))} in {where}; "
            f"it has {', '.join(dataset.column_names)}. "
            "Rename the columns of the file to those of skillkit/data/tasks.py."
        )
    for column in task.text_columns:
        bad = next((i for i, text in enumerate(dataset[column][:]) if not isinstance(text, str)), None)
        if bad is not None:
            raise SkillkitError(f"Row {bad} of {where} has no text in column {column!r}. Drop such rows.")
    return _check_labels(dataset, task, where)


def _check_labels(dataset: Dataset, task: Task, where: str) -> Dataset:
    labels = dataset["label"][:]
    integers = []
    for row, label in enumerate(labels):
        number = _label_number(label, task)
        if number is None:
            names = ", ".join(task.labels)
            raise SkillkitError(
                f"Label {label!r} in row {row} of {where}; "
                f"expected integers 0 to {len(task.labels) - 1} or the names {names}. "
                "Correct or drop such rows."
            )
        integers.append(number)
    if where.startswith("the train") and len(set(integers)) == 1:
        raise SkillkitError(
            f"All {len(integers)} labels in {where} are {task.labels[integers[0]]!r}, "
            "so nothing can be learnt. Give a file with "
            "examples of every label."
        )
    if dataset.features["label"].dtype == "int64" and isinstance(dataset.features["label"], Value):
        return dataset
    return dataset.remove_columns("label").add_column("label", integers).cast_column("label", Value("int64"))


def _label_number(label: object, task: Task) -> int | None:
    """The number that a label's name or number (also as text) stands for; None where it is no label."""
    if isinstance(label, str):
        if label in task.labels:
            return task.labels.index(label)
        label = int(label) if label.strip().isdecimal() else None
    if not isinstance(label, int | float) or not 0 <= label < len(task.labels) or label != int(label):
        return None
    return int(label)
