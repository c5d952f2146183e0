"""The released prompts compared: their similarities, what these predict, and what the dead row does."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from skillkit.checks import Count, check_arguments
from skillkit.transfer.ranking import prediction, prediction_table
from skillkit.transfer.released.releases import (
    Array,
    Release,
    open_arrays,
    read_arrays,
    read_table,
    reference_folder,
)
from skillkit.transfer.similarities import overlap_rate, same_type, similarities


@check_arguments
def metric_matrices(release: Release, *, skip_rows: int = 0) -> dict[str, Array]:
    """Every similarity of a release's tasks, [tasks, tasks] by name.

    Four of the prompts' embeddings, ON where it was published, and same-type. `skip_rows` as in
    `similarities`.
    """
    matrices = dict(similarities(list(release.prompts), skip_rows=skip_rows))
    if release.overlap is not None:
        matrices["ON"] = release.overlap
    matrices["same-type"] = same_type(release.types)
    return matrices


@check_arguments
def correlations(release: Release, *, resamples: Count = 1000) -> pd.DataFrame:
    """How well each similarity predicts the published transfer, with and without prompt row 0.

    Args:
        release: its prompts and published transfer.
        resamples: of the tasks, for the intervals; 0 leaves them out.

    Returns:
        One row per metric, aggregation and choice of rows: release, tasks (how many), rows ("all" or "without
        row 0"), metric, aggregation, and the Spearman correlation (value, n, unit, low, high, interval). ON
        and same-type do not depend on the rows and come once.
    """
    tables = []
    for skip, label in ((0, "all"), (1, "without row 0")):
        metrics = metric_matrices(release, skip_rows=skip)
        if skip:
            metrics = {name: matrix for name, matrix in metrics.items() if name not in ("ON", "same-type")}
        table = prediction_table(metrics, release.transfer, resamples=resamples)
        tables.append(table.assign(release=release.name, tasks=len(release.tasks), rows=label))
    first = ["release", "tasks", "rows"]
    whole = pd.concat(tables, ignore_index=True)
    return whole[[*first, *(name for name in whole.columns if name not in first)]]


@check_arguments
def row_norms(release: Release) -> pd.DataFrame:
    """Length of each prompt's row 0 beside its other rows: task, row0, median (of the others), ratio.

    In the masked language models, row 0 never reaches the model ([MASK] takes its place), but it was trained
    all the same.
    """
    norms = np.linalg.norm(release.prompts, axis=2)
    median = np.median(norms[:, 1:], axis=1)
    return pd.DataFrame(
        {
            "release": release.name,
            "task": release.tasks,
            "row0": norms[:, 0],
            "median": median,
            "ratio": norms[:, 0] / median,
        }
    )


@check_arguments
def norm_ordering(release: Release) -> float:
    """Mean over targets of the Spearman correlation of E_concat with minus the source prompt's norm.

    Near 1, E_concat ranks sources by their norm, whatever the target.
    """
    distance = similarities(list(release.prompts))["E_concat"]
    norms = np.linalg.norm(release.prompts.reshape(len(release.tasks), -1), axis=1)
    shortness = np.broadcast_to(-norms[:, None], distance.shape)
    return prediction(distance, shortness - shortness.min() + 1)["tgt_off"]


@check_arguments
def training_norms(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """How long each of Ackermann & Ohmer's prompts was tuned, and how large it became.

    One row per prompt: model, seed, task, steps, learning_rate, norm (median length of rows 1 and on), row0.
    """
    path = reference_folder(folder)
    meta = read_table(path / "ackermann_prompt_training_meta.csv")
    rows = []
    for (model, seed), group in meta.groupby(["model", "seed"], sort=False):
        prompts = read_arrays(path / f"ackermann_prompts_{str(model).lower()}_seed{seed}.npz")
        for entry in group.itertuples():
            norms = np.linalg.norm(prompts[str(entry.task)], axis=1)
            rows.append(
                {
                    "model": model,
                    "seed": seed,
                    "task": entry.task,
                    "steps": entry.global_step,
                    "learning_rate": entry.lr,
                    "norm": float(np.median(norms[1:])),
                    "row0": float(norms[0]),
                }
            )
    return pd.DataFrame(rows)


@check_arguments
def seed_similarity(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Mean similarity of Ackermann & Ohmer's prompts of different seeds: model, metric, pairs, value, n.

    `pairs` is "same task" or "different task"; both are between different seeds, so that only the task
    differs.
    """
    path = reference_folder(folder)
    rows = []
    for model in ("roberta", "t5"):
        sets = [read_arrays(file) for file in sorted(path.glob(f"ackermann_prompts_{model}_seed*.npz"))]
        prompts = [(seed, task, prompt) for seed, group in enumerate(sets) for task, prompt in group.items()]
        seeds, tasks = np.array([p[0] for p in prompts]), np.array([p[1] for p in prompts])
        other_seed = seeds[:, None] != seeds
        same = tasks[:, None] == tasks
        for metric, matrix in similarities([p[2] for p in prompts]).items():
            for label, mask in (("same task", same & other_seed), ("different task", ~same & other_seed)):
                chosen = matrix[mask]
                rows.append(
                    {
                        "model": model,
                        "metric": metric,
                        "pairs": label,
                        "value": chosen.mean(),
                        "n": chosen.size // 2,
                    }
                )
    return pd.DataFrame(rows)


@check_arguments
def activation_history(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """ON of T5-XXL activation patterns while two prompts (QQP, SNLI) were tuned.

    One row per step: activation ("final": gated product, "wi0": gate), step, pair ("QQP and SNLI", "QQP to
    its last", "SNLI to its last"), value.
    """
    path = reference_folder(folder) / "su_activated_neurons_t5xxl_training_steps.npz"
    with open_arrays(path) as stored:
        patterns = {key: np.unpackbits(stored[key], axis=-1).astype(bool) for key in stored.files}
    rows = []
    for kind in ("final", "wi0"):
        first, second = patterns[f"{kind}_QQP"], patterns[f"{kind}_snli"]
        pairs = {
            "QQP and SNLI": list(zip(first, second, strict=False)),
            "QQP to its last": [(pattern, first[-1]) for pattern in first],
            "SNLI to its last": [(pattern, second[-1]) for pattern in second],
        }
        for pair, compared in pairs.items():
            for index, (one, other) in enumerate(compared):
                rows.append(
                    {
                        "activation": kind,
                        "step": 1000 * (index + 1),
                        "pair": pair,
                        "value": overlap_rate(one, other),
                    }
                )
    return pd.DataFrame(rows)
