"""Figures of single neurons: bins hold every neuron, shares add up, and a click lists a site."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_tables import draw, neurons
from hypothesis import given, settings
from hypothesis import strategies as st
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skillkit import FFNSite, SkillkitError, charts
from skillkit.book.browser import find_chromium, open_chromium
from skillkit.charts.neurons import heatmap_cells
from skillkit.charts.parts import with_sites


@settings(max_examples=25, deadline=None)
@given(width=st.integers(3, 300), seed=st.integers(0, 99))
def test_heat_map_bins_hold_every_neuron_once_and_their_maximum(width, seed):
    table, _ = with_sites(neurons(2, width, seed))
    cells = heatmap_cells(table)
    for site, rows in table.groupby("site"):
        own = cells[cells["site"] == site].sort_values("start")
        assert len(own) == min(charts.HEATMAP_COLUMNS, width)
        assert own["start"].tolist()[1:] == own["end"].tolist()[:-1]
        assert (own["start"].iloc[0], own["end"].iloc[-1]) == (0, width)
        for cell in own.to_dict("records"):
            inside = rows[(rows["neuron"] >= cell["start"]) & (rows["neuron"] <= cell["last"])]
            assert cell["highest"] == pytest.approx(inside["value"].max(), abs=1e-4)
            assert cell["median"] == pytest.approx(inside["value"].median(), abs=1e-4)
            assert inside.set_index("neuron")["value"][cell["best"]] == inside["value"].max()


def test_a_planted_neuron_is_named_in_the_heat_map_and_its_table():
    table = neurons().assign(value=lambda rows: rows["value"].clip(upper=0.99))
    planted = (table["stack"] == "encoder") & (table["layer"] == 1) & (table["neuron"] == 77)
    table.loc[planted, "value"] = 0.999
    chart = draw("predictivity_heatmap", table)
    assert "neuron 77 of encoder 1 with 0.999" in chart.description
    listed = [rows for rows in chart.to_dict()["datasets"].values() if "value" in rows[0]]
    assert any(row["neuron"] == 77 and row["site"] == "encoder 1" for row in listed[0])


def test_equal_neurons_are_listed_by_their_index():
    table = neurons(2, 100).assign(value=0.7)
    listed = next(
        rows
        for rows in draw("predictivity_heatmap", table).to_dict()["datasets"].values()
        if "neuron" in rows[0]
    )
    assert [row["neuron"] for row in listed] == [*range(10)] * 4


def test_activation_histogram_shares_add_up_per_label():
    spec = draw("activation_histogram").to_dict()
    bars = next(pd.DataFrame(rows) for rows in spec["datasets"].values() if "share" in rows[0])
    assert bars.groupby("label")["share"].sum().round(9).tolist() == [1.0, 1.0]


def test_a_neuron_table_keeps_every_value_in_its_place():
    sites = [FFNSite("encoder", 0, 3), FFNSite("decoder", 0, 3)]
    values = np.arange(6.0).reshape(2, 3)
    table = charts.neuron_table(sites, value=values, twice=2 * values)
    assert table.to_dict("list") == {
        "stack": ["encoder"] * 3 + ["decoder"] * 3,
        "layer": [0] * 6,
        "neuron": [0, 1, 2] * 2,
        "value": [0.0, 1, 2, 3, 4, 5],
        "twice": [0.0, 2, 4, 6, 8, 10],
    }
    with pytest.raises(SkillkitError, match="2 sites"):
        charts.neuron_table(sites, value=values[:1])


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium and its driver")
def test_a_click_on_a_site_lists_that_site_s_neurons(tmp_path: Path):
    """The table beside the heat map first lists all sites' best, after a click on a row those of its site."""
    table = neurons().assign(value=lambda rows: rows["value"].clip(upper=0.9))
    best = table[table["stack"].eq("encoder") & table["layer"].isin([4, 5]) & (table["neuron"] < 5)].index
    table.loc[best, "value"] = np.linspace(0.95, 0.99, 10)
    page = tmp_path / "page.html"
    draw("predictivity_heatmap", table).save(page, inline=True, embed_options={"renderer": "svg"})
    with open_chromium() as driver:
        driver.get(page.as_uri())
        WebDriverWait(driver, 30).until(lambda d: d.find_elements(By.CSS_SELECTOR, "svg .mark-text text"))
        assert set(listed_sites(driver)) == {"encoder 4", "encoder 5"}
        cell = driver.find_element(By.CSS_SELECTOR, "path[aria-label*='site: encoder 0;']")
        ActionChains(driver).move_to_element(cell).click().perform()
        WebDriverWait(driver, 10).until(lambda d: set(listed_sites(d)) == {"encoder 0"})
        assert len(listed_sites(driver)) == 10


def listed_sites(driver) -> list[str]:
    words = [text.text for text in driver.find_elements(By.CSS_SELECTOR, "svg .mark-text.role-mark text")]
    return [word for word in words if word.startswith(("encoder", "decoder"))]
