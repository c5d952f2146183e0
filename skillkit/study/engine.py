"""Drive Snakemake: start it safely, turn its log into one line of progress, and say plainly what failed.

Snakemake decides what has to run. This module adds what a reader at a terminal misses: a lock that does not
outlive its owner, pages counted and time left, and for each failed page its error, its notebook and the
command that runs it again.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

import psutil
import yaml

from skillkit.errors import SkillkitError
from skillkit.study.environment import QUIET
from skillkit.study.fork.process import warm_process
from skillkit.study.studies import OWN, Page, Study, read_requests

#: Seconds that an interrupted Snakemake has to end by itself, and then once it was told to.
PATIENCE = (5.0, 20.0)

#: Bytes free on the disk below which a run that failed says that the disk is full.
LITTLE_DISK = 50 * 2**20


@dataclass
class Job:
    """What Snakemake's log says of one job."""

    rule: str
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Notebook, model and task."""
        places = re.findall(r"(?:model|task)=([^,]+)", self.facts.get("wildcards", ""))
        return " ".join([self.rule, *places])


@dataclass(frozen=True)
class Event:
    """Something that happened: a job has `started`, is `done` or has `failed`, or the `total` is known."""

    kind: str
    job: Job | None = None
    number: int = 0


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Read Snakemake's log: jobs started, done and failed, and how many there will be."""
    jobs: dict[str, Job] = {}
    block: tuple[str, Job] | None = None
    pages = 0
    for line in lines:
        line = line.rstrip("\n")
        if block and (fact := re.match(r"    (\w+): (.*)", line)):
            block[1].facts[fact[1]] = fact[2]
            continue
        if block and not line.startswith(" "):
            kind, job = block
            block = None
            known = jobs.setdefault(job.facts.get("jobid", ""), job)
            if job.rule != "all":
                yield Event(kind, known)
        if header := re.match(r"(?:local)?rule (\S+):$", line):
            block = ("started", Job(header[1]))
        elif header := re.match(r"Error in rule (\S+):$", line):
            block = ("failed", Job(header[1]))
        elif finished := re.match(r"Finished jobid: (\d+)", line):
            job = jobs.get(finished[1], Job(""))
            if job.rule != "all":
                yield Event("done", job)
        elif count := re.match(r"all +(\d+)$", line):
            pages -= int(count[1])
        elif count := re.match(r"total +(\d+)$", line):
            yield Event("total", number=pages + int(count[1]))
            pages = 0
    if block and block[1].rule != "all":
        yield Event(block[0], block[1])


class Progress:
    """One line at a terminal, one line per finished page elsewhere: `12 of 40 pages, about 3 min left`."""

    def __init__(self, out: TextIO, parallel: int) -> None:
        """Write to `out`, for a run of `parallel` jobs at a time."""
        self.out, self.parallel, self.live = out, max(1, parallel), out.isatty()
        self.total, self.began = 0, time.monotonic()
        self.running: dict[str, float] = {}
        self.done: list[str] = []
        self.failed: list[str] = []
        self._times: dict[str, list[float]] = {}

    def take(self, event: Event) -> None:
        """Note an event, and show it."""
        label = event.job.label if event.job else ""
        if event.kind == "total":
            self.total = event.number
        elif event.kind == "started":
            self.running[label] = time.monotonic()
        elif event.kind in ("done", "failed") and label in self.running:
            seconds = time.monotonic() - self.running.pop(label)
            (self.done if event.kind == "done" else self.failed).append(label)
            self._times.setdefault(label.split()[0], []).append(seconds)
            if not self.live:
                mark = "" if event.kind == "done" else "FAILED "
                self.out.write(f"{self.line()} | {mark}{label} ({seconds:.0f} s)\n")
        if self.live and self.total:
            self.out.write(f"\r\033[K{self.line()} | {', '.join(sorted(self.running))}"[: _width() + 4])
        self.out.flush()

    def line(self) -> str:
        """Such as `12 of 40 pages, about 3 min left`."""
        left = self.left()
        ending = f", about {spoken(left)} left" if left else ""
        return f"{len(self.done) + len(self.failed)} of {self.total} pages{ending}"

    def left(self) -> float:
        """Seconds that the rest will take if its pages are like those seen, 0 where nothing was seen yet."""
        seen = [seconds for times in self._times.values() for seconds in times]
        if not seen:
            return 0.0
        remaining = self.total - len(self.done) - len(self.failed)
        spent = sum(time.monotonic() - start for start in self.running.values())
        return max(0.0, remaining * sum(seen) / len(seen) - spent) / self.parallel

    def close(self) -> None:
        """End the live line."""
        if self.live and self.total:
            self.out.write("\r\033[K")
            self.out.flush()


def spoken(seconds: float) -> str:
    """`42 s`, `3 min`, `2 h 10 min`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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
    """Make all pages of a study (or the `targets`, files), and return Snakemake's exit status: 0 when all
    went well.

    `config` is the study's name or file, for the Snakefile; `extra` goes to Snakemake as it is, such as
    `--executor slurm` or `--profile profiles/slurm`. Raises SkillkitError when another run of the study is
    alive.
    """
    study.check_data()
    # One more than there are processors: a page waits for a good part of its time, for its kernel and for files.
    cores = cores or len(os.sched_getaffinity(0)) + 1
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
        status, tail = _follow(command, progress, lock, out, variables)
    progress.close()
    wanted = targets or [str(page.table) for page in study.pages]
    missing = [path for path in wanted if not Path(path).is_file()]
    _conclude(study, progress, status, tail, out, missing=len(missing))
    return status


def plan(
    study: Study, config: str, *, targets: Sequence[str] = (), extra: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """What a run would do: each page that it would make, and why."""
    command = [
        *_snakemake(config),
        "--dry-run",
        "--rerun-incomplete",
        *extra,
        *(["--", *targets] if targets else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode:
        raise SkillkitError("Snakemake could not plan the run:\n" + "\n".join(lines[-15:]))
    return [
        (event.job.label, explain(event.job.facts.get("reason", "")))
        for event in events(lines)
        if event.kind == "started" and event.job
    ]


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
        if (at := reason.find(words)) >= 0:
            return said + reason[at:].partition(": ")[2].partition(";")[0] if said.endswith(": ") else said
    return reason


@contextmanager
def sole_run(study: Study) -> Iterator[IO[str]]:
    """Hold the study's lock for a run. It ends with its holder, so a killed run never blocks the next one.

    Snakemake has a lock of its own that a killed run leaves behind; it is removed here once no run is alive.
    Raises SkillkitError when one is.
    """
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    with (folder / f"skillkit-{study.name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip()
            stop = f", or stop it: kill {holder}" if holder else ", or stop it there with Ctrl-C"
            raise SkillkitError(
                f"Another run of study {study.name!r} is alive in this folder. Wait for it{stop}."
            ) from error
        _name_holder(lock, os.getpid())
        if any((folder / "locks").glob("*")):
            alive = _other_snakemakes()
            if not alive:
                for stale in (folder / "locks").glob("*"):
                    stale.unlink()
        yield lock


def _name_holder(lock: IO[str], pid: int) -> None:
    """Write into the lock file which process to end."""
    lock.truncate(0)
    lock.write(f"{pid}\n")
    lock.flush()


def report_failures(study: Study, out: TextIO = sys.stderr) -> int:
    """Say for each failed page its error, what to read and how to run it again; return how many there are."""
    failed = [page for page in study.pages if page.error.is_file()]
    for page in failed:
        error = read_error(page)
        first = error["message"].strip().splitlines()[0] if error["message"].strip() else ""
        out.write(f"\n  {page}\n    {error['error']}: {first}\n")
        out.write(f"    read   {page.executed}\n    again  {rerun_command(page)}\n")
    return len(failed)


def read_error(page: Page) -> dict[str, str]:
    """What went wrong in a page that failed."""
    try:
        content = json.loads(page.error.read_text())
    except (OSError, ValueError):
        content = {}
    return {"error": content.get("error", "Error"), "message": content.get("message", "")}


def rerun_command(page: Page) -> str:
    """The command that makes a page again; for a page of the reader's own, with the parameters that they gave."""
    own = page.place.study == OWN
    request = read_requests(Path(), page.place.root).get(str(page), {}) if own else {}
    given = {"model": page.place.model, "task": page.place.task, **request.get("given", {})}
    words = [
        f"-p {shlex.quote(f'{name}={_as_yaml(value)}')}"
        for name, value in given.items()
        if value is not None or name not in ("model", "task")
    ]
    study = request.get("study", page.place.study)
    return " ".join(["skillkit page", page.notebook.number, *words, f"--study {study}"])


def _as_yaml(value: Any) -> str:
    """A parameter as `-p` reads it, on one line."""
    return str(yaml.safe_dump(value, default_flow_style=True, width=math.inf)).split("\n")[0]


def _snakemake(config: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--nocolor", "--config", f"study={config}"]


def _follow(
    command: list[str], progress: Progress, lock: IO[str], out: TextIO, variables: Mapping[str, str]
) -> tuple[int, list[str]]:
    """Run Snakemake and show its progress; return its exit status and its last lines."""
    tail: deque[str] = deque(maxlen=40)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**QUIET, "OMP_NUM_THREADS": "1", **os.environ, **variables},
        pass_fds=[lock.fileno()],  # the lock lives as long as Snakemake does, even if this process is killed
    )
    _name_holder(lock, process.pid)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C

    def heard() -> Iterator[str]:
        for line in process.stdout or ():
            tail.append(line)
            yield line

    try:
        for event in events(heard()):
            progress.take(event)
        return process.wait(), list(tail)
    except KeyboardInterrupt:
        _end(process)
        return 130, list(tail)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for an interrupted Snakemake. At a terminal it was interrupted with us; if not, it is now; in the end it is killed."""
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
        if here and any(Path(word).name == "snakemake" for word in words):
            found.append(process.info["pid"])
    return found


def _width() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 100
