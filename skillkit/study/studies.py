"""A study: models × tasks × seeds × budget, and the notebooks to run over them; read from
`studies/<name>.yaml`.

    title: The classroom study
    models: [mini-roberta, mini-t5]        # or name: {steps: 300}, to give one model its own budget
    tasks: [film, news]                    # likewise
    seeds: [0, 1]
    budget: {length: 16, steps: 150}       # parameters of the notebooks, for all models and tasks
    notebooks: [01_prompt_tuning, …]       # or name: {…}, parameters for that notebook alone;
                                           # only: [film] among them says for which tasks it runs

A *page* is one notebook for one place of the study: a model and a task, a model, or the whole study. Where
the same parameter is given more than once, the more special one holds: budget < model < task < notebook.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.data.tasks import get_task
from skillkit.errors import SkillkitError, unknown
from skillkit.files import atomic_write
from skillkit.names import shown_name, slug
from skillkit.results import Place
from skillkit.study.naming import check_study_name
from skillkit.study.parameters import check_declared
from skillkit.study.reading import read_yaml
from skillkit.study.table import NOTEBOOKS, Notebook, notebook_parameters
from skillkit.study.validation import check_together, read_content

DATA_VARIABLE = "$SKILLKIT_DATA"

_REQUESTS = "requests.json"
OWN = "own"
"""The study of a reader's own pages: its file lies with its results."""


@dataclass(frozen=True)
class Page:
    """One notebook for one place of a study."""

    notebook: Notebook
    place: Place

    @property
    def table(self) -> Path:
        """The table it writes."""
        return self.place.table(self.notebook.name)

    @property
    def executed(self) -> Path:
        """The executed notebook."""
        return self.place.notebook(self.notebook.name)

    @property
    def receipt(self) -> Path:
        """The digests of all its files, written once it has succeeded (see `study.receipts`)."""
        return self.place.receipt(self.notebook.name)

    @property
    def error(self) -> Path:
        """What went wrong, if something did."""
        return self.executed.with_suffix(".error.json")

    def __str__(self) -> str:
        """Such as `02_skill_neurons mini-t5 film`."""
        return " ".join(filter(None, (self.notebook.name, self.place.shown, self.place.task)))


@dataclass(frozen=True)
class Study:
    """A checked study. `models`, `tasks` and `notebooks` map names to their own parameters, usually none.
    `only` maps a notebook to the tasks that it is restricted to.
    """

    name: str
    models: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    notebooks: Mapping[str, Mapping[str, Any]]
    budget: Mapping[str, Any]
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data: str | None = None
    title: str = ""
    description: str = ""
    project: Path = Path(".")
    results: str = "results"

    @cached_property
    def rows(self) -> tuple[Notebook, ...]:
        """The notebooks that this study runs, by number: those that it lists and that have a file."""
        return tuple(
            row
            for row in NOTEBOOKS.values()
            if row.name in self.notebooks and self.source(row).is_file() and self._fits(row)
        )

    def source(self, notebook: Notebook) -> Path:
        """The notebook's file, not executed."""
        return self.project / "notebooks" / f"{notebook.name}.ipynb"

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """Every page, in the order in which a reader would want them made."""
        return tuple(Page(row, place) for row in self.rows for place in self.places(row))

    def pattern(self, notebook: Notebook) -> Page:
        """The page of a notebook with `{model}` and `{task}` in place of names, for the Snakefile."""
        model = "{model}" if notebook.scope != "study" else None
        return Page(
            notebook, Place(self.name, model, "{task}" if notebook.scope == "cell" else None, self.results)
        )

    def inputs(self, page: Page) -> list[Path]:
        """What Snakemake watches for a page: the receipts of the pages whose results it reads."""
        return [
            other.receipt
            for other in self.pages
            if other.notebook.name in page.notebook.reads and _within(other.place, page.place)
        ]

    def outputs(self, page: Page) -> list[Path]:
        """What Snakemake expects of a page: its receipt, its table with provenance, prompts and scores."""
        place, row = page.place, page.notebook
        prompts = [place.prompt(seed) for seed in self.seeds] if row.prompts else []
        scores = [place.scores(seed) for seed in self.seeds] if row.scores else []
        return [page.receipt, page.table, place.provenance(row.name), *prompts, *scores]

    def files(self, page: Page) -> list[Path]:
        """The files that a page's receipt tells of: its results and the executed notebook."""
        return [*self.outputs(page)[1:], page.executed]

    def parameters(self, page: Page) -> dict[str, Any]:
        """The values that a page's notebook runs with: of all that the study gives, those it declares."""
        model, task, row = page.place.model, page.place.task, page.notebook
        given: dict[str, Any] = {
            "study": self.name,
            "model": model,
            "task": task,
            "models": list(self.models),
            "tasks": list(self._tasks(row)),
            "seeds": list(self.seeds),
            "data": None
            if self.data == DATA_VARIABLE
            else self.data,  # load_task looks at the variable itself
            "results": self.results,
            **self.budget,
            **self.models.get(model or "", {}),
            **self.tasks.get(task or "", {}),
            **self.notebooks.get(row.name, {}),
        }
        declared = notebook_parameters(self.source(row))
        return {name: value for name, value in given.items() if name in declared}

    def has_bundled_task(self, page: Page) -> bool:
        """Whether a page reads a bundled task, and so depends on the code of those."""
        task = page.place.task
        return any(name in BUNDLED_TASKS for name in ([task] if task else self._tasks(page.notebook)))

    def page(self, notebook: Notebook, model: str | None = None, task: str | None = None) -> Page:
        """The page of a notebook for a place, given by names or by the folder names made from them.

        Raises SkillkitError when the study has no such page.
        """
        if model not in self.models:
            model = next((name for name in self.models if slug(shown_name(name)) == model), model)
        for page in self.pages:
            if page.notebook == notebook and (page.place.model, page.place.task) == (model, task):
                return page
        wanted = " ".join(filter(None, (notebook.name, model, task)))
        if reason := self._why_not(notebook, task):
            raise SkillkitError(f"There is no page {wanted!r} in study {self.name!r}: {reason}")
        raise unknown(
            "page",
            wanted,
            map(str, (p for p in self.pages if p.notebook == notebook)),
            f"Study: {self.name}.",
        )

    def _why_not(self, row: Notebook, task: str | None) -> str:
        """Why a notebook is not made for a task of the study, or at all; empty where it is."""
        if not self._fits(row):
            return f"{row.name} needs the papers' released prompts. Set SKILLKIT_REFERENCE to their folder."
        if row.name in self.notebooks and row not in self.rows:
            return f"{self.source(row)} is missing. Restore it from the repository."
        if row not in self.rows:
            made = ", ".join(each.name for each in self.rows)
            return f"the study does not list {row.name}. It lists {made}."
        if task is None or task not in self.tasks:
            return ""
        fit = [name for name in self._tasks(row) if _suits(row, name)]
        if task in fit:
            return ""
        if not _suits(row, task):
            where = f"{row.name} is only made for {_LACK[str(row.needs)]}"
        else:
            where = f"the study makes {row.name} for some tasks only ('only' in its file)"
        return f"{where}. Here these fit: {', '.join(fit) or 'none'}."

    def why_empty(self) -> str:
        """Why the study makes no page, for each notebook that it lists."""
        reasons = []
        for name in self.notebooks:
            lack = self._why_not(NOTEBOOKS[name], None)
            reasons.append(lack or f"{name} needs {_LACK[str(NOTEBOOKS[name].needs)]}, and it lists none.")
        return " ".join(reasons)

    @property
    def data_folder(self) -> Path | None:
        """The local folder that tasks come from, other than the bundled ones; None: the Hub."""
        given = os.environ.get("SKILLKIT_DATA") if self.data in (None, DATA_VARIABLE) else self.data
        return Path(given).absolute() if given else None

    def check_data(self) -> None:
        """Raise SkillkitError unless the local folder that the tasks come from is there and holds them."""
        public = [task for task in self.tasks if task not in BUNDLED_TASKS]
        folder = self.data_folder
        if self.data not in (None, "", DATA_VARIABLE) and folder and not folder.is_dir():
            raise SkillkitError(f"data: there is no folder {folder}. Give one that holds a folder per task.")
        if not public or (not folder and self.data != DATA_VARIABLE):
            return
        if not folder or not folder.is_dir():
            where = f"there is no folder {folder}" if folder else "SKILLKIT_DATA is not set to a folder"
            raise SkillkitError(
                f"Study {self.name!r} reads its tasks from a local folder, and {where}. "
                "Set it: export SKILLKIT_DATA=/path/to/tasks, "
                "one folder per task (train.parquet, test.parquet)."
            )
        missing = [task for task in public if not (folder / task).is_dir()]
        if missing:
            raise SkillkitError(
                f"{folder} has no folder for {', '.join(missing)}, which study {self.name!r} uses. "
                "Add the data, or take the tasks out of the study."
            )

    def _tasks(self, row: Notebook) -> Iterable[str]:
        return self.only.get(row.name, tuple(self.tasks))

    def _fits(self, row: Notebook) -> bool:
        return row.needs != "reference" or Path(os.environ.get("SKILLKIT_REFERENCE", "/nowhere")).is_dir()

    def places(self, row: Notebook) -> Iterator[Place]:
        """Where a notebook runs: its scope's places, less the tasks that it does not suit."""
        models = list(self.models) if row.scope != "study" else [None]
        tasks = [task for task in self._tasks(row) if _suits(row, task)] if row.scope == "cell" else [None]
        for model in models:
            for task in tasks:
                yield Place(self.name, model, task, self.results)


_LACK = {"twin": "tasks with an adversarial twin", "factors": "tasks with known generating factors"}


def _suits(row: Notebook, task: str) -> bool:
    if row.needs == "twin":
        return get_task(task).twin is not None
    if row.needs == "factors":
        return task in BUNDLED_TASKS
    return True


def _within(inner: Place, outer: Place) -> bool:
    return all(
        wide is None or narrow == wide
        for narrow, wide in ((inner.model, outer.model), (inner.task, outer.task))
    )


def load_study(name: str | Path, project: str | Path = ".", results: str = "results") -> Study:
    """Read and check a study, by its name in `studies/` or by the path of its file.

    Raises SkillkitError when there is none, or when something in it is wrong (with the nearest known name).
    """
    project = Path(project)
    path = Path(name) if str(name).endswith((".yaml", ".yml")) else project / "studies" / f"{name}.yaml"
    if name == OWN and not path.is_file():
        path = own_file(project, results)
        if not path.is_file():
            raise SkillkitError(
                "You have no pages of your own yet. `skillkit page … -p name=value` makes them."
            )
    is_name = path == Path(name) or "/" not in str(name)
    if not path.is_file() or not is_name:
        if path == Path(name) or (is_name and path.exists()):
            fault = "This is no file:" if path.exists() else "There is no study file"
            raise SkillkitError(f"{fault} {path.absolute()}. A study is a YAML file.")
        raise unknown(
            "study", str(name), study_names(project), f"A study is a file in {project / 'studies'}."
        )
    check_study_name(path.stem)
    _refuse_shared_folder(path, project, results)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SkillkitError(f"{path} is not UTF-8 text ({error}). Save it as UTF-8.") from error
    except SkillkitError as error:
        raise SkillkitError(f"{path} is {error}") from error
    return check_study(path, content, project, results)


def _refuse_shared_folder(path: Path, project: Path, results: str) -> None:
    """Raise SkillkitError when another study's results would lie in the same folder."""
    if path.absolute() == own_file(project, results).absolute():
        return
    for other in (project / "studies").glob("*.yaml"):
        if other.stem.casefold() == path.stem.casefold() and not other.samefile(path):
            raise SkillkitError(f"{path} and {other} would share one results folder. Rename one of them.")
    if path.stem.casefold() == OWN:
        raise SkillkitError(f"{path}: the name {OWN!r} is kept for pages made by `skillkit page`. Rename it.")


def check_study(path: Path, content: Any, project: Path, results: str = "results") -> Study:
    """The study that a file at `path` with this content would be; raises what `load_study` raises."""
    file = read_content(content, path)
    study = Study(
        name=path.stem,
        models=file.models,
        tasks=file.tasks,
        seeds=tuple(file.seeds),
        notebooks=file.notebooks,
        only=file.only,
        budget=file.budget,
        data=file.data,
        title=" ".join((file.title or path.stem.capitalize()).split()),
        description=file.description or "",
        project=project,
        results=results,
    )
    for name, own in study.notebooks.items():
        source = study.source(NOTEBOOKS[name])
        if source.is_file():
            try:
                _check_notebook(study, NOTEBOOKS[name], own)
            except SkillkitError as error:
                raise SkillkitError(f"{path}: {error}") from error
    return study


def _check_notebook(study: Study, row: Notebook, own: Mapping[str, Any]) -> None:
    """Raise SkillkitError unless a notebook takes the parameters that a study gives to it."""
    where = f"notebooks: {row.name}"
    defaults = notebook_parameters(study.source(row))
    check_declared(own, defaults, where)
    tasks = [place.task for place in study.places(row) if place.task]
    if own or row.name == "09_projection":
        check_together(row.name, {**defaults, **own}, study.models, tasks, where)


def own_file(project: Path, results: str = "results") -> Path:
    """The study file that `skillkit page` writes for a reader's own pages."""
    return project / results / OWN / f"{OWN}.yaml"


def read_requests(project: Path, results: str | Path = "results") -> dict[str, dict[str, Any]]:
    """What a reader asked for: for each page of their own the `study` behind it, and what was `given`."""
    try:
        content = json.loads(own_file(project, str(results)).with_name(_REQUESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {page: asked for page, asked in content.items() if _is_request(asked)}


def _is_request(asked: Any) -> bool:
    """Whether an entry is what `note_requests` writes, and nothing that somebody put into the file."""
    if not isinstance(asked, dict):
        return False
    return isinstance(asked.get("given", {}), dict) and isinstance(asked.get("study", ""), str)


def note_requests(project: Path, requests: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep what `read_requests` reads."""
    with atomic_write(own_file(project).with_name(_REQUESTS)) as beside:
        beside.write_text(json.dumps(requests, indent=1, default=str) + "\n", encoding="utf-8")


def study_names(project: str | Path = ".") -> list[str]:
    """The names of all studies in the project, the default one first."""
    names = sorted(path.stem for path in (Path(project) / "studies").glob("*.yaml"))
    return sorted(names, key=lambda name: name != "classroom")
