"""How much each single neuron matters for the answer: all of them at once by attribution, some of them
exactly.

Breaking groups of neurons needs a control group that is alike in everything else. Asking for the effect of
every single neuron needs none: the effect can then be held against the neuron's predictivity, given how much
it varies and how large it is. *Attribution patching* (Nanda 2023, Syed et al. 2023) estimates all effects
from one backward pass, gradient times change; `knock_out` computes those of a few neurons exactly, a pass
each, so that the estimate can be checked wherever it is used.

An effect is the change of the label margin (logit of the label minus the highest other one) when the neuron
alone is set to a value at every position: below 0 where the answer gets worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.activations import Rewriter, rewrite
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.evaluation import label_margin
from skillkit.models.inputs import Encoded
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_token_ids, run, scheme_of
from skillkit.neurons.best import Neuron
from skillkit.neurons.scores import NeuronScores
from skillkit.stats.correlation import partial_rank_correlation
from skillkit.stats.measurement import Measurement
from skillkit.stats.pooling import pool

AGREEING = 0.9
"""Rank correlation with exact effects from which on the estimate is trusted."""

GIVEN = ("nothing", "deviation and level")
"""What is taken out of predictivity and effect before they are correlated."""

FEWEST = 20
"""Neurons that a site needs for a correlation."""


@dataclass(frozen=True)
class NeuronEffects:
    """Effects over `examples` texts: `mean` [sites, width] of the change of the margin, `size` [sites, width]
    of its absolute value."""

    mean: Tensor
    size: Tensor
    examples: int


@check_arguments
def attribute(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    task: Task,
    *,
    to: Tensor | None = None,
    batch_size: Size = 32,
) -> NeuronEffects:
    """First-order estimate of the effect of every neuron, in one forward and one backward pass over the
    texts.

    For a text, the effect of a neuron is estimated as the sum over positions of d margin / d activation times
    (`to` - activation).

    Args:
        to: the values [sites, width] that neurons are set to, such as their means; None: 0.

    Raises:
        SkillkitError: `to` has another shape, or a gradient is not finite.
    """
    target = _target(backbone, to)
    token_ids = label_token_ids(backbone, task, scheme_of(prompt)).to(backbone.device)
    matrix = None if prompt is None else prompt.matrix.to(backbone.device)
    total = torch.zeros(2, len(backbone.sites), backbone.width, dtype=torch.float64)
    for batch in encoded.batches(batch_size, backbone.device):
        probe = _Probe()
        with torch.enable_grad(), rewrite(backbone, probe):
            hidden = answer_hidden(backbone, matrix, batch)
            margin = label_margin(backbone.answer_logits(hidden, token_ids), batch.labels).sum()
        gradients = torch.autograd.grad(margin, list(probe.added.values()))
        for site, gradient in zip(probe.added, gradients, strict=True):
            effect = ((target[site].to(gradient) - probe.seen[site]) * gradient).sum(1).double().cpu()
            total[0, site] += effect.sum(0)
            total[1, site] += effect.abs().sum(0)
    if not torch.isfinite(total).all():
        raise SkillkitError(
            f"The gradients of {backbone.name!r} are not finite. "
            "Load it in float32, and check its weights and the prompt."
        )
    mean, size = (total / len(encoded)).float()
    return NeuronEffects(mean, size, len(encoded))


class _Probe:
    """Adds nothing to every site's activations, but something that gradients can be asked for."""

    def __init__(self) -> None:
        self.added: dict[int, Tensor] = {}
        self.seen: dict[int, Tensor] = {}

    def __call__(self, site: int, activation: Tensor, current: Pass) -> Tensor:
        self.seen[site] = activation.detach()
        self.added[site] = torch.zeros_like(activation, requires_grad=True)
        return activation + self.added[site]


@check_arguments
def knock_out(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    task: Task,
    neurons: Sequence[Neuron],
    *,
    to: Tensor | None = None,
    batch_size: Size = 64,
) -> tuple[Tensor, Tensor]:
    """The exact effects of some neurons, each set alone: mean and mean absolute change of the margin,
    [neurons] each.

    One forward pass over the texts for each neuron, and one for the intact model.

    Raises:
        SkillkitError: a neuron that the backbone does not have, or `to` has another shape.
    """
    target = _target(backbone, to)
    for site, neuron in neurons:
        if not (0 <= site < len(backbone.sites) and 0 <= neuron < backbone.width):
            raise SkillkitError(
                f"{backbone.name!r} has no neuron {neuron} at site {site}: "
                f"it has {len(backbone.sites)} sites of {backbone.width}."
            )
    token_ids = label_token_ids(backbone, task, scheme_of(prompt)).to(backbone.device)

    def margins() -> Tensor:
        found = torch.empty(len(encoded))
        for batch, hidden in run(backbone, prompt, encoded, batch_size=batch_size):
            found[batch.rows] = label_margin(backbone.answer_logits(hidden, token_ids), batch.labels).cpu()
        return found

    intact, changes = margins(), []
    for site, neuron in neurons:
        with rewrite(backbone, _set_one(site, neuron, target)):
            changes.append(margins() - intact)
    changed = torch.stack(changes) if changes else torch.empty(0, len(encoded))
    return changed.mean(1), changed.abs().mean(1)


@check_arguments
def sample_neurons(effects: NeuronEffects, count: int, seed: Seed = 0) -> list[Neuron]:
    """Neurons for a check of the attribution: drawn from those with any effect, fixed by `seed`, in order."""
    alive = torch.nonzero(effects.size > 0)
    chosen = np.random.default_rng(seed).permutation(len(alive))[:count]
    return sorted((int(site), int(neuron)) for site, neuron in alive[np.sort(chosen)].tolist())


@check_arguments
def agreement(effects: NeuronEffects, neurons: Sequence[Neuron], exact: Tensor) -> float:
    """Spearman's correlation of estimated and exact mean effects over some neurons (see `knock_out`)."""
    estimated = torch.stack([effects.mean[neuron] for neuron in neurons])
    return float(spearmanr(estimated.numpy(), exact.numpy()).statistic)


@check_arguments
def importance_table(effects: NeuronEffects, scores: NeuronScores, sites: Sequence[FFNSite]) -> pd.DataFrame:
    """Do predictive neurons matter more, site by site, for every neuron and not for a chosen few?

    Rank correlation of the size of each neuron's effect with its predictivity: plain, and given its standard
    deviation and its level (how far its mean lies from 0), which both quantities follow. Neurons that never
    vary have no effect and are left out.

    Returns:
        Rows "importance" with columns stack, layer and given ("nothing" or "deviation and level"), measured
        over neurons; a site with too few neurons that vary is left out.
    """
    rows = []
    for index, site in enumerate(sites):
        alive = scores.varying[index] & ~scores.predictivity[index].isnan()
        columns = [
            values[index][alive].double().numpy()
            for values in (scores.predictivity, effects.size, scores.deviation, _level(scores))
        ]
        if int(alive.sum()) < FEWEST:
            continue
        where = {"stack": site.stack, "layer": site.layer}
        for given, controls in zip(GIVEN, ([], columns[2:]), strict=True):
            measured = partial_rank_correlation(columns[0], columns[1], controls)
            rows.append(measured.row("importance", given=given, **where))
    return pd.DataFrame(rows)


@check_arguments
def mean_importance(table: pd.DataFrame, given: str = GIVEN[1]) -> Measurement:
    """The correlation of `importance_table`, pooled over sites."""
    rows = table[table["given"] == given].dropna(subset="value")
    return pool([Measurement.of_row(row) for row in rows.to_dict("records")], unit="sites").measurement


@dataclass(frozen=True)
class SingleNeurons:
    """What `study_single_neurons` found.

    Attributes:
        importance: the table of `importance_table`.
        agreement: rank correlation of estimated and exact effects over the neurons that were checked.
        checked: how many neurons those were.
        why_not: why nothing can be claimed, in words; empty where something can.
    """

    importance: pd.DataFrame
    agreement: float
    checked: int
    why_not: str


@check_arguments
def study_single_neurons(
    backbone: Backbone,
    prompt: SoftPrompt,
    encoded: Encoded,
    task: Task,
    scores: NeuronScores,
    *,
    checked: int = 40,
) -> SingleNeurons:
    """Estimate every neuron's effect of being set to its mean, check some exactly, and hold all against
    predictivity."""
    effects = attribute(backbone, prompt, encoded, task, to=scores.mean)
    sampled = sample_neurons(effects, checked)
    exact, _ = knock_out(backbone, prompt, encoded, task, sampled, to=scores.mean)
    agreeing = agreement(effects, sampled, exact) if len(sampled) > 2 else float("nan")
    importance = importance_table(effects, scores, backbone.sites)
    why_not = ""
    if not agreeing >= AGREEING:
        why_not = (
            f"estimated and exact effects agree too little (rank correlation {agreeing:.2f} of {AGREEING})"
        )
    elif importance.empty or not set(importance.dropna(subset="value")["given"]) >= set(GIVEN):
        why_not = f"no site has {FEWEST} neurons that vary and whose effects differ"
    return SingleNeurons(importance, agreeing, len(sampled), why_not)


def _level(scores: NeuronScores) -> Tensor:
    """How far each neuron's mean activation lies from 0, [sites, width]."""
    return scores.mean.abs()


def _set_one(site: int, neuron: int, target: Tensor) -> Rewriter:
    def change(here: int, activation: Tensor, current: Pass) -> Tensor | None:
        if here != site:
            return None
        changed = activation.clone()
        changed[..., neuron] = target[site, neuron].to(activation)
        return changed

    return change


def _target(backbone: Backbone, to: Tensor | None) -> Tensor:
    shape = (len(backbone.sites), backbone.width)
    target = torch.zeros(shape) if to is None else to
    if target.shape != shape:
        raise SkillkitError(f"`to` must be [sites, width] = {list(shape)}; got {list(target.shape)}.")
    return target.nan_to_num()
