"""Do skill neurons still point to the right label under attack?"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments, known, table_with
from skillkit.data.loading import binary_subtasks
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.fit import need_masks, need_scores
from skillkit.neurons.scores import NeuronScores, best_positions
from skillkit.neurons.subtasks import subtask_baselines
from skillkit.robustness.pairs import Pairs
from skillkit.robustness.site_rows import site_rows
from skillkit.stats.measurement import ratio_over_originals

Agreements = Annotated[
    pd.DataFrame,
    table_with("text", "neurons", "pair", "group", "value", "weight", made_by="agreement"),
    known("value", "weight"),
]
"""The table of `agreement`."""


@check_arguments
def agreement(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    selection: NeuronScores,
    masks: Mapping[str, Tensor],
    *,
    batch_size: Size = 32,
) -> pd.DataFrame:
    """For each pair and text, the share of the chosen neurons whose threshold gives the right label.

    Every neuron keeps the position and direction that were best on clean validation text.

    Raises:
        SkillkitError: fewer than two pairs, or masks or scores of another model.

    Returns:
        One row per pair (and subtask), text ("clean" or "adversarial"), mask and site, as `site_rows` makes
        them, with text, subtask and group (number of the original); feed it to `agreement_table`.
    """
    pairs.need()
    need_masks(backbone, masks)
    need_scores(backbone, selection)
    accuracies = selection.accuracy if selection.accuracy.ndim == 4 else selection.accuracy[None]
    parts = []
    for text, dataset in (("clean", pairs.clean), ("adversarial", pairs.attacked)):
        numbered = dataset.add_column("pair", list(range(len(dataset))))  # type: ignore[call-arg]
        for place, (name, subtask) in enumerate(binary_subtasks(pairs.as_task(numbered)).items()):
            encoded = encode(backbone, subtask.test, subtask.task, layout_of(prompt))
            judges = _Judges(backbone, subtask_baselines(selection)[place].mean, accuracies[place], masks)
            shares = judges.agreeing(prompt, encoded, batch_size)
            numbers = np.asarray(subtask.test["pair"])
            parts.append(site_rows(backbone, numbers, masks, shares).assign(text=text, subtask=name))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(group=pairs.pair_groups[frame["pair"].to_numpy()])


@check_arguments
def agreement_table(rows: Agreements, *, by_site: bool = False, seed: Seed = 0) -> pd.DataFrame:
    """Mean of `agreement`, with intervals over originals. A site weighs as much as it has chosen neurons.

    Args:
        rows: from `agreement`, of one prompt or several.
        by_site: for each site by itself, with columns stack and layer.
        seed: fixes the resamples.

    Returns:
        The columns of a measurement, metric ("pointing_right"), neurons, and text ("clean", "adversarial", or
        "drop": the first minus the second, paired).
    """
    keys = ["neurons", *(["stack", "layer"] if by_site else [])]
    found = []
    for names, part in rows.groupby(keys, sort=False):
        part = part.assign(total=part["value"] * part["weight"])
        summed = part.groupby(["text", "pair", "group"])[["total", "weight"]].sum().reset_index()
        wide = summed.pivot(index=["pair", "group"], columns="text", values="total")
        weight = summed.pivot(index=["pair", "group"], columns="text", values="weight")["clean"].to_numpy()
        groups = wide.index.get_level_values("group").to_numpy()
        pairs = wide.index.get_level_values("pair").nunique()
        clean, adversarial = wide["clean"].to_numpy(), wide["adversarial"].to_numpy()
        for text, values in (("clean", clean), ("adversarial", adversarial), ("drop", clean - adversarial)):
            measured = ratio_over_originals(values, groups, weight, n=pairs, seed=seed)
            found.append(measured.row("pointing_right", **dict(zip(keys, names, strict=True)), text=text))
    return pd.DataFrame(found)


class _Judges:
    """Neurons as judges of a two-class question, each at its best position and in its best direction."""

    def __init__(
        self, backbone: Backbone, baseline: Tensor, accuracy: Tensor, masks: Mapping[str, Tensor]
    ) -> None:
        """Take thresholds and accuracies [sites, positions, width], and masks [sites, width] by name."""
        self.backbone, self.masks = backbone, masks
        self.best = best_positions(accuracy)
        self.straight = accuracy.gather(1, self.best[:, None])[:, 0] >= 0.5
        self.threshold = baseline.gather(1, self.best[:, None])[:, 0]

    def agreeing(self, prompt: SoftPrompt, encoded: Encoded, batch_size: int) -> dict[str, Tensor]:
        """Share of each mask's neurons that give the right label, [examples, sites] by name of mask."""
        sites = len(self.backbone.sites)
        shares = {name: torch.full((len(encoded), sites), torch.nan) for name in self.masks}

        def judge(site: int, activation: Tensor, current: Pass) -> None:
            right = self._right(site, activation, current)
            for name, mask in self.masks.items():
                if mask[site].any():
                    shares[name][current.batch.rows, site] = right[:, mask[site]].float().mean(1)

        with watch(self.backbone, judge):
            for _ in run(self.backbone, prompt, encoded, batch_size=batch_size):
                pass
        return shares

    def _right(self, site: int, activation: Tensor, current: Pass) -> Tensor:
        """Which neurons give which examples the right label, bool [examples, width]."""
        present, places = present_positions(self.backbone, site, current)
        where = torch.searchsorted(torch.tensor(present), self.best[site])
        rows = where.expand(len(current.batch), 1, -1)
        values = take(activation, places).float().cpu().gather(1, rows)[:, 0]
        fires = values > self.threshold[site]
        return (fires == self.straight[site]) == current.batch.labels.cpu().bool()[:, None]
