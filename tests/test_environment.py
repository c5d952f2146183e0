import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import skillkit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def test_the_conda_environment_has_the_same_pins():
    [pip] = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    assert sorted(pip) == sorted([*PROJECT["dependencies"], "--editable ."])


def test_the_conda_python_is_one_that_the_package_supports():
    [python] = [entry for entry in CONDA["dependencies"] if str(entry).startswith("python=")]
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= tuple(map(int, minimum.split(".")))


@pytest.mark.parametrize("name", ["torch", "transformers", "datasets", "papermill", "altair", "snakemake"])
def test_what_numbers_depend_on_is_pinned_exactly(name):
    assert any(line.startswith(f"{name}==") for line in PROJECT["dependencies"])


def test_no_other_file_repeats_a_pin():
    exact = [line for line in PROJECT["dependencies"] if "==" in line]
    for path in (ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / ".github" / "workflows").glob("*.yml")):
        text = path.read_text()
        assert not [line for line in exact if line.split("==")[0] + "==" in text], path


def test_the_citation_names_the_three_papers():
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    numbers = {reference["identifiers"][0]["value"] for reference in references}
    assert numbers == {"arXiv:2211.07349", "arXiv:2111.06719", "arXiv:2309.12263"}


def test_the_version_stands_in_one_place():
    version = PROJECT["version"]
    assert skillkit.__version__ == version
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text())
    repeated = [
        path
        for path in (ROOT / "skillkit").rglob("*.py")
        if f'"{version}"' in path.read_text(encoding="utf-8")
    ]
    assert not repeated


def test_the_slurm_profile_and_the_workflows_are_valid_yaml():
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["executor"] == "slurm" and profile["keep-going"] and profile["retries"] == 0
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert "jobs" in yaml.safe_load(path.read_text()), path


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_idle_threads_spin_for_a_short_time_unless_the_reader_says_otherwise(given, expected):
    """It must be said before torch is loaded, hence in a process of its own."""
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | given
    code = "import sys, os, skillkit; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed.split() == [expected, "False"]
