"""Tuning from other prompts, and the definitions of the speed-ups by hand."""

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_backbone, toy_data

from skillkit.transfer.starts import FRESH, Starts, choose_starts, speed_ups, start_claims, tune_from
from skillkit.tuning.prompt import tune_prompt


def test_tuning_from_a_tuned_prompt_starts_where_that_prompt_is():
    backbone, data = tiny_backbone("roberta"), toy_data(train=120)
    budget = {"steps": 60, "batch_size": 16, "learning_rate": 0.1, "evaluate_every": 15}
    tuned = tune_prompt(backbone, data, length=3, seed=0, **budget)
    tried = tune_from(backbone, data, {"itself": {0: tuned.prompt}}, seeds=[0], length=3, **budget)

    fresh = tried.curves[tried.curves["start"] == FRESH].set_index("step")["accuracy"]
    assert fresh.index.tolist() == [0, 15, 30, 45, 60]
    assert fresh.loc[15:].tolist() == pytest.approx(
        tuned.history["accuracy"].tolist()
    )  # the same run as tune_prompt's
    again = tried.curves[tried.curves["start"] == "itself"].set_index("step")["accuracy"]
    assert again[0] == pytest.approx(tuned.validation_accuracy)
    assert tuned.validation_accuracy > fresh[0]  # there was something to learn

    ups = tried.speed_ups().set_index("start")
    assert ups.loc["itself", "steps_to_fresh_best"] == 0
    assert ups.loc["itself", "comparable_speed_up"] >= 1
    results = tried.results.set_index("start")
    assert results.loc[FRESH, "n"] == len(data.test)
    assert results.loc[FRESH, "low"] < results.loc[FRESH, "value"] < results.loc[FRESH, "high"]


def test_a_short_last_stretch_does_not_sharpen_the_resolution():
    curves = pd.DataFrame(
        {"start": name, "seed": 0, "step": step, "accuracy": value, "n": 100}
        for name, values in {FRESH: [0.5, 0.6, 0.8, 0.8], "there": [0.8, 0.8, 0.8, 0.8]}.items()
        for step, value in zip((0, 20, 40, 50), values, strict=True)
    )
    assert speed_ups(curves).set_index("start").loc["there", "comparable_speed_up"] == 2


def test_speed_ups_by_hand():
    runs = {
        FRESH: [0.50, 0.60, 0.70, 0.80, 0.79],
        "quick": [0.60, 0.80, 0.90, 0.895, 0.90],
        "never": [0.50, 0.55, 0.60, 0.60, 0.60],
        "there": [0.85, 0.80, 0.80, 0.80, 0.80],
    }
    curves = pd.DataFrame(
        [
            {"start": name, "seed": 0, "step": 10 * i, "accuracy": value, "n": 100}
            for name, values in runs.items()
            for i, value in enumerate(values)
        ]
    )
    ups = speed_ups(curves, tolerance=0.01).set_index("start")
    assert ups["steps_to_fresh_best"].to_dict() == pytest.approx(
        {FRESH: 30, "quick": 10, "never": np.nan, "there": 0}, nan_ok=True
    )
    assert ups["comparable_speed_up"].to_dict() == pytest.approx(
        {FRESH: 1, "quick": 3, "never": np.nan, "there": 3}, nan_ok=True
    )
    assert ups["steps_to_convergence"].to_dict() == {FRESH: 30, "quick": 20, "never": 20, "there": 0}
    assert ups["convergence_speed_up"].to_dict() == pytest.approx(
        {FRESH: 1, "quick": 1.5, "never": 1.5, "there": 3}
    )


def test_targets_are_one_of_each_type_with_a_relative():
    types = {"a": "x", "b": "y", "c": "x", "d": "z", "e": "y"}
    assert choose_starts(types, 5) == {
        "a": {"same type": "c", "other type": "b"},
        "b": {"same type": "e", "other type": "a"},
    }
    assert list(choose_starts(types, 1)) == ["a"]
    assert choose_starts({"a": "x", "b": "y"}, 2) == {"a": {"other type": "b"}, "b": {"other type": "a"}}
    assert choose_starts({"a": "x", "b": "x"}, 2) == {"a": {"same type": "b"}}


def two_targets():
    """Two seeds, two targets: `same type` always ends 0.1 better, and is sooner in three of four runs."""
    curves, results = [], []
    for target in ("one", "two"):
        for start in (FRESH, "same type"):
            for seed in (0, 1):
                slow = start == FRESH or (target, seed) == ("two", 1)
                values = [0.5, 0.6, 0.8] if slow else [0.5, 0.8, 0.8]
                for place, value in enumerate(values):
                    curves.append((target, start, seed, 10 * place, value, 50))
                results.append(
                    (target, start, seed, 0.7 + 0.1 * (start != FRESH), 40, "texts", 0.5, 0.9, "Wilson")
                )
    names = ["target", "start", "seed"]
    return Starts(
        pd.DataFrame(curves, columns=[*names, "step", "accuracy", "n"]),
        pd.DataFrame(results, columns=[*names, "value", "n", "unit", "low", "high", "interval"]),
    )


def test_claims_about_starts_compare_runs_of_one_seed():
    starts = two_targets()
    better, sooner = start_claims(starts)
    assert better["value"] == pytest.approx(0.1) and (better["n"], better["unit"]) == (4, "runs")
    assert sooner["value"] == 0.75 and sooner["border"] == 0.5 and sooner["n"] == 4
    assert starts.compared()["comparable_speed_up"].tolist() == [1, 1, 2, 2, 1, 1, 2, 1]
    rows = starts.rows()
    assert rows["metric"].value_counts().to_dict() == {
        "validation_curve": 24,
        "start_accuracy": 8,
        "comparable_speed_up": 8,
        "convergence_speed_up": 8,
    }


def test_starts_of_several_targets_are_kept_apart():
    both = two_targets()
    parts = {
        target: Starts(
            *(frame[frame["target"] == target].drop(columns="target") for frame in vars(both).values())
        )
        for target in ("two", "one")
    }
    joined = Starts.of(parts)
    assert joined.curves["target"].unique().tolist() == ["two", "one"]
    assert len(joined.speed_ups()) == 8
    pd.testing.assert_frame_equal(
        joined.speed_ups().query("target == 'one'").drop(columns="target").reset_index(drop=True),
        parts["one"].speed_ups(),
    )
