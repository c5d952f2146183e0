"""What was typed after `-p`: values of parameters, with relative folders as they were meant there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from skillkit.errors import SkillkitError
from skillkit.models.bundled import MODELS
from skillkit.names import source_of
from skillkit.study.parameters import short
from skillkit.study.reading import read_yaml

PATHS = ("data", "reference")
"""Parameters of notebooks that name a folder."""

MODEL_NAMES = ("model", "models", "partners", "backbone")
"""Parameters of notebooks that name a model, which may be a folder."""

TEXTS = ("model", "task", "backbone", "release", "twin", *PATHS)
"""Parameters that are names: `model=01` means the model 01, although YAML reads a number."""


def read_given(given: Sequence[str]) -> dict[str, Any]:
    """`["steps=100", "model=./mine"]` as a mapping; values are read as YAML.

    Raises:
        SkillkitError: one is not NAME=VALUE, or its value cannot be read.
    """
    values: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise SkillkitError(f"-p {_cut(text)}: expected NAME=VALUE, such as -p steps=100.")
        values[name] = with_folders(name, _value(name, value))
    return values


def with_folders(name: str, value: Any) -> Any:
    """A parameter with the folders in it as full paths."""
    if isinstance(value, list):
        return [with_folders(name, each) for each in value]
    if not isinstance(value, str) or not value or value.startswith("$"):
        return value
    is_folder = value not in MODELS and os.path.isdir(source_of(value))
    is_model_folder = name in MODEL_NAMES and (value.startswith((".", "~")) or is_folder)
    return full_path(value) if name in PATHS or is_model_folder else value


def full_path(path: str) -> str:
    """A path as it is meant in the present folder; `~` is the home folder."""
    return os.path.abspath(os.path.expanduser(path))


def _value(name: str, text: str) -> Any:
    try:
        value = read_yaml(text)
    except SkillkitError as error:
        if name in TEXTS and text.strip():
            return text
        raise SkillkitError(
            f"-p {name}={_cut(text)}: the value is {error}. Write a number, a text, or a list such as [0, 1]."
        ) from error
    is_name = name in TEXTS and value is not None and not isinstance(value, str | list | dict)
    return text if is_name else value


def _cut(text: str) -> str:
    """A text as it was typed, or how it begins, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else short(line)
