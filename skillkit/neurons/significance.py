"""Is a neuron's predictivity better than luck? Permutation nulls for the most predictive of many neurons.

Predictivity is a maximum over positions, and a skill neuron is chosen among thousands: even on labels that
say nothing, the best neuron looks good. So labels are permuted, and every neuron is scored again on each
permutation. That needs no further pass over the model: scoring leaves one bit per example, site, position and
neuron (activation above the baseline), and the permuted accuracies of a position are one matrix product,
signs [permutations, examples] times bits [examples, width].
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import false_discovery_control
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import EncodedTask
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import NeuronScores, score_neurons
from skillkit.neurons.thresholds import Baseline


class ThresholdBits:
    """What scoring saw: activation > baseline for every example, packed to one bit each.

    Memory: examples · prompts · sites · positions · width / 8 bytes (80 KB an example for roberta-base with
    16 prompt rows). Fill it by handing `watcher` to `score_neurons`, once.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.sites = len(backbone.sites)
        self.width = backbone.width
        self.device = backbone.device
        self._first: tuple[int, int] | None = None
        self._parts: dict[tuple[int, int], list[np.ndarray]] = {}
        self._rows: list[Tensor] = []
        self._labels: list[Tensor] = []

    def watcher(self, prompt: int, site: int, bits: Tensor, current: Pass) -> None:
        """Keep a batch's bits [examples, positions present, width]."""
        self._first = self._first or (prompt, site)
        if (prompt, site) == self._first:
            self._rows.append(current.batch.rows)
            self._labels.append(current.batch.labels.cpu())
        # Positions first, so that one position of all examples is contiguous after concatenation.
        packed = np.packbits(bits.cpu().numpy(), axis=-1).swapaxes(0, 1)
        self._parts.setdefault((prompt, site), []).append(packed)

    @property
    def prompts(self) -> int:
        """How many prompts were scored."""
        return 1 + max(prompt for prompt, _ in self._parts)

    @property
    def labels(self) -> Tensor:
        """Labels [examples] in the order of the packed bits (batches go by text length)."""
        return torch.cat(self._labels)

    @property
    def rows(self) -> Tensor:
        """Each packed example's place in the data set, [examples]."""
        return torch.cat(self._rows)

    def positions(self, prompt: int, site: int) -> Iterator[Tensor]:
        """Bits of each position that the site has, [examples, width] as float32 on the backbone's device."""
        if (prompt, site) not in self._parts:
            return
        if len(self._parts[prompt, site]) > 1:
            self._parts[prompt, site] = [np.concatenate(self._parts[prompt, site], axis=1)]
        for packed in self._parts[prompt, site][0]:
            yield torch.from_numpy(np.unpackbits(packed, axis=-1, count=self.width)).to(self.device).float()

    def predictivity(self, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Predictivity under other labels or weights of the examples.

        Args:
            labels: [draws, examples] of 0 and 1, in the order of `self.labels`.
            weights: [draws, examples], how often each example counts (a bootstrap's draws, or 1 for one half
                of the data); None: once.

        Returns:
            [sites, draws, width] on the CPU; NaN for a site without positions.
        """
        return torch.stack([scores.cpu() for scores in self._by_site(labels, weights)])

    def _by_site(self, labels: Tensor, weights: Tensor | None = None) -> Iterator[Tensor]:
        """Predictivity site by site, [draws, width] each."""
        signs = 2.0 * labels.float() - 1
        if weights is not None:
            signs = signs * weights
        total = labels.shape[1] if weights is None else weights.sum(1, keepdim=True)
        # correct - total / 2 = signs · bits + (examples with y = 0) - total / 2,
        # and the last two are together - signs.sum() / 2.
        centre = (signs.sum(1, keepdim=True) / 2).to(self.device)
        signs = signs.to(self.device)
        base = _pairing_base(signs)
        for site in range(self.sites):
            margin = torch.zeros(len(signs), self.width, device=self.device)
            for prompt in range(self.prompts):
                margin += _largest_margin(signs, self.positions(prompt, site), centre, base)
            yield 0.5 + margin / (self.prompts * torch.as_tensor(total, device=self.device))


def _pairing_base(signs: Tensor) -> float | None:
    """A power of two so large that two sums fit into one float32 as low + base * high; None if they do not.

    Float32 holds whole numbers up to 2**24, and the sums lie between -reach and reach: pairs fit up to 2,047
    examples, and none where weights are no whole numbers. Two positions for one product save a third of the
    time on a CPU; a GPU may round products to fewer digits and does not need it.
    """
    reach = max(1.0, signs.abs().sum(1).max().item())
    base = 2.0 ** math.floor(math.log2(2 * reach) + 1)
    whole = bool((signs == signs.round()).all())
    return base if signs.device.type == "cpu" and whole and reach * (1 + base) < 2**24 else None


def _largest_margin(
    signs: Tensor, positions: Iterator[Tensor], centre: Tensor, base: float | None
) -> Tensor | float:
    """max over positions of abs(signs · bits - centre), [draws, width]; NaN for no position.

    `signs` [draws, examples], each of the `positions` [examples, width], `centre` [draws, 1].
    """
    largest: Tensor | float = torch.nan

    def keep(sums: Tensor) -> None:
        nonlocal largest
        sums.sub_(centre).abs_()
        largest = sums if isinstance(largest, float) else torch.maximum(largest, sums, out=largest)

    for bits in positions:
        other = None if base is None else next(positions, None)
        if base is None or other is None:
            keep(signs @ bits)
            continue
        low = signs @ torch.add(bits, other, alpha=base)
        high = (low / base).round_()
        keep(low.sub_(high, alpha=base))
        keep(high)
    return largest


@dataclass(frozen=True)
class Null:
    """Predictivity against its permutation null.

    Both p-values count the observed labels as one of the permutations, so the smallest is 1 / (permutations +
    1).

    Attributes:
        p: the share of permutations that give a neuron at least its observed predictivity, [sites, width].
        p_site: the share in which the *best* neuron of its site does, [sites, width]: family-wise over the
            site.
        maxima: predictivity of each site's best neuron, [permutations, sites].
    """

    p: Tensor
    p_site: Tensor
    maxima: Tensor

    @property
    def permutations(self) -> int:
        """How many permutations were drawn."""
        return len(self.maxima)

    def threshold(self, level: float = 0.05) -> Tensor:
        """Predictivity that a site's best neuron exceeds in at most that share of permutations, [sites]."""
        return torch.quantile(self.maxima.double(), 1 - level, dim=0, interpolation="higher").float()

    def adjusted(self) -> Tensor:
        """Benjamini-Hochberg adjusted p-values over all neurons of all sites, [sites, width].

        Calling neurons with an adjusted p of at most q skilled keeps the expected share of false calls at q
        or below. Their smallest possible value is neurons / (permutations + 1) / (neurons at the smallest p):
        few skilled neurons need many permutations.
        """
        adjusted = torch.ones_like(self.p, dtype=torch.float64)
        present = ~torch.isnan(self.p)
        adjusted[present] = torch.from_numpy(
            false_discovery_control(self.p[present].double().numpy(), method="bh")
        )
        return adjusted

    def discoveries(self, rate: float = 0.05) -> Tensor:
        """Neurons called skilled at that false-discovery rate, bool [sites, width]."""
        return self.adjusted() <= rate


@check_arguments
def permutation_null(bits: ThresholdBits, *, permutations: Size = 1000, seed: Seed = 0) -> Null:
    """Score every neuron on permuted labels.

    The same permutations serve all neurons, positions and prompts, so their dependence is kept. Counts are
    whole numbers, so a tie with the observed value is seen as one and counts against the neuron.

    Raises:
        SkillkitError: fewer than one permutation, or no scored example.
    """
    if permutations < 1:
        raise SkillkitError(
            f"permutations={permutations} gives no null. "
            "Use at least 20 for a p-value below 0.05; 1000 is usual."
        )
    labels = bits.labels
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(len(labels)), (permutations, 1)), axis=1)
    drawn = torch.cat([labels[None], labels[torch.from_numpy(order)]])  # row 0: as observed
    p, p_site, maxima = [], [], []
    for scores in bits._by_site(drawn):
        observed, null = scores[0], scores[1:]
        highest = null.amax(1)
        as_large = (null >= observed).sum(0)
        p.append(_p_value(as_large, permutations, observed))
        above = len(highest) - torch.searchsorted(highest.sort().values, observed)
        p_site.append(_p_value(above, permutations, observed))
        maxima.append(highest.cpu())
    return Null(torch.stack(p), torch.stack(p_site), torch.stack(maxima, 1))


def _p_value(as_large: Tensor, permutations: int, observed: Tensor) -> Tensor:
    return ((1.0 + as_large) / (1.0 + permutations)).masked_fill(torch.isnan(observed), torch.nan).cpu()


@check_arguments
def score_with_null(
    backbone: Backbone,
    prompt: SoftPrompt | Sequence[SoftPrompt] | None,
    task_data: TaskData | EncodedTask,
    *,
    split: str = "validation",
    permutations: Size = 1000,
    seed: Seed = 0,
    batch_size: Size = 32,
    baseline: Baseline | Sequence[Baseline] | None = None,
) -> tuple[NeuronScores, Null, ThresholdBits]:
    """`score_neurons`, with the null and the bits it is computed from, in the same pass over the model."""
    bits = ThresholdBits(backbone)
    scores = score_neurons(
        backbone,
        prompt,
        task_data,
        split=split,
        batch_size=batch_size,
        baseline=baseline,
        watcher=bits.watcher,
    )
    return scores, permutation_null(bits, permutations=permutations, seed=seed), bits
