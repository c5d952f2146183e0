import json

import pytest
from project import notebook

from skillkit.sources import sources


def used(tmp_path, code):
    path = tmp_path / "n.ipynb"
    path.write_text(notebook(code))
    return {source.stem for source in sources(path)}


def test_a_notebook_depends_on_what_it_imports_and_on_what_that_imports(tmp_path):
    assert used(tmp_path, "from skillkit.intervals import wilson") == {"intervals"}
    assert used(tmp_path, "import skillkit.results") == {"results"}
    assert {"neurons", "activations", "backbones", "errors"} <= used(
        tmp_path, "from skillkit.neurons import score_neurons"
    )


def test_names_of_the_package_itself_are_followed_to_their_module(tmp_path):
    assert used(tmp_path, "from skillkit import load_task") == used(
        tmp_path, "from skillkit.data import load_task"
    )
    assert "neurons" not in used(tmp_path, "from skillkit import load_task")


def test_imports_inside_functions_count(tmp_path):
    """data.py imports the bundled tasks where it needs them."""
    assert {"tasks", "grammar"} <= used(tmp_path, "from skillkit import load_task")


@pytest.mark.parametrize("module", ["charts", "cli", "engine", "book"])
def test_what_changes_no_number_reruns_nothing(tmp_path, module):
    assert used(tmp_path, f"from skillkit import {module}") == set()


def test_lines_for_ipython_are_skipped(tmp_path):
    assert used(tmp_path, "%matplotlib inline\n!ls\nfrom skillkit.intervals import sem") == {"intervals"}


def test_the_project_notebooks_can_be_read():
    from pathlib import Path

    for path in (Path(__file__).parents[1] / "notebooks").glob("*.ipynb"):
        assert json.loads(path.read_text())["nbformat"] == 4
        assert "results" in {source.stem for source in sources(path)}, path
