"""Do two rankings of the same neurons agree? Across halves of the data, seeds and splits.

Two numbers compare rankings: Spearman's rank correlation over all neurons of a site, and how many neurons two
selections of the same size share, against the hypergeometric distribution that independent selections would
follow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from skillkit.checks import Level, Share, check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.backbones import FFNSite
from skillkit.neurons.scores import NeuronScores, best_positions, skill_neurons
from skillkit.stats.measurement import Measurement, without_interval


@check_arguments
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


@check_arguments
def shared_neurons(
    first: Tensor, second: Tensor, confidence: Level = 0.95, *, among: Tensor | None = None
) -> pd.DataFrame:
    """How many neurons two masks share, in each site and over all sites.

    Args:
        first: bool [sites, width].
        second: bool [sites, width].
        confidence: how often independent masks stay between chance_low and chance_high.
        among: bool [sites, width], the neurons that chance can choose from; None: all. A neuron that never
            fires predicts nothing and is in no top list, so lists of the others share more by chance than the
            width of the site suggests.

    Returns:
        One row per site and a last one (site -1) over all of them. Columns: site, first and second (neurons
        in each mask), n (the first), unit, shared, p (the probability of at least as many shared neurons if
        the masks were independent); and as shares of the smaller mask: value, expected, sd, chance_low and
        chance_high (the range that independent masks of these sizes stay in).
    """
    _same_shape(first, second)
    if any(mask.dtype != torch.bool for mask in (first, second, *([] if among is None else [among]))):
        raise SkillkitError("Shared neurons are counted in bool masks; got numbers. Use skill_neurons first.")
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
    """One row of `shared_neurons`; `pmf` [possible counts] is the chance of each shared count."""
    counts, most = np.arange(len(pmf)), max(1, len(pmf) - 1)
    tail, cumulated = (1 - confidence) / 2, np.cumsum(pmf)
    low, high = np.searchsorted(cumulated, [tail, 1 - tail])
    return {
        "site": site,
        "first": sizes[0],
        "second": sizes[1],
        "n": sizes[0],
        "unit": "neurons",
        "shared": shared,
        "value": shared / most,
        "expected": float(counts @ pmf) / most,
        "sd": float(np.sqrt(counts**2 @ pmf - (counts @ pmf) ** 2)) / most,
        "chance_low": low / most,
        "chance_high": min(high, len(pmf) - 1) / most,
        "p": min(1.0, float(pmf[shared:].sum())),
    }


@check_arguments
def top_overlap(
    first: Tensor,
    second: Tensor,
    fractions: Iterable[float],
    sites: Sequence[FFNSite] | None = None,
    *,
    among: Tensor | None = None,
) -> pd.DataFrame:
    """`shared_neurons` of the top neurons of two rankings, for each fraction.

    Args:
        first: scores [sites, width].
        second: scores [sites, width].
        fractions: of the width of each site.
        sites: given these, the rows of single sites are returned, with columns stack and layer (for
            `charts.overlap_by_site`); else the row over all sites (for `charts.overlap_curve`).
        among: as in `shared_neurons`.

    Returns:
        The rows of `shared_neurons`, with a column fraction.
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


@check_arguments
def held_out(selection: NeuronScores, report: NeuronScores) -> Tensor:
    """Each neuron's accuracy on one split, at the position and in the direction that were best on another.

    Unlike predictivity, which takes the best position anew, nothing is chosen on the reported split: 0.5 is
    what a useless neuron has on balanced labels, and values below it occur.

    Args:
        selection: the scores on the split that position and direction are chosen on.
        report: the scores of the same prompts on the split that is reported.

    Returns:
        Accuracies [sites, width], the mean over prompts.

    Raises:
        SkillkitError: the scores are of different prompts or models.
    """
    first, second = (s.accuracy if s.accuracy.ndim == 4 else s.accuracy[None] for s in (selection, report))
    if first.shape != second.shape:
        raise SkillkitError(
            f"The scores are of different prompts or models: {list(first.shape)} and {list(second.shape)}."
        )
    best = best_positions(first).unsqueeze(2)
    chosen, there = first.gather(2, best), second.gather(2, best)
    return torch.where(chosen >= 0.5, there, 1 - there).squeeze(2).mean(0)


@check_arguments
def selection_bias(selection: NeuronScores, report: NeuronScores, fraction: Share = 0.05) -> pd.DataFrame:
    """How much better the top neurons look on the split they were chosen on.

    Args:
        selection: the scores on the split that the neurons are chosen on.
        report: the scores on another split.
        fraction: the share of each site that is chosen.

    Returns:
        One row per site. Columns: site, neurons, selection (their mean predictivity there), report (their
        mean predictivity on the other split), held_out (the mean of `held_out`), bias = selection - report,
        and full_bias = selection - held_out.

    Raises:
        SkillkitError: the fraction is less than one neuron of a site.
    """
    mask, fixed = skill_neurons(selection.predictivity, fraction), held_out(selection, report)
    compared = {"selection": selection.predictivity, "report": report.predictivity, "held_out": fixed}
    rows = []
    for site, chosen in enumerate(mask):
        if not chosen.any():
            raise SkillkitError(
                f"The top {fraction:.2%} of a site of {len(chosen)} neurons is no neuron. "
                "Use a larger fraction."
            )
        means = {name: values[site][chosen].double().mean().item() for name, values in compared.items()}
        rows.append({"site": site, "neurons": int(chosen.sum()), **means})
    frame = pd.DataFrame(rows)
    return frame.assign(
        bias=frame["selection"] - frame["report"], full_bias=frame["selection"] - frame["held_out"]
    )


@check_arguments
def bias_by_split(on: Mapping[str, NeuronScores], report: str = "test") -> pd.DataFrame:
    """`selection_bias` averaged over sites, for neurons chosen on each of several splits.

    Args:
        on: by split, the scores of one prompt.
        report: the split that all are reported on.

    Returns:
        Measurements (full_bias, over sites) with columns split, selection, report and held_out.
    """
    rows = []
    for split, scores in on.items():
        if split == report:
            continue
        table = selection_bias(scores, on[report])
        means = table[["selection", "report", "held_out", "full_bias"]].mean()
        measured = without_interval(means.pop("full_bias"), len(table), "sites")
        rows.append(measured.row("selection_bias", split=split, **means))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class SeedAgreement:
    """Two prompts' rankings of the same neurons, from texts of different splits.

    On the same texts, chance would favour the same neurons twice, and two prompts that know nothing would
    seem to agree. So one prompt is scored on the validation texts and the other on the test texts; what can
    be expected at best is the agreement of one prompt with itself, measured likewise.

    Attributes:
        across: rank correlation of the two prompts, the mean of both ways round, [sites].
        itself: rank correlation of each prompt with itself, the mean of both, [sites].
        shared: `top_overlap` of the first prompt on validation and the second on test.
        scores: predictivity of all neurons, columns x (the first on validation) and y (the second on test).
    """

    across: Tensor
    itself: Tensor
    shared: pd.DataFrame
    scores: pd.DataFrame

    def by_site(self, sites: Sequence[FFNSite]) -> pd.DataFrame:
        """Rank correlations as measurements over the neurons of each site, with columns stack and layer."""
        rows = []
        width = len(self.scores) // len(sites)
        metrics = {"seed_rank_correlation": self.across, "own_rank_correlation": self.itself}
        for metric, values in metrics.items():
            for site, value in zip(sites, values.tolist(), strict=True):
                measured = without_interval(value, width, "neurons")
                rows.append(measured.row(metric, stack=site.stack, layer=site.layer))
        return pd.DataFrame(rows)

    def beyond_chance(self, fraction: float) -> Measurement:
        """The shared share of the top neurons minus what independent selections share.

        Its interval is the share minus their range.
        """
        found = self.shared[self.shared["fraction"] == fraction].iloc[0]
        value, low, high = (
            float(found["value"] - found[name]) for name in ("expected", "chance_high", "chance_low")
        )
        return Measurement(value, int(found["n"]), "neurons", low, high, "range of independent selections")


@check_arguments
def compare_seeds(
    chosen: Sequence[NeuronScores], tested: Sequence[NeuronScores], fractions: Iterable[float]
) -> SeedAgreement:
    """Do two prompts find the same neurons?

    Args:
        chosen: the scores of two prompts on one split.
        tested: the scores of the same prompts on another split.
        fractions: shares of each site that are compared as top neurons.
    """
    first, second = (scores.predictivity for scores in chosen)
    first_again, second_again = (scores.predictivity for scores in tested)
    varying = chosen[0].varying & chosen[1].varying
    return SeedAgreement(
        across=(rank_correlation(first, second_again) + rank_correlation(second, first_again)) / 2,
        itself=(rank_correlation(first, first_again) + rank_correlation(second, second_again)) / 2,
        shared=top_overlap(first, second_again, fractions, among=varying),
        scores=pd.DataFrame({"x": first.flatten().numpy(), "y": second_again.flatten().numpy()}),
    )


def _same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.ndim != 2:
        raise SkillkitError(
            f"Two [sites, width] of one model are compared, not {list(first.shape)} and {list(second.shape)}."
        )
