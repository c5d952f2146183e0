"""What masks and values of neurons must look like, whatever the model."""

import torch
from torch import Tensor

from skillkit.errors import SkillkitError


def need_bool_masks(*masks: Tensor) -> None:
    """Refuse masks that are not bool [sites, width], or of different models."""
    if any(mask.ndim != 2 or mask.dtype != torch.bool or mask.shape != masks[0].shape for mask in masks):
        raise SkillkitError(
            "Neurons are chosen by bool masks [sites, width] of one model; got "
            f"{', '.join(f'{mask.dtype} {list(mask.shape)}' for mask in masks)}."
        )


def need_finite(values: Tensor, what: str, shape: torch.Size | None = None) -> None:
    """Refuse values that are not [sites, width] (of a given shape), or not finite without NaN."""
    fits = values.ndim == 2 and 0 not in values.shape and shape in (None, values.shape)
    if not fits or not torch.isfinite(values).all():
        raise SkillkitError(
            f"{what} are finite numbers [sites, width] without NaN"
            f"{'' if shape is None else f', here {list(shape)}'}; got shape {list(values.shape)}."
        )
