"""What was chosen on the validation split, tried on texts that nothing was chosen on.

A neuron's predictivity is that of its best position and direction, and a skill neuron is the best of many. So
both look better where they were chosen than elsewhere. Here position, direction and neuron stay as they were
chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import check_arguments
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.inputs import labels_of
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.best import Neuron, activations_at, best_neurons, best_places
from skillkit.neurons.scores import NeuronScores, score_neurons
from skillkit.neurons.stability import held_out
from skillkit.neurons.subtasks import SubtaskScores, subtask_baselines
from skillkit.stats.measurement import Measurement, mean_of, without_interval


@dataclass(frozen=True)
class HeldOutScores:
    """One two-class question, scored on the test split by the thresholds of training.

    Attributes:
        by_seed: the scores of each prompt.
        accuracy: of each neuron at the position and in the direction that were best on validation, [sites,
            width], the mean over prompts.
    """

    by_seed: dict[int, NeuronScores]
    accuracy: Tensor

    @property
    def predictivity(self) -> Tensor:
        """Predictivity on test [sites, width], mean over prompts; the best position is chosen anew."""
        return torch.stack([scores.predictivity for scores in self.by_seed.values()]).mean(0)

    @property
    def examples(self) -> int:
        """How many texts were scored."""
        return next(iter(self.by_seed.values())).examples


@check_arguments
def score_held_out(
    backbone: Backbone, prompts: Mapping[int, SoftPrompt], scored: Mapping[str, SubtaskScores]
) -> dict[str, HeldOutScores]:
    """Score the test split of each question, for prompts that were scored on the validation split.

    Args:
        backbone: the model.
        prompts: by seed.
        scored: by name of the question, what `subtasks.score_prompts` returned for these prompts.
    """
    found = {}
    for name, part in scored.items():
        by_seed = {
            seed: score_neurons(
                backbone, prompts[seed], part.data, split="test", baseline=subtask_baselines(chosen)[0]
            )
            for seed, chosen in part.by_seed.items()
        }
        kept = [held_out(chosen, by_seed[seed]) for seed, chosen in part.by_seed.items()]
        found[name] = HeldOutScores(by_seed, torch.stack(kept).mean(0))
    return found


@check_arguments
def site_table(
    scored: Mapping[str, SubtaskScores], tested: Mapping[str, HeldOutScores], sites: Sequence[FFNSite]
) -> pd.DataFrame:
    """How predictive the neurons of each site are, for each question and split.

    Returns:
        Measurements over texts with columns subtask, split, stack and layer: highest and median predictivity,
        the threshold that the best neuron exceeds under shuffled labels, and the held-out accuracy of each
        site's best.
    """
    scores = {(name, "validation"): part.predictivity for name, part in scored.items()}
    scores |= {(name, "test"): each.predictivity for name, each in tested.items()}
    texts = {(name, "validation"): part.bits.labels.numel() for name, part in scored.items()}
    texts |= {(name, "test"): each.examples for name, each in tested.items()}
    quantities = [("highest_predictivity", key, values.amax(1)) for key, values in scores.items()]
    quantities += [("median_predictivity", key, values.median(1).values) for key, values in scores.items()]
    for name, part in scored.items():
        quantities.append(("highest_under_shuffled_labels", (name, "validation"), part.null.threshold()))
    for name, part in scored.items():
        best = part.predictivity.argmax(1, keepdim=True)
        quantities.append(("held_out_of_best", (name, "test"), tested[name].accuracy.gather(1, best)[:, 0]))
    rows = []
    for metric, key, values in quantities:
        for site, value in zip(sites, values.tolist(), strict=True):
            where = {"subtask": key[0], "split": key[1], "stack": site.stack, "layer": site.layer}
            rows.append(without_interval(value, texts[key], "texts").row(metric, **where))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class BestNeuron:
    """The most predictive neuron of a two-class question, on the test split.

    Attributes:
        neuron: its site and coordinate.
        labels: 0 or 1, [examples].
        activations: by seed, at the neuron's best position with that prompt, [examples].
        thresholds: by seed, its mean over the training split there.
        directions: by seed, whether label 1 goes with an activation above the threshold.
    """

    neuron: Neuron
    labels: NDArray[np.int64]
    activations: dict[int, NDArray[np.float64]]
    thresholds: dict[int, float]
    directions: dict[int, bool]

    @property
    def correct(self) -> NDArray[np.float64]:
        """Share of prompts with which the neuron tells each label, [examples]."""
        answers = [
            ((values > self.thresholds[seed]) == (self.labels == 1)) == self.directions[seed]
            for seed, values in self.activations.items()
        ]
        return np.mean(answers, axis=0)

    def accuracy(self) -> Measurement:
        """How often it tells the label."""
        return mean_of(self.correct)

    @property
    def majority(self) -> float:
        """The share of the larger class, which takes no neuron to reach."""
        return majority_share(self.labels)


@check_arguments
def try_best_neuron(backbone: Backbone, prompts: Mapping[int, SoftPrompt], part: SubtaskScores) -> BestNeuron:
    """The neuron that was most predictive on validation (mean over prompts), on the test split."""
    [neuron] = best_neurons(part.predictivity, 1)
    places = {seed: best_places(scores.accuracy, [neuron])[0] for seed, scores in part.by_seed.items()}
    test, task = part.data.test, part.data.task
    return BestNeuron(
        neuron=neuron,
        labels=labels_of(test),
        activations={
            seed: activations_at(backbone, prompts[seed], test, task, [place])[:, 0]
            for seed, place in places.items()
        },
        thresholds={seed: float(part.by_seed[seed].baseline[place]) for seed, place in places.items()},
        directions={seed: bool(part.by_seed[seed].accuracy[place] >= 0.5) for seed, place in places.items()},
    )


@check_arguments
def majority_share(labels: NDArray[np.int64]) -> float:
    """The share of the most frequent label [examples]: what always giving that answer reaches."""
    return float(np.bincount(labels).max() / len(labels))
