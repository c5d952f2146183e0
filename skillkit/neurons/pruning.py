"""Structured pruning: keep only some neurons of an FFN, and give back what the others add on average.

A removed neuron's mean activation times its column of the down-projection is a constant vector, which is
folded into the output bias. So the pruned model computes what the full model computes with the removed
neurons pinned at their mean (Wang et al. 2022, pruning). Their released code folds the mean of all neurons,
kept ones included, which then count twice; `fold="all"` reproduces that.
"""

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn

from skillkit.checks import Share, check_arguments
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.scores import count_of

FOLDS = ("removed", "all", "none")


@check_arguments
def prune_ffn(
    backbone: Backbone,
    keep: Tensor,
    mean_activation: Tensor,
    *,
    sites: Iterable[int] | None = None,
    fold: str = "removed",
) -> Backbone:
    """A copy of the backbone without the FFN neurons that are not kept. The given backbone is left as it is.

    It works for every family: plain and gated FFNs, linear layers with and without biases (one is added where
    the output has none), and GPT-2's transposed ones.

    Args:
        backbone: the whole model.
        keep: bool [sites, width], the neurons that stay.
        mean_activation: [sites, width], what a removed neuron is pinned at: `NeuronScores.mean`, or what the
            function `mean_activation` returns.
        sites: numbers of the sites to prune (None: all); the others keep all neurons.
        fold: whose means go into the output bias: those of the `removed` neurons (right), of `all` neurons
            (as in the released code of Wang et al., where kept neurons count twice), or of `none` (removed
            neurons are set to 0).

    Raises:
        SkillkitError: wrong shapes, a site that does not exist or would lose all neurons, or an unknown
            `fold`.
    """
    chosen = sorted(set(range(len(backbone.sites)) if sites is None else sites))
    _check(backbone, keep, mean_activation, chosen, fold)
    pruned = backbone.changed(
        f"{backbone.name}-pruned",
        copy.deepcopy(backbone.model),
        tuple(
            replace(site, width=int(keep[index].sum())) if index in chosen else site
            for index, site in enumerate(backbone.sites)
        ),
    )
    with torch.no_grad():
        for index in chosen:
            site = backbone.sites[index]
            folded = {
                "removed": ~keep[index],
                "all": torch.ones_like(keep[index]),
                "none": torch.zeros_like(keep[index]),
            }[fold]
            kept = torch.nonzero(keep[index]).flatten()
            down = pruned.down(site)
            _add_to_bias(down, torch.where(folded, mean_activation[index], 0.0))
            _select_inputs(down, kept)
            for up in pruned.up(site):
                _select_outputs(up, kept)
    return pruned


@torch.no_grad()
def mean_activation(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: int = 32,
) -> Tensor:
    """Mean of every neuron over all positions of a data set, [sites, width].

    The positions are the answer slot, the prompt rows, and the text without padding.
    `NeuronScores.mean` is over the slot and the prompt alone, as in Wang et al. (2022); pruning replaces
    activations at text positions, too.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    total = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.float64, device=backbone.device)
    count = torch.zeros(len(backbone.sites), 1, dtype=torch.float64, device=backbone.device)

    def add(site: int, activation: Tensor, current: Pass) -> None:
        real = torch.ones(activation.shape[:2], dtype=torch.bool, device=activation.device)
        span = current.text_span(backbone.sites[site].stack)
        if span is not None:
            real[:, span] = current.batch.mask.bool()
        total[site] += activation[real].double().sum(0)
        count[site] += real.sum()

    with watch(backbone, add):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return (total / count).float().cpu()


@check_arguments
def upper_sites(backbone: Backbone, skip: float = 0.25) -> list[int]:
    """The sites above the lowest quarter of each stack: layers 3 to 11 of 12, as Wang et al. prune."""
    depth = {
        site.stack: 1 + max(s.layer for s in backbone.sites if s.stack == site.stack)
        for site in backbone.sites
    }
    return [
        index for index, site in enumerate(backbone.sites) if site.layer >= count_of(skip, depth[site.stack])
    ]


@check_arguments
def largest_neurons(backbone: Backbone, fraction: Share) -> Tensor:
    """The magnitude control: the floor(fraction * width) neurons of each site with the largest weights.

    Magnitude is the product of the norms of the weights into a neuron (of every up-projection) and out of it.

    Returns:
        A mask, bool [sites, width].
    """
    magnitudes = []
    for site in backbone.sites:
        into = [_as_outputs(up).float().norm(dim=1) for up in backbone.up(site)]
        out = _as_outputs(backbone.down(site)).float().norm(dim=0)
        magnitudes.append(torch.stack([*into, out]).prod(0).cpu())
    scores = torch.stack(magnitudes)
    order = torch.sort(scores, dim=1, descending=True, stable=True).indices[
        :, : count_of(fraction, scores.shape[1])
    ]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)


def _as_outputs(projection: Any) -> Tensor:
    """A projection's weight as [outputs, inputs]; GPT-2's Conv1D holds it the other way round."""
    return projection.weight if isinstance(projection, nn.Linear) else projection.weight.T


def _add_to_bias(down: Any, activation: Tensor) -> None:
    """Add weight · activation [inputs] to a projection's output bias, which is made if there is none."""
    constant = _as_outputs(down).float() @ activation.to(down.weight.device).float()
    if down.bias is None:
        down.bias = nn.Parameter(constant.to(down.weight.dtype), requires_grad=False)
    else:
        down.bias.add_(constant.to(down.bias.dtype))


def _select_inputs(down: Any, kept: Tensor) -> None:
    kept = kept.to(down.weight.device)
    if isinstance(down, nn.Linear):
        down.weight = nn.Parameter(down.weight[:, kept].clone(), requires_grad=False)
        down.in_features = len(kept)
    else:
        down.weight = nn.Parameter(down.weight[kept].clone(), requires_grad=False)
        down.nx = len(kept)


def _select_outputs(up: Any, kept: Tensor) -> None:
    kept = kept.to(up.weight.device)
    if isinstance(up, nn.Linear):
        up.weight = nn.Parameter(up.weight[kept].clone(), requires_grad=False)
        up.out_features = len(kept)
    else:
        up.weight = nn.Parameter(up.weight[:, kept].clone(), requires_grad=False)
        up.nf = len(kept)
    if up.bias is not None:
        up.bias = nn.Parameter(up.bias[kept].clone(), requires_grad=False)


def _check(backbone: Backbone, keep: Tensor, mean: Tensor, chosen: list[int], fold: str) -> None:
    shape = [len(backbone.sites), backbone.width]
    if fold not in FOLDS:
        raise unknown("fold", fold, FOLDS)
    if keep.dtype != torch.bool or list(keep.shape) != shape:
        raise SkillkitError(
            f"keep must be a bool mask [sites, width] = {shape}; got {keep.dtype} {list(keep.shape)}."
        )
    if list(mean.shape) != shape:
        raise SkillkitError(f"mean_activation must be [sites, width] = {shape}; got {list(mean.shape)}.")
    if chosen and not 0 <= chosen[0] <= chosen[-1] < len(backbone.sites):
        raise SkillkitError(f"{backbone.name!r} has sites 0 to {len(backbone.sites) - 1}; got {chosen}.")
    for index in chosen:
        if not keep[index].any():
            raise SkillkitError(
                f"Site {index} ({backbone.sites[index]}) would keep no neuron. Use a larger fraction."
            )
        lost = ~keep[index] if fold == "removed" else torch.ones_like(keep[index])
        if fold != "none" and not torch.isfinite(mean[index][lost]).all():
            raise SkillkitError(
                f"Site {index} ({backbone.sites[index]}) has no mean activation for some neuron, as happens "
                "without a prompt in a T5 encoder. Use pruning.mean_activation, which looks at all positions."
            )
