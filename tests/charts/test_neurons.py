"""The figures of notebooks 05 to 07 carry their axes, intervals and descriptions."""

import pandas as pd
import pytest

from skillkit.charts.neurons import lines, site_profile

TABLE = pd.DataFrame(
    {
        "stack": ["encoder"] * 4 + ["decoder"] * 2,
        "layer": [0, 1, 0, 1, 0, 0],
        "prompt": ["tuned", "tuned", "random", "random", "tuned", "random"],
        "value": [0.6, 0.9, 0.5, 0.55, 0.8, 0.5],
        "low": [0.5, 0.8, 0.4, 0.5, 0.7, 0.4],
        "high": [0.7, 0.95, 0.6, 0.6, 0.9, 0.6],
    }
)


def test_site_profile_has_a_panel_per_stack_and_says_what_it_shows():
    spec = site_profile(TABLE, series="prompt", y_title="predictivity", title="Where").to_dict()
    assert spec["facet"]["field"] == "stack" and spec["facet"]["sort"] == ["encoder", "decoder"]
    assert "encoder tuned from 0.60 to 0.90" in spec["description"]
    marks = [layer["mark"]["type"] for layer in spec["spec"]["layer"]]
    assert marks == ["area", "line", "point"]


def test_lines_take_a_logarithmic_axis_and_no_intervals():
    table = TABLE[TABLE["stack"] == "encoder"].assign(kept=[1, 50, 1, 50]).drop(columns=["low", "high"])
    spec = lines(
        table, x="kept", series="prompt", x_title="kept (%)", y_title="accuracy", title="Pruned", log=True
    ).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["line", "point"]
    assert spec["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert spec["layer"][0]["encoding"]["x"]["title"] == "kept (%)"


@pytest.mark.parametrize(("layers", "steps"), [([0, 1], 1), ([0.0, 0.5], None)])
def test_whole_numbers_have_no_ticks_between_them(layers, steps):
    table = pd.DataFrame({"layer": layers, "series": "skill", "value": [0.1, 0.2]})
    spec = lines(table, x="layer", series="series", x_title="", y_title="", title="A title").to_dict()
    assert spec["layer"][0]["encoding"]["x"]["axis"].get("tickMinStep") == steps


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="series"):
        lines(TABLE, x="layer", series="series", x_title="", y_title="", title="")
