"""What may predict zero-shot transfer: every similarity of two tasks' prompts, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from skillkit.checks import Count, Share, Size, check_arguments
from skillkit.errors import SkillkitError, unknown
from skillkit.models.backbones import Backbone
from skillkit.models.prompts import layout_of
from skillkit.neurons.scores import NeuronScores, merge_subtasks, skill_neurons
from skillkit.neurons.subtasks import subtask_predictivities
from skillkit.stats.claims import claim
from skillkit.stats.measurement import Measurement
from skillkit.transfer.ranking import prediction_difference
from skillkit.transfer.similarities import (
    METRICS,
    activated,
    layer_groups,
    overlap_rates,
    same_type,
    similarities,
)
from skillkit.transfer.zero_shot import Prompts

Array = NDArray[np.float64]


@check_arguments
def skill_masks(scores: Mapping[str, Sequence[NeuronScores]], fraction: Share) -> dict[str, Tensor]:
    """Skill neurons of each task, bool [sites, width], from the mean scores of its prompts (one per seed)."""
    masks = {}
    for task, by_seed in scores.items():
        subtasks = zip(*(subtask_predictivities(each) for each in by_seed), strict=True)
        means = [torch.stack(each).mean(0) for each in subtasks]
        masks[task] = (
            skill_neurons(means[0], fraction) if len(means) == 1 else merge_subtasks(means, fraction)
        )
    return masks


@check_arguments
def prompt_similarities(
    backbone: Backbone,
    prompts: Prompts,
    types: Mapping[str, str],
    *,
    skill: Mapping[str, Tensor] | None = None,
    group_size: Size = 3,
) -> dict[str, Array]:
    """Every similarity of the tasks' prompts, [source, target] by name, tasks in the order of `prompts`.

    The four embedding metrics, "ON" (all layers), "ON <stack> <layers>" for groups of layers, "ON skill
    neurons" and "same-type". With several seeds, two tasks are compared by prompts of *different* seeds:
    those of one seed start from the same point, which would make them alike.

    Args:
        backbone: of the prompts.
        prompts: by task and seed.
        types: of each task.
        skill: bool masks [sites, width] by task; ON is then also restricted to the target's (after Wang et
            al. 2022, section 6.2).
        group_size: how many neighbouring layers are a group.
    """
    names = list(prompts)
    if not names or any(not prompts[task] or task not in types for task in names):
        raise SkillkitError("prompt_similarities: every task needs a prompt and a type; at least one task.")
    keys = [(task, seed) for task in names for seed in prompts[task]]
    chosen = [prompts[task][seed] for task, seed in keys]
    found = dict(similarities(chosen, skip_rows=int(layout_of(chosen[0]) == "su")))
    patterns = [activated(backbone, prompt).numpy() for prompt in chosen]
    present = [
        index for index in range(len(backbone.sites)) if any(pattern[index].any() for pattern in patterns)
    ]
    found["ON"] = overlap_rates(patterns)
    groups = layer_groups(backbone.sites, group_size)
    for name, sites in groups.items():
        if set(sites) <= set(present):
            found[f"ON {name}"] = overlap_rates(patterns, sites=sites)
    if skill is not None:
        masked = {task: overlap_rates(patterns, neurons=skill[task].numpy()) for task in names}
        columns = [masked[task][:, column] for column, (task, _) in enumerate(keys)]
        found["ON skill neurons"] = np.stack(columns, axis=1)
    result = {name: _by_task(values, keys, names) for name, values in found.items()}
    result["same-type"] = same_type([types[task] for task in names])
    return result


@check_arguments
def predicted_by(predicted: pd.DataFrame, metric: str) -> Measurement:
    """How well a metric predicts transfer per target, from a `prediction_table`."""
    rows = predicted[(predicted["metric"] == metric) & (predicted["aggregation"] == "tgt_off")]
    if rows.empty:
        raise unknown("metric", metric, set(predicted["metric"].astype(str)))
    return Measurement.of_row(rows.iloc[0].to_dict())


@check_arguments
def best_embedding_metric(predicted: pd.DataFrame) -> str:
    """The one of the four embedding metrics that predicts transfer best per target."""
    return max(METRICS, key=lambda metric: predicted_by(predicted, metric).value)


@check_arguments
def predictor_claims(
    predicted: pd.DataFrame, similar: Mapping[str, ArrayLike], transfer: ArrayLike, *, resamples: Count = 1000
) -> list[dict[str, Any]]:
    """What the papers claim of ON as a predictor of transfer, with the verdicts of these tasks.

    Args:
        predicted: the `prediction_table` of `similar` and `transfer`.
        similar: [source, target] by name, from `prompt_similarities`.
        transfer: accuracy [source, target].
        resamples: of the tasks, for the paired intervals.
    """
    best = best_embedding_metric(predicted)

    def lead(first: str, second: str) -> Measurement:
        each = prediction_difference(similar[first], similar[second], transfer, resamples=resamples)
        return each["tgt_off"]

    return [
        claim("ON predicts transfer", predicted_by(predicted, "ON"), source="Su et al."),
        claim(
            f"ON predicts it better than the best embedding measure ({best})",
            lead("ON", best),
            source="Su et al.",
        ),
        claim(
            "ON on skill neurons predicts it better than ON on all",
            lead("ON skill neurons", "ON"),
            source="Wang et al.",
        ),
        claim(
            "ON predicts it better than knowing the task types",
            lead("ON", "same-type"),
            source="this study",
        ),
    ]


def _by_task(values: Array, keys: Sequence[tuple[str, int]], names: Sequence[str]) -> Array:
    """Means over pairs: a task with itself by the same prompt, two tasks by different seeds if possible."""
    tasks, seeds = np.array([task for task, _ in keys]), np.array([seed for _, seed in keys])
    result = np.full((len(names), len(names)), np.nan)
    for row, source in enumerate(names):
        for column, target in enumerate(names):
            pairs = (tasks[:, None] == source) & (tasks == target)
            same = seeds[:, None] == seeds
            wanted = pairs & same if source == target else pairs & ~same
            result[row, column] = values[wanted if wanted.any() else pairs].mean()
    return result
