"""What becomes of the answers when neurons are broken: skill neurons and controls, over growing shares.

Selections of neurons, as many in each site: `skill` (most predictive), `random` (the papers' control),
`matched` (random, but matched to the skill neurons in standard deviation), `least` (least predictive).
Neurons are chosen from scores on the validation split; accuracies are for whatever split is given, normally
test.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import difference_row, evaluate, examples_row
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

SELECTIONS = ("skill", "random", "matched", "least")
MODES = ("zero", "noise", "absolute noise", "mean")

#: A point of a curve: mode of perturbation, selection of neurons, share of each site.
Point = tuple[str, str, float]


@dataclass
class PerturbationCurves:
    """Correctness of every example at every point, summed over prompts: `correct[point]` is a list of
    [examples] arrays.
    """

    correct: dict[Point, list[NDArray[np.float64]]] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """One row per point: mode, neurons, fraction, value, low, high (bootstrap over examples), n,
        prompts.
        """
        rows = []
        for (mode, neurons, fraction), each in self.correct.items():
            more = {"mode": mode, "neurons": neurons, "fraction": fraction, "prompts": len(each)}
            rows.append(examples_row(np.mean(each, axis=0), **more))
        return pd.DataFrame(rows)

    def gap(self, mode: str, control: str, fraction: float | None = None) -> dict[str, object]:
        """Accuracy with the control broken minus accuracy with the skill neurons broken, paired by example.

        Positive: breaking the skill neurons hurts more. `fraction` None: the mean over all fractions above
        0, which is one number for the whole curve and needs no choice of a share.
        """
        wanted = [
            f
            for m, s, f in self.correct
            if (m, s) == (mode, "skill") and (f == fraction if fraction else f > 0)
        ]
        if not wanted or any((mode, control, f) not in self.correct for f in wanted):
            raise SkillkitError(
                f"There is no curve for mode {mode!r} with skill and {control!r} neurons at that share."
            )
        control_correct = np.mean([self.correct[mode, control, f] for f in wanted], axis=(0, 1))
        skill_correct = np.mean([self.correct[mode, "skill", f] for f in wanted], axis=(0, 1))
        more = {"mode": mode, "neurons": f"{control} - skill", "fraction": fraction}
        return difference_row(control_correct, skill_correct, **more)


def choose_neurons(
    scores: NeuronScores, fraction: float, selections: Sequence[str] = SELECTIONS, seed: int = 0
) -> dict[str, Tensor]:
    """Masks [sites, width] by name of selection; random ones are drawn among all neurons, matched ones
    outside the skill neurons.
    """
    for name in selections:
        if name not in SELECTIONS:
            raise unknown("selection of neurons", name, SELECTIONS)
    skill = task_skill_neurons(scores, fraction)
    makers = {
        "skill": lambda: skill,
        "random": lambda: random_neurons(skill, seed),
        "matched": lambda: matched_neurons(skill, scores.deviation, seed),
        "least": lambda: least_predictive_neurons(scores.predictivity, fraction),
    }
    return {name: makers[name]() for name in selections}


def perturb(
    backbone: Backbone,
    prompts: Mapping[int, tuple[SoftPrompt, NeuronScores]],
    encoded: Encoded,
    task: Task,
    *,
    fractions: Sequence[float],
    modes: Sequence[str] = MODES,
    selections: Sequence[str] = SELECTIONS,
    noise: float = 3.0,
    sigma: float = 0.1,
    where: str = "all",
    sites: Sequence[int] | None = None,
    batch_size: int = 64,
) -> PerturbationCurves:
    """Answer every example with growing shares of neurons broken, for every prompt, mode and selection.

    Args:
        prompts: by seed, a prompt and its scores on the validation split. The seed also draws the random
            selections.
        fractions: shares of each site; 0 is the intact model.
        modes: ``zero``, ``noise`` (in units of each neuron's own standard deviation), ``absolute noise`` (the same
            for all neurons, Wang et al. 2022), or ``mean`` (the neuron's mean over the texts it was scored on).
        noise: standard deviation of ``noise``, in standard deviations of each neuron.
        sigma: standard deviation of ``absolute noise``, in units of the activations.
        where: `all` positions, or `prompt` for the answer slot and the prompt rows only.
        sites: numbers of the sites whose neurons are broken, such as one layer or one stack; None: all.

    Raises:
        SkillkitError: a mode or a selection that is not known, or a site that the backbone does not have.
    """
    for mode in modes:
        if mode not in MODES:
            raise unknown("way to break neurons", mode, MODES)
    curves = PerturbationCurves()
    inside = within_sites(backbone, sites)
    for seed, (prompt, scores) in prompts.items():
        if 0 in fractions:
            intact = evaluate(backbone, prompt, encoded, task, batch_size=batch_size).correct
            for mode, name in product(modes, selections):
                curves.correct.setdefault((mode, name, 0.0), []).append(intact)
        for fraction in sorted(f for f in fractions if f > 0):
            for name, mask in choose_neurons(scores, fraction, selections, seed).items():
                mask = mask & inside
                for mode in modes:
                    with _broken(backbone, mask, mode, scores, noise, sigma, where=where, seed=seed):
                        correct = evaluate(backbone, prompt, encoded, task, batch_size=batch_size).correct
                    curves.correct.setdefault((mode, name, fraction), []).append(correct)
    return curves


def _broken(
    backbone: Backbone,
    mask: Tensor,
    mode: str,
    scores: NeuronScores,
    noise: float,
    sigma: float,
    **options: Any,
) -> AbstractContextManager[None]:
    if mode == "absolute noise":
        return intervene(backbone, mask, "noise", scale=sigma, **options)
    return intervene(backbone, mask, mode, scale=noise, unit=scores.deviation, values=scores.mean, **options)
