"""Robustness against neuron consistency: what a point is, and what the correlation says of planted ones."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skillkit.charts.robustness import consistency_scatter
from skillkit.robustness.consistency import MEASURES, consistency_correlations, consistency_points, seed_rows


def answers(clean: list[int], adversarial: list[int], paired: list[bool] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "paired": [True] * len(clean) if paired is None else paired,
            "group": range(len(clean)),
            "clean_correct": clean,
            "adversarial_correct": adversarial,
        }
    )


def overlaps(attacked: float, originals: float) -> pd.DataFrame:
    values = {"value": [originals, attacked], "expected": 0.1, "first": 20}
    return pd.DataFrame({"text": ["clean originals", "adversarial"], **values})


def test_robustness_is_the_share_of_right_answers_that_stay_right() -> None:
    answered = answers([1, 1, 1, 0, 1], [1, 0, 1, 1, 0], [True, True, True, True, False])
    rows = seed_rows(answered, overlaps(0.4, 0.7), seed=3)
    by_metric = {row["metric"]: row for row in rows}
    assert by_metric["robustness"]["value"] == pytest.approx(2 / 3) and by_metric["robustness"]["n"] == 3
    assert by_metric["overlap"]["value"] == 0.4
    assert by_metric["overlap_kept"]["value"] == pytest.approx(-0.3)
    assert {row["seed"] for row in rows} == {3}


def test_several_attacks_on_one_original_do_not_narrow_robustness() -> None:
    once = answers([1] * 12, [1, 1, 0] * 4)
    rows = [seed_rows(each, overlaps(0.4, 0.4), seed=0)[0] for each in (once, pd.concat([once] * 9))]
    assert (rows[0]["n"], rows[1]["n"]) == (12, 108) and rows[0]["interval"] == "bootstrap over originals"
    assert (rows[1]["low"], rows[1]["high"]) == pytest.approx((rows[0]["low"], rows[0]["high"]))


def test_a_prompt_that_answers_nothing_has_no_robustness() -> None:
    metrics = [row["metric"] for row in seed_rows(answers([0, 0], [1, 0]), overlaps(0.4, 0.4), seed=0)]
    assert metrics == list(MEASURES)


def page(
    model: str, task: str, robustness: float, overlap: float, low: float = 0.6, seed: int = 0
) -> pd.DataFrame:
    rows = [
        {"metric": "robustness", "value": robustness, "n": 90, "seed": seed},
        {"metric": "overlap", "value": overlap, "seed": seed},
        {"metric": "overlap_kept", "value": overlap - 0.5, "seed": seed},
        {"metric": "clean_accuracy", "attack": "all", "value": low + 0.1, "low": low},
        {"metric": "against_chance", "chance": 0.5},
    ]
    return pd.DataFrame(rows).assign(model=model, task=task)


def test_cells_that_are_not_better_than_chance_are_left_out() -> None:
    table = pd.concat([page("m", "able", 0.8, 0.6), page("m", "guessing", 0.3, 0.2, low=0.45)])
    points = consistency_points(table)
    assert points[["task", "robustness", "overlap", "n"]].values.tolist() == [["able", 0.8, 0.6, 90]]


def test_a_prompt_that_always_answers_the_most_frequent_label_is_left_out() -> None:
    constant = page("m", "constant", 1.0, 0.5, low=0.53)
    most_frequent = pd.DataFrame(
        [{"metric": "against_chance", "chance": 0.6, "model": "m", "task": "constant"}]
    )
    assert consistency_points(pd.concat([constant, most_frequent])).empty


def test_no_points_are_left_without_an_error() -> None:
    cells = page("m", "able", 0.8, 0.6)
    assert consistency_points(cells[cells["metric"] != "robustness"]).empty


def test_a_study_without_twins_has_no_points() -> None:
    assert consistency_points(pd.DataFrame(columns=["metric"])).empty
    assert consistency_correlations(consistency_points(pd.DataFrame(columns=["metric"])))["n"].tolist() == [
        0,
        0,
    ]


def planted(tasks: int, slope: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    overlap = rng.uniform(size=(tasks, 4))
    return pd.DataFrame(
        {
            "model": np.tile(["small", "small", "large", "large"], tasks),
            "task": np.repeat([f"t{i}" for i in range(tasks)], 4),
            "seed": np.tile([0, 1], 2 * tasks),
            "robustness": (slope * overlap + 0.1 * rng.normal(size=overlap.shape)).ravel(),
            "overlap": overlap.ravel(),
            "overlap_kept": rng.normal(size=overlap.size),
            "n": 50,
        }
    )


def test_a_planted_relation_is_found_and_an_unrelated_measure_is_not() -> None:
    points = planted(8, slope=1.0)
    table = consistency_correlations(points).set_index(["measure", "model"])
    found = table.loc["overlap", "all models"]
    assert found["value"] == pytest.approx(stats.spearmanr(points["robustness"], points["overlap"]).statistic)
    assert found["low"] > 0.5 and found["n"] == 32 and found["tasks"] == 8
    unrelated = table.loc["overlap_kept", "all models"]
    assert unrelated["low"] < 0 < unrelated["high"]
    assert set(table.loc["overlap"].index) == {"all models", "small", "large"}


@pytest.mark.slow
def test_the_interval_depends_on_tasks_not_on_copies_of_a_task() -> None:
    """Repeating every point adds no witness: the bootstrap draws tasks."""
    points = planted(6, slope=0.2)
    once = consistency_correlations(points).iloc[0]
    twice = consistency_correlations(pd.concat([points, points])).iloc[0]
    assert twice["low"] == pytest.approx(once["low"], abs=0.02)
    assert twice["high"] == pytest.approx(once["high"], abs=0.02)


def test_three_tasks_give_no_interval() -> None:
    row = consistency_correlations(planted(3, slope=1.0)).iloc[0]
    assert np.isnan(row["low"]) and not np.isnan(row["value"])


def test_the_figure_has_a_panel_per_measure_and_says_what_it_shows() -> None:
    chart = consistency_scatter(planted(4, slope=1.0), MEASURES).to_dict()
    assert len(chart["hconcat"]) == 2 and "small: robustness" in chart["description"]
