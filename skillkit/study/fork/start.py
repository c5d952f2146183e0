"""Start the warm process for a run, and run pages in its forks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from skillkit.study.environment import PARENT_VARIABLE, QUIET, SOCKET_VARIABLE, WARM_VARIABLE, homeless
from skillkit.study.fork.client import Lost, ask
from skillkit.study.fork.tether import die_with, tethered
from skillkit.study.signals import ended_by

PROVISIONER = "skillkit-warm"
"""The name in pyproject.toml of the provisioner that starts kernels (provisioner.py beside this file)."""

LONGEST_SOCKET = 100
"""Bytes that the path of a socket may have; the system's own limit is 107."""


@contextmanager
def warm_process() -> Iterator[dict[str, str]]:
    """Keep a warm process alive; yields the environment variables that make `skillkit execute` use it.

    It imports while the first work is being planned; who asks early waits. The variables are empty where the
    reader has switched it off, where processes cannot be forked safely (Windows, macOS), and where there is
    no room for a socket.
    """
    wanted = sys.platform.startswith("linux") and os.environ.get(WARM_VARIABLE) != "0"
    folder = _socket_folder() if wanted else None
    if folder is None:
        yield {}
        return
    path = str(folder / "warm")
    # The libraries look at these when they are imported, so a fork cannot set them for itself.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, **homeless(), **QUIET, "PYTHONUTF8": "1"}
    command = tethered([sys.executable, "-m", "skillkit.study.fork.process", path])
    # In a group of its own: Ctrl-C at the terminal is for the run, which then ends it.
    server = subprocess.Popen(command, env=environment, process_group=0)
    try:
        yield {SOCKET_VARIABLE: path, **_provisioner()} if _listens(server, path) else {}
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _socket_folder() -> Path | None:
    """A new folder for the socket: the temporary one, or where that is full or its path long, another."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if len(os.fsencode(place)) > LONGEST_SOCKET - len("/skillkit-12345678/warm"):
            continue
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="skillkit-", dir=place))
    return None


def _provisioner() -> dict[str, str]:
    """The variable that has Jupyter start kernels as we want, where this version of us is installed."""
    installed = entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    return {"JUPYTER_DEFAULT_PROVISIONER_NAME": PROVISIONER} if installed else {}


def _listens(server: subprocess.Popen[bytes], path: str, patience: float = 30.0) -> bool:
    end = time.monotonic() + patience
    while time.monotonic() < end and server.poll() is None:
        if os.path.exists(path):
            return True
        time.sleep(0.05)
    return False


def execute_page(
    notebook: Path, executed: Path, parameters: Mapping[str, Any], expected: Sequence[Path] = ()
) -> bool:
    """`skillkit.study.execute.execute`, in a fork of the warm process where there is one.

    The page ends with Snakemake, and its kernel with the page, however they end.
    """
    die_with(int(os.environ.get(PARENT_VARIABLE) or os.getppid()))
    os.environ.update(_provisioner())
    done = execute_warm(notebook, executed, parameters, expected)
    if done is None:
        from skillkit.study.execute import execute

        done = execute(notebook, executed, parameters, expected)
    return done


def execute_warm(
    notebook: Path, executed: Path, parameters: Mapping[str, Any], expected: Sequence[Path] = ()
) -> bool | None:
    """Run a page in a fork of the warm process; None when there is none."""
    path = os.environ.get(SOCKET_VARIABLE)
    if not path:
        return None
    try:
        status = ask(path, "execute", str(notebook), str(executed), parameters, [str(e) for e in expected])
        text = f"the process that ran this page was {ended_by(status - 128)}" if status > 128 else ""
    except Lost:
        status = 1
        text = f"the process that this run forks its pages from was {ended_by(signal.SIGKILL)}"
    except OSError:
        return None
    if text:
        from skillkit.study.execute import note_failure

        note_failure(notebook, executed, parameters, "Killed", text)
    return status == 0
