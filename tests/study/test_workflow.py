"""The real Snakefile, driven by the real command line, over throwaway notebooks that need no model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from project import COMPARISON, NEURONS, make_project, notebook

from skillkit.files import file_digest

pytestmark = pytest.mark.slow  # each test runs Snakemake over several notebooks

SKILLKIT = str(Path(sys.executable).with_name("skillkit"))
ENVIRONMENT = {**os.environ, "SKILLKIT_PRELOAD": "papermill pandas"}  # these notebooks need no torch


def skillkit(project, *words):
    """Run a command in the project; its exit status and all that it says."""
    done = subprocess.run(
        [SKILLKIT, *words], cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A finished study of one model and two tasks; the tests below change it one after the other."""
    folder = make_project(tmp_path_factory.mktemp("project"), models=["minilm"])
    status, said = skillkit(folder, "run", "tiny", "--cores", "2")
    assert status == 0, said
    assert "5 of 5 pages" in said and "Tiny study: 5 pages made" in said
    return folder


def change_notebook(project, name, code):
    (project / "notebooks" / f"{name}.ipynb").write_text(notebook(code, name))


def test_every_result_is_where_it_belongs(project):
    made = {
        path.relative_to(project / "results/tiny").as_posix()
        for path in (project / "results/tiny").rglob("*.*")
    }
    for task in ("sst2", "imdb"):
        assert f"minilm/{task}/prompts/seed-0.safetensors" in made
        assert f"minilm/{task}/notebooks/02_skill_neurons.ipynb" in made
        assert f"minilm/{task}/02_skill_neurons.provenance.json" in made
    assert pd.read_parquet(project / "results/tiny/10_comparison.parquet")["task"].tolist() == [
        "imdb",
        "sst2",
    ]


def test_provenance_names_what_ran_and_what_was_read(project):
    folder = project / "results/tiny"
    page = json.loads((folder / "minilm/sst2/01_prompt_tuning.provenance.json").read_text())
    assert page["parameters"]["steps"] == 20 and page["parameters"]["task"] == "sst2"
    assert "skillkit/results.py" in page["code"] and "skillkit/charts/figures.py" not in page["code"]
    comparison = json.loads((folder / "10_comparison.provenance.json").read_text())
    tables = [f"results/tiny/minilm/{task}/01_prompt_tuning.parquet" for task in ("imdb", "sst2")]
    assert comparison["read"]["table"] == {name: file_digest(project / name) for name in tables}


def test_a_finished_study_has_nothing_to_do(project):
    assert skillkit(project, "run", "tiny", "--dry-run") == (0, "Everything is up to date.\n")
    status, said = skillkit(project, "run", "tiny")
    assert status == 0 and "Everything is up to date." in said


def test_a_dry_run_lists_pages_with_reasons(project):
    change_notebook(project, "02_skill_neurons", NEURONS + "\n# a remark")
    status, said = skillkit(project, "run", "tiny", "-n")
    lines = said.splitlines()
    assert status == 0 and lines[-1] == "3 of 5 pages to make."
    assert sum(line.startswith("02_skill_neurons") and "changed: notebooks/02" in line for line in lines) == 2
    change_notebook(project, "02_skill_neurons", NEURONS)
    assert skillkit(project, "run", "tiny", "-n")[1] == "Everything is up to date.\n"


def test_a_changed_parameter_runs_only_the_pages_that_it_concerns(project):
    path = project / "studies" / "tiny.yaml"
    study = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**study, "tasks": {"sst2": {"steps": 30}, "imdb": None}}))
    said = skillkit(project, "run", "tiny", "-n")[1]
    path.write_text(yaml.safe_dump(study))
    tuned = [line.split() for line in said.splitlines() if line.startswith("01_prompt_tuning")]
    assert [words[2] for words in tuned] == ["sst2"] and "other parameters than last time" in said
    assert "imdb" not in said


DAMAGED = {  # each of these files is cut off, changed in a bit or removed; each page makes one or two of them
    "minilm/sst2/prompts/seed-0.safetensors": lambda content: flipped(content),
    "minilm/imdb/02_skill_neurons.provenance.json": lambda content: content[:40],
    "minilm/imdb/scores/seed-0.safetensors": lambda _: None,
    "10_comparison.parquet": lambda content: content[:-9],
    "notebooks/10_comparison.ipynb": lambda content: flipped(content),
}


def flipped(content):
    return bytes([content[0] ^ 1]) + content[1:]


def test_damage_to_any_file_is_told_and_remade_from_the_page_that_makes_it(project):
    folder = project / "results/tiny"
    whole = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}
    tables = {path: pd.read_parquet(path) for path in folder.rglob("*.parquet")}
    untouched = (folder / "minilm/imdb/01_prompt_tuning.sha256").stat().st_mtime_ns
    for name, damage in DAMAGED.items():
        path, now = folder / name, damage((folder / name).read_bytes())
        date = path.stat().st_mtime_ns
        if now is None:
            path.unlink()
        else:
            path.write_bytes(now)
            os.utime(path, ns=(date, date))
    status, said = skillkit(project, "run", "tiny")
    assert status == 0 and "4 of 4 pages" in said, said
    for name in DAMAGED:
        assert f"results/tiny/{name} is " in said
    assert all(path.read_bytes() == content for path, content in whole.items())
    for path, table in tables.items():
        pd.testing.assert_frame_equal(pd.read_parquet(path), table)
    assert (folder / "minilm/imdb/01_prompt_tuning.sha256").stat().st_mtime_ns == untouched
    assert skillkit(project, "run", "tiny", "-n")[1] == "Everything is up to date.\n"


def test_a_clock_that_is_off_costs_no_result(project):
    """The receipt of a page that others read, a notebook and a table are two hours ahead of the clock."""
    ahead = time.time() + 7200
    cell = project / "results/tiny/minilm/sst2"
    notebook_of_02 = project / "notebooks" / "02_skill_neurons.ipynb"
    for path in (cell / "01_prompt_tuning.sha256", cell / "01_prompt_tuning.parquet", notebook_of_02):
        os.utime(path, (ahead, ahead))
    command = ("page", "02", "-p", "model=minilm", "-p", "task=sst2", "--no-book")
    status, said = skillkit(project, *command)
    assert status == 0 and "1 of 1 pages" in said, said
    assert said.startswith("Dated in the future: results/tiny/minilm/sst2/01_prompt_tuning.sha256")
    assert (cell / "02_skill_neurons.parquet").is_file()
    assert skillkit(project, "run", "tiny")[0] == 0
    assert skillkit(project, "run", "tiny", "-n")[1] == "Everything is up to date.\n"


def test_a_failed_page_is_kept_and_stops_only_what_reads_it(project):
    change_notebook(
        project, "02_skill_neurons", f'if task == "imdb":\n    raise ValueError("no such neuron")\n{NEURONS}'
    )
    status, said = skillkit(project, "run", "tiny")
    assert status == 1
    assert "1 pages made" in said and "1 failed" in said and "1 not run" in said
    assert "ValueError: no such neuron" in said
    assert "again  skillkit page 02 -p model=minilm -p task=imdb --study tiny" in said
    kept = project / "results/tiny/minilm/imdb/notebooks/02_skill_neurons.ipynb"
    assert str(kept.relative_to(project)) in said and "no such neuron" in kept.read_text()
    assert not (project / "results/tiny/minilm/imdb/02_skill_neurons.parquet").exists()
    assert skillkit(project, "status", "tiny")[0] == 1

    change_notebook(project, "02_skill_neurons", NEURONS)
    status, said = skillkit(project, "page", "02", "-p", "model=minilm", "-p", "task=imdb", "--no-book")
    assert status == 0 and "1 of 1 pages" in said
    assert skillkit(project, "run", "tiny")[0] == 0


def test_bare_snakemake_names_the_failed_page_too(project):
    change_notebook(project, "10_comparison", 'raise ValueError("nothing to compare")')
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "study=tiny"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError: nothing to compare" in done.stderr and "skillkit page 10 --study tiny" in done.stderr


def start_a_long_page(project):
    """Start a run whose page 02 of imdb would take two minutes, and come back once it is at work."""
    change_notebook(project, "10_comparison", COMPARISON)
    change_notebook(
        project, "02_skill_neurons", f'import time\nif task == "imdb":\n    time.sleep(120)\n{NEURONS}'
    )
    kept = project / "results/tiny/minilm/imdb/notebooks/02_skill_neurons.ipynb"
    kept.unlink(missing_ok=True)
    command = [SKILLKIT, "run", "tiny", "--cores", "1"]
    run = subprocess.Popen(
        command, cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and not (kept.is_file() and kept.stat().st_size):
        time.sleep(0.2)
    return run


def test_a_run_that_is_told_to_stop_stops_at_once_and_leaves_nothing_running(project):
    run = start_a_long_page(project)
    run.terminate()
    said, _ = run.communicate(timeout=60)
    assert "The same command goes on from here." in said
    at_work = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(project)
    ]
    assert at_work == []


def test_a_killed_run_goes_on_where_it_was(project):
    run = start_a_long_page(project)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    unmade = project / "results/tiny/minilm/imdb/02_skill_neurons.sha256"
    assert not unmade.exists(), "it was to be killed at work"
    half_written = project / "results/tiny/minilm/imdb/.02_skill_neurons-a1b2c3d4.parquet"
    half_written.write_text("half")

    change_notebook(project, "02_skill_neurons", NEURONS)
    status, said = skillkit(project, "run", "tiny")
    assert status == 0 and "02_skill_neurons minilm imdb" in said, said
    assert not half_written.exists()
    assert skillkit(project, "run", "tiny", "-n")[1] == "Everything is up to date.\n"
