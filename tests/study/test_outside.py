"""What a page reads from outside is known by content: notebook, data and model files."""

import json
import os

import pytest
import yaml
from project import NEURONS, ROOT, make_project, notebook

from skillkit.files import file_digest
from skillkit.study import outside
from skillkit.study.outside import Digests, outside_words
from skillkit.study.reasons import changed_files
from skillkit.study.studies import load_study
from skillkit.study.table import find_notebook

ADVERSARIAL = "04_adversarial"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A study of a model folder and two tasks with data, of which one has an adversarial twin."""
    folder = make_project(tmp_path, models=[str(tmp_path / "mine" / "small model")])
    (folder / "notebooks" / f"{ADVERSARIAL}.ipynb").write_text(notebook(NEURONS))
    study = (folder / "studies" / "tiny.yaml").read_text()
    (folder / "studies" / "tiny.yaml").write_text(
        study.replace("- 01_prompt_tuning\n", f"- 01_prompt_tuning\n- {ADVERSARIAL}\n")
    )
    model = tmp_path / "mine" / "small model"
    model.mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "README.md"):
        (model / name).write_text(name)
    for name in ("sst2", "imdb", "adv_sst2"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for file in ("train.csv", "test.csv"):
            (tmp_path / "data" / name / file).write_text(f"{name} {file}")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SKILLKIT_DATA", str(tmp_path / "data"))
    return folder


def words(number, task=None):
    study = load_study("tiny")
    model = next(iter(study.models)) if number != "10" else None
    return outside_words(study, study.page(find_notebook(number), model, task), Digests())


def changes(change, *page):
    """What is said to have changed for a page by doing `change`."""
    before = words(*page)
    change()
    return changed_files(before, words(*page))


def test_corrected_labels_concern_the_pages_of_the_task_and_those_over_all(project):
    before = {page: words(*page) for page in (("01", "sst2"), ("01", "imdb"), ("10",))}
    (project / "data/sst2/train.csv").write_text("corrected")
    told = {page: changed_files(before[page], words(*page)) for page in before}
    changed = {"data": ["sst2/train.csv"]}
    assert told == {("01", "sst2"): changed, ("01", "imdb"): {}, ("10",): changed}


def test_a_twin_counts_for_the_pages_that_read_it(project):
    def correct():
        (project / "data/adv_sst2/test.csv").write_text("corrected")

    assert changes(correct, "01", "sst2") == {}
    (project / "data/adv_sst2/test.csv").write_text("wrong")
    assert changes(correct, "04", "sst2") == {"data": ["adv_sst2/test.csv"]}


def test_data_that_come_or_go_are_a_change(project, monkeypatch):
    def more():
        (project / "data/sst2/validation.csv").write_text("new")

    assert changes(more, "01", "sst2") == {"data": ["sst2/validation.csv"]}
    gone = changes(lambda: monkeypatch.delenv("SKILLKIT_DATA"), "01", "imdb")
    assert gone == {"data": ["imdb/test.csv", "imdb/train.csv"]}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt"])
def test_every_file_that_makes_a_model_counts(project, name):
    path = project / "mine" / "small model" / name
    told = changes(lambda: path.write_text("other"), "01", "sst2")
    assert told == {"model": [f"small model/{name}"]}


def test_what_is_no_part_of_a_model_or_of_data_does_not_count(project):
    def describe():
        (project / "mine" / "small model" / "README.md").write_text("A small model.")
        (project / "data/sst2/README.md").write_text("Sentences.")
        (project / "data/sst2/.train-12345678.csv").write_text("half")

    assert changes(describe, "01", "sst2") == {}


def test_another_date_is_no_change(project):
    def touch():
        for path in (*project.rglob("*.csv"), *project.rglob("*.safetensors"), *project.rglob("*.ipynb")):
            os.utime(path, (1, 1))

    assert changes(touch, "01", "sst2") == {}


def test_prose_and_code_of_a_notebook_count_but_not_what_an_editor_adds(project):
    path = project / "notebooks" / "01_prompt_tuning.ipynb"
    content = json.loads(path.read_text())

    def edit():
        content["metadata"]["language_info"] = {"version": "3.12"}
        content["cells"][-1] |= {"execution_count": 7, "source": [content["cells"][-1]["source"]]}
        path.write_text(json.dumps(content, indent=1))

    assert changes(edit, "01", "sst2") == {}
    told = changes(lambda: path.write_text(path.read_text().replace("# 01_", "# On 01_")), "01", "sst2")
    assert told == {"notebook": ["notebooks/01_prompt_tuning.ipynb"]}


def test_the_bundled_models_count_and_those_of_other_packages_are_pinned(project):
    path = project / "studies" / "tiny.yaml"
    study = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**study, "models": ["minilm"]}))
    assert "model:" not in words("01", "sst2")
    path.write_text(yaml.safe_dump({**study, "models": ["mini-t5"]}))
    weights = ROOT / "skillkit/classroom/models/mini-t5/model.safetensors"
    assert f"model:mini-t5/model.safetensors={file_digest(weights)[:16]}" in words("01", "sst2")


def test_digests_of_big_files_are_remembered_until_they_change(tmp_path, monkeypatch):
    monkeypatch.setattr(outside, "BIG", 4)
    read = []

    def digest(path):
        read.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(outside, "file_digest", digest)
    big, small, memory = tmp_path / "big", tmp_path / "small", tmp_path / "memory" / "digests.json"
    big.write_text("12345")
    small.write_text("1")
    for _ in range(2):
        digests = Digests(memory)
        for path in (big, small, big, small):
            assert digests.of(path) == file_digest(path)[:16]
    assert read == ["big", "small", "small"]
    big.write_text("54321")
    assert Digests(memory).of(big) == file_digest(big)[:16]
    for content in ("{", "5", '{"a": 5}'):
        memory.write_text(content)
        assert Digests(memory).of(big) == file_digest(big)[:16]
