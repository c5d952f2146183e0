"""How well a pruned model answers: by what is kept, after further tuning, and by what is folded in.

All conditions answer the same test texts with the same prompts, so any two of them are compared text by text.
Each is held as the share of prompts that answer each text right, [examples].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import check_arguments
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import evaluate, mean_correct
from skillkit.models.inputs import EncodedTask
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.pruning import largest_neurons, mean_activation, prune_ffn
from skillkit.neurons.scores import NeuronScores, random_neurons
from skillkit.neurons.subtasks import task_skill_neurons
from skillkit.stats.measurement import mean_of
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.prompt import tune_prompt

KEPT = ("skill", "random", "largest weights")
"""Which neurons stay: the most predictive ones, and two controls."""

WHOLE = "whole model"

#: The means that a variant folds in: those of `here` are right, W1 and W2 repeat errors in the released code.
HERE, W1, W2 = "here: removed, at the prompt", "W1: all, at the prompt", "W2: removed, everywhere"
NOTHING = "nothing (set to zero)"

#: Share of prompts that answer each text right, [examples].
Correct = NDArray[np.float64]


@dataclass(frozen=True)
class PruningComparison:
    """One model and task, pruned in several ways.

    Attributes:
        backbone: the whole model.
        prompts: by seed.
        scores: by seed, on the validation split.
        task_data: the task; its test split is answered.
        sites: numbers of the sites that are pruned.
    """

    backbone: Backbone
    prompts: Mapping[int, SoftPrompt]
    scores: Mapping[int, NeuronScores]
    task_data: EncodedTask
    sites: Sequence[int]

    def whole(self, seeds: Sequence[int] | None = None) -> Correct:
        """The whole model, with the prompts of some seeds (None: of all)."""
        return self._answer({seed: self.backbone for seed in (self.prompts if seeds is None else seeds)})

    def kept(self, seed: int, fraction: float) -> dict[str, Tensor]:
        """Masks [sites, width] of what stays, by name; a fraction of less than one neuron keeps one."""
        share = max(fraction, 1 / self.backbone.width)
        skill = task_skill_neurons(self.scores[seed], share)
        masks = (skill, random_neurons(skill, seed), largest_neurons(self.backbone, share))
        return dict(zip(KEPT, masks, strict=True))

    def pruned(self, seed: int, name: str, fraction: float) -> Backbone:
        """The model without all but some neurons of the pruned sites, for one prompt."""
        keep = self.kept(seed, fraction)[name]
        return prune_ffn(self.backbone, keep, self.scores[seed].mean, sites=self.sites)

    def with_prompts_unchanged(self, fraction: float) -> dict[str, Correct]:
        """Pruned models with the prompts as they are, by what is kept."""
        return {
            name: self._answer({seed: self.pruned(seed, name, fraction) for seed in self.prompts})
            for name in KEPT
        }

    def with_further_tuning(
        self, fraction: float, task_data: EncodedTask, budget: TuningBudget, seeds: Sequence[int]
    ) -> dict[str, Correct]:
        """Pruned models, and the whole one, with the prompts of some seeds tuned further on each of them.

        Args:
            fraction: the share that is kept.
            task_data: the task with the splits to tune on.
            budget: how long to tune.
            seeds: of the prompts to tune further.
        """
        found = {}
        for name in (*KEPT, WHOLE):
            evaluations = []
            for seed in seeds:
                model = self.backbone if name == WHOLE else self.pruned(seed, name, fraction)
                tuned = tune_prompt(model, task_data, budget, seed=seed, start=self.prompts[seed])
                evaluations.append(evaluate(model, tuned.prompt, self.task_data.test, self.task_data.task))
            found[name] = mean_correct(evaluations)
        return found

    def with_other_means(self, fraction: float) -> dict[str, Correct]:
        """Skill neurons kept, with the right means folded in, those of the released code, or none.

        W1 folds the mean of all neurons, kept ones included; W2 takes the means over text positions, too.
        """
        at_prompt = {seed: scores.mean for seed, scores in self.scores.items()}
        train, task = self.task_data.train, self.task_data.task
        everywhere = {
            seed: mean_activation(self.backbone, prompt, train, task) for seed, prompt in self.prompts.items()
        }
        variants = {
            HERE: (at_prompt, "removed"),
            W1: (at_prompt, "all"),
            W2: (everywhere, "removed"),
            NOTHING: (at_prompt, "none"),
        }
        found = {}
        for variant, (means, fold) in variants.items():
            models = {}
            for seed in self.prompts:
                keep = self.kept(seed, fraction)["skill"]
                models[seed] = prune_ffn(self.backbone, keep, means[seed], sites=self.sites, fold=fold)
            found[variant] = self._answer(models)
        return found

    def _answer(self, models: Mapping[int, Backbone]) -> Correct:
        """Share of prompts that answer each test text right, each on its own model, [examples]."""
        test, task = self.task_data.test, self.task_data.task
        return mean_correct(
            [evaluate(model, self.prompts[seed], test, task) for seed, model in models.items()]
        )


@check_arguments
def accuracy_table(conditions: Mapping[str, Correct], column: str = "neurons") -> pd.DataFrame:
    """One measurement of accuracy over texts per condition, whose name is in `column`."""
    return pd.DataFrame(
        [mean_of(correct).row("accuracy", **{column: name}) for name, correct in conditions.items()]
    )
