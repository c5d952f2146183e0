"""What a study file may say, as pydantic models; messages name the key and the nearest known name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from skillkit.data.tasks import get_task
from skillkit.errors import SkillkitError, unknown
from skillkit.study.naming import check_model, check_name, tell_apart
from skillkit.study.parameters import SEEDS, check_budget, check_own, short
from skillkit.study.table import find_notebook


def _named(check: Callable[[str], str], own: Callable[[Any, str], dict[str, Any]]) -> BeforeValidator:
    """Accept a list of names, or a mapping from names to parameters; give a mapping."""

    def named(given: Any, info: ValidationInfo) -> dict[str, dict[str, Any]]:
        key = info.field_name
        if isinstance(given, list):
            if wrong := [name for name in given if isinstance(name, Mapping | list | set)]:
                raise SkillkitError(
                    f"{key}: expected a list of names, but {short(wrong[0])} stands in it. "
                    "To give one its own parameters, write a mapping: name: {steps: 300}, without dashes."
                )
            _refuse_twice(given, str(key))
            given = dict.fromkeys(given)
        if not isinstance(given, Mapping):
            raise SkillkitError(f"{key}: expected a list of names, not {short(given)}.")
        checked = {name: check(check_name(name, str(key))) for name in given}
        parameters = [own({} if each is None else each, f"{key}: {name}") for name, each in given.items()]
        _refuse_twice(checked.values(), str(key))
        return dict(zip(checked.values(), parameters, strict=True))

    return BeforeValidator(named)


def _refuse_twice(names: Iterable[Any], key: str) -> None:
    seen: list[Any] = []
    for name in names:
        if name in seen:
            raise SkillkitError(f"{key}: {short(name)} is named twice.")
        seen.append(name)


Named = dict[str, dict[str, Any]]


class StudyFile(BaseModel):
    """The content of a study file: names with their own parameters, usually none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str | None = None
    description: str | None = None
    data: str | None = None
    seeds: list[int]
    budget: dict[str, Any] = {}
    tasks: Annotated[Named, _named(lambda name: get_task(name).name, check_budget)]
    notebooks: Annotated[Named, _named(lambda name: find_notebook(name).name, check_own)]
    models: Annotated[Named, _named(check_model, check_budget)]
    only: dict[str, tuple[str, ...]] = {}

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, seeds: Any) -> list[int]:
        if not SEEDS.fits(seeds):
            raise SkillkitError(f"seeds: expected {SEEDS.expected}, not {short(seeds)}.")
        return list(seeds)

    @field_validator("budget", mode="before")
    @classmethod
    def _known(cls, budget: Any) -> dict[str, Any]:
        return check_budget({} if budget is None else budget, "budget")

    @model_validator(mode="after")
    def _restrict(self) -> StudyFile:
        """Take the restrictions to some tasks out of the notebooks' parameters; tell models apart."""
        for row, own in self.notebooks.items():
            if "only" in own:
                self.only[row] = _restriction(row, own.pop("only"), self.tasks)
        partners = {row: _partners(own) for row, own in self.notebooks.items()}
        further = [name for names in partners.values() for name in names if name not in self.models]
        used = tell_apart([*self.models, *dict.fromkeys(further)])
        self.models = {used[name]: own for name, own in self.models.items()}
        for row, names in partners.items():
            if names:
                self.notebooks[row]["partners"] = [used[name] for name in names]
        return self


def _partners(own: Mapping[str, Any]) -> list[str]:
    """The further models among a notebook's parameters, as the study calls them."""
    given = own.get("partners")
    if not isinstance(given, list):
        return []  # refused with the notebook's other parameters
    return [check_model(check_name(name, "partners")) for name in given]


def _restriction(notebook: str, given: Any, tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks that a notebook is restricted to."""
    if not isinstance(given, list) or not given:
        raise SkillkitError(f"notebooks: {notebook}: only: expected a list of tasks, not {short(given)}.")
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
    return f"{key}: expected text, not {short(content[key])}; put it in quotes."


def check_together(
    notebook: str, values: Mapping[str, Any], models: Iterable[str], tasks: Iterable[str], where: str
) -> None:
    """Raise SkillkitError where values of a notebook fit each by itself, but not one another or the study.

    Args:
        notebook: its name.
        values: all its parameters, given or by default.
        models: of the study.
        tasks: that it is made for.
        where: whose parameters they are, for the message.
    """
    if twin := values.get("twin"):
        for task in tasks:
            if twin not in (known := get_task(task).twins):
                hint = f"Task {task!r} has {', '.join(known) or 'none'}. It stands under {where!r}."
                raise unknown("twin", str(twin), known, hint)
    if notebook == "13_patching" and values.get("fraction") not in values.get("fractions", [None]):
        raise SkillkitError(
            f"{where}: fraction is {values['fraction']}, which is not among the fractions "
            f"{values['fractions']}. Take one of them, or add it."
        )
    if notebook == "09_projection" and len({*models, *values.get("partners", ())}) < 2:
        raise SkillkitError(
            f"{where}: it compares models, and the study has one. Name a second one among the models of "
            "the study, or in partners, such as partners: [mini-t5]."
        )
