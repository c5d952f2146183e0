"""One set of scores, and one mask of skill neurons, for a task with any number of classes.

Predictivity is about two classes. A task with more is scored by its binary subtasks (`neurons.score_task`);
these functions put the subtasks' scores into one file and take masks from it as Wang et al. (2022) do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from skillkit.checks import Seed, Share, Size, check_arguments
from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import EncodedTask, encode_task
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.neurons.scores import (
    NeuronScores,
    merge_subtasks,
    predictivity,
    score_neurons,
    skill_neurons,
)
from skillkit.neurons.significance import Null, ThresholdBits, permutation_null
from skillkit.neurons.thresholds import Baseline


@check_arguments
def combine_subtasks(scores: Mapping[str, NeuronScores]) -> NeuronScores:
    """The scores of one prompt for all subtasks of a task, as one. A two-class task's come back unchanged.

    For more subtasks `baseline` and `accuracy` are [subtasks, sites, positions, width] in the order of
    `scores`; `predictivity`, `deviation` and `mean` [sites, width] are means over the subtasks; examples add
    up.

    Raises:
        SkillkitError: there are no scores, or they are of several prompts.
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


@check_arguments
def subtask_predictivities(scores: NeuronScores) -> list[Tensor]:
    """Predictivity [sites, width] for each subtask of one prompt's (combined) scores."""
    if scores.accuracy.ndim == 3:
        return [predictivity(scores.accuracy)]
    return [predictivity(accuracy) for accuracy in scores.accuracy]


@check_arguments
def subtask_baselines(scores: NeuronScores) -> list[Baseline]:
    """The thresholds of each subtask, to score other texts by (`score_neurons(..., baseline=)`)."""
    means = scores.baseline[None] if scores.baseline.ndim == 3 else scores.baseline
    return [Baseline(mean, scores.deviation) for mean in means]


@check_arguments
def strongest_subtask(scores: NeuronScores) -> tuple[Tensor, Baseline]:
    """Accuracy [sites, positions, width] and thresholds of the subtask with the most predictive neuron."""
    accuracies = scores.accuracy[None] if scores.accuracy.ndim == 3 else scores.accuracy
    strongest = int(torch.stack([each.max() for each in subtask_predictivities(scores)]).argmax())
    return accuracies[strongest], subtask_baselines(scores)[strongest]


@check_arguments
def task_skill_neurons(scores: NeuronScores, fraction: Share) -> Tensor:
    """Skill neurons [sites, width] of a task from one prompt's (combined) scores.

    Subtasks are merged as in the released code of Wang et al. (2022).
    """
    each = subtask_predictivities(scores)
    return skill_neurons(each[0], fraction) if len(each) == 1 else merge_subtasks(each, fraction)


@dataclass(frozen=True)
class SubtaskScores:
    """One two-class question, scored for several prompts.

    Attributes:
        data: the question and its texts.
        by_seed: the scores of each prompt.
        null: the mean over prompts against shuffled labels.
        bits: which activations were above their thresholds.
    """

    data: EncodedTask
    by_seed: dict[int, NeuronScores]
    null: Null
    bits: ThresholdBits

    @property
    def predictivity(self) -> Tensor:
        """Mean over prompts, [sites, width]."""
        return torch.stack([scores.predictivity for scores in self.by_seed.values()]).mean(0)


@check_arguments
def score_prompts(
    backbone: Backbone,
    prompts: Mapping[int, SoftPrompt],
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    permutations: Size = 200,
    batch_size: Size = 64,
) -> dict[str, SubtaskScores]:
    """Score a task's neurons for the prompts of several seeds.

    The permutation null is for the mean over the prompts, which is what a page reports. It takes one pass
    over the model per prompt and split.

    Args:
        backbone: the model.
        prompts: by seed.
        task_data: a task with any number of classes.
        split: the texts to score.
        permutations: of the labels.
        batch_size: texts in one pass.

    Returns:
        By name of the binary subtasks (the task itself, if it has two classes).

    Raises:
        SkillkitError: no prompt was given.
    """
    if not prompts:
        raise SkillkitError("No prompt was given. Run notebook 01_prompt_tuning with at least one seed.")
    layout = layout_of(next(iter(prompts.values())))
    scored = {}
    for name, subtask in binary_subtasks(encode_task(backbone, task_data, layout)).items():
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


@check_arguments
def scores_of_seed(scored: Mapping[str, SubtaskScores], seed: Seed) -> NeuronScores:
    """One prompt's scores over all subtasks, ready to be saved."""
    return combine_subtasks({name: part.by_seed[seed] for name, part in scored.items()})
