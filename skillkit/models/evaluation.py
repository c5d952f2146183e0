"""How well a prompt answers: accuracies with their intervals, confusion, and paired differences.

Per-example correctness is kept as an array, because two conditions on the same examples must be compared
example by example: their difference is known far better than two separate intervals say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode, labels_of
from skillkit.models.prompts import SoftPrompt, label_logits, layout_of
from skillkit.stats.intervals import bootstrap, sem, student, wilson


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

    def row(self, **more: Any) -> dict[str, Any]:
        """A row of a result table: the accuracy with n and its Wilson interval, and whatever `more` says."""
        count = len(self.labels)
        low, high = wilson(self.correct.sum(), count)
        return {"metric": "accuracy", "value": self.accuracy, "n": count, "low": low, "high": high, **more}


def evaluate(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: int = 64,
) -> Evaluation:
    """Answer every example of a split with a prompt (None: the bare model). Ties go to the lower label."""
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    logits = label_logits(backbone, prompt, encoded, task, batch_size=batch_size)
    return Evaluation(logits.argmax(1).numpy(), np.asarray(encoded.labels, dtype=np.int64))


def evaluate_majority(train: Dataset | Encoded, dataset: Dataset | Encoded) -> Evaluation:
    """Always answer with the class that is most frequent in the training split."""
    labels = labels_of(dataset)
    common = np.bincount(labels_of(train)).argmax()
    return Evaluation(np.full_like(labels, common), labels)


Split = TypeVar("Split", Dataset, Encoded)


def sample_examples(dataset: Split, most: int | None, seed: int = 0) -> Split:
    """At most that many examples, a random sample fixed by `seed`, in the original order. None: all."""
    if most is None or len(dataset) <= most:
        return dataset
    rows = np.random.default_rng(seed).permutation(len(dataset))[:most]
    return dataset.select(np.sort(rows).tolist())


def confusion_table(evaluations: Sequence[Evaluation], labels: Sequence[str]) -> pd.DataFrame:
    """How often each true label got each answer, summed over `evaluations`: columns label, answer, count."""
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for evaluation in evaluations:
        np.add.at(counts, (evaluation.labels, evaluation.answers), 1)
    rows = [(a, b, counts[i, j]) for i, a in enumerate(labels) for j, b in enumerate(labels)]
    return pd.DataFrame(rows, columns=["label", "answer", "count"])


def over_seeds(rows: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """One row for several prompts: the mean, with low and high one standard error away (NaN for one
    prompt).
    """
    if not rows:
        raise SkillkitError("There is no row to average. Give one row per seed.")
    values = [float(row["value"]) for row in rows]
    low, high = sem(values)
    first = {name: rows[0][name] for name in rows[0] if name not in ("seed", "value", "low", "high")}
    return {**first, "value": float(np.mean(values)), "low": low, "high": high, **more}


def mean_correct(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """Share of prompts that answered each example correctly, [examples]. All must be over the same
    examples.
    """
    if not evaluations:
        raise SkillkitError("There is no evaluation to average. Give one per seed.")
    if any(len(each.labels) != len(evaluations[0].labels) for each in evaluations):
        raise SkillkitError(
            "The evaluations are over different examples. Evaluate all prompts on the same split."
        )
    return np.mean([each.correct for each in evaluations], axis=0)


def examples_row(correct: NDArray[np.float64], **more: Any) -> dict[str, Any]:
    """A row from per-example values [examples]: their mean, with a bootstrap interval over examples.

    Where all examples have the same share right, resampling sees no spread: then Wilson's interval for that share of as many.
    """
    count = len(correct)
    constant = count > 1 and bool(np.all(correct == correct[0])) and 0 <= correct[0] <= 1
    low, high = wilson(round(correct[0] * count), count) if constant else bootstrap(correct)
    return {
        "metric": "accuracy",
        "value": float(correct.mean()),
        "n": len(correct),
        "low": low,
        "high": high,
        **more,
    }


def runs_row(values: NDArray[np.float64]) -> dict[str, Any]:
    """A row from one value per run [runs], of which there are few: their mean, with Student's t interval."""
    low, high = student(values)
    return {"value": float(values.mean()), "n": len(values), "low": low, "high": high}


def difference_row(one: NDArray[np.float64], other: NDArray[np.float64], **more: Any) -> dict[str, Any]:
    """A row for `one` minus `other`, shares right [examples] of the same examples: paired bootstrap interval.

    Where the difference is the same for all examples, resampling sees no spread: then Wilson's bound for no exception among so many,
    to both sides.
    """
    if one.shape != other.shape:
        raise SkillkitError(
            f"A paired difference needs the same examples twice; got {len(one)} and {len(other)}. "
            "Use difference_of_means."
        )
    differences = one - other
    row = {**examples_row(differences), "metric": "difference", **more}
    if len(differences) > 1 and (differences == differences[0]).all():
        reach = wilson(0, len(differences))[1]
        row |= {"low": max(-1.0, differences[0] - reach), "high": min(1.0, differences[0] + reach)}
    return row


def difference_of_means(
    one: NDArray[np.float64], other: NDArray[np.float64], *, seed: int = 0, **more: Any
) -> dict[str, Any]:
    """A row for mean(`one`) minus mean(`other`), two separate sets of examples, each resampled on its own."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=(2000, len(values)))].mean(1) for values in (one, other)]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    value = float(one.mean() - other.mean())
    n = min(len(one), len(other))
    return {"metric": "difference", "value": value, "n": n, "low": float(low), "high": float(high), **more}


def label_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the highest other one, [examples]: above 0 where the answer is right.

    With two labels it is their logit difference.
    """
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(-1)
    return logits.gather(1, labels[:, None])[:, 0] - others
