"""Generated pages: an overview of each study with links to its pages, and the status of what was run."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from skillkit.book.pages import facts_of, models_of, page_file, read_json, read_notebook, tasks_of
from skillkit.errors import SkillkitError
from skillkit.names import markdown_code, markdown_text, shown_name, slug
from skillkit.study.failures import read_error, rerun_command
from skillkit.study.progress import spoken
from skillkit.study.studies import Page, Study

GIGABYTE = 2**30


# ------------------------------------------------------------------------------------------------- overviews


def overview_file(study: Study, model: str | None = None) -> Path:
    """Where the overview of a study or of one of its models lies among the book's sources, without suffix."""
    return Path("pages", study.name, slug(shown_name(model)) if model else "", "overview")


def study_overview(study: Study, pages: Sequence[Page]) -> str:
    """The study in a nutshell, with links to the pages over all of it and to each model."""
    settings = {**study.budget, "seeds": list(study.seeds)}
    budget = ", ".join(f"{name} {markdown_text(value)}" for name, value in settings.items())
    here = overview_file(study).parent
    lines = [
        f"# {markdown_text(study.title)}: overview",
        "",
        study.description.strip(),
        "",
        f"Budget: {budget}.",
        "",
    ]
    lines += [f"- {_link(page, here)}" for page in pages if page.notebook.scope == "study"]
    lines += ["", "Models:", ""]
    for model in models_of(pages):
        name = shown_name(model)
        lines.append(
            f"- [{markdown_text(name)}]({slug(name)}/overview.md), {len(tasks_of(pages, model))} tasks"
        )
    return "\n".join(lines) + "\n"


def model_overview(model: str, study: Study, pages: Sequence[Page]) -> str:
    """All pages of one model: those over its tasks, then a table of tasks and notebooks."""
    here = overview_file(study, model).parent
    own = [page for page in pages if page.place.model == model]
    name = markdown_text(shown_name(model))
    lines = [f"# {name}: overview", "", f"The pages of {name} in the study {markdown_text(study.title)}."]
    lines += [] if shown_name(model) == model else ["", f"The model lies in {markdown_code(model)}."]
    lines += [""]
    lines += [f"- {_link(page, here)}" for page in own if page.notebook.scope == "model"]
    columns = [row for row in study.rows if any(page.notebook == row and page.place.task for page in own)]
    if columns:
        titles = " | ".join(row.title for row in columns)
        lines += ["", f"| task | {titles} |", "|---" * (len(columns) + 1) + "|"]
    for task in tasks_of(own, model):
        found = {page.notebook: page for page in own if page.place.task == task}
        links = [_link(found[row], here, row.number) if row in found else "" for row in columns]
        lines.append(f"| {task} | {' | '.join(links)} |")
    return "\n".join(lines) + "\n"


def _link(page: Page, here: Path, text: str | None = None) -> str:
    return f"[{text or page.notebook.title}]({os.path.relpath(page_file(page), here)})"


# ---------------------------------------------------------------------------------------------------- status


def status(studies: Sequence[Study], made: Mapping[str, Sequence[Page]]) -> str:
    """The status page: what ran, how long it took, on what machine, and what failed."""
    lines = ["# Status", "", "What was run for this book, how long it took, and on what."]
    for study in studies:
        pages = made[study.name]
        lines += ["", f"## {markdown_text(study.title)}", "", *_times(pages), "", *_not_made(study, pages)]
        lines += ["", *_machine(pages)]
    return "\n".join(lines) + "\n"


def _not_made(study: Study, made: Sequence[Page]) -> list[str]:
    """What failed, what is missing, and how to make it."""
    failed = [page for page in study.pages if page.error.is_file()]
    missing = [page for page in study.pages if page not in made and page not in failed]
    if not failed and not missing:
        return ["Every page of the study was made."]
    lines = ["Failed:", ""] if failed else []
    for page in failed:
        error = read_error(page)["error"]
        again = markdown_code(rerun_command(page))
        lines.append(f"- {markdown_code(page)}: {markdown_code(error)}. Run again: {again}")
    if missing:
        lines += ["", f"Not made: {len(missing)} pages. `skillkit run {study.name}` makes them."]
    return lines


def _times(pages: Sequence[Page]) -> list[str]:
    """A table of run times, one row per notebook."""
    if not pages:
        return []
    lines = ["| notebook | pages | median time | longest | peak memory |", "|---|---:|---:|---:|---:|"]
    everything = 0.0
    for row in dict.fromkeys(page.notebook for page in pages):
        own = [page for page in pages if page.notebook == row]
        facts = [facts_of(read_notebook(page.executed), "skillkit") for page in own]
        seconds = [fact["seconds"] for fact in facts if "seconds" in fact] or [0.0]
        peak = max(fact.get("peak_bytes", 0) for fact in facts) / GIGABYTE
        everything += sum(seconds)
        middle, longest = spoken(statistics.median(seconds)), spoken(max(seconds))
        lines.append(f"| {row.title} | {len(facts)} | {middle} | {longest} | {peak:.1f} GB |")
    return [*lines, "", f"In all {spoken(everything)} of notebook time; notebooks run side by side."]


def _machine(pages: Iterable[Page]) -> list[str]:
    """Machine, commit and versions, from the newest table's provenance."""
    files = [page.table.with_suffix(".provenance.json") for page in pages]
    files = sorted((file for file in files if file.is_file()), key=lambda file: file.stat().st_mtime)
    if not files:
        return []
    made = read_json(files[-1])
    try:
        packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
        when, machine = made["written"][:10], markdown_text(made["machine"])
        software = f"Python {made['python']}, commit {made['commit'] or 'unknown'}"
        device = markdown_text(made["device"])
    except (KeyError, AttributeError, TypeError) as error:
        raise SkillkitError(f"{files[-1]} is not what a page writes. Run its page again.") from error
    return [
        f"Last written {when} on {machine}, device {device}, {software}.",
        "",
        f"Packages: {packages}.",
    ]
