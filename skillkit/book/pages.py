"""The executed pages of a study: which were made, where the book keeps them, and how it shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from skillkit.errors import SkillkitError
from skillkit.names import markdown_text, slug
from skillkit.results import RECEIPT, Place
from skillkit.study.failures import rerun_command
from skillkit.study.progress import spoken
from skillkit.study.receipts import is_made
from skillkit.study.studies import OWN, Page, Study
from skillkit.study.table import NOTEBOOKS


def made_pages(study: Study) -> list[Page]:
    """The pages that were made and whose files are as they were then, in reading order.

    For the study of one's own pages these are all that lie in its folder, not only those of the last request.
    """
    pages = study.pages if study.name != OWN else _own_pages(study)
    return [page for page in pages if is_made(study, page)]


def _own_pages(study: Study) -> list[Page]:
    """Pages found by their notebooks, with model and task as their parameters say."""
    found = []
    for path in sorted(Path(study.results, study.name).glob("**/notebooks/*.ipynb")):
        row = NOTEBOOKS.get(path.stem)
        if row is None or not path.parents[1].joinpath(row.name + RECEIPT).is_file():
            continue
        try:
            given = facts_of(read_notebook(path), "papermill").get("parameters")
        except SkillkitError:  # damaged, so it will be made again
            continue
        if given and isinstance(given, dict):
            model = given.get("model") if row.scope != "study" else None
            task = given.get("task") if row.scope == "cell" else None
            found.append(Page(row, Place(study.name, model, task, study.results)))
    return found


def models_of(pages: Sequence[Page]) -> list[str]:
    """The models that have pages, in reading order."""
    return list(dict.fromkeys(page.place.model for page in pages if page.place.model))


def tasks_of(pages: Sequence[Page], model: str) -> list[str]:
    """The tasks that have pages of this model, in reading order."""
    own = [page for page in pages if page.place.model == model]
    return list(dict.fromkeys(page.place.task for page in own if page.place.task))


def page_file(page: Page) -> Path:
    """Where a page lies among the book's sources."""
    places = [slug(place) for place in (page.place.shown, page.place.task) if place]
    return Path("pages", page.place.study, *places, f"{page.notebook.name}.ipynb")


def read_json(path: Path) -> dict[str, Any]:
    """A notebook or provenance file.

    Raises:
        SkillkitError: The file is cut off.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SkillkitError(
            f"{path} is cut off or broken ({error}). Delete it and run its page again."
        ) from error
    if not isinstance(content, dict):
        raise SkillkitError(f"{path} is not what a page writes. Delete it and run its page again.")
    return content


def read_notebook(path: Path) -> dict[str, Any]:
    """An executed notebook.

    Raises:
        SkillkitError: The file is cut off, or is no notebook.
    """
    content = read_json(path)
    cells = content.get("cells")
    if (
        not isinstance(content.get("metadata"), dict)
        or not isinstance(cells, list)
        or not all(map(_is_cell, cells))
    ):
        raise SkillkitError(f"{path} is no executed notebook. Delete it and run its page again.")
    return content


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return False
    source, metadata = cell.get("source"), cell.get("metadata")
    is_text = isinstance(source, str) or (
        isinstance(source, list) and all(isinstance(line, str) for line in source)
    )
    is_complete = cell["cell_type"] != "code" or isinstance(cell.get("outputs"), list)
    return (
        is_text and isinstance(metadata, dict) and isinstance(metadata.get("tags", []), list) and is_complete
    )


def facts_of(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What `skillkit` or `papermill` wrote into a notebook's metadata, if they did."""
    facts = notebook["metadata"].get(name, {})
    return facts if isinstance(facts, dict) else {}


def shown_page(page: Page, study: Study) -> str:
    """The executed notebook with a title of its own and a box that says how to run it again.

    What the machine left in the metadata is dropped, so that the text depends on the results alone.
    """
    notebook = nbformat.from_dict(read_notebook(page.executed))
    for number, cell in enumerate(notebook.cells):
        cell.id = cell.get("id") or f"cell-{number}"
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = _text(cell).replace("# Parameters\n", "# the parameters of this page\n")
    _set_title(notebook, page)
    box = _rerun_box(page, study, notebook)
    notebook.cells.append(nbformat.v4.new_markdown_cell(box, id="rerun"))
    kept = ("kernelspec", "language_info")
    notebook.metadata = {name: notebook.metadata[name] for name in kept if name in notebook.metadata}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _text(cell: nbformat.NotebookNode) -> str:
    """A cell's source, which files hold as one string or as a list of lines."""
    return "".join(cell.source)


def _set_title(notebook: nbformat.NotebookNode, page: Page) -> None:
    """Add model and task to the notebook's title, or give it one."""
    titles = [
        cell for cell in notebook.cells if cell.cell_type == "markdown" and _text(cell).startswith("# ")
    ]
    if not titles:
        titles = [nbformat.v4.new_markdown_cell(f"# {page.notebook.title}", id="title")]
        notebook.cells.insert(0, titles[0])
    where = " · ".join(markdown_text(name) for name in (page.place.shown, page.place.task) if name)
    if where:
        first, *rest = _text(titles[0]).split("\n", 1)
        titles[0].source = "\n".join([f"{first}: {where}", *rest])


def _rerun_box(page: Page, study: Study, notebook: Mapping[str, Any]) -> str:
    seconds = facts_of(notebook, "skillkit").get("seconds") or facts_of(notebook, "papermill").get("duration")
    steps = study.budget.get("steps")
    sentences = [f"It took {spoken(seconds)}."] if isinstance(seconds, int | float) and seconds else []
    if steps:
        sentences.append(
            f"Add `-p steps={2 * steps}` or any other parameter of the page for a version of your own."
        )
    command = rerun_command(page)
    fence = max(re.findall("`{3,}", command), default="``") + "`"
    return "\n".join(
        [
            ":::{admonition} Run this page again",
            ":class: tip",
            f"{fence}bash",
            command,
            fence,
            " ".join(sentences),
            ":::",
        ]
    )
