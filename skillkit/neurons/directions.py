"""Is a single neuron special, or would any direction of the same activations do as well?

A reader of today asks why neurons and not directions. At one position of one site the activations [examples,
width] are the same whatever axes they are read along. So the best of the `width` neurons is held against the
best of as many directions after a random rotation (the same threshold rule, the same choice), against a
linear probe on all of them as a ceiling, and against always guessing the larger class as a floor. Whatever is
chosen is chosen on one split and reported on another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.inputs import Encoded
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, run
from skillkit.neurons.scores import NeuronScores
from skillkit.stats.measurement import Measurement, mean_of, paired_difference, proportion

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


def compare_directions(
    chosen_on: Split,
    reported_on: Split,
    baseline: Tensor,
    *,
    draws: int = 10,
    seed: int = 0,
) -> Directions:
    """The best neuron, the best directions of random rotations, and a linear probe, at one position of one
    site.

    A direction's threshold is the baseline projected onto it, as a neuron's is its baseline; it answers 1
    above the threshold or below it, whichever was right more often on the first split.

    Args:
        chosen_on: activations [examples, width] and labels [examples] (0 or 1) to choose directions and fit
            the probe on.
        reported_on: the same of the texts that are reported on.
        baseline: mean activation over the training split [width].
        draws: how many rotations.

    Raises:
        SkillkitError: labels other than 0 and 1, one class only, or activations that are not finite.
    """
    for activations, labels in (chosen_on, reported_on):
        _check(activations, labels)
    neuron = _best_direction(chosen_on, reported_on, baseline)
    rotated = []
    for rotation in _rotations(baseline.shape[0], draws, seed):
        turned = [
            (activations.float() @ rotation, labels) for activations, labels in (chosen_on, reported_on)
        ]
        rotated.append(_best_direction(turned[0], turned[1], baseline.float() @ rotation))
    truth = reported_on[1].numpy()
    larger = int(chosen_on[1].float().mean() > 0.5)
    return Directions(
        neuron, np.stack(rotated), _probe(chosen_on, reported_on), (truth == larger).astype(float)
    )


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
    found: dict[tuple[int, str], Directions] = {}
    for position, entries in _entries(scores).items():
        first, second = (
            activations_by_site(backbone, prompt, encoded, entries) for encoded in (chosen_on, reported_on)
        )
        for site, entry in entries.items():
            found[site, position] = compare_directions(
                (first[site], chosen_on.labels),
                (second[site], reported_on.labels),
                scores.baseline[site, entry],
                draws=draws,
            )
    return dict(sorted(found.items()))


def direction_table(found: Mapping[tuple[int, str], Directions], sites: Sequence[FFNSite]) -> pd.DataFrame:
    """The tables of `compare_at_sites` below each other, with columns stack, layer and position."""
    return pd.concat(
        [
            each.table().assign(stack=sites[site].stack, layer=sites[site].layer, position=position)
            for (site, position), each in found.items()
        ],
        ignore_index=True,
    )


def mean_advantage(found: Mapping[tuple[int, str], Directions]) -> Measurement:
    """Accuracy of the best neuron minus that of the best rotated directions, averaged over sites and
    positions, paired over texts."""
    neuron = np.mean([each.neuron for each in found.values()], axis=0)
    rotated = np.mean([each.rotated.mean(0) for each in found.values()], axis=0)
    return paired_difference(neuron, rotated)


def _entries(scores: NeuronScores) -> dict[str, dict[int, int]]:
    """For each kind of position the entry of the positions axis, by site: the slot, and the prompt row of the
    best neuron."""
    best = (scores.accuracy - 0.5).abs().nan_to_num(-1.0).amax(2)  # [sites, positions]
    rows = best[:, 1:]
    return {
        "answer slot": {site: 0 for site in range(len(best)) if best[site, 0] >= 0},
        "best prompt row": {
            site: 1 + int(rows[site].argmax()) for site in range(len(best)) if (rows[site] >= 0).any()
        },
    }


def activations_by_site(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    encoded: Encoded,
    entries: Mapping[int, int],
    *,
    batch_size: int = 64,
) -> dict[int, Tensor]:
    """Activations of whole sites at one position each, [examples, width] in float32 on the CPU, by site
    index.

    Args:
        entries: for each site of interest an entry of the positions axis (0: the answer slot).

    Raises:
        SkillkitError: a site does not have that position.
    """
    found = {site: torch.empty(len(encoded), backbone.width) for site in entries}

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        if site not in entries:
            return
        present, places = present_positions(backbone, site, current)
        if entries[site] not in present:
            raise SkillkitError(f"{backbone.sites[site]} has no position {entries[site]}, only {present}.")
        place = places[present.index(entries[site])]
        found[site][current.batch.rows] = take(activation, [place])[:, 0].float().cpu()

    with watch(backbone, keep):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return found


def _best_direction(chosen_on: Split, reported_on: Split, baseline: Tensor) -> Outcomes:
    """What the best coordinate of the first split gets right on the second, [examples]."""
    activations, labels = chosen_on
    right = ((activations > baseline) == labels[:, None].bool()).double().mean(0)
    best = int((right - 0.5).abs().argmax())
    answer = reported_on[0][:, best] > baseline[best]
    answer = answer if right[best] >= 0.5 else ~answer
    return (answer == reported_on[1].bool()).double().numpy()


def _rotations(width: int, draws: int, seed: int) -> Iterator[Tensor]:
    """Random orthogonal matrices [width, width], uniformly distributed (QR of normal numbers, signs
    fixed)."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        q, r = torch.linalg.qr(torch.randn(width, width, generator=generator))
        yield q * torch.sign(torch.diagonal(r))


def _probe(chosen_on: Split, reported_on: Split) -> Outcomes:
    """Ridge classifier on standardised activations, its penalty chosen by leave-one-out on the first
    split."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-1, 5, 13)))
    probe.fit(chosen_on[0].numpy(), chosen_on[1].numpy())
    return np.asarray(probe.predict(reported_on[0].numpy()) == reported_on[1].numpy(), dtype=float)


def _check(activations: Tensor, labels: Tensor) -> None:
    if set(labels.unique().tolist()) != {0, 1}:
        raise SkillkitError(
            f"Directions are compared on two classes, 0 and 1; got {labels.unique().tolist()}."
        )
    if not torch.isfinite(activations).all():
        raise SkillkitError("The activations are not finite at this position. Choose one that the site has.")
