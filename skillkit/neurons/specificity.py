"""Are skill neurons specific to a task? Several tasks' rankings and selections (Wang et al. 2022, 4.3).

Two tasks are compared by Spearman's correlation of their predictivities in each site, and by how many skill
neurons they share, as a multiple of what independent selections would. Prompts tuned from one seed start from
the same rows, so tasks are compared across seeds wherever there are several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from skillkit.checks import check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.backbones import FFNSite
from skillkit.neurons.stability import shared_neurons
from skillkit.stats.measurement import Measurement, paired_difference, without_interval
from skillkit.stats.type_effect import TypeEffect, type_effect


@check_arguments
def specificity(predictivities: Mapping[str, Sequence[Tensor]], sites: Sequence[FFNSite]) -> pd.DataFrame:
    """Do similar tasks rank neurons alike? Spearman correlations between the predictivities of tasks.

    Args:
        predictivities: by task, one [sites, width] for each seed.
        sites: the sites of the backbone.

    Returns:
        One row per pair of tasks (both orders) and site: a measurement over neurons (the mean over pairs of
        different seeds, or the only one), with columns row, column, stack, layer and pairs (of seeds). A task
        with itself is the ceiling for any pair of tasks: what two prompts for the same task reach (NaN with
        one seed).
    """
    ranks = {
        (task, seed): _standard_ranks(scores)
        for task, seeds in predictivities.items()
        for seed, scores in enumerate(seeds)
    }
    rows = []
    for first, seeds in predictivities.items():
        for second, others in predictivities.items():
            pairs = _seed_pairs(first, second, len(seeds), len(others))
            values = [(ranks[first, i] * ranks[second, j]).sum(1) for i, j in pairs]
            mean = torch.stack(values).mean(0) if values else torch.full((len(sites),), torch.nan)
            for site, value in zip(sites, mean.tolist(), strict=True):
                place = {"row": first, "column": second, "stack": site.stack, "layer": site.layer}
                measured = without_interval(value, seeds[0].shape[1], "neurons")
                rows.append(measured.row("rank_correlation", **place, pairs=len(pairs)))
    return pd.DataFrame(rows)


@check_arguments
def by_pair(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """The mean of `specificity` over sites, as a square table with the tasks in the given order."""
    mean = table.groupby(["row", "column"])["value"].mean().unstack()
    return mean.reindex(index=list(tasks), columns=list(tasks))


@check_arguments
def by_stack(table: pd.DataFrame, tasks: Sequence[str]) -> dict[str, pd.DataFrame]:
    """`by_pair` for each stack, and for `"all"` sites together."""
    stacks = {stack: by_pair(rows, tasks) for stack, rows in table.groupby("stack", sort=False)}
    return stacks | {"all": by_pair(table, tasks)}


@check_arguments
def as_cells(square: pd.DataFrame) -> pd.DataFrame:
    """A square table as rows for `charts.matrix_heatmap`, the first task at the bottom."""
    long = square.iloc[::-1].stack(future_stack=True).dropna().reset_index()
    return long.set_axis(["row", "column", "value"], axis=1)


@check_arguments
def pair_kinds(table: pd.DataFrame, types: Mapping[str, str]) -> list[str]:
    """Whether each row's pair is of the "same task", the "same type" or an "other type".

    Args:
        table: rows with the tasks in columns row and column.
        types: the type of each task.
    """
    return [
        "same task" if one == other else "same type" if types[one] == types[other] else "other type"
        for one, other in zip(table["row"], table["column"], strict=True)
    ]


@check_arguments
def profile_by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Means of `specificity`, with a column pair from `pair_kinds`, by kind of pair and layer."""
    known = table.dropna(subset=["value"])
    return known.groupby(["pair", "stack", "layer"], as_index=False)["value"].mean()


@check_arguments
def own_task_gap(square: pd.DataFrame) -> Measurement:
    """How much more a prompt agrees with another prompt for its task than with the nearest other task's.

    Args:
        square: `by_pair` of at least two tasks, each with two seeds or more.

    Returns:
        The mean difference, resampled over tasks.

    Raises:
        SkillkitError: there is a single task, or the diagonal is empty.
    """
    values = square.to_numpy()
    own = np.diag(values)
    if len(own) < 2 or np.isnan(own).any():
        raise SkillkitError("The comparison needs at least two tasks with two seeds each. Give more of them.")
    nearest = [np.delete(row, index).max() for index, row in enumerate(values)]
    return paired_difference(own, nearest, "tasks")


@check_arguments
def type_differences(similar: Mapping[str, pd.DataFrame], types: Sequence[str]) -> dict[str, TypeEffect]:
    """Are tasks of one type more alike than tasks of different types? By name of several square tables.

    Where there is one stack only, the table of all sites says the same and stands alone. Nothing is compared
    (an empty dict) where all tasks are of one type, or no two are.
    """
    if len(set(types)) in (1, len(types)):
        return {}
    names = [name for name in similar if name == "all" or len(similar) > 2]
    found = {}
    for name in names:
        values = np.nan_to_num(similar[name].to_numpy())
        # Sums of the same numbers in another order differ in the last digit, and only symmetric values count
        # once.
        found[name] = type_effect((values + values.T) / 2, types, resamples=0)
    return found


@check_arguments
def type_rows(differences: Mapping[str, TypeEffect]) -> list[dict[str, Any]]:
    """Rows of a result table: each difference between types, with the range that permuted types have.

    Args:
        differences: by stack, or `"all"`.

    Returns:
        Measurements over the pairs inside a type, with columns p, chance_low, chance_high and stack.
    """
    rows = []
    for name, found in differences.items():
        chance = {"chance_low": found.chance_low, "chance_high": found.chance_high}
        measured = without_interval(found.difference, found.inside_pairs, "pairs")
        rows.append(measured.row("type_difference", p=found.p, **chance, stack=name))
    return rows


@check_arguments
def overlap_of_tasks(
    masks: Mapping[str, Sequence[Tensor]], varying: Mapping[str, Sequence[Tensor]] | None = None
) -> pd.DataFrame:
    """How many times more neurons two tasks select in common than independent selections would.

    Args:
        masks: by task, one bool [sites, width] for each seed.
        varying: likewise, which neurons vary at all; independent selections choose among those that vary for
            both tasks.

    Returns:
        One row per pair of tasks (both orders; a task with itself across different seeds): a measurement over
        the neurons of a mask (shared / expected by chance, mean over pairs of seeds), with columns row,
        column, share (shared share of the smaller mask) and sd (of the value, for one pair of independent
        masks).

    Raises:
        SkillkitError: a mask holds no neuron, so that none can be shared.
    """
    for task, seeds in masks.items():
        if not all(mask.any() for mask in seeds):
            raise SkillkitError(f"The masks of {task!r} hold no neuron. Use a larger fraction.")
    rows = []
    for first, seeds in masks.items():
        for second, others in masks.items():
            together = [
                shared_neurons(
                    seeds[i], others[j], among=varying[first][i] & varying[second][j] if varying else None
                ).iloc[-1]
                for i, j in _seed_pairs(first, second, len(seeds), len(others))
            ]
            if not together:
                continue
            share, expected, sd = (
                float(np.mean([each[name] for each in together])) for name in ("value", "expected", "sd")
            )
            measured = without_interval(share / expected, together[0]["first"], "neurons")
            more = {"row": first, "column": second, "share": share, "sd": sd / expected}
            rows.append(measured.row("shared_skill_neurons_times_chance", **more))
    empty = without_interval(np.nan, 0, "neurons").row("", row="", column="", share=np.nan, sd=np.nan)
    return pd.DataFrame(rows, columns=list(empty))


@check_arguments
def overlap_beyond_chance(overlaps: pd.DataFrame) -> Measurement:
    """Mean multiple of chance over pairs of different tasks, minus 1.

    Its interval is the value minus the range of independent selections. Their overlaps are uncorrelated, so
    the spread of the mean follows from their own. Seeds are not counted as further pairs: selections of one
    task for two seeds are not independent.

    Args:
        overlaps: what `overlap_of_tasks` returned.

    Raises:
        SkillkitError: there is no pair of different tasks.
    """
    pairs = overlaps[overlaps["row"] < overlaps["column"]]
    if pairs.empty:
        raise SkillkitError("There is no pair of different tasks. Give at least two tasks.")
    value = float(pairs["value"].mean()) - 1
    reach = 1.96 * float(np.sqrt((pairs["sd"] ** 2).sum())) / len(pairs)
    interval = "range of independent selections"
    return Measurement(value, len(pairs), "pairs", value - reach, value + reach, interval)


def _seed_pairs(first: str, second: str, seeds: int, others: int) -> list[tuple[int, int]]:
    """Which seeds of two tasks are compared.

    Never the same one where there are several, because its prompts start from the same rows.
    """
    if first == second:
        return [(i, j) for i in range(seeds) for j in range(i + 1, seeds)]
    alone = min(seeds, others) == 1
    return [(i, j) for i in range(seeds) for j in range(others) if alone or i != j]


def _standard_ranks(scores: Tensor) -> Tensor:
    """Ranks per site, centred and of length 1, so that their product is Spearman's correlation."""
    ranks = torch.from_numpy(stats.rankdata(scores.double().numpy(), axis=1))
    centred = ranks - ranks.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True)
