"""The storm notices what it is there for, and only that."""

import os
import random
import signal
import sys
import time

import pandas as pd
import pytest
from faults import KINDS, dealt, one_round
from storm.bad_calls import Call, all_calls
from storm.bad_input import judge, message_lines
from storm.damage import WAYS, expect_readable
from storm.kills import _end
from storm.project import compare_tables
from storm.runs import Fault, expect_no_traceback, last_lines, started

TRACEBACK = "Traceback (most recent call last):\n  File 'x.py', line 1\n    f()\nKeyError: 'x'\n"

BEARS = """import subprocess, sys
code = 'import time; time.sleep({})'
subprocess.Popen([sys.executable, '-c', code], start_new_session=True)"""


@pytest.fixture
def folder(tmp_path):
    """Where commands run; what they say lies beside it."""
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def test_an_orphan_is_found_and_ended(folder):
    with (
        pytest.raises(Fault, match=r"orphans .*other"),
        started(folder, [sys.executable, "-c", BEARS.format(600)]) as run,
    ):
        assert run.wait() == 0
        orphans = list(run.processes())
        run.expect_gone(0.5)
    assert orphans and not run.processes()


def test_a_child_that_ends_soon_is_no_orphan(folder):
    with started(folder, [sys.executable, "-c", BEARS.format(0.2)]) as run:
        assert run.wait() == 0
        run.expect_gone()


def test_a_run_that_hangs_is_told_with_what_it_said(folder):
    hanging = [sys.executable, "-c", "import time; print('so far', flush=True); time.sleep(600)"]
    with pytest.raises(Fault, match=r"hung.*main.*so far"), started(folder, hanging) as run:
        while "so far" not in run.output():
            time.sleep(0.02)
        run.wait(0.1)
    assert run.main.returncode == -signal.SIGKILL


def test_kills_end_the_process_that_was_drawn(folder):
    with started(folder, [sys.executable, "-c", "import time; time.sleep(600)", "skillkit execute"]) as run:
        while not run.processes():
            time.sleep(0.02)
        assert _end(run, "main", random.Random(0)) == "SIGKILL to main"
        assert run.wait(10) == -signal.SIGKILL


def test_a_traceback_is_told_by_its_last_line():
    with pytest.raises(Fault, match="KeyError: 'x'"):
        expect_no_traceback("one page made\n" + TRACEBACK)
    expect_no_traceback("KeyError is a word that a page may use\n")


def test_a_table_that_differs_or_is_missing_is_told():
    table = pd.DataFrame({"metric": ["accuracy"], "value": [0.5]})
    compare_tables({"a": table.copy()}, {"a": table})
    with pytest.raises(Fault, match="a differs"):
        compare_tables({"a": table.assign(value=0.5 + 1e-12)}, {"a": table})
    with pytest.raises(Fault, match="a is missing"):
        compare_tables({}, {"a": table})


CLEAR = "skillkit: Unknown study 'tinny'. Did you mean 'tiny'?\n"


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (2, CLEAR, ""),
        (2, "usage: skillkit run [-h]\n       [study]\nskillkit run: error: expected tiny\n", ""),
        (None, CLEAR, "not refused"),
        (0, CLEAR, "exit code 0"),
        (1, CLEAR, "exit code 1"),
        (2, "", "0 lines"),
        (2, CLEAR + "and more\n", "2 lines"),
        (2, TRACEBACK, "traceback"),
        (2, "skillkit: tiny: TypeError: 'NoneType' is not iterable\n", "raw"),
        (2, "skillkit: unknown study\n", "'tiny' is not named"),
    ],
)
def test_a_call_is_judged_by_its_exit_code_and_its_one_line(status, said, fault):
    call = Call("a study", ["run", "tinny"], says=("tiny",))
    if not fault:
        return judge(call, status, said)
    with pytest.raises(Fault, match=fault):
        judge(call, status, said)


def test_there_are_enough_bad_calls_and_each_is_there_once():
    calls = all_calls()
    assert len(calls) >= 200
    assert len({(*call.words, call.study) for call in calls}) == len(calls)


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_damage_changes_the_file(tmp_path, way):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    WAYS[way](path, random.Random(0))
    assert not path.exists() or path.read_bytes() != bytes(range(100))


def test_a_missing_notebook_is_told(tmp_path):
    with pytest.raises(Fault, match="cannot be read"):
        expect_readable(tmp_path)


def test_each_case_comes_once_before_one_comes_again():
    cases = range(7)
    assert sorted(dealt(cases, 3, number) for number in range(7)) == list(cases)
    assert sorted(dealt(cases, 3, number) for number in range(7, 14)) == list(cases)


def test_a_failed_round_says_how_to_repeat_it(monkeypatch, capsys):
    def fails(project, draw, case, did):
        did.append(f"removed {case}")
        raise Fault("not noticed")

    monkeypatch.setitem(KINDS, "damage", (fails, ["the prompt"]))
    assert one_round(None, "damage", 5, 17) == "failed"
    line = capsys.readouterr().out
    assert line == "FAILED damage:17 (--seed 5 --only damage:17) removed the prompt: not noticed\n"


def test_the_last_lines_are_one_line():
    assert last_lines("a\n\nb\nc\n", 2) == "b | c"
    assert message_lines("a\n\nb\n") == ["a", "b"]


def test_the_mark_reaches_children_only(folder):
    with started(folder, [sys.executable, "-c", "import time; time.sleep(600)"]) as run:
        while not run.processes():
            time.sleep(0.02)
        assert os.getpid() not in [process.pid for process in run.processes()]
