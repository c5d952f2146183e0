"""What a command does at its edges: odd output streams, Ctrl-C, and readers who stop reading."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps

#: The exit status of a command that was interrupted.
INTERRUPTED = 130


def at_terminal(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap a command line's `main`, so that it ends in words where it would end in a traceback."""

    @wraps(main)
    def guarded(arguments: Sequence[str] | None = None) -> int:
        _open_streams()
        try:
            status = main(arguments)
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            _say("Stopped. The same command goes on from here.")
        except BrokenPipeError:
            _say("Stopped, since nobody reads the output. The same command goes on from here.")
        return INTERRUPTED

    return guarded


def _open_streams() -> None:
    """Have standard streams, though they may lead nowhere, that can write every text.

    A closed one would be the number of the next file that is opened, which would then get what we print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        with suppress(AttributeError, ValueError):  # a stand-in for a stream, as notebooks and tests have
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _say(words: str) -> None:
    """Say it on standard error, and have nothing written to standard output at the very end."""
    with suppress(OSError):
        print(words, file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
