import io
import json

import pytest
from project import make_project

from skillkit.study import progress
from skillkit.study.failures import report_failures
from skillkit.study.progress import Event, Job, Progress, spoken
from skillkit.study.studies import load_study


def test_progress_counts_and_guesses_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    shown = Progress(out, parallel=2)
    shown.take(Event("total", number=5))
    one, two = Job("01", ("m", "x")), Job("01", ("m", "y"))
    shown.take(Event("started", one))
    shown.take(Event("started", two))
    now[0] += 60
    shown.take(Event("done", one))
    assert shown.left() == pytest.approx(
        (4 * 60 - 60) / 2
    )  # four to go, one of them a minute on its way, two at a time
    assert shown.line() == "1 of 5 pages, about 2 min left"
    shown.take(Event("failed", two))
    assert out.getvalue().splitlines()[-1] == "2 of 5 pages, about 2 min left | FAILED 01 m y (60 s)"


def test_a_terminal_gets_one_line_that_is_written_over():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    shown = Progress(out, 1)
    shown.take(Event("total", number=1))
    shown.take(Event("started", Job("02_skill_neurons", ("m",))))
    assert "\n" not in out.getvalue() and out.getvalue().endswith("0 of 1 pages | 02_skill_neurons m")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59, "59 s"), (100, "2 min"), (3600, "1 h 0 min"), (8000, "2 h 13 min")],
)
def test_spoken_times(seconds, words):
    assert spoken(seconds) == words


def test_a_failure_says_what_to_read_and_what_to_type(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    study = load_study("tiny")
    page = study.pages[0]
    page.error.parent.mkdir(parents=True)
    page.error.write_text(
        json.dumps({"error": "ValueError", "message": "the loss is not finite\nmore", "cell": "3"})
    )
    out = io.StringIO()
    assert report_failures(study, out) == 1
    assert out.getvalue().strip().splitlines() == [
        "01_prompt_tuning mini-roberta sst2",
        "    ValueError: the loss is not finite",
        "    read   results/tiny/mini-roberta/sst2/notebooks/01_prompt_tuning.ipynb",
        "    again  skillkit page 01 -p model=mini-roberta -p task=sst2 --study tiny",
    ]
