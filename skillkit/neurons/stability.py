"""Do two rankings of the same neurons agree? Across halves of the data, seeds, splits and tasks.

Two numbers compare rankings: Spearman's rank correlation over all neurons of a site, and how many neurons two
selections of the same size share, against the hypergeometric distribution that independent selections would follow.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from skillkit.errors import SkillkitError
from skillkit.models.backbones import FFNSite
from skillkit.neurons.scores import NeuronScores, skill_neurons
from skillkit.stats.type_effect import TypeEffect, type_effect


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman correlation of two scores over the neurons of each site: two [sites, width] to [sites].

    NaN where a site's scores are constant or missing.

    Raises:
        SkillkitError: the shapes differ.
    """
    _same_shape(first, second)
    ranks = [
        torch.from_numpy(stats.rankdata(x.double().numpy(), axis=1, nan_policy="propagate"))
        for x in (first, second)
    ]
    a, b = (r - r.mean(1, keepdim=True) for r in ranks)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).float()


def shared_neurons(
    first: Tensor, second: Tensor, confidence: float = 0.95, *, among: Tensor | None = None
) -> pd.DataFrame:
    """How many neurons two masks [sites, width] share in each site, one row per site and a last one (site -1) over all sites.

    ``among`` [sites, width] marks the neurons that chance can choose from (all if None). A neuron that never fires predicts nothing
    and is in no top list, so lists of the others share more by chance than the width of the site suggests.

    Columns: site, first and second (neurons in each mask), shared, and as shares of the smaller mask: value,
    expected, low, high (the range that independent masks of these sizes stay in), p (probability of at least as many
    shared neurons if independent).
    """
    _same_shape(first, second)
    rows, together = [], np.ones(1)
    for site in range(len(first)):
        sizes, width = (int(first[site].sum()), int(second[site].sum())), first.shape[1]
        if among is not None:
            width = int((among[site] | first[site] | second[site]).sum())
        pmf = stats.hypergeom.pmf(np.arange(min(sizes) + 1), width, *sizes)
        rows.append(_shared_row(site, sizes, int((first[site] & second[site]).sum()), pmf, confidence))
        together = np.convolve(together, pmf)
    sizes = (int(first.sum()), int(second.sum()))
    rows.append(_shared_row(-1, sizes, int((first & second).sum()), together, confidence))
    return pd.DataFrame(rows)


def _shared_row(
    site: int, sizes: tuple[int, int], shared: int, pmf: np.ndarray, confidence: float
) -> dict[str, float]:
    """``pmf`` [possible counts]: distribution of the shared count under independence."""
    counts, most = np.arange(len(pmf)), max(1, len(pmf) - 1)
    tail, cumulated = (1 - confidence) / 2, np.cumsum(pmf)
    low, high = np.searchsorted(cumulated, [tail, 1 - tail])
    return {
        "site": site,
        "first": sizes[0],
        "second": sizes[1],
        "shared": shared,
        "value": shared / most,
        "expected": float(counts @ pmf) / most,
        "sd": float(np.sqrt(counts**2 @ pmf - (counts @ pmf) ** 2)) / most,
        "low": low / most,
        "high": min(high, len(pmf) - 1) / most,
        "p": min(1.0, float(pmf[shared:].sum())),
    }


def top_overlap(
    first: Tensor,
    second: Tensor,
    fractions: Iterable[float],
    sites: Sequence[FFNSite] | None = None,
    *,
    among: Tensor | None = None,
) -> pd.DataFrame:
    """``shared_neurons`` of the top neurons of two rankings [sites, width], for each fraction; with a column fraction.

    Given ``sites``, the rows of single sites, with columns stack and layer (for ``charts.overlap_by_site``); else
    the row over all sites (for ``charts.overlap_curve``).
    """
    parts = []
    for fraction in fractions:
        masks = skill_neurons(first, fraction), skill_neurons(second, fraction)
        table = shared_neurons(*masks, among=among).assign(fraction=fraction)
        parts.append(table[table["site"] >= 0] if sites is not None else table[table["site"] < 0])
    frame = pd.concat(parts, ignore_index=True)
    if sites is None:
        return frame.drop(columns="site")
    return frame.assign(
        stack=[sites[i].stack for i in frame["site"]], layer=[sites[i].layer for i in frame["site"]]
    )


def held_out(selection: NeuronScores, report: NeuronScores) -> Tensor:
    """Each neuron's accuracy on one split, at the position and in the direction that were best on another, [sites,
    width].

    Unlike predictivity, which takes the best position anew, nothing is chosen on the reported split: 0.5 is what a
    useless neuron has on balanced labels, and values below it occur. Mean over prompts.
    """
    first, second = (s.accuracy if s.accuracy.ndim == 4 else s.accuracy[None] for s in (selection, report))
    if first.shape != second.shape:
        raise SkillkitError(
            f"The scores are of different prompts or models: {list(first.shape)} and {list(second.shape)}."
        )
    best = torch.nan_to_num(torch.maximum(first, 1 - first), nan=-1.0).argmax(2, keepdim=True)
    chosen, there = first.gather(2, best), second.gather(2, best)
    return torch.where(chosen >= 0.5, there, 1 - there).squeeze(2).mean(0)


def selection_bias(selection: NeuronScores, report: NeuronScores, fraction: float = 0.05) -> pd.DataFrame:
    """How much better the top neurons look on the split they were chosen on, one row per site.

    Columns: site, neurons, selection (their mean predictivity there), report (mean predictivity on the other split),
    held_out (mean of ``held_out``), bias = selection - report, full_bias = selection - held_out.
    """
    mask, fixed = skill_neurons(selection.predictivity, fraction), held_out(selection, report)
    rows = []
    for site, chosen in enumerate(mask):
        if not chosen.any():
            raise SkillkitError(
                f"The top {fraction:.2%} of a site of {len(chosen)} neurons is no neuron. Use a larger fraction."
            )
        values = [
            t[site][chosen].double().mean().item()
            for t in (selection.predictivity, report.predictivity, fixed)
        ]
        rows.append(
            {
                "site": site,
                "neurons": int(chosen.sum()),
                **dict(zip(("selection", "report", "held_out"), values, strict=True)),
            }
        )
    frame = pd.DataFrame(rows)
    return frame.assign(
        bias=frame["selection"] - frame["report"], full_bias=frame["selection"] - frame["held_out"]
    )


def overlap_of_tasks(
    masks: Mapping[str, Sequence[Tensor]], varying: Mapping[str, Sequence[Tensor]] | None = None
) -> pd.DataFrame:
    """How many times more neurons two tasks select in common than independent selections would.

    Prompts of one seed start from the same rows, so different tasks are compared across seeds, if there are several.

    Args:
        masks: by task, one bool [sites, width] for each seed.
        varying: likewise, which neurons vary at all; independent selections choose among those that vary for both tasks.

    Returns:
        One row per pair of tasks (both orders; a task with itself across different seeds): row, column, value
        (shared / expected by chance, mean over pairs of seeds), share (shared share of the smaller mask), sd (of the
        value, for one pair of independent masks), n (neurons in a mask).
    """
    rows = []
    for first, seeds in masks.items():
        for second, others in masks.items():
            together = [
                shared_neurons(
                    seeds[i], others[j], among=varying[first][i] & varying[second][j] if varying else None
                ).iloc[-1]
                for i, j in _seed_pairs(first, second, len(seeds), len(others))
            ]
            if together and not together[0]["first"]:
                raise SkillkitError(f"The masks of {first!r} hold no neuron. Use a larger fraction.")
            if together:
                share, expected, sd = (
                    float(np.mean([each[name] for each in together])) for name in ("value", "expected", "sd")
                )
                ratio = share / expected if expected else np.nan
                rows.append(
                    {
                        "row": first,
                        "column": second,
                        "value": ratio,
                        "share": share,
                        "sd": sd / expected,
                        "n": int(together[0]["first"]),
                    }
                )
    return pd.DataFrame(rows, columns=["row", "column", "value", "share", "sd", "n"])


def overlap_beyond_chance(overlaps: pd.DataFrame) -> dict[str, float]:
    """Mean multiple of chance over pairs of different tasks, minus 1, with the range that independent selections
    have, for ``claims.claim``.

    Overlaps of independent selections are uncorrelated, so the spread of their mean follows from their own. Seeds
    are not counted as further pairs: selections of one task for two seeds are not independent.
    """
    pairs = overlaps[overlaps["row"] < overlaps["column"]]
    if pairs.empty:
        raise SkillkitError("There is no pair of different tasks. Give at least two tasks.")
    value = float(pairs["value"].mean()) - 1
    reach = 1.96 * float(np.sqrt((pairs["sd"] ** 2).sum())) / len(pairs)
    return {"value": value, "low": value - reach, "high": value + reach, "n": len(pairs)}


def specificity(predictivities: Mapping[str, Sequence[Tensor]], sites: Sequence[FFNSite]) -> pd.DataFrame:
    """Do similar tasks rank neurons alike? Spearman correlations between the predictivities of tasks (Wang et al.
    2022, task specificity).

    Args:
        predictivities: by task, one [sites, width] for each seed.
        sites: of the backbone.

    Returns:
        One row per pair of tasks (both orders) and site: row, column, stack, layer, value (mean over pairs of different seeds, or of
        the only one), pairs. A task with itself (NaN with one seed) is what two prompts for the same task reach: the ceiling that
        any pair of tasks must be compared with.
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
                rows.append(
                    {
                        "row": first,
                        "column": second,
                        "stack": site.stack,
                        "layer": site.layer,
                        "value": value,
                        "pairs": len(pairs),
                    }
                )
    return pd.DataFrame(rows)


def _seed_pairs(first: str, second: str, seeds: int, others: int) -> list[tuple[int, int]]:
    """Which seeds of two tasks are compared. Never the same one where there are several: its prompts start from the same rows."""
    if first == second:
        return [(i, j) for i in range(seeds) for j in range(i + 1, seeds)]
    alone = min(seeds, others) == 1
    return [(i, j) for i in range(seeds) for j in range(others) if alone or i != j]


def by_pair(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """``specificity`` averaged over sites, as a square table with the tasks in the given order."""
    mean = table.groupby(["row", "column"])["value"].mean().unstack()
    return mean.reindex(index=list(tasks), columns=list(tasks))


def _standard_ranks(scores: Tensor) -> Tensor:
    """Ranks per site, centred and of length 1, so that their product is Spearman's correlation."""
    ranks = torch.from_numpy(stats.rankdata(scores.double().numpy(), axis=1))
    centred = ranks - ranks.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True)


def _same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.ndim != 2:
        raise SkillkitError(
            f"Two [sites, width] of one model are compared, not {list(first.shape)} and {list(second.shape)}."
        )


def type_difference(
    similarity: np.ndarray, types: Sequence[str], *, permutations: int = 10_000, seed: int = 0
) -> TypeEffect:
    """Are tasks of one type more alike than tasks of different types? (`stats.type_effect`, without its interval.)

    Args:
        similarity: [tasks, tasks], symmetric; the diagonal is ignored.
        types: of each task.
        permutations: of the types, where there are too many tasks to count all.
        seed: of the permutations.

    Raises:
        SkillkitError: no two tasks share a type, or all do.
    """
    effect = type_effect(similarity, types, permutations=permutations, resamples=0, seed=seed)
    if not effect.defined:
        raise SkillkitError(
            f"Types {sorted(set(types))} of {len(types)} tasks allow no comparison inside against across. "
            "Use more tasks."
        )
    return effect
