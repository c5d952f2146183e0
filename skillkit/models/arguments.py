"""Checks of plain arguments: counts, seeds, numbers and paths, refused in one sentence that names them."""

import os
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from skillkit.errors import SkillkitError

LARGEST_SEED = 2**63 - 1
"""What both torch and NumPy take."""


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is not a whole number of at least ``least``.

    Raises:
        SkillkitError: another type (a bool counts as one), or a smaller number.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SkillkitError(f"{name}={value!r} is not a whole number. Give {least} or more.")
    if value < least:
        kind = "a positive number" if least == 1 else f"at least {least}"
        raise SkillkitError(f"{name}={value} is not {kind}. Give {least} or more.")


def check_seed(value: Any) -> None:
    """Refuse a seed that is no whole number from 0 to 2**63 - 1.

    Raises:
        SkillkitError: as said.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not 0 <= value <= LARGEST_SEED:
        raise SkillkitError(f"seed={value!r} is no seed. Give a whole number from 0 to 2**63 - 1, such as 0.")


def check_number(name: str, value: Any, least: float = 0.0) -> None:
    """Refuse what is not a finite number of at least ``least``.

    Raises:
        SkillkitError: another type, a smaller number, NaN or infinity.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SkillkitError(f"{name}={value!r} is not a number. Give {least:g} or more.")
    if not isfinite(value) or value < least:
        fault = "negative" if least == 0 else f"below {least:g}"
        raise SkillkitError(f"{name}={value} is {fault} or not finite. Give {least:g} or more.")


def check_path(value: Any) -> Path:
    """A path from what was given as one.

    Raises:
        SkillkitError: neither a text nor a path, or an empty text.
    """
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise SkillkitError(f"{value!r} is not the path of a file. Give a text or a pathlib.Path.")
    return Path(value)


def check_type(name: str, value: Any, expected: type | tuple[type, ...], hint: str) -> None:
    """Refuse a value of another type than expected.

    Args:
        name: of the argument.
        value: what was given.
        expected: as ``isinstance`` takes it.
        hint: what to give instead, as a sentence.

    Raises:
        SkillkitError: another type.
    """
    if not isinstance(value, expected):
        raise SkillkitError(f"{name} is a {type(value).__name__}, {_short(value)}. {hint}")


def _short(value: Any) -> str:
    text = repr(value).splitlines()[0] if repr(value) else ""
    return text if len(text) <= 60 else f"{text[:57]}..."
