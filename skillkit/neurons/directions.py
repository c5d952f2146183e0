"""Is a single neuron special, or would any direction of the same activations do as well?

A reader of today asks why neurons and not directions. At one position of one site the activations [examples,
width] are the same whatever axes they are read along. So the best of the `width` neurons is held against the
best of as many directions after a random rotation (the same threshold rule, the same choice), against a
linear probe on all of them as a ceiling, and against always guessing the larger class as a floor. Whatever is
chosen is chosen on one split and reported on another.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.inputs import Encoded
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, run
from skillkit.neurons.scores import NeuronScores
from skillkit.stats.measurement import Measurement, mean_of, paired_difference, proportion

Key = TypeVar("Key", bound=Hashable)

Outcomes = NDArray[np.float64]

Split = tuple[Tensor, Tensor]
"""Activations [examples, width] and labels [examples], 0 or 1."""


@dataclass(frozen=True)
class Directions:
    """What was right on the reported texts [examples], each 0 or 1.

    `rotated` [draws, examples] has one row for the best direction of each random rotation.
    """

    neuron: Outcomes
    rotated: Outcomes
    probe: Outcomes
    majority: Outcomes

    def table(self) -> pd.DataFrame:
        """Accuracies: one row per kind (best neuron, best rotated direction, linear probe, majority),
        measured over texts.

        The row of the rotations is the mean over draws; columns `lowest` and `highest` give their range.
        """
        count = len(self.neuron)
        rows = [
            proportion(float(outcomes.sum()), count).row("direction_accuracy", kind=kind)
            for kind, outcomes in (
                ("best neuron", self.neuron),
                ("linear probe", self.probe),
                ("majority", self.majority),
            )
        ]
        means = self.rotated.mean(1)
        rows.append(
            mean_of(self.rotated.mean(0)).row(
                "direction_accuracy", kind="best rotated direction", lowest=means.min(), highest=means.max()
            )
        )
        return pd.DataFrame(rows)

    def advantage(self) -> Measurement:
        """Accuracy of the best neuron minus the mean of the best rotated directions, paired over the
        texts."""
        return paired_difference(self.neuron, self.rotated.mean(0))


@dataclass(frozen=True)
class Sample:
    """The activations at one position of one site.

    Attributes:
        chosen_on: what directions are chosen on, and the probe is fitted to.
        reported_on: other texts, which are reported on.
        baseline: mean activation over the training split [width].
    """

    chosen_on: Split
    reported_on: Split
    baseline: Tensor


@check_arguments
def compare_directions(
    samples: Mapping[Key, Sample], *, draws: int = 10, seed: Seed = 0
) -> dict[Key, Directions]:
    """The best neuron, the best directions of random rotations, and a linear probe, for each sample.

    A direction's threshold is the baseline projected onto it, as a neuron's is its baseline; it answers 1
    above the threshold or below it, whichever was right more often on the first split. All samples meet the
    same rotations.

    Args:
        samples: of one width, by any key.
        draws: how many rotations.

    Raises:
        SkillkitError: labels other than 0 and 1, one class only, or activations that are not finite.
    """
    for sample in samples.values():
        _check(*sample.chosen_on)
        _check(*sample.reported_on)
    rotated: dict[Key, list[Outcomes]] = {key: [] for key in samples}
    width = next(iter(samples.values())).baseline.shape[0] if samples else 0
    for rotation in _rotations(width, draws, seed):
        for key, sample in samples.items():
            rotated[key].append(_best_direction(_turned(sample, rotation)))
    return {
        key: Directions(_best_direction(sample), np.stack(rotated[key]), _probe(sample), _majority(sample))
        for key, sample in samples.items()
    }


@check_arguments
def compare_at_sites(
    backbone: Backbone,
    prompt: SoftPrompt,
    chosen_on: Encoded,
    reported_on: Encoded,
    scores: NeuronScores,
    *,
    draws: int = 10,
) -> dict[tuple[int, str], Directions]:
    """`compare_directions` for every site, at the answer slot and at its best prompt row on the first split.

    Returns:
        By site index and position ("answer slot" or "best prompt row"); a site appears with the positions
        that it has.
    """
    entries = _entries(scores)
    first, second = (
        activations_of_sites(backbone, prompt, encoded, set(entries.values()))
        for encoded in (chosen_on, reported_on)
    )
    samples = {
        key: Sample(
            (first[place], chosen_on.labels), (second[place], reported_on.labels), scores.baseline[place]
        )
        for key, place in entries.items()
    }
    return compare_directions(samples, draws=draws)


@check_arguments
def direction_table(found: Mapping[tuple[int, str], Directions], sites: Sequence[FFNSite]) -> pd.DataFrame:
    """The tables of `compare_at_sites` below each other, with columns stack, layer and position."""
    return pd.concat(
        [
            each.table().assign(stack=sites[site].stack, layer=sites[site].layer, position=position)
            for (site, position), each in found.items()
        ],
        ignore_index=True,
    )


@check_arguments
def mean_advantage(found: Mapping[tuple[int, str], Directions]) -> Measurement:
    """Accuracy of the best neuron minus that of the best rotated directions, averaged over sites and
    positions, paired over texts."""
    neuron = np.mean([each.neuron for each in found.values()], axis=0)
    rotated = np.mean([each.rotated.mean(0) for each in found.values()], axis=0)
    return paired_difference(neuron, rotated)


def _entries(scores: NeuronScores) -> dict[tuple[int, str], tuple[int, int]]:
    """By site index and position, the site and the entry of the positions axis: the slot, which is entry 0,
    and the prompt row of the site's best neuron."""
    best = (scores.accuracy - 0.5).abs().nan_to_num(-1.0).amax(2)  # [sites, positions]
    found = {}
    for site, here in enumerate(best):
        if here[0] >= 0:
            found[site, "answer slot"] = (site, 0)
        if (here[1:] >= 0).any():
            found[site, "best prompt row"] = (site, 1 + int(here[1:].argmax()))
    return found


@check_arguments
def activations_of_sites(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    entries: Collection[tuple[int, int]],
    *,
    batch_size: Size = 64,
) -> dict[tuple[int, int], Tensor]:
    """Activations of whole sites at some positions, [examples, width] each, in float32 on the CPU.

    Args:
        entries: site indices, each with an entry of the positions axis (0: the answer slot).

    Returns:
        The activations by these pairs, from one pass over the texts.

    Raises:
        SkillkitError: a site does not have a position.
    """
    found = {each: torch.empty(len(encoded), backbone.width) for each in entries}

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        present, places = present_positions(backbone, site, current)
        for entry in [entry for wanted, entry in entries if wanted == site]:
            if entry not in present:
                raise SkillkitError(f"{backbone.sites[site]} has no position {entry}, only {present}.")
            place = places[present.index(entry)]
            found[site, entry][current.batch.rows] = take(activation, [place])[:, 0].float().cpu()

    with watch(backbone, keep):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return found


def _turned(sample: Sample, rotation: Tensor) -> Sample:
    """The sample seen along other axes."""
    (chosen, labels), (reported, truth) = sample.chosen_on, sample.reported_on
    baseline = sample.baseline.float() @ rotation
    return Sample((chosen @ rotation, labels), (reported @ rotation, truth), baseline)


def _best_direction(sample: Sample) -> Outcomes:
    """What the best coordinate of the first split gets right on the second, [examples]."""
    (activations, labels), baseline = sample.chosen_on, sample.baseline
    right = ((activations > baseline) == labels[:, None].bool()).double().mean(0)
    best = int((right - 0.5).abs().argmax())
    answer = sample.reported_on[0][:, best] > baseline[best]
    answer = answer if right[best] >= 0.5 else ~answer
    return (answer == sample.reported_on[1].bool()).double().numpy()


def _majority(sample: Sample) -> Outcomes:
    """What always guessing the larger class of the first split gets right on the second, [examples]."""
    larger = int(sample.chosen_on[1].float().mean() > 0.5)
    return (sample.reported_on[1].numpy() == larger).astype(float)


def _rotations(width: int, draws: int, seed: int) -> Iterator[Tensor]:
    """Random orthogonal matrices [width, width], uniformly distributed (QR of normal numbers, signs
    fixed)."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        q, r = torch.linalg.qr(torch.randn(width, width, generator=generator))
        yield q * torch.sign(torch.diagonal(r))


def _probe(sample: Sample) -> Outcomes:
    """Ridge classifier on standardised activations, its penalty chosen by leave-one-out on the first
    split."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-1, 5, 13)))
    probe.fit(*(tensor.numpy() for tensor in sample.chosen_on))
    activations, labels = (tensor.numpy() for tensor in sample.reported_on)
    return np.asarray(probe.predict(activations) == labels, dtype=float)


def _check(activations: Tensor, labels: Tensor) -> None:
    if set(labels.unique().tolist()) != {0, 1}:
        raise SkillkitError(
            f"Directions are compared on two classes, 0 and 1; got {labels.unique().tolist()}."
        )
    if not torch.isfinite(activations).all():
        raise SkillkitError("The activations are not finite at this position. Choose one that the site has.")
