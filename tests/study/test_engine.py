import io
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from project import make_project

from skillkit.errors import SkillkitError
from skillkit.study import engine, progress
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


def test_one_run_at_a_time_and_no_lock_outlives_its_run(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    study = load_study("tiny")
    stale = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    stale.parent.mkdir(parents=True)
    stale.write_text("results/tiny/10_comparison.parquet\n")  # what a killed Snakemake leaves behind
    with engine.sole_run(study):
        assert not stale.exists()
        with (
            pytest.raises(SkillkitError, match=rf"is alive in this folder.*kill {os.getpid()}\."),
            engine.sole_run(study),
        ):
            pass
    with engine.sole_run(study):
        pass


def test_the_lock_of_a_living_snakemake_is_respected(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.chdir(make_project(tmp_path))
    lock = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    (tmp_path / "snakemake").write_text("import time; time.sleep(60)")
    other = subprocess.Popen([sys.executable, "snakemake"])
    try:
        with engine.sole_run(load_study("tiny")):
            assert lock.exists()
    finally:
        other.kill()
        other.wait()


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


def test_up_to_date_is_only_what_lacks_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    study, said = load_study("tiny"), []
    for missing in (0, 4):
        out = io.StringIO()
        engine._conclude(study, Progress(out, 1), 0, ["Nothing but a list.\n"], out, missing=missing)
        said.append(out.getvalue())
    assert said[0] == "Tiny study: Everything is up to date.\n"
    assert "up to date" not in said[1] and "4 are missing" in said[1] and "Nothing but a list." in said[1]


def test_a_run_that_fails_on_a_full_disk_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    for free, full in ((2**40, False), (2**20, True)):
        monkeypatch.setattr(engine.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        out = io.StringIO()
        engine._conclude(load_study("tiny"), Progress(out, 1), 1, ["OSError\n"], out)
        assert ("The disk is full" in out.getvalue()) == full


@pytest.mark.parametrize(
    ("on_interrupt", "status"), [("signal.SIG_DFL", -signal.SIGINT), ("signal.SIG_IGN", -signal.SIGKILL)]
)
def test_an_interrupted_snakemake_is_ended_even_if_only_we_were_told(monkeypatch, on_interrupt, status):
    monkeypatch.setattr(engine, "PATIENCE", (0.2, 0.5))
    code = f"import signal, time; signal.signal(signal.SIGINT, {on_interrupt}); "
    code += "print('on', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "on\n"
        engine._end(process)
        assert process.returncode == status
