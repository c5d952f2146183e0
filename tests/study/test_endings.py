"""A run says honestly how it ended."""

import io
import json
import signal
from types import SimpleNamespace

import pytest
from project import make_project

from skillkit.study import endings
from skillkit.study.endings import conclude, exit_code
from skillkit.study.progress import Event, Job, Progress
from skillkit.study.studies import load_study


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    return load_study("tiny")


def ending(study, status, tail=(), events=(), **options):
    """What is said of a run that ended so."""
    out = io.StringIO()
    progress = Progress(io.StringIO(), 1)
    for event in events:
        progress.take(event)
    conclude(study, progress, status, list(tail), out, **options)
    return out.getvalue()


def page(kind, *places):
    job = Job("01_prompt_tuning", places)
    return [Event("started", job), Event(kind, job)]


def test_up_to_date_is_only_what_lacks_nothing(study):
    assert ending(study, 0, ["Nothing but a list.\n"]) == "Tiny study: Everything is up to date.\n"
    said = ending(study, 0, ["Nothing but a list.\n"], missing=4)
    assert "up to date" not in said and "4 are missing" in said and "Nothing but a list." in said


def test_a_run_that_fails_on_a_full_disk_says_which(study, monkeypatch):
    assert "is full" not in ending(study, 1, ["OSError\n"])
    monkeypatch.setattr(endings.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    said = ending(study, 1, ["Traceback\n", "OSError\n"])
    assert f"The disk of {study.pages[0].place.folder.parents[1].absolute()} is full (1.0 MB left)" in said
    assert "OSError" in said and "Traceback" not in said


def test_a_killed_snakemake_is_no_failure_of_a_page(study):
    said = ending(study, -signal.SIGKILL, ["[IPKernelApp] WARNING | shutting down\n"])
    assert said.startswith("Snakemake was ended by SIGKILL") and "goes on from here" in said
    assert "IPKernelApp" not in said


def test_a_snakemake_that_stopped_says_when_and_why(study):
    said = ending(study, 1, ["[IPKernelApp] WARNING | shutting down\n", "WorkflowError: no\n"])
    assert said == "Snakemake stopped before any page ran. It said:\nWorkflowError: no\n"
    assert "after 1 pages" in ending(study, 1, ["no\n"], page("done", "mini-t5", "sst2"))


def test_only_pages_that_left_no_word_are_said_to_be_ended_from_outside(study):
    told = next(p for p in study.pages if (p.place.model, p.place.task) == ("mini-t5", "sst2"))
    told.error.parent.mkdir(parents=True)
    told.error.write_text(json.dumps({"error": "Killed", "message": "by SIGKILL"}), encoding="utf-8")
    events = page("failed", "mini-t5", "sst2") + page("failed", "mini-t5", "imdb")
    said = ending(study, 1, events=events)
    assert "Killed: by SIGKILL" in said
    silent = said.partition("Ended without saying why (killed")[2]
    assert "01_prompt_tuning mini-t5 imdb" in silent and "sst2" not in silent


@pytest.mark.parametrize(
    ("status", "tail", "code"),
    [
        (0, [], 0),
        (1, ["Error\n"], 1),
        (-signal.SIGKILL, [], 1),
        (-signal.SIGINT, [], 130),
        (130, [], 130),
        (1, ["Terminating processes on user request, this might take some time.\n"], 130),
    ],
)
def test_exit_codes(status, tail, code):
    assert exit_code(status, tail) == code
