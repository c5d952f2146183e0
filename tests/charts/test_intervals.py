"""Values with their intervals, in panels and with colours that mean something."""

import pandas as pd
from figure_tables import correlations, draw

from skillkit import charts


def test_dots_are_described_with_the_intervals_they_have():
    description = draw("interval_dots").to_dict()["description"]
    assert "ON a 0.50 (0.10 to 0.80)" in description and "ON b 0.40; " in description


def test_dots_can_be_split_into_panels():
    spec = draw("interval_dots", colour="metric", panel="aggregation").to_dict()
    assert spec["facet"]["field"] == "aggregation" and spec["columns"] == 2
    assert "E b 0.25" in spec["description"]
    three = draw("interval_dots", panel=charts.Panels("aggregation", across=3)).to_dict()
    assert three["columns"] == 3 and three["spec"]["width"] < spec["spec"]["width"]


def test_colours_that_repeat_the_lines_have_no_legend():
    spec = draw("interval_dots", colour="metric").to_dict()
    assert all(layer["encoding"]["color"]["legend"] is None for layer in spec["layer"][:2])
    assert "shape" not in spec["layer"][1]["encoding"]


def test_seeds_of_one_prompt_have_lines_of_their_own():
    table = correlations().assign(prompt="tuned", seed=[0, 1, 2, 3], n=10)
    spec = charts.accuracy_bars(table).to_dict()
    rows = next(pd.DataFrame(rows) for rows in spec["datasets"].values() if "row" in rows[0])
    assert rows["row"].tolist() == [f"tuned, seed {seed}" for seed in range(4)]
