"""The table of contents: the pages that `book/_toc.yml` lists, and generated ones in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from skillkit.book.overview import overview_file
from skillkit.book.pages import models_of, page_file, tasks_of
from skillkit.book.reference import reference_files
from skillkit.names import shown_name
from skillkit.study.studies import Page, Study

RESULTS_PART = "Results"
REFERENCE_PART = "Reference"


def contents(listing: Path, studies: Sequence[Study], made: Mapping[str, Sequence[Page]]) -> dict[str, Any]:
    """The contents of the whole book.

    Args:
        listing: The file `_toc.yml` of the hand-written pages. One part per study takes the place of its part
            `Results`, and the pages about the package are the chapters of its part `Reference`.
        studies: The studies that the book shows.
        made: The pages of each study that were made, by its name.
    """
    toc = yaml.safe_load(listing.read_text(encoding="utf-8"))
    parts = []
    for part in toc["parts"]:
        if part["caption"] == RESULTS_PART:
            parts += [_study_part(study, made[study.name]) for study in studies if made[study.name]]
        elif part["caption"] == REFERENCE_PART:
            parts.append({**part, "chapters": [{"file": str(file)} for file in reference_files()]})
        else:
            parts.append(part)
    return {**toc, "parts": parts}


def _study_part(study: Study, pages: Sequence[Page]) -> dict[str, Any]:
    """One study: its overview, the pages over all of it, then each model."""
    chapters: list[dict[str, Any]] = [{"file": str(overview_file(study)), "title": "Overview"}]
    chapters += [_entry(page) for page in pages if page.notebook.scope == "study"]
    chapters += [_model_chapter(study, model, pages) for model in models_of(pages)]
    return {"caption": study.title, "chapters": chapters}


def _model_chapter(study: Study, model: str, pages: Sequence[Page]) -> dict[str, Any]:
    """One model: its overview, with its own pages below, and each task's pages below the task."""
    own = [page for page in pages if page.place.model == model]
    sections = [_entry(page) for page in own if page.notebook.scope == "model"]
    for task in tasks_of(own, model):
        first, *others = [page for page in own if page.place.task == task]
        sections.append(_with_sections({**_entry(first), "title": task}, [_entry(page) for page in others]))
    return _with_sections({"file": str(overview_file(study, model)), "title": shown_name(model)}, sections)


def _with_sections(entry: dict[str, Any], sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {**entry, "sections": sections} if sections else entry


def _entry(page: Page) -> dict[str, Any]:
    return {"file": str(page_file(page).with_suffix("")), "title": page.notebook.title}
