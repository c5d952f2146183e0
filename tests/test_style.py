"""The limits of style hold, and the tests mirror the package."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import style
from style import ROOT, Problem

CROSS_CUTTING = {
    "test_bad_input.py": "every command, with wrong input",
    "models/test_arguments.py": "what the functions of models and tuning refuse",
    "test_bad_calls.py": "what public functions refuse",
    "benchmarks/test_storm.py": "what the storm of benchmarks/faults.py notices",
    "test_environment.py": "environment.yml and the pins",
    "test_style.py": "the limits of style",
    "study/test_workflow.py": "the Snakefile, driven by the command line",
    "study/test_remaking.py": "what must run again, on the real Snakefile",
    "study/test_other_systems.py": "what runs where Linux is not",
    "charts/test_every_figure.py": "what all figures have in common",
    "notebooks/test_neurons.py": "the pages on neurons",
    "notebooks/test_pages.py": "the first pages, and how all are stored",
    "notebooks/test_robustness.py": "the pages on robustness",
    "notebooks/test_transfer.py": "the pages on transfer",
}
"""Test files that belong to no one module, and what they test."""

CHECKS: dict[str, Callable[[], Iterator[Problem]]] = {
    "module length": style.long_modules,
    "function length": style.long_functions,
    "signature length": style.long_signatures,
    "cell length": style.long_cells,
    "line length": style.long_lines,
    "package docstring": style.silent_packages,
    "notebook definitions": style.defining_notebooks,
    "asserted times": style.asserted_times,
    "mirrored tests": partial(style.unmirrored_tests, CROSS_CUTTING),
}


@pytest.mark.parametrize("check", CHECKS)
def test_the_limit_holds(check: str) -> None:
    found = list(map(str, CHECKS[check]()))
    if found:
        pytest.fail(f"{check}:\n" + "\n".join(found), pytrace=False)


def test_imports_keep_the_contracts() -> None:
    """The layers, no circles, no torch where there should be none (`tool.importlinter` in pyproject.toml)."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("began = perf_counter(); run(); assert perf_counter() - began < 1", True),
        ("began = time.process_time(); run(); took = time.process_time() - began; assert took < 1", True),
        ("result = speed_up(a, b); assert 0.6 < result.value < 1.6", True),
        ("assert made['seconds'] == approx(3)", True),
        ("assert made['seconds'] > 0", False),
        ("assert spoken(seconds) == words", False),
        ("ups = speed_ups(curves); assert ups.loc['itself', 'comparable_speed_up'] >= 1", False),
        ("while time.monotonic() < until: pass", False),
    ],
)
def test_asserted_times_are_told_from_other_asserts(body: str, told: bool) -> None:
    lines = "\n    ".join(part.strip() for part in body.split(";"))
    tree = ast.parse(f"def test():\n    {lines}")
    assert bool(style.lines_that_assert_a_time(tree)) == told
