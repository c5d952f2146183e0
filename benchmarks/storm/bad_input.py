"""Bad input: calls of the command line that must be refused in one clear line, and that touch no result.

To be quick, a call is a fork of this process; now and then it is a process of its own.
"""

import hashlib
import multiprocessing
import os
import random
import re
import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

import skillkit.study.pages  # noqa: F401
from skillkit.cli import main
from storm.bad_calls import Call
from storm.project import Project
from storm.runs import Fault, expect, expect_no_traceback, last_lines, running

#: Seconds within which a bad call has to be refused: by then nothing can have been computed.
SOON = 120.0

#: Of so many calls one is a process of its own.
REAL_ONE_IN = 20


RAW = re.compile(r"\b(?:[A-Z]\w*Error|[A-Z]\w*Exception|NoneType|object at 0x)\b")
"""What a message has that was not written for its reader."""


def refuse(project: Project, draw: random.Random, call: Call, did: list[str]) -> None:
    """Make the call in a finished study, and see that it is refused as it should be."""
    did.append(f"{call.name}: skillkit {shlex.join(call.words)[:100]}")
    project.restore(project.finished)
    written = project.folder / "studies" / "bad.yaml"
    if call.study is not None:
        written.write_bytes(call.study)
    before = digests(project.folder)
    real = draw.randrange(REAL_ONE_IN) == 0 and not any("\0" in word for word in call.words)
    try:
        status, said = in_a_process(project, call) if real else in_a_fork(project, call)
        after = digests(project.folder)
    finally:
        written.unlink(missing_ok=True)
    judge(call, status, said)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    expect(not changed, f"it changed {', '.join(changed[:5])}")


def judge(call: Call, status: int | None, said: str) -> None:
    """Raise Fault unless this is how a bad call ends: exit code 2, and one clear line."""
    told = f"; it said: {last_lines(said)[:600]}"
    expect(status is not None, f"not refused: it began to run, or took over {SOON:.0f} s{told}")
    try:
        expect_no_traceback(said)
    except Fault as fault:
        raise Fault(f"{fault}{told}") from None
    expect(status == 2, f"exit code {status} instead of 2{told}")
    lines = message_lines(said)
    expect(len(lines) == 1, f"{len(lines)} lines instead of one{told}")
    expect(len(lines[0]) < 1000, f"a line of {len(lines[0])} characters{told[:300]}")
    expect(not RAW.search(lines[0]), f"raw: {RAW.search(lines[0])}{told}")
    for word in call.says:
        expect(word in lines[0], f"{word!r} is not named{told}")


def message_lines(said: str) -> list[str]:
    """The lines of an output, less what argparse tells about usage above its one line."""
    lines = [line for line in said.splitlines() if line.strip()]
    if lines and lines[0].startswith("usage:"):
        return [line for line in lines[1:] if not line.startswith(" ")]
    return lines


def in_a_process(project: Project, call: Call) -> tuple[int | None, str]:
    """Exit code and output of the call as a process of its own; None where it is not refused soon."""
    with running(project.folder, *call.words) as run:
        end = time.monotonic() + SOON
        while run.main.poll() is None and time.monotonic() < end and not _computes(run.main.pid):
            time.sleep(0.1)
        return run.main.poll(), run.output()


def in_a_fork(project: Project, call: Call) -> tuple[int | None, str]:
    """The same in a fork of this process, which has the modules loaded."""
    context = multiprocessing.get_context("fork")
    output = project.folder.parent / "call.txt"
    process = context.Process(target=_call, args=(str(project.folder), call.words, str(output)))
    process.start()
    end = time.monotonic() + SOON
    while process.is_alive() and time.monotonic() < end and not _computes(process.pid):
        process.join(0.1)
    status = process.exitcode
    if status is None:
        _end(psutil.Process(process.pid))
        process.join()
    return status, output.read_text(encoding="utf-8", errors="replace")


def _computes(pid: int) -> bool:
    """Whether a call has gone so far that it starts Snakemake or the warm process."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).children())
    return False


def _end(process: psutil.Process) -> None:
    """Kill a process and all that it has started."""
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            each.kill()


def digests(folder: Path) -> dict[str, str]:
    """What every study, notebook and result in the project is, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for top in ("results", "studies", "notebooks")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }


def _call(folder: str, words: list[str], output: str) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.setsid()
    os.chdir(folder)
    sys.argv = ["skillkit", *words]
    sys.exit(main(words))
