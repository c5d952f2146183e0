"""Find the page that a reader asks for: one of a study, or one of their own with other parameters.

A page asked for exactly as a study has it is made again in place. With another model, task or budget it
belongs to the study `own` (results/own), so that no study mixes pages made in different ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from skillkit.errors import SkillkitError, unknown
from skillkit.files import atomic_write
from skillkit.names import is_folder_name, look, source_of, told_apart
from skillkit.study.engine import sole_run
from skillkit.study.naming import check_model, check_name
from skillkit.study.parameters import BUDGET, check_value, short
from skillkit.study.studies import (
    OWN,
    Page,
    Study,
    check_study,
    load_study,
    note_requests,
    own_file,
    read_requests,
    study_names,
)
from skillkit.study.table import NOTEBOOKS, Notebook, notebook_parameters


def find_page(
    notebook: Notebook, given: Mapping[str, Any], study_name: str | None = None, project: Path = Path(".")
) -> tuple[Study, str, Page]:
    """The page of `notebook` with the `given` parameters: its study, the study's name or file, and the page.

    A page of one's own gets its study file here, once all is checked.

    Raises SkillkitError when a place is missing that the notebook needs, when one is given that it does not
    have, when a parameter is unknown to it, or when another page of one's own is being made.
    """
    rest = dict(given)
    model, task = _name(rest, "model"), _name(rest, "task")
    base = _base(study_name, notebook, model, task, project)
    model, task = _place(notebook, model, task, base)
    model = next((known for known in base.models if source_of(known) == model), model)
    if not rest and (model is None or model in base.models) and (task is None or task in base.tasks):
        return base, study_name or base.name, base.page(notebook, model, task)
    model = _unlike_earlier(model, project)
    path, content = own_file(project), _own_content(notebook, model, task, rest, base)
    try:
        own = check_study(path, content, project)
    except SkillkitError as error:  # the file is not there yet: what is wrong was given by hand
        raise SkillkitError(str(error).removeprefix(f"{path}: ")) from error
    page = own.page(notebook, model, task)
    own.check_data()
    with sole_run(own):
        with atomic_write(path) as beside:
            beside.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        _note(own, base, rest, study_name)
    return own, str(path), page


def _unlike_earlier(model: str | None, project: Path) -> str | None:
    """The name of a model among all pages of one's own; they stay, and another folder may be shown alike."""
    if model is None or not is_folder_name(model) or source_of(model) != model:
        return model
    earlier = [str(asked.get("model")) for asked in read_requests(project).values() if asked.get("model")]
    if model in earlier:
        return model
    alike = any(look(name) == look(model) for name in earlier)
    return told_apart(model) if alike else model


def _name(rest: dict[str, Any], kind: str) -> str | None:
    """Take the model or the task out of what was given."""
    if kind not in rest:
        return None
    value = rest.pop(kind)
    if not isinstance(value, str) or not value:
        raise SkillkitError(f"-p {kind}={'' if value in (None, '') else short(value)}: expected one name.")
    return check_model(check_name(value, "-p model")) if kind == "model" else value


def _base(name: str | None, notebook: Notebook, model: str | None, task: str | None, project: Path) -> Study:
    """The study that lends its budget: the named one, or the first with model and task, or one of them.

    Of two that have both, one that makes this notebook for the task goes first.
    """
    if name is not None:
        return load_study(name, project)
    studies = [load_study(known, project) for known in study_names(project)]
    if not studies:
        raise SkillkitError(f"There is no study in {project / 'studies'}. Restore one from the repository.")

    def fit(study: Study) -> int:
        made = task is None or task in study.only.get(notebook.name, study.tasks)
        models = {source_of(name) for name in study.models}
        known = 2 * (model is None or model in models) + (task is None or task in study.tasks)
        return 2 * known + made

    return max(studies, key=fit)


def _place(
    notebook: Notebook, model: str | None, task: str | None, base: Study
) -> tuple[str | None, str | None]:
    wanted = {"cell": ("model", "task"), "model": ("model",), "study": ()}[notebook.scope]
    given = {"model": model, "task": task}
    for name, value in given.items():
        if value and name not in wanted:
            raise SkillkitError(
                f"{notebook.name} is made for all {name}s at once, not for one. "
                f"Name them in a list: -p '{name}s=[{value}]'."
            )
    missing = [name for name in wanted if not given[name]]
    if missing:
        choices = {"model": base.models, "task": base.tasks}
        known = "; ".join(f"-p {name}=… ({', '.join(choices[name])})" for name in missing)
        raise SkillkitError(f"{notebook.name} is made for one {' and '.join(wanted)} at a time. Add {known}.")
    return model, task


def _own_content(
    notebook: Notebook, model: str | None, task: str | None, given: Mapping[str, Any], base: Study
) -> dict[str, Any]:
    """The study file of one page of one's own, with all pages that it reads.

    What was given holds before all that `base` says.
    """
    declared = _declared(notebook, base)
    known = set().union(*declared.values())
    for name in given:
        if name not in known:
            raise unknown(
                "parameter", name, known, f"These are the parameters of {notebook.name} and what it reads."
            )
    rest = dict(given)
    if type(rest.get("seeds")) is int:
        rest["seeds"] = [rest["seeds"]]
    for row, names in declared.items():
        defaults = notebook_parameters(base.source(NOTEBOOKS[row]))
        for name in (rest.keys() & names) - {"models", "tasks", "study", "results"}:
            check_value(name, rest[name], "-p", defaults[name])
    models = rest.pop("models", [model] if model else list(base.models))
    tasks = rest.pop("tasks", [task] if task else list(base.tasks))
    seeds = rest.pop("seeds", list(base.seeds))
    whole = task is None and "tasks" not in given  # else it was asked for the tasks by name

    def less(own: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in own.items() if name not in given}

    def of_notebook(row: str) -> dict[str, Any]:
        own = {name: value for name, value in rest.items() if name in declared[row] and name not in BUDGET}
        only = {"only": list(base.only[row])} if whole and row in base.only else {}
        return {**less(base.notebooks.get(row, {})), **own, **only}

    return {
        "title": "Your own pages",
        "models": _with_own(models, base.models, less),
        "tasks": _with_own(tasks, base.tasks, less),
        "seeds": seeds,
        "data": rest.pop("data", base.data),
        "budget": {
            **base.budget,
            **{name: value for name, value in rest.items() if name in BUDGET},
        },
        "notebooks": {row: of_notebook(row) for row in declared},
    }


def _with_own(
    names: Any, known: Mapping[str, Mapping[str, Any]], less: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Any:
    """Names with the parameters that a study gives to each alone.

    Anything else than a list of names stays as it is, to be refused later.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return names
    if len(set(names)) < len(names):
        return names
    return {name: less(known.get(name, {})) for name in names}


def _note(own: Study, base: Study, given: Mapping[str, Any], study_name: str | None) -> None:
    """Keep for each page what was asked for, so that the command can be told that makes it again."""
    before = read_requests(own.project)
    asked = {}
    for page in own.pages:
        names = set().union(*_declared(page.notebook, own).values())
        mine = {name: value for name, value in given.items() if name in names}
        earlier = before.get(str(page), {}) if base.name == OWN else {}
        asked[str(page)] = {
            "study": earlier.get("study", study_name or base.name),
            "model": page.place.model,
            "given": {**earlier.get("given", {}), **mine},
        }
    note_requests(own.project, {**before, **asked})


def _declared(notebook: Notebook, study: Study) -> dict[str, set[str]]:
    """The parameters of a notebook and of each that it reads, of those that there are."""
    sources = {row.name: study.source(row) for row in _with_what_it_reads(notebook)}
    there = {name: path for name, path in sources.items() if path.is_file() or name == notebook.name}
    return {name: set(notebook_parameters(path)) for name, path in there.items()}


def _with_what_it_reads(notebook: Notebook) -> list[Notebook]:
    needed = {notebook.name: notebook}
    waiting = [notebook]
    while waiting:
        for name in waiting.pop().reads:
            if name not in needed:
                needed[name] = NOTEBOOKS[name]
                waiting.append(NOTEBOOKS[name])
    return [row for name, row in NOTEBOOKS.items() if name in needed]
