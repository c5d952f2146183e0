import errno
import json

import papermill
import pytest
from project import notebook

import skillkit.study.execute as execute_module
from skillkit.results import read_table
from skillkit.study.execute import execute

WRITES = 'import pandas as pd\npd.DataFrame({"value": [steps]}).to_parquet("out.parquet")'


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(place, code, expected=()):
    (place / "02_page.ipynb").write_text(notebook(code))
    done = execute(place / "02_page.ipynb", place / "made" / "02_page.ipynb", {"steps": 7}, expected)
    error = place / "made" / "02_page.error.json"
    return done, json.loads(error.read_text()) if error.exists() else None


def test_a_notebook_runs_with_its_parameters_and_notes_time_and_memory(place):
    done, error = run(place, WRITES, [place / "out.parquet"])
    assert done and error is None
    assert read_table("out.parquet")["value"].tolist() == [7]
    facts = json.loads((place / "made" / "02_page.ipynb").read_text())["metadata"]["skillkit"]
    assert facts["seconds"] > 0 and facts["peak_bytes"] > 10_000_000


def test_a_failed_notebook_is_kept_with_its_error_until_it_works(place, capsys):
    done, error = run(place, 'raise ValueError("the loss is not finite")')
    assert not done
    assert (error["error"], error["message"]) == ("ValueError", "the loss is not finite")
    assert error["notebook"] == "02_page" and error["parameters"] == {"steps": 7}
    assert "the loss is not finite" in (place / "made" / "02_page.ipynb").read_text()
    assert "ValueError: the loss is not finite" in capsys.readouterr().err
    done, error = run(place, WRITES)
    assert done and error is None


def test_a_notebook_that_writes_no_result_has_failed(place):
    done, error = run(place, "pass", [place / "missing.parquet"])
    assert not done and "did not write" in error["message"] and "missing.parquet" in error["message"]


def test_a_kernel_that_dies_is_an_error_like_others(place):
    done, error = run(place, "import os; os._exit(9)")
    assert not done and error["error"] == "DeadKernelError"


def test_a_kernel_that_does_not_come_up_is_started_once_more(place, monkeypatch):
    """Its ports may have been taken in the meantime; no cell has run, so nothing is done twice."""
    papermill_runs, failures = (
        papermill.execute_notebook,
        [RuntimeError("Kernel died before replying to kernel_info")],
    )

    def unlucky(*arguments, **options):
        if failures:
            raise failures.pop()
        return papermill_runs(*arguments, **options)

    monkeypatch.setattr(papermill, "execute_notebook", unlucky)
    done, error = run(place, WRITES, [place / "out.parquet"])
    assert done and error is None
    failures += [RuntimeError("Kernel died before replying to kernel_info")] * 2
    done, error = run(place, WRITES)
    assert not done and error["error"] == "RuntimeError"


def test_a_full_disk_is_said_and_hides_nothing(place, monkeypatch, capsys):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(execute_module, "atomic_write", full)
    done, _ = run(place, "pass", [place / "missing.parquet"])
    said = capsys.readouterr().err
    assert not done and "No space left on device. Check space" in said and "MissingResult" in said


def test_a_peak_that_was_cut_off_is_done_without(place):
    peak = place / "page.peak"
    peak.write_text("")
    assert execute_module._peak_bytes(peak) > 0 and not peak.exists()
