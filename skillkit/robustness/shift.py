"""How far does an attack move the neurons?"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments, known, need_columns, table_with
from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.fit import need_masks, need_values
from skillkit.neurons.scores import shift_unit
from skillkit.robustness.pairs import Pairs
from skillkit.robustness.site_rows import site_rows
from skillkit.stats.measurement import Measurement, ratio_over_originals

Shifts = Annotated[
    pd.DataFrame,
    table_with("neurons", "pair", "group", "value", "weight", made_by="activation_shift"),
    known("value", "weight"),
]
"""The table of `activation_shift`."""


@check_arguments
def activation_shift(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    deviation: Tensor,
    masks: Mapping[str, Tensor],
    *,
    batch_size: Size = 32,
) -> pd.DataFrame:
    """How far an attack moves the neurons: for each pair, site and mask, the mean over its neurons.

    The distance of a neuron is the root mean square of adversarial minus clean activation over the positions
    (answer slot and prompt rows), in units of its standard deviation over clean training examples.

    Args:
        backbone: the model.
        prompt: the prompt.
        pairs: at least two.
        deviation: standard deviations, [sites, width]; see `shift_unit`.
        masks: neurons by name, bool [sites, width] each.
        batch_size: pairs in one pass.

    Returns:
        Rows as `site_rows` makes them, and group (number of the original); feed them to `shift_table`.

    Raises:
        SkillkitError: fewer than two pairs, or masks or deviations of another model.
    """
    pairs.need()
    need_masks(backbone, masks)
    need_values(backbone, deviation, "deviation")
    clean, attacked = (
        encode(backbone, d, pairs.task, layout_of(prompt)) for d in (pairs.clean, pairs.attacked)
    )
    unit = shift_unit(deviation)
    means = {name: torch.full((len(pairs), len(backbone.sites)), torch.nan) for name in masks}
    for start in range(0, len(pairs), batch_size):
        rows = list(range(start, min(start + batch_size, len(pairs))))
        before, after = (_activations(backbone, prompt, e.select(rows)) for e in (clean, attacked))
        for site in range(len(backbone.sites)):
            distance = (after[site] - before[site]).square().mean(1).sqrt() / unit[site]
            for name, mask in masks.items():
                if mask[site].any():
                    means[name][rows, site] = distance[:, mask[site]].mean(1)
    frame = site_rows(backbone, np.arange(len(pairs)), masks, means)
    return frame.assign(group=pairs.pair_groups[frame["pair"].to_numpy()])


@check_arguments
def shift_table(
    rows: Shifts, *, control: str = "random", by_site: bool = False, seed: Seed = 0
) -> pd.DataFrame:
    """Means of `activation_shift`, and each mask's mean minus the control's, paired.

    Args:
        rows: from `activation_shift`, of one prompt or several.
        control: name of the mask that the others are compared with.
        by_site: for each site by itself, with columns stack and layer.
        seed: fixes the resamples.

    Returns:
        The columns of a measurement (standard deviations; over originals), metric ("shift"), and neurons (a
        mask's name, or "<name> - <control>").
    """
    sites = ["stack", "layer"] if by_site else []
    found = []
    need_columns(rows, sites)
    for place, part in rows.groupby(sites, sort=False) if by_site else [((), rows)]:
        wide = _means_by_pair(part)
        columns = {name: wide[name] for name in wide}
        if control in wide:
            columns |= {f"{n} - {control}": wide[n] - wide[control] for n in wide if n != control}
        for name, values in columns.items():
            named = {"neurons": name, **dict(zip(sites, place, strict=True))}
            found.append(_mean(values, seed).row("shift", **named))
    return pd.DataFrame(found)


@check_arguments
def shift_difference(one: Shifts, other: Shifts, neurons: str, *, seed: Seed = 0) -> Measurement:
    """How much further an attack moves some neurons with one prompt than with another, pair by pair.

    Args:
        one: from `activation_shift`, of one prompt or several (in the same order as the others).
        other: of the prompts to compare with, on the same pairs.
        neurons: name of the mask.
        seed: fixes the resamples.

    Raises:
        SkillkitError: the two are of different pairs, or lack the mask.
    """
    first, second = (_means_by_pair(rows) for rows in (one, other))
    if neurons not in first or neurons not in second or not first.index.equals(second.index):
        raise SkillkitError(
            f"The shifts of {neurons!r} cannot be compared pair by pair: there are {sorted(first)} for "
            f"{len(first)} pairs, and {sorted(second)} for {len(second)}. Measure both on the same pairs."
        )
    return _mean(first[neurons] - second[neurons], seed)


def _means_by_pair(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over all neurons of each mask (and over prompts): indexed by pair and group, a column per mask."""
    total = rows.assign(total=rows["value"] * rows["weight"]).groupby(
        ["neurons", "pair", "group"], sort=False
    )
    return (total["total"].sum() / total["weight"].sum()).unstack("neurons")


def _mean(values: pd.Series, seed: int) -> Measurement:
    return ratio_over_originals(values.to_numpy(), values.index.get_level_values("group"), seed=seed)


def _activations(backbone: Backbone, prompt: SoftPrompt, encoded: Encoded) -> list[Tensor]:
    """All examples in one batch: for each site [examples, positions present, width]."""
    kept: dict[int, Tensor] = {}

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        order = torch.argsort(current.batch.rows)
        kept[site] = take(activation, present_positions(backbone, site, current)[1]).float().cpu()[order]

    with watch(backbone, keep):
        for _ in run(backbone, prompt, encoded, batch_size=len(encoded)):
            pass
    return [kept[site] for site in range(len(backbone.sites))]
