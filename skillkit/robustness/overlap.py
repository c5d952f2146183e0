"""Are the clean top neurons top neurons under attack, too? And what the released code compares instead."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Seed, Shares, Size, check_arguments
from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import NeuronScores, count_of, score_neurons, skill_neurons
from skillkit.neurons.significance import ThresholdBits
from skillkit.neurons.stability import top_overlap
from skillkit.neurons.subtasks import subtask_baselines, subtask_predictivities
from skillkit.robustness.pairs import Pairs
from skillkit.robustness.scores_under_attack import AttackedScores
from skillkit.stats.measurement import Measurement, without_interval


@check_arguments
def compare_top_neurons(
    scores: Sequence[AttackedScores], fractions: Shares, sites: Sequence[FFNSite] | None = None
) -> pd.DataFrame:
    """How many clean top neurons are top neurons on the pairs, too, by predictivities averaged over prompts.

    Chance chooses among the neurons that vary on clean text for every prompt.

    Returns:
        The rows of `stability.top_overlap`, with metric ("top_overlap") and text ("clean originals" or
        "adversarial").
    """
    varying = torch.stack([each.selection.varying for each in scores]).all(0)
    clean = mean_predictivity(scores, "selection")
    parts = [
        top_overlap(clean, mean_predictivity(scores, name), fractions, sites, among=varying).assign(text=text)
        for name, text in (("originals", "clean originals"), ("attacked", "adversarial"))
    ]
    return pd.concat(parts, ignore_index=True).assign(metric="top_overlap")


@check_arguments
def mean_predictivity(scores: Sequence[AttackedScores], name: str) -> Tensor:
    """Predictivity on some texts ("selection", "originals"…), averaged over prompts, [sites, width]."""
    return torch.stack([getattr(each, name).predictivity for each in scores]).mean(0)


@check_arguments
def beyond_chance(row: Mapping[str, Any]) -> Measurement:
    """The shared share of the top neurons minus what independent selections share, from a row of overlaps.

    Its interval is the share minus their range.
    """
    value, low, high = (float(row["value"] - row[c]) for c in ("expected", "chance_high", "chance_low"))
    return Measurement(value, int(row["first"]), "neurons", low, high, "range of independent selections")


@check_arguments
def released_overlap(
    first: Tensor, second: Tensor, fractions: Shares, sites: Sequence[FFNSite] | None = None
) -> pd.DataFrame:
    """The overlap as the released code of Ackermann & Ohmer computes it, to show its error.

    It sorts each layer's neurons by *ascending* predictivity and then turns round the order of the layers
    instead of that of the neurons: what it compares are the least predictive neurons, listed under the wrong
    layer. The columns are those of `stability.top_overlap`.
    """
    # By -predictivity the "top" neurons are the lowest; flipping the sites lists them under wrong layers.
    frame = top_overlap(-first.flip(0), -second.flip(0), fractions, sites)
    return frame.assign(ranking="ascending (released code)")


@check_arguments
def both_overlaps(
    first: Tensor, second: Tensor, fractions: Shares, sites: Sequence[FFNSite] | None = None
) -> pd.DataFrame:
    """`top_overlap` and `released_overlap` below each other, told apart by the column `ranking`."""
    right = top_overlap(first, second, fractions, sites).assign(ranking="descending")
    return pd.concat([right, released_overlap(first, second, fractions, sites)], ignore_index=True)


@check_arguments
def permuted_overlap(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    selection: NeuronScores,
    fractions: Shares,
    *,
    permutations: Size = 200,
    seed: Seed = 0,
    batch_size: Size = 32,
) -> pd.DataFrame:
    """Overlap of the clean top neurons with the adversarial ones, against shuffled adversarial labels.

    The hypergeometric expectation takes two independent lists. But predictivity is a maximum over positions,
    so neurons that vary much from position to position score high on any labels, in both lists; shuffled
    labels keep that. Labels are shuffled among the originals, and all attacks on one original get the same
    one. Two-class tasks, or the first subtask of others.

    Returns:
        The columns of a measurement, metric ("permuted_overlap"), stack, layer, fraction, expected (mean over
        the permutations), chance_low and chance_high (95 % of them), and p.
    """
    numbered = pairs.adversarial.add_column("original", pairs.groups.tolist())  # type: ignore[call-arg]
    task_data = first_subtask(pairs.as_task(numbered))
    bits, clean = ThresholdBits(backbone), subtask_baselines(selection)[0]
    found = score_neurons(
        backbone, prompt, task_data, split="test", baseline=clean, batch_size=batch_size, watcher=bits.watcher
    ).predictivity
    originals = np.asarray(task_data.test["original"])[bits.rows.numpy()]
    shuffled = shuffle_by_original(bits.labels.numpy(), originals, permutations, seed)
    null = bits.predictivity(torch.from_numpy(shuffled))  # [sites, permutations, width]
    first = subtask_predictivities(selection)[0]
    rows = []
    for fraction in fractions:
        count = count_of(fraction, first.shape[1])
        if count == 0:
            continue
        chosen = skill_neurons(first, fraction)
        shared = (chosen & skill_neurons(found, fraction)).sum(1).numpy() / count
        drawn = np.stack([(chosen & skill_neurons(each, fraction)).sum(1).numpy() for each in null.unbind(1)])
        for index, site in enumerate(backbone.sites):
            chance = _against(shared[index], drawn[:, index] / count)
            place = {"stack": site.stack, "layer": site.layer, "fraction": fraction}
            row = without_interval(shared[index], count, "neurons").row("permuted_overlap", **place, **chance)
            rows.append(row)
    return pd.DataFrame(rows)


@check_arguments
def shuffle_by_original(
    labels: NDArray[np.int64], originals: NDArray[np.int64], permutations: Size, seed: Seed = 0
) -> NDArray[np.int64]:
    """Labels shuffled among originals, [permutations, examples].

    An original's label is that of its first example (the attacks on one original are meant to keep it).
    """
    _, first, index = np.unique(originals, return_index=True, return_inverse=True)
    order = np.tile(np.arange(len(first)), (permutations, 1))
    order = np.random.default_rng(seed).permuted(order, axis=1)
    return labels[first][order][:, index]


@check_arguments
def first_subtask(task_data: TaskData) -> TaskData:
    """The first two-class question of a task: the task itself, where it has two classes."""
    return next(iter(binary_subtasks(task_data).values()))


def _against(value: float, drawn: NDArray[np.float64]) -> dict[str, float]:
    """Where a value lies among those that chance gave, [permutations]."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = (1 + (drawn >= value).sum()) / (1 + len(drawn))
    return {"expected": drawn.mean(), "chance_low": low, "chance_high": high, "p": p}
