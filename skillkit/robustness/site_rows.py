"""The long table that per-pair, per-site numbers about some neurons are kept in."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.neurons.fit import need_masks


@check_arguments
def site_rows(
    backbone: Backbone,
    pairs: NDArray[np.int64],
    masks: Mapping[str, Tensor],
    values: Mapping[str, Tensor],
) -> pd.DataFrame:
    """One row per pair, mask and site that has any of the mask's neurons.

    Args:
        backbone: the model.
        pairs: numbers of the pairs, [pairs].
        masks: neurons by name, bool [sites, width] each.
        values: for each mask, a number for each pair and site, [pairs, sites].

    Returns:
        Columns pair, value, neurons (the mask's name), stack, layer, and weight (its neurons in the site).

    Raises:
        SkillkitError: masks of another model, or values of other pairs, sites or masks.
    """
    need_masks(backbone, masks)
    shape = [len(pairs), len(backbone.sites)]
    for name, each in values.items():
        if name not in masks or list(each.shape) != shape:
            raise SkillkitError(
                f"The values of {name!r} are {list(each.shape)}; expected [pairs, sites] = {shape} for "
                f"each of the masks {', '.join(masks)}."
            )
    parts = []
    for name, each in values.items():
        for index, site in enumerate(backbone.sites):
            weight = int(masks[name][index].sum())
            if weight:
                frame = pd.DataFrame({"pair": pairs, "value": each[:, index].double().numpy()})
                parts.append(frame.assign(neurons=name, stack=site.stack, layer=site.layer, weight=weight))
    return pd.concat(parts, ignore_index=True)
