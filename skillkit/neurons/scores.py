"""Skill neurons: baselines, accuracies, predictivity, and masks of neurons (Wang et al. 2022, section 3).

For neuron n at position p, with activations a(n, p, x) and labels y in {0, 1}:

- baseline(n, p)  = mean of a over the training split
- accuracy(n, p)  = share of scored examples with 1[a > baseline] = y, strictly greater
- predictivity(n) = mean over prompts of max over p of max(accuracy, 1 - accuracy)

Selection happens on the validation split; what is found there is reported on the test split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skillkit.checks import Seed, Share, Size, check_arguments
from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.errors import SkillkitError
from skillkit.models.artifacts import SCORES, load_artifact, save_artifact
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import EncodedTask, encode, encode_task
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.neurons.shapes import need_bool_masks, need_finite
from skillkit.neurons.thresholds import Baseline, BitWatcher, measure_baseline, threshold_accuracy


@dataclass(frozen=True)
class NeuronScores:
    """How well each neuron predicts a two-class label.

    Attributes:
        baseline: mean activation on the training split, [sites, positions, width] for one prompt and
            [prompts, sites, positions, width] for several; NaN where a site has no such position.
        accuracy: share of scored examples whose label the threshold gives, of the same shape.
        predictivity: [sites, width].
        deviation: standard deviation on the training split, [sites, width].
        mean: activation on the training split, averaged over positions and prompts, [sites, width].
        examples: how many were scored.
        positive: how many of them have label 1.
    """

    baseline: Tensor
    accuracy: Tensor
    predictivity: Tensor
    deviation: Tensor
    mean: Tensor
    examples: int
    positive: int

    def __post_init__(self) -> None:
        """Refuse scores whose parts do not fit together.

        Raises:
            SkillkitError: tensors of different sites or widths, NaN in what is known of every neuron, or
                counts that are no counts.
        """
        shape = tuple(self.predictivity.shape)
        known = {"predictivity": self.predictivity, "deviation": self.deviation}
        alike = all(tuple(each.shape) == shape for each in (self.deviation, self.mean))
        for each in (self.baseline, self.accuracy):
            alike = alike and each.ndim in (3, 4) and (each.shape[-3], each.shape[-1]) == shape
        if len(shape) != 2 or 0 in shape or not alike:
            raise SkillkitError(
                f"Scores are of one model: predictivity {list(shape)}, "
                f"deviation {list(self.deviation.shape)}, mean {list(self.mean.shape)}, "
                f"accuracy {list(self.accuracy.shape)} do not fit together. "
                "Make them with score_neurons."
            )
        if broken := [name for name, each in known.items() if torch.isinf(each).any()]:
            raise SkillkitError(f"The scores' {broken[0]} is infinite for some neurons. Score them again.")
        if not 0 <= self.positive <= self.examples or self.examples < 1:
            raise SkillkitError(
                f"Scores over {self.examples} examples, {self.positive} of label 1; expected at least one."
            )

    @property
    def varying(self) -> Tensor:
        """Which neurons do not always say the same, bool [sites, width].

        The others, most often silent ones, can predict nothing.
        """
        return self.deviation > 1e-6 * self.deviation.amax(1, keepdim=True)

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, whole or not at all."""
        tensors = {name: getattr(self, name) for name in SCORES.tensors if name != "counts"}
        counts = torch.tensor([self.examples, self.positive])
        return save_artifact(path, SCORES, {**tensors, "counts": counts})

    @classmethod
    def load(cls, path: str | Path) -> "NeuronScores":
        """Read what `save` wrote.

        Raises:
            SkillkitError: no such file, a truncated file, or a file that holds something else.
        """
        tensors, _ = load_artifact(path, SCORES)
        examples, positive = tensors.pop("counts").tolist()
        return cls(**tensors, examples=examples, positive=positive)


@check_arguments
def score_neurons(
    backbone: Backbone,
    prompt: SoftPrompt | Sequence[SoftPrompt] | None,
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    batch_size: Size = 32,
    baseline: Baseline | Sequence[Baseline] | None = None,
    watcher: BitWatcher | None = None,
) -> NeuronScores:
    """Predictivity of every neuron for a two-class task. Memory does not grow with the number of examples.

    Args:
        backbone: the model.
        prompt: one prompt, or several (tuned from different seeds) to average over; None for the bare model's
            answer slot.
        task_data: a two-class task; see `score_task` for more classes.
        split: the examples to score; thresholds always come from the training split.
        batch_size: examples in one pass.
        baseline: thresholds measured earlier (`measure_baseline`), one per prompt. They are needed to score
            adversarial data by the clean task's thresholds (Ackermann & Ohmer 2024).
        watcher: is shown the bits that accuracy counts, so that other statistics need no pass of their own
            (`significance`).

    Raises:
        SkillkitError: the task has more than two classes, a missing split, or scored examples of one class
            only.
    """
    task = task_data.task
    if len(task.labels) != 2:
        raise SkillkitError(
            f"Task {task.name!r} has {len(task.labels)} classes; predictivity is about two. "
            "Use score_task, or binary_subtasks first."
        )
    prompts = [prompt] if prompt is None or isinstance(prompt, SoftPrompt) else list(prompt)
    if not prompts:
        raise SkillkitError("No prompt was given. Pass one prompt or a list of them.")
    scored = encode(backbone, task_data.split(split), task, layout_of(prompts[0]))
    positive = int(scored.labels.sum())
    if positive in (0, len(scored)):
        raise SkillkitError(f"All {len(scored)} examples to score have the same label. Use a larger sample.")
    baselines = _baselines(backbone, prompts, baseline, task_data, batch_size)
    accuracies = []
    for number, (each, thresholds) in enumerate(zip(prompts, baselines, strict=True)):
        show = None if watcher is None else partial(watcher, number)
        accuracies.append(threshold_accuracy(backbone, each, scored, thresholds.mean, batch_size, show))
    single = prompt is None or isinstance(prompt, SoftPrompt)
    means = torch.stack([b.mean for b in baselines])
    return NeuronScores(
        baseline=means[0] if single else means,
        accuracy=accuracies[0] if single else torch.stack(accuracies),
        predictivity=torch.stack([predictivity(accuracy) for accuracy in accuracies]).mean(0),
        deviation=torch.stack([b.deviation for b in baselines]).mean(0),
        mean=means.nanmean(dim=(0, 2)),
        examples=len(scored),
        positive=positive,
    )


@check_arguments
def score_task(
    backbone: Backbone,
    prompt: SoftPrompt | Sequence[SoftPrompt] | None,
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    batch_size: Size = 32,
) -> dict[str, NeuronScores]:
    """`score_neurons` for a task with any number of classes: by name of its class-balanced binary subtasks.

    The prompts are those of the whole task (Wang et al. 2022 tune one per subtask).
    """
    first = prompt if prompt is None or isinstance(prompt, SoftPrompt) else next(iter(prompt), None)
    encoded = encode_task(backbone, task_data, layout_of(first))
    return {
        name: score_neurons(backbone, prompt, subtask, split=split, batch_size=batch_size)
        for name, subtask in binary_subtasks(encoded).items()
    }


@check_arguments
def predictivity(accuracy: Tensor) -> Tensor:
    """max over positions of max(accuracy, 1 - accuracy): [sites, positions, width] to [sites, width].

    Positions that a site does not have (NaN) are ignored; -1 at a site that has none at all.

    Raises:
        SkillkitError: accuracies that are missing for single neurons, everywhere, or infinite.
    """
    return _in_the_better_direction(accuracy).amax(dim=-2)


@check_arguments
def best_positions(accuracy: Tensor) -> Tensor:
    """Where each neuron is most predictive: accuracy [sites, positions, width] to indices [sites, width].

    Positions that a site does not have (NaN) are ignored; ties go to the lower index. Axes before the sites
    are kept.

    Raises:
        SkillkitError: as `predictivity`.
    """
    return _in_the_better_direction(accuracy).argmax(dim=-2)


def _in_the_better_direction(accuracy: Tensor) -> Tensor:
    """max(accuracy, 1 - accuracy), and -1 for a position that is not there."""
    missing = torch.isnan(accuracy).all(-2) if accuracy.ndim > 2 else torch.ones(1, dtype=torch.bool)
    # A site may have no position at all; a neuron without one beside others that have some is broken.
    if missing.all() or (missing.any(-1) & ~missing.all(-1)).any() or torch.isinf(accuracy).any():
        raise SkillkitError(
            "Accuracies are [..., sites, positions, width], and every neuron of a site has the same "
            f"positions; got shape {list(accuracy.shape)} with NaN or infinite values where numbers belong. "
            "Score the neurons again (score_neurons)."
        )
    return torch.nan_to_num(torch.maximum(accuracy, 1 - accuracy), nan=-1.0)


@check_arguments
def skill_neurons(predictivity: Tensor, fraction: Share) -> Tensor:
    """The floor(fraction * width) most predictive neurons of each site, as a bool mask [sites, width].

    Ties go to the lower index.

    Raises:
        SkillkitError: the fraction is not between 0 and 1.
    """
    return _top(predictivity, fraction)


@check_arguments
def least_predictive_neurons(predictivity: Tensor, fraction: Share) -> Tensor:
    """The opposite control: as many of the least predictive neurons of each site, [sites, width].

    Ties go to the lower index.
    """
    return _top(-predictivity, fraction)


@check_arguments
def merge_subtasks(predictivities: Sequence[Tensor], fraction: Share) -> Tensor:
    """Skill neurons of a task with several binary subtasks, floor(fraction * width) in each site.

    As in the released code of Wang et al. (2022), the first subtask gives its top share fraction / subtasks;
    each further one is walked down from its top until its share is filled with neurons not chosen yet.

    Raises:
        SkillkitError: no subtask, scores of different models, or some that are not finite.
    """
    if len(predictivities) == 0:
        raise SkillkitError("No subtask was given.")
    for each in predictivities:
        need_finite(each, "Predictivities of subtasks", predictivities[0].shape)
    width = predictivities[0].shape[1]
    mask = torch.zeros_like(predictivities[0], dtype=torch.bool)
    for index, scores in enumerate(predictivities):
        wanted = count_of(fraction * (index + 1) / len(predictivities), width)
        order = torch.sort(scores, dim=1, descending=True, stable=True).indices
        for site in range(len(mask)):
            free = order[site][~mask[site][order[site]]]
            mask[site, free[: wanted - int(mask[site].sum())]] = True
    return mask


@check_arguments
def random_neurons(like: Tensor, seed: Seed, exclude: Tensor | None = None) -> Tensor:
    """As many random neurons in each site as `like` has, [sites, width]; none of `exclude`.

    Raises:
        SkillkitError: masks that are not bool [sites, width], or too few neurons to choose from.
    """
    need_bool_masks(like, *([] if exclude is None else [exclude]))
    rng = np.random.default_rng(seed)
    mask = torch.zeros_like(like, dtype=torch.bool)
    for site, row in enumerate(like):
        allowed = np.arange(len(row)) if exclude is None else np.flatnonzero(~exclude[site].numpy())
        count = int(row.sum())
        if count > len(allowed):
            raise SkillkitError(
                f"Site {site} has {len(allowed)} neurons to choose from, {count} were asked for. "
                "Use a smaller fraction."
            )
        mask[site, torch.from_numpy(rng.permutation(allowed)[:count])] = True
    return mask


@check_arguments
def matched_neurons(like: Tensor, deviation: Tensor, seed: Seed) -> Tensor:
    """Random neurons matched to those of `like` in standard deviation, [sites, width].

    It is the control that the papers lack. In each site, every neuron of `like` (in random order) is paired
    with the free neuron outside `like` whose standard deviation is nearest. A skill neuron that varies more
    than any other gets the most variable one left.

    Raises:
        SkillkitError: a site has fewer neurons outside `like` than inside, `like` is not bool
            [sites, width], or deviations of another shape or not finite.
    """
    need_bool_masks(like)
    need_finite(deviation, "The deviations that neurons are matched by", like.shape)
    rng = np.random.default_rng(seed)
    mask = torch.zeros_like(like, dtype=torch.bool)
    for site in range(len(like)):
        chosen, free = np.flatnonzero(like[site].numpy()), np.flatnonzero(~like[site].numpy())
        if len(chosen) > len(free):
            raise SkillkitError(
                f"Site {site} has {len(free)} neurons left to match {len(chosen)} with. "
                "Use a smaller fraction."
            )
        spread = deviation[site].numpy()
        for neuron in rng.permutation(chosen):
            nearest = int(np.argmin(np.abs(spread[free] - spread[neuron])))
            mask[site, free[nearest]] = True
            free = np.delete(free, nearest)
    return mask


@check_arguments
def count_of(fraction: Share, width: int) -> int:
    """floor(fraction * width), safe against 0.29 * 100 = 28.999...

    Raises:
        SkillkitError: the fraction is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise SkillkitError(f"A fraction of neurons lies between 0 and 1, not {fraction} (5 % is 0.05).")
    return math.floor(fraction * width + 1e-9)


def _top(scores: Tensor, fraction: float) -> Tensor:
    need_finite(scores, "The numbers that neurons are ranked by")
    count = count_of(fraction, scores.shape[1])
    order = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)


def _baselines(
    backbone: Backbone,
    prompts: Sequence[SoftPrompt | None],
    given: Baseline | Sequence[Baseline] | None,
    task_data: TaskData | EncodedTask,
    batch_size: int,
) -> list[Baseline]:
    """The thresholds for each prompt: those that are given, or else those of the training split."""
    if given is None:
        train = encode(backbone, task_data.train, task_data.task, layout_of(prompts[0]))
        return [
            measure_baseline(backbone, prompt, train, task_data.task, batch_size=batch_size)
            for prompt in prompts
        ]
    known = [given] if isinstance(given, Baseline) else list(given)
    if len(known) != len(prompts):
        raise SkillkitError(f"{len(known)} baselines for {len(prompts)} prompts: give one per prompt.")
    return known


@check_arguments
def shift_unit(deviation: Tensor) -> Tensor:
    """What a neuron's shift is measured in, [sites, width].

    It is the neuron's standard deviation, but at least a tenth of its site's. Without the floor a few neurons
    that hardly ever fire on clean text, and do once under attack, would outweigh all others.

    Raises:
        SkillkitError: deviations that are not finite, or not [sites, width].
    """
    need_finite(deviation, "Deviations")
    floor = 0.1 * deviation.square().mean(1, keepdim=True).sqrt()
    return torch.maximum(deviation, floor).clamp_min(1e-6)


@check_arguments
def within_sites(backbone: Backbone, sites: Sequence[int] | None) -> Tensor:
    """True for the neurons of these sites (None: of all), [sites, 1].

    Raises:
        SkillkitError: no site, or one that the backbone does not have.
    """
    count = len(backbone.sites)
    chosen = range(count) if sites is None else sites
    if not chosen or not set(chosen) <= set(range(count)):
        raise SkillkitError(f"sites={list(chosen)}: name at least one of the sites 0 to {count - 1}.")
    return torch.tensor([site in chosen for site in range(count)])[:, None]
