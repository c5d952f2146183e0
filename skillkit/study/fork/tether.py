"""End with one's parent: a process that is killed takes along everything that it has started.

Linux can kill a process when its parent ends, however that ends. `tethered` starts a command so, and a fork
calls `die_with` for itself. Elsewhere both do nothing.

Standard library only, and run by its path: `python -S -E tether.py PARENT COMMAND…` turns into the command.
"""

import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: which signal to get when the parent ends."""

#: Whether this system can do it.
KNOWN = sys.platform.startswith("linux")


def tethered(command: Sequence[str]) -> list[str]:
    """The command for a child of this process that ends when this process does."""
    return [sys.executable, "-S", "-E", __file__, str(os.getpid()), *command] if KNOWN else [*command]


def die_with(parent: int) -> None:
    """Have the system kill this process when `parent` ends; end at once if it has ended already."""
    if not KNOWN:
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent and not lives(parent):  # it ended before we could ask
        os._exit(1)


def lives(pid: int) -> bool:
    """Whether a process is at work; one that has ended and only waits to be noticed is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            facts = file.read()
    except OSError:
        return False
    return facts.rpartition(")")[2].split()[0] not in ("Z", "X")


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
