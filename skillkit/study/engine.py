"""Drive Snakemake: start it safely, show its progress, and say plainly how it ended.

Snakemake decides what has to run. This module adds what a reader at a terminal misses: a lock that does not
outlive its owner, pages counted and time left, and what the reader can do about pages that failed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Thread
from typing import IO, TextIO

import psutil

from skillkit.errors import SkillkitError
from skillkit.study.environment import EVENTS_VARIABLE, QUIET, processors
from skillkit.study.failures import report_failures
from skillkit.study.fork.process import warm_process
from skillkit.study.progress import Event, Progress, read_events, spoken
from skillkit.study.sources import changed_files
from skillkit.study.studies import Study

try:
    import fcntl
except ImportError:  # not on every system
    fcntl = None  # type: ignore[assignment]

RUNNER = "skillkit.study.snakemake"
"""Snakemake's command line with our logger plugin."""

#: Seconds that an interrupted Snakemake has to end by itself, and then once it was told to.
PATIENCE = (5.0, 20.0)

#: Bytes free on the disk below which a run that failed says that the disk is full.
LITTLE_DISK = 50 * 2**20


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
        targets: tables to make; none: all.
        cores: pages made at a time; None: one more than there are processors.
        force: make pages again that are up to date.
        extra: goes to Snakemake as it is, such as `--executor slurm` or `--profile profiles/slurm`.
        out: where progress is shown.

    Returns:
        Snakemake's exit status: 0 when all went well.

    Raises:
        SkillkitError: the study's data are missing, or another run of it is alive.
    """
    study.check_data()
    # One more than there are processors: a page waits for its kernel and for files a good part of its time.
    cores = cores or processors() + 1
    command = [*_snakemake(config), "--keep-going", "--rerun-incomplete"]
    if not any(word.split("=")[0] in ("--profile", "--executor", "--jobs", "-j") for word in extra):
        command += ["--cores", str(cores)]
    if force:
        command += ["--force" if targets else "--forceall"]
    command += [*extra, *(["--", *targets] if targets else [])]
    progress = Progress(out, cores)
    here = not any(word.split("=")[0] in ("--profile", "--executor") for word in extra)
    warm: AbstractContextManager[dict[str, str]] = warm_process() if here else nullcontext({})
    with sole_run(study) as lock, warm as variables:
        status, tail = _follow(command, progress, lock, variables)
    progress.close()
    wanted = targets or [str(page.table) for page in study.pages]
    missing = [path for path in wanted if not Path(path).is_file()]
    _conclude(study, progress, status, tail, out, missing=len(missing))
    return status


def plan(
    study: Study, config: str, *, targets: Sequence[str] = (), extra: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """What a run would do: each page that it would make, and why."""
    command = [*_snakemake(config), "--dry-run", "--rerun-incomplete", *extra]
    run = _Run([*command, *(["--", *targets] if targets else [])])
    found = list(run.events())
    if run.process.wait():
        raise SkillkitError("Snakemake could not plan the run:\n" + "".join(run.said(15)))
    return [(event.job.label, explain(event.job.reason)) for event in found if event.job]


def explain(reason: str) -> str:
    """Snakemake's reason for a job, in a few plain words."""
    plain = {
        "Missing output files": "not made yet",
        "Updated input files": "changed: ",
        "Params have changed": "other parameters than last time",
        "Input files updated by another job": "reads a page that is made anew",
        "Set of input files has changed": "reads other files than last time",
        "Code has changed": "the Snakefile changed",
        "Forced execution": "asked for",
        "Incomplete": "was interrupted",
    }
    for words, said in plain.items():
        if (at := reason.find(words)) < 0:
            continue
        if words == "Params have changed" and (code := _CODE.findall(reason)):
            files = ", ".join(changed_files(code[0], code[-1])) if len(code) == 2 else ""
            also = ", and " + said if "{" in _CODE.sub("", reason) else ""
            return f"code changed: {files}{also}" if files else f"code changed{also}"
        return said + reason[at:].partition(": ")[2].partition(";")[0] if said.endswith(": ") else said
    return reason


_CODE = re.compile(r"'((?:skillkit/\S+\.py=[0-9a-f]+ ?)+)'")
"""The parameter of a page that holds its code (see `sources.code_words`), as Snakemake writes it."""


@contextmanager
def sole_run(study: Study) -> Iterator[IO[str]]:
    """Hold the study's lock for a run. It ends with its holder, so a killed run never blocks the next one.

    Snakemake has a lock of its own that a killed run leaves behind; it is removed here once no run is alive.
    Raises SkillkitError when one is.
    """
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    with (folder / f"skillkit-{study.name}.lock").open("a+") as lock:
        if holder := _holder(lock):
            stop = f", or stop it: kill {holder}" if holder.isdigit() else f", or {holder}"
            raise SkillkitError(
                f"Another run of study {study.name!r} is alive in this folder. Wait for it{stop}."
            )
        _name_holder(lock, os.getpid())
        if any((folder / "locks").glob("*")):
            alive = _other_snakemakes()
            if not alive:
                for stale in (folder / "locks").glob("*"):
                    stale.unlink()
        yield lock


def _holder(lock: IO[str]) -> str:
    """Take the lock, and return nothing; or say who holds it, by number where that is known."""
    lock.seek(0)
    holder = lock.read().strip()
    if fcntl is None:
        alive = holder.isdigit() and int(holder) != os.getpid() and psutil.pid_exists(int(holder))
        return holder if alive else ""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return holder or "stop it there with Ctrl-C"
    return ""


def _name_holder(lock: IO[str], pid: int) -> None:
    """Write into the lock file which process to end."""
    lock.truncate(0)
    lock.write(f"{pid}\n")
    lock.flush()


def _snakemake(config: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        RUNNER,
        "--logger",
        "skillkit",
        "--nocolor",
        "--config",
        f"study={_quoted(config)}",
    ]


def _quoted(text: str) -> str:
    """Text in quotes, so that Snakemake reads neither `01` nor `a: b` as anything else."""
    return json.dumps(text, ensure_ascii=False)


class _Run:
    """A Snakemake process: what happens in it, and the last lines that it says."""

    def __init__(self, command: list[str], keep_open: Sequence[int] = (), **variables: str) -> None:
        """Start it. `keep_open` are open files that live as long as it does."""
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**QUIET, "OMP_NUM_THREADS": "1", **os.environ, **variables, EVENTS_VARIABLE: str(writing)},
            pass_fds=[writing, *keep_open],
        )
        os.close(writing)
        self._pipe = os.fdopen(reading, encoding="utf-8")
        self._tail: deque[str] = deque(maxlen=40)
        self._listener = Thread(target=self._tail.extend, args=(self.process.stdout,), daemon=True)
        self._listener.start()

    def events(self) -> Iterator[Event]:
        """What happens, until Snakemake ends."""
        with self._pipe:
            yield from read_events(self._pipe)

    def said(self, lines: int = 40) -> list[str]:
        """The last lines that it has said; to be asked once it has ended."""
        self._listener.join(1.0)  # an orphaned job may hold the other end for long
        return list(self._tail)[-lines:]


def _follow(
    command: list[str], progress: Progress, lock: IO[str], variables: Mapping[str, str]
) -> tuple[int, list[str]]:
    """Run Snakemake and show its progress; return its exit status and its last lines."""
    # The lock is passed on so that it lives as long as Snakemake does, even if this process is killed.
    run = _Run(command, keep_open=[lock.fileno()], **variables)
    _name_holder(lock, run.process.pid)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        for event in run.events():
            progress.take(event)
        return run.process.wait(), run.said()
    except KeyboardInterrupt:
        _end(run.process)
        return 130, run.said()
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for an interrupted Snakemake.

    At a terminal it was interrupted with us. If not, it is now, and in the end it is killed.
    """
    for patience, number in zip(PATIENCE, (signal.SIGINT, signal.SIGKILL), strict=True):
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(patience)
            return
        process.send_signal(number)
    process.wait()


def _conclude(
    study: Study, progress: Progress, status: int, tail: list[str], out: TextIO, missing: int = 0
) -> None:
    took = spoken(time.monotonic() - progress.began)
    if status == 0 and progress.done:
        out.write(f"{study.title}: {len(progress.done)} pages made in {took}.\n")
    elif status == 0 and missing:  # Snakemake was told to do something else
        out.write(f"{study.title}: no page was made, and {missing} are missing. Snakemake said:\n")
        out.writelines(tail)
    elif status == 0:
        out.write(f"{study.title}: Everything is up to date.\n")
    elif status in (130, -signal.SIGINT) or (status and any("Terminating" in line for line in tail)):
        out.write(f"Stopped after {len(progress.done)} pages. The same command goes on from here.\n")
    elif progress.failed:
        left = progress.total - len(progress.done) - len(progress.failed)
        waiting = f", {left} not run for lack of those" if left > 0 else ""
        made = f"{len(progress.done)} pages made in {took}, {len(progress.failed)} failed"
        out.write(f"{study.title}: {made}{waiting}.\n")
        told = report_failures(study, out)
        if told < len(progress.failed):
            out.write("\n  Ended from outside (killed, out of memory, out of time):\n")
            out.writelines(f"    {label}\n" for label in progress.failed)
    else:
        out.write("Snakemake stopped before any page ran. It said:\n" + "".join(tail))
    if status and shutil.disk_usage(".").free < LITTLE_DISK:
        out.write(
            "\nThe disk is full, which may be the reason. Make room, then give the same command again.\n"
        )
    out.flush()


def _other_snakemakes() -> list[int]:
    """Process ids of Snakemake runs in this folder, our own parents left out."""
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        here = process.info["pid"] not in mine and process.info["cwd"] == os.getcwd()
        if here and any(Path(word).name == "snakemake" or word == RUNNER for word in words):
            found.append(process.info["pid"])
    return found
