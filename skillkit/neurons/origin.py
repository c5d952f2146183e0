"""Where skill neurons come from: do they appear as the prompt is tuned, or were they there before?

Wang et al. (2022) argue that prompt tuning finds skill neurons rather than makes them, because the neurons
that it finds also matter when the model is tuned in quite different ways.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from skillkit.checks import Seed, Share, check_arguments
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.evaluation import Evaluation
from skillkit.models.inputs import EncodedTask
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.held_out import majority_share
from skillkit.neurons.perturbation import Perturbation, PerturbationCurves, perturb
from skillkit.neurons.scores import NeuronScores, score_neurons, skill_neurons
from skillkit.neurons.stability import rank_correlation
from skillkit.stats.measurement import Measurement, mean_of_runs, without_interval
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.methods import TunedBackbone
from skillkit.tuning.prompt import tune_prompt


@dataclass(frozen=True)
class Appearance:
    """Neurons scored on the way, while a prompt is tuned.

    Attributes:
        scores: by optimiser step; step 0 is the untuned prompt.
    """

    scores: dict[int, NeuronScores]

    @property
    def last(self) -> NeuronScores:
        """The scores after the last step, which say what the skill neurons are."""
        return self.scores[max(self.scores)]

    def stages(self, fraction: float = 0.05) -> pd.DataFrame:
        """Predictivity over the steps, as measurements over the scored texts with columns step and quantity.

        The skill neurons of the last step are followed back to the start, beside the best and the median
        neuron of each step.
        """
        top = skill_neurons(self.last.predictivity, fraction)
        rows = []
        for step, scores in self.scores.items():
            quantities = {
                f"skill neurons (top {100 * fraction:g} % at the end)": scores.predictivity[top].mean(),
                "best neuron": scores.predictivity.max(),
                "median neuron": scores.predictivity.median(),
            }
            for quantity, value in quantities.items():
                measured = without_interval(float(value), scores.examples, "texts")
                rows.append(measured.row("predictivity_over_steps", step=step, quantity=quantity))
        return pd.DataFrame(rows)

    def agreement(self) -> pd.DataFrame:
        """Rank correlation with the last step, the mean over sites, as measurements with a column step."""
        rows = []
        for step, scores in self.scores.items():
            by_site = rank_correlation(scores.predictivity, self.last.predictivity)
            known = int((~by_site.isnan()).sum())
            measured = without_interval(float(by_site.nanmean()), known, "sites")
            rows.append(measured.row("rank_correlation_with_last_step", step=step))
        return pd.DataFrame(rows)


@check_arguments
def watch_tuning(
    backbone: Backbone,
    task_data: EncodedTask,
    binary: EncodedTask,
    start: SoftPrompt,
    budget: TuningBudget,
    *,
    seed: Seed = 0,
) -> Appearance:
    """Tune a prompt and score the neurons at every evaluation on the way.

    Args:
        backbone: the model.
        task_data: the task that the prompt is tuned for.
        binary: the two-class question that neurons are scored on.
        start: the untuned prompt.
        budget: how long to tune; neurons are scored after every `evaluate_every` steps and after the last.
        seed: decides the order of the examples.
    """
    seen = {0: start}

    def look(number: int, prompt: SoftPrompt) -> None:
        seen[min(number * budget.evaluate_every, budget.steps)] = prompt

    tune_prompt(backbone, task_data, budget, seed=seed, start=start, each=look)
    return Appearance({step: score_neurons(backbone, prompt, binary) for step, prompt in seen.items()})


@check_arguments
def top_of_sites(
    sources: Mapping[str, NeuronScores], sites: Sequence[FFNSite], fraction: Share = 0.05
) -> pd.DataFrame:
    """Mean predictivity of each site's own top neurons, for several scores.

    Returns:
        Measurements over the scored texts, with columns prompt (the name of the scores), stack and layer.
    """
    rows = []
    for name, scores in sources.items():
        top = skill_neurons(scores.predictivity, fraction)
        for index, site in enumerate(sites):
            value = float(scores.predictivity[index][top[index]].mean())
            measured = without_interval(value, scores.examples, "texts")
            rows.append(measured.row("top_predictivity", prompt=name, stack=site.stack, layer=site.layer))
    return pd.DataFrame(rows)


@check_arguments
def gap_over_sites(profile: pd.DataFrame, column: str, one: str, other: str) -> Measurement:
    """How much higher one line of a profile is than another, on average over the sites that both have.

    Args:
        profile: rows with stack, layer, value, and a column that names the line.
        column: that column.
        one: the name of a line.
        other: the name of another.

    Returns:
        The mean difference with Student's t interval over sites. They are a handful, and neighbours are
        alike, so it describes this model and no other.
    """
    first, second = (
        profile[profile[column] == name].set_index(["stack", "layer"])["value"] for name in (one, other)
    )
    differences = (first - second).dropna()
    return mean_of_runs(differences.to_numpy(), "sites")


@check_arguments
def perturb_methods(
    tuned: Mapping[str, TunedBackbone],
    seed: Seed,
    scores: NeuronScores,
    test: EncodedTask,
    plan: Perturbation,
) -> dict[str, PerturbationCurves]:
    """Break the skill neurons of a prompt in models that were tuned in other ways, by method.

    Args:
        tuned: by method; no prompt is used.
        seed: draws the random selections.
        scores: of the prompt, on the validation split.
        test: the task, whose test split is answered.
        plan: which neurons are broken, and how.
    """
    return {
        method: perturb(each.backbone, {seed: (None, scores)}, test.test, test.task, plan)
        for method, each in tuned.items()
    }


@check_arguments
def idle(answered: Mapping[str, Evaluation]) -> list[str]:
    """Which models do not answer better than always the most frequent class: they have nothing to lose."""
    return [name for name, each in answered.items() if each.measurement.low <= majority_share(each.labels)]
