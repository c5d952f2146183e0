"""What the neurons do under attack: do those that predict the label on clean text still do so? (Ackermann &
Ohmer 2024, section 3)

Thresholds (baselines), the choice of neurons, and for each neuron its best position and direction all come
from clean training and validation text. What is then measured on the adversarial examples is compared with
the same neurons on the *clean originals* of these examples: same number, same labels. Without that, a loss
under attack cannot be told from a loss on new, few examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.errors import SkillkitError
from skillkit.models.activations import present_positions, take, watch
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.evaluation import evaluate
from skillkit.models.inputs import Encoded, encode
from skillkit.models.interventions import intervene
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.neurons.scores import (
    NeuronScores,
    count_of,
    matched_neurons,
    random_neurons,
    score_neurons,
    shift_unit,
    skill_neurons,
    within_sites,
)
from skillkit.neurons.significance import ThresholdBits
from skillkit.neurons.stability import held_out, top_overlap
from skillkit.neurons.subtasks import (
    combine_subtasks,
    subtask_baselines,
    subtask_predictivities,
    task_skill_neurons,
)
from skillkit.robustness.pairs import Pairs
from skillkit.stats.intervals import cluster_bootstrap, difference_interval, outcome_interval

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class AttackedScores:
    """One prompt's neuron scores, all by the clean thresholds: on the clean validation split (``selection``),
    on the clean originals of the pairs (``originals``), on the adversarial members of the same pairs
    (``attacked``), and on all adversarial examples (``adversarial``).
    """

    selection: NeuronScores
    originals: NeuronScores
    attacked: NeuronScores
    adversarial: NeuronScores


def score_under_attack(
    backbone: Backbone, prompt: SoftPrompt, pairs: Pairs, selection: NeuronScores, *, batch_size: int = 32
) -> AttackedScores:
    """Score every neuron on the pairs by the thresholds in ``selection``, the clean task's scores (of all its
    subtasks) for this prompt.
    """
    pairs.need()
    texts = {"originals": pairs.clean, "attacked": pairs.attacked, "adversarial": pairs.adversarial}
    scores = {
        name: _score(backbone, prompt, pairs.as_task(texts[name]), selection, batch_size) for name in texts
    }
    return AttackedScores(selection, **scores)


def predictivity_table(scores: AttackedScores, sites: Sequence[FFNSite], fraction: float) -> pd.DataFrame:
    """One row per neuron: stack, layer, neuron, skill (among the clean top ``fraction``), and its
    predictivity as selection, originals, attacked and adversarial; kept_originals and kept_attacked are its
    accuracy at the position and in the direction that were best in selection: below .5 the neuron has
    reversed its meaning, which predictivity cannot show.
    """
    skill = task_skill_neurons(scores.selection, fraction)
    names = ("selection", "originals", "attacked", "adversarial")
    columns = {name: getattr(scores, name).predictivity for name in names}
    columns |= {
        f"kept_{name}": held_out(scores.selection, getattr(scores, name))
        for name in ("originals", "attacked")
    }
    width = skill.shape[1]
    frame = pd.DataFrame(
        {
            "stack": np.repeat([site.stack for site in sites], width),
            "layer": np.repeat([site.layer for site in sites], width),
            "neuron": np.tile(np.arange(width), len(sites)),
            "skill": skill.flatten().numpy(),
        }
    )
    return frame.assign(**{name: values.flatten().numpy() for name, values in columns.items()})


def agreement(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    selection: NeuronScores,
    masks: Mapping[str, Tensor],
    *,
    batch_size: int = 32,
) -> pd.DataFrame:
    """For each pair and text, the share of the chosen neurons whose threshold gives the right label.

    Every neuron keeps the position and direction that were best on clean validation text. Returns one row per
    pair (and subtask), text ("clean" or "adversarial"), neurons (name of the mask) and site: pair, group,
    subtask, stack, layer, value, weight (neurons in the site); feed it to ``agreement_table``.
    """
    pairs.need()
    accuracies = selection.accuracy if selection.accuracy.ndim == 4 else selection.accuracy[None]
    parts = []
    for text, dataset in (("clean", pairs.clean), ("adversarial", pairs.attacked)):
        numbered = pairs.as_task(_numbered(dataset))
        for place, (name, subtask) in enumerate(binary_subtasks(numbered).items()):
            encoded = encode(backbone, subtask.test, subtask.task, layout_of(prompt))
            baseline = subtask_baselines(selection)[place].mean
            shares = _agreeing(backbone, prompt, encoded, baseline, accuracies[place], masks, batch_size)
            numbers = np.asarray(subtask.test["pair"])
            parts += [_agreement_rows(backbone, numbers, masks, shares).assign(text=text, subtask=name)]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(group=pairs.pair_groups[frame["pair"].to_numpy()])


def agreement_table(rows: pd.DataFrame, *, by_site: bool = False, seed: int = 0) -> pd.DataFrame:
    """Mean of ``agreement`` with intervals over originals.

    Columns: neurons, text ("clean", "adversarial", or "drop": the first minus the second, paired), value, n
    (pairs), low, high, and stack and layer with ``by_site``. The weight of a site is its number of chosen
    neurons.
    """
    keys = ["neurons", *(["stack", "layer"] if by_site else [])]
    found = []
    for names, part in rows.groupby(keys, sort=False):
        part = part.assign(total=part["value"] * part["weight"])
        summed = part.groupby(["text", "pair", "group"])[["total", "weight"]].sum().reset_index()
        wide = summed.pivot(index=["pair", "group"], columns="text", values="total")
        weight = summed.pivot(index=["pair", "group"], columns="text", values="weight")["clean"].to_numpy()
        groups = wide.index.get_level_values("group").to_numpy()
        clean, adversarial = wide["clean"].to_numpy(), wide["adversarial"].to_numpy()
        for text, values in (("clean", clean), ("adversarial", adversarial), ("drop", clean - adversarial)):
            low, high = cluster_bootstrap(values, groups, weight, seed=seed)
            value = values.sum() / weight.sum()
            row = {
                "text": text,
                "value": value,
                "n": wide.index.get_level_values("pair").nunique(),
                "low": low,
                "high": high,
            }
            found.append({**dict(zip(keys, names, strict=True)), **row})
    return pd.DataFrame(found)


def released_overlap(
    first: Tensor, second: Tensor, fractions: Sequence[float], sites: Sequence[FFNSite]
) -> pd.DataFrame:
    """The overlap as the released code of Ackermann & Ohmer computes it, to show its error beside
    ``stability.top_overlap``.

    It sorts each layer's neurons by *ascending* predictivity and then turns round the order of the layers
    instead of that of the neurons: what it compares are the least predictive neurons, listed under the wrong
    layer. The columns are those of ``top_overlap``.
    """
    # Ranked by -predictivity, the "top" neurons are the lowest; flipping the sites puts them under the wrong layers.
    frame = top_overlap(-first.flip(0), -second.flip(0), fractions, sites)
    return frame.assign(ranking="ascending (released code)")


def both_overlaps(
    first: Tensor, second: Tensor, fractions: Sequence[float], sites: Sequence[FFNSite]
) -> pd.DataFrame:
    """``top_overlap`` and ``released_overlap`` below each other, told apart by the column ``ranking``."""
    right = top_overlap(first, second, fractions, sites).assign(ranking="descending")
    return pd.concat([right, released_overlap(first, second, fractions, sites)], ignore_index=True)


def permuted_overlap(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    selection: NeuronScores,
    fractions: Sequence[float],
    *,
    permutations: int = 200,
    seed: int = 0,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Overlap of the clean top neurons with the adversarial top neurons, against shuffled adversarial labels.

    The hypergeometric expectation takes two independent lists. But predictivity is a maximum over positions,
    so neurons that vary much from position to position score high on any labels, in both lists; shuffled
    labels keep that. Two-class tasks, or the first subtask of others. Columns: stack, layer, fraction, value,
    n, expected, low, high (mean and 95 % range over permutations), p.
    """
    task_data = _first_subtask(pairs.as_task())
    bits, clean = ThresholdBits(backbone), subtask_baselines(selection)[0]
    found = score_neurons(
        backbone, prompt, task_data, split="test", baseline=clean, batch_size=batch_size, watcher=bits.watcher
    ).predictivity
    labels, rng = bits.labels, np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(len(labels)), (permutations, 1)), axis=1)
    null = bits.predictivity(labels[torch.from_numpy(order)])  # [sites, permutations, width]
    first = subtask_predictivities(selection)[0]
    rows = []
    for fraction in fractions:
        count = count_of(fraction, first.shape[1])
        if count == 0:
            continue
        chosen = skill_neurons(first, fraction)
        shared = (chosen & skill_neurons(found, fraction)).sum(1).numpy() / count
        drawn = (
            np.stack(
                [(chosen & skill_neurons(null[:, i], fraction)).sum(1).numpy() for i in range(permutations)]
            )
            / count
        )
        for index, site in enumerate(backbone.sites):
            low, high = np.quantile(drawn[:, index], [0.025, 0.975])
            p = (1 + (drawn[:, index] >= shared[index]).sum()) / (1 + permutations)
            row = {
                "value": shared[index],
                "n": count,
                "expected": drawn[:, index].mean(),
                "low": low,
                "high": high,
                "p": p,
            }
            rows.append({"stack": site.stack, "layer": site.layer, "fraction": fraction, **row})
    return pd.DataFrame(rows)


def suppression(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    selection: NeuronScores,
    fractions: Sequence[float],
    *,
    sites: Sequence[int] | None = None,
    seed: int = 0,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Accuracy on both members of the pairs when neurons are set to 0 at all positions, one row per example
    and condition.

    Neurons: "clean" (the most predictive on clean validation text), "adversarial" (the most predictive on
    adversarial examples), and "random" and "matched" controls for the clean ones. Adversarial neurons are
    found on one half of the originals and tried on the other, and the reverse: trying them on the examples
    they were found on would favour them.

    Args:
        sites: numbers of the sites whose neurons are suppressed (Ackermann & Ohmer: those of T5's encoder); None: all.

    Returns:
        Columns neurons, fraction, text, pair, group, correct; feed it to ``suppression_table``.
    """
    pairs.need()
    halves = _halves(pairs.pair_groups, seed)
    scored = [
        _score(backbone, prompt, pairs.as_task(pairs.attacked.select(half)), selection, batch_size)
        for half in halves
    ]
    texts = {
        name: encode(backbone, dataset, pairs.task, layout_of(prompt))
        for name, dataset in (("clean", pairs.clean), ("adversarial", pairs.attacked))
    }

    def answer(encoded: Encoded) -> NDArray[np.float64]:
        return evaluate(backbone, prompt, encoded, pairs.task, batch_size=batch_size).correct

    intact = {text: answer(encoded) for text, encoded in texts.items()} if 0 in fractions else {}
    inside = within_sites(backbone, sites)
    everyone = list(range(len(pairs)))
    parts = []
    for fraction in fractions:
        clean = task_skill_neurons(selection, fraction)
        masks = {
            "clean": clean,
            "random": random_neurons(clean, seed),
            "matched": matched_neurons(clean, selection.deviation, seed),
        }
        plans = [(name, mask, everyone) for name, mask in masks.items()]
        plans += [("adversarial", task_skill_neurons(scored[i], fraction), halves[1 - i]) for i in (0, 1)]
        for (name, mask, rows), text in product(plans, texts):
            if fraction == 0:
                correct = intact[text][rows]
            else:
                with intervene(backbone, mask & inside, "zero"):
                    correct = answer(texts[text].select(rows))
            more = {"neurons": name, "fraction": fraction, "text": text}
            parts.append(
                pd.DataFrame({"pair": rows, "group": pairs.pair_groups[rows], "correct": correct, **more})
            )
    return pd.concat(parts, ignore_index=True)


def suppression_table(rows: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Means of ``suppression``: neurons, fraction, text, value, n, low, high (over originals), as
    ``charts.perturbation_curves`` reads them. Rows of several prompts may be put below each other."""
    found = []
    for (neurons, fraction, text), part in rows.groupby(["neurons", "fraction", "text"], sort=False):
        low, high = outcome_interval(part["correct"].to_numpy(), part["group"].to_numpy(), seed=seed)
        row = {"value": part["correct"].mean(), "n": part["pair"].nunique(), "low": low, "high": high}
        found.append({"neurons": neurons, "fraction": fraction, "text": text, **row})
    return pd.DataFrame(found)


def suppression_gap(
    rows: pd.DataFrame, *, control: str, neurons: str = "clean", seed: int = 0
) -> pd.DataFrame:
    """Accuracy with a control suppressed minus accuracy with some neurons suppressed, on the same pairs;
    positive: these neurons matter more. Columns neurons, fraction, text, value, n, low, high (over
    originals).

    Raises:
        SkillkitError: one of the two was not suppressed.
    """
    found = []
    for (fraction, text), part in rows.groupby(["fraction", "text"], sort=False):
        own, other = (part[part["neurons"] == name] for name in (neurons, control))
        if len(own) == 0 or len(own) != len(other):
            raise SkillkitError(f"{neurons!r} and {control!r} were not suppressed on the same pairs.")
        # The two halves of "adversarial" come one after the other, so pairs are brought into one order; prompts stay in theirs.
        own, other = (each.sort_values("pair", kind="stable") for each in (own, other))
        gap = other["correct"].to_numpy() - own["correct"].to_numpy()
        low, high = difference_interval(gap, own["group"].to_numpy(), seed=seed)
        row = {"value": gap.mean(), "n": own["pair"].nunique(), "low": low, "high": high}
        found.append({"neurons": f"{control} - {neurons}", "fraction": fraction, "text": text, **row})
    return pd.DataFrame(found)


def activation_shift(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    deviation: Tensor,
    masks: Mapping[str, Tensor],
    *,
    batch_size: int = 32,
) -> pd.DataFrame:
    """How far an attack moves the neurons: for each pair, site and mask, the mean over its neurons of
    |adversarial - clean|.

    The distance of a neuron is the root mean square over the positions (answer slot and prompt rows), in units of its
    standard deviation over clean training examples (``deviation`` [sites, width]; see ``shift_unit``).

    Returns:
        Columns pair, group, neurons, stack, layer, value, weight, text (always "shift"); feed it to
        ``shift_table``.
    """
    pairs.need()
    clean, attacked = (
        encode(backbone, d, pairs.task, layout_of(prompt)) for d in (pairs.clean, pairs.attacked)
    )
    unit = shift_unit(deviation)
    shares = {name: torch.full((len(pairs), len(backbone.sites)), torch.nan) for name in masks}
    for start in range(0, len(pairs), batch_size):
        rows = list(range(start, min(start + batch_size, len(pairs))))
        before, after = (_activations(backbone, prompt, e.select(rows)) for e in (clean, attacked))
        for site in range(len(backbone.sites)):
            distance = (after[site] - before[site]).square().mean(1).sqrt() / unit[site]
            for name, mask in masks.items():
                if mask[site].any():
                    shares[name][rows, site] = distance[:, mask[site]].mean(1)
    return _agreement_rows(backbone, np.arange(len(pairs)), masks, shares).assign(
        group=lambda frame: pairs.pair_groups[frame["pair"].to_numpy()]
    )


def shift_table(
    rows: pd.DataFrame, *, control: str = "random", by_site: bool = False, seed: int = 0
) -> pd.DataFrame:
    """Means of ``activation_shift`` with intervals over originals, and each mask's mean minus the control's,
    paired.

    Columns: neurons (a mask's name, or "<name> - <control>"), value (standard deviations), n, low, high, and
    stack and layer with ``by_site``.
    """
    sites = ["stack", "layer"] if by_site else []
    found = []
    for place, part in rows.groupby(sites, sort=False) if by_site else [((), rows)]:
        total = part.assign(total=part["value"] * part["weight"]).groupby(
            ["neurons", "pair", "group"], sort=False
        )
        wide = (total["total"].sum() / total["weight"].sum()).unstack("neurons")
        groups = wide.index.get_level_values("group").to_numpy()
        columns = {name: wide[name] for name in wide} | {
            f"{name} - {control}": wide[name] - wide[control]
            for name in wide
            if name != control and control in wide
        }
        for name, values in columns.items():
            low, high = cluster_bootstrap(values.to_numpy(), groups, seed=seed)
            row = {"neurons": name, "value": values.mean(), "n": len(values), "low": low, "high": high}
            found.append({**dict(zip(sites, place, strict=True)), **row})
    return pd.DataFrame(found)


def released_t5_predictivity(bits: ThresholdBits, batch_size: int = 16) -> Tensor:
    """Predictivity as the released code of Ackermann & Ohmer computes it for T5 tasks with two target tokens
    (QNLI, MNLI), [sites, width].

    Labels come as [batch, 2] (answer and end of sequence), are flattened, and are then indexed by example.
    Example i of a batch meets the label of example i / 2 when i is even, and a token id when i is odd, with
    which no 0/1 bit agrees. So accuracy cannot exceed one half, is near a quarter for *every* neuron, and
    max(accuracy, 1 - accuracy) near three quarters.
    """
    place = bits.rows % batch_size
    label_of = torch.empty_like(bits.labels)
    label_of[bits.rows] = bits.labels
    met = label_of[bits.rows - place + place // 2]
    signs = torch.where(place % 2 == 0, 2.0 * met - 1, 0.0).to(bits.device)
    zeros = ((met == 0) & (place % 2 == 0)).sum()
    found = []
    for site in range(bits.sites):
        per_prompt = []
        for prompt in range(bits.prompts):
            accuracy = torch.stack(
                [(signs @ each + zeros) / len(place) for each in bits.positions(prompt, site)]
            )
            per_prompt.append(torch.maximum(accuracy, 1 - accuracy).amax(0))
        found.append(torch.stack(per_prompt).mean(0))
    return torch.stack(found).cpu()


def label_misalignment(
    backbone: Backbone, prompt: SoftPrompt, pairs: Pairs, selection: NeuronScores, *, batch_size: int = 16
) -> pd.DataFrame:
    """Predictivity on the adversarial examples with the right labels, and with the labels as the released T5
    code lines them up.

    Columns labels ("aligned" or "as released"), stack, layer, median, low and high (smallest and largest
    neuron of the site), n (examples). The first subtask stands for a task of more classes.
    """
    bits = ThresholdBits(backbone)
    task_data, clean = _first_subtask(pairs.as_task()), subtask_baselines(selection)[0]
    right = score_neurons(
        backbone, prompt, task_data, split="test", baseline=clean, watcher=bits.watcher
    ).predictivity
    rows = []
    for labels, values in (("aligned", right), ("as released", released_t5_predictivity(bits, batch_size))):
        for site, each in zip(backbone.sites, values, strict=True):
            spread = {"median": each.median().item(), "low": each.min().item(), "high": each.max().item()}
            rows.append(
                {"labels": labels, "stack": site.stack, "layer": site.layer, **spread, "n": len(bits.labels)}
            )
    return pd.DataFrame(rows)


def _score(
    backbone: Backbone, prompt: SoftPrompt, task_data: TaskData, selection: NeuronScores, batch_size: int
) -> NeuronScores:
    baselines = subtask_baselines(selection)
    subtasks = binary_subtasks(task_data)
    if len(baselines) != len(subtasks):
        raise SkillkitError(
            f"The scores are of {len(baselines)} subtasks, {task_data.task.name!r} has {len(subtasks)}. Give this task's own scores."
        )
    return combine_subtasks(
        {
            name: score_neurons(
                backbone, prompt, subtask, split="test", baseline=baseline, batch_size=batch_size
            )
            for (name, subtask), baseline in zip(subtasks.items(), baselines, strict=True)
        }
    )


def _first_subtask(task_data: TaskData) -> TaskData:
    return next(iter(binary_subtasks(task_data).values()))


def _numbered(dataset: Dataset) -> Dataset:
    return dataset.add_column("pair", list(range(len(dataset))))  # type: ignore[call-arg]


def _halves(groups: Groups, seed: int) -> tuple[list[int], list[int]]:
    """The pairs in two halves of the originals."""
    names = np.unique(groups)
    first = np.isin(groups, np.random.default_rng(seed).permutation(names)[: len(names) // 2])
    return np.flatnonzero(first).tolist(), np.flatnonzero(~first).tolist()


def _agreeing(
    backbone: Backbone,
    prompt: SoftPrompt,
    encoded: Encoded,
    baseline: Tensor,
    accuracy: Tensor,
    masks: Mapping[str, Tensor],
    batch_size: int,
) -> dict[str, Tensor]:
    """Share of each mask's neurons that give the right label, [examples, sites] by name of mask."""
    shares = {name: torch.full((len(encoded), len(backbone.sites)), torch.nan) for name in masks}
    best = torch.nan_to_num(torch.maximum(accuracy, 1 - accuracy), nan=-1.0).argmax(1)  # [sites, width]
    straight = accuracy.gather(1, best[:, None])[:, 0] >= 0.5

    def judge(site: int, activation: Tensor, current: Pass) -> None:
        present, places = present_positions(backbone, site, current)
        where = torch.searchsorted(torch.tensor(present), best[site])
        values = (
            take(activation, places).float().cpu().gather(1, where.expand(len(current.batch), 1, -1))[:, 0]
        )
        bits = values > baseline[site].gather(0, best[site][None])[0]
        right = (bits == straight[site]) == current.batch.labels.cpu().bool()[:, None]
        for name, mask in masks.items():
            if mask[site].any():
                shares[name][current.batch.rows, site] = right[:, mask[site]].float().mean(1)

    with watch(backbone, judge):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return shares


def _agreement_rows(
    backbone: Backbone, numbers: NDArray[np.int64], masks: Mapping[str, Tensor], shares: Mapping[str, Tensor]
) -> pd.DataFrame:
    parts = []
    for name, values in shares.items():
        for index, site in enumerate(backbone.sites):
            weight = int(masks[name][index].sum())
            if weight:
                row: dict[str, Any] = {
                    "neurons": name,
                    "stack": site.stack,
                    "layer": site.layer,
                    "weight": weight,
                }
                parts.append(
                    pd.DataFrame({"pair": numbers, "value": values[:, index].double().numpy(), **row})
                )
    return pd.concat(parts, ignore_index=True)


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
