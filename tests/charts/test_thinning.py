"""More points than a page can draw are thinned, and the figure says so."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_tables import FIGURES, draw

from skillkit import SkillkitError, charts
from skillkit.charts.thinning import thin


def history(seeds: int, steps: int) -> pd.DataFrame:
    step = np.tile(np.arange(steps), seeds)
    seed = np.repeat(range(seeds), steps)
    return pd.DataFrame({"seed": seed, "step": step, "loss": 0.5, "accuracy": step / steps})


def drawn(figure: charts.Figure) -> list[list[dict[str, Any]]]:
    return list(figure.to_dict(validate=False)["datasets"].values())


def test_a_long_tuning_is_drawn_with_its_ends_and_says_what_is_left_out():
    figure = charts.learning_curves(history(2, 2601))
    spec = figure.to_dict(validate=False)
    assert "of 5,202 points are drawn, evenly spaced" in spec["title"]["subtitle"]
    assert "of 5,202 points are drawn" in spec["description"] and "seed 0 reaches 1.00" in spec["description"]
    for rows in drawn(figure):
        assert 4000 < len(rows) <= charts.MAX_ROWS
        for seed in ("0", "1"):
            steps = [row["step"] for row in rows if row["seed"] == seed]
            assert (min(steps), max(steps)) == (0, 2600)


def test_what_a_page_can_draw_is_drawn_whole():
    whole = history(2, 2500)
    assert thin(whole, "step", ["seed"]) == (whole, "")
    assert "points are drawn" not in str(charts.learning_curves(whole).to_dict(validate=False)["title"])


LINES = ("overlap_curve", "overlap_history", "perturbation_curves", "share_curves", "start_curves")
POINTS = ("consistency_scatter", "metric_scatter", "norm_scatter", "type_strip")


@pytest.mark.parametrize("name", [*LINES, *POINTS])
def test_lines_and_points_are_thinned_everywhere(name):
    table = FIGURES[name][0]()
    copies = charts.MAX_ROWS // len(table) + 1
    x = {"overlap_history": "step", "start_curves": "step"}.get(name, "fraction")
    many = pd.concat([table] * copies, ignore_index=True)
    if name in LINES:
        many[x] = many[x] + np.repeat(np.arange(copies), len(table)) / (1 if x == "step" else copies)
    spec = draw(name, many).to_dict(validate=False)
    assert "points are drawn" in str(spec["title"]) and "points are drawn" in spec["description"]
    assert all(len(rows) <= charts.MAX_ROWS for rows in spec["datasets"].values())


@pytest.mark.parametrize("steps", [[10], [6000], [3000, 2500, 1], [4000, 20, 3999, 2]])
def test_every_line_keeps_its_first_and_last_point(steps):
    parts = [pd.DataFrame({"line": n, "x": np.arange(count)}) for n, count in enumerate(steps)]
    table = pd.concat(parts, ignore_index=True)
    kept, note = thin(table, "x", ["line"])
    assert len(kept) <= charts.MAX_ROWS and bool(note) == (len(kept) < len(table))
    for line, rows in table.groupby("line"):
        assert {rows["x"].min(), rows["x"].max()} <= set(kept.loc[kept["line"] == line, "x"])


def test_as_many_lines_as_points_are_refused():
    table = pd.DataFrame({"layer": 0, "name": range(6000), "value": 0.5})
    with pytest.raises(SkillkitError, match="aggregate"):
        charts.lines(table, x="layer", series="name", x_title="layer", y_title="value", title="Too many")
