"""Surroundings: a full disk, a missing home, a strange locale, an early Ctrl-C; clear, and nothing lost.

Each round is a function of the project, in which nothing is made yet, and of the draw.
"""

import os
import random
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storm.project import STUDY, Project
from storm.runs import SKILLKIT, Run, expect, expect_no_traceback, running, started

#: Words by which a message names a full disk.
DISK = ("space", "disk", "full")

HOURS_AHEAD = 2


Surrounding = Callable[[Project, random.Random], None]


class Skipped(Exception):
    """A round that cannot be tried on this machine, and why."""


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of that size at `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        raise Skipped(f"no disk can be mounted here ({mounted.stderr.strip()})")
    try:
        yield
    finally:
        for _ in range(20):  # a process that was just killed may still hold it
            if subprocess.run(["umount", folder], capture_output=True).returncode == 0:
                break
            time.sleep(0.25)
        else:
            subprocess.run(["umount", "--lazy", folder], check=False)


def fill(folder: Path) -> None:
    """Leave no room on the disk that holds `folder`."""
    with suppress(OSError), (folder / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))


def make_room(folder: Path) -> None:
    """Grow a small disk to one on which a study fits."""
    (folder / "filling").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=512m", folder], check=True)


def full_results(project: Project, draw: random.Random) -> None:
    """The disk under `results` fills while pages are made."""
    results = project.folder / "results"
    with small_disk(results, f"{draw.choice((4, 64, 150, 300))}k"):
        _fails_clearly(project, DISK)
        make_room(results)
        _goes_on(project)


def full_results_of_a_page(project: Project, draw: random.Random) -> None:
    """The disk is full when one's own page is asked for: its study file cannot be written."""
    results = project.folder / "results"
    with small_disk(results, "64k"):
        fill(results)
        words = ["page", "01", "-p", "model=mini-roberta", "-p", "task=film_sentiment", "-p", "steps=2"]
        with running(project.folder, *words, "--no-book") as run:
            _ended_clearly(run, DISK)
        make_room(results)
        _goes_on(project)


def full_notes(project: Project, draw: random.Random) -> None:
    """The disk under `.snakemake` is full."""
    notes = project.folder / ".snakemake"
    with small_disk(notes, draw.choice(("4k", "16k", "64k"))):
        fill(notes)
        _fails_clearly(project, DISK)
        make_room(notes)
        _goes_on(project)


def full_temporary_folder(project: Project, draw: random.Random) -> None:
    """TMPDIR is full: the study is made all the same, or the reader is told."""
    with tempfile.TemporaryDirectory() as place, small_disk(Path(place), "64k"):
        fill(Path(place))
        _works_or_is_clear(project, ("TMPDIR", *DISK), TMPDIR=place)
    _goes_on(project)


def long_temporary_folder(project: Project, draw: random.Random) -> None:
    """TMPDIR is too long for the address of a socket."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "x" * draw.choice((60, 100, 200)), "y" * 60)
        folder.mkdir(parents=True)
        _works_or_is_clear(project, ("TMPDIR", "long"), TMPDIR=str(folder))
    _goes_on(project)


def missing_temporary_folder(project: Project, draw: random.Random) -> None:
    """TMPDIR names no folder."""
    _works_or_is_clear(project, ("TMPDIR",), TMPDIR="/dev/null/nothing")
    _goes_on(project)


def no_home(project: Project, draw: random.Random) -> None:
    """HOME is not set, names nothing, or names what is no folder."""
    home = draw.choice((None, "/dev/null/home", ""))
    _works_or_is_clear(project, ("HOME", "home"), HOME=home)
    _goes_on(project)


def unwritable_home(project: Project, draw: random.Random) -> None:
    """HOME is a folder on which nothing can be written."""
    with tempfile.TemporaryDirectory() as place, small_disk(Path(place), "64k"):
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        changes = {name: None for name in ("XDG_CACHE_HOME", "IPYTHONDIR", "HF_HOME", "MPLCONFIGDIR")}
        _works_or_is_clear(project, ("HOME", "home", place), HOME=place, **changes)
    _goes_on(project)


def ascii_locale(project: Project, draw: random.Random) -> None:
    """The locale is plain ASCII, and Python is told not to help; the study's title is not."""
    project.write_study(STUDY, title="Mały téśt 中文", description="„Übung“")
    try:
        changes = {
            "LC_ALL": "C",
            "LANG": "C",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONIOENCODING": None,
        }
        _works_or_is_clear(project, ("UTF-8", "locale"), **changes)
        with running(project.folder, "status", STUDY, **changes) as run:
            expect(run.wait() == 0, "`skillkit status` did not end well")
            expect_no_traceback(run.output())
        with running(project.folder, "run", STUDY, "--dry-run", **changes) as run:
            expect(run.wait() == 0, "the dry run did not end well")
            expect_no_traceback(run.output())
    finally:
        project.write_study(STUDY)
    _goes_on(project)


def early_interrupt(project: Project, draw: random.Random) -> None:
    """Ctrl-C while the command is still getting ready, given to all of its processes as a terminal does."""
    with running(project.folder, "run", STUDY) as run:
        time.sleep(draw.uniform(1.0, max(1.5, min(6.0, project.seconds / 2))))
        with suppress(ProcessLookupError):
            os.killpg(run.main.pid, signal.SIGINT)
        status = run.wait()
        expect_no_traceback(run.output())
        expect(status == 130, f"interrupted, it ended with exit code {status} instead of 130")
        run.expect_gone()
    _goes_on(project)


def closed_output(project: Project, draw: random.Random) -> None:
    """Nobody reads what the command says (`skillkit run tiny | head -0`), or it has nowhere to say it."""
    how = draw.choice(("| head -n 0", ">&-", "| true"))
    line = f"{shlex.join(SKILLKIT)} {draw.choice(('run', 'status'))} {STUDY} 2>../errors.txt {how}"
    with started(project.folder, ["sh", "-c", line]) as run:
        run.wait()
        end = time.monotonic() + 60
        while run.processes() and time.monotonic() < end:
            time.sleep(0.2)
        run.expect_gone(0)
        said = (project.folder.parent / "errors.txt").read_text(errors="replace")
        expect_no_traceback(said)
        expect("Exception ignored" not in said, f"`{line}` said {said.strip()[-200:]!r}")
    _goes_on(project)


def clock_ahead(project: Project, draw: random.Random) -> None:
    """A notebook, a study, or a result is dated two hours ahead of the clock."""
    later = time.time() + 3600 * HOURS_AHEAD
    project.restore(project.finished)
    name = draw.choice(
        (
            "notebooks/01_prompt_tuning.ipynb",
            "notebooks/02_skill_neurons.ipynb",
            f"studies/{STUDY}.yaml",
            f"results/{STUDY}/mini-roberta/film_sentiment/prompts/seed-0.safetensors",
        )
    )
    path = project.folder / name
    before = path.stat()
    os.utime(path, (later, later))
    if draw.random() < 0.5:  # a page that has to be made meets the clock too
        (project.folder / "results" / STUDY / "mini-roberta/film_sentiment/02_skill_neurons.parquet").unlink()
    try:
        _works_or_is_clear(project, ("clock", "ahead", "future"))
        expect((project.folder / "results" / STUDY).is_dir(), "results were lost")
        expect_prompt_kept(project)
    finally:
        if path.exists() and name.startswith(("notebooks", "studies")):
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    _goes_on(project)


def expect_prompt_kept(project: Project) -> None:
    """Raise Fault where the tuned prompt of a finished study is gone."""
    found = project.read_tensors()
    name = "mini-roberta/film_sentiment/prompts/seed-0.safetensors"
    expect(name in found, "the tuned prompt was lost")


def unsafe_name(project: Project, draw: random.Random) -> None:
    """A study whose name a shell would run, split, or expand: it is refused, or made like any other."""
    name = draw.choice(
        ("$(touch PWNED)", "`touch PWNED`", "a;touch PWNED", "a b", "a'b", 'a"b', "a&b", "{model}", "学习")
    )
    path = project.write_study(name, notebooks={"01_prompt_tuning": {"examples": 40}}, seeds=[0])
    try:
        with running(project.folder, "run", "--", name) as run:
            status = run.wait()
            expect_no_traceback(run.output())
            expect(not list(project.folder.rglob("PWNED")), f"the study's name {name!r} was run by a shell")
            expect(status in (0, 2), f"study {name!r}: exit code {status}, neither made nor refused")
    finally:
        path.unlink()
    _goes_on(project)


def _goes_on(project: Project) -> None:
    """The plain command makes what is missing, and all is as undisturbed."""
    project.run_again()
    project.expect_as_undisturbed()


def _fails_clearly(project: Project, words: tuple[str, ...]) -> None:
    with running(project.folder, "run", STUDY) as run:
        _ended_clearly(run, words)


def _works_or_is_clear(project: Project, words: tuple[str, ...], **changes: str | None) -> None:
    with running(project.folder, "run", STUDY, **changes) as run:
        if run.wait() == 0:
            expect_no_traceback(run.output())
            project.expect_as_undisturbed()
        else:
            _ended_clearly(run, words)


def _ended_clearly(run: Run, words: tuple[str, ...]) -> None:
    """Raise Fault unless a run failed, in a message with one of the words, and left nothing behind."""
    status = run.wait()
    said = run.output()
    expect(status in (1, 2), f"exit code {status}; expected 1 or 2")
    expect_no_traceback(said)
    told = any(word.lower() in said.lower() for word in words)
    expect(told, f"no word of what is wrong ({', '.join(words)})")
    run.expect_gone()


ROUNDS: tuple[Surrounding, ...] = (
    full_results,
    full_results_of_a_page,
    full_notes,
    full_temporary_folder,
    long_temporary_folder,
    missing_temporary_folder,
    no_home,
    unwritable_home,
    ascii_locale,
    early_interrupt,
    closed_output,
    clock_ahead,
    unsafe_name,
)


def surround(project: Project, draw: random.Random, chosen: Surrounding, did: list[str]) -> None:
    """One of the `ROUNDS`, from nothing."""
    did.append(chosen.__name__.replace("_", " "))
    project.clear()
    chosen(project, draw)
