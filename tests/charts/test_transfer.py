"""The figures draw what their tables hold, and say so in words."""

import numpy as np
import pandas as pd
import pytest

from skillkit.charts import transfer as charts
from skillkit.charts.figures import png


def drawn(chart, *words):
    """The chart's description holds the words, and it renders to a picture that is not blank."""
    spec = chart.to_dict()
    for word in words:
        assert word in spec["description"]
    assert len(png(chart, scale=0.5)) > 1500
    return spec


def test_interval_dots_with_and_without_panels():
    table = pd.DataFrame(
        {
            "metric": ["ON", "ON", "E", "E"],
            "aggregation": ["a", "b"] * 2,
            "value": [0.5, 0.4, -0.1, 0.25],
            "low": [0.1, np.nan, -0.3, 0.2],
            "high": [0.8, np.nan, 0.2, 0.3],
        }
    )
    options = {"x_title": "Spearman", "title": "Prediction", "level": 0.0}
    drawn(
        charts.interval_dots(table, row="metric", colour="aggregation", **options), "ON a 0.50 (0.10 to 0.80)"
    )
    spec = drawn(
        charts.interval_dots(table, row="metric", colour="metric", panel="aggregation", **options), "E b 0.25"
    )
    assert spec["facet"]["field"] == "aggregation"
    with pytest.raises(ValueError, match="low"):
        charts.interval_dots(table.drop(columns="low"), row="metric", colour="metric", **options)


def test_type_strip_and_metric_scatter():
    tasks, types = ["a", "b", "c"], {"a": "x", "b": "x", "c": "y"}
    relative = np.array([[1, 0.9, 0.5], [0.8, 1, 0.6], [0.4, 0.5, 1]])
    pairs = charts.metric_pairs({"ON": relative**2, "E": -relative}, relative, tasks, types)
    assert len(pairs) == 12
    assert set(pairs.loc[pairs["pair"] == "same type", "relative"]) == {0.9, 0.8}
    drawn(
        charts.type_strip(pairs[pairs["metric"] == "ON"]),
        "same type: mean 0.85 of 2 pairs",
        "different type: mean 0.50 of 4",
    )
    drawn(charts.metric_scatter(pairs, ["ON", "E"]), "ON 1.00", "E -1.00")


def test_start_curves():
    rows = [
        {
            "target": target,
            "start": start,
            "seed": seed,
            "step": step,
            "accuracy": 0.5 + step / 100 + seed / 10,
        }
        for target in ("one", "two")
        for start in ("fresh", "other")
        for seed in (0, 1)
        for step in (0, 10)
    ]
    drawn(charts.start_curves(pd.DataFrame(rows)), "two from other ends at 0.65")


def test_norms_and_overlap_history():
    norms = pd.DataFrame(
        {
            "model": ["r"] * 3,
            "task": ["a", "b", "c"],
            "seed": [1] * 3,
            "steps": [10, 100, 1000],
            "norm": [1.0, 2.0, 9.0],
        }
    )
    drawn(charts.norm_scatter(norms), "Spearman correlation 1.000")
    history = pd.DataFrame(
        {"activation": ["gate"] * 2, "pair": ["p"] * 2, "step": [1, 2], "value": [0.8, 0.6]}
    )
    drawn(charts.overlap_history(history), "gate, p: 0.80 to 0.60")
