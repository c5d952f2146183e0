"""Do masks, values and scores belong to a model? Those of another one are refused before anything is run."""

from collections.abc import Mapping

import torch
from torch import Tensor

from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.neurons.scores import NeuronScores


def need_masks(backbone: Backbone, masks: Mapping[str, Tensor]) -> None:
    """Refuse no masks, one that is not bool [sites, width] of this model, and one without any neuron."""
    shape = [len(backbone.sites), backbone.width]
    if not masks:
        raise SkillkitError("Name at least one mask of neurons, such as {'skill': skill_neurons(...)}.")
    for name, mask in masks.items():
        if mask.dtype != torch.bool or list(mask.shape) != shape:
            raise SkillkitError(
                f"The mask {name!r} is {mask.dtype} {list(mask.shape)}; the neurons of {backbone.name!r} "
                f"are a bool mask [sites, width] = {shape}."
            )
        if not mask.any():
            raise SkillkitError(f"The mask {name!r} holds no neuron. Use a larger fraction.")


def need_values(backbone: Backbone, values: Tensor, what: str) -> None:
    """Refuse values of neurons that are not finite, or not [sites, width] of this model."""
    shape = [len(backbone.sites), backbone.width]
    if list(values.shape) != shape or not torch.isfinite(values).all():
        raise SkillkitError(
            f"{what} must be finite numbers [sites, width] = {shape} of {backbone.name!r}; got shape "
            f"{list(values.shape)}{'' if torch.isfinite(values).all() else ' with NaN or infinite values'}."
        )


def need_scores(backbone: Backbone, scores: NeuronScores) -> None:
    """Refuse scores of a model with other sites or widths."""
    shape = [len(backbone.sites), backbone.width]
    if list(scores.predictivity.shape) != shape:
        raise SkillkitError(
            f"The scores are of {list(scores.predictivity.shape)} neurons [sites, width], "
            f"{backbone.name!r} has {shape}: they belong to another model. Score this one (score_neurons)."
        )
