"""One run of a study at a time, and no lock that outlives its run.

The lock of a study is held by a living process, so the system lets go of it when that process ends, however
it ends. Snakemake's own locks, files that a killed run leaves behind, are not used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from skillkit.errors import SkillkitError
from skillkit.results import Place
from skillkit.study.environment import RUNNER
from skillkit.study.studies import Study

try:
    import fcntl
except ImportError:  # not on every system
    fcntl = None  # type: ignore[assignment]

FOLDER = Path(".snakemake")
"""Where Snakemake keeps what it knows, and we our locks."""


@contextmanager
def sole_run(study: Study) -> Iterator[IO[str]]:
    """Hold the study's lock for a run. Raises SkillkitError when another run of the study is alive."""
    path = FOLDER / f"skillkit-{study.name}.lock"
    with _open(path) as lock:
        if not _take(lock):
            raise SkillkitError(
                f"Another run of study {study.name!r} is alive in this folder. "
                f"Wait for it, or stop it{_how_to_stop(path)}."
            )
        _sign(lock)
        _refuse_beside_snakemake(study)
        yield lock


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _no_room(error) from error


def _sign(lock: IO[str]) -> None:
    """Write into the lock which process to end."""
    try:
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
    except OSError as error:
        with suppress(OSError):
            lock.close()  # which tries to write once more
        raise _no_room(error) from error


def _no_room(error: OSError) -> SkillkitError:
    return SkillkitError(
        f"Cannot write in {FOLDER.absolute()} ({error.strerror}), where a run keeps what it has done. "
        "Check space and permissions there."
    )


def _take(lock: IO[str]) -> bool:
    """Take the lock; False when somebody holds it."""
    if fcntl is None:
        holder = _named(Path(lock.name))
        return holder in (0, os.getpid()) or not psutil.pid_exists(holder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _how_to_stop(path: Path) -> str:
    """Which process to end: the one that wrote its number into the lock, or else who has it open."""
    holder = _named(path)
    if not _at_work(holder):
        holder = next(_openers(path), 0)
    return f": kill {holder}" if holder else " there with Ctrl-C"


def _named(path: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="utf-8"))
    return 0


def _at_work(pid: int) -> bool:
    with suppress(psutil.Error):
        return pid > 0 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _openers(path: Path) -> Iterator[int]:
    """Processes that have a file open, ourselves left out."""
    wanted = str(path.resolve())
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(file.path == wanted for file in process.open_files()):
                yield process.pid


def _refuse_beside_snakemake(study: Study) -> None:
    """Refuse to run beside a Snakemake that was started without us and is at work on the same study.

    It has locks of its own, files with the names of what it makes. Ours are started without.
    """
    results = f"{Place(study.name, root=study.results).folder.as_posix()}/"
    locks = [path for path in (FOLDER / "locks").glob("*") if _names_results(path, results)]
    if locks and (alive := _other_snakemakes()):
        raise SkillkitError(
            f"A Snakemake that was started without skillkit works on study {study.name!r} in this folder. "
            f"Wait for it, or stop it: kill {alive[0].pid}."
        )


def _names_results(lock: Path, results: str) -> bool:
    """Whether a lock of Snakemake's, which is a list of files, names one below the folder `results`."""
    with suppress(OSError):
        lines = lock.read_text(encoding="utf-8", errors="replace").splitlines()
        return any(line.startswith(results) for line in lines)
    return False


def _other_snakemakes() -> list[psutil.Process]:
    """Snakemake runs in this folder that we have not started."""
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd", "status"]):
        words = process.info["cmdline"] or []
        here = process.info["pid"] not in mine and process.info["cwd"] == os.getcwd()
        runs = any(Path(word).name == "snakemake" for word in words) and RUNNER not in words
        if here and runs and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found
