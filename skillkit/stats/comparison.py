"""A whole study side by side, from the tables of its pages: the main quantities, and how often claims held.

No torch here: nothing is computed from a model.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from skillkit.names import markdown_text
from skillkit.stats.claims import FAILED, HELD, UNDECIDED
from skillkit.stats.measurement import FIELDS

PAGES = ("01_prompt_tuning", "02_skill_neurons", "03_perturbation", "04_adversarial")

#: Quantities of the overview: name, page, the rows that hold it, and a value worth a dashed line.
QUANTITIES: tuple[tuple[str, str, Mapping[str, object], float | None], ...] = (
    ("accuracy, tuned prompt", PAGES[0], {"metric": "accuracy_mean", "prompt": "tuned"}, None),
    ("accuracy, untuned prompt", PAGES[0], {"metric": "accuracy_mean", "prompt": "random"}, None),
    ("accuracy, best neuron", PAGES[1], {"metric": "best_neuron_accuracy"}, None),
    ("lost by skill neurons", PAGES[2], {"metric": "gap", "mode": "mean", "neurons": "matched - skill"}, 0.0),
    ("lost to attacks", PAGES[3], {"metric": "drop", "attack": "all"}, 0.0),
)


def overview(tables: Mapping[str, pd.DataFrame], models: Sequence[str], tasks: Sequence[str]) -> pd.DataFrame:
    """One row per quantity, task and model, as `charts.comparison_grid` reads it.

    Args:
        tables: of the pages in `PAGES`, by page.
        models: of the study.
        tasks: of the study.

    Returns:
        The columns of a measurement, quantity, task, model and reference, in the order of `QUANTITIES`,
        `tasks` and `models`.
    """
    parts = []
    for quantity, page, wanted, reference in QUANTITIES:
        rows = tables.get(page, pd.DataFrame(columns=["metric"]))
        for column, value in wanted.items():
            rows = rows[rows[column] == value] if column in rows else rows.iloc[:0]
        if page == PAGES[2] and len(rows):
            rows = rows[rows["fraction"].isna()]  # the mean over the curve, not single shares
        parts.append(rows.assign(quantity=quantity, reference=reference))
    columns = ["quantity", "task", "model", *FIELDS, "reference"]
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True)[columns]
    ranks = {"quantity": [q[0] for q in QUANTITIES], "task": list(tasks), "model": list(models)}
    return frame.sort_values(
        list(ranks), key=lambda column: column.map(ranks[str(column.name)].index), ignore_index=True
    )


def best_neurons(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The best neuron's accuracy beside that of the prompted model, wherever both are known.

    Only tasks with two classes count: for others the neuron answers a two-class question (`subtask` is not
    the task), which is easier than the model's.

    Returns:
        Columns model, task, neuron and prompt (shares of test examples).
    """
    columns = ["model", "task", "value"]
    neurons = tables.get(PAGES[1], pd.DataFrame(columns=[*columns, "metric", "subtask"]))
    neurons = neurons[(neurons["metric"] == "best_neuron_accuracy") & (neurons["subtask"] == neurons["task"])]
    prompts = tables.get(PAGES[0], pd.DataFrame(columns=[*columns, "metric", "prompt"]))
    prompts = prompts[(prompts["metric"] == "accuracy_mean") & (prompts["prompt"] == "tuned")]
    return (
        neurons[columns]
        .rename(columns={"value": "neuron"})
        .merge(prompts[columns].rename(columns={"value": "prompt"}), on=["model", "task"])
    )


def count_claims(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """In how many tasks each claim held, by model.

    Returns:
        Columns page, claim, source, model, one for each verdict, and cells (how many tasks in all).
    """
    parts = [rows[rows["metric"] == "claim"].assign(page=page) for page, rows in tables.items()]
    claims = pd.concat([part for part in parts if len(part)], ignore_index=True)
    keys = ["page", "claim", "source", "model"]
    counts = (
        claims.groupby([*keys, "verdict"], sort=False, dropna=False).size().unstack("verdict", fill_value=0)
    )
    counts = counts.reindex(columns=[HELD, UNDECIDED, FAILED], fill_value=0)
    return counts.assign(cells=counts.sum(axis=1)).reset_index()


def sum_up(counts: pd.DataFrame) -> list[str]:
    """One sentence per claim and model, worded by the counts."""
    sentences = []
    for row in counts.to_dict("records"):
        held, failed, cells = row[HELD], row[FAILED], row["cells"]
        if held == cells:
            word = "held throughout"
        elif failed == cells:
            word = "did not hold anywhere"
        elif held and not failed:
            word = "held or stayed undecided"
        elif failed and not held:
            word = "did not hold or stayed undecided"
        elif not held and not failed:
            word = "stayed undecided"
        else:
            word = "was mixed"
        sentences.append(
            f"**{markdown_text(row['model'])}**: *{markdown_text(row['claim'])}* {word} "
            f"({held} held, {row[UNDECIDED]} undecided, {failed} did not, of {cells})."
        )
    return sentences


def adversarial_slopes(tables: Mapping[str, pd.DataFrame], tasks: Sequence[str]) -> pd.DataFrame:
    """Clean and adversarial accuracy on every task with a twin, for `charts.clean_vs_adversarial`."""
    rows = tables.get(PAGES[3])
    if rows is None:
        return pd.DataFrame()
    rows = rows[(rows["attack"] == "all") & rows["metric"].isin(["clean_accuracy", "adversarial_accuracy"])]
    rows = rows.assign(text=rows["metric"].str.removesuffix("_accuracy"))
    return rows.sort_values(
        "task", key=lambda column: column.map(list(tasks).index), kind="stable", ignore_index=True
    )


def audit_effects(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What two errors in the released code of Ackermann & Ohmer amount to over a study (audit A2 and A4).

    Returns:
        Columns item, quantity, model, right and released (means over tasks), larger (on how many tasks the
        released way gives more), and cells (how many tasks). Empty without pages on adversarial text.
    """
    rows = tables.get(PAGES[3], pd.DataFrame(columns=["metric"]))
    parts = []
    for item, quantity, metric, column in (
        ("A4", "share of clean top neurons on top under attack", "overlap_by_ranking", "ranking"),
        ("A2", "median predictivity of a site under attack", "median_predictivity", "labels"),
    ):
        found = rows[rows["metric"] == metric]
        if found.empty:
            continue
        way = found[column].isin(["descending", "aligned"]).map({True: "right", False: "released"})
        cells = found.assign(way=way).groupby(["model", "task", "way"], sort=False)["value"].mean().unstack()
        by_model = cells.assign(larger=cells["released"] > cells["right"]).groupby("model", sort=False)
        means = by_model[["right", "released"]].mean()
        parts.append(
            means.assign(
                item=item, quantity=quantity, larger=by_model["larger"].sum(), cells=by_model.size()
            ).reset_index()
        )
    columns = ["item", "quantity", "model", "right", "released", "larger", "cells"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
