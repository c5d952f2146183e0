"""The comparison says what the cells' tables say."""

from pathlib import Path

import pandas as pd
import pytest

from skillkit.errors import SkillkitError
from skillkit.results import Place, collect_tables, measurements, write_table
from skillkit.stats.claims import claim, claim_rows
from skillkit.stats.comparison import (
    PAGES,
    adversarial_slopes,
    audit_effects,
    best_neurons,
    overview,
)
from skillkit.stats.measurement import Measurement

MODELS, TASKS = ["small", "large"], ["food", "film"]


def row(value: float, **more: object) -> dict[str, object]:
    return {**vars(Measurement(value, 50, "texts", value - 0.1, value + 0.1, "Wilson")), **more}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for i, model in enumerate(MODELS):
        for j, task in enumerate(TASKS):
            place = Place("trial", model, task, tmp_path)
            tuned = row(0.5 + 0.1 * i + 0.2 * j, metric="accuracy_mean", prompt="tuned")
            claims = claim_rows([claim("tuning helps", row(0.2 * j), source="all")])
            write_table(measurements(place, [tuned, *claims]), place.table(PAGES[0]))
            curve = row(0.05, metric="gap", mode="mean", neurons="matched - skill", fraction=None)
            share = row(0.4, metric="gap", mode="mean", neurons="matched - skill", fraction=0.1)
            write_table(measurements(place, [curve, share]), place.table(PAGES[2]))
    place = Place("trial", "small", "film", tmp_path)
    under = [
        row(0.8, metric="clean_accuracy", attack="all"),
        row(0.6, metric="adversarial_accuracy", attack="all"),
    ]
    write_table(
        measurements(
            place, [*under, row(0.2, metric="drop", attack="all"), row(0.3, metric="drop", attack="typo")]
        ),
        place.table(PAGES[3]),
    )
    return tmp_path


def test_the_overview_holds_one_number_per_quantity_and_cell_in_the_study_s_order(results: Path) -> None:
    table = overview(collect_tables(results, "trial", PAGES, MODELS, TASKS), MODELS, TASKS)
    tuned = table[table["quantity"] == "accuracy, tuned prompt"]
    assert list(zip(tuned["task"], tuned["model"], strict=True)) == [
        ("food", "small"),
        ("food", "large"),
        ("film", "small"),
        ("film", "large"),
    ]
    assert tuned["value"].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert (
        table[table["quantity"] == "lost by skill neurons"]["value"].tolist() == [0.05] * 4
    )  # the curve's, not a share's
    assert table[table["quantity"] == "lost to attacks"]["value"].tolist() == [0.2]


def test_the_best_neuron_is_compared_where_it_answers_the_model_s_question(results: Path) -> None:
    for task, subtask, value in (("food", "food", 0.45), ("film", "film-pn", 0.99)):
        place = Place("trial", "small", task, results)
        best = row(value, metric="best_neuron_accuracy", subtask=subtask)
        write_table(measurements(place, [best]), place.table(PAGES[1]))
    both = best_neurons(collect_tables(results, "trial", PAGES, MODELS, TASKS))
    assert both.to_dict("records") == [{"model": "small", "task": "food", "neuron": 0.45, "prompt": 0.5}]
    assert len(best_neurons({})) == 0


def test_models_and_tasks_outside_the_study_are_left_out(results: Path) -> None:
    tables = collect_tables(results, "trial", PAGES, ["small"], ["food"])
    assert set(tables) == {PAGES[0], PAGES[2]}
    assert set(tables[PAGES[0]]["model"]) == {"small"} and set(tables[PAGES[0]]["task"]) == {"food"}
    assert adversarial_slopes(tables, ["food"]).empty


def test_slopes_name_the_text(results: Path) -> None:
    slopes = adversarial_slopes(collect_tables(results, "trial", PAGES, MODELS, TASKS), TASKS)
    assert dict(zip(slopes["text"], slopes["value"], strict=True)) == {"clean": 0.8, "adversarial": 0.6}


def test_nothing_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SkillkitError, match="Run the study first"):
        collect_tables(tmp_path, "trial", PAGES, MODELS, TASKS)


def test_audit_effects_compare_the_two_ways_cell_by_cell() -> None:
    def cell(task: str, right: float, released: float) -> list[dict[str, object]]:
        each = {"model": "m", "task": task}
        return [
            {**each, "metric": "overlap_by_ranking", "ranking": "descending", "value": right},
            {
                **each,
                "metric": "overlap_by_ranking",
                "ranking": "ascending (released code)",
                "value": released,
            },
            {**each, "metric": "median_predictivity", "labels": "aligned", "value": 0.5},
            {**each, "metric": "median_predictivity", "labels": "as released", "value": 0.75},
        ]

    effects = audit_effects({PAGES[3]: pd.DataFrame(cell("a", 0.2, 0.6) + cell("b", 0.5, 0.4))})
    assert effects["item"].tolist() == ["A4", "A2"]
    reversed_order = effects.iloc[0]
    assert reversed_order["right"] == pytest.approx(0.35) and reversed_order["released"] == pytest.approx(0.5)
    assert reversed_order["larger"] == 1 and reversed_order["cells"] == 2
    assert audit_effects({}).empty
