"""Start `skillkit` in the scratch project, know every process that belongs to it, and judge how it ended."""

import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]

SKILLKIT = (sys.executable, "-m", "skillkit")

MARK = "SKILLKIT_STORM"
"""A variable in the environment of every process of a run, by which orphans are known."""

#: Seconds that the processes of an ended run have to be gone, and that any run may take.
GRACE, LONGEST = 10.0, 300.0

ROLES = {
    "warm process": "skillkit.study.fork.process",
    "client": "fork/client.py",
    "Snakemake": "skillkit.study.snakemake",
    "kernel": "ipykernel_launcher",
    "page": "skillkit execute",
}
"""What each process of a run is, by words of its command line; the first that fits holds."""


class Fault(Exception):
    """Something that must hold did not; the message says what."""


class Run:
    """A command at work, in a session of its own, with its output in a file."""

    def __init__(self, folder: Path, command: Sequence[str], changes: Mapping[str, str | None]) -> None:
        """Start it in `folder`. `changes` go to its environment; None takes a variable away."""
        self.mark = uuid.uuid4().hex
        self.log = folder.parent / f"output-{self.mark}.txt"
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self.main = subprocess.Popen(
                command,
                cwd=folder,
                env=environment({**changes, MARK: self.mark}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """All that it and its processes have said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> dict[psutil.Process, str]:
        """Its living processes, and what each is."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark:
                    found[process] = self.role(process)
        return found

    def role(self, process: psutil.Process) -> str:
        """What a process of the run is: main, Snakemake, page, client, kernel, warm process, or other."""
        if process.pid == self.main.pid:
            return "main"
        line = " ".join(process.cmdline())
        role = next((role for role, words in ROLES.items() if words in line), "other")
        if (
            role == "warm process"
            and (parent := process.parent())
            and ROLES[role] in " ".join(parent.cmdline())
        ):
            return "fork"  # of the warm process: a page or a kernel
        return role

    def wait(self, seconds: float = LONGEST) -> int:
        """Its exit code. Raises Fault where it does not end."""
        try:
            return self.main.wait(seconds)
        except subprocess.TimeoutExpired:
            alive = ", ".join(sorted(self.processes().values()))
            raise Fault(f"it hung: not ended after {seconds:.0f} s; alive: {alive}") from None

    def expect_gone(self, seconds: float = GRACE) -> None:
        """Raise Fault where a process of the run is alive after so many seconds."""
        end = time.monotonic() + seconds
        while alive := self.processes():
            if time.monotonic() > end:
                told = ", ".join(f"{role} {process.pid}" for process, role in alive.items())
                raise Fault(f"orphans {seconds:.0f} s after the end: {told}")
            time.sleep(0.2)

    def end(self) -> None:
        """Kill what is left, so that the next round starts alone."""
        while alive := self.processes():
            for process in alive:
                with suppress(psutil.Error):
                    process.kill()
            time.sleep(0.1)
        self.main.wait()
        self.log.unlink(missing_ok=True)


def running(folder: Path, *words: str, **changes: str | None) -> AbstractContextManager[Run]:
    """`skillkit` with these words, at work in `folder`."""
    return started(folder, SKILLKIT + words, **changes)


@contextmanager
def started(folder: Path, command: Sequence[str], **changes: str | None) -> Iterator[Run]:
    """A command that leaves no process in the end; a fault tells its last words."""
    run = Run(folder, command, changes)
    try:
        yield run
    except Fault as fault:
        told = "" if "it said: " in str(fault) else f"; it said: {last_lines(run.output())}"
        raise Fault(f"{fault}{told}") from None
    finally:
        run.end()


def environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with the checkout's package, no network, one thread, and `changes`."""
    settings: dict[str, str | None] = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "SKILLKIT_DATA": None,
        "SKILLKIT_REFERENCE": None,
        "SKILLKIT_DEBUG": None,
    }
    changed = {**os.environ, **settings, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def last_lines(text: str, count: int = 6) -> str:
    """The last lines of an output, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "nothing"


def expect_no_traceback(text: str) -> None:
    """Raise Fault where an output shows a Python traceback."""
    if found := re.search(r"Traceback \(most recent call last\).*", text, re.DOTALL):
        lines = [line for line in found.group().splitlines() if line.strip()]
        last = next((line for line in lines[1:] if not line.startswith((" ", "\t"))), lines[-1])
        raise Fault(f"a traceback reached the reader ({last.strip()[:200]})")


def expect(holds: bool, otherwise: str) -> None:
    """Raise Fault unless something holds."""
    if not holds:
        raise Fault(otherwise)
