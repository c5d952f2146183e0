"""Robustness against neuron consistency: the main claim of Ackermann & Ohmer (2024) as one number.

Their conclusion is that robustness may be related to activating the same skill neurons on adversarial data as
on clean data, and it rests on one model of each kind. Here every task, model and seed is a point: how many
rightly answered texts stay right under attack, against how many of the clean top neurons are top neurons on
the attacked texts. The interval of the rank correlation is from a bootstrap over tasks, because the points of
one task are not independent.

Both sides are measured on the same attacked texts, and a neuron that predicts labels there belongs to a model
that answers well there, so part of a correlation is there by construction; `patching.py` holds the causal
test. No torch here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from skillkit.checks import Count, Seed, check_arguments
from skillkit.stats.intervals import UNKNOWN
from skillkit.stats.measurement import Measurement, mean_over_originals, without_interval

ROBUSTNESS = "robustness"
#: Measures of consistency: as in the paper, and against what the unattacked originals of the same texts give.
MEASURES = {
    "overlap": "clean top neurons still on top under attack (share)",
    "overlap_kept": "the same, minus what the unattacked originals keep",
}


@check_arguments
def seed_rows(answered: pd.DataFrame, overlaps: pd.DataFrame, seed: Seed) -> list[dict[str, Any]]:
    """The measurements of one prompt, as rows of a page's table.

    Args:
        answered: the prompt's answers, a row per adversarial text (`answers.answer_pairs`).
        overlaps: of the clean top neurons with those on the attacked texts, and with those on their
            originals, pooled over sites (`overlap.compare_top_neurons`).
        seed: of the prompt.
    """
    right = answered[answered["paired"] & (answered["clean_correct"] == 1)]
    rows = []
    if len(right):
        stayed = mean_over_originals(right["adversarial_correct"], right["group"], unit="pairs")
        rows.append(stayed.row(ROBUSTNESS, seed=seed))
    attacked, originals = (overlaps.set_index("text").loc[t] for t in ("adversarial", "clean originals"))
    share, neurons = attacked["value"], int(attacked["first"])
    kept = share - originals["value"]
    return [
        *rows,
        without_interval(share, neurons, "neurons").row("overlap", seed=seed, expected=attacked["expected"]),
        without_interval(kept, neurons, "neurons").row("overlap_kept", seed=seed),
    ]


@check_arguments
def consistency_points(table: pd.DataFrame) -> pd.DataFrame:
    """One row per model, task and seed: robustness, overlap, overlap_kept, and n.

    n counts the pairs that were answered rightly on clean text.

    Left out are the prompts that are not better than chance on the clean originals, by the higher reading of
    chance: where nothing is answered, or always the same, nothing can be robust.

    Args:
        table: the pages on adversarial text of all models and tasks.
    """
    keys = ["model", "task", "seed"]
    wanted = table[table["metric"].isin([ROBUSTNESS, *MEASURES])]
    if wanted.empty:
        return pd.DataFrame(columns=[*keys, ROBUSTNESS, *MEASURES, "n"])
    points = wanted.pivot(index=keys, columns="metric", values="value")
    points = points.reindex(columns=[ROBUSTNESS, *MEASURES])
    points["n"] = wanted[wanted["metric"] == ROBUSTNESS].set_index(keys)["n"]
    points = points.reset_index().dropna(subset=[ROBUSTNESS, *MEASURES])
    clean = table[(table["metric"] == "clean_accuracy") & (table["attack"] == "all")]
    chance = table[table["metric"] == "against_chance"].groupby(["model", "task"])["chance"].max()
    lows = clean.set_index(["model", "task"])["low"]
    beats_chance = [
        lows.get(place, np.nan) > chance.get(place, np.nan)
        for place in zip(points["model"], points["task"], strict=True)
    ]
    columns = [*keys, ROBUSTNESS, *MEASURES, "n"]
    return (
        points[np.array(beats_chance, dtype=bool)][columns].reset_index(drop=True).rename_axis(columns=None)
    )


@check_arguments
def consistency_correlations(
    points: pd.DataFrame, *, resamples: Count = 2000, seed: Seed = 0
) -> pd.DataFrame:
    """Spearman's rank correlation of robustness with each measure of consistency, in all and by model.

    Returns:
        The columns of a measurement (n: prompts), metric ("consistency_correlation"), measure, model ("all
        models" first) and tasks. Fewer than four tasks give no interval.
    """
    groups = {"all models": points, **{str(name): part for name, part in points.groupby("model", sort=False)}}
    rows = []
    for measure in MEASURES:
        for name, part in groups.items():
            tasks = part["task"].nunique()
            low, high = _interval(part, measure, resamples, seed) if tasks >= 4 else UNKNOWN
            rho = _rho(part[[ROBUSTNESS, measure]].to_numpy(dtype=float))
            words = "" if np.isnan(low) else "bootstrap over tasks"
            measured = Measurement(rho, len(part), "prompts", low, high, words)
            rows.append(measured.row("consistency_correlation", measure=measure, model=name, tasks=tasks))
    return pd.DataFrame(rows)


def _rho(pairs: np.ndarray) -> float:
    """Spearman's rank correlation of two columns; NaN for fewer than three rows, or a column of one value."""
    if len(pairs) < 3 or (pairs == pairs[0]).all(axis=0).any():
        return float("nan")
    return float(np.corrcoef(rankdata(pairs, axis=0), rowvar=False)[0, 1])


def _interval(points: pd.DataFrame, measure: str, resamples: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    by_task = [part[[ROBUSTNESS, measure]].to_numpy(dtype=float) for _, part in points.groupby("task")]
    drawn = (rng.integers(len(by_task), size=len(by_task)) for _ in range(resamples))
    values = np.array([_rho(np.concatenate([by_task[i] for i in chosen])) for chosen in drawn])
    if np.isnan(values).all():
        return UNKNOWN
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
