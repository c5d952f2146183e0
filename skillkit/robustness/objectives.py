"""What each way of tuning for robustness gains, and what it costs, against going on as before.

Prompts are given by objective and seed; the answers, accuracies and shifts of an objective are over all its
seeds, in the same order for each objective, so that everything can be compared pair by pair.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from skillkit.checks import Seed, check_arguments
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import evaluate, mean_correct
from skillkit.models.inputs import Encoded, encode_task
from skillkit.models.prompts import SoftPrompt, layout_of
from skillkit.neurons.scores import NeuronScores
from skillkit.robustness.accuracy import attack_table
from skillkit.robustness.answers import answer_pairs
from skillkit.robustness.augmentation import attacked_copy
from skillkit.robustness.pairs import Pairs
from skillkit.robustness.robust_tuning import OBJECTIVES, Penalty, Robust, tune_robustly
from skillkit.robustness.shift import activation_shift, shift_table
from skillkit.stats.measurement import (
    Measurement,
    difference_over_originals,
    mean_of,
    paired_difference,
    ratio_over_originals,
)
from skillkit.tuning.budget import TuningBudget

#: Prompts by objective ("start": before further tuning) and seed.
Prompts = Mapping[tuple[str, int], SoftPrompt]


@check_arguments
def tune_objectives(
    backbone: Backbone,
    task_data: TaskData,
    starts: Mapping[int, SoftPrompt],
    penalties: Mapping[int, Mapping[str, Penalty]],
    budget: TuningBudget,
) -> dict[tuple[str, int], Robust]:
    """Go on tuning each prompt by each objective, with the same attacked copies of the training texts.

    Args:
        backbone: the model.
        task_data: the clean task.
        starts: the prompts by seed, all of one layout.
        penalties: by seed and objective, for the objectives that have one.
        budget: of each run.
    """
    task, layout = task_data.task, layout_of(next(iter(starts.values())))
    splits = {"train": task_data.train, "attacked": attacked_copy(task_data.train, task)}
    encoded = encode_task(backbone, TaskData(task, splits, task_data.source), layout)
    return {
        (objective, seed): tune_robustly(
            backbone,
            encoded,
            start,
            objective,
            budget,
            penalty=penalties[seed].get(objective),
            attacked=encoded.split("attacked"),
            seed=seed,
        )
        for objective in OBJECTIVES
        for seed, start in starts.items()
    }


@check_arguments
def answers_by_objective(backbone: Backbone, prompts: Prompts, pairs: Pairs) -> dict[str, pd.DataFrame]:
    """The tables of `answer_pairs` by objective, all seeds below each other with a column seed."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for (objective, seed), prompt in prompts.items():
        tables.setdefault(objective, []).append(answer_pairs(backbone, prompt, pairs).assign(seed=seed))
    return {objective: pd.concat(parts, ignore_index=True) for objective, parts in tables.items()}


@check_arguments
def attack_tables(answers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`attack_table` of every objective, with a column objective."""
    parts = [attack_table(table).assign(objective=objective) for objective, table in answers.items()]
    return pd.concat(parts, ignore_index=True)


@check_arguments
def shifts_by_objective(
    backbone: Backbone,
    prompts: Prompts,
    pairs: Pairs,
    scores: Mapping[int, NeuronScores],
    masks: Mapping[int, Mapping[str, Tensor]],
) -> dict[str, pd.DataFrame]:
    """The rows of `activation_shift` by objective, all seeds below each other; scores and masks by seed."""
    rows: dict[str, list[pd.DataFrame]] = {}
    for (objective, seed), prompt in prompts.items():
        moved = activation_shift(backbone, prompt, pairs, scores[seed].deviation, masks[seed])
        rows.setdefault(objective, []).append(moved)
    return {objective: pd.concat(parts, ignore_index=True) for objective, parts in rows.items()}


@check_arguments
def shift_tables(shifts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`shift_table` of every objective, for each mask by itself, with a column objective."""
    parts = [shift_table(rows).assign(objective=objective) for objective, rows in shifts.items()]
    frame = pd.concat(parts, ignore_index=True)
    return frame[~frame["neurons"].str.contains(" - ")].reset_index(drop=True)


@check_arguments
def clean_answers(
    backbone: Backbone, prompts: Prompts, dataset: Encoded, task_data: TaskData
) -> dict[str, NDArray[np.float64]]:
    """Share of an objective's prompts that answer each clean text rightly, [texts] by objective."""
    found: dict[str, list] = {}
    for (objective, _), prompt in prompts.items():
        found.setdefault(objective, []).append(evaluate(backbone, prompt, dataset, task_data.task))
    return {objective: mean_correct(each) for objective, each in found.items()}


@check_arguments
def clean_table(correct: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Accuracy on clean texts: the columns of a measurement, metric ("accuracy") and objective."""
    return pd.DataFrame([mean_of(each).row("accuracy", objective=name) for name, each in correct.items()])


@check_arguments
def clean_changes(correct: Mapping[str, NDArray[np.float64]], reference: str = "plain") -> pd.DataFrame:
    """Accuracy on clean texts minus that of a reference, text by text, for every objective but the start.

    Returns:
        The columns of a measurement, metric ("clean_test"), objective and attack ("clean test").
    """
    return pd.DataFrame(
        [
            paired_difference(correct[name], correct[reference]).row(
                "clean_test", objective=name, attack="clean test"
            )
            for name in OBJECTIVES
            if name in correct and name != reference
        ]
    )


@check_arguments
def compare_answers(
    answers: Mapping[str, pd.DataFrame], reference: str = "plain", *, seed: Seed = 0
) -> pd.DataFrame:
    """What each objective changes against a reference, on the same pairs.

    Args:
        answers: tables of `answer_pairs` by objective.
        reference: the objective to compare with.
        seed: fixes the resamples.

    Returns:
        The columns of a measurement (objective minus reference, over originals, paired), objective, attack
        ("all" or a method) and metric: clean_accuracy, adversarial_accuracy, drop (negative: the objective
        loses less) and margin (of the adversarial answers).

    Raises:
        SkillkitError: the reference is missing, or the tables are of different pairs.
    """
    if reference not in answers:
        raise SkillkitError(
            f"There are no answers for the reference {reference!r}, only for {', '.join(answers)}."
        )
    base = answers[reference]
    attacks = {"all": base["paired"]}
    attacks |= {m: base["paired"] & (base["method"] == m) for m in sorted(set(base["method"]))}
    rows = []
    for objective, table in answers.items():
        if list(table["example"]) != list(base["example"]):
            raise SkillkitError(
                f"{objective!r} and {reference!r} answered different examples. Use the same pairs and seeds."
            )
        if objective == reference:
            continue
        for attack, chosen in attacks.items():
            changes = _changes(table[chosen], base[chosen], seed) if chosen.any() else {}
            rows += [m.row(metric, objective=objective, attack=attack) for metric, m in changes.items()]
    return pd.DataFrame(rows)


@check_arguments
def change_of(changes: pd.DataFrame, objective: str, metric: str, attack: str = "all") -> Measurement:
    """One measurement out of a table of changes."""
    (row,) = changes[
        (changes["objective"] == objective) & (changes["metric"] == metric) & (changes["attack"] == attack)
    ].to_dict("records")
    return Measurement.of_row(row)


def _changes(table: pd.DataFrame, base: pd.DataFrame, seed: int) -> dict[str, Measurement]:
    """Differences of two tables of answers to the same pairs, row by row."""
    groups, n = base["group"].to_numpy(), table["example"].nunique()
    clean, adversarial = (table[f"{t}_correct"] - base[f"{t}_correct"] for t in ("clean", "adversarial"))
    margin = table["adversarial_margin"] - base["adversarial_margin"]
    return {
        "clean_accuracy": difference_over_originals(clean, groups, n, seed=seed),
        "adversarial_accuracy": difference_over_originals(adversarial, groups, n, seed=seed),
        "drop": difference_over_originals(clean - adversarial, groups, n, seed=seed),
        "margin": ratio_over_originals(margin, groups, n=n, seed=seed),
    }
