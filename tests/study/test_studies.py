import ast
import json
import os
from pathlib import Path

import papermill
import pytest
import yaml
from project import make_project, notebook

from skillkit.data.tasks import get_task
from skillkit.errors import SkillkitError
from skillkit.study.pages import find_page
from skillkit.study.studies import load_study, study_names
from skillkit.study.table import NOTEBOOKS, find_notebook, notebook_parameters, priority

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def change(project, **changes):
    path = project / "studies" / "tiny.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_pages_are_notebooks_times_their_places(project):
    pages = [str(page) for page in load_study("tiny", project).pages]
    assert pages == [
        *(f"01_prompt_tuning {m} {t}" for m in ("mini-roberta", "mini-t5") for t in ("sst2", "imdb")),
        *(f"02_skill_neurons {m} {t}" for m in ("mini-roberta", "mini-t5") for t in ("sst2", "imdb")),
        "10_comparison",
    ]


def test_a_page_reads_what_lies_within_its_place(project):
    study = load_study("tiny", project)
    page = study.page(find_notebook("02"), "mini-t5", "imdb")
    assert study.inputs(page) == [study.page(find_notebook("01"), "mini-t5", "imdb").receipt]
    assert {*study.inputs(study.page(find_notebook("10")))} == {page.receipt for page in study.pages[:-1]}


def test_a_page_answers_for_every_file_that_it_writes(project):
    study = load_study("tiny", project)
    page = study.page(find_notebook("01"), "mini-t5", "imdb")
    assert [path.relative_to(page.place.folder).as_posix() for path in study.files(page)] == [
        "01_prompt_tuning.parquet",
        "01_prompt_tuning.provenance.json",
        "prompts/seed-0.safetensors",
        "notebooks/01_prompt_tuning.ipynb",
    ]
    assert study.outputs(page) == [page.receipt, *study.files(page)[:-1]]


def test_only_tasks_with_a_twin_get_the_adversarial_page(project):
    (project / "notebooks" / "04_adversarial.ipynb").write_text(
        (project / "notebooks" / "01_prompt_tuning.ipynb").read_text()
    )
    change(project, notebooks=["01_prompt_tuning", "02_skill_neurons", "04_adversarial"])
    pages = [page for page in load_study("tiny", project).pages if page.notebook.name == "04_adversarial"]
    assert {page.place.task for page in pages} == {"sst2"}


def test_a_notebook_can_be_restricted_to_some_tasks(project):
    change(project, notebooks={"01_prompt_tuning": None, "02_skill_neurons": {"only": ["imdb"], "steps": 3}})
    study = load_study("tiny", project)
    pages = [page for page in study.pages if page.notebook.name == "02_skill_neurons"]
    assert {page.place.task for page in pages} == {"imdb"}
    assert study.parameters(pages[0])["steps"] == 3


def test_a_listed_notebook_without_a_file_is_left_out(project):
    change(project, notebooks=["01_prompt_tuning", "07_pruning"])
    assert [row.name for row in load_study("tiny", project).rows] == ["01_prompt_tuning"]


def test_the_more_special_parameter_holds_and_others_are_not_passed(project):
    change(
        project,
        budget={"steps": 1, "length": 4},
        models={"mini-t5": {"steps": 2}, "mini-roberta": None},
        tasks={"sst2": {"steps": 3}, "imdb": None},
        notebooks={"01_prompt_tuning": None, "02_skill_neurons": {"steps": 4}},
    )
    study = load_study("tiny", project)

    def steps(notebook, model, task):
        return study.parameters(study.page(find_notebook(notebook), model, task))["steps"]

    assert [steps("01", "mini-roberta", "imdb"), steps("01", "mini-t5", "imdb")] == [1, 2]
    assert [steps("01", "mini-t5", "sst2"), steps("02", "mini-t5", "sst2")] == [3, 4]
    given = study.parameters(study.page(find_notebook("01"), "mini-t5", "sst2"))
    assert given == {
        "study": "tiny",
        "model": "mini-t5",
        "task": "sst2",
        "seeds": [0],
        "results": "results",
        "steps": 3,
    }


def test_a_hub_model_keeps_its_name_and_gets_a_folder(project):
    change(project, models=["google/t5-v1_1-base"])
    study = load_study("tiny", project)
    page = study.page(find_notebook("01"), "google--t5-v1_1-base", "sst2")  # as the Snakefile asks
    assert page.place.model == "google/t5-v1_1-base"
    assert page.table.as_posix() == "results/tiny/google--t5-v1_1-base/sst2/01_prompt_tuning.parquet"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["mini-robert"]}, "Unknown model 'mini-robert'.*mini-roberta"),
        ({"tasks": ["sst-2"]}, "Unknown task 'sst-2'. Did you mean 'sst2'"),
        (
            {"notebooks": ["02_skill_neuron"]},
            "Unknown notebook '02_skill_neuron'. Did you mean '02_skill_neurons'",
        ),
        ({"seed": [0]}, "Unknown key 'seed'. Did you mean 'seeds'"),
        ({"budget": {"step": 3}}, "Unknown parameter 'step'. Did you mean 'steps'"),
        ({"budget": {"steps": 0}}, "steps is 0; expected a whole number above 0"),
        ({"budget": {"learning_rate": "1e-3"}}, "YAML reads 1e-3 as text"),
        ({"budget": {"learning_rate": float("nan")}}, "learning_rate is nan; expected a number above 0"),
        ({"budget": {"learning_rate": True}}, "learning_rate is True; expected a number above 0"),
        ({"budget": {"limit": "abc"}}, "limit is 'abc'; expected a whole number above 0, or null"),
        ({"budget": {"device": 5}}, "device is 5; expected auto, cpu"),
        ({"budget": {"model": "x"}}, "Unknown parameter 'model'"),
        ({"seeds": [0, 0]}, "expected a list of different whole numbers"),
        ({"seeds": "0"}, "expected a list of different whole numbers"),
        ({"tasks": []}, "tasks missing or empty"),
        ({"notebooks": {"02_skill_neurons": {"only": ["sst"]}}}, "Unknown task 'sst'. Did you mean 'sst2'"),
        ({"notebooks": {"02_skill_neurons": {"only": "sst2"}}}, "only: expected a list of tasks"),
        ({"models": "minilm"}, "expected a list of names"),
        ({"models": [{"mini-t5": {"learning_rate": 0.15}}]}, "write a mapping: name: {steps: 300}"),
        ({"notebooks": {"02_skill_neurons": {"only": [["sst2"]]}}}, "Unknown task"),
        ({"description": 5}, "description: expected text, not 5"),
        ({"title": ["a"]}, "title: expected text"),
    ],
)
def test_a_wrong_study_gives_one_clear_error_that_names_its_file(project, changes, message):
    change(project, **changes)
    with pytest.raises(SkillkitError, match=message) as error:
        load_study("tiny", project)
    assert "tiny.yaml" in str(error.value)


DECLARED = """
steps = 10
examples = 300
fraction = 0.1
fractions = [0.1, 0.2]
modes = ["zero"]
looks = 3
where = "all"
projected = True
limit = None
twin = None
"""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exmples": 400}, "Unknown parameter 'exmples'. Did you mean 'examples'"),
        ({"examples": "abc"}, "examples is 'abc'; expected a whole number above 0"),
        ({"examples": -5}, "examples is -5; expected a whole number above 0"),
        ({"steps": 1.5}, "steps is 1.5; expected a whole number above 0"),
        ({"limit": 0}, "limit is 0; expected a whole number above 0, or null"),
        ({"looks": True}, "looks is True; expected a whole number above 0"),
        ({"looks": -1}, "looks is -1; expected a whole number above 0"),
        ({"fraction": float("inf")}, "fraction is inf; expected a number above 0 and at most 1"),
        ({"fractions": 0.1}, "fractions is 0.1; expected a list of different numbers"),
        ({"fractions": ["a"]}, "expected a list of different numbers"),
        ({"where": 3}, "where is 3; expected one of all, prompt"),
        ({"projected": 1}, "projected is 1; expected true or false"),
        ({"twin": float("nan")}, "twin is nan; expected a text, or null"),
    ],
)
def test_a_notebook_gets_only_what_it_declares(project, given, message):
    (project / "notebooks" / "03_perturbation.ipynb").write_text(notebook("pass", parameters=DECLARED))
    change(project, notebooks={"01_prompt_tuning": None, "03_perturbation": given})
    with pytest.raises(SkillkitError, match=message) as error:
        load_study("tiny", project)
    assert "tiny.yaml: notebooks: 03" in str(error.value) or "under 'notebooks: 03" in str(error.value)


def test_values_of_the_declared_kind_are_taken(project):
    (project / "notebooks" / "03_perturbation.ipynb").write_text(notebook("pass", parameters=DECLARED))
    given = {"examples": None, "fraction": 1, "fractions": [1, 0.5], "looks": 1, "limit": 5}
    given |= {"projected": False, "where": "prompt", "twin": None}
    change(project, notebooks={"01_prompt_tuning": None, "03_perturbation": given})
    assert load_study("tiny", project).notebooks["03_perturbation"] == given


def test_an_unknown_study_names_the_nearest(project):
    with pytest.raises(SkillkitError, match="Did you mean 'tiny'"):
        load_study("tinny", project)
    (project / "studies" / "tiny.yaml").write_text("models: [")
    with pytest.raises(SkillkitError, match="not valid YAML"):
        load_study("tiny", project)


def test_a_file_that_is_not_text_or_says_things_twice_is_refused(project):
    path = project / "studies" / "tiny.yaml"
    good = path.read_bytes()
    path.write_bytes(b"title: caf\xe9\n" + good)
    with pytest.raises(SkillkitError, match=r"tiny\.yaml is not UTF-8 text"):
        load_study("tiny", project)
    path.write_bytes(good + b"seeds: [1]\n")
    with pytest.raises(SkillkitError, match=r"'seeds' is given twice") as error:
        load_study("tiny", project)
    assert "\n" not in str(error.value)


def test_own_pages_are_a_study_once_there_are_some(project):
    with pytest.raises(SkillkitError, match="no pages of your own yet"):
        load_study("own", project)
    own = project / "results" / "own" / "own.yaml"
    own.parent.mkdir(parents=True)
    own.write_bytes((project / "studies" / "tiny.yaml").read_bytes())
    assert load_study("own", project).name == "own"


def test_a_page_that_cannot_be_says_why(project):
    for name in ("04_adversarial", "12_factors"):
        source = (project / "notebooks" / "01_prompt_tuning.ipynb").read_text()
        (project / "notebooks" / f"{name}.ipynb").write_text(source)
    notebooks = {"01_prompt_tuning": {"only": ["imdb"]}, "04_adversarial": None, "12_factors": None}
    change(project, notebooks=notebooks)
    study = load_study("tiny", project)
    for number, task, message in (
        ("04", "imdb", "adversarial twin. Here these fit: sst2"),
        ("12", "sst2", "known generating factors. Here these fit: none"),
        ("01", "sst2", "'only' in its file.*fit: imdb"),
        ("02", "sst2", "does not list 02_skill_neurons. It lists 01_prompt_tuning, 04"),
        ("04", "sst", "Unknown page"),
    ):
        with pytest.raises(SkillkitError, match=message):
            study.page(find_notebook(number), "mini-t5", task)


@pytest.mark.parametrize(
    ("number", "given", "message"),
    [
        ("05", {"model": "mini-t5", "task": "sst2"}, r"all tasks at once.*-p 'tasks=\[sst2\]'"),
        ("10", {"model": "mini-t5"}, r"all models at once.*-p 'models=\[mini-t5\]'"),
        ("10", {"task": "sst2"}, r"all tasks at once.*-p 'tasks=\[sst2\]'"),
    ],
)
def test_a_place_that_a_page_does_not_have_is_refused(project, number, given, message):
    with pytest.raises(SkillkitError, match=message):
        find_page(find_notebook(number), given, "tiny", project)


def test_real_data_must_be_there(project, monkeypatch, tmp_path):
    change(project, data="$SKILLKIT_DATA")
    study = load_study("tiny", project)
    assert "data" not in study.parameters(
        study.pages[0]
    )  # a notebook asks the variable itself, so moving data reruns nothing
    monkeypatch.delenv("SKILLKIT_DATA", raising=False)
    with pytest.raises(SkillkitError, match="export SKILLKIT_DATA"):
        study.check_data()
    (tmp_path / "data" / "sst2").mkdir(parents=True)
    monkeypatch.setenv("SKILLKIT_DATA", str(tmp_path / "data"))
    with pytest.raises(SkillkitError, match="no folder for imdb"):
        study.check_data()
    (tmp_path / "data" / "imdb").mkdir()
    study.check_data()


@pytest.mark.parametrize("name", study_names(ROOT))
def test_every_shipped_study_is_valid(name):
    study = load_study(name, ROOT)
    assert study.title and study.description and study.budget["steps"]
    for row in map(find_notebook, study.notebooks):
        if row.name == "10_comparison":
            continue  # it sums up whatever pages a study has
        assert all(read in study.notebooks for read in row.reads), (
            f"{name} lists {row.name}, but not what it reads"
        )


def test_the_default_studies_cover_both_minis_and_the_atlas_every_bundled_task():
    from skillkit.classroom.tasks import TASKS

    classroom, atlas = load_study("classroom", ROOT), load_study("atlas", ROOT)
    assert set(classroom.tasks) < set(atlas.tasks) == {name for name in TASKS if get_task(name).clean is None}
    for study in (classroom, atlas):
        assert set(study.models) == {"mini-roberta", "mini-t5"} and len(study.seeds) >= 2


def test_what_is_read_comes_first_and_long_pages_do_not_come_last():
    ranks = {name: priority(row) for name, row in NOTEBOOKS.items()}
    assert ranks["01_prompt_tuning"] > ranks["02_skill_neurons"] > ranks["08_transfer"]
    readers = [row for row in NOTEBOOKS.values() if row.name != "10_comparison"]  # which reads them all
    alone = [
        name
        for name, row in NOTEBOOKS.items()
        if row.scope == "cell" and not any(name in other.reads for other in readers)
    ]
    assert alone and min(ranks["08_transfer"], ranks["09_projection"]) > max(ranks[name] for name in alone)


def test_the_notebook_table_has_no_loops_and_no_loose_ends():
    names = list(NOTEBOOKS)
    for row in NOTEBOOKS.values():
        assert all(read in NOTEBOOKS for read in row.reads)
        assert row.scope != "cell" or all(NOTEBOOKS[read].scope == "cell" for read in row.reads)
        if row.name == "10_comparison":
            assert {*row.reads, row.name} == set(names), "it sums up all pages"
        else:
            assert all(names.index(read) < names.index(row.name) for read in row.reads)
    assert find_notebook("2") is find_notebook("02") is find_notebook("02_skill_neurons")


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_of_the_project_is_in_the_table_and_can_be_run(path):
    row = NOTEBOOKS[path.stem]
    parameters = notebook_parameters(path)
    places = {"cell": {"model", "task"}, "model": {"model"}, "study": set()}[row.scope]
    assert {"study", "results", *places} <= set(parameters)
    cells = json.loads(path.read_text())["cells"]
    assert "".join(cells[0]["source"]).startswith("# ")
    assert not any(cell.get("outputs") for cell in cells), "notebooks are stored without outputs"
    [tagged] = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert "remove-cell" in tagged["metadata"]["tags"]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_parameters_are_those_that_papermill_finds(path):
    found = papermill.inspect_notebook(path)
    assert notebook_parameters(path) == {
        name: ast.literal_eval(each["default"]) for name, each in found.items()
    }


def test_parameters_are_plain_values(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(notebook("pass", parameters="steps: int = 3\nname = None  # none\nrates = [-1.5, 2]"))
    assert notebook_parameters(path) == {"steps": 3, "name": None, "rates": [-1.5, 2]}
    path.write_text(notebook("pass", parameters="steps = 2 * 3"))
    with pytest.raises(SkillkitError, match="'steps' is no plain value"):
        notebook_parameters(path)
    path.write_text("{}")
    with pytest.raises(SkillkitError, match="not a readable notebook"):
        notebook_parameters(path)


def test_reference_notebook_needs_the_folder(project, monkeypatch):
    (project / "notebooks" / "11_released_prompts.ipynb").write_text(
        (project / "notebooks" / "10_comparison.ipynb").read_text()
    )
    change(project, notebooks=["11_released_prompts"])
    monkeypatch.delenv("SKILLKIT_REFERENCE", raising=False)
    assert load_study("tiny", project).pages == ()
    monkeypatch.setenv("SKILLKIT_REFERENCE", os.fspath(project))
    assert [str(page) for page in load_study("tiny", project).pages] == ["11_released_prompts"]
