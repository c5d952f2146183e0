"""Which cause of the label does a neuron follow? Answerable for generated tasks, whose causes are known.

The bundled tasks' rows carry the factors they were generated from, in columns `factor_*`: polarity of the
deciding word, negation, topic, relation of premise and hypothesis. A neuron's predictivity *for a factor*
is that of its threshold, with the factor's value in the place of the label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.scores import Baseline, score_neurons
from skillkit.neurons.significance import ThresholdBits

PREFIX = "factor_"

#: A neuron at a position: site index, entry of the positions axis, coordinate.
Place = tuple[int, int, int]


def binary_factors(
    dataset: Dataset, *, least: int = 20, most_values: int = 6
) -> dict[str, NDArray[np.float64]]:
    """Yes-or-no questions about the generating factors, by name: 0/1 [examples], NaN where the question
    does not apply.

    A factor with two values gives one question, one with more (up to `most_values`) a question per value
    against the rest. Questions with fewer than `least` examples on either side are left out, and so is a
    question that a former one asks already, in the same or the opposite sense. Text factors with more
    values (the words themselves) are left out.
    """
    questions: dict[str, NDArray[np.float64]] = {}
    for column in dataset.column_names:
        if not column.startswith(PREFIX):
            continue
        values = pd.Series(dataset[column][:])
        levels = sorted(values.dropna().unique(), key=str)
        if not 2 <= len(levels) <= most_values:
            continue
        for level in levels[-1:] if len(levels) == 2 else levels:
            answer = np.where(values.isna(), np.nan, (values == level).astype(float))
            name = f"{column.removeprefix(PREFIX)} = {level}"
            if min(np.nansum(answer), np.nansum(1 - answer)) >= least and not _asked(
                answer, questions.values()
            ):
                questions[name] = answer
    return questions


def task_questions(dataset: Dataset, task: Task, **options: Any) -> dict[str, NDArray[np.float64]]:
    """Questions about the label (one, or one per class if there are more than two) and then `binary_factors`, each asked once."""
    labels = np.asarray(dataset["label"])
    asked = range(1, 2) if len(task.labels) == 2 else range(len(task.labels))
    questions = {f"label = {task.labels[k]}": (labels == k).astype(float) for k in asked}
    for name, answer in binary_factors(dataset, **options).items():
        if not _asked(answer, questions.values()):
            questions[name] = answer
    return questions


def _asked(answer: NDArray[np.float64], questions: Iterable[NDArray[np.float64]]) -> bool:
    return any(
        np.array_equal(answer, other, equal_nan=True) or np.array_equal(answer, 1 - other, equal_nan=True)
        for other in questions
    )


def best_places(accuracy: Tensor, neurons: Sequence[tuple[int, int]]) -> list[Place]:
    """For each (site, coordinate) the position at which it is most predictive, from accuracy [sites,
    positions, width].
    """
    best = torch.nan_to_num(torch.maximum(accuracy, 1 - accuracy), nan=-1.0).argmax(dim=1)
    return [(site, int(best[site, neuron]), neuron) for site, neuron in neurons]


def activations_at(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset,
    task: Task,
    places: Sequence[Place],
    *,
    batch_size: int = 64,
) -> NDArray[np.float64]:
    """Activations of a few neurons at given positions, [examples, places], in the order of the data set."""
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    recorded = np.full((len(encoded), len(places)), np.nan)

    def keep(site: int, activation: Tensor, current: object) -> None:
        present, where = present_positions(backbone, site, current)  # type: ignore[arg-type]
        for column, (wanted, position, neuron) in enumerate(places):
            if wanted == site and position in present:
                values = take(activation, where)[:, present.index(position), neuron]
                recorded[current.batch.rows.numpy(), column] = values.float().cpu().numpy()  # type: ignore[attr-defined]

    with watch(backbone, keep):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return recorded


def factor_predictivity(
    bits: NDArray[np.bool_], questions: Mapping[str, NDArray[np.float64]], units: Sequence[str]
) -> pd.DataFrame:
    """Predictivity of thresholded neurons, `bits` [examples, units], for each question: unit, factor,
    value, low, high, n.

    Balanced: the mean of the shares right among the yes and among the no examples, so that a rare factor
    does not look predictable by never being there. `low` and `high` are a bootstrap interval over examples
    of the accuracy in the direction chosen on all of them, so an interval may reach below 0.5.
    """
    if bits.ndim != 2 or bits.shape[1] != len(units):
        raise SkillkitError(f"bits must be [examples, {len(units)} units]; got {list(bits.shape)}.")
    rows = []
    for name, answer in questions.items():
        known = ~np.isnan(answer)
        for column, unit in enumerate(units):
            counts = _counts(answer[known] == 1, bits[known, column])
            balanced, drawn = float(_balanced(counts)), _balanced(_resampled(counts))
            low, high = np.nanquantile(drawn if balanced >= 0.5 else 1 - drawn, [0.025, 0.975])
            rows.append(
                {
                    "unit": unit,
                    "factor": name,
                    "value": max(balanced, 1 - balanced),
                    "low": float(low),
                    "high": float(high),
                    "n": int(known.sum()),
                }
            )
    return pd.DataFrame(rows)


def _counts(*binary: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many examples have each combination of yes-or-no columns [examples]: [2] * columns."""
    codes = np.ravel_multi_index([column.astype(int) for column in binary], [2] * len(binary))
    return np.bincount(codes, minlength=2 ** len(binary)).reshape([2] * len(binary))


def _resampled(counts: NDArray[np.int64], resamples: int = 2000, seed: int = 0) -> NDArray[np.int64]:
    """The counts of bootstrap resamples of the examples, [resamples, ...]: how many are yes varies, too."""
    total = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(total, counts.ravel() / total, size=resamples)
    return drawn.reshape(resamples, *counts.shape)


def _balanced(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of the shares right among no and among yes, of counts [..., answer, bit]; NaN without one of the two."""
    right = np.diagonal(counts, axis1=-2, axis2=-1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (right / counts.sum(-1)).mean(-1)


def nearly_the_same(one: NDArray[np.float64], other: NDArray[np.float64], share: float = 0.9) -> bool:
    """Whether two questions have the same (or the opposite) answer for more than `share` of the examples that both apply to."""
    both = ~np.isnan(one) & ~np.isnan(other)
    same = float((one[both] == other[both]).mean()) if both.any() else 0.5
    return max(same, 1 - same) > share


def agreement_margin(
    bits: NDArray[np.bool_], one: NDArray[np.float64], other: NDArray[np.float64]
) -> dict[str, Any]:
    """How much more often a neuron's threshold bits [examples] agree with one question than with another, as a row.

    Balanced like `factor_predictivity`, and for each question in the direction that agrees more often; over the examples that both
    apply to, paired.
    """
    both = ~np.isnan(one) & ~np.isnan(other)
    counts = _counts(one[both] == 1, other[both] == 1, bits[both])
    drawn = _resampled(counts)
    margin, margins = 0.0, np.zeros(len(drawn))
    for axis, sign in ((1, 1), (0, -1)):  # the question that is summed over leaves the counts of the other
        agreement = float(_balanced(counts.sum(axis)))
        turned = sign if agreement >= 0.5 else -sign
        margin += turned * (agreement - 0.5)
        margins += turned * (_balanced(drawn.sum(axis + 1)) - 0.5)
    low, high = np.nanquantile(margins, [0.025, 0.975])
    return {
        "metric": "difference",
        "value": margin,
        "n": int(both.sum()),
        "low": float(low),
        "high": float(high),
    }


SHUFFLED = "shuffled label"


def site_predictivity(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset,
    task: Task,
    baseline: Baseline,
    questions: Mapping[str, NDArray[np.float64]],
    *,
    seed: int = 0,
    batch_size: int = 64,
) -> pd.DataFrame:
    """The highest balanced predictivity among all neurons and positions of each site, for each question, in one pass.

    Columns: stack, layer, factor, value, n. A last question, `SHUFFLED`, is the first one with its answers permuted: what the best
    of so many neurons reaches on nothing.
    """
    shuffled = np.random.default_rng(seed).permutation(next(iter(questions.values())))
    answers = np.stack([*questions.values(), shuffled])
    # The scores are not used, only the threshold bits that scoring shows; any two-class labels will do for that.
    asked = replace(task, labels=("no", "yes"), words=task.words[:2], su_words={}, twins=(), clean=None)
    stand_in = dataset.remove_columns("label").add_column("label", [row % 2 for row in range(len(dataset))])
    bits = ThresholdBits(backbone)
    score_neurons(
        backbone,
        prompt,
        TaskData(asked, {"test": stand_in}, "factors"),
        split="test",
        baseline=baseline,
        batch_size=batch_size,
        watcher=bits.watcher,
    )
    answers = answers[:, bits.rows.numpy()]
    known = ~np.isnan(answers)
    yes, no = ((answers == value).sum(1, keepdims=True) for value in (1, 0))
    # Whole numbers, as counts of examples have to be: every "yes" counts as often as there are "no", and the reverse.
    weights = np.where(known, np.where(answers == 1, no, yes), 0)
    labels = torch.from_numpy(np.nan_to_num(answers))
    highest = bits.predictivity(labels, torch.from_numpy(weights).float()).amax(-1)  # [sites, questions]
    return pd.DataFrame(
        {
            "stack": site.stack,
            "layer": site.layer,
            "factor": name,
            "value": float(highest[i, j]),
            "n": int(known[j].sum()),
        }
        for j, name in enumerate([*questions, SHUFFLED])
        for i, site in enumerate(backbone.sites)
    )
