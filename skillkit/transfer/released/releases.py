"""The released prompts and results, as a folder of neutral files holds them (see the package's head)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skillkit.checks import check_arguments
from skillkit.errors import MissingFile, SkillkitError

Array = NDArray[np.float64]

VARIABLE = "SKILLKIT_REFERENCE"

TYPES = {
    "sentiment": ("IMDB", "SST2", "laptop", "restaurant", "movierationales", "tweetevalsentiment"),
    "inference": ("MNLI", "QNLI", "WNLI", "anli", "snli", "RTE"),
    "ethics": ("ethicsdeontology", "ethicsjustice"),
    "paraphrase": ("QQP", "MRPC"),
    "question answering": ("squad", "nq_open"),
    "summarisation": ("multi_news", "samsum"),
}
"""Su et al.'s task types, with the names that their files use."""


@dataclass(frozen=True)
class Release:
    """Prompts [tasks, length, hidden] of one model, and their published transfer [source, target].

    Transfer is NaN where it was not published. `overlap` is the published ON [tasks, tasks], where there is
    one.
    """

    name: str
    tasks: tuple[str, ...]
    prompts: Array
    transfer: Array
    overlap: Array | None = None

    @property
    def types(self) -> list[str]:
        """The type of each task."""
        return [type_of(task) for task in self.tasks]

    def select(self, name: str, tasks: Sequence[str]) -> Release:
        """The same release with these tasks alone."""
        rows = [self.tasks.index(task) for task in tasks]
        square = np.ix_(rows, rows)
        overlap = None if self.overlap is None else self.overlap[square]
        return Release(name, tuple(tasks), self.prompts[rows], self.transfer[square], overlap)


@check_arguments
def reference_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder given, or else the one that the environment variable SKILLKIT_REFERENCE names.

    Raises:
        FileNotFoundError: there is none.
    """
    name = os.fspath(folder) if folder else os.environ.get(VARIABLE, "")
    if not name:
        raise MissingFile(
            f"No folder of released prompts: set {VARIABLE} or give one. `skillkit released FOLDER --convert "
            "CHECKOUT` makes it from a checkout of github.com/thunlp/Prompt-Transferability."
        )
    path = Path(name)
    if not path.is_dir():
        raise MissingFile(
            f"The folder of released prompts {path} does not exist; check {VARIABLE} or the path given."
        )
    return path


@check_arguments
def read_prompts(folder: str | os.PathLike[str], model: str) -> dict[str, Array]:
    """The released prompts of a model, float64 [length, hidden] by task.

    Raises:
        FileNotFoundError: the folder does not hold them.
        SkillkitError: their file cannot be read.
    """
    return read_arrays(Path(folder) / f"su_prompts_{model}.npz")


@check_arguments
def releases(folder: str | os.PathLike[str] | None = None) -> list[Release]:
    """Every released model that the folder holds prompts and transfer results for.

    T5 comes twice, with all tasks and with the classification tasks alone. The data of 2021-09-10 come twice
    too, with all 14 tasks and without the three that never trained (WNLI, ANLI, RTE: their own accuracy is at
    chance).

    Raises:
        FileNotFoundError: there is no folder, or it holds no release.
    """
    path = reference_folder(folder)
    found = []
    for results in sorted(path.glob("su_transfer_*.csv")):
        model = results.stem.removeprefix("su_transfer_")
        if (
            path / f"su_prompts_{model}.npz"
        ).exists():  # there are results of another kind, such as across models
            found += _final_releases(path, model, read_table(results))
    early = path / "su_ON_roberta_base_2021-09-10.csv"
    if early.exists():
        found += _early_releases(path, read_table(early))
    if not found:
        raise MissingFile(f"{path} holds no su_transfer_<model>.csv with its su_prompts_<model>.npz.")
    return found


def _final_releases(path: Path, model: str, table: pd.DataFrame) -> list[Release]:
    """A model's final prompts, and the classification tasks alone where it has others."""
    release = _make_release(model, read_prompts(path, model), table)
    others = ("question answering", "summarisation")
    classified = [task for task in release.tasks if type_of(task) not in others]
    if len(classified) == len(release.tasks):
        return [release]
    return [release, release.select(f"{model}, classification", classified)]


def _early_releases(path: Path, table: pd.DataFrame) -> list[Release]:
    """The prompts of 2021-09-10, for which alone ON was published, and the tasks that trained alone."""
    names = {"task_a": "source_task", "task_b": "target_task", "transfer_a_to_b": "metric"}
    prompts = read_prompts(path, "roberta_base_2021-09-10")
    release = _make_release("roberta_base 2021-09-10", prompts, table.rename(columns=names))
    trained = [task for task in release.tasks if task not in ("WNLI", "anli", "RTE")]
    return [release, release.select("roberta_base 2021-09-10, trained", trained)]


def _make_release(name: str, prompts: dict[str, Array], table: pd.DataFrame) -> Release:
    """The tasks that have a type, a prompt and results, in the order of the prompts."""
    targets = set(table["target_task"])
    tasks = [task for task in prompts if type_of(task, "") and task in targets]

    def matrix(column: str) -> Array:
        wide = table.pivot(index="source_task", columns="target_task", values=column)
        return cast(Array, wide.reindex(index=tasks, columns=tasks).to_numpy(dtype=np.float64))

    overlap = matrix("ON") if "ON" in table.columns else None
    return Release(name, tuple(tasks), np.stack([prompts[task] for task in tasks]), matrix("metric"), overlap)


@check_arguments
def type_of(task: str, default: str | None = None) -> str:
    """The type of a task by their name for it; `default` for one that has none.

    Raises:
        SkillkitError: no type, and no default.
    """
    for kind, members in TYPES.items():
        if task in members:
            return kind
    if default is None:
        raise SkillkitError(
            f"Task {task!r} has no type in skillkit.transfer.released.releases.TYPES; add it there."
        )
    return default


@check_arguments
def read_table(path: Path) -> pd.DataFrame:
    """One .csv file of the folder.

    Raises:
        FileNotFoundError: the folder does not hold it.
    """
    if not path.exists():
        raise MissingFile(
            f"{path} is missing; see skillkit/transfer/released/__init__.py for what the folder holds."
        )
    return pd.read_csv(path)


@check_arguments
def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of one .npz file of the folder, by name, as float64."""
    with open_arrays(path) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


@check_arguments
def open_arrays(path: Path) -> Any:
    """One .npz file of the folder, opened.

    Raises:
        FileNotFoundError: the folder does not hold it.
        SkillkitError: it cannot be read.
    """
    if not path.exists():
        raise MissingFile(
            f"{path} is missing; see skillkit/transfer/released/__init__.py for what the folder holds."
        )
    try:
        return np.load(path)
    except (OSError, ValueError) as error:
        raise SkillkitError(f"{path} is no readable .npz file ({error}); copy it again.") from error
