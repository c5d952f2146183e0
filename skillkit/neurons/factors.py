"""Which cause of the label does a neuron follow? Answerable for generated tasks, whose causes are known.

The bundled tasks' rows carry the factors they were generated from, in columns `factor_*`: polarity of the
deciding word, negation, topic, relation of premise and hypothesis. A neuron's predictivity *for a factor* is
that of its threshold, with the factor's value in the place of the label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray

from skillkit.checks import Seed, Size, check_arguments
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.neurons.scores import score_neurons
from skillkit.neurons.significance import ThresholdBits
from skillkit.neurons.thresholds import Baseline
from skillkit.stats.measurement import Measurement, without_interval

PREFIX = "factor_"

#: Answers to a yes-or-no question: 0 or 1 for each text, NaN where it does not apply.
Answers = NDArray[np.float64]

LABEL = "label = "
SHUFFLED = "shuffled label"


@check_arguments
def binary_factors(dataset: Dataset, *, least: int = 20, most_values: int = 6) -> dict[str, Answers]:
    """Yes-or-no questions about the generating factors.

    A factor with two values gives one question, one with more gives a question per value against the rest. A
    question that a former one asks already, in the same or the opposite sense, is left out.

    Args:
        dataset: texts of a bundled task.
        least: a question with fewer texts on either side is left out.
        most_values: a factor with more values (the words themselves) is left out.

    Returns:
        By question, the answers [examples].
    """
    questions: dict[str, Answers] = {}
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


@check_arguments
def task_questions(dataset: Dataset, task: Task, **options: Any) -> dict[str, Answers]:
    """Questions about the label, then `binary_factors`, each asked once.

    With more than two classes there is one question about the label per class.
    """
    labels = np.asarray(dataset["label"])
    asked = range(1, 2) if len(task.labels) == 2 else range(len(task.labels))
    questions = {f"{LABEL}{task.labels[k]}": (labels == k).astype(float) for k in asked}
    for name, answer in binary_factors(dataset, **options).items():
        if not _asked(answer, questions.values()):
            questions[name] = answer
    return questions


def _asked(answer: Answers, questions: Iterable[Answers]) -> bool:
    return any(
        np.array_equal(answer, other, equal_nan=True) or np.array_equal(answer, 1 - other, equal_nan=True)
        for other in questions
    )


@check_arguments
def factor_predictivity(
    bits: NDArray[np.bool_], questions: Mapping[str, Answers], neurons: Sequence[str]
) -> pd.DataFrame:
    """Predictivity of thresholded neurons for each question.

    It is balanced: the mean of the shares right among the yes and among the no examples, so that a rare
    factor does not look predictable by never being there. Its interval is that of the accuracy in the
    direction chosen on all examples, so it may reach below 0.5.

    Args:
        bits: whether each neuron is above its threshold, [examples, neurons].
        questions: by name, the answers [examples].
        neurons: the neurons' names.

    Returns:
        One measurement over texts per question and neuron, with columns neuron and factor.

    Raises:
        SkillkitError: there are not as many names as columns.
    """
    if bits.ndim != 2 or bits.shape[1] != len(neurons):
        raise SkillkitError(f"bits must be [examples, {len(neurons)} neurons]; got {list(bits.shape)}.")
    rows = []
    for name, answer in questions.items():
        known = ~np.isnan(answer)
        for column, neuron in enumerate(neurons):
            counts = _counts(answer[known] == 1, bits[known, column])
            balanced, drawn = float(_balanced(counts)), _balanced(_resampled(counts))
            measured = _measured(
                max(balanced, 1 - balanced), int(known.sum()), drawn if balanced >= 0.5 else 1 - drawn
            )
            rows.append(measured.row("neuron_follows", neuron=neuron, factor=name))
    return pd.DataFrame(rows)


def _measured(value: float, n: int, drawn: Answers) -> Measurement:
    """A value with the 95 % range of its resamples [resamples]."""
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measurement(value, n, "texts", float(low), float(high), "bootstrap over texts")


def _counts(*binary: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many examples have each combination of yes-or-no columns [examples]: shape [2] * columns."""
    codes = np.ravel_multi_index([column.astype(int) for column in binary], [2] * len(binary))
    return np.bincount(codes, minlength=2 ** len(binary)).reshape([2] * len(binary))


def _resampled(counts: NDArray[np.int64], resamples: int = 2000, seed: int = 0) -> NDArray[np.int64]:
    """Counts of bootstrap resamples of the examples, [resamples, ...]: how many are yes varies, too."""
    total = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(total, counts.ravel() / total, size=resamples)
    return drawn.reshape(resamples, *counts.shape)


def _balanced(counts: NDArray[np.int64]) -> Answers:
    """Mean of the shares right among no and yes, from counts [..., answer, bit]; NaN without either."""
    right = np.diagonal(counts, axis1=-2, axis2=-1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (right / counts.sum(-1)).mean(-1)


@check_arguments
def nearly_the_same(one: Answers, other: Answers, share: float = 0.9) -> bool:
    """Whether two questions have the same (or the opposite) answer for more than `share` of the examples.

    Examples that one of them does not apply to are left out.
    """
    both = ~np.isnan(one) & ~np.isnan(other)
    same = float((one[both] == other[both]).mean()) if both.any() else 0.5
    return max(same, 1 - same) > share


@check_arguments
def agreement_margin(bits: NDArray[np.bool_], one: Answers, other: Answers) -> Measurement:
    """How much more often a neuron agrees with one question than with another.

    Agreement is balanced like `factor_predictivity`, and for each question in the direction that agrees more
    often.

    Args:
        bits: whether the neuron is above its threshold, [examples].
        one: the answers to a question, [examples].
        other: the answers to another; only the texts that both apply to count.

    Returns:
        The difference, paired by text.
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
    return _measured(margin, int(both.sum()), margins)


@check_arguments
def label_against_rival(
    bits: NDArray[np.bool_], questions: Mapping[str, Answers], followed: pd.DataFrame
) -> tuple[str, str, Measurement] | None:
    """Does a neuron agree with the label more often than with the one factor that it follows most?

    Args:
        bits: whether the neuron is above its threshold, [examples].
        questions: what `task_questions` returned.
        followed: the neuron's rows of `factor_predictivity`.

    Returns:
        The label's question, the rival factor's and the `agreement_margin` between them. Factors that are all
        but the label itself are no rivals; None if no other is left.
    """
    own = followed.set_index("factor")["value"]
    labels = [name for name in questions if name.startswith(LABEL)]
    label = own[labels].idxmax()
    rivals = [
        name
        for name, answer in questions.items()
        if name not in labels and not nearly_the_same(answer, questions[label])
    ]
    if not rivals:
        return None
    rival = own[rivals].idxmax()
    return label, rival, agreement_margin(bits, questions[label], questions[rival])


@check_arguments
def labels_over_rivals(
    chosen_on: tuple[NDArray[np.bool_], Mapping[str, Answers]],
    tried_on: tuple[NDArray[np.bool_], Mapping[str, Answers]],
    neurons: Sequence[str],
) -> list[dict[str, Any]]:
    """For each of several neurons, how much more often it agrees with the label than with its rival.

    Args:
        chosen_on: bits [examples, neurons] and questions by which `label_against_rival` finds each neuron's
            rival.
        tried_on: the same for other texts, on which the difference is counted.
        neurons: the neurons' names.

    Returns:
        A measurement over texts for each neuron that has a rival, with neuron and factor (what is compared).
    """
    (bits, asked), (other_bits, questions) = chosen_on, tried_on
    asked = {name: answers for name, answers in asked.items() if name in questions}
    followed = factor_predictivity(bits, asked, neurons)
    rows = []
    for number, name in enumerate(neurons):
        found = label_against_rival(bits[:, number], asked, followed[followed["neuron"] == name])
        if found:
            label, rival, _ = found
            margin = agreement_margin(other_bits[:, number], questions[label], questions[rival])
            rows.append(margin.row("label_over_rival", neuron=name, factor=f"{label} over {rival}"))
    return rows


@check_arguments
def site_predictivity(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    baseline: Baseline,
    questions: Mapping[str, Answers],
    *,
    seed: Seed = 0,
    batch_size: Size = 64,
) -> pd.DataFrame:
    """The highest balanced predictivity among all neurons and positions of each site, in one pass.

    Args:
        backbone: the model.
        prompt: what was tuned for the task; None: the bare model.
        dataset: the texts.
        task: what they ask.
        baseline: the thresholds.
        questions: by name, the answers [examples].
        seed: of the permutation.
        batch_size: texts in one pass.

    Returns:
        One measurement over texts per question and site, with columns stack, layer and factor. A last
        question, `SHUFFLED`, is the first one with its answers permuted: what the best of so many neurons
        reaches on nothing.
    """
    shuffled = np.random.default_rng(seed).permutation(next(iter(questions.values())))
    answers = np.stack([*questions.values(), shuffled])
    # The scores are not used, only the threshold bits that scoring shows: any two-class labels will do for
    # that.
    asked = replace(task, labels=("no", "yes"), words=task.words[:2], su_words={}, twins=(), clean=None)
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    stand_in = replace(encoded, labels=torch.arange(len(encoded)) % 2)
    bits = ThresholdBits(backbone)
    score_neurons(
        backbone,
        prompt,
        EncodedTask(asked, {"test": stand_in}, "factors"),
        split="test",
        baseline=baseline,
        batch_size=batch_size,
        watcher=bits.watcher,
    )
    answers = answers[:, bits.rows.numpy()]
    known = ~np.isnan(answers)
    yes, no = ((answers == value).sum(1, keepdims=True) for value in (1, 0))
    # Whole numbers, as counts of examples have to be: every "yes" counts as often as there are "no", and the
    # reverse.
    weights = np.where(known, np.where(answers == 1, no, yes), 0)
    labels = torch.from_numpy(np.nan_to_num(answers))
    highest = bits.predictivity(labels, torch.from_numpy(weights).float()).amax(-1)  # [sites, questions]
    rows = []
    for question, name in enumerate([*questions, SHUFFLED]):
        for index, site in enumerate(backbone.sites):
            measured = without_interval(float(highest[index, question]), int(known[question].sum()), "texts")
            where = {"stack": site.stack, "layer": site.layer}
            rows.append(measured.row("highest_in_site", factor=name, **where))
    return pd.DataFrame(rows)
