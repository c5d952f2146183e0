"""What a page reads from outside the package: its notebook, the task data, the model's files, by content.

Snakemake keeps the digests as a parameter of each page, as it does with the code (`sources.code_words`). So
corrected labels or other weights make pages again, and a file that was copied or checked out again, with the
same content and another date, does not. What comes from the Hub is not looked at: a study may pin revisions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.data.tasks import get_task
from skillkit.files import atomic_write, file_digest, text_digest
from skillkit.models.bundled import model_folder
from skillkit.study.studies import Page, Study
from skillkit.study.table import notebook_cells

MEMORY = Path(".snakemake", "skillkit-digests.json")
"""Where the digests of big files are kept from one plan to the next."""

#: Bytes from which a file is big: reading it takes longer than a tenth of a second or so.
BIG = 32 * 2**20

_MODEL_SUFFIXES = (".safetensors", ".bin", ".json", ".txt", ".model")
_DATA_SUFFIXES = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".txt")


class Digests:
    """Digests of files, each taken once.

    Those of big files are remembered from one plan to the next, by path, size and dates.
    """

    def __init__(self, memory: Path = MEMORY) -> None:
        """Remember what is in the file `memory`, if it can be read."""
        self._memory = memory
        self._seen: dict[Path, str] = {}
        self._big: dict[str, str] = {}
        with suppress(OSError, ValueError, AttributeError):  # not there, cut off, or something else
            kept = json.loads(memory.read_text(encoding="utf-8")).items()
            self._big = {state: digest for state, digest in kept if isinstance(digest, str)}

    def of(self, path: Path) -> str:
        """The first digits of a file's digest, as the file was when this was first asked."""
        if path not in self._seen:
            facts = path.stat()
            big = facts.st_size >= BIG
            self._seen[path] = (self._of_big(path, facts) if big else file_digest(path))[:16]
        return self._seen[path]

    def _of_big(self, path: Path, facts: os.stat_result) -> str:
        state = f"{path.absolute()} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"
        if state not in self._big:
            self._big[state] = file_digest(path)
            with suppress(OSError), atomic_write(self._memory) as beside:  # it only saves time
                beside.write_text(json.dumps(self._big, indent=0), encoding="utf-8")
        return self._big[state]


def outside_words(study: Study, page: Page, digests: Digests) -> str:
    """What a page reads from outside with its digests, as words: `data:sst2/train.csv=3fa1… model:…=…`."""
    source = study.source(page.notebook)
    words = [f"notebook:{quote(source.as_posix())}={_cells_digest(source)}"]
    for kind, name, path in _outside(study, page):
        with suppress(OSError):  # gone in the meantime, or not to be read: the page will say so
            words.append(f"{kind}:{quote(name)}={digests.of(path)}")
    return " ".join(words)


def _outside(study: Study, page: Page) -> Iterator[tuple[str, str, Path]]:
    """The files that a page reads: of which kind, the name to show, and where each lies."""
    given = {name: value for name, value in study.parameters(page).items() if value}
    for task in _tasks_read(study, page, given):
        for path in _files(study.data_folder / task if study.data_folder else None, _DATA_SUFFIXES):
            yield "data", f"{task}/{path.name}", path
    models = [page.place.model] if page.place.model else [*study.models, *given.get("partners", [])]
    for model in filter(None, [*models, given.get("backbone")]):
        for path in _files(model_folder(model), _MODEL_SUFFIXES):
            yield "model", f"{Path(model).name}/{path.name}", path
    if page.notebook.needs == "reference":
        folder = Path(given.get("reference") or os.environ.get("SKILLKIT_REFERENCE", ""))
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield "data", path.relative_to(folder).as_posix(), path


def _tasks_read(study: Study, page: Page, given: Mapping[str, Any]) -> list[str]:
    """The tasks whose data a page reads, adversarial twins among them. The bundled tasks are code."""
    tasks = [page.place.task] if page.place.task else list(given.get("tasks", study.tasks))
    if page.notebook.needs == "twin":
        tasks += [given.get("twin") or get_task(task).twin for task in tasks]
    return [task for task in tasks if task and task not in BUNDLED_TASKS]


def _files(folder: Path | None, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder that can hold data, sorted; hidden ones are half written."""
    if folder is None or not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    return [path for path in paths if path.is_file() and not path.name.startswith(".")]


def _cells_digest(notebook: Path) -> str:
    """A digest of what a notebook's cells say; not of outputs, nor of what an editor keeps in its file."""
    cells = [
        [cell["cell_type"], "".join(cell["source"]), cell.get("metadata", {}).get("tags", [])]
        for cell in notebook_cells(notebook)
    ]
    return text_digest(json.dumps(cells))[:16]
