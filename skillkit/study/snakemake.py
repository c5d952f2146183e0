"""Snakemake, with a logger plugin that tells the engine what happens: `python -m skillkit.study.snakemake …`.

The plugin writes each event as a line of JSON to the pipe that the environment variable SKILLKIT_EVENTS
names. It is registered here and not as a package of its own, because Snakemake does not find plugins in
editable installations. What Snakemake says to people goes to standard error, as always.
"""

from __future__ import annotations

import os
import sys
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from skillkit.study.environment import EVENTS_VARIABLE
from skillkit.study.progress import Event, Job, write_event

TARGETS = "all"
"""The rule that makes nothing itself."""


class Translator:
    """Turns Snakemake's log records into events."""

    def __init__(self) -> None:
        """Know no jobs yet."""
        self.jobs: dict[int, Job] = {}

    def event(self, record: LogRecord) -> Event | None:
        """The event that a record tells of; None for records of other kinds, and for the target rule."""
        facts = record.__dict__
        kind = facts.get("event")
        if kind == LogEvent.RUN_INFO:
            counts = facts["stats"]
            return Event("total", number=counts["total"] - counts.get(TARGETS, 0))
        if kind == LogEvent.JOB_INFO:
            job = Job(facts["rule_name"], tuple(facts["wildcards"].values()), facts["reason"])
            self.jobs[facts["jobid"]] = job
            return self._about("started", job)
        if kind == LogEvent.JOB_ERROR:
            return self._about("failed", self.jobs.get(facts["jobid"]))
        if kind == LogEvent.JOB_FINISHED:
            return self._about("done", self.jobs.get(facts["job_id"]))
        return None

    @staticmethod
    def _about(kind: str, job: Job | None) -> Event | None:
        return Event(kind, job) if job and job.rule != TARGETS else None  # type: ignore[arg-type]


class LogHandler(LogHandlerBase):
    """Writes every event to the engine's pipe."""

    writes_to_stream = False
    writes_to_file = False
    has_filter = True  # all records are wanted
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Open the pipe."""
        self.translator = Translator()
        self.pipe = os.fdopen(int(os.environ[EVENTS_VARIABLE]), "w", buffering=1, encoding="utf-8")

    def emit(self, record: LogRecord) -> None:
        """Write the record's event, if it tells of one."""
        if event := self.translator.event(record):
            self.pipe.write(write_event(event))


def main() -> None:
    """Run Snakemake's own command line with the plugin."""
    from snakemake.cli import main as run

    LoggerPluginRegistry().register_plugin("skillkit", sys.modules[__name__])
    run([*sys.argv[1:]])


if __name__ == "__main__":
    main()
