"""Do the neurons that predict the label on clean text still do so under attack? (Ackermann & Ohmer 2024, §3)

Thresholds (baselines), the choice of neurons, and each neuron's best position and direction all come from
clean training and validation text. What is then measured on the adversarial examples is compared with the
same neurons on the *clean originals* of these examples: same number, same labels. Without that, a loss under
attack cannot be told from a loss on new, few examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skillkit.checks import Share, Size, check_arguments
from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.fit import need_scores
from skillkit.neurons.scores import NeuronScores, score_neurons
from skillkit.neurons.stability import held_out
from skillkit.neurons.subtasks import combine_subtasks, subtask_baselines, task_skill_neurons
from skillkit.robustness.pairs import Pairs


@dataclass(frozen=True)
class AttackedScores:
    """One prompt's neuron scores, all by the clean thresholds.

    Attributes:
        selection: on the clean validation split.
        originals: on the clean originals of the pairs.
        attacked: on the adversarial members of the same pairs.
        adversarial: on all adversarial examples.
    """

    selection: NeuronScores
    originals: NeuronScores
    attacked: NeuronScores
    adversarial: NeuronScores


@check_arguments
def score_under_attack(
    backbone: Backbone, prompt: SoftPrompt, pairs: Pairs, selection: NeuronScores, *, batch_size: Size = 32
) -> AttackedScores:
    """Score every neuron on the pairs, by the thresholds of its clean scores.

    Args:
        backbone: the model.
        prompt: the prompt that `selection` is about.
        pairs: at least two.
        selection: the clean task's scores (of all its subtasks) for this prompt.
        batch_size: texts in one pass.
    """
    pairs.need()
    texts = {"originals": pairs.clean, "attacked": pairs.attacked, "adversarial": pairs.adversarial}
    scores = {
        name: score_by_thresholds(backbone, prompt, pairs.as_task(dataset), selection, batch_size=batch_size)
        for name, dataset in texts.items()
    }
    return AttackedScores(selection, **scores)


@check_arguments
def score_by_thresholds(
    backbone: Backbone,
    prompt: SoftPrompt,
    task_data: TaskData,
    selection: NeuronScores,
    *,
    batch_size: Size = 32,
) -> NeuronScores:
    """Score every neuron on a test split by the thresholds of other scores, subtask by subtask.

    Raises:
        SkillkitError: the scores are of another model, or a task with another number of subtasks.
    """
    need_scores(backbone, selection)
    baselines = subtask_baselines(selection)
    subtasks = binary_subtasks(task_data)
    if len(baselines) != len(subtasks):
        raise SkillkitError(
            f"The scores are of {len(baselines)} subtasks, {task_data.task.name!r} has {len(subtasks)}. "
            "Give this task's own scores."
        )
    return combine_subtasks(
        {
            name: score_neurons(
                backbone, prompt, subtask, split="test", baseline=baseline, batch_size=batch_size
            )
            for (name, subtask), baseline in zip(subtasks.items(), baselines, strict=True)
        }
    )


@check_arguments
def predictivity_table(scores: AttackedScores, sites: Sequence[FFNSite], fraction: Share) -> pd.DataFrame:
    """One row per neuron, with its predictivity on every set of texts.

    Returns:
        Columns stack, layer, neuron, skill (among the clean top `fraction`), and the predictivity as
        selection, originals, attacked and adversarial. kept_originals and kept_attacked are the neuron's
        accuracy at the position and in the direction that were best in selection: below .5 it has reversed
        its meaning, which predictivity cannot show.
    """
    skill = task_skill_neurons(scores.selection, fraction)
    names = ("selection", "originals", "attacked", "adversarial")
    columns = {name: getattr(scores, name).predictivity for name in names}
    columns |= {
        f"kept_{name}": held_out(scores.selection, getattr(scores, name))
        for name in ("originals", "attacked")
    }
    width = skill.shape[1]
    frame = pd.DataFrame(
        {
            "stack": np.repeat([site.stack for site in sites], width),
            "layer": np.repeat([site.layer for site in sites], width),
            "neuron": np.tile(np.arange(width), len(sites)),
            "skill": skill.flatten().numpy(),
        }
    )
    return frame.assign(**{name: values.flatten().numpy() for name, values in columns.items()})
