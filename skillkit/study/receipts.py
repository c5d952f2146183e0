"""The receipt of a page: the digests of all files that the page wrote, beside its table.

    results/<study>/<model>/<task>/02_skill_neurons.sha256

A page writes it last, once it has succeeded, so a page with a receipt that fits is a page that was made and
has not been touched since. It is what Snakemake looks for, which sees dates but not contents: where a file
was removed, cut off or changed, the receipt is taken away before a run is planned, and the page is made
again with all that reads it. `sha256sum -c` understands the format: a digest and a path, from the receipt's
own folder.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from skillkit.files import atomic_write, file_digest
from skillkit.study.progress import spoken

if TYPE_CHECKING:  # a page that writes its receipt needs no study
    from skillkit.study.studies import Page, Study

#: Seconds by which a file may be ahead of our clock, as on a folder that several machines share.
AHEAD = 5.0

_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.\w+)?")
"""Names that `atomic_write` gives to a file which is not complete yet."""


def write_receipt(receipt: Path, files: Iterable[Path]) -> None:
    """Write down what the files of a page hold now."""
    lines = [f"{file_digest(path)}  {_relative(path, receipt)}\n" for path in files]
    with atomic_write(receipt) as beside:
        beside.write_text("".join(lines), encoding="utf-8")


def is_made(study: Study, page: Page) -> bool:
    """Whether a page was made, and its files are still those that it wrote."""
    return page.receipt.is_file() and not page.error.exists() and not faults(study, page)


def faults(study: Study, page: Page) -> list[str]:
    """What does not fit the receipt of a page that was made: a phrase for each of its files."""
    try:
        noted = _read(page.receipt)
    except (OSError, ValueError):
        return [f"{page.receipt} is damaged"]
    found = []
    for path, digest in noted.items():
        if not path.is_file():
            found.append(f"{path} is missing")
        elif file_digest(path) != digest:
            found.append(f"{path} is damaged or was changed")
    # A file that a study no longer or not yet has is no fault: the page is remade for its parameters.
    forgotten = [path for path in study.files(page) if path not in noted and path.is_file()]
    return found + [f"{page.receipt} says nothing of {path.name}" for path in forgotten]


def look_over(study: Study) -> list[str]:
    """Make dates and receipts right before Snakemake plans; a line about each file that was not."""
    return [*take_as_of_now(study), *withdraw_receipts(study)]


def withdraw_receipts(study: Study) -> list[str]:
    """Take away the receipts of pages whose files are not those that they wrote; a line for each such file.

    Those pages are made again by the next run, and so is what reads them.
    """
    lines = []
    for page in study.pages:
        if not page.receipt.is_file():
            continue
        if found := faults(study, page):
            page.receipt.unlink(missing_ok=True)
            lines += [f"{fault}: {page} has to be made again." for fault in found]
    return lines


def take_as_of_now(study: Study) -> list[str]:
    """Give receipts that are dated in the future the present date; one sentence about it, if there are any.

    Snakemake would count every page that reads them as out of date, and end by deleting what it made.
    Dates serve it only to find what may have changed: it then compares the contents.
    """
    now = time.time()
    ahead = {
        page.receipt: page.receipt.stat().st_mtime - now for page in study.pages if page.receipt.is_file()
    }
    future = {path: seconds for path, seconds in ahead.items() if seconds > AHEAD}
    for path in future:
        os.utime(path)
    if not future:
        return []
    worst = max(future, key=lambda path: future[path])
    others = f" and {len(future) - 1} more" if len(future) > 1 else ""
    return [
        f"Dated in the future: {worst}{others} (by {spoken(future[worst])}). This counts as made now, and "
        "nothing is lost; set the clock of the machine that wrote it (`date` shows it)."
    ]


def clear_unfinished(study: Study) -> None:
    """Remove what killed pages left half written. To be called while no run of the study is alive."""
    for folder, _, names in os.walk(Path(study.results, study.name)):
        for name in filter(_TEMPORARY.fullmatch, names):
            Path(folder, name).unlink(missing_ok=True)


def _read(receipt: Path) -> dict[Path, str]:
    """The files of a receipt with their digests. Raises ValueError when it is not one."""
    noted = {}
    for line in receipt.read_text(encoding="utf-8").splitlines():
        digest, separator, name = line.partition("  ")
        if not separator or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"{receipt}: {line!r}")
        noted[receipt.parent / name] = digest
    if not noted:
        raise ValueError(f"{receipt} is empty")
    return noted


def _relative(path: Path, receipt: Path) -> str:
    return Path(os.path.relpath(path, receipt.parent)).as_posix()
