"""What a run has done and how long the rest will take, in one line: `12 of 40 pages, about 3 min left`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, TextIO


@dataclass(frozen=True)
class Job:
    """A page as Snakemake makes it: its rule (the notebook), model and task, and why it is made."""

    rule: str
    places: tuple[str, ...] = ()
    reason: str = ""

    @property
    def label(self) -> str:
        """Notebook, model and task."""
        return " ".join([self.rule, *self.places])


@dataclass(frozen=True)
class Event:
    """Something that happened: a job has `started`, is `done` or has `failed`, or the `total` is known."""

    kind: Literal["total", "started", "done", "failed"]
    job: Job | None = None
    number: int = 0


def write_event(event: Event) -> str:
    """An event as a line of text."""
    return json.dumps(asdict(event)) + "\n"


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of lines that `write_event` made; one whose writer was killed may be cut off."""
    for line in lines:
        try:
            facts = json.loads(line)
        except ValueError:
            continue
        job = facts["job"] and Job(**{**facts["job"], "places": tuple(facts["job"]["places"])})
        yield Event(facts["kind"], job, facts["number"])


class Progress:
    """One line at a terminal, one line per finished page elsewhere."""

    def __init__(self, out: TextIO, parallel: int) -> None:
        """Write to `out`, for a run of `parallel` jobs at a time."""
        self.out, self.parallel, self.live = out, max(1, parallel), out.isatty()
        self.total, self.began = 0, time.monotonic()
        self.running: dict[str, float] = {}
        self.done: list[str] = []
        self.failed: list[str] = []
        self._times: list[float] = []

    def take(self, event: Event) -> None:
        """Note an event, and show it."""
        label = event.job.label if event.job else ""
        if event.kind == "total":
            self.total = event.number
        elif event.kind == "started":
            self.running[label] = time.monotonic()
        elif label in self.running:
            seconds = time.monotonic() - self.running.pop(label)
            (self.done if event.kind == "done" else self.failed).append(label)
            self._times.append(seconds)
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
        """Seconds that the rest will take if its pages are like those seen; 0 when nothing was seen yet."""
        if not self._times:
            return 0.0
        remaining = self.total - len(self.done) - len(self.failed)
        spent = sum(time.monotonic() - start for start in self.running.values())
        return max(0.0, remaining * sum(self._times) / len(self._times) - spent) / self.parallel

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


def _width() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 100
