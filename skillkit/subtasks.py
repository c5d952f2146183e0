"""One set of scores, and one mask of skill neurons, for a task with any number of classes.

Predictivity is about two classes. A task with more is scored by its binary subtasks (`neurons.score_task`);
these functions put the subtasks' scores into one file and take masks from it as Wang et al. (2022) do.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from skillkit.errors import SkillkitError
from skillkit.neurons import Baseline, NeuronScores, merge_subtasks, predictivity, skill_neurons


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
