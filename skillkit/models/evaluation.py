"""How well a prompt answers: accuracies with their intervals, confusion, and paired differences.

Per-example correctness is kept as an array, because two conditions on the same examples must be compared
example by example: their difference is known far better than two separate intervals say.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Size, check_arguments
from skillkit.data.loading import AnySplits
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode, labels_of
from skillkit.models.prompts import SoftPrompt, label_logits, layout_of
from skillkit.stats.measurement import Measurement, mean_of, proportion


@dataclass(frozen=True)
class Evaluation:
    """Answers and labels [examples], as label numbers."""

    answers: NDArray[np.int64]
    labels: NDArray[np.int64]

    @property
    def correct(self) -> NDArray[np.float64]:
        """1 where the answer is the label, else 0, [examples]."""
        return (self.answers == self.labels).astype(float)

    @property
    def accuracy(self) -> float:
        """Share of examples answered correctly."""
        return float(self.correct.mean())

    @property
    def measurement(self) -> Measurement:
        """The accuracy with its Wilson interval, over the texts."""
        return proportion(self.correct.sum(), len(self.labels))

    def row(self, **more: Any) -> dict[str, Any]:
        """A row of a result table: the accuracy, and whatever `more` says."""
        return self.measurement.row("accuracy", **more)


@check_arguments
def evaluate(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: Size = 64,
) -> Evaluation:
    """Answer every example of a split with a prompt (None: the bare model). Ties go to the lower label."""
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    logits = label_logits(backbone, prompt, encoded, task, batch_size=batch_size)
    return Evaluation(logits.argmax(1).numpy(), np.asarray(encoded.labels, dtype=np.int64))


@check_arguments
def evaluate_majority(train: Dataset | Encoded, dataset: Dataset | Encoded) -> Evaluation:
    """Always answer with the class that is most frequent in the training split."""
    labels = labels_of(dataset)
    common = np.bincount(labels_of(train)).argmax()
    return Evaluation(np.full_like(labels, common), labels)


Split = TypeVar("Split", Dataset, Encoded)


@check_arguments
def sample_examples(dataset: Split, most: Size | None, seed: int = 0) -> Split:
    """At most that many examples, a random sample fixed by `seed`, in the original order. None: all."""
    if most is None or len(dataset) <= most:
        return dataset
    rows = np.random.default_rng(seed).permutation(len(dataset))[:most]
    return dataset.select(np.sort(rows).tolist())


@check_arguments
def sample_splits(task_data: AnySplits, most: Size | None, whole: Collection[str] = ()) -> AnySplits:
    """`sample_examples` of every split, except for those that are to stay `whole`."""
    splits = {
        name: split if name in whole else sample_examples(split, most)
        for name, split in task_data.splits.items()
    }
    return replace(task_data, splits=splits)


def confusion_table(evaluations: Sequence[Evaluation], labels: Sequence[str]) -> pd.DataFrame:
    """How often each true label got each answer, summed over `evaluations`: columns label, answer, count."""
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for evaluation in evaluations:
        np.add.at(counts, (evaluation.labels, evaluation.answers), 1)
    rows = [(a, b, counts[i, j]) for i, a in enumerate(labels) for j, b in enumerate(labels)]
    return pd.DataFrame(rows, columns=["label", "answer", "count"])


@check_arguments
def mean_correct(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """Share of prompts that answered each example correctly, [examples].

    Raises:
        SkillkitError: no evaluation, or evaluations of different examples.
    """
    if not evaluations:
        raise SkillkitError("There is no evaluation to average. Give one per seed.")
    if any(not np.array_equal(each.labels, evaluations[0].labels) for each in evaluations):
        raise SkillkitError(
            "The evaluations are over different examples. Evaluate all prompts on the same split."
        )
    return np.mean([each.correct for each in evaluations], axis=0)


def over_prompts(evaluations: Sequence[Evaluation], metric: str, **more: Any) -> dict[str, Any]:
    """A row for several prompts that answered the same texts: their mean accuracy.

    `low` to `high` is a bootstrap interval over texts, of the share of prompts that answer each correctly.
    How much the prompts differ has columns of its own: `prompts`, their number, and `se`, the standard error
    of the mean over them (NaN for a single one).

    Raises:
        SkillkitError: as `mean_correct`.
    """
    measured = mean_of(mean_correct(evaluations))
    accuracies, count = [each.accuracy for each in evaluations], len(evaluations)
    error = float(np.std(accuracies, ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return measured.row(metric, se=error, prompts=count, **more)


@check_arguments
def label_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the highest other one, [examples]: above 0 where the answer is right.

    With two labels it is their logit difference.
    """
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(-1)
    return logits.gather(1, labels[:, None])[:, 0] - others
