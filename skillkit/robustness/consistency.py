"""Robustness against neuron consistency: the main claim of Ackermann & Ohmer (2024) as one number.

Their conclusion is that robustness may be related to activating the same skill neurons on adversarial data as on clean data, and it
rests on one model of each kind. Here every task, model and seed is a point: how many rightly answered texts stay right under
attack, against how many of the clean top neurons are top neurons on the attacked texts. The interval of the rank correlation
is from a bootstrap over tasks, because the points of a task are no independent witnesses.

Both sides are measured on the same attacked texts, and a neuron that predicts labels there belongs to a model that answers well there,
so part of a correlation is there by construction; `patching.py` holds the causal test. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from skillkit.stats.intervals import wilson

ROBUSTNESS = "robustness"
#: Measures of consistency: as in the paper, and against what the unattacked originals of the same texts give.
MEASURES = {
    "overlap": "clean top neurons still on top under attack (share)",
    "overlap_kept": "the same, minus what the unattacked originals keep",
}


def seed_rows(
    answered: pd.DataFrame, attacked: Mapping[str, Any], originals: Mapping[str, Any], seed: int
) -> list[dict[str, Any]]:
    """The measurements of one prompt, as rows of a page's table.

    Args:
        answered: the prompt's answers, a row per adversarial text (`robustness.answer_pairs`).
        attacked, originals: overlap of the clean top neurons with those on the attacked texts, and with those on their
            originals (rows of `stability.top_overlap`, pooled over sites).
    """
    right = answered[answered["paired"] & (answered["clean_correct"] == 1)]
    rows = []
    if len(right):
        stayed, n = int(right["adversarial_correct"].sum()), len(right)
        low, high = wilson(stayed, n)
        rows.append({"metric": ROBUSTNESS, "value": stayed / n, "low": low, "high": high, "n": n})
    values = {"overlap": attacked["value"], "overlap_kept": attacked["value"] - originals["value"]}
    rows += [
        {"metric": name, "value": value, "expected": attacked["expected"], "n": attacked["first"]}
        for name, value in values.items()
    ]
    return [{**row, "seed": seed} for row in rows]


def consistency_points(table: pd.DataFrame) -> pd.DataFrame:
    """One row per model, task and seed: robustness, overlap, overlap_kept, and n (texts answered rightly before the attack).

    ``table`` holds the pages on adversarial text of all cells. Left out are cells whose prompts are not better than chance on the
    clean originals, by the higher reading of chance: where nothing is answered, or always the same, nothing can be robust.
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
    able = [
        lows.get(cell, np.nan) > chance.get(cell, np.nan)
        for cell in zip(points["model"], points["task"], strict=True)
    ]
    columns = [*keys, ROBUSTNESS, *MEASURES, "n"]
    return points[np.array(able, dtype=bool)][columns].reset_index(drop=True).rename_axis(columns=None)


def consistency_correlations(points: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Spearman's rank correlation of robustness with each measure of consistency, for all points and for each model.

    Columns: measure, model ("all models" first), value, low, high (95 % bootstrap over tasks), n (points), tasks. Fewer than four
    tasks give no interval (NaN).
    """
    groups = {"all models": points, **{str(name): part for name, part in points.groupby("model", sort=False)}}
    rows = []
    for measure in MEASURES:
        for name, part in groups.items():
            tasks = part["task"].nunique()
            low, high = _interval(part, measure, resamples, seed) if tasks >= 4 else (np.nan, np.nan)
            rows.append(
                {
                    "measure": measure,
                    "model": name,
                    "value": _rho(part[[ROBUSTNESS, measure]].to_numpy(dtype=float)),
                    "low": low,
                    "high": high,
                    "n": len(part),
                    "tasks": tasks,
                }
            )
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
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
