"""What becomes of the answers when neurons are broken: skill neurons and controls, over growing shares.

Selections of neurons, as many in each site: `skill` (most predictive), `random` (the papers' control),
`matched` (random, but matched to the skill neurons in standard deviation), `least` (least predictive).
Neurons are chosen from scores on the validation split; accuracies are for whatever split is given, normally
test.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Seed, Share, Shares, Size, check_arguments
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.evaluation import evaluate
from skillkit.models.inputs import Encoded
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import (
    NeuronScores,
    least_predictive_neurons,
    matched_neurons,
    random_neurons,
    within_sites,
)
from skillkit.neurons.subtasks import task_skill_neurons
from skillkit.stats.measurement import Measurement, mean_of, paired_difference, without_interval

SELECTIONS = ("skill", "random", "matched", "least")
MODES = ("zero", "noise", "absolute noise", "mean")

#: A point of a curve: mode of perturbation, selection of neurons, share of each site.
Point = tuple[str, str, float]

#: By seed, a prompt (None: the bare model) and the scores that neurons are chosen by.
ScoredPrompts = Mapping[int, tuple[SoftPrompt | None, NeuronScores]]


@dataclass(frozen=True)
class Perturbation:
    """Which neurons are broken, and how.

    Attributes:
        fractions: shares of each site; 0 is the intact model.
        modes: `zero`, `noise` (in units of each neuron's own standard deviation), `absolute noise` (the same
            for all neurons, Wang et al. 2022), or `mean` (the neuron's mean over the texts it was scored on).
        selections: which neurons, of `SELECTIONS`.
        noise: standard deviation of `noise`, in standard deviations of each neuron.
        sigma: standard deviation of `absolute noise`, in units of the activations.
        where: `all` positions, or `prompt` for the answer slot and the prompt rows only.
        sites: numbers of the sites whose neurons are broken, such as one layer or one stack; None: all.

    Raises:
        SkillkitError: a mode or a selection that is not known.
    """

    fractions: Sequence[float]
    modes: Sequence[str] = MODES
    selections: Sequence[str] = SELECTIONS
    noise: float = 3.0
    sigma: float = 0.1
    where: str = "all"
    sites: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Refuse what is misspelt before anything is computed."""
        for mode in self.modes:
            if mode not in MODES:
                raise unknown("way to break neurons", mode, MODES)
        _check_selections(self.selections)

    @property
    def shares(self) -> list[float]:
        """The fractions above 0, smallest first."""
        return sorted(fraction for fraction in self.fractions if fraction > 0)

    def broken(
        self, backbone: Backbone, mask: Tensor, mode: str, scores: NeuronScores, seed: int
    ) -> AbstractContextManager[None]:
        """Inside a `with` block, the neurons of `mask` [sites, width] are broken in one mode."""
        options: dict[str, Any] = {"where": self.where, "seed": seed}
        if mode == "absolute noise":
            return intervene(backbone, mask, "noise", scale=self.sigma, **options)
        known: dict[str, Any] = {"unit": scores.deviation, "values": scores.mean}
        return intervene(backbone, mask, mode, scale=self.noise, **known, **options)


@dataclass
class PerturbationCurves:
    """Correctness of every example at every point.

    Attributes:
        correct: by point, one array [examples] for each prompt.
    """

    correct: dict[Point, list[NDArray[np.float64]]] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Accuracy over texts, one row per point, with columns mode, neurons, fraction and prompts."""
        rows = []
        for (mode, neurons, fraction), each in self.correct.items():
            point = {"mode": mode, "neurons": neurons, "fraction": fraction, "prompts": len(each)}
            rows.append(mean_of(np.mean(each, axis=0)).row("accuracy", **point))
        return pd.DataFrame(rows)

    def gap(self, mode: str, control: str, fraction: float | None = None) -> Measurement:
        """Accuracy with the control broken minus accuracy with the skill neurons broken, paired by text.

        Args:
            mode: how the neurons were broken.
            control: the selection to compare with.
            fraction: the share that was broken; None: the mean over all shares above 0, which is one number
                for the whole curve and needs no choice of a share.

        Returns:
            The difference: positive if breaking the skill neurons hurts more.

        Raises:
            SkillkitError: there is no such curve.
        """
        wanted = [
            share
            for known, selection, share in self.correct
            if (known, selection) == (mode, "skill") and (share == fraction if fraction else share > 0)
        ]
        if not wanted or any((mode, control, share) not in self.correct for share in wanted):
            raise SkillkitError(
                f"There is no curve for mode {mode!r} with skill and {control!r} neurons at that share. "
                "Break both of them."
            )
        intact, broken = (
            np.mean([self.correct[mode, selection, share] for share in wanted], axis=(0, 1))
            for selection in (control, "skill")
        )
        return paired_difference(intact, broken)

    def gaps(self, controls: Sequence[str], fractions: Sequence[float | None]) -> pd.DataFrame:
        """`gap` for every mode, control and fraction, with columns mode, neurons and fraction."""
        rows = []
        for mode, control, fraction in product(self.modes, controls, fractions):
            point = {"mode": mode, "neurons": f"{control} - skill", "fraction": fraction}
            rows.append(self.gap(mode, control, fraction).row("gap", **point))
        return pd.DataFrame(rows)

    @property
    def modes(self) -> list[str]:
        """The modes that there are curves for, in order."""
        return list(dict.fromkeys(mode for mode, _, _ in self.correct))


@check_arguments
def choose_neurons(
    scores: NeuronScores, fraction: Share, selections: Sequence[str] = SELECTIONS, seed: Seed = 0
) -> dict[str, Tensor]:
    """Masks [sites, width] by name of selection.

    Random neurons are drawn among all neurons, matched ones outside the skill neurons.

    Raises:
        SkillkitError: a selection that is not known.
    """
    _check_selections(selections)
    skill = task_skill_neurons(scores, fraction)
    makers = {
        "skill": lambda: skill,
        "random": lambda: random_neurons(skill, seed),
        "matched": lambda: matched_neurons(skill, scores.deviation, seed),
        "least": lambda: least_predictive_neurons(scores.predictivity, fraction),
    }
    return {name: makers[name]() for name in selections}


@check_arguments
def perturb(
    backbone: Backbone,
    prompts: ScoredPrompts,
    encoded: Encoded,
    task: Task,
    plan: Perturbation,
    *,
    batch_size: Size = 64,
) -> PerturbationCurves:
    """Answer every example with growing shares of neurons broken, for every prompt, mode and selection.

    Args:
        backbone: the model.
        prompts: by seed, a prompt and its scores on the validation split. The seed also draws the random
            selections.
        encoded: the examples to answer.
        task: what they ask.
        plan: which neurons are broken, and how.
        batch_size: examples in one pass.

    Raises:
        SkillkitError: a site that the backbone does not have.
    """
    curves = PerturbationCurves()
    inside = within_sites(backbone, plan.sites)
    for seed, (prompt, scores) in prompts.items():
        if 0 in plan.fractions:
            intact = evaluate(backbone, prompt, encoded, task, batch_size=batch_size).correct
            for mode, name in product(plan.modes, plan.selections):
                curves.correct.setdefault((mode, name, 0.0), []).append(intact)
        for fraction in plan.shares:
            for name, mask in choose_neurons(scores, fraction, plan.selections, seed).items():
                for mode in plan.modes:
                    with plan.broken(backbone, mask & inside, mode, scores, seed):
                        correct = evaluate(backbone, prompt, encoded, task, batch_size=batch_size).correct
                    curves.correct.setdefault((mode, name, fraction), []).append(correct)
    return curves


@check_arguments
def relative_deviations(
    prompts: ScoredPrompts, fractions: Shares, selections: Sequence[str] = SELECTIONS
) -> pd.DataFrame:
    """How much the neurons of each selection vary, relative to all neurons of their site.

    A control of neurons that vary less than the skill neurons is too easy.

    Returns:
        One row per fraction, seed and selection: the mean over the selected neurons of standard deviation
        divided by its mean over the site, with columns fraction, neurons and seed.
    """
    rows = []
    for fraction, (seed, (_, scores)) in product(fractions, prompts.items()):
        relative = scores.deviation / scores.deviation.mean(1, keepdim=True)
        for name, mask in choose_neurons(scores, fraction, selections, seed).items():
            measured = without_interval(float(relative[mask].mean()), int(mask.sum()), "neurons")
            rows.append(measured.row("relative_deviation", fraction=fraction, neurons=name, seed=seed))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class LocalCurves:
    """Curves with neurons of one part of the model broken alone.

    Attributes:
        parts: by name: the slot and prompt positions only and, for a model with two stacks, each stack only.
        layers: by site.
    """

    parts: dict[str, PerturbationCurves]
    layers: dict[FFNSite, PerturbationCurves]

    def points(self) -> pd.DataFrame:
        """The curves of all parts, as `PerturbationCurves.table` has them, with a column place."""
        return pd.concat([curves.table().assign(place=place) for place, curves in self.parts.items()])

    def part_gaps(self, control: str, fractions: Sequence[float | None]) -> pd.DataFrame:
        """`PerturbationCurves.gaps` of every part, with a column place."""
        tables = [
            curves.gaps([control], fractions).assign(place=place) for place, curves in self.parts.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def layer_gaps(self, control: str, fractions: Sequence[float | None]) -> pd.DataFrame:
        """`PerturbationCurves.gaps` of every layer, with columns stack and layer."""
        tables = [
            curves.gaps([control], fractions).assign(stack=site.stack, layer=site.layer)
            for site, curves in self.layers.items()
        ]
        return pd.concat(tables, ignore_index=True)


@check_arguments
def perturb_parts(
    backbone: Backbone, prompts: ScoredPrompts, encoded: Encoded, task: Task, plan: Perturbation
) -> LocalCurves:
    """`perturb` with neurons of one part of the model at a time, and at prompt positions only.

    Args:
        backbone: the model.
        prompts: by seed, a prompt and its scores on the validation split.
        encoded: the examples to answer.
        task: what they ask.
        plan: which neurons are broken, and how; its `where` and `sites` are set here. The intact model (a
            fraction of 0) is answered with once, for the curves of all parts.
    """
    limits: dict[str, dict[str, Any]] = {"slot and prompt only": {"where": "prompt"}}
    stacks = sorted({site.stack for site in backbone.sites}, reverse=True)
    for stack in stacks if len(stacks) > 1 else []:
        limits[f"{stack} only"] = {"sites": [i for i, s in enumerate(backbone.sites) if s.stack == stack]}
    growing = replace(plan, fractions=plan.shares)
    parts = {
        name: perturb(backbone, prompts, encoded, task, replace(growing, **limit))
        for name, limit in limits.items()
    }
    if 0 in plan.fractions:
        intact = perturb(backbone, prompts, encoded, task, replace(plan, fractions=[0.0])).correct
        for curves in parts.values():
            curves.correct |= intact
    layers = {
        site: perturb(backbone, prompts, encoded, task, replace(growing, sites=[index]))
        for index, site in enumerate(backbone.sites)
    }
    return LocalCurves(parts, layers)


def _check_selections(selections: Sequence[str]) -> None:
    for name in selections:
        if name not in SELECTIONS:
            raise unknown("selection of neurons", name, SELECTIONS)
