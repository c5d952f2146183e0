"""The pages on specificity, origin and pruning run on tiny random models and write what they should."""

from pathlib import Path

import pytest
from running import markdown, outputs, run, save_tiny_model, write_untuned_cells

from skillkit.results import Place, read_table

TASKS = ["film_sentiment", "food_sentiment", "daily_topic", "home_inference"]
VERDICTS = ("**held**", "**did not hold**", "**undecided**")
BUDGET = {
    "length": 2,
    "steps": 4,
    "batch_size": 8,
    "limit": 60,
    "examples": 30,
    "method_steps": 3,
    "looks": 2,
}
PRUNING = {"tune_steps": 2, "timing_rounds": 3, "fractions": [0.1, 0.5], "fraction": 0.1}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("neurons")


@pytest.fixture(scope="module")
def models(workplace: Path) -> dict[str, str]:
    """Two tiny models with (untuned) prompts and scores where notebooks 01 and 02 put theirs."""
    folders = {family: str(save_tiny_model(workplace, family)) for family in ("roberta", "t5")}
    for folder in folders.values():
        write_untuned_cells(workplace, folder, TASKS, limit=60)
    return folders


def check(notebook, path) -> None:
    table, shown = read_table(path), outputs(notebook)
    assert len(table) and table["metric"].notna().all() and table["value"].notna().any()
    assert (table["metric"] == "claim").any()
    figures = [data for data in shown if 'role="figure"' in data.get("text/html", "")]
    assert figures and all(len(data["text/plain"]) > 40 for data in figures)
    assert any(any(verdict in markdown(data) for verdict in VERDICTS) for data in shown)
    assert not any("nan" in markdown(data).lower().split() for data in shown)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", "t5"])
def test_task_specificity(workplace, models, family):
    notebook, results = run(workplace, "05_task_specificity", model=models[family], tasks=TASKS, seeds=[0, 1])
    path = Place("tiny", models[family], root=results).table("05_task_specificity")
    check(notebook, path)
    table = read_table(path)
    assert set(table.loc[table["metric"] == "rank_correlation", "task"]) == set(TASKS)
    assert table.loc[table["metric"] == "type_difference", "p"].between(0, 1).all()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "task"), [("roberta", "film_sentiment"), ("t5", "home_inference")])
def test_origin_and_pruning(workplace, models, family, task):
    for name, budget in (("06_origin", BUDGET), ("07_pruning", {**BUDGET, **PRUNING})):
        notebook, results = run(workplace, name, model=models[family], task=task, seeds=[0, 1], **budget)
        path = Place("tiny", models[family], task, results).table(name)
        check(notebook, path)
    table = read_table(path)
    assert table.loc[table["metric"] == "parameters_remaining", "value"].between(0, 1).all()
    assert set(table.loc[table["metric"] == "speed_up", "batch"]) == {1, 32}


@pytest.mark.slow
def test_one_seed_and_one_type_are_enough_to_run(workplace, models):
    notebook, _ = run(workplace, "05_task_specificity", model=models["roberta"], tasks=TASKS[:2], seeds=[0])
    assert any("no comparison of types" in markdown(data) for data in outputs(notebook))
