"""One set of scores, and one mask of skill neurons, for a task with any number of classes.

Predictivity is about two classes. A task with more is scored by its binary subtasks (`neurons.score_task`);
these functions put the subtasks' scores into one file and take masks from it as Wang et al. (2022) do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import EncodedTask
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import (
    Baseline,
    NeuronScores,
    merge_subtasks,
    predictivity,
    score_neurons,
    skill_neurons,
)
from skillkit.neurons.significance import Null, ThresholdBits, permutation_null


def combine_subtasks(scores: Mapping[str, NeuronScores]) -> NeuronScores:
    """The scores of one prompt for all subtasks of a task, as one. A two-class task's come back unchanged.

    For more subtasks `baseline` and `accuracy` are [subtasks, sites, positions, width] in the order of
    `scores`; `predictivity`, `deviation` and `mean` [sites, width] are means over the subtasks; examples
    add up.
    """
    every = list(scores.values())
    if not every:
        raise SkillkitError("There are no scores to combine.")
    if any(each.accuracy.ndim != 3 for each in every):
        raise SkillkitError("Combine the scores of one prompt at a time; these average over several prompts.")
    if len(every) == 1:
        return every[0]
    return NeuronScores(
        baseline=torch.stack([each.baseline for each in every]),
        accuracy=torch.stack([each.accuracy for each in every]),
        predictivity=torch.stack([each.predictivity for each in every]).mean(0),
        deviation=torch.stack([each.deviation for each in every]).mean(0),
        mean=torch.stack([each.mean for each in every]).mean(0),
        examples=sum(each.examples for each in every),
        positive=sum(each.positive for each in every),
    )


def subtask_predictivities(scores: NeuronScores) -> list[Tensor]:
    """Predictivity [sites, width] for each subtask of one prompt's (combined) scores."""
    if scores.accuracy.ndim == 3:
        return [predictivity(scores.accuracy)]
    return [predictivity(accuracy) for accuracy in scores.accuracy]


def subtask_baselines(scores: NeuronScores) -> list[Baseline]:
    """The thresholds of each subtask, to score other texts by (`score_neurons(..., baseline=)`)."""
    means = scores.baseline[None] if scores.baseline.ndim == 3 else scores.baseline
    return [Baseline(mean, scores.deviation) for mean in means]


def task_skill_neurons(scores: NeuronScores, fraction: float) -> Tensor:
    """Skill neurons [sites, width] of a task from one prompt's (combined) scores; subtasks merged as in
    Wang.
    """
    each = subtask_predictivities(scores)
    return skill_neurons(each[0], fraction) if len(each) == 1 else merge_subtasks(each, fraction)


@dataclass(frozen=True)
class SubtaskScores:
    """One two-class question, scored for several prompts: by seed, over all of them, and against shuffled labels."""

    data: TaskData | EncodedTask
    by_seed: dict[int, NeuronScores]
    null: Null
    bits: ThresholdBits

    @property
    def predictivity(self) -> Tensor:
        """Mean over prompts, [sites, width]."""
        return torch.stack([scores.predictivity for scores in self.by_seed.values()]).mean(0)


def score_prompts(
    backbone: Backbone,
    prompts: Mapping[int, SoftPrompt],
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    permutations: int = 200,
    batch_size: int = 64,
) -> dict[str, SubtaskScores]:
    """Score a task's neurons for the prompts of several seeds, by name of its binary subtasks (itself, for two classes).

    The permutation null is for the mean over the prompts, which is what a page reports. One pass over the model per prompt and split.
    """
    if not prompts:
        raise SkillkitError("No prompt was given. Run notebook 01_prompt_tuning with at least one seed.")
    scored = {}
    for name, subtask in binary_subtasks(task_data).items():
        bits = ThresholdBits(backbone)
        by_seed = {
            seed: score_neurons(
                backbone,
                prompt,
                subtask,
                split=split,
                batch_size=batch_size,
                watcher=partial(_as_prompt, bits, number),
            )
            for number, (seed, prompt) in enumerate(prompts.items())
        }
        scored[name] = SubtaskScores(
            subtask, by_seed, permutation_null(bits, permutations=permutations), bits
        )
    return scored


def _as_prompt(bits: ThresholdBits, number: int, prompt: int, site: int, seen: Tensor, current: Pass) -> None:
    """Show bits of one prompt's own scoring (which calls it number 0) as those of prompt `number`."""
    bits.watcher(number, site, seen, current)


def scores_of_seed(scored: Mapping[str, SubtaskScores], seed: int) -> NeuronScores:
    """One prompt's scores over all subtasks, ready to be saved."""
    return combine_subtasks({name: part.by_seed[seed] for name, part in scored.items()})
