"""Damage: a file of a finished study is removed, cut off or altered; `run` must say so and make it again."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import nbformat

from storm.project import CELL, Project
from storm.runs import expect, last_lines

FILES = (
    "prompts/seed-0.safetensors",
    "prompts/seed-0.checkpoint",
    "scores/seed-0.safetensors",
    "01_prompt_tuning.parquet",
    "02_skill_neurons.parquet",
    "03_perturbation.parquet",
    "01_prompt_tuning.provenance.json",
    "03_perturbation.provenance.json",
    "notebooks/01_prompt_tuning.ipynb",
    "notebooks/03_perturbation.ipynb",
)
"""What is damaged, by its path in the folder of the study's one cell."""


def _remove(path: Path, draw: random.Random) -> None:
    path.unlink()


def _empty(path: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def _truncate(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(1, len(content))])


def flip(path: Path, draw: random.Random) -> None:
    """Turn one bit around."""
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


WAYS: dict[str, Callable[[Path, random.Random], None]] = {
    "removed": _remove,
    "emptied": _empty,
    "truncated": _truncate,
    "one bit flipped": flip,
}


CASES = [
    (file, way, dated)
    for file in FILES
    for way in WAYS
    for dated in (False, True)
    if not (dated and way == "removed")
]
"""Every file, damaged in every way, with a new date and with the one that it had."""


def damage(project: Project, draw: random.Random, case: tuple[str, str, bool], did: list[str]) -> None:
    """Damage a file of a finished study (a checkpoint: of an interrupted one), and run again."""
    file, way, dated = case
    is_checkpoint = file.endswith(".checkpoint")
    project.restore(project.interrupted if is_checkpoint else project.finished)
    path = project.folder / CELL / file
    before = path.stat()
    WAYS[way](path, draw)
    if dated:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    did.append(f"{file} {way}{' (date kept)' if dated else ''}, then `skillkit run`")
    said = project.run_again()
    if is_checkpoint:
        said += (project.folder / CELL / "notebooks" / "01_prompt_tuning.ipynb").read_text(encoding="utf-8")
    if not (is_checkpoint and way == "removed"):  # without one, a page starts afresh, as ever
        named = path.name if is_checkpoint else file
        expect(named in said, f"not noticed: no line names {named}; it said: {last_lines(said)[-300:]}")
    project.expect_as_undisturbed()
    expect(path.is_file() or is_checkpoint, f"{file} was not made again")
    expect_readable(project.folder / CELL)
    project.expect_up_to_date()


def expect_readable(cell: Path) -> None:
    """Raise Fault where an executed notebook or a provenance of the study's pages cannot be read."""
    for page in ("01_prompt_tuning", "02_skill_neurons", "03_perturbation"):
        for path, read in (
            (cell / "notebooks" / f"{page}.ipynb", lambda text: nbformat.reads(text, as_version=4)),
            (cell / f"{page}.provenance.json", json.loads),
        ):
            try:
                read(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                expect(False, f"{path.name} cannot be read: {error}")
