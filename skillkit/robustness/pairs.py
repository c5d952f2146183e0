"""Adversarial examples beside the clean texts they were made from (Ackermann & Ohmer 2024).

A row of an adversarial task carries `original_<column>` (null where that column was left alone),
`data_construction` (word, sentence or human) and `method`. Rows with an original are *pairs*: clean and
adversarial accuracy are compared on them, so that the drop is about the attack and not about which examples
were attacked. Several adversarial examples often come from one original (AdvGLUE's SST-2: 131 pairs from 87
originals), so everything that follows resamples originals, not examples.
"""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset, Features, Value
from numpy.typing import NDArray

from skillkit.checks import Seed, check_arguments
from skillkit.data.loading import TaskData, load_task
from skillkit.data.tasks import Task, all_tasks, get_task
from skillkit.errors import SkillkitError


@dataclass(frozen=True)
class Pairs:
    """Adversarial examples and the clean originals of those whose original is known.

    Attributes:
        task: the clean task, whose prompt and label words are used.
        adversarial: all adversarial examples.
        clean: the originals [pairs], with the adversarial example's label.
        rows: places of the examples with an original among all of them, [pairs].
        groups: the original's number for each example, [examples]; examples made from one text share it.
    """

    task: Task
    adversarial: Dataset
    clean: Dataset
    rows: list[int]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.rows)

    @property
    def attacked(self) -> Dataset:
        """The adversarial members of the pairs, [pairs], in the order of `clean`."""
        return self.adversarial.select(self.rows)

    @property
    def pair_groups(self) -> NDArray[np.int64]:
        """The original's number for each pair, [pairs]."""
        return self.groups[self.rows]

    def need(self, count: int = 2) -> None:
        """Raise SkillkitError when there are fewer pairs than an analysis needs."""
        if len(self) < count:
            raise SkillkitError(
                f"Only {len(self)} adversarial examples of {self.task.name!r} come with their original, "
                f"{count} are needed. Add {', '.join(f'original_{c}' for c in self.task.text_columns)} to "
                "the adversarial test split, or raise limit."
            )

    def as_task(self, dataset: Dataset | None = None) -> TaskData:
        """Some examples (by default all adversarial ones) as the clean task's test split, for scoring."""
        return TaskData(
            self.task, {"test": self.adversarial if dataset is None else dataset}, "adversarial pairs"
        )


@check_arguments
def load_pairs(
    task: str, *, twin: str | None = None, data: str | None = None, seed: Seed = 0, limit: int | None = None
) -> Pairs:
    """The adversarial version of a clean task, paired.

    Args:
        task: the clean task's name.
        twin: which adversarial version, where there are several (MNLI has a matched and a mismatched one).
        data: as in `load_task`.
        seed: as in `load_task`.
        limit: as in `load_task`.

    Raises:
        SkillkitError: the task has no adversarial version, or not this one.
    """
    clean = get_task(task)
    if clean.twin is None:
        known = ", ".join(name for name, row in all_tasks().items() if row.twins)
        raise SkillkitError(f"Task {task!r} has no adversarial version. Tasks that have one: {known}.")
    if twin is not None and twin not in clean.twins:
        raise SkillkitError(
            f"{twin!r} is no adversarial version of {task!r}. Choose from: {', '.join(clean.twins)}."
        )
    return pair_up(load_task(twin or clean.twin, data=data, seed=seed, limit=limit).test, clean)


@check_arguments
def pair_up(adversarial: Dataset, task: Task) -> Pairs:
    """Join each adversarial example with its clean original.

    The original has the `original_<column>` texts where they are given, the example's own text in the other
    columns, and the example's label: attacks are meant to keep it. A row in which no original is given stands
    alone.
    """
    changed = [c for c in task.text_columns if f"original_{c}" in adversarial.column_names]
    originals = {c: list(adversarial[f"original_{c}"]) for c in changed}
    texts = {c: list(adversarial[c]) for c in task.text_columns}
    rows: list[int] = []
    groups: list[int] = []
    numbers: dict[tuple[str, ...], int] = {}
    for row in range(len(adversarial)):
        given = {c: originals[c][row] for c in changed if isinstance(originals[c][row], str)}
        original = tuple(given.get(c, texts[c][row]) for c in task.text_columns)
        groups.append(numbers.setdefault(original, len(numbers)))
        if given:
            rows.append(row)
    known = list(numbers)  # in the order of their numbers
    labels = list(adversarial["label"])
    columns: dict[str, list[object]] = {
        c: [known[groups[row]][i] for row in rows] for i, c in enumerate(task.text_columns)
    }
    features = Features({**{c: Value("string") for c in task.text_columns}, "label": Value("int64")})
    clean = Dataset.from_dict({**columns, "label": [int(labels[row]) for row in rows]}, features=features)
    return Pairs(task, adversarial, clean, rows, np.array(groups, dtype=np.int64))
