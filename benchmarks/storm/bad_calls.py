"""The bad calls: what people type, write into studies and give as parameters, and must be told of at once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from storm.project import CONTENT, STUDY


@dataclass(frozen=True)
class Call:
    """A call of the command line that has to be refused.

    `study` is the content of studies/bad.yaml, if the call reads that; `says` are words that the message
    must have: the nearest known name, or what is wrong.
    """

    name: str
    words: list[str]
    says: tuple[str, ...] = ()
    study: bytes | None = None


HUGE = "9" * 5000
DEEP = "[" * 2000 + "]" * 2000

COUNTS = (
    "0",
    "-1",
    "1.5",
    "ten",
    "true",
    "null",
    "[3]",
    "{a: 1}",
    ".nan",
    ".inf",
    "''",
    HUGE,
    "1e400",
    "2020-99-99",
)
RATES = ("0", "-0.1", ".nan", ".inf", "-.inf", "fast", "true", "null", "[]", "1e400", HUGE)
LIMITS = ("0", "-5", "2.5", "all", "[10]", "true", "''")
SEEDS = (
    "[]",
    "[0, 0]",
    "[-1]",
    "[1.5]",
    "[a]",
    "'0,1'",
    "null",
    "true",
    "[[0]]",
    f"[{2**70}]",
    "{0: 1}",
    "[null]",
    "[true]",
)
FRACTIONS = ("[]", "[0]", "[-0.1]", "[1.5]", "'0.1'", "[a]", "[.nan]", "null", "{a: 1}", "[[0.1]]", "[true]")

BAD: dict[str, dict[str, tuple[str, ...]]] = {
    "01": {
        "steps": COUNTS,
        "length": ("0", "-1", "1.5", "long", "null", HUGE),
        "batch_size": ("0", "-4", "1.5", "all", "null", "[8]"),
        "evaluate_every": ("0", "-1", "2.5", "never", "null"),
        "learning_rate": RATES,
        "limit": LIMITS,
        "examples": ("0", "-1", "few", "2.5"),
        "seeds": SEEDS,
        "device": ("3", "null", "''", "[cpu]", "quantum"),
    },
    "02": {"permutations": ("-1", "1.5", "many", "[20]", "true"), "examples": ("0", "-1", "x", "[]")},
    "03": {
        "fractions": FRACTIONS,
        "modes": ("[]", "[zer]", "[1]", "null", "zer", "[[zero]]", "{zero: 1}", "[null]"),
        "where": ("promt", "3", "''", "[all]", "null"),
        "noise": ("-1", ".nan", "loud", ".inf", "null"),
        "sigma": ("-1", ".nan", "loud", "[]"),
        "checked": ("-1", "1.5", "x"),
    },
    "04": {
        "fraction": ("0", "-0.1", "1.5", "x", ".nan"),
        "fractions": ("[]", "[0]", "[2]"),
        "twin": ("nosuch", "3", "[]"),
    },
    "07": {"fractions": ("[]", "[0]", "[-1]", "[x]"), "tune_steps": ("-1", "1.5", "x")},
}
"""For some notebooks: parameters, and values (in YAML) that none of them may have."""

NEAR = {"[zer]": ("zero",), "zer": ("zero",), "promt": ("prompt",), "nosuch": ("nosuch",)}
"""Of values that are names: what the message names instead of the parameter."""

STUDIES = (
    *("tinny", "", " tiny", "../tiny", "studies/tiny", "a/b", "nosuch.yaml", "/nowhere/x.yml", "{model}"),
    *("$(touch PWNED)", "tiny\n", "x" * 300, "x" * 300 + ".yaml", ".", "..", "own", "studies"),
)
"""Studies that there are not."""

CELL = ["-p", "model=mini-roberta", "-p", "task=film_sentiment"]


def all_calls() -> list[Call]:
    """Every bad call, each once."""
    kinds = (parameters, places, names, usage, keys, names_in_studies, budgets, files)
    calls = [call for kind in kinds for call in kind()]
    return list({(*call.words, call.study): call for call in calls}.values())


def page(number: str, *given: str) -> list[str]:
    """The words that ask for a page; the book is never built."""
    return ["page", number, *(word for each in given for word in ("-p", each)), "--no-book"]


def parameters() -> Iterator[Call]:
    """Values of parameters, given to `page`."""
    for number, bad in BAD.items():
        for name, values in bad.items():
            for value in values:
                says = NEAR.get(value, (name,))
                given = page(number, "model=mini-roberta", "task=film_sentiment", f"{name}={value}")
                yield Call(f"page {number}, {name}={value[:20]}", given, says)


def places() -> Iterator[Call]:
    """Models and tasks, given to `page`."""
    task, model = "task=film_sentiment", "model=mini-roberta"
    bad = (
        (page("01", "model=mini-robrta", task), ("mini-roberta",)),
        (page("01", model, "task=film_sentimnt"), ("film_sentiment",)),
        (page("01", "model=./mine", task), ("mine",)),
        (page("01", "model=/nowhere/mine", task), ("/nowhere/mine",)),
        (page("01", "model=~/nowhere", task), ("nowhere",)),
        (page("01", "model=..", task), ()),
        (page("01", "model=.", task), ()),
        (page("01", "model=results", task), ()),
        (page("01", "model=studies/tiny.yaml", task), ()),
        (page("01", "model=", task), ("model",)),
        (page("01", "model=''", task), ("model",)),
        (page("01", "model=3", task), ("model",)),
        (page("01", "model=[mini-roberta]", task), ("model",)),
        (page("01", "model=true", task), ("model",)),
        (page("01", "model={model}", task), ("model",)),
        (page("01", "model=a\nb", task), ()),
        (page("01", f"model={DEEP}", task), ("model",)),
        (page("01", model, "task="), ("task",)),
        (page("01", model, "task=3"), ("task",)),
        (page("01", model, "task=[film_sentiment]"), ("task",)),
        (page("01", model, "task=../film_sentiment"), ("film_sentiment",)),
        (page("01", model, "task=$(touch PWNED)"), ()),
        (page("01", model), ("task",)),
        (page("01", task), ("model",)),
        (page("01"), ("model", "task")),
        (page("04", model, "task=nosuch"), ("nosuch",)),
        (page("05", model, task), ("tasks",)),
        (page("10", model), ("models",)),
        (page("05", model, "tasks=[]"), ("tasks",)),
        (page("05", model, "tasks=[film_sentimnt]"), ("film_sentiment",)),
        (page("05", model, "tasks=3"), ("tasks",)),
        (page("10", "models=[]"), ("models",)),
        (page("10", "models=[mini-robrta]"), ("mini-roberta",)),
        (page("10", "models={a: 1}"), ()),
        (page("11"), ("SKILLKIT_REFERENCE",)),
        (page("01", model, task, "data=/nowhere"), ("/nowhere",)),
        (page("01", model, task, "data=3"), ("data",)),
        (page("01", model, task, "data=[a]"), ("data",)),
        (page("01", model, task, "results=elsewhere"), ("results",)),
        (page("01", model, task, "study=other"), ("study",)),
        (page("01", model, task, "stepz=3"), ("steps",)),
        (page("02", model, task, "permutation=3"), ("permutations",)),
        (page("03", model, task, "fraction=[0.1]"), ("fractions",)),
        (page("01", model, task, "steps"), ("NAME=VALUE",)),
        (page("01", model, task, "=3"), ("NAME=VALUE",)),
        (page("01", model, task, "steps=[1"), ("steps",)),
        (page("01", model, task, "steps={a: b: c}"), ("steps",)),
        (page("01", model, task, "steps=*a"), ("steps",)),
        (page("01", model, task, "steps=!!python/object/apply:os.system ['touch PWNED']"), ("steps",)),
        (page("01", model, task, f"steps={DEEP}"), ("steps",)),
        (page("01", model, task, "steps=\x07"), ("steps",)),
        (page("01", model, task, "ste ps=3"), ("ste ps",)),
        (page("01", model, task, "__class__=3"), ("__class__",)),
    )
    for words, says in bad:
        yield Call(f"place: {' '.join(words[:-1])[:60]!r}", words, says)


def names() -> Iterator[Call]:
    """Names of notebooks and studies on the command line."""
    for number in (
        "99",
        "00",
        "²",
        "",
        "-1",
        "2.0",
        "x",
        "①",
        "02_skil_neurons",
        "../01_prompt_tuning",
        "1e0",
        " 1",
    ):
        says = ("02_skill_neurons",) if number == "02_skil_neurons" else ()
        yield Call(f"page {number!r}", ["page", "--no-book", *CELL, "--", number], says)
    for study in STUDIES:
        says = (STUDY,) if study in ("tinny", "../tiny") else ()
        for command in ("run", "status", "book"):
            yield Call(f"{command} {study[:20]!r}", [command, study], says)
    for study in ("tinny", "", "nosuch.yaml", "own"):
        yield Call(f"page --study {study!r}", [*page("01", "task=film_sentiment"), "--study", study])


def usage() -> Iterator[Call]:
    """Words that no command knows."""
    for line in (
        "",
        "rnu",
        "page",
        "run tiny --cores",
        "run tiny --cores x",
        "run tiny --cores 0",
        "run tiny --cores -1",
        "run tiny --cores 1.5",
        "page 01 --cores 0 -p model=mini-roberta -p task=film_sentiment --no-book",
        "page 01 02",
        "page 01 -q",
        "page 01 -p",
        "status tiny tiny",
        "status --nosuch",
        "check extra",
        "check-book /nowhere",
        "check-book studies",
        "check-book Snakefile",
        "execute",
        "execute notebooks/01_prompt_tuning.ipynb out.ipynb --parameters {",
        "classroom",
        "classroom nosuch",
        "classroom show film_sentimnt",
        "classroom show film_sentiment --count 0",
        "classroom show film_sentiment --split nosuch",
        "released",
        "released /nowhere",
        "released Snakefile",
    ):
        yield Call(f"skillkit {line}", line.split())


def study(name: str, content: Any, *says: str) -> Call:
    """A call that runs a study with this content, which is bytes, YAML, or what YAML is made from."""
    if not isinstance(content, bytes | str):
        content = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    raw = content if isinstance(content, bytes) else content.encode()
    return Call(f"study: {name}", ["run", "bad"], ("bad", *says), raw)


def keys() -> Iterator[Call]:
    """Keys of a study that are missing, unknown, or of the wrong kind."""
    for key in ("models", "tasks", "seeds", "notebooks"):
        yield study(f"without {key}", {name: value for name, value in CONTENT.items() if name != key}, key)
        for value in (None, [], {}, 3, "x", True, [[]], [None], [""], ["99"], 2.5):
            yield study(f"{key}: {value!r}", {**CONTENT, key: value}, key.rstrip("s"))
        rest = {name: value for name, value in CONTENT.items() if name != key}
        yield study(f"{key} misspelt", {**rest, key[:-2] + "zs": CONTENT[key]})
    for key in ("title", "description", "data"):
        for value in (3, ["x"], {"a": 1}, True):
            yield study(f"{key}: {value!r}", {**CONTENT, key: value}, key)
    for value in (3, "x", [1], {"stepz": 3}, {3: 3}, {"seeds": [1]}, {"results": "x"}, True):
        yield study(f"budget: {value!r}", {**CONTENT, "budget": value})
    yield study("data folder missing", {**CONTENT, "tasks": ["sst2"], "data": "/nowhere"}, "/nowhere")
    for value in SEEDS:
        yield study(f"seeds: {value[:20]}", {**CONTENT, "seeds": yaml.safe_load(value)}, "seed")


def names_in_studies() -> Iterator[Call]:
    """Names that a study gives and nobody knows."""
    yield study("unknown model", {**CONTENT, "models": ["mini-robrta"]}, "mini-roberta")
    yield study("unknown task", {**CONTENT, "tasks": ["film_sentimnt"]}, "film_sentiment")
    yield study("unknown notebook", {**CONTENT, "notebooks": ["01_promt_tuning"]}, "01_prompt_tuning")
    yield study("unknown number", {**CONTENT, "notebooks": ["99"]}, "99")
    yield study("model of no folder", {**CONTENT, "models": ["./mine"]}, "mine")
    yield study("empty model name", {**CONTENT, "models": {"": {}}})
    yield study("model with parameters in a list", {**CONTENT, "models": [{"mini-roberta": {"steps": 3}}]})
    for own in (3, "x", [1], {"stepz": 3}, {"steps": 0}, {"task": "x"}):
        yield study(f"model: {own!r}", {**CONTENT, "models": {"mini-roberta": own}})
        yield study(f"task: {own!r}", {**CONTENT, "tasks": {"film_sentiment": own}})
        yield study(f"notebook: {own!r}", {**CONTENT, "notebooks": {"01_prompt_tuning": own}})
    for only in (
        [],
        "film_sentiment",
        ["nosuch"],
        ["film_sentimnt"],
        [3],
        None,
        {"a": 1},
        [["film_sentiment"]],
    ):
        notebooks = {"01_prompt_tuning": {"only": only}}
        yield study(f"only: {only!r}", {**CONTENT, "notebooks": notebooks})
    yield study("no page", {**CONTENT, "notebooks": ["11_released_prompts"]})


def budgets() -> Iterator[Call]:
    """Values of parameters, given by a study for all notebooks or for one."""
    for name, values in BAD["01"].items():
        for value in values[:6]:
            if name not in ("seeds", "examples") and _plain(value):
                yield study(
                    f"budget {name}={value[:20]}", {**CONTENT, "budget": {name: yaml.safe_load(value)}}, name
                )
    full = {"02": "02_skill_neurons", "03": "03_perturbation"}
    for number, notebook in full.items():
        for name, values in BAD[number].items():
            for value in values:
                if _plain(value):
                    notebooks = {**CONTENT["notebooks"], notebook: {name: yaml.safe_load(value)}}
                    yield study(f"{notebook} {name}={value[:20]}", {**CONTENT, "notebooks": notebooks}, name)


def _plain(value: str) -> bool:
    """Whether YAML can read a value at all, so that it can be written into a study."""
    return value not in (HUGE, "2020-99-99")


def files() -> Iterator[Call]:
    """Study files that are no such thing, or in which YAML reads what nobody meant."""
    good = yaml.safe_dump(CONTENT, sort_keys=False)
    bombs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
    for name, content in {
        "empty": "",
        "a comment": "# nothing\n",
        "null": "null\n",
        "a list": "- models\n- tasks\n",
        "a text": "models\n",
        "a number": "3\n",
        "binary": bytes(range(256)),
        "UTF-16": good.encode("utf-16"),
        "Latin-1": good.replace("Tiny study", "Übung").encode("latin-1"),
        "a zero byte": good.replace("Tiny study", "Tiny\0study"),
        "tabs": good.replace("  length", "\tlength"),
        "an open bracket": good + "x: [1, 2\n",
        "an open quote": good + 'x: "1\n',
        "a key twice": good + "seeds: [1]\n",
        "an unknown anchor": good + "x: *nothing\n",
        "a tag that runs code": good + "x: !!python/object/apply:os.system ['touch PWNED']\n",
        "an unknown tag": good + "x: !mine 3\n",
        "two documents": good + "---\n" + good,
        "a date that is none": good.replace("Tiny study", "2020-99-99"),
        "a date": good.replace("Tiny study", "2020-01-01"),
        "deep nesting": good + f"x: {DEEP}\n",
        "a huge number": good.replace("seeds:\n- 0", f"seeds:\n- {HUGE}"),
        "a merge of a number": good + "<<: 3\n",
        "a list as a key": good + "? [1, 2]\n: 3\n",
        "a mapping as a key": good + "? {a: 1}\n: 3\n",
        "a number as a key": good + "3: 4\n",
        "many aliases": f"a0: &a0 [x]\n{bombs}\n{good}",
        "JSON cut off": json.dumps(CONTENT)[:-20],
        "no as a task": good.replace("- film_sentiment", "- no"),
        "an octal seed that is none": good.replace("seeds:\n- 0", "seeds:\n- 09"),
        "a text as a seed": good.replace("seeds:\n- 0", "seeds:\n- '0'"),
    }.items():
        yield study(name, content)
