"""What a neuron's activation is compared with, and how often the comparison gives the label.

Each takes one pass over the model, and memory does not grow with the number of examples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from datasets import Dataset
from torch import Tensor

from skillkit.checks import Size, check_arguments
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run

#: Called with the prompt's number, the site's index, the bits activation > baseline [examples, positions
#: present, width], and the batch.
BitWatcher = Callable[[int, int, Tensor, Pass], None]


@dataclass(frozen=True)
class Baseline:
    """What a neuron's activation is compared with.

    Attributes:
        mean: over the training split, [sites, positions, width].
        deviation: standard deviation over examples, [sites, width]: the root mean square, over the positions
            that a site has, of the standard deviation at each position.
    """

    mean: Tensor
    deviation: Tensor


@check_arguments
def measure_baseline(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: Size = 32,
) -> Baseline:
    """Mean and standard deviation of every activation over a data set, streaming.

    Sums are of distances from the first batch's mean: it is near every mean, so that squares lose no digits,
    and neither the size nor the order of the batches matters.

    Raises:
        SkillkitError: an empty data set, or an activation that is not finite.
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
    if seen == 0:
        raise SkillkitError(f"The data set for task {task.name!r} is empty: it has no mean activation.")
    drift = total / seen
    variance = (square / seen - drift**2).clamp(min=0) + 0 * shift  # NaN where a site has no such position
    return Baseline((shift + drift).float().cpu(), variance.nanmean(dim=1).sqrt().float().cpu())


@check_arguments
def threshold_accuracy(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    threshold: Tensor,
    batch_size: Size,
    watcher: Callable[[int, Tensor, Pass], None] | None = None,
) -> Tensor:
    """Share of examples whose label the comparison with the threshold gives, [sites, positions, width].

    One matrix product per batch does it, because
    correct = sum over y=1 of bit + sum over y=0 of (1 - bit) = (2y - 1) · bits + number of y=0.

    Raises:
        SkillkitError: no example, thresholds of another model or prompt, or an activation that is not finite.
    """
    shape = (len(backbone.sites), 1 + (0 if prompt is None else prompt.length), backbone.width)
    if len(encoded) == 0 or tuple(threshold.shape) != shape:
        raise SkillkitError(
            f"Accuracies need examples, and thresholds [sites, positions, width] = {list(shape)} of this "
            f"model and prompt; got {len(encoded)} examples and thresholds {list(threshold.shape)}."
        )
    threshold = threshold.to(backbone.device)
    correct = torch.zeros(threshold.shape, dtype=torch.float64, device=backbone.device)
    missing = torch.isnan(threshold)

    def count(site: int, activation: Tensor, current: Pass) -> None:
        present, places = present_positions(backbone, site, current)
        if not present:
            return
        values = take(activation, places).float()
        bits = values > threshold[site, present]
        signs = 2.0 * current.batch.labels.float() - 1
        correct[site, present] += torch.tensordot(signs, bits.float(), dims=1)
        if watcher is not None:
            watcher(site, bits, current)

    with watch(backbone, count):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    negative = len(encoded) - int(encoded.labels.sum())
    return mirrored((correct + negative) / len(encoded)).masked_fill(missing, torch.nan).cpu()


@check_arguments
def mirrored(share: Tensor) -> Tensor:
    """Shares (float64) as float32, with k of n exactly as far from one half as n - k of n.

    Rounding alone would break such ties.
    """
    return torch.where(share >= 0.5, share.float(), 1 - (1 - share).float())
