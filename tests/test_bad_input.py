"""Some two hundred wrong command lines: each is refused in one line that says why, before anything runs."""

import shutil

import pytest
import yaml
from project import ROOT, make_project

from skillkit import cli

PLACE = ["-p", "model=mini-t5", "-p", "task=film_sentiment"]
GOOD = {
    "models": ["mini-roberta", "mini-t5"],
    "tasks": ["film_sentiment", "home_inference"],
    "seeds": [0],
    "budget": {"steps": 20},
    "notebooks": [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))],
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with the notebooks as they are, and one study of the two mini models."""
    folder = make_project(tmp_path_factory.mktemp("bad"), **GOOD)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", dirs_exist_ok=True)
    return folder


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    """A copy of it with something computed in it; nothing may run, and what was computed must stay."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SKILLKIT_DATA", raising=False)
    made = folder / "results" / "tiny" / "01_prompt_tuning.parquet"
    made.parent.mkdir(parents=True)
    made.write_text("computed")

    def runs(*_, **__):
        pytest.fail("something ran")

    for name in ("run_study", "plan"):
        monkeypatch.setattr(f"skillkit.study.engine.{name}", runs)
    yield folder
    assert made.read_text() == "computed"
    assert not (folder / "results" / "own").exists() and not (folder / "PWNED").exists()


def refused(capsys, words, expected=""):
    """Give a command that must be refused in one line with the expected words."""
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("skillkit: ") and said.err.count("\n") == 1 and not said.out
    assert "Traceback" not in said.err and "not foreseen" not in said.err
    assert len(said.err) < 1500 and expected in said.err, said.err


DEEP = "[" * 3000 + "]" * 3000
DIGITS = "7" * 5000


@pytest.mark.parametrize(
    ("number", "given", "expected"),
    [
        ("03", "fractions=[]", "fractions is []; expected a list of different numbers"),
        ("03", "fractions=[0]", "fractions is [0]"),
        ("03", "fractions=[1.5]", "above 0 and at most 1"),
        ("03", "fractions=[-0.1, 0.2]", "fractions"),
        ("03", "fractions=[.nan]", "fractions"),
        ("03", "fractions=[.inf]", "fractions"),
        ("03", "fractions=[0.1, 0.1]", "different"),
        ("03", "fractions=0.1", "fractions"),
        ("03", "fractions=[true]", "fractions"),
        ("03", "fractions=[[0.1]]", "fractions"),
        ("03", "fractions={a: 0.1}", "fractions"),
        ("03", "fractions=['0.1']", "fractions"),
        ("03", "modes=[]", "modes is []"),
        ("03", "modes=[zeros]", "zero, noise, absolute noise and mean"),
        ("03", "modes=zero", "modes"),
        ("03", "modes=[zero, zero]", "modes"),
        ("03", "modes=[0]", "modes"),
        ("03", "noise=0", "noise is 0; expected a number above 0"),
        ("03", "noise=-1", "noise"),
        ("03", "noise=.inf", "noise"),
        ("03", "noise=loud", "noise"),
        ("03", "sigma=.nan", "sigma"),
        ("03", "sigma=1e-3", "YAML reads 1e-3 as text"),
        ("03", "sigma=", "sigma is None"),
        ("03", "where=everywhere", "one of all, prompt"),
        ("03", "where=[all]", "where"),
        ("03", "checked=1", "checked"),
        ("03", "checked=-5", "checked"),
        ("03", "examples=0", "examples is 0; expected a whole number above 0, or null for all"),
        ("03", "examples=-1", "examples"),
        ("03", "examples=2.5", "examples"),
        ("03", "examples=true", "examples"),
        ("03", "examples=ten", "examples"),
        ("03", f"examples={2**70}", "examples"),
        ("03", "limit=0", "limit"),
        ("03", "limit=-3", "limit"),
        ("03", "limit='10'", "limit"),
        ("03", "device=gpu", "auto, cpu, cuda, cuda:1 or mps"),
        ("03", "device=", "device"),
        ("03", "device=cuda:x", "device"),
        ("03", "device=5", "device"),
        ("03", "fraction=0.1", "Unknown parameter 'fraction'. Did you mean 'fractions'"),
        ("03", "exmples=5", "Did you mean 'examples'"),
        ("03", "study=x", "study"),
        ("03", "results=elsewhere", "results"),
        ("03", "models=[mini-t5]", "models"),
        ("01", "steps=0", "steps"),
        ("01", "steps=-1", "steps"),
        ("01", "steps=1.5", "steps"),
        ("01", "steps=1e400", "steps"),
        ("01", "steps=null", "steps"),
        ("01", "steps=yes", "steps"),
        ("01", "steps=2020-01-01", "steps"),
        ("01", "steps=2020-99-99", "cannot be read"),
        ("01", "steps=2020-13-45 99:99:99", "steps"),
        ("01", f"steps={DIGITS}", "cannot be read"),
        ("01", f"steps=0x{DIGITS}", "steps"),
        ("01", f"steps={DEEP}", "nested too deep"),
        ("01", "steps=!!python/object:os.system x", "not valid YAML"),
        ("01", "steps=!!int x", "cannot be read"),
        ("01", "steps=!!timestamp x", "cannot be read"),
        ("01", "steps=!!binary 5", "steps"),
        ("01", "steps=&a [*a]", "holds itself"),
        ("01", "steps={a: 1, a: 2}", "given twice"),
        ("01", "steps=[1", "not valid YAML"),
        ("01", "steps=a: b: c", "not valid YAML"),
        ("01", "steps=\x00", "not valid YAML"),
        ("01", "steps=@", "not valid YAML"),
        ("01", "steps=%", "not valid YAML"),
        ("01", "length=0", "length"),
        ("01", "length=[8]", "length"),
        ("01", "batch_size=0", "batch_size"),
        ("01", "batch_size=-4", "batch_size"),
        ("01", "learning_rate=0", "learning_rate"),
        ("01", "learning_rate=-0.1", "learning_rate"),
        ("01", "learning_rate=.inf", "learning_rate"),
        ("01", "learning_rate=1e-3", "write 0.001"),
        ("01", f"learning_rate={'9' * 400}", "learning_rate"),
        ("01", "evaluate_every=0", "evaluate_every"),
        ("01", "seeds=[]", "seeds"),
        ("01", "seeds=-1", "seeds"),
        ("01", "seeds=[0, 0]", "seeds"),
        ("01", f"seeds=[{2**70}]", "seeds"),
        ("01", "seeds=['0']", "seeds"),
        ("01", "seeds=x", "seeds"),
        ("01", "seeds=[0.5]", "seeds"),
        ("01", "seeds=[true]", "seeds"),
        ("01", "seeds={0: 1}", "seeds"),
        ("01", "data=[a]", "data"),
        ("01", "steps", "expected NAME=VALUE"),
        ("01", "=5", "expected NAME=VALUE"),
        ("01", "", "expected NAME=VALUE"),
        ("01", "模型=5", "Unknown parameter '模型'"),
        ("01", "x" * 5000 + "=1", "Unknown parameter"),
        ("02", "permutations=0", "permutations"),
        ("04", "twin=adv_sst2", "Unknown twin 'adv_sst2'"),
        ("04", "twin=film", "Unknown twin"),
        ("04", "twin=5", "Unknown twin '5'"),
        ("01", "model=studies/tiny.yaml", "There is no model folder"),
        ("01", f"model={'[' * 5000}", "Unknown model"),
        ("04", "twin=[film_sentiment]", "twin"),
        ("04", "fraction=0", "fraction"),
        ("04", "fraction=2", "fraction"),
        ("06", "methods=[]", "methods"),
        ("06", "methods=[prompt]", "bitfit, adapter, lora and full"),
        ("06", "methods=lora", "methods"),
        ("06", "method_rates={lora: 0}", "method_rates"),
        ("06", "method_rates={lara: 0.1}", "method_rates"),
        ("06", "method_rates=0.1", "method_rates"),
        ("06", "method_rates={lora: .inf}", "method_rates"),
        ("06", "method_steps=0", "method_steps"),
        ("06", "mode=absolute noise", "one of zero, noise, mean"),
        ("06", "looks=0", "looks"),
        ("06", "watched_steps=-1", "watched_steps"),
        ("06", "words_of=0", "words_of"),
        ("07", "skip=1", "skip"),
        ("07", "skip=-0.1", "skip"),
        ("07", "tune_steps=0", "tune_steps"),
        ("07", "tuned_prompts=0", "tuned_prompts"),
        ("07", "timing_rounds=0", "timing_rounds"),
        ("12", "neurons=0", "neurons"),
        ("13", "fraction=0.3", "not among the fractions"),
        ("13", "fractions=[0.2]", "not among the fractions"),
        ("14", "weight=-1", "weight"),
        ("14", "extra_steps=0", "extra_steps"),
        ("14", "extra_prompts=0", "extra_prompts"),
    ],
)
def test_a_wrong_parameter_of_a_page_is_told_before_anything_runs(project, capsys, number, given, expected):
    refused(capsys, ["page", number, *PLACE, "-p", given], expected)


@pytest.mark.parametrize(
    ("number", "given", "expected"),
    [
        ("08", ["model=mini-t5", "start_steps=0"], "start_steps"),
        ("08", ["model=mini-t5", "skill_fraction=0"], "skill_fraction"),
        ("08", ["model=mini-t5", "resamples=0"], "resamples"),
        ("08", ["model=mini-t5", "tasks=[]"], "tasks missing or empty"),
        ("08", ["model=mini-t5", "tasks=film_sentiment"], "expected a list of names"),
        ("08", ["model=mini-t5", "tasks=[film]"], "Unknown task 'film'"),
        ("08", ["model=mini-t5", "tasks=[1]"], "Put it in quotes"),
        ("08", ["model=mini-t5", "tasks=[film_sentiment, film_sentiment]"], "named twice"),
        ("08", ["model=mini-t5", "task=film_sentiment"], "all tasks at once"),
        ("09", ["models=[]"], "models missing or empty"),
        ("09", ["models=[mini-t5]"], "it compares models"),
        ("09", ["models=[null]"], "a name is missing"),
        ("09", ["models=[''] "], "Unknown model ''"),
        ("09", ["models=[mini-t5, mini-t5]"], "named twice"),
        ("09", ["partners=[mini-t6]"], "Unknown model 'mini-t6'"),
        ("09", ["partners=minilm"], "partners"),
        ("09", ["partners=[3]"], "partners"),
        ("09", ["partner_tasks=0"], "partner_tasks"),
        ("09", ["bottleneck=0"], "bottleneck"),
        ("09", ["projector_rate=0"], "projector_rate"),
        ("09", ["distance_rate=-1"], "distance_rate"),
        ("09", ["from_projected=1"], "true or false"),
        ("09", ["model=mini-t5"], "all models at once"),
        ("01", [], "Add -p model=…"),
        ("01", ["task=film_sentiment"], "Add -p model=…"),
        ("01", ["task=film_sentiment", "model="], "-p model=: expected one name"),
        ("01", ["task=film_sentiment", "model=''"], "-p model=: expected one name"),
        ("01", ["task=film_sentiment", "model=[mini-t5]"], "expected one name"),
        ("01", ["task=film_sentiment", "model={a: b}"], "expected one name"),
        ("01", ["task=film_sentiment", "model={model}"], "expected one name"),
        ("01", ["task=film_sentiment", "model=01"], "Unknown model '01'"),
        ("01", ["task=film_sentiment", "model=1e3"], "Unknown model '1e3'"),
        ("01", ["task=film_sentiment", "model=true"], "Unknown model 'true'"),
        ("01", ["task=film_sentiment", "model=.."], "has no config.json"),
        ("01", ["task=film_sentiment", "model=/"], "has no config.json"),
        ("01", ["task=film_sentiment", "model=./mine"], "There is no model folder /"),
        ("01", ["task=film_sentiment", "model=~/no/such"], "There is no model folder /"),
        ("01", ["task=film_sentiment", "model=~nobody/x"], "There is no model folder /"),
        ("01", ["task=film_sentiment", "model=notebooks"], "has no config.json"),
        ("01", ["task=film_sentiment", "model=Snakefile"], "Unknown model"),
        ("01", ["task=film_sentiment", "model=./Snakefile"], "There is no model folder /"),
        ("01", ["task=film_sentiment", "model=a b"], "Unknown model 'a b'"),
        ("01", ["task=film_sentiment", "model=owner/na me"], "Unknown model"),
        ("01", ["task=film_sentiment", "model=$(touch PWNED)"], "Unknown model"),
        ("01", ["task=film_sentiment", "model=<x>"], "Unknown model"),
        ("01", ["task=film_sentiment", 'model="a\\nb"'], "cannot be shown"),
        ("01", ["task=film_sentiment", "model=\udcff"], "model"),
        ("01", ["model=mini-t5", "task=film_sentimen"], "Did you mean 'film_sentiment'"),
        ("01", ["model=mini-t5", "task="], "-p task=: expected one name"),
        ("01", ["model=mini-t5", "task=[film_sentiment]"], "expected one name"),
        ("01", ["model=mini-t5", "task=01"], "Unknown task '01'"),
        ("01", ["model=mini-t5", "task=../film_sentiment"], "Unknown task"),
        ("04", ["model=mini-t5", "task=imdb", "steps=3"], "adversarial twin"),
        ("²", [], "Unknown notebook '²'"),
        ("", [], "Unknown notebook ''"),
        ("0", [], "Unknown notebook '0'"),
        ("-1", [], "Unknown notebook"),
        (DIGITS, [], "Unknown notebook"),
        ("01_prompt_tunin", [], "Did you mean '01_prompt_tuning'"),
        ("notebooks/01_prompt_tuning.ipynb", [], "Unknown notebook"),
    ],
)
def test_a_wrong_place_is_told_before_anything_runs(project, capsys, number, given, expected):
    refused(capsys, ["page", number, *(word for each in given for word in ("-p", each))], expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "required: COMMAND"),
        (["runn"], "invalid choice: 'runn'"),
        ([""], "invalid choice"),
        (["run", "tinny"], "Did you mean 'tiny'"),
        (["run", ""], "Unknown study ''"),
        (["run", "../studies/tiny"], "Unknown study"),
        (["run", "studies"], "Unknown study"),
        (["run", "studies/"], "Unknown study"),
        (["run", "gone.yaml"], "There is no study file /"),
        (["run", "x" * 3000], "x"),
        (["run", "tiny", "--cores", "0"], "expected a whole number from 1"),
        (["run", "tiny", "--cores", "-2"], "expected a whole number from 1"),
        (["run", "tiny", "--cores", "x"], "expected a whole number from 1"),
        (["run", "tiny", "--cores", "1.5"], "expected a whole number from 1"),
        (["run", "tiny", "--cores", "²"], "expected a whole number from 1"),
        (["run", "tiny", "--cores", DIGITS], "expected a whole number from 1"),
        (["run", "tiny", "--cores"], "expected one argument"),
        (["run", "tiny", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["run", "tiny", "other"], "takes one study"),
        (["run", "tiny", "--dry-run=3"], "explicit argument"),
        (["page"], "required: notebook"),
        (["page", "01", "--cores", "0", *PLACE], "expected a whole number from 1"),
        (["page", "01", "--study", "tinny", *PLACE], "Did you mean 'tiny'"),
        (["page", "01", "--nonsense", *PLACE], "unrecognized arguments"),
        (["page", "01", "-p"], "expected one argument"),
        (["status", "nowhere"], "Unknown study 'nowhere'"),
        (["status", "own"], "no pages of your own yet"),
        (["status", "a", "b"], "unrecognized arguments"),
        (["book", "tinny"], "Did you mean 'tiny'"),
        (["book", "tiny", "nowhere"], "Unknown study"),
        (["check-book", "Snakefile"], "There is no book in"),
        (["check-book", "gone"], "There is no book in"),
        (["execute"], "required"),
        (["execute", "a", "b", "--parameters", "{"], "invalid"),
        (["classroom"], "required"),
        (["classroom", "show", "film"], "film"),
        (["classroom", "show", "film_sentiment", "--count", "x"], "invalid int value"),
    ],
)
def test_a_wrong_command_is_refused_in_one_line(project, capsys, words, expected):
    refused(capsys, words, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("$(touch PWNED)", "has the sign '$'"),
        ("a b", "has the sign ' '"),
        ("it's", "has the sign"),
        ('say"x"', "has the sign"),
        ("-rf", "begins with '-'"),
        (".hidden", "begins with '.'"),
        ("..", "begins with '.'"),
        ("a;b", "has the sign ';'"),
        ("{model}", "has the sign '{'"),
        ("a<b>", "has the sign '<'"),
        ("a\nb", "has the sign"),
        ("a\\b", "has the sign"),
        ("a@b", "has the sign '@'"),
        ("01", "begins with '0'"),
        ("1e3", "begins with '1'"),
        ("1_000", "begins with '1'"),
        ("_x", "begins with '_'"),
        ("true", "read as another value"),
        ("null", "read as another value"),
        ("NaN", "read as another value"),
        ("inf", "read as another value"),
        ("own", "kept for pages"),
        ("Tiny", "would share one results folder"),
    ],
)
def test_a_study_cannot_have_a_name_that_is_taken_for_something_else(project, capsys, name, expected):
    shutil.copy("studies/tiny.yaml", f"studies/{name}.yaml")
    refused(capsys, ["run", f"studies/{name}.yaml"], expected)


@pytest.mark.parametrize("name", ["模型", "été", "study-2.1", "b_01"])
def test_a_study_may_have_any_harmless_name(project, capsys, name):
    shutil.copy("studies/tiny.yaml", f"studies/{name}.yaml")
    assert cli.main(["status", name]) == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected a mapping"),
        (b"\x00\x01\x02", "not valid YAML"),
        (b"title: caf\xe9", "not UTF-8 text"),
        ("title: x".encode("utf-16"), "not UTF-8 text"),
        (b"models: [", "not valid YAML"),
        (b"\tmodels: x", "not valid YAML"),
        (b"- a\n- b", "expected a mapping"),
        (b"5", "expected a mapping"),
        (b"seeds: [0]\nseeds: [1]", "given twice"),
        (b"a: &a [*a]", "holds itself"),
        (b"models: !!python/name:os.system", "not valid YAML"),
        (f"seeds: {DEEP}".encode(), "nested too deep"),
        (f"seeds: [{DIGITS}]".encode(), "cannot be read"),
        (b"title: 2020-99-99", "cannot be read"),
        (b"? [a]\n: b", "not valid YAML"),
        (b"a: *nowhere", "not valid YAML"),
        (b"--- a\n--- b", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_study_is_refused(project, capsys, content, expected):
    (project / "studies" / "bad.yaml").write_bytes(content)
    refused(capsys, ["run", "bad"], expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"models": [1]}, "Put it in quotes"),
        ({"models": [True]}, "Put it in quotes"),
        ({"models": {None: None}}, "a name is missing"),
        ({"models": {"mini-t5": 5}}, "expected parameters such as"),
        ({"models": {"mini-t5": []}}, "expected parameters such as"),
        ({"models": ["mini-t5", "mini-t5"]}, "named twice"),
        ({"models": ["Owner/Bert", "owner/bert"]}, "would share a folder"),
        ({"models": ["./nowhere"]}, "There is no model folder /"),
        ({"models": None}, "models missing or empty"),
        ({"tasks": {}}, "tasks missing or empty"),
        ({"tasks": [3]}, "Put it in quotes"),
        ({"seeds": 3}, "seeds"),
        ({"seeds": [2**70]}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": [False]}, "seeds"),
        ({"seeds": ["0"]}, "seeds"),
        ({"budget": [1]}, "expected parameters such as"),
        ({"budget": {"steps": "many"}}, "steps is 'many'"),
        ({"budget": {"device": "gpu"}}, "device"),
        ({"budget": {3: 4}}, "Unknown parameter '3'"),
        ({"notebooks": {"03_perturbation": {"fractions": []}}}, "03_perturbation: fractions is []"),
        ({"notebooks": {"03_perturbation": {"modes": ["zeros"]}}}, "modes"),
        ({"notebooks": {"03_perturbation": {"where": "top"}}}, "where"),
        ({"notebooks": {"03_perturbation": 5}}, "expected parameters such as"),
        ({"notebooks": {"04_adversarial": {"twin": "adv_sst2"}}}, "Unknown twin"),
        ({"notebooks": {"06_origin": {"method_rates": {"lora": -1}}}}, "method_rates"),
        ({"notebooks": {"09_projection": {"partners": ["nobody"]}}}, "Unknown model 'nobody'"),
        ({"notebooks": {"13_patching": {"fraction": 0.5}}}, "not among the fractions"),
        ({"notebooks": ["15_more"]}, "Unknown notebook '15_more'"),
        ({"notebooks": [5]}, "Put it in quotes"),
        ({"notebooks": {"04_adversarial": {"only": []}}}, "expected a list of tasks"),
        ({"data": 5}, "data: expected text"),
        ({"title": {"a": "b"}}, "title: expected text"),
        ({"colour": "red"}, "Unknown key 'colour'"),
    ],
)
def test_a_study_with_a_fault_is_refused(project, capsys, changes, expected):
    (project / "studies" / "bad.yaml").write_text(yaml.safe_dump({**GOOD, **changes}))
    refused(capsys, ["run", "bad"], expected)


def test_a_study_that_is_a_folder_or_cannot_be_read_is_refused(project, capsys):
    (project / "studies" / "folder.yaml").mkdir()
    for words in (["run", "folder"], ["run", "studies/folder.yaml"], ["status", "folder"]):
        refused(capsys, words, "This is no file")


def test_an_error_that_nobody_foresaw_is_one_line_and_a_traceback_on_request(project, capsys, monkeypatch):
    monkeypatch.setattr(cli, "_status", lambda args: {}["nowhere"])
    assert cli.main(["status"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "KeyError: 'nowhere'" in said and "SKILLKIT_DEBUG=1" in said
    monkeypatch.setenv("SKILLKIT_DEBUG", "1")
    with pytest.raises(KeyError):
        cli.main(["status"])


def test_an_interrupted_command_says_so(project, capsys, monkeypatch):
    monkeypatch.setattr(cli, "_status", lambda args: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(["status"]) == 130
    assert capsys.readouterr().err.count("\n") == 1
