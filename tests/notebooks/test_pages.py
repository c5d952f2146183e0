"""Every notebook runs, on tiny random models and bundled tasks, and is stored the way the book needs it."""

import json
from pathlib import Path

import nbformat
import pytest
import torch
from running import (
    FILES,
    FOLDER,
    check_results,
    markdown,
    outputs,
    run,
    run_here,
    save_tiny_model,
)

from skillkit.models.prompts import SoftPrompt
from skillkit.results import Place, read_table
from skillkit.study.table import NOTEBOOKS, notebook_parameters

MINE = ("01_prompt_tuning", "02_skill_neurons", "03_perturbation", "04_adversarial", "12_factors")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.slow
def test_the_pages_of_one_task_run_and_write_what_they_should(workplace: Path) -> None:
    model, task = str(save_tiny_model(workplace, "roberta")), "film_sentiment"
    for name in MINE:
        notebook, results = run(workplace, name, model=model, task=task, seeds=[0, 1])
        check_results(name, Place("tiny", model, task, results))
        shown = outputs(notebook)
        figures = [data for data in shown if 'role="figure"' in data.get("text/html", "")]
        assert figures and all(len(data["text/plain"]) > 40 for data in figures)
        kinds = {kind for data in shown for kind in data}
        assert kinds <= {"text/html", "text/plain", "text/markdown"}, (
            "widgets make a page load from elsewhere"
        )
        claims = read_table(Place("tiny", model, task, results).table(name)).query("metric == 'claim'")
        if name == "01_prompt_tuning":
            assert set(claims["verdict"]) <= {"held", "did not hold", "undecided"}
        else:  # after four steps of tuning no prompt has learned anything
            assert set(claims["verdict"]) == {"not tested"} and claims["value"].isna().all()
            assert any("No prompt has learned this task" in markdown(data) for data in shown)
        assert any(f"**{verdict}**" in markdown(data) for verdict in set(claims["verdict"]) for data in shown)
        assert not any("nan" in markdown(data).lower().split() for data in shown)
    notebook, results = run(workplace, "10_comparison", models=[model], tasks=[task])
    assert len(read_table(Place("tiny", root=results).table("10_comparison")))
    assert any('role="figure"' in data.get("text/html", "") for data in outputs(notebook))


@pytest.mark.slow
def test_they_run_for_an_encoder_decoder_with_three_classes_and_one_seed(workplace: Path) -> None:
    model, task = str(save_tiny_model(workplace, "t5")), "home_inference"
    for name in MINE:
        run_here(name, workplace / "results", model=model, task=task, seeds=[3])
        check_results(name, Place("tiny", model, task, workplace / "results"), seeds=(3,))


def test_a_page_that_fails_after_tuning_keeps_what_it_tuned(workplace: Path) -> None:
    """Snakemake deletes the prompts of a failed page; its checkpoints are no outputs, so they stay."""
    model, task = str(save_tiny_model(workplace, "roberta")), "food_sentiment"
    place = Place("tiny", model, task, workplace / "results")
    given = {"model": model, "task": task, "seeds": [0]}
    checkpoint = place.prompt(0).with_suffix(".checkpoint")
    with pytest.raises(Exception):  # noqa: B017  # whatever the page says of it
        run_here("01_prompt_tuning", workplace / "results", **given, examples="none")
    assert checkpoint.is_file()
    tuned = SoftPrompt.load(place.prompt(0)).matrix
    place.prompt(0).unlink()
    run_here("01_prompt_tuning", workplace / "results", **given, examples=20)
    assert torch.equal(SoftPrompt.load(place.prompt(0)).matrix, tuned) and not checkpoint.exists()


# ---------------------------------------------------------------------------------------- how they are stored


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    identifiers = [cell["id"] for cell in notebook.cells]
    assert len(set(identifiers)) == len(identifiers)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert {"parameters", "remove-cell"} <= set(first.metadata["tags"])
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, "notebooks are stored without outputs"
    assert sum(cell.source.startswith("# ") for cell in notebook.cells if cell.cell_type == "markdown") == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_tells_in_prose_and_writes_a_table(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    whole = "\n".join(code)
    assert "write_table(" in whole and "charts.enable()" in whole
    assert sum(cell["cell_type"] == "markdown" for cell in cells) >= 4


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_parameters_cover_the_place_and_are_plain(name: str) -> None:
    declared = notebook_parameters(FOLDER / f"{name}.ipynb")
    scope = NOTEBOOKS[name].scope
    wanted = {"cell": {"model", "task", "seeds"}, "model": {"model"}, "study": set()}[scope]
    assert {"study", "results", *wanted} <= set(declared)


def test_every_notebook_file_is_in_the_table() -> None:
    assert {path.stem for path in FILES} <= set(NOTEBOOKS)
