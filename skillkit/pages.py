"""Find the page that a reader asks for: one of a study, or one of their own with other parameters.

A page asked for exactly as a study has it is made again in place. With another model, task or budget it
belongs to the study `own` (results/own), so that no study mixes pages made in different ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from skillkit.errors import SkillkitError, unknown
from skillkit.notebooks import NOTEBOOKS, Notebook, notebook_parameters
from skillkit.results import atomic_write
from skillkit.studies import BUDGET, Page, Study, load_study, study_names

OWN = "own"


def find_page(
    notebook: Notebook, given: Mapping[str, Any], study_name: str | None = None, project: Path = Path(".")
) -> tuple[Study, str, Page]:
    """The page of `notebook` with the `given` parameters: its study, the study's name or file, and the page.

    Raises SkillkitError when a place is missing that the notebook needs, or a parameter is unknown to it.
    """
    rest = dict(given)
    model, task = rest.pop("model", None), rest.pop("task", None)
    base = _base(study_name, model, task, project)
    model, task = _place(notebook, model, task, base)
    if not rest and (model is None or model in base.models) and (task is None or task in base.tasks):
        return base, base.name, base.page(notebook, model, task)
    path = _write_own(notebook, model, task, rest, base, project)
    own = load_study(path, project)
    return own, str(path), own.page(notebook, model, task)


def _base(name: str | None, model: str | None, task: str | None, project: Path) -> Study:
    """The study that lends its budget: the named one, or the first that has model and task, or one of them."""
    if name is not None:
        return load_study(name, project)
    studies = [load_study(known, project) for known in study_names(project)]
    if not studies:
        raise SkillkitError(f"There is no study in {project / 'studies'}. Restore one from the repository.")

    def fit(study: Study) -> int:
        return 2 * (model is None or model in study.models) + (task is None or task in study.tasks)

    return max(studies, key=fit)


def _place(
    notebook: Notebook, model: str | None, task: str | None, base: Study
) -> tuple[str | None, str | None]:
    wanted = {"cell": ("model", "task"), "model": ("model",), "study": ()}[notebook.scope]
    given = {"model": model, "task": task}
    missing = [name for name in wanted if not given[name]]
    if missing:
        choices = {"model": base.models, "task": base.tasks}
        known = "; ".join(f"-p {name}=… ({', '.join(choices[name])})" for name in missing)
        raise SkillkitError(f"{notebook.name} is made for one {' and '.join(wanted)} at a time. Add {known}.")
    return (model if "model" in wanted else None), (task if "task" in wanted else None)


def _write_own(
    notebook: Notebook, model: str | None, task: str | None, rest: dict[str, Any], base: Study, project: Path
) -> Path:
    """Write the study file of one page of one's own, with all pages that it reads, and return its path."""
    declared = {row.name: set(notebook_parameters(base.source(row))) for row in _with_what_it_reads(notebook)}
    known = set().union(*declared.values())
    for name in rest:
        if name not in known:
            raise unknown(
                "parameter", name, known, f"These are the parameters of {notebook.name} and what it reads."
            )
    budget = {**base.budget, **base.models.get(model or "", {}), **base.tasks.get(task or "", {})}
    budget |= {name: rest.pop(name) for name in BUDGET if name in rest}
    content = {
        "title": "Your own pages",
        "models": rest.pop("models", None) or ([model] if model else list(base.models)),
        "tasks": rest.pop("tasks", None) or ([task] if task else list(base.tasks)),
        "seeds": rest.pop("seeds", None) or list(base.seeds),
        "data": rest.pop("data", base.data),
        "budget": budget,
    }
    content["notebooks"] = {
        row: {**base.notebooks.get(row, {}), **{name: value for name, value in rest.items() if name in names}}
        for row, names in declared.items()
    }
    path = project / "results" / OWN / f"{OWN}.yaml"
    with atomic_write(path) as beside:
        beside.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _with_what_it_reads(notebook: Notebook) -> list[Notebook]:
    needed = {notebook.name: notebook}
    waiting = [notebook]
    while waiting:
        for name in waiting.pop().reads:
            if name not in needed:
                needed[name] = NOTEBOOKS[name]
                waiting.append(NOTEBOOKS[name])
    return [row for name, row in NOTEBOOKS.items() if name in needed]
