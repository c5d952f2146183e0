"""One run of a study at a time, and nothing that a killed run leaves behind blocks the next one."""

import errno
import os
import subprocess
import sys

import pytest
from project import make_project

from skillkit.errors import SkillkitError
from skillkit.study import locks
from skillkit.study.locks import sole_run
from skillkit.study.studies import load_study


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    return load_study("tiny")


def snakemake_lock(name, *files):
    """What a Snakemake leaves behind when it is killed."""
    lock = locks.FOLDER / "locks" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("\n".join(files) + "\n", encoding="utf-8")
    return lock


def at_work(folder, *words):
    """A process that looks like a Snakemake run in `folder`."""
    (folder / "snakemake").write_text("import time; print(flush=True); time.sleep(60)", encoding="utf-8")
    process = subprocess.Popen([sys.executable, "snakemake", *words], cwd=folder, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_one_run_at_a_time_and_no_lock_outlives_its_run(study):
    snakemake_lock("0.output.lock", "results/tiny/10_comparison.parquet")  # a killed Snakemake's
    again = pytest.raises(SkillkitError, match=rf"is alive in this folder.*kill {os.getpid()}\.")
    with sole_run(study), again, sole_run(study):
        pass
    with sole_run(study):
        pass


def test_a_snakemake_that_works_on_the_same_study_is_respected(study, tmp_path):
    snakemake_lock("0.output.lock", "results/tiny/10_comparison.parquet")
    with at_work(tmp_path) as other:
        try:
            with pytest.raises(SkillkitError, match=rf"without skillkit.*kill {other.pid}"), sole_run(study):
                pass
        finally:
            other.kill()
    with sole_run(study):
        pass  # its lock was left behind


def test_what_works_on_another_study_is_no_hindrance(study, tmp_path):
    snakemake_lock("1.output.lock", "results/tiny-two/10_comparison.parquet")
    with at_work(tmp_path) as bare, at_work(tmp_path, locks.RUNNER) as ours:
        try:
            with sole_run(study):
                assert bare.poll() is None and ours.poll() is None
        finally:
            bare.kill()
            ours.kill()


@pytest.mark.skipif(locks.fcntl is None, reason="locks are files here, without a holder")
def test_the_refusal_names_a_living_process(study):
    """The one that wrote its number may have ended, and left the lock to what it had started."""
    code = (
        "import fcntl, time; f = open('.snakemake/skillkit-tiny.lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
    )
    code += "f.write('999999999'); f.flush(); print(flush=True); time.sleep(60)"
    locks.FOLDER.mkdir()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        try:
            with pytest.raises(SkillkitError, match=rf"kill {holder.pid}\."), sole_run(study):
                pass
        finally:
            holder.kill()


def test_a_folder_that_cannot_be_written_is_named(study, monkeypatch):
    def full(lock):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks, "_take", lambda lock: full(lock))
    with pytest.raises(OSError), sole_run(study):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(locks, "FOLDER", locks.Path("/proc/.snakemake"))
    with pytest.raises(SkillkitError, match=r"Cannot write in /proc/\.snakemake"), sole_run(study):
        pass
