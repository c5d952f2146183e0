"""A task with its splits: what ``load_task`` returns, and what its tokenised form shares with it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from datasets import Dataset, Value
from numpy.typing import NDArray

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError

Data = TypeVar("Data")


@dataclass(frozen=True)
class Splits(ABC, Generic[Data]):
    """A task with its splits. Adversarial tasks have a test split only; asking for another split raises.

    ``source`` says in words where the splits come from. ``notes`` are sentences about what was left out of
    the files, or read as something else than it looks like; there are none for clean data.
    """

    task: Task
    splits: dict[str, Data]
    source: str
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> Data:
        """The split of that name.

        Raises:
            SkillkitError: the task has no such split.
        """
        if not isinstance(name, str) or name not in self.splits:
            raise SkillkitError(
                f"Task {self.task.name!r} from {self.source} has no {name!r} split, "
                f"only {', '.join(self.splits)}."
                + (f" Tune on {self.task.clean!r} and use this one for testing." if self.task.clean else "")
            )
        return self.splits[name]

    @property
    def train(self) -> Data:
        """The training split."""
        return self.split("train")

    @property
    def validation(self) -> Data:
        """The split that every choice is made on."""
        return self.split("validation")

    @property
    def test(self) -> Data:
        """The split that every figure is reported on."""
        return self.split("test")

    @abstractmethod
    def labels(self, split: str) -> NDArray[np.int64]:
        """The labels of a split, [examples]."""

    @abstractmethod
    def relabelled(self, split: str, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> Data:
        """Some rows of a split, with new labels [rows]."""


@dataclass(frozen=True)
class TaskData(Splits[Dataset]):
    """A task with its splits as data sets of texts."""

    def labels(self, split: str) -> NDArray[np.int64]:
        """The labels of a split, [examples]."""
        return np.asarray(self.split(split)["label"], dtype=np.int64)

    def relabelled(self, split: str, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> Dataset:
        """Some rows of a split, with new labels [rows]."""
        chosen = self.split(split).select(rows).remove_columns("label")
        chosen = chosen.add_column("label", labels.tolist())  # type: ignore[call-arg]
        return chosen.cast_column("label", Value("int64"))


AnySplits = TypeVar("AnySplits", bound=Splits[Any])
