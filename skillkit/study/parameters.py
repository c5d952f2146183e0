"""The parameters of all notebooks: what kind of value each takes, for study files and `-p name=value`.

One row per parameter name; a test sees to it that every parameter of every notebook has one. A notebook of
your own may have others: they take the kind of their default.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from skillkit.errors import SkillkitError, unknown

LARGEST = 2**31 - 1
"""The largest whole number that a parameter or a seed may be: all generators and libraries take it."""


@dataclass(frozen=True)
class Kind:
    """A kind of value: its type for pydantic, and how it is described to a reader."""

    type: Any
    expected: str

    def fits(self, value: Any) -> bool:
        """Whether a value is of this kind; numbers are not read from texts, nor truth values from numbers."""
        try:
            TypeAdapter(self.type).validate_python(value, strict=True)
        except (ValidationError, OverflowError):
            return False
        return True


def _numbers_only(value: Any) -> Any:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


def _once(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("given twice")
    return values


def _or_none(kind: Kind, meaning: str) -> Kind:
    return Kind(kind.type | None, f"{kind.expected}, or null for {meaning}")


def _one_of(*words: str) -> Kind:
    return Kind(Literal[words], f"one of {', '.join(words)}")


_WHOLE = Annotated[int, BeforeValidator(_numbers_only)]
_REAL = Annotated[float, BeforeValidator(_numbers_only)]
_SEED = Annotated[_WHOLE, Field(ge=0, le=LARGEST)]
_SHARE = Annotated[_REAL, Field(gt=0, le=1)]
_RATE = Annotated[_REAL, Field(gt=0, allow_inf_nan=False)]
_TEXT = Annotated[str, Field(min_length=1)]
_METHOD = Literal["bitfit", "adapter", "lora", "full"]

COUNT = Kind(Annotated[_WHOLE, Field(gt=0, le=LARGEST)], "a whole number above 0")
LIMIT = _or_none(COUNT, "all")
POSITIVE = Kind(_RATE, "a number above 0")
NOT_NEGATIVE = Kind(Annotated[_REAL, Field(ge=0, allow_inf_nan=False)], "a number, not below 0")
SHARE = Kind(_SHARE, "a number above 0 and at most 1")
SHARES = Kind(
    Annotated[list[_SHARE], Field(min_length=1), AfterValidator(_once)],
    "a list of different numbers, each above 0 and at most 1, such as [0.05, 0.1]",
)
SEEDS = Kind(
    Annotated[list[_SEED], Field(min_length=1), AfterValidator(_once)],
    f"a list of different whole numbers from 0 to {LARGEST}, such as [0, 1]",
)
SWITCH = Kind(bool, "true or false")
TEXT = Kind(_TEXT, "a text")
DEVICE = Kind(
    Annotated[str, Field(pattern=r"^(auto|cpu|mps|xpu(:\d+)?|cuda(:\d+)?)$")],
    "auto, cpu, cuda, cuda:1 or mps",
)
MODES = Kind(
    Annotated[
        list[Literal["zero", "noise", "absolute noise", "mean"]], Field(min_length=1), AfterValidator(_once)
    ],
    "a list without repetitions of zero, noise, absolute noise and mean",
)
METHODS = Kind(
    Annotated[list[_METHOD], Field(min_length=1), AfterValidator(_once)],
    "a list without repetitions of bitfit, adapter, lora and full",
)
RATES = Kind(
    dict[_METHOD, _RATE],
    "a mapping such as {lora: 0.001} from bitfit, adapter, lora or full to a number above 0",
)

FROM_STUDY = ("study", "model", "task", "models", "tasks", "seeds", "data", "results")
"""Parameters that the study gives by itself, never by hand for one notebook."""

BUDGET: dict[str, Kind] = {
    "length": COUNT,
    "steps": COUNT,
    "batch_size": COUNT,
    "learning_rate": POSITIVE,
    "evaluate_every": COUNT,
    "limit": LIMIT,
    "device": DEVICE,
}
"""Parameters that a study may give for all its notebooks, for a model or for a task."""

KINDS: dict[str, Kind] = {
    **BUDGET,
    "seeds": SEEDS,
    "data": _or_none(TEXT, "bundled tasks or SKILLKIT_DATA"),
    "examples": LIMIT,
    # neurons
    "permutations": COUNT,
    "fraction": SHARE,
    "fractions": SHARES,
    "skill_fraction": SHARE,
    "neurons": COUNT,
    "words_of": COUNT,
    # breaking them (03, 06)
    "mode": _one_of("zero", "noise", "mean"),
    "modes": MODES,
    "noise": POSITIVE,
    "sigma": POSITIVE,
    "where": _one_of("all", "prompt"),
    "checked": Kind(Annotated[_WHOLE, Field(ge=2, le=LARGEST)], "a whole number above 1"),
    # adversarial text (04, 13, 14)
    "twin": _or_none(TEXT, "the first adversarial version of the task"),
    "extra_steps": COUNT,
    "extra_prompts": COUNT,
    "weight": NOT_NEGATIVE,
    # other ways to tune (06)
    "watched_steps": COUNT,
    "looks": COUNT,
    "methods": METHODS,
    "method_steps": COUNT,
    "method_rates": RATES,
    # pruning (07)
    "skip": Kind(Annotated[_REAL, Field(ge=0, lt=1)], "a number from 0 to below 1"),
    "tune_steps": COUNT,
    "tuned_prompts": COUNT,
    "timing_rounds": COUNT,
    # transfer (08, 09)
    "start_targets": COUNT,
    "start_steps": _or_none(COUNT, "as many as steps"),
    "start_examples": COUNT,
    "resamples": COUNT,
    "partners": Kind(Annotated[list[_TEXT], AfterValidator(_once)], "a list of models without repetitions"),
    "partner_tasks": COUNT,
    "bottleneck": COUNT,
    "projector_rate": POSITIVE,
    "distance_steps": COUNT,
    "distance_rate": POSITIVE,
    "from_projected": SWITCH,
    # released prompts (11)
    "reference": _or_none(TEXT, "the folder of SKILLKIT_REFERENCE"),
    "backbone": _or_none(TEXT, "none"),
    "release": TEXT,
}


def check_value(name: str, value: Any, where: str, default: Any = None) -> None:
    """Raise SkillkitError unless a value is one that the parameter takes.

    Args:
        name: of the parameter.
        value: as YAML gives it.
        where: whose parameter it is, for the message.
        default: in the notebook; it tells the kind of a parameter that has no row here, or another kind.
    """
    kind = KINDS.get(name)
    if kind is None or (default is not None and not kind.fits(default)):
        kind = _kind_of(default)
    if not kind.fits(value):
        is_text = isinstance(value, str) and kind in (POSITIVE, NOT_NEGATIVE, SHARE)
        hint = " (YAML reads 1e-3 as text; write 0.001)" if is_text else ""
        raise SkillkitError(f"{where}: {name} is {short(value)}; expected {kind.expected}{hint}.")


def check_budget(given: Any, where: str) -> dict[str, Any]:
    """The parameters of a study, a model or a task as they were given.

    Raises SkillkitError when one is unknown or does not fit.
    """
    for name in _mapping(given, where):
        if name not in BUDGET:
            raise unknown("parameter", str(name), BUDGET, f"It stands under {where!r}.")
        check_value(name, given[name], where)
    return dict(given)


def check_own(given: Any, where: str) -> dict[str, Any]:
    """The parameters of one notebook as they were given; `check_declared` compares them with its file.

    Raises SkillkitError when they are none, or when one is the study's own.
    """
    for name in _mapping(given, where):
        if name in FROM_STUDY or not isinstance(name, str):
            raise unknown("parameter", str(name), (), f"It stands under {where!r}.")
    return dict(given)


def check_declared(own: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> None:
    """Raise SkillkitError unless a notebook declares the parameters, and takes their values."""
    for name, value in own.items():
        if name not in defaults:
            known = [*(each for each in defaults if each not in FROM_STUDY), "only"]
            raise unknown("parameter", str(name), known, f"It stands under {where!r}.")
        check_value(name, value, where, defaults[name])


def short(value: Any) -> str:
    """A value as Python writes it, cut where it is long or deep."""
    try:
        return _SHORT.repr(value)
    except (ValueError, RecursionError):  # a number of over 4,300 digits
        return f"a {type(value).__name__} too long to show"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlist = _SHORT.maxdict = 8


def _mapping(given: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise SkillkitError(f"{where}: expected parameters such as {{steps: 300}}, not {short(given)}.")
    return given


def _kind_of(default: Any) -> Kind:
    """The kind that goes with the default of a parameter that has no row. None goes with anything finite."""
    if isinstance(default, bool):
        return SWITCH
    if isinstance(default, int):
        low = max(min(default, 0), -LARGEST)
        said = "not below 0" if low == 0 else f"not below {low}"
        return Kind(Annotated[_WHOLE, Field(ge=low, le=LARGEST)], f"a whole number, {said}")
    if isinstance(default, float):
        return Kind(Annotated[_REAL, Field(allow_inf_nan=False)], "a finite number")
    if isinstance(default, str):
        return Kind(str, "a text")
    if isinstance(default, list):
        element = _kind_of(default[0]).type if default else Any
        return Kind(list[element], f"a list such as {default}")  # type: ignore[valid-type]
    if isinstance(default, dict):
        return Kind(dict, "a mapping: {name: value}")
    return Kind(Annotated[Any, AfterValidator(_finite)], "a finite number")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value
