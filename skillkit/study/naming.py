"""Names in studies: which there may be, and how models that would be shown alike are told apart."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from skillkit.errors import SkillkitError, unknown
from skillkit.models.bundled import MODELS
from skillkit.names import (
    has_hidden_signs,
    is_folder_name,
    is_plain_word,
    look,
    shown_name,
    source_of,
    told_apart,
)
from skillkit.study.parameters import short

HUB_MODELS = (
    *("roberta-base", "roberta-large", "distilroberta-base", "bert-base-uncased", "bert-base-cased"),
    *("bert-large-uncased", "t5-small", "t5-base", "t5-large", "gpt2", "gpt2-medium", "distilgpt2"),
)
"""Hub ids without an owner; others are written `owner/name`."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_READ_OTHERWISE = ("true", "false", "yes", "no", "on", "off", "null", "none", "nan", "inf", "infinity")


def check_study_name(name: str) -> str:
    """The name of a study: it becomes a folder, a word of commands, and a value that Snakemake reads.

    Raises SkillkitError, naming the sign, when it could be taken for something else.
    """
    wrong = next((sign for sign in name if not is_plain_word(f"a{sign}")), "")
    if wrong:
        fault = f"has the sign {wrong!r} in it"
    elif not is_plain_word(name):
        fault = f"begins with {name[:1]!r}"
    elif name.lower() in _READ_OTHERWISE:
        fault = "is read as another value than a text"
    else:
        return name
    raise SkillkitError(
        f"The name of a study cannot be {short(name)}, which {fault}. Rename its file: a letter first, then "
        "letters, digits, '-', '_' and '.'."
    )


def check_name(name: object, kind: str) -> str:
    """A name as text. Raises SkillkitError when YAML reads it as something else, or it cannot be shown."""
    if name is None:
        raise SkillkitError(f"{kind}: a name is missing. Write it, or take the empty entry out.")
    if not isinstance(name, str):
        raise SkillkitError(
            f"{kind}: {short(name)} is no name, but a {type(name).__name__} as YAML reads it. "
            "Put it in quotes."
        )
    if has_hidden_signs(name):
        raise SkillkitError(f"{kind}: {short(name)} has a sign in it that cannot be shown. Rename it.")
    return name


def check_model(name: str) -> str:
    """The name of a model as a study uses it: of a folder the full path.

    Raises SkillkitError when it is neither known, nor a folder with a model in it, nor a Hub id.
    """
    if name in MODELS:
        return name
    full = os.path.abspath(os.path.expanduser(source_of(name)))
    if name and _is_folder(full):
        if not Path(full, "config.json").is_file():
            raise SkillkitError(
                f"The folder {full} has no config.json, so it holds no model. "
                "Give a folder written by save_pretrained, or a Hub id (owner/name)."
            )
        return name if source_of(name) != name else full
    if is_folder_name(name) or ("/" in name and os.path.isfile(full)):
        raise SkillkitError(
            f"There is no model folder {full}. "
            "Give a folder written by save_pretrained, or a Hub id (owner/name)."
        )
    if name in HUB_MODELS or _HUB_ID.fullmatch(name):
        return name
    raise unknown("model", name, (*MODELS, *HUB_MODELS), "Other Hub models are written owner/name.")


def tell_apart(names: Iterable[str]) -> dict[str, str]:
    """For each model of a study the name that it has there: folders shown alike get a digest of their path.

    Names that differ in case alone count as alike, as file systems may take them for one.

    Raises SkillkitError when two that are no folders are alike, or when one is named twice.
    """
    used: dict[str, str] = {}
    names = list(names)
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(look(name), []).append(name)
    for group in alike.values():
        if len(set(group)) < len(group):
            raise SkillkitError(f"models: {shown_name(group[0])} is named twice.")
        for name in group:
            is_new = len(group) > 1 and is_folder_name(name) and source_of(name) == name
            used[name] = told_apart(name) if is_new else name
        if len({look(used[name]) for name in group}) < len(group):
            raise SkillkitError(
                f"models: {' and '.join(map(repr, group))} would share a folder, for some systems do not "
                "tell capital letters from small ones. Leave one out."
            )
    return {name: used[name] for name in names}


def _is_folder(path: str) -> bool:
    try:
        return os.path.isdir(path)
    except ValueError:
        return False
