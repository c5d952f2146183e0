"""What an edit of the package, and of the data, remakes: the real Snakefile plans dry runs over a copy."""

import os
import shutil
import subprocess
import sys

import pytest
from project import COMPARISON, NEURONS, ROOT, TUNING, make_project, notebook

READS_A_TASK = "\ndef later():\n    from skillkit import load_task\n"
READS_NEURONS = "\ndef later():\n    from skillkit import load_task, score_neurons\n"
BUNDLED, OTHER = "film_sentiment", "sst2"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A finished study of a bundled task and another one, and the package that it was made with."""
    folder = make_project(tmp_path_factory.mktemp("project"), models=["minilm"], tasks=[BUNDLED, OTHER])
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(ROOT / "skillkit", folder / "package" / "skillkit", ignore=ignored)
    (folder / "data" / OTHER).mkdir(parents=True)
    (folder / "data" / OTHER / "train.csv").write_text("sentence,label\na great film,0\n")
    for name, code in (
        ("01_prompt_tuning", TUNING + READS_A_TASK),
        ("02_skill_neurons", NEURONS + READS_NEURONS),
        ("10_comparison", COMPARISON),
    ):
        (folder / "notebooks" / f"{name}.ipynb").write_text(notebook(code, name))
    python(folder, "skillkit", "run", "tiny", "--cores", "2")
    assert planned(folder) == {}
    return folder


def python(project, *words):
    """Run a module with the copy of the package; what it says on standard output."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "package"),
        "SKILLKIT_PRELOAD": "papermill",
        "SKILLKIT_DATA": str(project / "data"),
    }
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def planned(project):
    """The pages that a run would make, each with the reason that the reader is shown."""
    lines = python(project, "skillkit", "run", "tiny", "--dry-run").splitlines()[:-1]
    return {line[:60].strip(): line[60:].strip() for line in lines}


def after_an_edit(project, file, old, new):
    """What would be made after an edit of a file of the package, which is undone again."""
    path = project / "package" / "skillkit" / file
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new, 1))
    try:
        return planned(project)
    finally:
        path.write_text(before)


def test_a_comment_or_a_docstring_remakes_nothing(project):
    assert after_an_edit(project, "neurons/scores.py", '"""Skill neurons', '# A remark.\n"""Neurons') == {}


def test_a_colour_of_a_chart_remakes_nothing(project):
    colours = "COLOUR = 'red'\n"
    path = project / "package" / "skillkit" / "charts" / "theme.py"
    assert after_an_edit(project, "charts/theme.py", path.read_text(), path.read_text() + colours) == {}


def test_a_change_of_the_neurons_remakes_what_reads_them(project):
    pages = after_an_edit(project, "neurons/scores.py", "import math\n", "import math\nX = 1\n")
    assert pages.pop("10_comparison") == "reads a page that is made anew"
    assert pages == {
        f"02_skill_neurons minilm {task}": "code changed: skillkit/neurons/scores.py"
        for task in (BUNDLED, OTHER)
    }


def test_a_typo_in_the_lexicon_remakes_pages_of_bundled_tasks_alone(project):
    lexicon = project / "package" / "skillkit" / "classroom" / "lexicon" / "reviews.py"
    pages = after_an_edit(
        project, "classroom/lexicon/reviews.py", lexicon.read_text(), lexicon.read_text() + "X = 1\n"
    )
    reason = pages.pop(f"01_prompt_tuning minilm {BUNDLED}")
    assert reason == "code changed: skillkit/classroom/lexicon/reviews.py"
    assert set(pages) == {f"02_skill_neurons minilm {BUNDLED}", "10_comparison"}


def test_corrected_labels_remake_the_pages_of_their_task_and_what_reads_them(project):
    path = project / "data" / OTHER / "train.csv"
    before = path.read_text()
    path.write_text(before.replace(",0", ",1"))
    pages = planned(project)
    path.write_text(before)
    assert pages.pop(f"01_prompt_tuning minilm {OTHER}") == f"data changed: {OTHER}/train.csv"
    assert set(pages) == {f"02_skill_neurons minilm {OTHER}", "10_comparison"}


def test_files_that_were_checked_out_again_remake_nothing(project):
    for path in (project / "data" / OTHER / "train.csv", *(project / "notebooks").glob("*.ipynb")):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    assert planned(project) == {}
