"""Accuracy under attack: adversarial examples beside the clean texts they were made from (Ackermann & Ohmer
2024).

A row of an adversarial task carries ``original_<column>`` (null where that column was left alone),
``data_construction`` (word, sentence or human) and ``method``. Rows with an original are *pairs*: clean and
adversarial accuracy are compared on them, so that the drop is about the attack and not about which examples
were attacked. Several adversarial examples often come from one original (AdvGLUE's SST-2: 131 pairs from 87
originals), so intervals resample originals, not examples.

``answer_pairs`` runs the model; everything after it works on its table. What the neurons do is in
``attacked_neurons.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset, Features, Value
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from skillkit.data.loading import TaskData, load_task
from skillkit.data.tasks import Task, all_tasks, get_task
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.stats.intervals import cluster_bootstrap, difference_interval, mcnemar, outcome_interval

RESAMPLES = 2000
BINS = 10  # of confidence, for the calibration error

Array = NDArray[np.floating]
Interval = Callable[..., tuple[float, float]]


@dataclass(frozen=True)
class Pairs:
    """Adversarial examples and the clean originals of those whose original is known.

    ``adversarial`` holds all examples, ``rows`` [pairs] the places of those with an original, ``clean``
    [pairs] these originals in the same order, with the adversarial example's label. ``groups`` [examples]
    numbers the originals: examples made from one text share it. ``task`` is the clean task, whose prompt and
    label words are used.
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
        """The adversarial members of the pairs, [pairs], in the order of ``clean``."""
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
        """These examples (default: all adversarial ones) as the test split of the clean task, for scoring
        neurons on them.
        """
        return TaskData(
            self.task, {"test": self.adversarial if dataset is None else dataset}, "adversarial pairs"
        )


def load_pairs(
    task: str, *, twin: str | None = None, data: str | None = None, seed: int = 0, limit: int | None = None
) -> Pairs:
    """The adversarial version of a clean task, paired.

    Args:
        task: the clean task's name.
        twin: which adversarial version, where there are several (MNLI has a matched and a mismatched one).
        data, seed, limit: as in ``load_task``.

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


def pair_up(adversarial: Dataset, task: Task) -> Pairs:
    """Join each adversarial example with its clean original.

    The original has the ``original_<column>`` texts where they are given, the example's own text in the other
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


def answer_pairs(
    backbone: Backbone, prompt: SoftPrompt | None, pairs: Pairs, *, batch_size: int = 32
) -> pd.DataFrame:
    """What the prompted model answers to each adversarial example and to its original: one row per
    adversarial example.

    Columns: example, group, label, data_construction, method, paired; and with the prefixes ``clean_`` and
    ``adversarial_``: prediction, correct (0 or 1), confidence (probability of the prediction), probability
    (of the label) and margin (logit of the label minus the highest other one). The clean ones are missing
    where there is no original.
    """
    adversarial = label_logits(backbone, prompt, pairs.adversarial, pairs.task, batch_size=batch_size)
    labels = torch.tensor(list(pairs.adversarial["label"]))
    table = pd.DataFrame(
        {
            "example": np.arange(len(pairs.adversarial)),
            "group": pairs.groups,
            "label": labels.numpy(),
            "data_construction": _words(pairs.adversarial, "data_construction"),
            "method": _words(pairs.adversarial, "method"),
            "paired": np.isin(np.arange(len(pairs.adversarial)), pairs.rows),
        }
    )
    clean = torch.full_like(adversarial, torch.nan)
    if len(pairs):
        clean[pairs.rows] = label_logits(backbone, prompt, pairs.clean, pairs.task, batch_size=batch_size)
    for name, logits in (("clean", clean), ("adversarial", adversarial)):
        for column, values in _answers(logits, labels).items():
            table[f"{name}_{column}"] = values
    return table


def attack_table(examples: pd.DataFrame, by: str | None = None, *, seed: int = 0) -> pd.DataFrame:
    """How much an attack costs, one row per measurement, for all examples or for each value of a column.

    Args:
        examples: from ``answer_pairs``; tables of several prompts may be put below each other with a column
            ``seed``, and are averaged.
        by: None, ``data_construction`` or ``method``.

    Returns:
        Columns attack (the value of ``by``, or "all"), metric, value, n (examples), low, high, p. Metrics:

        - clean_accuracy, adversarial_accuracy, drop (the first minus the second; p: exact McNemar test, one
          prompt only): on the pairs
        - flip_rate: share of pairs that get two different answers
        - success_rate: share of adversarial answers that are wrong, where the clean one is right
        - adversarial_accuracy_all: with the examples that have no original
    """
    if by is not None and by not in examples:
        raise SkillkitError(f"The examples have no column {by!r}; they have {', '.join(examples.columns)}.")
    kinds = [("all", examples)] if by is None else list(examples.groupby(by, sort=True))
    rows = [{"attack": str(kind), **row} for kind, part in kinds for row in _attack_rows(part, seed)]
    return pd.DataFrame(rows)


def chance_test(examples: pd.DataFrame, classes: int, *, seed: int = 0) -> pd.DataFrame:
    """Is adversarial accuracy below chance? Two readings of chance: a uniform guess, and always the most
    frequent label.

    Returns:
        One row each: reference, chance, value, n, low, high, p_below, p_above (exact one-sided binomial
            tests; missing for several
        prompts) and verdict: "below" or "above" when the interval says so, else "undecided".
    """
    labels = examples.drop_duplicates("example")["label"]
    (row,) = [r for r in _attack_rows(examples, seed) if r["metric"] == "adversarial_accuracy_all"]
    correct = examples["adversarial_correct"]
    references = {
        "uniform guess": 1 / classes,
        "most frequent label": float(labels.value_counts(normalize=True).max()),
    }
    rows = []
    for reference, chance in references.items():
        found: dict[str, Any] = {"reference": reference, "chance": chance}
        for name, side in (("below", "less"), ("above", "greater")):
            test = stats.binomtest(int(correct.sum()), len(correct), chance, alternative=side)
            found[f"p_{name}"] = test.pvalue if _single(examples) else np.nan
        rows.append({**row, **found, "verdict": judge(row["low"], row["high"], chance)})
    return pd.DataFrame(rows).drop(columns="p")


def calibration(examples: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """How far confidence can be trusted on the pairs, clean and adversarial: one row per measurement.

    Columns text ("clean" or "adversarial"), metric, value, n, low, high. Metrics: confidence (mean),
    accuracy, overconfidence (their difference), loss (mean negative log-probability of the label, nats),
    calibration_error (expected calibration error in ten equal bins; biased upwards when n is small, so
    compare the two texts, which have the same n).
    """
    part = _paired(examples)
    groups = part["group"].to_numpy()
    rows = []
    for text in ("clean", "adversarial"):
        confidence, correct = (part[f"{text}_{c}"].to_numpy(dtype=float) for c in ("confidence", "correct"))
        loss = -np.log(np.clip(part[f"{text}_probability"].to_numpy(dtype=float), 1e-12, None))
        values = {
            "confidence": confidence,
            "accuracy": correct,
            "overconfidence": confidence - correct,
            "loss": loss,
        }
        n = part["example"].nunique()
        for metric, each in values.items():
            low, high = cluster_bootstrap(each, groups, seed=seed)
            rows.append(
                {"text": text, "metric": metric, "value": each.mean(), "n": n, "low": low, "high": high}
            )
        error = calibration_error(confidence, correct)
        low, high = _calibration_interval(confidence, correct, groups, seed)
        rows.append(
            {"text": text, "metric": "calibration_error", "value": error, "n": n, "low": low, "high": high}
        )
    return pd.DataFrame(rows)


def reliability(examples: pd.DataFrame) -> pd.DataFrame:
    """Accuracy against confidence in bins, for a reliability diagram: columns text, confidence (mean of the bin), value, n (texts),
    low, high (over originals: several prompts and several attacks can share one).
    """
    part, rows = _paired(examples), []
    groups, example = part["group"].to_numpy(), part["example"].reset_index(drop=True)
    for text in ("clean", "adversarial"):
        confidence, correct = (part[f"{text}_{c}"].to_numpy(dtype=float) for c in ("confidence", "correct"))
        bins = _bins(confidence)
        for bin_ in np.unique(bins):
            own = bins == bin_
            low, high = outcome_interval(correct[own], groups[own])
            rows.append(
                {
                    "text": text,
                    "confidence": confidence[own].mean(),
                    "value": correct[own].mean(),
                    "n": int(example[own].nunique()),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def calibration_error(confidence: Array, correct: Array) -> float:
    """Expected calibration error: mean over examples of |accuracy - confidence| of the example's bin."""
    bins = _bins(confidence)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def label_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the highest other one, [examples]: above 0 where the answer is right. With two
    labels it is their logit difference.
    """
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(-1)
    return logits.gather(1, labels[:, None])[:, 0] - others


def judge(low: float, high: float, reference: float = 0.0) -> str:
    """``above`` or ``below`` when an interval lies on one side of a reference, else ``undecided`` (also when
    there is no interval).
    """
    if low > reference:
        return "above"
    return "below" if high < reference else "undecided"


def _attack_rows(part: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    pairs = part[part["paired"]]
    rows = []
    if len(pairs):
        clean, adversarial = (
            pairs[f"{text}_correct"].to_numpy(dtype=float) for text in ("clean", "adversarial")
        )
        flipped = (pairs["clean_prediction"] != pairs["adversarial_prediction"]).to_numpy(dtype=float)
        p = mcnemar(clean, adversarial) if _single(pairs) else np.nan
        rows += [
            _row("clean_accuracy", pairs, clean, seed),
            _row("adversarial_accuracy", pairs, adversarial, seed),
            {**_row("drop", pairs, clean - adversarial, seed, difference_interval), "p": p},
            _row("flip_rate", pairs, flipped, seed),
        ]
        right = pairs[pairs["clean_correct"] == 1]
        if len(right):
            rows.append(
                _row("success_rate", right, 1 - right["adversarial_correct"].to_numpy(dtype=float), seed)
            )
    return [
        *rows,
        _row("adversarial_accuracy_all", part, part["adversarial_correct"].to_numpy(dtype=float), seed),
    ]


def _row(
    metric: str, examples: pd.DataFrame, values: Array, seed: int, interval: Interval = outcome_interval
) -> dict[str, Any]:
    low, high = interval(values, examples["group"].to_numpy(), seed=seed)
    return {
        "metric": metric,
        "value": values.mean(),
        "n": examples["example"].nunique(),
        "low": low,
        "high": high,
        "p": np.nan,
    }


def _single(examples: pd.DataFrame) -> bool:
    """Whether every example occurs once, that is, the table is of one prompt."""
    return bool(examples["example"].is_unique)


def _paired(examples: pd.DataFrame) -> pd.DataFrame:
    part = examples[examples["paired"]]
    if part.empty:
        raise SkillkitError(
            "No example has a clean original, so clean and adversarial text cannot be compared. Raise limit."
        )
    return part


def _bins(confidence: Array) -> NDArray[np.integer]:
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def _calibration_interval(
    confidence: Array, correct: Array, groups: NDArray[np.integer], seed: int
) -> tuple[float, float]:
    """Resample originals; the gap of every bin is a sum over groups, so one matrix product gives all
    resamples.
    """
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    gaps = np.zeros((len(names), BINS))
    np.add.at(gaps, (index, _bins(confidence)), confidence - correct)
    sizes = np.bincount(index).astype(float)
    drawn = (
        np.random.default_rng(seed)
        .multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
        .astype(float)
    )
    errors = np.abs(drawn @ gaps).sum(1) / (drawn @ sizes)
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)


def _answers(logits: Tensor, labels: Tensor) -> dict[str, Array]:
    """Columns of ``answer_pairs`` for logits [examples, labels]; rows of NaN give NaN."""
    known = ~torch.isnan(logits[:, 0])
    probabilities = logits.double().softmax(-1)
    confidence, prediction = probabilities.max(-1)
    columns = {
        "prediction": prediction.float(),
        "correct": (prediction == labels).float(),
        "confidence": confidence,
        "probability": probabilities.gather(1, labels[:, None])[:, 0],
        "margin": label_margin(logits, labels),
    }
    return {name: values.masked_fill(~known, torch.nan).double().numpy() for name, values in columns.items()}


def _words(dataset: Dataset, column: str) -> list[str]:
    if column not in dataset.column_names:
        return ["unknown"] * len(dataset)
    return [value if isinstance(value, str) else "unknown" for value in dataset[column][:]]
