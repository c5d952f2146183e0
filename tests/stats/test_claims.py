"""Verdicts follow the interval, and words follow the numbers."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillkit.stats.claims import (
    claim,
    claim_rows,
    claims_table,
    if_tested,
    number,
    numbers_table,
    untested,
    verdict,
)


@pytest.mark.parametrize(
    ("low", "high", "border", "expected"),
    [
        (0.01, 0.2, 0.0, "held"),
        (-0.2, -0.01, 0.0, "did not hold"),
        (-0.2, 0.0, 0.0, "undecided"),
        (-0.1, 0.2, 0.0, "undecided"),
        (0.0, 0.2, 0.0, "undecided"),
        (0.6, 0.7, 0.5, "held"),
        (0.3, 0.45, 0.5, "did not hold"),
        (math.nan, math.nan, 0.0, "undecided"),
    ],
)
def test_verdict(low: float, high: float, border: float, expected: str) -> None:
    assert verdict(low, high, border) == expected


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
def test_a_claim_and_its_opposite_never_both_hold(low: float, width: float, border: float) -> None:
    both = {verdict(low, low + width, border), verdict(-low - width, -low, -border)}
    assert both != {"held"}


def test_words_carry_value_interval_and_count() -> None:
    row = {"value": 0.8651, "low": 0.84, "high": 0.9, "n": 400}
    assert number(row) == "0.865 (0.840 to 0.900, n = 400)"
    assert number({"value": 0.1, "low": math.nan, "high": math.nan, "n": pd.NA}, signed=True) == "+0.100"


def test_the_table_says_what_the_rows_say() -> None:
    rows = [
        claim("skill hurts more", {"value": 0.1, "low": 0.05, "high": 0.15, "n": 200}, source="Wang"),
        claim("above chance", {"value": 0.4, "low": 0.35, "high": 0.45, "n": 90}, border=0.5),
    ]
    text = claims_table(rows)
    assert "| skill hurts more | Wang | +0.100 (+0.050 to +0.150, n = 200) | **held** |" in text
    assert "0.400 (0.350 to 0.450, n = 90), against 0.5 | **did not hold** |" in text
    stored = pd.DataFrame(claim_rows(rows))
    assert stored["verdict"].tolist() == ["held", "did not hold"] and set(stored["metric"]) == {"claim"}


def test_an_untested_claim_carries_its_reason_and_no_number() -> None:
    row = untested("skill hurts more", "no prompt has learned the task", source="Wang")
    assert row["verdict"] == "not tested" and all(math.isnan(row[key]) for key in ("value", "low", "high"))
    shown = claims_table([row])
    assert "| skill hurts more | Wang | no prompt has learned the task | **not tested** |" in shown
    assert "nan" not in shown


def test_a_reason_takes_the_numbers_from_all_claims() -> None:
    rows = [claim("skill hurts more", {"value": 0.1, "low": 0.05, "high": 0.15, "n": 200}, source="Wang")]
    assert if_tested(rows, "") == rows
    (row,) = if_tested(rows, "too few texts")
    assert (row["claim"], row["source"], row["reason"]) == ("skill hurts more", "Wang", "too few texts")
    assert row["verdict"] == "not tested" and math.isnan(row["value"])


def test_a_table_of_numbers_leaves_unknown_cells_empty() -> None:
    rows = pd.DataFrame(
        [
            {"prompt": "tuned", "seed": 0, "value": 0.9, "low": 0.8, "high": 0.95, "n": 100},
            {"prompt": "mean", "seed": None, "value": 0.91, "low": math.nan, "high": math.nan, "n": None},
        ]
    ).convert_dtypes()
    lines = numbers_table(rows, {"prompt": "prompt", "seed": "seed"}).splitlines()
    assert lines[2] == "| tuned | 0 | 0.900 | 0.800 to 0.950 | 100 |"
    assert lines[3] == "| mean |  | 0.910 |  |  |"
