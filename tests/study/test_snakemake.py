"""Snakemake's log records become events, and events survive the pipe."""

import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from skillkit.study.progress import Event, Job, read_events, write_event
from skillkit.study.snakemake import Translator

RULE = "01_prompt_tuning"


def record(event, **facts):
    return logging.makeLogRecord({"event": event, **facts})


def started(number, rule, reason="", **wildcards):
    return record(LogEvent.JOB_INFO, jobid=number, rule_name=rule, wildcards=wildcards, reason=reason)


def test_records_become_events_without_the_target_rule():
    records = [
        record(LogEvent.WORKFLOW_STARTED),
        record(LogEvent.RUN_INFO, stats={RULE: 2, "all": 1, "total": 3}),
        started(1, RULE, "Missing output files: a", model="m", task="x"),
        started(3, RULE, model="n", task="y"),
        record(LogEvent.JOB_STARTED, jobs=[1, 3]),
        record(LogEvent.JOB_ERROR, jobid=3, rule_name=RULE),
        record(LogEvent.JOB_FINISHED, job_id=1),
        started(0, "all"),
        record(LogEvent.JOB_FINISHED, job_id=0),
        logging.makeLogRecord({"msg": "something else"}),
    ]
    translator = Translator()
    one, two = Job(RULE, ("m", "x"), "Missing output files: a"), Job(RULE, ("n", "y"))
    assert [event for each in records if (event := translator.event(each))] == [
        Event("total", number=2),
        Event("started", one),
        Event("started", two),
        Event("failed", two),
        Event("done", one),
    ]
    assert one.label == "01_prompt_tuning m x"


@pytest.mark.parametrize("event", [Event("total", number=4), Event("done", Job("10", (), 'a "reason"\n'))])
def test_an_event_comes_out_of_the_pipe_as_it_went_in(event):
    line = write_event(event)
    assert line.count("\n") == 1 and list(read_events([line])) == [event]
