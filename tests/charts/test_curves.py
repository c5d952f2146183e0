"""Curves carry their axes, intervals and descriptions."""

import pandas as pd
import pytest
from figure_tables import draw, profile

from skillkit import charts


def marks(layers):
    return [layer["mark"]["type"] for layer in layers]


def test_site_profile_has_a_panel_per_stack_and_says_what_it_shows():
    spec = draw("site_profile").to_dict()
    assert spec["facet"]["field"] == "stack" and spec["facet"]["sort"] == ["encoder", "decoder"]
    assert "encoder tuned from 0.60 to 0.90" in spec["description"]
    assert marks(spec["spec"]["layer"]) == ["area", "line", "point"]


def test_lines_take_a_logarithmic_axis_and_no_intervals():
    table = profile()[:4].assign(kept=[1, 50, 1, 50]).drop(columns=["low", "high"])
    spec = draw("lines", table, x="kept", x_title="kept (%)", log=True).to_dict()
    assert marks(spec["layer"]) == ["line", "point"]
    assert spec["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert spec["layer"][0]["encoding"]["x"]["title"] == "kept (%)"


@pytest.mark.parametrize(("layers", "steps"), [([0, 1], 1), ([0.0, 0.5], None)])
def test_whole_numbers_have_no_ticks_between_them(layers, steps):
    table = pd.DataFrame({"layer": layers, "prompt": "skill", "value": [0.1, 0.2]})
    spec = draw("lines", table).to_dict()
    assert spec["layer"][0]["encoding"]["x"]["axis"].get("tickMinStep") == steps


def test_curves_say_where_they_end():
    said = draw("share_curves").to_dict()["description"]
    assert "restore skill 0.60" in said and "damage random 0.20" in said
    said = draw("perturbation_curves").to_dict()["description"]
    assert "zero skill 0.50 at 20 %; zero random 0.82 at 20 %" in said


def test_one_panel_needs_no_facets():
    table = profile()[:4]
    assert "facet" not in draw("site_profile", table).to_dict()
    assert "facet" in charts.site_profile(profile(), series="prompt", y_title="y", title="t").to_dict()
