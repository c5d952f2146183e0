"""Arguments of public functions, checked before anything is computed from them.

`@check_arguments` reads a function's annotations, so a signature says once what is accepted: its classes, and
what lies in its lists and mappings. What a class cannot say is a `Rule` in an `Annotated` type, such as
`Size`, `Share` or `table_with(...)`. Whatever does not fit ends in one `SkillkitError` that names the
function, the argument, what it is and what was expected. `real_numbers` does the same for arrays, inside the
functions that compute with them.
"""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from numbers import Integral, Real
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skillkit.errors import SkillkitError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Rule:
    """What an argument must fulfil beyond its class: in words that end "expected ...", and as a function."""

    words: str
    holds: Callable[[Any], bool]


Size = Annotated[int, Rule("a whole number of at least 1", lambda value: value >= 1)]
"""How many of something: a batch size, resamples, steps."""

Count = Annotated[int, Rule("a whole number of at least 0", lambda value: value >= 0)]
"""How many of something, where none is an answer."""

Seed = Annotated[int, Rule("a whole number from 0 to 2**63 - 1", lambda value: 0 <= value < 2**63)]
"""What fixes random numbers."""

Share = Annotated[float, Rule("a number from 0 to 1 (5 % is 0.05)", lambda value: 0 <= value <= 1)]
"""A part of a whole, such as a fraction of neurons."""

Level = Annotated[float, Rule("a number between 0 and 1, such as 0.95", lambda value: 0 < value < 1)]
"""How sure an interval is, or how much is at most accepted: 0 and 1 would say nothing."""

Finite = Annotated[float, Rule("a finite number", lambda value: bool(np.isfinite(value)))]
Positive = Annotated[float, Rule("a finite number above 0", lambda value: 0 < value < float("inf"))]

Shares = Annotated[
    Sequence[float],
    Rule(
        "at least one number, each from 0 to 1 (5 % is 0.05)",
        lambda values: len(values) > 0 and all(0 <= value <= 1 for value in values),
    ),
]
"""Fractions of neurons, such as the points of a curve."""


def table_with(*columns: str, made_by: str = "") -> Rule:
    """The rule for a table that has rows, and these columns; `made_by` is the function that makes it."""
    words = f"a table with rows and the columns {', '.join(columns)}" + (
        f", as {made_by} makes it" if made_by else ""
    )
    return Rule(words, lambda table: len(table) > 0 and set(columns) <= set(table.columns))


def known(*columns: str) -> Rule:
    """The rule for columns of a table that must be finite everywhere, so that no mean leaves a row out."""
    words = f"finite numbers in {', '.join(columns)}: find out where NaN or infinite ones come from"
    return Rule(words, lambda table: bool(np.isfinite(table[list(columns)].to_numpy(dtype=float)).all()))


def need_columns(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table that lacks one of these columns."""
    if missing := [name for name in columns if name not in table]:
        raise SkillkitError(
            f"The table has no column {', '.join(map(str, missing))}; "
            f"it has {', '.join(map(str, table.columns))}."
        )


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments that do not fit the function's annotations.

    Defaults are trusted, and nothing is converted, copied or used up.
    """
    signature = inspect.signature(function)

    @cache
    def expected() -> dict[str, Any]:
        # Only at the first call: an annotation may name what is defined further down in its module.
        hints = get_type_hints(function, include_extras=True)
        kinds = signature.parameters
        return {
            name: hint
            for name, hint in hints.items()
            if name in kinds and kinds[name].kind not in (inspect.Parameter.VAR_KEYWORD,)
        }

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # an argument too many or too few: Python says it well
            return function(*args, **kwargs)
        for name, hint in expected().items():
            if name in given and (wanted := _unmet(given[name], hint)):
                raise SkillkitError(
                    f"{function.__name__}: {name} is {described(given[name])}; expected {wanted}."
                )
        return function(*args, **kwargs)

    return checked


def check_fields(record: Any) -> None:
    """Refuse fields of a dataclass that do not fit their annotations; for its `__post_init__`."""
    for name, hint in get_type_hints(type(record), include_extras=True).items():
        if wanted := _unmet(getattr(record, name), hint):
            value = described(getattr(record, name))
            raise SkillkitError(f"{type(record).__name__}: {name} is {value}; expected {wanted}.")


def real_numbers(
    values: ArrayLike, what: str, *, axes: int | None = 1, least: int = 1, missing: bool = False
) -> NDArray[np.float64]:
    """The values as an array of float64, once they are known to be real numbers.

    Args:
        values: any array or nested list.
        what: the values in words, for the message.
        axes: how many the array must have; None: any.
        least: how many values there must be.
        missing: whether NaN is an answer. Infinite values never are.

    Raises:
        SkillkitError: they are no numbers, too few, of another shape, or not finite.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biuf" and not all(isinstance(each, Real) for each in given.flat):
            raise TypeError("text, None or other things are among them")
        array = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise SkillkitError(f"{what}: expected numbers, got {described(values)}: {error}.") from error
    if axes is not None and array.ndim != axes:
        raise SkillkitError(f"{what}: expected an array of {axes} axes, got shape {list(array.shape)}.")
    if array.size < least:
        raise SkillkitError(f"{what}: {array.size} values; expected {least} or more.")
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    if bad.any():
        raise SkillkitError(
            f"{what}: {int(bad.sum())} of {array.size} values are NaN or infinite. "
            "Find out where they come from; leave out such rows only if they are missing for a known reason."
        )
    return array


def described(value: Any) -> str:
    """A value in a few words: itself if it is short, else its class, with its shape or length."""
    if value is None or isinstance(value, Real | str):
        shown = repr(value)
        return shown if len(shown) < 60 else f"{shown[:57]}..."
    kind = type(value).__name__
    if hasattr(value, "shape"):
        shape = ", ".join(map(str, value.shape))
        return f"a {kind} of shape [{shape}]" + (f" and {value.dtype}" if hasattr(value, "dtype") else "")
    if isinstance(value, Collection):
        return f"a {kind} of {len(value)}"
    return f"a {kind}"


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    type(None): "None",
    pd.DataFrame: "a pandas DataFrame",
}


def _unmet(value: Any, hint: Any) -> str:
    """What was expected in words, or nothing where the value fits."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return ""
    if isinstance(hint, TypeVar):
        return _unmet(value, hint.__bound__ or Any)
    if origin is Annotated:
        if wanted := _unmet(value, inner[0]):
            return wanted
        return next((rule.words for rule in inner[1:] if not _holds(rule, value)), "")
    if origin in (Union, types.UnionType):
        numeric = get_args(ArrayLike) if set(get_args(ArrayLike)) <= set(inner) else ()
        choices = [_unmet(value, each) for each in inner if each not in numeric]
        if numeric:
            choices.append("" if _is_array(value) else "an array of numbers")
        return "" if "" in choices else " or ".join(dict.fromkeys(choices))
    if origin is None:
        return _unmet_class(value, hint)
    if origin is np.ndarray:
        return "" if _is_array(value) else "an array of numbers"
    if origin is tuple:
        return _unmet_tuple(value, inner)
    if not isinstance(origin, type):
        return ""
    if issubclass(origin, Mapping):
        return _unmet_mapping(value, inner)
    if issubclass(origin, Iterable):
        return _unmet_items(value, inner[0])
    return _unmet_class(value, origin)


def _holds(rule: Rule, value: Any) -> bool:
    try:
        return rule.holds(value)
    except (TypeError, ValueError):  # such as a comparison with text inside an array
        return False


def _unmet_class(value: Any, hint: Any) -> str:
    if not isinstance(hint, type):
        return ""
    known: Any = {int: Integral, float: Real}.get(hint, hint)
    if hint is bool:
        known = bool | np.bool_
    elif hint in (int, float) and isinstance(value, bool | np.bool_):
        return _WORDS[hint]
    try:
        fits = isinstance(value, known)
    except TypeError:  # a protocol that cannot be asked for at run time
        return ""
    return "" if fits else _WORDS.get(hint, f"a {hint.__name__}")


def _unmet_tuple(value: Any, inner: tuple[Any, ...]) -> str:
    if inner and inner[-1] is Ellipsis:
        return _unmet_items(value, inner[0])
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(inner):
        return f"{len(inner)} values"
    return next(
        (wanted for each, hint in zip(value, inner, strict=True) if (wanted := _unmet(each, hint))), ""
    )


def _unmet_mapping(value: Any, inner: tuple[Any, ...]) -> str:
    if isinstance(value, pd.Series):  # a row of a table serves as a mapping from its columns
        return ""
    if not isinstance(value, Mapping):
        return "a mapping such as a dict"
    for hint, found, what in ((inner[0], value.keys(), "keys"), (inner[1], value.values(), "values")):
        for each in found:
            if wanted := _unmet(each, hint):
                return f"a mapping whose {what} are each {wanted}, not {described(each)}"
    return ""


def _unmet_items(value: Any, hint: Any) -> str:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return "a list"
    if not isinstance(value, Collection) or hasattr(value, "__array__"):
        return ""  # what can be read only once is not read here; arrays are asked by `real_numbers`
    for each in value:
        if wanted := _unmet(each, hint):
            return f"a list of which each is {wanted}, not {described(each)}"
    return ""


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") or (isinstance(value, Sequence) and not isinstance(value, str | bytes))
