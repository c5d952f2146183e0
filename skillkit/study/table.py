"""The notebook table: what each notebook is about, where it runs, what it reads and what it writes.

The Snakefile, the command line and the book all read this one table. A notebook's `scope` says how often it
runs:

    cell    once for each model and task
    model   once for each model, over all tasks
    study   once, over all models and tasks

To add a notebook: put it into `notebooks/`, with its first code cell tagged `parameters`, and add a row here.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skillkit.errors import SkillkitError, unknown

Scope = Literal["cell", "model", "study"]
Need = Literal["twin", "factors", "reference"]


@dataclass(frozen=True)
class Notebook:
    """A row of the table.

    `reads` names the notebooks whose results must be there first: those of the same model and task for a
    `cell` notebook, of the same model for a `model` one, all of them for a `study` one; those that a study
    does not list are done without. Every notebook
    writes a table; `prompts` and `scores` say whether it also writes these files, one per seed. `needs`
    restricts it to tasks with an adversarial twin, to tasks with known generating factors, or to machines
    with the papers' released prompts (SKILLKIT_REFERENCE).
    """

    name: str
    title: str
    scope: Scope = "cell"
    reads: tuple[str, ...] = ()
    prompts: bool = False
    scores: bool = False
    needs: Need | None = None

    @property
    def number(self) -> str:
        """The two digits that the name starts with."""
        return self.name[:2]


_TUNING, _NEURONS, _ATTACK = "01_prompt_tuning", "02_skill_neurons", "04_adversarial"

NOTEBOOKS: dict[str, Notebook] = {
    row.name: row
    for row in (
        Notebook(_TUNING, "Prompt tuning", prompts=True),
        Notebook(_NEURONS, "Skill neurons", reads=(_TUNING,), scores=True),
        Notebook("03_perturbation", "Perturbing skill neurons", reads=(_TUNING, _NEURONS)),
        Notebook(_ATTACK, "Adversarial text", reads=(_TUNING, _NEURONS), needs="twin"),
        Notebook("05_task_specificity", "Task specificity", "model", reads=(_TUNING, _NEURONS)),
        Notebook("06_origin", "Where skill neurons come from", reads=(_TUNING, _NEURONS)),
        Notebook("07_pruning", "Pruning", reads=(_TUNING, _NEURONS)),
        Notebook("08_transfer", "Prompt transfer between tasks", "model", reads=(_TUNING, _NEURONS)),
        Notebook("09_projection", "Prompt transfer between models", "study", reads=(_TUNING,)),
        Notebook(
            "10_comparison",
            "Comparison over the study",
            "study",
            reads=(
                *(_TUNING, _NEURONS, "03_perturbation", _ATTACK, "05_task_specificity", "06_origin"),
                *("07_pruning", "08_transfer", "09_projection", "11_released_prompts", "12_factors"),
                *("13_patching", "14_robust_tuning"),
            ),
        ),
        Notebook("11_released_prompts", "The papers' released prompts", "study", needs="reference"),
        Notebook("12_factors", "What a skill neuron follows", reads=(_TUNING, _NEURONS), needs="factors"),
        Notebook("13_patching", "Causal patching", reads=(_TUNING, _NEURONS), needs="twin"),
        Notebook("14_robust_tuning", "Tuning for robustness", reads=(_TUNING, _NEURONS), needs="twin"),
    )
}


def priority(row: Notebook) -> int:
    """How early a notebook's pages start, for the Snakefile: first what many others read.

    The long pages over many tasks come next, so that no long one is left to run alone at the end.
    """
    readers = sum(row.name in other.reads for other in NOTEBOOKS.values())
    return readers + (4 if row.scope != "cell" else 0)


def find_notebook(name: str) -> Notebook:
    """The row of a notebook, given its name or number (`02_skill_neurons`, `02`, `2`).

    Raises SkillkitError, naming the nearest notebook, when there is none.
    """
    if name in NOTEBOOKS:
        return NOTEBOOKS[name]
    for row in NOTEBOOKS.values():
        if name in (row.number, row.number.lstrip("0")):
            return row
    raise unknown("notebook", name, NOTEBOOKS, "A notebook of your own is a row in skillkit/study/table.py.")


def notebook_parameters(path: Path) -> dict[str, Any]:
    """Names and default values of the variables set in the notebook's cell tagged `parameters`.

    They are those of `papermill.inspect_notebook` (a test compares the two), as values instead of texts.

    Raises SkillkitError when the file is not a notebook, or has no such cell, or sets something else than
    literals.
    """
    tagged = [cell for cell in _code_cells(path) if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        raise SkillkitError(
            f"{path} has no code cell tagged 'parameters', so it cannot be run with other values. Tag one."
        )
    values = {}
    for statement in ast.parse("".join(tagged[0]["source"])).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if not isinstance(target, ast.Name):
            continue
        try:
            values[target.id] = ast.literal_eval(statement.value)
        except ValueError as error:
            raise SkillkitError(
                f"{path}: the parameter {target.id!r} is no plain value; write a number, text, list or None."
            ) from error
    return values


def notebook_code(path: Path) -> str:
    """All Python code of a notebook; what is meant for IPython alone becomes the calls that it stands for."""
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    return "\n".join(transform("".join(cell["source"])) for cell in _code_cells(path))


def notebook_cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook.

    Read as plain JSON: importing nbformat takes 2.7 s of processor time (papermill 3.6 s), because jsonschema
    compiles a grammar of web addresses, and every command that plans a study would wait for it.

    Raises SkillkitError when the file is not a notebook.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise SkillkitError(
            f"{path} is not a readable notebook ({error}). Restore it from the repository."
        ) from error
    return list(cells)


def _code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in notebook_cells(path) if cell["cell_type"] == "code"]
