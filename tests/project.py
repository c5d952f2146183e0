"""A throwaway project in a temporary folder: the real Snakefile, notebooks that need no model, one study."""

import json
import shutil
from pathlib import Path

import yaml

from skillkit.study.receipts import write_receipt
from skillkit.study.studies import Page, Study

ROOT = Path(__file__).parents[1]

PARAMETERS = "\n".join(
    f"{name} = {value!r}"
    for name, value in {
        "study": "tiny",
        "model": "mini-t5",
        "task": "sst2",
        "seeds": [0],
        "results": "results",
        "steps": 10,
    }.items()
)

TUNING = """
from skillkit.results import Place, measurements, write_table
from skillkit.files import atomic_write
place = Place(study, model, task, results)
for seed in seeds:
    with atomic_write(place.prompt(seed)) as path:
        path.write_text(f"{model} {task} {seed}")
write_table(measurements(place, [{"metric": "accuracy", "value": steps / 100}]),
place.table("01_prompt_tuning"))
"""
NEURONS = """
from skillkit.results import Place, measurements, write_table
from skillkit.files import atomic_write
place = Place(study, model, task, results)
for seed in seeds:
    with atomic_write(place.scores(seed)) as path:
        path.write_text(place.prompt(seed).read_text())
write_table(measurements(place, [{"metric": "predictivity", "value": 0.9}]), place.table("02_skill_neurons"))
"""
COMPARISON = """
from skillkit.results import Place, read_tables, write_table
from skillkit import charts
table = read_tables(results, study, "01_prompt_tuning")
write_table(table, Place(study, root=results).table("10_comparison"))
"""


def notebook(code: str, title: str = "A page", parameters: str = PARAMETERS) -> str:
    """The text of a notebook: a title, the parameters, then one cell of code."""

    def cell(kind, source, tags=()):
        extra = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {
            "cell_type": kind,
            "metadata": {"tags": list(tags)},
            "source": source.strip(),
            "id": f"c{len(source)}",
            **extra,
        }

    cells = [
        cell("markdown", f"# {title}"),
        cell("code", parameters, ["parameters", "remove-cell"]),
        cell("code", code),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def make_project(folder: Path, **changes) -> Path:
    """Fill `folder` with three notebooks over two models and two tasks; `changes` go to its study."""
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "notebooks").mkdir()
    for name, code in (
        ("01_prompt_tuning", TUNING),
        ("02_skill_neurons", NEURONS),
        ("10_comparison", COMPARISON),
    ):
        (folder / "notebooks" / f"{name}.ipynb").write_text(notebook(code, name))
    study = {
        "title": "Tiny study",
        "models": ["mini-roberta", "mini-t5"],
        "tasks": ["sst2", "imdb"],
        "seeds": [0],
        "budget": {"steps": 20},
        "notebooks": ["01_prompt_tuning", "02_skill_neurons", "10_comparison"],
        **changes,
    }
    (folder / "studies").mkdir()
    (folder / "studies" / "tiny.yaml").write_text(yaml.safe_dump(study))
    return folder


def make_page(study: Study, page: Page) -> None:
    """Stand in for a page that was made: each of its files with some text in it, and the receipt."""
    for path in study.files(page):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{page} {path.name}")
    write_receipt(page.receipt, study.files(page))
