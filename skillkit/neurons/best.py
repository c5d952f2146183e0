"""The most predictive neurons, one by one: where they lie, and what they say about each text."""

from collections.abc import Sequence

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Size, check_arguments
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.scores import best_positions
from skillkit.neurons.shapes import need_finite
from skillkit.neurons.thresholds import Baseline

#: A neuron: site index, coordinate.
Neuron = tuple[int, int]

#: A neuron at a position: site index, entry of the positions axis, coordinate.
Place = tuple[int, int, int]


@check_arguments
def best_neurons(predictivity: Tensor, count: Size, sites: Tensor | None = None) -> list[Neuron]:
    """The most predictive neurons of a model, best first; ties go to the lower site and coordinate.

    Args:
        predictivity: [sites, width].
        count: how many.
        sites: bool [sites], the sites to choose from; None: all.

    Raises:
        SkillkitError: scores that are not [sites, width] or not finite, or a mask of other sites.
    """
    need_finite(predictivity, "The numbers that neurons are ranked by")
    if sites is not None and (sites.dtype != torch.bool or sites.shape != predictivity.shape[:1]):
        raise SkillkitError(f"sites is a bool mask of {len(predictivity)} sites; got {list(sites.shape)}.")
    scores = predictivity if sites is None else predictivity.masked_fill(~sites[:, None], -torch.inf)
    ranked = scores.flatten().argsort(descending=True, stable=True)[:count].tolist()
    width = predictivity.shape[1]
    return [divmod(number, width) for number in ranked]


@check_arguments
def neuron_name(backbone: Backbone, neuron: Neuron) -> str:
    """A neuron in words, such as `encoder 3, neuron 17`."""
    site, coordinate = neuron
    return f"{backbone.sites[site]}, neuron {coordinate}"


@check_arguments
def best_places(accuracy: Tensor, neurons: Sequence[Neuron]) -> list[Place]:
    """Each neuron at its most predictive position, from accuracy [sites, positions, width]."""
    best = best_positions(accuracy)
    return [(site, int(best[site, neuron]), neuron) for site, neuron in neurons]


@check_arguments
def activations_at(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    places: Sequence[Place],
    *,
    batch_size: Size = 64,
) -> NDArray[np.float64]:
    """Activations of a few neurons at given positions.

    Args:
        backbone: the model.
        prompt: before (or after) each text; None: the bare model.
        dataset: the texts.
        task: what they ask.
        places: the neurons, each at one position.
        batch_size: texts in one pass.

    Returns:
        [examples, places], in the order of the data set; NaN at a position that a site does not have.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    recorded = np.full((len(encoded), len(places)), np.nan)

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        present, where = present_positions(backbone, site, current)
        for column, (wanted, position, neuron) in enumerate(places):
            if wanted == site and position in present:
                values = take(activation, where)[:, present.index(position), neuron]
                recorded[current.batch.rows.numpy(), column] = values.float().cpu().numpy()

    with watch(backbone, keep):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return recorded


@check_arguments
def bits_at(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    places: Sequence[Place],
    baseline: Baseline,
) -> NDArray[np.bool_]:
    """Whether a few neurons are above their thresholds, [examples, places]; see `activations_at`."""
    thresholds = np.array([float(baseline.mean[place]) for place in places])
    return activations_at(backbone, prompt, dataset, task, places) > thresholds
