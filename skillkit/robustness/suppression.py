"""Does the model need the same neurons under attack? Suppression as in Ackermann & Ohmer (2024)."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Seed, Shares, Size, check_arguments, known, table_with
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import evaluate
from skillkit.models.inputs import Encoded, encode
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.neurons.fit import need_scores
from skillkit.neurons.scores import NeuronScores, matched_neurons, random_neurons, within_sites
from skillkit.neurons.subtasks import task_skill_neurons
from skillkit.robustness.pairs import Pairs
from skillkit.robustness.scores_under_attack import score_by_thresholds
from skillkit.stats.measurement import difference_over_originals, mean_over_originals

#: Which neurons are suppressed (name and mask), and on which pairs that is tried.
Plan = tuple[str, Tensor, list[int]]


Suppressed = Annotated[
    pd.DataFrame,
    table_with("pair", "group", "neurons", "fraction", "text", "correct", made_by="suppression"),
    known("correct"),
]
"""The table of `suppression`."""


@check_arguments
def suppression(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    selection: NeuronScores,
    fractions: Shares,
    *,
    sites: Sequence[int] | None = None,
    seed: Seed = 0,
    batch_size: Size = 32,
) -> pd.DataFrame:
    """Accuracy on both members of the pairs when neurons are set to 0 at all positions.

    Neurons: "clean" (the most predictive on clean validation text), "adversarial" (the most predictive on
    adversarial examples), and "random" and "matched" controls for the clean ones. Adversarial neurons are
    found on one half of the originals and tried on the other, and the reverse: trying them on the examples
    they were found on would favour them.

    Args:
        backbone: the model.
        prompt: the prompt.
        pairs: at least two.
        selection: the clean task's scores for the prompt.
        fractions: shares of each site's neurons; 0 leaves the model intact.
        sites: numbers of the suppressed sites (Ackermann & Ohmer: those of T5's encoder); None: all.
        seed: of the random neurons and the halves.
        batch_size: texts in one pass.

    Returns:
        One row per pair and condition for `suppression_table`: neurons, fraction, text, pair, group, correct.
    """
    pairs.need()
    need_scores(backbone, selection)
    halves = _halves(pairs.pair_groups, seed)
    scored = [
        score_by_thresholds(
            backbone, prompt, pairs.as_task(pairs.attacked.select(half)), selection, batch_size=batch_size
        )
        for half in halves
    ]
    texts = {
        name: encode(backbone, dataset, pairs.task, layout_of(prompt))
        for name, dataset in (("clean", pairs.clean), ("adversarial", pairs.attacked))
    }

    def answer(encoded: Encoded) -> NDArray[np.float64]:
        return evaluate(backbone, prompt, encoded, pairs.task, batch_size=batch_size).correct

    intact = {text: answer(encoded) for text, encoded in texts.items()} if 0 in fractions else {}
    inside, parts = within_sites(backbone, sites), []
    for fraction in fractions:
        for (name, mask, rows), text in product(_plans(selection, scored, halves, fraction, seed), texts):
            if fraction == 0:
                correct = intact[text][rows]
            else:
                with intervene(backbone, mask & inside, "zero"):
                    correct = answer(texts[text].select(rows))
            part = pd.DataFrame({"pair": rows, "group": pairs.pair_groups[rows], "correct": correct})
            parts.append(part.assign(neurons=name, fraction=fraction, text=text))
    return pd.concat(parts, ignore_index=True)


@check_arguments
def suppression_table(rows: Suppressed, *, seed: Seed = 0) -> pd.DataFrame:
    """Means of `suppression`, as `charts.perturbation_curves` reads them.

    Args:
        rows: from `suppression`; rows of several prompts may be put below each other.
        seed: fixes the resamples.

    Returns:
        The columns of a measurement (over originals), metric ("suppressed_accuracy"), neurons, fraction and
        text.
    """
    found = []
    for (neurons, fraction, text), part in rows.groupby(["neurons", "fraction", "text"], sort=False):
        measured = mean_over_originals(
            part["correct"], part["group"], part["pair"].nunique(), "pairs", seed=seed
        )
        found.append(measured.row("suppressed_accuracy", neurons=neurons, fraction=fraction, text=text))
    return pd.DataFrame(found)


@check_arguments
def suppression_gap(
    rows: Suppressed, *, control: str, neurons: str = "clean", seed: Seed = 0
) -> pd.DataFrame:
    """Accuracy with a control suppressed minus accuracy with some neurons suppressed, on the same pairs.

    Positive: these neurons matter more.

    Returns:
        The columns of a measurement (over originals), metric ("suppression_gap"), neurons, fraction, text.

    Raises:
        SkillkitError: one of the two was not suppressed.
    """
    found = []
    for (fraction, text), part in rows.groupby(["fraction", "text"], sort=False):
        own, other = (part[part["neurons"] == name] for name in (neurons, control))
        if len(own) == 0 or len(own) != len(other):
            raise SkillkitError(f"{neurons!r} and {control!r} were not suppressed on the same pairs.")
        # The two halves of "adversarial" come one after the other, so pairs are brought into one order;
        # the prompts of a pair stay in theirs.
        own, other = (each.sort_values("pair", kind="stable") for each in (own, other))
        gap = other["correct"].to_numpy() - own["correct"].to_numpy()
        measured = difference_over_originals(gap, own["group"], own["pair"].nunique(), seed=seed)
        names = {"neurons": f"{control} - {neurons}", "fraction": fraction, "text": text}
        found.append(measured.row("suppression_gap", **names))
    return pd.DataFrame(found)


def _plans(
    selection: NeuronScores,
    scored: Sequence[NeuronScores],
    halves: Sequence[list[int]],
    fraction: float,
    seed: int,
) -> Iterator[Plan]:
    """Everything to suppress at one share of the neurons; `scored` are the scores on the two halves."""
    everyone = sorted(row for half in halves for row in half)
    clean = task_skill_neurons(selection, fraction)
    yield "clean", clean, everyone
    yield "random", random_neurons(clean, seed), everyone
    yield "matched", matched_neurons(clean, selection.deviation, seed), everyone
    for scores, tried in zip(scored, reversed(halves), strict=True):
        yield "adversarial", task_skill_neurons(scores, fraction), tried


def _halves(groups: NDArray[np.int64], seed: int) -> tuple[list[int], list[int]]:
    """The pairs in two halves of the originals."""
    names = np.unique(groups)
    first = np.isin(groups, np.random.default_rng(seed).permutation(names)[: len(names) // 2])
    return np.flatnonzero(first).tolist(), np.flatnonzero(~first).tolist()
