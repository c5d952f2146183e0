"""How much accuracy an attack costs, from the table of `answers.answer_pairs`: originals are the unit."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pandas as pd

from skillkit.checks import Rule, Seed, check_arguments
from skillkit.errors import SkillkitError
from skillkit.robustness.answers import Answers, paired_answers
from skillkit.stats.claims import verdict
from skillkit.stats.exact import share_test, sign_flip_test
from skillkit.stats.measurement import Measurement, difference_over_originals, mean_over_originals

Classes = Annotated[int, Rule("a whole number of at least 2", lambda value: value >= 2)]
"""How many labels a task has."""


@check_arguments
def attack_table(examples: Answers, by: str | None = None, *, seed: Seed = 0) -> pd.DataFrame:
    """How much an attack costs, one row per measurement, for all examples or for each value of a column.

    Args:
        examples: from `answer_pairs`; tables of several prompts may be put below each other.
        by: None, `data_construction` or `method`.
        seed: fixes the resamples.

    Returns:
        The columns of a measurement, attack (the value of `by`, or "all"), metric, and p. Metrics:

        - clean_accuracy, adversarial_accuracy, drop (the first minus the second; p: exact test over
          originals, `sign_flip_test`): on the pairs
        - flip_rate: share of pairs that get two different answers
        - success_rate: share of adversarial answers that are wrong, where the clean one is right
        - adversarial_accuracy_all: with the examples that have no original

    Raises:
        SkillkitError: there is no such column, no row, or an answer that is missing.
    """
    if by is not None and by not in examples:
        raise SkillkitError(f"The examples have no column {by!r}; they have {', '.join(examples.columns)}.")
    kinds = [("all", examples)] if by is None else list(examples.groupby(by, sort=True))
    rows = []
    for kind, part in kinds:
        if part["paired"].any():
            rows += [{"attack": str(kind), **row} for row in _pair_rows(paired_answers(part), seed)]
        every = _accuracy(part, "adversarial_correct", "texts", seed)
        rows.append({"attack": str(kind), **every.row("adversarial_accuracy_all", p=np.nan)})
    return pd.DataFrame(rows)


@check_arguments
def chance_test(examples: Answers, classes: Classes, *, seed: Seed = 0) -> pd.DataFrame:
    """Is adversarial accuracy below chance? There are two readings of chance.

    Args:
        examples: from `answer_pairs`, of one prompt or several.
        classes: number of labels.
        seed: fixes the resamples.

    Returns:
        One row for a uniform guess, and one for always the most frequent label. The columns of a measurement
        (accuracy on all adversarial examples), reference, chance, p_below and p_above (exact one-sided tests
        over originals, `share_test`), and verdict: whether the claim holds that accuracy is below chance, by
        its interval.
    """
    labels = examples.drop_duplicates("example")["label"]
    accuracy = _accuracy(examples, "adversarial_correct", "texts", seed)
    references = {
        "uniform guess": 1 / classes,
        "most frequent label": float(labels.value_counts(normalize=True).max()),
    }
    rows = []
    for reference, chance in references.items():
        below, above = share_test(examples["adversarial_correct"], examples["group"], chance)
        lacking = accuracy.subtracted_from(chance)
        found = {"reference": reference, "chance": chance, "p_below": below, "p_above": above}
        rows.append(
            accuracy.row("adversarial_accuracy_all", **found, verdict=verdict(lacking.low, lacking.high))
        )
    return pd.DataFrame(rows)


@check_arguments
def short_of_chance(row: Mapping[str, Any]) -> Measurement:
    """By how much accuracy stays below chance, from a row of `chance_test`: above 0 where it is below."""
    return Measurement.of_row(row).subtracted_from(float(row["chance"]))


def _pair_rows(pairs: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """The metrics that need an original, from pairs alone."""
    groups, n = pairs["group"].to_numpy(), pairs["example"].nunique()
    lost = (pairs["clean_correct"] - pairs["adversarial_correct"]).to_numpy()
    flipped = (pairs["clean_prediction"] != pairs["adversarial_prediction"]).to_numpy(dtype=float)
    drop = difference_over_originals(lost, groups, n, seed=seed)
    rows = [
        _accuracy(pairs, "clean_correct", "pairs", seed).row("clean_accuracy"),
        _accuracy(pairs, "adversarial_correct", "pairs", seed).row("adversarial_accuracy"),
        drop.row("drop", p=sign_flip_test(lost, groups)),
        mean_over_originals(flipped, groups, n, "pairs", seed=seed).row("flip_rate"),
    ]
    right = pairs[pairs["clean_correct"] == 1]
    if len(right):
        wrong = right.assign(broken=1 - right["adversarial_correct"])
        rows.append(_accuracy(wrong, "broken", "pairs", seed).row("success_rate"))
    return [{"p": np.nan, **row} for row in rows]


def _accuracy(examples: pd.DataFrame, column: str, unit: str, seed: int) -> Measurement:
    """Mean of a column of 0/1 outcomes."""
    outcomes, originals = examples[column].to_numpy(dtype=float), examples["group"].to_numpy()
    return mean_over_originals(outcomes, originals, examples["example"].nunique(), unit, seed=seed)
