"""A task's splits from a folder: `<folder>/<task>/{train,validation,test}.{parquet,csv,json,jsonl}`."""

from dataclasses import replace
from pathlib import Path

from skillkit.data.files import ANNOTATIONS, SPLITS, SUFFIXES, split_files
from skillkit.data.labels import label_numbers
from skillkit.data.rows import Rows, checked_rows
from skillkit.data.tables import Table, read_parquet
from skillkit.data.tasks import Task, all_tasks
from skillkit.data.text_files import read_csv, read_json
from skillkit.errors import MissingFile, SkillkitError


def read_folder(task: Task, folder: Path) -> tuple[dict[str, Rows], tuple[str, ...]]:
    """The splits of a task that are in its folder, and notes on files that were not read.

    Raises:
        SkillkitError: no such folder, no or several files for a split, or a file that cannot be read as it
            was meant.
    """
    here = _task_folder(task, folder)
    files, notes = split_files(here)
    if not files:
        raise MissingFile(f"{here} holds no {'/'.join(SPLITS)} file ending in {', '.join(SUFFIXES)}.")
    tables = {split: _read_file(files[split], task) for split in SPLITS if split in files}
    if (here / ANNOTATIONS).exists():
        if "test" in tables:
            tables["test"] = _annotate(tables["test"], _read_file(here / ANNOTATIONS, task), task)
        else:
            notes = (*notes, f"Not read, since there is no test file: {here.name}/{ANNOTATIONS}.")
    return {split: checked_rows(table, task, split) for split, table in tables.items()}, notes


def _task_folder(task: Task, folder: Path) -> Path:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise MissingFile(
            f"The data folder {folder} {what}. Set SKILLKIT_DATA, or data=, to a folder of task folders."
        )
    here = folder / task.name
    if not here.is_dir():
        present = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name in all_tasks())
        raise MissingFile(
            f"{folder} has no folder {task.name!r} (it has: {', '.join(present) or 'no known task'}). "
            "Add it, or pass data='' to take the task from the Hub."
        )
    return here


def _read_file(path: Path, task: Task) -> Table:
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        return read_csv(path, task) if path.suffix == ".csv" else read_json(path)
    except SkillkitError:
        raise
    except Exception as error:
        raise SkillkitError(
            f"{path} cannot be read ({type(error).__name__}: {error}). Is it a complete {path.suffix} file?"
        ) from error


def _annotate(test: Table, annotations: Table, task: Task) -> Table:
    """AdvGLUE's clean originals and attack names, one row per test row."""
    for table in (test, annotations):
        if "label" not in table.columns:
            raise SkillkitError(
                f"{table.name} has no column 'label'. The test file and {ANNOTATIONS} both need a column "
                "'label': add it."
            )
    if len(test) != len(annotations):
        raise SkillkitError(
            f"{annotations.name} has {len(annotations)} rows, {test.name} has {len(test)}. "
            "They belong together row by row: write both from one table."
        )
    pairs = zip(label_numbers(test, task)[0], label_numbers(annotations, task)[0], strict=True)
    row = next((row for row, (one, other) in enumerate(pairs) if one != other), None)
    if row is not None:
        raise SkillkitError(
            f"{annotations.place(row)} has another label than {test.place(row)}. "
            "They belong together row by row: write both from one table."
        )
    added = {name: column for name, column in annotations.columns.items() if name not in test.columns}
    return replace(test, columns={**test.columns, **added})
