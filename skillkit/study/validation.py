"""What a study file may say, as pydantic models; messages name the key and the nearest known name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from skillkit.data.tasks import get_task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.bundled import MODELS
from skillkit.study.table import find_notebook

HUB_MODELS = (
    *("roberta-base", "roberta-large", "distilroberta-base", "bert-base-uncased", "bert-base-cased"),
    *("bert-large-uncased", "t5-small", "t5-base", "t5-large", "gpt2", "gpt2-medium", "distilgpt2"),
)
"""Hub ids without an owner; others are written `owner/name`."""

FROM_STUDY = ("study", "model", "task", "models", "tasks", "seeds", "data", "results")
"""Parameters of notebooks that the study gives by itself, never by hand."""

Count = Annotated[int, Field(gt=0, description="a whole number above 0")]
Limit = Annotated[int | None, Field(gt=0, description="a whole number above 0, or null for all")]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
Text = Annotated[str, Field(description="a text such as cpu or auto")]


class Budget(BaseModel):
    """The parameters that a study may give for all its notebooks, for a model or for a task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    length: Count = 1
    steps: Count = 1
    batch_size: Count = 1
    learning_rate: Rate = 1.0
    evaluate_every: Count = 1
    limit: Limit = None
    device: Text = "auto"


class NotebookParameters(Budget):
    """What a study may give for one notebook alone; its own parameters are checked once its file is read."""

    model_config = ConfigDict(extra="allow", strict=True)

    examples: Limit = None


def check_parameters(kind: type[Budget], given: Any, where: str) -> dict[str, Any]:
    """The parameters under `where` as they were given.

    Raises SkillkitError when one is unknown or does not fit.
    """
    if not isinstance(given, Mapping):
        raise SkillkitError(f"{where}: expected parameters such as {{steps: 300}}, not {given!r}.")
    allowed = kind.model_fields if kind is Budget else ()
    for name in given:
        if name in FROM_STUDY or not isinstance(name, str) or (allowed and name not in allowed):
            raise unknown("parameter", str(name), allowed, f"It stands under {where!r}.")
    try:
        kind.model_validate(dict(given))
    except ValidationError as error:
        fault = error.errors()[0]
        name, value = str(fault["loc"][0]), fault["input"]
        is_text = name == "learning_rate" and isinstance(value, str)
        hint = " (YAML reads 1e-3 as text; write 0.001)" if is_text else ""
        expected = kind.model_fields[name].description
        raise SkillkitError(f"{where}: {name} is {value!r}; expected {expected}{hint}.") from error
    return dict(given)


def check_model(name: str) -> str:
    """The name of a model. Raises SkillkitError when it is neither known, nor a folder, nor a Hub id."""
    is_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if name in MODELS or name in HUB_MODELS or Path(name).is_dir() or ("/" in name and not is_path):
        return name
    if is_path:
        raise SkillkitError(
            f"There is no model folder {Path(name).absolute()}. "
            "Give a folder written by save_pretrained, or a Hub id (owner/name)."
        )
    raise unknown("model", name, (*MODELS, *HUB_MODELS), "Other Hub models are written owner/name.")


def _named(check: Callable[[str], str], kind: type[Budget]) -> BeforeValidator:
    """Accept a list of names, or a mapping from names to parameters; give a mapping."""

    def named(given: Any, info: ValidationInfo) -> dict[str, dict[str, Any]]:
        key = info.field_name
        if isinstance(given, list):
            if wrong := next((name for name in given if isinstance(name, Mapping | list)), None):
                raise SkillkitError(
                    f"{key}: expected a list of names, but {wrong!r} stands in it. "
                    "To give one its own parameters, write a mapping: name: {steps: 300}, without dashes."
                )
            given = dict.fromkeys(given)
        if not isinstance(given, Mapping):
            raise SkillkitError(f"{key}: expected a list of names, not {given!r}.")
        return {
            check(str(name)): check_parameters(kind, own or {}, f"{key}: {name}")
            for name, own in given.items()
        }

    return BeforeValidator(named)


Named = dict[str, dict[str, Any]]


class StudyFile(BaseModel):
    """The content of a study file: names with their own parameters, usually none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str | None = None
    description: str | None = None
    data: str | None = None
    seeds: list[Annotated[int, Field(ge=0)]]
    budget: dict[str, Any] = {}
    tasks: Annotated[Named, _named(lambda name: get_task(name).name, Budget)]
    notebooks: Annotated[Named, _named(lambda name: find_notebook(name).name, NotebookParameters)]
    models: Annotated[Named, _named(check_model, Budget)]
    only: dict[str, tuple[str, ...]] = {}

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise SkillkitError(f"seeds: {seeds!r} names a seed twice.")
        return seeds

    @field_validator("budget", mode="before")
    @classmethod
    def _known(cls, budget: Any) -> dict[str, Any]:
        return check_parameters(Budget, budget or {}, "budget")

    @model_validator(mode="after")
    def _restrict(self) -> StudyFile:
        """Take the restrictions to some tasks out of the notebooks' parameters."""
        for row, own in self.notebooks.items():
            if "only" in own:
                self.only[row] = _restriction(row, own.pop("only"), self.tasks)
        return self


def _restriction(notebook: str, given: Any, tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks that a notebook is restricted to."""
    if not isinstance(given, list) or not given:
        raise SkillkitError(f"notebooks: {notebook}: only: expected a list of tasks, not {given!r}.")
    for task in given:
        if not isinstance(task, str) or task not in tasks:
            raise unknown("task", str(task), tasks, f"It stands under 'only' of {notebook}.")
    return tuple(given)


KEYS = tuple(name for name in StudyFile.model_fields if name != "only")
_REQUIRED = ("models", "tasks", "seeds", "notebooks")


def read_content(content: Any, path: Path) -> StudyFile:
    """The checked content of the study file at `path`. Raises SkillkitError, naming the file."""
    try:
        if not isinstance(content, Mapping):
            raise SkillkitError("expected a mapping with the keys models, tasks, seeds and notebooks.")
        for key in content:
            if key not in KEYS:
                raise unknown("key", str(key), KEYS)
        if missing := [key for key in _REQUIRED if not content.get(key)]:
            raise SkillkitError(f"{', '.join(missing)} missing or empty.")
        return StudyFile.model_validate(dict(content))
    except ValidationError as error:
        raise SkillkitError(f"{path}: {_message(error, content)}") from error
    except SkillkitError as error:
        raise SkillkitError(f"{path}: {error}") from error


def _message(error: ValidationError, content: Mapping[str, Any]) -> str:
    """What the first fault is, and what was expected."""
    fault = error.errors()[0]
    own = fault.get("ctx", {}).get("error")
    if isinstance(own, SkillkitError):
        return str(own)
    key = str(fault["loc"][0])
    if key == "seeds":
        return f"seeds: expected a list of whole numbers such as [0, 1], not {content[key]!r}."
    return f"{key}: expected text, not {content[key]!r}; put it in quotes."


def check_declared(own: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> None:
    """Raise SkillkitError unless a notebook declares the parameters, with defaults of the same kind."""
    for name, value in own.items():
        if name not in defaults:
            known = [*(each for each in defaults if each not in FROM_STUDY), "only"]
            raise unknown("parameter", str(name), known, f"It stands under {where!r}.")
        if name in NotebookParameters.model_fields:
            continue
        kind, expected = _kind(defaults[name])
        try:
            TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError as error:
            raise SkillkitError(f"{where}: {name} is {value!r}; expected {expected}.") from error


def _kind(default: Any) -> tuple[Any, str]:
    """The type that goes with a parameter's default, and its name for the reader. None allows any."""
    number = Annotated[float, Field(allow_inf_nan=False)]
    if isinstance(default, bool):
        return bool, "true or false"
    if isinstance(default, int):
        return Annotated[int, Field(ge=min(default, 0))], "a whole number, not below 0"
    if isinstance(default, float):
        return number, "a finite number"
    if isinstance(default, str):
        return str, "a text"
    if isinstance(default, list):
        element = _kind(default[0])[0] if default else Any
        return list[element], f"a list such as {default}"  # type: ignore[valid-type]
    if isinstance(default, dict):
        return dict, "a mapping: {name: value}"
    return Annotated[Any, BeforeValidator(_finite)], "a finite number"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value
