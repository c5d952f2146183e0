"""Drive Snakemake: have it make what is not up to date, or say what that would be.

Snakemake decides what has to run. We add what a reader at a terminal misses: a lock that does not outlive its
owner (locks.py), pages counted and time left (running.py, progress.py), and what the reader can do about
pages that failed (endings.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from skillkit.errors import SkillkitError
from skillkit.results import check_folder
from skillkit.study.endings import conclude, exit_code
from skillkit.study.environment import RUNNER, processors
from skillkit.study.fork.start import warm_process
from skillkit.study.locks import sole_run
from skillkit.study.progress import Progress
from skillkit.study.reasons import explain
from skillkit.study.receipts import clear_unfinished, look_over
from skillkit.study.running import Run, follow
from skillkit.study.studies import Study


def run_study(
    study: Study,
    config: str,
    *,
    targets: Sequence[str] = (),
    cores: int | None = None,
    force: bool = False,
    extra: Sequence[str] = (),
    out: TextIO = sys.stdout,
) -> int:
    """Make all pages of a study, or the files named as `targets`.

    Args:
        study: the study.
        config: its name or file, for the Snakefile.
        targets: receipts of the pages to make; none: all.
        cores: pages made at a time; None: one more than there are processors.
        force: make pages again that are up to date.
        extra: goes to Snakemake as it is, such as `--executor slurm` or `--profile profiles/slurm`.
        out: where progress is shown.

    Returns:
        0 when all went well, 1 when pages failed, 130 when the run was told to stop.

    Raises:
        SkillkitError: the study has no page, its data or a place for its results are missing, or another run
            of it is alive.
    """
    _check(study, writing=True)
    study.check_data()
    # One more than there are processors: a page waits for its kernel and for files a good part of its time.
    cores = cores or processors() + 1
    # The study's own lock is enough (locks.py): Snakemake's outlive killed runs, and when a run ends it
    # removes the folder that holds those of every other run.
    command = [*_snakemake(config), "--keep-going", "--rerun-incomplete", "--nolock"]
    if not any(word.split("=")[0] in ("--profile", "--executor", "--jobs", "-j") for word in extra):
        command += ["--cores", str(cores)]
    if force:
        command += ["--force" if targets else "--forceall"]
    command += [*extra, *(["--", *targets] if targets else [])]
    progress = Progress(out, cores)
    here = not any(word.split("=")[0] in ("--profile", "--executor") for word in extra)
    warm: AbstractContextManager[dict[str, str]] = warm_process() if here else nullcontext({})
    with sole_run(study) as lock, warm as variables:
        clear_unfinished(study)
        out.writelines(f"{line}\n" for line in look_over(study))
        # The lock is passed on so that it lives as long as Snakemake does.
        status, tail = follow(Run(command, keep_open=[lock.fileno()], **variables), progress)
    progress.close()
    wanted = targets or [str(page.receipt) for page in study.pages]
    missing = [path for path in wanted if not Path(path).is_file()]
    conclude(study, progress, status, tail, out, missing=len(missing))
    return exit_code(status, tail)


def plan(
    study: Study,
    config: str,
    *,
    targets: Sequence[str] = (),
    extra: Sequence[str] = (),
    out: TextIO = sys.stdout,
) -> list[tuple[str, str]]:
    """What a run would do: each page that it would make, and why. Damaged results are told to `out`."""
    _check(study, writing=False)
    out.writelines(f"{line}\n" for line in look_over(study))
    command = [*_snakemake(config), "--dry-run", "--rerun-incomplete", *extra]
    run = Run([*command, *(["--", *targets] if targets else [])])
    found = list(run.events())
    if run.process.wait():
        raise SkillkitError("Snakemake could not plan the run:\n" + "".join(run.said(15)))
    return [(event.job.label, explain(event.job.reason)) for event in found if event.job]


def _check(study: Study, *, writing: bool) -> None:
    """Raise SkillkitError for a study that makes no page, or that has no place for its results."""
    if not study.pages:
        raise SkillkitError(f"Study {study.name!r} has no page to make. {study.why_empty()}")
    check_folder(Path(study.results, study.name), writing=writing)


def _snakemake(config: str) -> list[str]:
    return [
        *(sys.executable, "-m", RUNNER, "--logger", "skillkit", "--nocolor"),
        *("--config", f"study={_quoted(config)}"),
    ]


def _quoted(text: str) -> str:
    """Text in quotes, so that Snakemake reads neither `01` nor `a: b` as anything else."""
    return json.dumps(text, ensure_ascii=False)
