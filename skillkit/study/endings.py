"""Say plainly how a run ended, and what the reader can do about it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from skillkit.study.failures import report_failures
from skillkit.study.locks import FOLDER
from skillkit.study.progress import Progress, spoken
from skillkit.study.signals import ended_by
from skillkit.study.studies import Page, Study

#: Bytes free on a disk below which a run that failed says that the disk is full.
LITTLE_DISK = 50 * 2**20

#: What Snakemake says when it was told to stop.
_TOLD = ("Terminating processes on user request", "Will exit after finishing currently running jobs")

#: What kernels say whose run has ended, which helps nobody.
_NOISE = ("[IPKernelApp]", "Parent appears to have exited")

#: Why a page ends that leaves no error behind.
_KILLED = "killed from outside: by somebody, or by the system when memory or time ran out"


def was_interrupted(status: int, tail: Sequence[str]) -> bool:
    """Whether a Snakemake with this exit status and these last lines was told to stop."""
    told = any(words in line for line in tail for words in _TOLD)
    return status in (130, -signal.SIGINT) or bool(status and told)


def exit_code(status: int, tail: Sequence[str]) -> int:
    """Ours: 0 when all went well, 130 when the run was interrupted, 1 for everything else."""
    return 130 if was_interrupted(status, tail) else min(abs(status), 1)


def conclude(
    study: Study, progress: Progress, status: int, tail: Sequence[str], out: TextIO, missing: int = 0
) -> None:
    """Say how a run ended.

    Args:
        study: the study.
        progress: what was made, and what failed.
        status: Snakemake's exit status.
        tail: the last lines that it said.
        out: where to say it.
        missing: how many of the tables that were wanted are not there.
    """
    took = spoken(time.monotonic() - progress.began)
    full = list(_full_disks(study)) if status else []
    on = "The same command goes on from here."
    if status == 0 and progress.done:
        out.write(f"{study.title}: {len(progress.done)} pages made in {took}.\n")
    elif status == 0 and missing:  # Snakemake was told to do something else
        out.write(f"{study.title}: no page was made, and {missing} are missing. Snakemake said:\n")
        out.writelines(tail)
    elif status == 0:
        out.write(f"{study.title}: Everything is up to date.\n")
    elif was_interrupted(status, tail):
        out.write(f"Stopped after {len(progress.done)} pages. {on}\n")
    elif progress.failed:
        _tell_failures(study, progress, took, out, "there was no room to write it down" if full else _KILLED)
    elif status < 0:
        out.write(f"Snakemake was {ended_by(-status)}. {len(progress.done)} pages were made. {on}\n")
    else:
        when = f"after {len(progress.done)} pages" if progress.done else "before any page ran"
        said = [line for line in tail if not any(words in line for words in _NOISE)]
        out.write(f"Snakemake stopped {when}. It said:\n" + "".join(said[-1:] if full else said))
    for words in full:
        out.write(f"\n{words}, which may be the reason. Make room, then give the same command again.\n")
    out.flush()


def _tell_failures(study: Study, progress: Progress, took: str, out: TextIO, why: str) -> None:
    left = progress.total - len(progress.done) - len(progress.failed)
    waiting = f", {left} not run for lack of those" if left > 0 else ""
    made = f"{len(progress.done)} pages made in {took}, {len(progress.failed)} failed"
    out.write(f"{study.title}: {made}{waiting}.\n")
    report_failures(study, out)
    told = {_label(page) for page in study.pages if page.error.is_file()}
    if silent := [label for label in progress.failed if label not in told]:
        out.write(f"\n  Ended without saying why ({why}):\n")
        out.writelines(f"    {label}\n" for label in silent)
        out.write("    The same command makes them again.\n")


def _label(page: Page) -> str:
    """A page as its run names it: its notebook, and the folders of its model and task."""
    places = page.place.folder.parts[len(Path(page.place.root, page.place.study).parts) :]
    return " ".join([page.notebook.name, *places])


def _full_disks(study: Study) -> Iterator[str]:
    """The disks that a run writes to and that have no room left, in words."""
    temporary = os.environ.get("TMPDIR") or tempfile.gettempdir()
    seen = set()
    for name in (Path(study.results, study.name), FOLDER, Path(temporary), Path(".")):
        folder = next(path for path in (name, *name.absolute().parents) if path.is_dir())
        free, disk = shutil.disk_usage(folder).free, folder.stat().st_dev
        if free < LITTLE_DISK and disk not in seen:
            seen.add(disk)
            yield f"The disk of {name.absolute()} is full ({free / 2**20:.1f} MB left)"
