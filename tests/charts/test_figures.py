"""Figures: each can be drawn, says what it shows, and refuses a table that it cannot draw honestly."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skillkit.book.browser import _chromium, find_chromium
from skillkit.charts import figures as charts
from skillkit.models.backbones import FFNSite

PNG_HEADER = b"\x89PNG\r\n\x1a\n"


# ---------------------------------------------------------------------------------------- tables to draw


def spread(values: Any, n: int = 400) -> dict[str, Any]:
    """The columns value, low, high and n for some accuracies."""
    values = np.asarray(values, dtype=float)
    return {"value": values, "low": values - 0.03, "high": np.minimum(values + 0.03, 1), "n": n}


def accuracies() -> pd.DataFrame:
    names = ["majority", "none", "random", "random", "tuned", "tuned"]
    seeds = [np.nan, np.nan, 0, 1, 0, 1]
    return pd.DataFrame({"prompt": names, "seed": seeds, **spread([0.51, 0.5, 0.52, 0.48, 0.87, 0.89])})


def history() -> pd.DataFrame:
    steps = np.arange(1, 101, 3)
    parts = []
    for seed in (0, 1):
        accuracy = np.where(np.arange(len(steps)) % 5 == 0, 0.9 - 0.4 * np.exp(-steps / 30), np.nan)
        loss = np.exp(-steps / (30 + 9 * seed))
        parts.append(pd.DataFrame({"seed": seed, "step": steps, "loss": loss, "accuracy": accuracy}))
    return pd.concat(parts)


def answers() -> pd.DataFrame:
    rows = [("negative", "negative", 90), ("negative", "positive", 10), ("positive", "negative", 30)]
    return pd.DataFrame([*rows, ("positive", "positive", 70)], columns=["label", "answer", "count"])


def neurons(layers: int = 6, width: int = 384, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for stack, count in (("encoder", layers), ("decoder", 2)):
        for layer in range(count):
            value = 0.5 + (0.05 + 0.02 * layer) * rng.gamma(1.2, 1, width).clip(0, 4)
            parts.append(
                pd.DataFrame(
                    {"stack": stack, "layer": layer, "neuron": np.arange(width), "value": value.clip(0, 1)}
                )
            )
    table = pd.concat(parts, ignore_index=True)
    return table.assign(test=(table["value"] - 0.02).clip(lower=0.5), null=0.6)


def activations() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"activation": rng.normal(0.2, 0.3, 300), "label": "negative"})
    return pd.concat([one, pd.DataFrame({"activation": rng.normal(0.9, 0.4, 260), "label": "positive"})])


def two_rankings() -> pd.DataFrame:
    table = neurons()
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"x": table["value"], "y": (table["value"] + rng.normal(0, 0.04, len(table))).clip(0.5, 1)}
    )


def shared() -> pd.DataFrame:
    fraction = np.array([0.01, 0.02, 0.05, 0.1, 0.2])
    bounds = {"expected": fraction, "chance_low": fraction * 0.6, "chance_high": fraction * 1.5}
    return pd.DataFrame({"fraction": fraction, "value": [0.5, 0.52, 0.55, 0.6, 0.66], **bounds})


def factors() -> pd.DataFrame:
    units = ["encoder 3, neuron 17", "encoder 3, neuron 200", "encoder 2, neuron 5"]
    rows = [(unit, factor) for unit in units for factor in ("polarity", "negation", "template")]
    table = pd.DataFrame(rows, columns=["neuron", "factor"])
    return table.assign(**spread([0.93, 0.6, 0.52, 0.9, 0.72, 0.5, 0.81, 0.8, 0.55]))


def curves() -> pd.DataFrame:
    parts = []
    for mode in ("zero", "noise", "mean"):
        for name, slope in (("skill", 2.0), ("random", 0.4), ("matched", 1.0), ("least", 0.1)):
            fraction = np.array([0, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2])
            value = np.maximum(0.9 - slope * fraction, 0.5)
            parts.append(pd.DataFrame({"mode": mode, "neurons": name, "fraction": fraction, **spread(value)}))
    return pd.concat(parts, ignore_index=True)


def slopes() -> pd.DataFrame:
    keys = [
        (t, m, x)
        for t in ("film", "food", "topic")
        for m in ("mini-roberta", "mini-t5")
        for x in ("clean", "adversarial")
    ]
    table = pd.DataFrame(keys, columns=["task", "model", "text"])
    return table.assign(**spread(np.linspace(0.9, 0.4, len(keys))), chance=0.5)


def overlaps() -> pd.DataFrame:
    keys = [("encoder", layer, fraction) for layer in range(5) for fraction in (0.02, 0.1)]
    table = pd.DataFrame(keys, columns=["stack", "layer", "fraction"])
    share = table["fraction"]
    bounds = {"expected": share, "chance_low": share * 0.4, "chance_high": share * 2}
    table = table.assign(value=np.linspace(0.05, 0.8, len(table)), **bounds, text="adversarial")
    return pd.concat(
        [table, table.assign(value=table["value"] / 2 + 0.4, text="clean originals")], ignore_index=True
    )


def study() -> pd.DataFrame:
    keys = [
        (q, t, m)
        for q in ("accuracy", "highest predictivity", "skill gap", "adversarial drop")
        for t in ("film", "food", "gadget", "topic", "entailment")
        for m in ("mini-roberta", "mini-t5")
    ]
    table = pd.DataFrame(keys, columns=["quantity", "task", "model"])
    return table.assign(**spread(np.random.default_rng(0).uniform(0.3, 0.95, len(keys))), reference=0.5)


def matrix() -> pd.DataFrame:
    names = ["film", "food", "gadget", "topic"]
    rows = [(a, b, 1.0 if a == b else -0.3 + 0.2 * i) for a in names for i, b in enumerate(names)]
    return pd.DataFrame(rows, columns=["row", "column", "value"])


MATRIX = {"row_title": "source task", "column_title": "target task", "value_title": "rank correlation"}
FIGURES: dict[str, tuple[Callable[..., charts.Figure], Callable[[], pd.DataFrame], dict[str, Any]]] = {
    "accuracy_bars": (charts.accuracy_bars, accuracies, {"chance": 0.5}),
    "learning_curves": (charts.learning_curves, history, {"chance": 0.5}),
    "confusion": (charts.confusion, answers, {}),
    "predictivity_heatmap": (charts.predictivity_heatmap, neurons, {}),
    "predictivity_histogram": (charts.predictivity_histogram, neurons, {}),
    "activation_histogram": (charts.activation_histogram, activations, {"baseline": 0.55}),
    "rank_scatter": (charts.rank_scatter, two_rankings, {"x_title": "seed 0", "y_title": "seed 1"}),
    "overlap_curve": (charts.overlap_curve, shared, {}),
    "factor_bars": (charts.factor_bars, factors, {}),
    "perturbation_curves": (charts.perturbation_curves, curves, {"panel": "mode", "chance": 0.5}),
    "clean_vs_adversarial": (charts.clean_vs_adversarial, slopes, {}),
    "overlap_by_site": (charts.overlap_by_site, overlaps, {}),
    "comparison_grid": (charts.comparison_grid, study, {}),
    "matrix_heatmap": (charts.matrix_heatmap, matrix, MATRIX | {"signed": True}),
}


def draw(name: str, table: pd.DataFrame | None = None) -> charts.Figure:
    function, example, options = FIGURES[name]
    return function(example() if table is None else table, **options)


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a specification."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from walk(child)


@pytest.fixture(autouse=True)
def themed() -> Iterator[None]:
    with alt.theme.enable("skillkit"):
        yield


# ---------------------------------------------------------------------------------------- every figure


def test_every_figure_of_the_module_is_tried() -> None:
    drawn = {
        name
        for name, item in vars(charts).items()
        if getattr(item, "__annotations__", {}).get("return") is charts.Figure
    }
    assert drawn == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_valid_described_and_labelled(name: str) -> None:
    spec = draw(name).to_dict(validate=True)  # raises where the Vega-Lite schema is broken
    assert len(spec["description"]) > 40
    titles = []
    for node in walk(spec):
        for channel in ("x", "y"):
            encoding = node.get("encoding", {}).get(channel, {})
            if encoding.get("axis", "") is None or "field" not in encoding:
                continue
            if encoding.get("type") == "quantitative" and "title" in encoding:
                titles.append(encoding["title"])
    if name not in ("confusion", "matrix_heatmap"):  # their axes are categories
        assert titles and all(title is None or len(title) > 3 for title in titles)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_draws_and_fits_the_page(name: str) -> None:
    picture = charts.png(draw(name), scale=1)
    assert picture.startswith(PNG_HEADER)
    width, height = (int.from_bytes(picture[at : at + 4]) for at in (16, 20))
    assert 150 < width <= charts.PAGE_WIDTH + 20
    assert 100 < height < 900


@pytest.mark.parametrize("name", FIGURES)
def test_bad_tables_get_a_clear_error(name: str) -> None:
    table = FIGURES[name][1]()
    with pytest.raises(ValueError, match="no rows"):
        draw(name, table.iloc[:0])
    with pytest.raises(ValueError, match=f"{name} needs the column"):
        draw(name, table.rename(columns=lambda column: f"{column}?"))
    with pytest.raises(ValueError, match="DataFrame"):
        FIGURES[name][0](table.to_dict("records"), **FIGURES[name][2])


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_never_carries_more_marks_than_a_page_can(name: str) -> None:
    table = FIGURES[name][1]()
    many = pd.concat([table] * (charts.MAX_ROWS // len(table) + 1), ignore_index=True)
    try:
        spec = draw(name, many).to_dict()
    except ValueError as error:
        assert "aggregate, bin or sample" in str(error)
        return
    assert all(len(rows) <= charts.MAX_ROWS for rows in spec.get("datasets", {}).values())


def test_the_table_given_is_left_as_it_was() -> None:
    for name, (_, example, _) in FIGURES.items():
        table = example()
        before = table.copy(deep=True)
        draw(name, table)
        pd.testing.assert_frame_equal(table, before)


# -------------------------------------------------------------------------------- what single figures say


@settings(max_examples=25, deadline=None)
@given(width=st.integers(3, 300), seed=st.integers(0, 99))
def test_heat_map_bins_hold_every_neuron_once_and_their_maximum(width: int, seed: int) -> None:
    table = charts._sites(neurons(2, width, seed))
    cells = charts._cells(table)
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


def test_a_planted_neuron_is_named_in_the_heat_map_and_its_table() -> None:
    table = neurons().assign(value=lambda rows: rows["value"].clip(upper=0.99))
    table.loc[(table["stack"] == "encoder") & (table["layer"] == 1) & (table["neuron"] == 77), "value"] = (
        0.999
    )
    chart = draw("predictivity_heatmap", table)
    assert "neuron 77 of encoder 1 with 0.999" in chart.description
    listed = [rows for rows in chart.to_dict()["datasets"].values() if "value" in rows[0]]
    assert any(row["neuron"] == 77 and row["site"] == "encoder 1" for row in listed[0])


def test_the_same_role_has_the_same_colour_whatever_else_is_drawn() -> None:
    one = charts._scale(["skill", "random"]).to_dict()
    other = charts._scale(["something", "random", "skill"]).to_dict()
    for name in ("skill", "random"):
        assert one["range"][one["domain"].index(name)] == other["range"][other["domain"].index(name)]
    assert len(set(other["range"])) == 3


def test_activation_histogram_shares_add_up_per_label() -> None:
    spec = draw("activation_histogram").to_dict()
    bars = next(pd.DataFrame(rows) for rows in spec["datasets"].values() if "share" in rows[0])
    assert bars.groupby("label")["share"].sum().round(9).tolist() == [1.0, 1.0]


def test_the_renderer_stores_page_and_words_and_the_same_ones_each_time() -> None:
    charts.enable()
    try:
        bundle = draw("accuracy_bars")._repr_mimebundle_()
        again = draw("accuracy_bars")._repr_mimebundle_()
    finally:
        alt.renderers.enable("default")
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    again = again[0] if isinstance(again, tuple) else again
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle == again
    assert "vega" in bundle["text/html"] and "tuned, seed 0 0.87" in bundle["text/plain"]
    assert 'aria-label="Accuracy' in bundle["text/html"] and "<noscript>Accuracy" in bundle["text/html"]
    json.dumps(bundle["text/html"])


def test_drawing_needs_no_torch() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('charts', {charts.__file__!r})\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_numbers_of_a_result_table_are_drawn_as_absent() -> None:
    table = accuracies().astype({"seed": "Int64", "n": "Int64", "value": "Float64"})
    spec = draw("accuracy_bars", table).to_dict(validate=True)
    rows = next(rows for rows in spec["datasets"].values() if "row" in rows[0])
    assert [row["row"] for row in rows][:3] == ["majority", "none", "random, seed 0"]


def test_a_neuron_table_keeps_every_value_in_its_place() -> None:
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
    with pytest.raises(ValueError, match="2 sites"):
        charts.neuron_table(sites, value=values[:1])


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium and its driver")
def test_a_click_on_a_site_lists_that_site_s_neurons(tmp_path: Path) -> None:
    """The table beside the heat map: all sites' best at first, after a click on a row those of its site alone."""
    page = tmp_path / "page.html"
    draw("predictivity_heatmap").save(page, inline=True, embed_options={"renderer": "svg"})
    with _chromium() as driver:
        driver.get(page.as_uri())
        WebDriverWait(driver, 30).until(lambda d: d.find_elements(By.CSS_SELECTOR, "svg .mark-text text"))
        assert set(listed_sites(driver)) == {
            "encoder 4",
            "encoder 5",
        }  # where the best of all neurons are planted
        cell = driver.find_element(By.CSS_SELECTOR, "path[aria-label*='site: encoder 0;']")
        ActionChains(driver).move_to_element(cell).click().perform()
        WebDriverWait(driver, 10).until(lambda d: set(listed_sites(d)) == {"encoder 0"})
        assert len(listed_sites(driver)) == 10


def listed_sites(driver: Any) -> list[str]:
    words = [text.text for text in driver.find_elements(By.CSS_SELECTOR, "svg .mark-text.role-mark text")]
    return [word for word in words if word.startswith(("encoder", "decoder"))]


def test_a_chance_that_nobody_knows_is_neither_drawn_nor_named() -> None:
    with_chance = charts.clean_vs_adversarial(slopes().assign(chance=0.5)).to_dict()
    without = charts.clean_vs_adversarial(slopes().assign(chance=float("nan"))).to_dict()
    assert "dashed: chance" in with_chance["title"]["subtitle"]
    assert "chance" not in without["title"]["subtitle"]
    assert len(without["spec"]["layer"]) == len(with_chance["spec"]["layer"]) - 1
