"""Skill neurons: baselines, accuracies, predictivity, and masks of neurons (Wang et al. 2022, section 3).

For neuron n at position p, with activations a(n, p, x) and labels y in {0, 1}:

- baseline(n, p)  = mean of a over the training split
- accuracy(n, p)  = share of scored examples with 1[a > baseline] = y, strictly greater
- predictivity(n) = mean over prompts of max over p of max(accuracy, 1 - accuracy)

Selection happens on the validation split; what is found there is reported on the test split.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.files import atomic_write, file_digest
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, EncodedTask, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.provenance import note_read


@dataclass(frozen=True)
class Baseline:
    """Mean [sites, positions, width] over the training split, and the neurons' standard deviation over examples [sites, width].

    The deviation is the root mean square, over the positions that a site has, of the standard deviation at each position.
    """

    mean: Tensor
    deviation: Tensor


@dataclass(frozen=True)
class NeuronScores:
    """How well each neuron predicts a two-class label.

    ``baseline`` and ``accuracy`` are [sites, positions, width] for one prompt, [prompts, sites, positions, width] for several, NaN
    where a site has no such position. ``predictivity``, ``deviation`` and ``mean`` (activation on the training split, averaged over
    positions and prompts) are [sites, width]. ``examples`` were scored, of which ``positive`` have label 1.
    """

    baseline: Tensor
    accuracy: Tensor
    predictivity: Tensor
    deviation: Tensor
    mean: Tensor
    examples: int
    positive: int

    @property
    def varying(self) -> Tensor:
        """Which neurons do not always say the same, bool [sites, width]: the others (most often silent ones) can predict nothing."""
        return self.deviation > 1e-6 * self.deviation.amax(1, keepdim=True)

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, whole or not at all."""
        tensors = {name: getattr(self, name).contiguous() for name in _TENSORS}
        with atomic_write(path) as temporary:
            metadata = {
                "format": "skillkit-neuron-scores",
                "examples": str(self.examples),
                "positive": str(self.positive),
            }
            save_file(
                {**tensors, "counts": torch.tensor([self.examples, self.positive])}, temporary, metadata
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "NeuronScores":
        """Read what ``save`` wrote.

        Raises:
            SkillkitError: no such file, a truncated file, or a file that holds something else.
        """
        if not Path(path).exists():
            raise SkillkitError(f"There are no neuron scores at {path}. Run notebook 02_skill_neurons first.")
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise SkillkitError(
                f"The scores {path} are truncated or foreign ({error}). Run 02_skill_neurons again."
            ) from error
        if not {*_TENSORS, "counts"} <= set(tensors):
            raise SkillkitError(
                f"{path} holds {sorted(tensors)}, not neuron scores. Give a file written by NeuronScores.save."
            )
        note_read("scores", path, file_digest(path))
        examples, positive = tensors["counts"].tolist()
        return cls(**{name: tensors[name] for name in _TENSORS}, examples=examples, positive=positive)


_TENSORS = ("baseline", "accuracy", "predictivity", "deviation", "mean")

#: Called with the prompt's number, the site's index, bits = activation > baseline [examples, positions present, width], and the batch.
BitWatcher = Callable[[int, int, Tensor, Pass], None]


def score_neurons(
    backbone: Backbone,
    prompt: SoftPrompt | Sequence[SoftPrompt] | None,
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    batch_size: int = 32,
    baseline: Baseline | Sequence[Baseline] | None = None,
    watcher: BitWatcher | None = None,
) -> NeuronScores:
    """Predictivity of every neuron for a two-class task, streaming: memory does not grow with the number of examples.

    Args:
        prompt: one prompt, or several (tuned from different seeds) to average over; None for the bare model's answer slot.
        task_data: a two-class task; see ``score_task`` for more classes.
        split: the examples to score; thresholds always come from the training split.
        baseline: thresholds measured earlier (``measure_baseline``), one per prompt. Needed to score adversarial data by the clean
            task's thresholds (Ackermann & Ohmer 2024).
        watcher: is shown the bits that accuracy counts, so that other statistics need no pass of their own (``significance``).

    Raises:
        SkillkitError: the task has more than two classes, a missing split, or scored examples of one class only.
    """
    task = task_data.task
    if len(task.labels) != 2:
        raise SkillkitError(
            f"Task {task.name!r} has {len(task.labels)} classes; predictivity is about two. Use score_task, or binary_subtasks first."
        )
    prompts = [prompt] if prompt is None or isinstance(prompt, SoftPrompt) else list(prompt)
    if not prompts:
        raise SkillkitError("No prompt was given. Pass one prompt or a list of them.")
    thresholds = _as_list(baseline, len(prompts))
    scored = encode(backbone, task_data.split(split), task, layout_of(prompts[0]))
    positive = int(scored.labels.sum())
    if positive in (0, len(scored)):
        raise SkillkitError(f"All {len(scored)} examples to score have the same label. Use a larger sample.")
    train = encode(backbone, task_data.train, task, layout_of(prompts[0])) if None in thresholds else None
    baselines = [
        b or measure_baseline(backbone, p, train, task, batch_size=batch_size)
        for p, b in zip(prompts, thresholds, strict=True)
    ]  # type: ignore[arg-type]
    accuracies = [
        _accuracy(
            backbone, p, scored, b.mean, batch_size, None if watcher is None else partial(watcher, number)
        )
        for number, (p, b) in enumerate(zip(prompts, baselines, strict=True))
    ]
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


def score_task(
    backbone: Backbone,
    prompt: SoftPrompt | Sequence[SoftPrompt] | None,
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    batch_size: int = 32,
) -> dict[str, NeuronScores]:
    """``score_neurons`` for a task with any number of classes: by name of its class-balanced binary subtasks.

    The prompts are those of the whole task (Wang et al. 2022 tune one per subtask).
    """
    return {
        name: score_neurons(backbone, prompt, subtask, split=split, batch_size=batch_size)
        for name, subtask in binary_subtasks(task_data).items()
    }


def measure_baseline(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: int = 32,
) -> Baseline:
    """Mean and standard deviation of every activation over a data set, streaming.

    Sums are of distances from the first batch's mean: it is near every mean, so that squares lose no digits, and neither size nor
    order of the batches matters.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    shape = (len(backbone.sites), 1 + (0 if prompt is None else prompt.length), backbone.width)
    shift = torch.full(shape, torch.nan, device=backbone.device)
    total = torch.zeros(shape, dtype=torch.float64, device=backbone.device)
    square = torch.zeros(shape, dtype=torch.float64, device=backbone.device)
    seen = 0

    def add(site: int, activation: Tensor, current: Pass) -> None:
        present, places = present_positions(backbone, site, current)
        if not present:
            return
        values = take(activation, places).float()
        if seen == 0:
            shift[site, present] = values.mean(0)
        apart = values - shift[site, present]
        total[site, present] += apart.sum(0)
        square[site, present] += apart.square_().sum(0)

    with watch(backbone, add):
        for batch, _ in run(backbone, prompt, encoded, batch_size=batch_size):
            seen += len(batch)
    drift = total / seen
    variance = (square / seen - drift**2).clamp(min=0) + 0 * shift  # NaN where a site has no such position
    return Baseline((shift + drift).float().cpu(), variance.nanmean(dim=1).sqrt().float().cpu())


def predictivity(accuracy: Tensor) -> Tensor:
    """max over positions of max(accuracy, 1 - accuracy): [sites, positions, width] to [sites, width]; NaN positions are ignored."""
    best = torch.maximum(accuracy, 1 - accuracy)
    return torch.nan_to_num(best, nan=-1.0).amax(dim=-2)


def skill_neurons(predictivity: Tensor, fraction: float) -> Tensor:
    """The floor(fraction * width) most predictive neurons of each site, as a bool mask [sites, width]. Ties: lower index first.

    Raises:
        SkillkitError: the fraction is not between 0 and 1.
    """
    return _top(predictivity, fraction)


def least_predictive_neurons(predictivity: Tensor, fraction: float) -> Tensor:
    """The opposite control: as many of the least predictive neurons of each site, [sites, width]. Ties: lower index first."""
    return _top(-predictivity, fraction)


def merge_subtasks(predictivities: Sequence[Tensor], fraction: float) -> Tensor:
    """Skill neurons of a task with several binary subtasks, floor(fraction * width) in each site (Wang et al. 2022, released code).

    The first subtask gives its top share fraction / subtasks; each further one is walked down from its top until its share is filled
    with neurons not chosen yet.
    """
    if len(predictivities) == 0:
        raise SkillkitError("No subtask was given.")
    width = predictivities[0].shape[1]
    mask = torch.zeros_like(predictivities[0], dtype=torch.bool)
    for index, scores in enumerate(predictivities):
        wanted = count_of(fraction * (index + 1) / len(predictivities), width)
        order = torch.sort(scores, dim=1, descending=True, stable=True).indices
        for site in range(len(mask)):
            free = order[site][~mask[site][order[site]]]
            mask[site, free[: wanted - int(mask[site].sum())]] = True
    return mask


def random_neurons(like: Tensor, seed: int, exclude: Tensor | None = None) -> Tensor:
    """As many random neurons in each site as ``like`` has, [sites, width]; none of ``exclude``."""
    rng = np.random.default_rng(seed)
    mask = torch.zeros_like(like, dtype=torch.bool)
    for site, row in enumerate(like):
        allowed = np.arange(len(row)) if exclude is None else np.flatnonzero(~exclude[site].numpy())
        count = int(row.sum())
        if count > len(allowed):
            raise SkillkitError(
                f"Site {site} has {len(allowed)} neurons to choose from, {count} were asked for. Use a smaller fraction."
            )
        mask[site, torch.from_numpy(rng.permutation(allowed)[:count])] = True
    return mask


def matched_neurons(like: Tensor, deviation: Tensor, seed: int) -> Tensor:
    """Random neurons matched to those of ``like`` in standard deviation, [sites, width]: the control that the papers lack.

    In each site, every neuron of ``like`` (in random order) is paired with the free neuron outside ``like`` whose standard deviation
    is nearest. A skill neuron that varies more than any other gets the most variable one left.

    Raises:
        SkillkitError: a site has fewer neurons outside ``like`` than inside.
    """
    rng = np.random.default_rng(seed)
    mask = torch.zeros_like(like, dtype=torch.bool)
    for site in range(len(like)):
        chosen, free = np.flatnonzero(like[site].numpy()), np.flatnonzero(~like[site].numpy())
        if len(chosen) > len(free):
            raise SkillkitError(
                f"Site {site} has {len(free)} neurons left to match {len(chosen)} with. Use a smaller fraction."
            )
        spread = deviation[site].numpy()
        for neuron in rng.permutation(chosen):
            nearest = int(np.argmin(np.abs(spread[free] - spread[neuron])))
            mask[site, free[nearest]] = True
            free = np.delete(free, nearest)
    return mask


def count_of(fraction: float, width: int) -> int:
    """floor(fraction * width), safe against 0.29 * 100 = 28.999...

    Raises:
        SkillkitError: the fraction is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise SkillkitError(f"A fraction of neurons lies between 0 and 1, not {fraction} (5 % is 0.05).")
    return math.floor(fraction * width + 1e-9)


def _top(scores: Tensor, fraction: float) -> Tensor:
    if scores.ndim != 2 or torch.isnan(scores).any():
        raise SkillkitError(
            f"Neurons are ranked by numbers [sites, width] without NaN; got shape {list(scores.shape)}."
        )
    count = count_of(fraction, scores.shape[1])
    order = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)


def _accuracy(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    threshold: Tensor,
    batch_size: int,
    watcher: Callable[[int, Tensor, Pass], None] | None = None,
) -> Tensor:
    """Share of examples whose label the comparison with the threshold gives, [sites, positions, width].

    correct = sum over y=1 of bit + sum over y=0 of (1 - bit) = (2y - 1) · bits + number of y=0: one matrix product per batch.
    """
    threshold = threshold.to(backbone.device)
    correct = torch.zeros(threshold.shape, dtype=torch.float64, device=backbone.device)
    missing = torch.isnan(threshold)

    def count(site: int, activation: Tensor, current: Pass) -> None:
        present, places = present_positions(backbone, site, current)
        if not present:
            return
        bits = take(activation, places).float() > threshold[site, present]
        signs = 2.0 * current.batch.labels.float() - 1
        correct[site, present] += torch.tensordot(signs, bits.float(), dims=1)
        if watcher is not None:
            watcher(site, bits, current)

    with watch(backbone, count):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    negative = len(encoded) - int(encoded.labels.sum())
    return _mirrored((correct + negative) / len(encoded)).masked_fill(missing, torch.nan).cpu()


def _mirrored(share: Tensor) -> Tensor:
    """Shares (float64) as float32, so that k of n is exactly as far from one half as n - k of n: rounding would break such ties."""
    return torch.where(share >= 0.5, share.float(), 1 - (1 - share).float())


def _as_list(baseline: Baseline | Sequence[Baseline] | None, count: int) -> list[Baseline | None]:
    if baseline is None:
        return [None] * count
    given = [baseline] if isinstance(baseline, Baseline) else list(baseline)
    if len(given) != count:
        raise SkillkitError(f"{len(given)} baselines for {count} prompts: give one per prompt.")
    return list(given)


def shift_unit(deviation: Tensor) -> Tensor:
    """What a neuron's shift is measured in, [sites, width]: its standard deviation, at least a tenth of its site's.

    Without the floor a few neurons that hardly ever fire on clean text, and do once under attack, would outweigh all others.
    """
    floor = 0.1 * deviation.square().mean(1, keepdim=True).sqrt()
    return torch.maximum(deviation, floor).clamp_min(1e-6)


def within_sites(backbone: Backbone, sites: Sequence[int] | None) -> Tensor:
    """True for the neurons of these sites (None: of all), [sites, 1]; SkillkitError for a site that the backbone does not have."""
    count = len(backbone.sites)
    chosen = range(count) if sites is None else sites
    if not chosen or not set(chosen) <= set(range(count)):
        raise SkillkitError(f"sites={list(chosen)}: name at least one of the sites 0 to {count - 1}.")
    return torch.tensor([site in chosen for site in range(count)])[:, None]
