"""Build the book: hand-written pages from `book/`, executed notebooks from `results/`, and two kinds of page
made here.

Everything is gathered in `build/book` and built from there by jupyter-book, with warnings as errors. The
pages made here are an overview of each study, which links to all of its pages, and the status page: what
ran, how long, on what machine. No page of the book loads anything from another host, so Vega and MathJax are
copied out of installed packages.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from skillkit.errors import SkillkitError
from skillkit.results import Place, slug
from skillkit.study.failures import read_error, rerun_command
from skillkit.study.progress import spoken
from skillkit.study.studies import OWN, Page, Study, load_study

SOURCE, STAGE, OUTPUT = Path("book"), Path("build/book"), Path("book/_build")
RESULTS_PART = "Results"

# Added to the configuration that jupyter-book writes: no live code cells, which would need the network, no second
# search box, and no LaTeX. The sidebar opens only where the reader is: with all pages of the default book on each of
# them, it took two fifths of the build. sphinx_multitoc_numbering does not say that pages may be read side by side; they
# may, for all it does is number them afterwards.
CONFIGURATION = """
extensions = [name for name in extensions if name not in ("sphinx_thebe", "sphinx_jupyterbook_latex")]
html_theme_options["navbar_persistent"] = []
html_theme_options["collapse_navbar"] = True

def setup(app):
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
"""


def build_book(names: Sequence[str]) -> Path:
    """Build the book of the studies in `names`, and return the path of its first page.

    Raises SkillkitError when nothing was executed yet, or when jupyter-book warns of something.
    """
    studies = [load_study(name) for name in names]
    made = {study.name: made_pages(study) for study in studies}
    if not any(made.values()):
        first = names[0] if names else "classroom"
        raise SkillkitError(f"No page of {', '.join(names)} was made yet. Run `skillkit run {first}` first.")
    _stage(studies, made)
    _jupyter_book()
    (OUTPUT / "studies.json").write_text(json.dumps(list(names)))
    return OUTPUT / "html" / "index.html"


def shown() -> list[str]:
    """The studies that the book showed when it was built last; at first the default one."""
    try:
        names = json.loads((OUTPUT / "studies.json").read_text())
    except (OSError, ValueError):
        names = None
    fits = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return names if fits else ["classroom"]


def made_pages(study: Study) -> list[Page]:
    """The pages that have a table and an executed notebook without an error, in reading order.

    For the study of one's own pages these are all that lie in its folder, not only those of the last request.
    """
    pages = study.pages if study.name != OWN else _own_pages(study)
    return [page for page in pages if page.table.is_file() and _is_complete(page)]


def _is_complete(page: Page) -> bool:
    return not page.error.exists() and page.executed.is_file() and page.executed.stat().st_size > 0


def _own_pages(study: Study) -> list[Page]:
    """Pages found by their notebooks, with model and task as their parameters say."""
    from skillkit.study.table import NOTEBOOKS

    found = []
    for path in sorted(Path(study.results, study.name).glob("**/notebooks/*.ipynb")):
        row = NOTEBOOKS.get(path.stem)
        given = (
            _read(path)["metadata"].get("papermill", {}).get("parameters", {})
            if row and path.stat().st_size
            else {}
        )
        if row and given:
            model = given.get("model") if row.scope != "study" else None
            task = given.get("task") if row.scope == "cell" else None
            found.append(Page(row, Place(study.name, model, task, study.results)))
    return found


# ------------------------------------------------------------------------------------- gathering the sources


def _stage(studies: Sequence[Study], made: dict[str, list[Page]]) -> None:
    """Gather all sources of the book. Files that did not change are left alone, so that a rebuild is quick."""
    wanted: dict[Path, bytes] = {}
    for path in sorted(SOURCE.rglob("*")):
        below = path.relative_to(SOURCE)
        if (
            path.is_file()
            and below.parts[0] not in ("_build", "_toc.yml", "pages")
            and ".ipynb_checkpoints" not in below.parts
        ):
            wanted[below] = path.read_bytes()
    for study in studies:
        for model in (None, *_models(made[study.name])):
            text = (
                _overview(study, made[study.name])
                if model is None
                else _model_overview(model, study, made[study.name])
            )
            wanted[_overview_file(study, model).with_suffix(".md")] = text.encode()
        for page in made[study.name]:
            wanted[_file(page)] = _executed(page, study).encode()
    wanted[Path("status.md")] = _status(studies, made).encode()
    wanted[Path("_toc.yml")] = yaml.safe_dump(contents(studies, made), sort_keys=False).encode()
    wanted[Path("_static/vega-bundle.js")] = vega_bundle().encode()
    wanted[Path("_extra/mathjax/tex-svg-full.js")] = mathjax().read_bytes()
    for path in [
        path for path in STAGE.rglob("*") if path.is_file() and path.relative_to(STAGE) not in wanted
    ]:
        path.unlink()
    for below, content in wanted.items():
        target = STAGE / below
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)


def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that gives the page `vegaEmbed` and leaks no other name.

    Altair's figures load Vega from the network unless `VEGA_DEBUG` names the versions they ask for.
    """
    import vl_convert
    from altair.vegalite import v6

    version = ".".join(v6.VEGALITE_VERSION.split(".")[:2])
    asked = {
        "vega_version": v6.VEGA_VERSION,
        "vegalite_version": v6.VEGALITE_VERSION,
        "vegaembed_version": v6.VEGAEMBED_VERSION,
    }
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return f"(function () {{\n{bundle}\n}})();\nvar VEGA_DEBUG = {json.dumps(asked)};\n"


def mathjax() -> Path:
    """MathJax 3 as one file, from the package sphinx-mathjax-offline. Raises SkillkitError when that is not installed."""
    try:
        package = metadata.distribution("sphinx-mathjax-offline")
    except metadata.PackageNotFoundError as error:
        raise SkillkitError(
            "The package sphinx-mathjax-offline is missing; `pip install -e .` brings it."
        ) from error
    [script] = [file for file in package.files or () if file.name == "tex-svg-full.js"]
    return Path(str(package.locate_file(script)))


def contents(studies: Sequence[Study], made: dict[str, list[Page]]) -> dict[str, Any]:
    """The table of contents: `book/_toc.yml` with one part per study in the place of the part `Results`."""
    toc = yaml.safe_load((SOURCE / "_toc.yml").read_text())
    parts = []
    for part in toc["parts"]:
        if part["caption"] == RESULTS_PART:
            parts += [_part(study, made[study.name]) for study in studies if made[study.name]]
        else:
            parts.append(part)
    return {**toc, "parts": parts}


def _part(study: Study, pages: Sequence[Page]) -> dict[str, Any]:
    """One study: its overview and study-wide pages, then each model with its own pages and, below each task, the task's."""
    chapters: list[dict[str, Any]] = [{"file": str(_overview_file(study)), "title": "Overview"}]
    chapters += [_entry(page) for page in pages if page.notebook.scope == "study"]
    for model in _models(pages):
        sections = [
            _entry(page) for page in pages if page.place.model == model and page.notebook.scope == "model"
        ]
        for task in _tasks(pages, model):
            first, *others = [page for page in pages if (page.place.model, page.place.task) == (model, task)]
            sections.append(
                _with_sections({**_entry(first), "title": task}, [_entry(page) for page in others])
            )
        chapters.append(_with_sections({"file": str(_overview_file(study, model)), "title": model}, sections))
    return {"caption": study.title, "chapters": chapters}


def _with_sections(entry: dict[str, Any], sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {**entry, "sections": sections} if sections else entry


def _models(pages: Sequence[Page]) -> list[str]:
    return list(dict.fromkeys(page.place.model for page in pages if page.place.model))


def _tasks(pages: Sequence[Page], model: str) -> list[str]:
    return list(
        dict.fromkeys(page.place.task for page in pages if page.place.model == model and page.place.task)
    )


def _entry(page: Page) -> dict[str, Any]:
    return {"file": str(_file(page).with_suffix("")), "title": page.notebook.title}


def _file(page: Page) -> Path:
    """Where a page lies among the book's sources."""
    places = [slug(place) for place in (page.place.model, page.place.task) if place]
    return Path("pages", page.place.study, *places, f"{page.notebook.name}.ipynb")


def _overview_file(study: Study, model: str | None = None) -> Path:
    return Path("pages", study.name, slug(model) if model else "", "overview")


def _read(path: Path) -> Any:
    """A notebook or provenance file. Raises SkillkitError when it is cut off."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise SkillkitError(
            f"{path} is cut off or broken ({error}). Delete it and run its page again."
        ) from error
    if not isinstance(content, dict):
        raise SkillkitError(f"{path} is not what a page writes. Delete it and run its page again.")
    return content


def _executed(page: Page, study: Study) -> str:
    """The executed notebook with its own title, a line that says how to run it again, and nothing of the machine."""
    notebook = _read(page.executed)
    where = " · ".join(filter(None, (page.place.model, page.place.task)))
    cells = notebook["cells"]
    for cell in cells:
        cell["id"] = cell.get("id") or f"cell-{cells.index(cell)}"
        cell["metadata"] = {name: value for name, value in cell["metadata"].items() if name == "tags"}
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["source"] = "".join(cell["source"]).replace(
                "# Parameters\n", "# the parameters of this page\n"
            )
    title = next(
        (c for c in cells if c["cell_type"] == "markdown" and "".join(c["source"]).startswith("# ")), None
    )
    if title is None:
        cells.insert(0, _markdown("title", f"# {page.notebook.title}"))
        title = cells[0]
    if where:
        title["source"] = re.sub(r"\A# (.+)", rf"# \1: {where}", "".join(title["source"]))
    cells.append(_markdown("rerun", _rerun_box(page, study, notebook["metadata"])))
    notebook["metadata"] = {
        name: notebook["metadata"][name]
        for name in ("kernelspec", "language_info")
        if name in notebook["metadata"]
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _markdown(identifier: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": identifier, "metadata": {}, "source": text}


def _rerun_box(page: Page, study: Study, facts: dict[str, Any]) -> str:
    took = facts.get("skillkit", {}).get("seconds") or facts.get("papermill", {}).get("duration")
    time = f" It took {spoken(took)}." if took else ""
    steps = study.budget.get("steps")
    own = (
        f" Add `-p steps={2 * steps}` or any other parameter of the page for a version of your own."
        if steps
        else ""
    )
    return f":::{{admonition}} Run this page again\n:class: tip\n```bash\n{rerun_command(page)}\n```\n{time}{own}\n:::".replace(
        "```\n ", "```\n"
    )


# --------------------------------------------------------------------------------------------- pages made
# here


def _overview(study: Study, pages: Sequence[Page]) -> str:
    """The study in a nutshell, with links to the pages over all of it and to each model."""
    lines = [f"# {study.title}: overview", "", study.description.strip(), ""]
    settings = {**study.budget, "seeds": list(study.seeds)}
    lines += ["Budget: " + ", ".join(f"{name} {value}" for name, value in settings.items()) + ".", ""]
    here = _overview_file(study).parent
    lines += [f"- {_link(page, here)}" for page in pages if page.notebook.scope == "study"]
    lines += ["", "Models:", ""]
    for model in _models(pages):
        lines.append(f"- [{model}]({slug(model)}/overview.md), {len(_tasks(pages, model))} tasks")
    return "\n".join(lines) + "\n"


def _model_overview(model: str, study: Study, pages: Sequence[Page]) -> str:
    """All pages of one model: those over its tasks, then a table of tasks and notebooks."""
    here = _overview_file(study, model).parent
    pages = [page for page in pages if page.place.model == model]
    lines = [f"# {model}: overview", "", f"The pages of `{model}` in the study *{study.title}*.", ""]
    lines += [f"- {_link(page, here)}" for page in pages if page.notebook.scope == "model"]
    columns = [row for row in study.rows if any(page.notebook == row and page.place.task for page in pages)]
    if columns:
        lines += [
            "",
            "| task | " + " | ".join(row.title for row in columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
    for task in _tasks(pages, model):
        found = {page.notebook: page for page in pages if page.place.task == task}
        links = [_link(found[row], here, row.number) if row in found else "" for row in columns]
        lines.append(f"| {task} | {' | '.join(links)} |")
    return "\n".join(lines) + "\n"


def _link(page: Page, here: Path, text: str | None = None) -> str:
    return f"[{text or page.notebook.title}]({os.path.relpath(_file(page), here)})"


def _status(studies: Sequence[Study], made: dict[str, list[Page]]) -> str:
    """What ran, how long it took, on what machine, and what failed."""
    lines = ["# Status", "", "What was run for this book, how long it took, and on what."]
    for study in studies:
        lines += ["", f"## {study.title}", "", *_times(made[study.name]), ""]
        failed = [page for page in study.pages if page.error.is_file()]
        missing = len(
            [page for page in study.pages if not page.error.is_file() and page not in made[study.name]]
        )
        if failed:
            lines += ["Failed:", ""]
            for page in failed:
                error = read_error(page)
                lines.append(f"- `{page}`: `{error['error']}`. Run again: `{rerun_command(page)}`")
        if missing:
            lines += ["", f"Not made: {missing} pages. `skillkit run {study.name}` makes them."]
        if not failed and not missing:
            lines.append("Every page of the study was made.")
        lines += ["", *_machine(made[study.name])]
    return "\n".join(lines) + "\n"


def _times(pages: Sequence[Page]) -> list[str]:
    """A table of run times: one row per notebook."""
    lines = ["| notebook | pages | median time | longest | peak memory |", "|---|---:|---:|---:|---:|"]
    everything = 0.0
    for row in dict.fromkeys(page.notebook for page in pages):
        facts = [
            _read(page.executed)["metadata"].get("skillkit", {}) for page in pages if page.notebook == row
        ]
        seconds = [fact["seconds"] for fact in facts if "seconds" in fact] or [0.0]
        peak = max((fact.get("peak_bytes", 0) for fact in facts), default=0) / 2**30
        everything += sum(seconds)
        middle, longest = spoken(statistics.median(seconds)), spoken(max(seconds))
        lines.append(f"| {row.title} | {len(facts)} | {middle} | {longest} | {peak:.1f} GB |")
    return (
        [*lines, "", f"In all {spoken(everything)} of notebook time; notebooks run side by side."]
        if pages
        else []
    )


def _machine(pages: Iterable[Page]) -> list[str]:
    """Machine, commit and versions, from the newest table's provenance."""
    files = [page.table.with_suffix(".provenance.json") for page in pages]
    files = sorted((file for file in files if file.is_file()), key=lambda file: file.stat().st_mtime)
    if not files:
        return []
    made = _read(files[-1])
    packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
    return [
        f"Last written {made['written'][:10]} on {made['machine']}, device {made['device']}, Python {made['python']}, "
        f"commit {made['commit'] or 'unknown'}.",
        "",
        f"Packages: {packages}.",
    ]


# -------------------------------------------------------------------------------------------------- the
# builder


def _jupyter_book() -> None:
    """Run jupyter-book over the gathered sources. Raises SkillkitError with its warnings when it has any.

    Jupyter-book writes the configuration for Sphinx, which is then called directly, to change the configuration
    in between, and to build in several processes.
    """
    OUTPUT.mkdir(parents=True, exist_ok=True)
    log = OUTPUT / "build.log"
    log.unlink(missing_ok=True)
    jobs = str(1 + min(8, os.cpu_count() or 1))  # one gathers, the others write
    sphinx = ["-b", "html", "-d", str(OUTPUT / ".doctrees"), "-W", "-n", "--keep-going", "-q", "-j", jobs]
    if _call(["jupyter-book", "config", "sphinx", str(STAGE)], log):
        with (STAGE / "conf.py").open("a") as file:
            file.write(CONFIGURATION)
        if _call(["sphinx-build", *sphinx, str(STAGE), str(OUTPUT / "html")], log):
            return
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text()).splitlines()
    told = [line for line in lines if re.search(r"WARNING|ERROR|Error", line)] or lines[-15:]
    raise SkillkitError(
        f"The book was not built; {log} has the whole story.\n" + "\n".join(dict.fromkeys(told))
    )


def _call(command: Sequence[str], log: Path) -> bool:
    """Run a program that came with this environment; what it says goes to the end of `log`."""
    program, *rest = command
    with log.open("a") as out:
        path = Path(sys.executable).parent / program
        done = subprocess.run([str(path), *rest], stdout=out, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0
