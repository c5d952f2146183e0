"""Look at this machine: is everything there that a study needs?"""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

import psutil

from skillkit.book.browser import find_chromium
from skillkit.data.tasks import TASKS
from skillkit.study.environment import processors

ENOUGH_DISK = 2 * 2**30  # bytes: the default study and its book, with room to spare


def check_machine() -> int:
    """Print what is there and what is not; 1 when something is wrong that a study would stumble over."""
    wrong = wrong_versions()
    free = shutil.disk_usage(".").free
    print(
        f"Python    {sys.version.split()[0]}, package versions {'differ: ' + '; '.join(wrong) if wrong else 'as pinned'}"
    )
    print(
        f"Machine   {processors()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB memory, {_accelerator()}"
    )
    print(
        f"Disk      {free / 2**30:.0f} GB free{'' if free > ENOUGH_DISK else ': too little, 2 GB are wanted'}"
    )
    print(f"Data      {_folder('SKILLKIT_DATA', 'real tasks: studies minilm and paper')}")
    print(f"Reference {_folder('SKILLKIT_REFERENCE', 'the released prompts: notebook 11')}")
    print(
        f"Browser   {'Chromium and its driver' if find_chromium() else 'no Chromium with driver: only check-book needs it'}"
    )
    return (
        1
        if wrong or free < ENOUGH_DISK or _is_broken("SKILLKIT_DATA") or _is_broken("SKILLKIT_REFERENCE")
        else 0
    )


def wrong_versions() -> list[str]:
    """Requirements of the package that are not met here, each with what is installed instead."""
    from packaging.requirements import Requirement

    found = []
    for line in metadata.requires("skillkit") or []:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            installed = "nothing"
        if installed == "nothing" or not wanted.specifier.contains(installed, prereleases=True):
            found.append(f"{wanted}, installed: {installed}")
    return found


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def _folder(variable: str, purpose: str) -> str:
    """What a folder variable points to, in words."""
    value = os.environ.get(variable)
    if not value:
        return f"{variable} is not set ({purpose})"
    if _is_broken(variable):
        return f"{variable}={value} is no folder; correct or unset it"
    known = sorted(path.name for path in Path(value).iterdir() if path.name in TASKS)
    return f"{value}{', with ' + str(len(known)) + ' known tasks' if known else ''}"


def _is_broken(variable: str) -> bool:
    value = os.environ.get(variable)
    return bool(value) and not Path(str(value)).is_dir()
