import errno
import os
import subprocess
import sys
import types

import pytest
import yaml
from project import PARAMETERS, ROOT, make_page, make_project, notebook

from skillkit import cli
from skillkit.study.studies import load_study


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    return tmp_path


def test_help_needs_neither_torch_nor_pandas():
    code = "import sys\nfrom skillkit.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'pandas', 'altair', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(word in done.stdout for word in ("run", "page", "book", "status", "check", "released"))


def test_the_package_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "skillkit", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: skillkit ")


def test_planning_a_study_needs_no_torch(project):
    code = "import sys\nfrom skillkit.study.studies import load_study\n"
    code += "print(len(load_study('tiny').pages), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["9", "False"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "tinny"], "Unknown study 'tinny'. Did you mean 'tiny'"),
        (["page", "99"], "Unknown notebook '99'"),
        (["page", "02", "-p", "model=mini-t5"], "Add -p task=… (sst2, imdb)"),
        (["page", "02", "-p", "steps"], "expected NAME=VALUE"),
        (
            ["page", "02", "-p", "model=mini-t5", "-p", "task=sst2", "-p", "step=3"],
            "Unknown parameter 'step'. Did you mean 'steps'",
        ),
        (["page", "02", "-p", "model=mini-t5", "-p", "task=sst"], "Unknown task 'sst'. Did you mean 'sst2'"),
        (["page", "02", "-p", "seeds=[0"], "-p seeds=[0: the value is not valid YAML"),
        (["page", "02", "-p", "model=mini-t5", "-p", "task=[sst2]"], "expected one name"),
        (["classroom", "show", "film_sentiment", "--count", "0"], "Give a number above 0"),
        (["book", "tiny"], "Run `skillkit run tiny` first"),
        (["check-book"], "Build it first"),
    ],
)
def test_bad_input_is_one_line_and_no_traceback(project, capsys, words, message):
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("skillkit: ") and message in captured.err
    assert captured.err.count("\n") == 1 and not captured.out


@pytest.mark.parametrize("word", ["--dry-run", "--dryrun", "-n"])
def test_a_dry_run_may_be_asked_for_as_snakemake_spells_it(project, monkeypatch, capsys, word):
    monkeypatch.setattr(
        "skillkit.study.engine.plan", lambda *_, extra: [("01_prompt_tuning", f"extra {extra}")]
    )
    assert cli.main(["run", "tiny", word]) == 0
    assert "extra []" in capsys.readouterr().out


def test_an_error_of_the_system_is_one_line(project, monkeypatch, capsys):
    full = OSError(errno.ENOSPC, "No space left on device", "results/own/own.yaml")
    monkeypatch.setattr(cli, "_status", lambda args: (_ for _ in ()).throw(full))
    assert cli.main(["status"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "own.yaml (No space left on device): check space" in said


def test_more_examples_than_there_are_show_all(project, capsys):
    words = ["classroom", "show", "film_sentiment", "--split", "test", "--count", "1000000"]
    assert cli.main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 * 1000


def test_unknown_options_are_refused_except_by_run(project, capsys):
    assert cli.main(["status", "tiny", "--fast"]) == 2
    assert "unrecognized arguments: --fast" in capsys.readouterr().err


def test_other_modules_bring_commands_that_are_loaded_when_asked_for(project, monkeypatch, capsys):
    module = types.ModuleType("brought")
    module.add_arguments = lambda parser: parser.add_argument("--twice", type=int)
    module.main = lambda args: print(2 * args.twice)
    monkeypatch.setitem(sys.modules, "brought", module)
    monkeypatch.setitem(cli.OTHER_COMMANDS, "double", ("brought", "doubles a number"))
    monkeypatch.setitem(cli.OTHER_COMMANDS, "absent", ("skillkit.no_such_module", "is never loaded"))
    assert cli.main(["double", "--twice", "21"]) == 0
    assert capsys.readouterr().out == "42\n"


def test_status_counts_what_was_made(project, capsys):
    study = load_study("tiny")
    make_page(study, study.pages[0])
    assert cli.main(["status", "tiny"]) == 0
    assert "01_prompt_tuning           1 of   4 made" in capsys.readouterr().out


def test_commands_work_from_a_folder_below(project, monkeypatch, capsys):
    monkeypatch.chdir(project / "notebooks")
    assert cli.main(["status", "tiny"]) == 0


def test_a_page_as_the_study_has_it_belongs_to_the_study(project):
    from skillkit.study.pages import find_page
    from skillkit.study.table import find_notebook

    study, config, page = find_page(find_notebook("02"), {"model": "mini-t5", "task": "imdb"})
    assert (study.name, config, str(page)) == ("tiny", "tiny", "02_skill_neurons mini-t5 imdb")


def test_a_page_with_own_parameters_belongs_to_the_reader_with_all_that_it_reads(project):
    from skillkit.study.pages import find_page
    from skillkit.study.table import find_notebook

    given = {"model": "roberta-base", "task": "sst2", "steps": 5, "seeds": [3]}
    study, config, page = find_page(find_notebook("02"), given)
    assert (
        study.name == "own"
        and page.table.as_posix() == "results/own/roberta-base/sst2/02_skill_neurons.parquet"
    )
    assert [str(page) for page in study.pages] == [
        "01_prompt_tuning roberta-base sst2",
        "02_skill_neurons roberta-base sst2",
    ]
    for page in study.pages:
        assert study.parameters(page)["steps"] == 5 and study.parameters(page)["seeds"] == [3]
    content = yaml.safe_load((project / config).read_text())
    assert content["budget"] == {"steps": 5}


def own_page(number, given, study=None):
    from skillkit.study.pages import find_page
    from skillkit.study.table import find_notebook

    return find_page(find_notebook(number), given, study)


def test_what_a_reader_gives_holds_in_every_notebook_and_the_rest_is_kept(project):
    path = project / "studies" / "tiny.yaml"
    changes = {
        "models": {"mini-roberta": None, "mini-t5": {"steps": 7}},
        "notebooks": {"01_prompt_tuning": None, "02_skill_neurons": {"steps": 3, "only": ["imdb"]}},
    }
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    place = {"model": "mini-t5", "task": "sst2"}
    study, *_ = own_page("02", {**place, "steps": 500})
    assert [study.parameters(each)["steps"] for each in study.pages] == [500, 500]
    study, *_ = own_page("02", {**place, "seeds": 0})
    assert study.seeds == (0,) and study.models == {"mini-t5": {"steps": 7}}
    assert [study.parameters(each)["steps"] for each in study.pages] == [7, 3]
    study, *_ = own_page("10", {"steps": 9})
    assert study.only == {"02_skill_neurons": ("imdb",)} and set(study.models) == {"mini-roberta", "mini-t5"}
    assert {study.parameters(each)["steps"] for each in study.pages} == {9}


def test_a_page_that_is_refused_leaves_ones_own_pages_as_they_were(project):
    from skillkit.errors import SkillkitError
    from skillkit.study.engine import sole_run

    place = {"model": "mini-t5", "task": "sst2"}
    own, config, _ = own_page("02", {**place, "steps": 5})
    before = (project / config).read_text()
    for wrong in ({"steps": "abc"}, {"seeds": "x"}, {"seeds": []}, {"task": ["sst2"]}, {"model": "no-such"}):
        with pytest.raises(SkillkitError):
            own_page("02", {**place, **wrong})
    with sole_run(own), pytest.raises(SkillkitError, match="Another run"):
        own_page("02", {**place, "steps": 6})
    assert (project / config).read_text() == before


def test_ones_own_page_can_be_made_again_by_the_command_that_is_printed(project, capsys):
    from skillkit.study.failures import rerun_command

    given = {"model": "mini-t5", "task": "sst2", "steps": 5, "seeds": [3, 4]}
    first = own_page("02", given)
    command = rerun_command(first[2])
    assert (
        command == "skillkit page 02 -p model=mini-t5 -p task=sst2 -p steps=5 -p 'seeds=[3, 4]' --study tiny"
    )
    own_page("02", {**given, "task": "imdb", "steps": 9})  # another request in between
    assert rerun_command(first[2]) == command
    place = {"model": "mini-t5", "task": "imdb"}
    study, _, page = own_page("02", place, "own")
    assert study.parameters(page)["steps"] == 9 and study.seeds == (3, 4)
    study, _, page = own_page("02", {**place, "steps": 8}, "own")
    assert "-p steps=8 -p 'seeds=[3, 4]' --study tiny" in rerun_command(page)
    assert cli.main(["status", "own"]) == 0 and "0 of   1 made" in capsys.readouterr().out


# --------------------------------------------------------- paths mean the folder where they were typed


@pytest.fixture
def below(project, monkeypatch):
    """A folder inside the project, with a model, data and a study file, that commands are typed in."""
    folder = project / "deep" / "inside"
    for name in ("mine", "tasks/sst2", "tasks/imdb"):
        (folder / name).mkdir(parents=True)
    (folder / "mine" / "config.json").touch()
    declared = PARAMETERS + "\ndata = None\nmodels = []"
    for path in (project / "notebooks").glob("*.ipynb"):
        path.write_text(notebook("pass", parameters=declared))
    (folder / "trial.yaml").write_bytes((project / "studies" / "tiny.yaml").read_bytes())
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def runs(monkeypatch):
    """The studies that would have been run."""
    seen = []
    monkeypatch.setattr("skillkit.study.engine.run_study", lambda study, *rest, **_: seen.append(study) or 1)
    return seen


def test_a_model_and_data_of_a_page_are_folders_where_the_command_was_typed(below, runs):
    words = ["page", "02", "-p", "task=sst2", "-p", "data=tasks", "-p"]
    for given in ("model=./mine", "model=mine"):
        os.chdir(below)
        assert cli.main([*words, given]) == 1
        assert set(runs[-1].models) == {str(below / "mine")} and runs[-1].data == str(below / "tasks")
        assert runs[-1].pages[0].place.root == "results", "results stay in the project"


def test_model_lists_may_mix_folders_and_names(below, runs):
    assert cli.main(["page", "10", "-p", "models=[mini-t5, ./mine]"]) == 1
    assert set(runs[-1].models) == {"mini-t5", str(below / "mine")}


def test_environment_variables_name_folders_where_the_command_was_typed(below, runs, monkeypatch):
    monkeypatch.setenv("SKILLKIT_DATA", "tasks")
    assert cli.main(["run", "tiny"]) == 1
    assert os.environ["SKILLKIT_DATA"] == str(below / "tasks")
    runs[-1].check_data()


def test_a_study_file_is_the_one_where_the_command_was_typed(below, runs, capsys):
    assert cli.main(["run", "trial.yaml"]) == 1
    assert runs[-1].name == "trial"
    os.chdir(below)
    assert cli.main(["status", "trial.yaml"]) == 0 and "01_prompt_tuning" in capsys.readouterr().out
    os.chdir(below)
    assert cli.main(["status", "absent.yaml"]) == 2 and str(below / "absent.yaml") in capsys.readouterr().err


def test_a_book_is_checked_where_the_command_was_typed(below, monkeypatch):
    seen = []
    monkeypatch.setattr("skillkit.book.browser.check_book", lambda folder: seen.append(folder) or [])
    assert cli.main(["check-book", "book"]) == 0 and seen == [below / "book"]


def test_commands_that_need_no_project_stay_where_they_were_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr(
        "skillkit.classroom.pretraining.training.pretrain",
        lambda recipe, out, **_: made.append(out.absolute()) or out,
    )
    assert cli.main(["classroom", "pretrain", "--model", "mini-t5", "--out", "x"]) == 0
    assert made == [tmp_path / "x"]


@pytest.mark.parametrize(
    ("given", "folder"),
    [("model=./nowhere", "nowhere"), ("model=../nowhere", "../nowhere"), ("data=gone", "gone")],
)
def test_a_wrong_folder_is_refused_at_once_with_its_full_path(below, runs, capsys, given, folder):
    words = ["page", "02", "-p", "task=sst2", "-p", "model=mini-t5", "-p", given]
    assert cli.main(words) == 2 and not runs
    said = capsys.readouterr().err
    assert (
        f"there is no {'model ' * ('model' in given)}folder {(below / folder).resolve()}".lower()
        in said.lower()
    )


def test_a_wrong_data_variable_is_refused_at_once(below, monkeypatch, capsys):
    monkeypatch.setenv("SKILLKIT_DATA", "gone")
    assert cli.main(["run", "tiny"]) == 2
    assert f"there is no folder {below / 'gone'}" in capsys.readouterr().err


def test_a_plain_error_of_another_module_gives_no_traceback(project, monkeypatch, capsys):
    def refuse(args):
        raise ValueError("the matrix is not square")

    module = types.ModuleType("brought")
    module.add_arguments = lambda parser: None
    module.main = refuse
    monkeypatch.setitem(sys.modules, "brought", module)
    monkeypatch.setitem(cli.OTHER_COMMANDS, "square", ("brought", "needs a square"))
    assert cli.main(["square"]) == 2
    assert capsys.readouterr().err == "skillkit: the matrix is not square\n"


LIGHT = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for package in ("study", "book")
    for path in (ROOT / "skillkit" / package).rglob("*.py")
)


def test_study_and_book_need_no_torch_at_import():
    code = f"import sys\nfrom importlib import import_module\nfor name in {LIGHT}: import_module(name)\n"
    code += "print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", [["run", "empty"], ["run", "empty", "--dry-run"]])
def test_a_study_with_no_page_is_said_to_have_none(project, capsys, words):
    study = yaml.safe_load((project / "studies" / "tiny.yaml").read_text())
    (project / "studies" / "empty.yaml").write_text(
        yaml.safe_dump({**study, "tasks": ["imdb"], "notebooks": ["04_adversarial", "07_pruning"]})
    )
    (project / "notebooks" / "04_adversarial.ipynb").write_text(notebook("pass"))
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert "Study 'empty' has no page to make." in said.err and "07_pruning.ipynb is missing" in said.err
    assert "04_adversarial needs tasks with an adversarial twin" in said.err


@pytest.mark.parametrize("words", [["run", "tiny"], ["run", "tiny", "--dry-run"]])
def test_results_that_are_no_folder_are_refused_in_one_line(project, capsys, words):
    (project / "results").write_text("a file")
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("skillkit: results is a file")
