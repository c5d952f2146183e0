import json
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from project import ROOT, notebook

from skillkit.study.sources import PACKAGE, sources
from skillkit.study.table import notebook_code


def used(tmp_path: Path, code: str, **options) -> set[str]:
    path = tmp_path / "n.ipynb"
    path.write_text(notebook(code))
    return {source.relative_to(PACKAGE).with_suffix("").as_posix() for source in sources(path, **options)}


def test_a_notebook_depends_on_what_it_imports_and_on_what_that_imports(tmp_path):
    assert {"stats/intervals"} <= used(tmp_path, "from skillkit.stats.intervals import wilson")
    assert "results" in used(tmp_path, "import skillkit.results")
    assert {"neurons/scores", "models/activations", "models/backbones"} <= used(
        tmp_path, "from skillkit.neurons.scores import score_neurons"
    )


def test_names_of_the_package_itself_are_followed_to_their_module(tmp_path):
    found = used(tmp_path, "from skillkit import load_task")
    assert found == used(tmp_path, "from skillkit.data.loading import load_task")
    assert "neurons/scores" not in found


def test_imports_inside_functions_count(tmp_path):
    assert {"classroom/tasks", "classroom/lexicon/reviews"} <= used(
        tmp_path, "def later():\n    from skillkit import load_task"
    )


def test_the_bundled_tasks_count_only_where_they_are_used(tmp_path):
    found = used(tmp_path, "from skillkit import load_task", bundled_task=False)
    assert "data/loading" in found and not any(name.startswith("classroom") for name in found)


@pytest.mark.parametrize("module", ["charts.figures", "cli", "study.engine", "book.build"])
def test_what_changes_no_number_reruns_nothing(tmp_path, module):
    assert used(tmp_path, f"import skillkit.{module}") == set()


def test_lines_for_ipython_are_skipped(tmp_path):
    assert "stats/intervals" in used(
        tmp_path, "%matplotlib inline\n!ls\nfrom skillkit.stats.intervals import sem"
    )


def test_a_continued_line_may_start_like_a_line_for_ipython(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(notebook("x = (17\n     % 5)\ny = !ls\n%time z = 1"))
    names: dict = {"get_ipython": lambda: MagicMock()}
    exec(notebook_code(path), names)
    assert names["x"] == 2


def test_the_project_notebooks_can_be_read():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert json.loads(path.read_text())["nbformat"] == 4
        assert PACKAGE / "results.py" in sources(path), path
