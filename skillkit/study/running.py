"""Run Snakemake: start it, show what it does, and end it when we are told to stop."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from skillkit.study.environment import EVENTS_VARIABLE, QUIET, homeless
from skillkit.study.fork.tether import tethered
from skillkit.study.progress import Event, Progress, read_events

#: Seconds that an interrupted Snakemake has to end by itself, and then once it was told to.
PATIENCE = (5.0, 20.0)


class Told(KeyboardInterrupt):
    """We alone were told to stop, where Ctrl-C at a terminal reaches all that we have started as well."""


class Run:
    """A Snakemake process: what happens in it, and the last lines that it says. It ends when we do."""

    def __init__(self, command: Sequence[str], keep_open: Sequence[int] = (), **variables: str) -> None:
        """Start it. `keep_open` are open files that live as long as it does."""
        events, events_in = os.pipe()
        words, words_in = os.pipe()
        own = {**variables, "PYTHONUTF8": "1", EVENTS_VARIABLE: str(events_in)}
        self.process = subprocess.Popen(
            tethered(command),
            stdout=words_in,
            stderr=subprocess.STDOUT,
            env={**QUIET, "OMP_NUM_THREADS": "1", **os.environ, **homeless(), **own},
            pass_fds=[events_in, *keep_open],
        )
        os.close(events_in)
        os.close(words_in)
        self._tail: deque[str] = deque(maxlen=40)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._tail.extend, args=[_lines(words)], daemon=True),
            threading.Thread(target=self._take, args=[events], daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _take(self, events: int) -> None:
        for event in read_events(_lines(events)):
            self._events.put(event)

    def events(self) -> Iterator[Event]:
        """What happens, until Snakemake ends."""
        while not self._has_ended():
            with suppress(queue.Empty):
                yield self._events.get(timeout=0.1)
        while not self._events.empty():
            yield self._events.get()

    def _has_ended(self) -> bool:
        """Whether the process has ended. Its pipes tell less: an orphaned job may hold them for long."""
        if self.process.poll() is None:
            return False
        for reader in self._readers:
            reader.join(1.0)
        return True

    def said(self, lines: int = 40) -> list[str]:
        """The last lines that it has said; to be asked once it has ended."""
        return list(self._tail)[-lines:]


def _lines(pipe: int) -> Iterator[str]:
    """The lines that come out of a pipe, until it is closed at the other end.

    A file object would do the same, but cannot be closed while a thread waits for its next line.
    """
    rest = b""
    while piece := os.read(pipe, 2**16):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") + "\n" for line in lines)
    os.close(pipe)
    if rest:
        yield rest.decode("utf-8", "replace") + "\n"


def follow(run: Run, progress: Progress) -> tuple[int, list[str]]:
    """Show the progress of a run until it ends; return Snakemake's exit status and its last lines."""
    with _told_as_interrupted():
        try:
            for event in run.events():
                progress.take(event)
            return run.process.wait(), run.said()
        except KeyboardInterrupt as interrupt:
            end(run.process, was_told=not isinstance(interrupt, Told))
            return 130, run.said()
        except BaseException:  # such as nobody being there to read what we say
            end(run.process, was_told=False)
            raise


@contextmanager
def _told_as_interrupted() -> Iterator[None]:
    """Being told to end, or the terminal being closed, is like Ctrl-C; unless it is to be ignored (nohup)."""

    def stop(number: int, _: object) -> None:
        raise Told

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in numbers}
    in_use = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    for number in in_use:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in in_use.items():
            signal.signal(number, handler)


def end(process: subprocess.Popen[bytes], was_told: bool) -> None:
    """Wait for an interrupted Snakemake.

    At a terminal it was told together with us. If not, it is now, and in the end it is killed.
    """
    first, second = PATIENCE
    for patience, number in ((first if was_told else 0, signal.SIGINT), (second, signal.SIGKILL)):
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(patience)
            return
        process.send_signal(number)
    process.wait()
