"""The figures about patching and calibration: what they draw and say, and that they become pictures."""

import pandas as pd
import pytest

from skillkit.charts.figures import png
from skillkit.charts.robustness import reliability_diagram, share_curves


def curves():
    rows = [
        {
            "fraction": f,
            "neurons": name,
            "direction": d,
            "value": f * s,
            "low": f * s - 0.1,
            "high": f * s + 0.1,
            "n": 50,
        }
        for f in (0.05, 0.2)
        for name, s in (("skill", 3.0), ("random", 1.0))
        for d in ("restore", "damage")
    ]
    return pd.DataFrame(rows)


def bins():
    return pd.DataFrame(
        {"text": ["clean", "adversarial"], "confidence": [0.8, 0.9], "value": [0.8, 0.5], "low": [0.7, 0.4], "high": [0.9, 0.6],
         "n": [40, 60]}
    )  # fmt: skip


@pytest.mark.parametrize("chart", [share_curves(curves()), reliability_diagram(bins())])
def test_charts_become_pictures(chart):
    assert png(chart, scale=0.3).startswith(b"\x89PNG")


def test_curves_say_where_they_end():
    spec = share_curves(curves()).to_dict()
    assert "restore skill 0.60" in spec["description"] and "damage random 0.20" in spec["description"]


def test_the_diagram_says_how_overconfident_answers_are():
    assert (
        "adversarial: confidence minus accuracy +0.40" in reliability_diagram(bins()).to_dict()["description"]
    )


def test_missing_columns_are_named():
    with pytest.raises(ValueError, match="direction"):
        share_curves(curves().drop(columns="direction"))
    with pytest.raises(ValueError, match="confidence"):
        reliability_diagram(bins().drop(columns="confidence"))
