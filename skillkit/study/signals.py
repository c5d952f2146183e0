"""What the signals that end a process mean to somebody who waits for it."""

from __future__ import annotations

from signal import Signals

_MEANINGS = {
    "SIGKILL": "most often the system does so when memory runs out",
    "SIGTERM": "as a cluster does when time is up",
    "SIGXCPU": "its processor time was up",
    "SIGSEGV": "a compiled library crashed",
    "SIGBUS": "a compiled library crashed, or a disk is full",
    "SIGABRT": "a compiled library gave up",
}


def ended_by(number: int) -> str:
    """Such as `ended by SIGKILL: most often the system does so when memory runs out`."""
    try:
        name = Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"ended by {name}" + (f": {_MEANINGS[name]}" if name in _MEANINGS else "")
