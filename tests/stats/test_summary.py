"""The table of all claims pools, counts and corrects as a slow reference does."""

import numpy as np
import pandas as pd
import pytest

from skillkit.errors import SkillkitError
from skillkit.stats.claims import claim, claim_rows, untested
from skillkit.stats.measurement import Measurement
from skillkit.stats.pooling import pool
from skillkit.stats.published import said
from skillkit.stats.summary import sum_claims, summary_table


def cell(text: str, value: float, half: float, source: str = "Wang et al.", border: float = 0.0) -> dict:
    measured = Measurement(value, 100, "texts", value - half, value + half, "bootstrap over texts")
    return claim(text, measured, border=border, source=source)


def page(*by_task: list[dict], model: str = "mini") -> pd.DataFrame:
    rows = [
        {**row, "model": model, "task": f"task {number}"}
        for number, claims in enumerate(by_task)
        for row in claim_rows(claims)
    ]
    return pd.DataFrame(rows)


def test_a_claim_is_pooled_over_tasks_and_its_verdicts_counted():
    cells = [cell("A", 0.3, 0.1), cell("A", 0.1, 0.2), cell("A", 0.28, 0.1)]
    (row,) = sum_claims({"03": page(*([each] for each in cells))}).to_dict("records")
    expected = pool([Measurement(c["value"], 1, "tasks", c["low"], c["high"], "x") for c in cells])
    assert row["value"] == pytest.approx(expected.measurement.value)
    assert (row["low"], row["high"]) == pytest.approx((expected.measurement.low, expected.measurement.high))
    assert row["heterogeneity"] == pytest.approx(expected.heterogeneity)
    assert row["p"] == pytest.approx(expected.p / 2), "the claim names a direction"
    assert (row["held"], row["undecided"], row["did not hold"], row["not tested"]) == (2, 1, 0, 0)
    assert row["cells"] == 3 and row["by_luck"] == pytest.approx(0.075)
    assert (row["n"], row["unit"]) == (3, "tasks") and row["verdict"] == "held"


def test_a_single_cell_stays_as_it_was_measured():
    (row,) = sum_claims({"08": page([cell("A", 0.3, 0.1)])}).to_dict("records")
    assert (row["value"], row["low"], row["n"], row["unit"]) == (0.3, pytest.approx(0.2), 100, "texts")
    assert np.isnan(row["heterogeneity"]) and row["verdict"] == "held"


def test_tasks_with_borders_of_their_own_are_pooled_by_how_far_they_lie_above():
    cells = [[cell("A", 0.9, 0.05, border=0.5)], [cell("A", 0.6, 0.05, border=0.3)]]
    (row,) = sum_claims({"02": page(*cells)}).to_dict("records")
    assert row["border"] == 0 and 0.3 < row["value"] < 0.4
    same = [[cell("A", 0.9, 0.05, border=0.5)], [cell("A", 0.8, 0.05, border=0.5)]]
    (row,) = sum_claims({"02": page(*same)}).to_dict("records")
    assert row["border"] == 0.5 and row["value"] == pytest.approx(0.85)


def test_untested_cells_are_counted_and_pooled_with_nothing():
    cells = [[cell("A", 0.3, 0.1)], [untested("A", "no prompt has learned the task", "Wang et al.")]]
    (row,) = sum_claims({"02": page(*cells)}).to_dict("records")
    assert row["not tested"] == 1 and row["value"] == 0.3 and row["by_luck"] == pytest.approx(0.025)
    (row,) = sum_claims({"02": page(cells[1])}).to_dict("records")
    assert row["verdict"] == "not tested" and np.isnan(row["value"]) and np.isnan(row["q"])


def test_q_values_are_benjamini_and_hochberg_s_inside_each_paper():
    claims = [cell(f"{paper} {i}", 0.02 * i, 0.1, f"{paper}, of T5") for paper in "PQ" for i in range(1, 9)]
    summed = sum_claims({"03": page(claims)})
    assert set(summed["paper"]) == {"P", "Q"}
    for _, rows in summed.groupby("paper"):
        p = rows["p"].to_numpy()
        order = np.argsort(p)
        stepped = [p[i] * len(p) / (rank + 1) for rank, i in enumerate(order)]
        reference = np.empty(len(p))
        for rank, i in enumerate(order):  # the slow way: the least of all later ones
            reference[i] = min(1.0, *stepped[rank:], 1.0)
        assert rows["q"].to_numpy() == pytest.approx(reference)


def test_claims_of_no_paper_are_ours_and_those_of_the_whole_study_of_all_models():
    rows = page([cell("A", 0.3, 0.1, "this study")]).assign(model=pd.NA)
    (row,) = sum_claims({"09": rows}).to_dict("records")
    assert row["paper"] == "ours" and row["model"] == "all"


def test_the_null_holds_no_more_often_than_luck_allows():
    rng = np.random.default_rng(0)
    claims = [cell(f"claim {i}", value, 1.96) for i, value in enumerate(rng.normal(size=2000))]
    summed = sum_claims({"03": page(claims)})
    assert summed["held"].mean() == pytest.approx(summed["by_luck"].mean(), abs=0.01)
    assert (summed["q"] < 0.05).sum() <= 5


def test_the_table_shows_estimate_counts_and_q():
    cells = [[cell("skill hurts more", 0.3, 0.1)], [cell("skill hurts more", 0.2, 0.1)]]
    text = summary_table(sum_claims({"03": page(*cells)}))
    assert "| skill hurts more | mini | +0.250 (" in text and "I²" in text
    assert "| 2 · 0 · 0 · 0 (0.1) |" in text and "nan" not in text


def test_what_the_paper_says_stands_beside_its_claim():
    text = summary_table(
        sum_claims({"01": page([cell("The tuned prompt beats none", 0.4, 0.1, "all three")])})
    )
    assert "| The tuned prompt beats none<br>*Prompt tuning works on a frozen model." in text
    assert said("ours", "The tuned prompt beats none") == ""


def test_the_models_of_a_claim_stand_below_each_other():
    claims = [cell("A", 0.3, 0.1), cell("B", 0.3, 0.1)]
    tables = {"03": pd.concat([page(claims, model="one"), page(claims, model="two")])}
    starts = [line[:9] for line in summary_table(sum_claims(tables)).splitlines()[2:]]
    assert starts == ["| A | one", "|  | two ", "| B | one", "|  | two "]


def test_a_claim_that_only_the_number_of_claims_explains_says_so():
    claims = [cell(f"claim {i}", 0.0, 1.0) for i in range(40)] + [cell("lucky", 1.01, 1.0)]
    summed = sum_claims({"03": page(claims)})
    assert summed["verdict"].tolist()[-1] == "held" and summed["q"].tolist()[-1] > 0.05
    assert "**held**, but not among so many claims" in summary_table(summed)


def test_no_claim_is_an_error():
    with pytest.raises(SkillkitError, match="No table holds a claim"):
        sum_claims({"03": pd.DataFrame({"metric": ["accuracy"]})})
