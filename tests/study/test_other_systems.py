"""The project runs where the system offers less than Linux does, as on macOS."""

import builtins
import importlib
import os
import sys

import pytest
from project import make_project, notebook

from skillkit.errors import SkillkitError
from skillkit.study import execute, locks
from skillkit.study.environment import processors
from skillkit.study.fork.start import warm_process
from skillkit.study.studies import load_study


@pytest.fixture
def elsewhere(monkeypatch):
    """A system without `fcntl`, `resource`, processor affinity and safe forks."""
    real = builtins.__import__

    def without(name, *rest, **options):
        if name in ("fcntl", "resource"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        for module in (locks, execute):
            importlib.reload(module)
    yield
    monkeypatch.undo()
    for module in (locks, execute):
        importlib.reload(module)


def test_processors_are_counted(elsewhere):
    assert processors() == os.cpu_count()


def test_there_is_no_warm_process(elsewhere):
    with warm_process() as environment:
        assert environment == {}


def test_one_run_at_a_time_without_file_locks(elsewhere, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    study = load_study("tiny")
    assert locks.fcntl is None
    lock = tmp_path / ".snakemake" / f"skillkit-{study.name}.lock"
    lock.parent.mkdir()
    lock.write_text(f"{os.getppid()}\n")  # a process that is alive
    with pytest.raises(SkillkitError, match=f"kill {os.getppid()}"), locks.sole_run(study):
        pass
    lock.write_text("999999999\n")
    with locks.sole_run(study):
        pass


def test_a_page_is_made_without_knowing_its_memory(elsewhere, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.ipynb").write_text(notebook("steps"))
    assert execute.resource is None
    assert execute.execute(tmp_path / "page.ipynb", tmp_path / "done.ipynb", {"steps": 1})
    assert '"peak_bytes": 0' in (tmp_path / "done.ipynb").read_text()
