"""Which file of a task's folder holds which split.

The names are fixed (``train.csv``, ``validation.parquet``, …), so that nothing is guessed. A file that
clearly means a split under another name is refused with the name that it should have: left aside without a
word, it would be missed by whoever put it there.
"""

import re
from pathlib import Path

from skillkit.errors import SkillkitError

SPLITS = ("train", "validation", "test")
SUFFIXES = (".parquet", ".csv", ".json", ".jsonl")
ANNOTATIONS = "annotations.parquet"

# What people and libraries call the splits.
_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_OTHER_SUFFIXES = (".tsv", ".txt", ".xlsx", ".xls", ".arrow", ".ndjson", ".gz", ".zip", ".bz2", ".xz", ".pkl")
_SHARD = re.compile(r"(-\d+(?:-of-\d+)?)$")  # train-00000-of-00002


def split_files(folder: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The file of each split that is there, and a note for each data file that is not read.

    Raises:
        SkillkitError: two files of one split, or a file that means a split but is named in another way.
    """
    found: dict[str, Path] = {}
    unread = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == ANNOTATIONS:
            continue
        split = _meant(path)
        if split is None:
            unread += [path.name] if path.suffix.lower() in (*SUFFIXES, *_OTHER_SUFFIXES) else []
        elif path.is_dir() or path.stem != split or path.suffix not in SUFFIXES:
            raise SkillkitError(f"{path} is not read under this name. {_remedy(path, split)}")
        elif split in found:
            raise SkillkitError(
                f"{folder} holds two files for the {split} split: {found[split].name} and {path.name}. "
                "Remove the one that is not meant."
            )
        else:
            found[split] = path
    names = ", ".join(f"{folder.name}/{name}" for name in unread)
    return found, ((f"Not read, since no split has such a name: {names}.",) if unread else ())


def _meant(path: Path) -> str | None:
    """The split that a file or folder is meant for, going by its name; None where it says nothing."""
    if not path.is_dir() and path.suffix.lower() not in (*SUFFIXES, *_OTHER_SUFFIXES):
        return None
    stem = path.name.lower() if path.is_dir() else path.name.lower().partition(".")[0]
    return _NAMES.get(_SHARD.sub("", stem))


def _remedy(path: Path, split: str) -> str:
    """What to do with a file or folder that means a split and is named in another way."""
    taken = [name for name in (f"{split}{suffix}" for suffix in SUFFIXES) if (path.parent / name).exists()]
    if taken and path.name not in taken:
        return f"Remove it, or {taken[0]}: a split is one file."
    suffix = path.suffix.lower()
    if path.is_dir():
        return f"Write its rows to one file, {split}.parquet (in Python: dataset.to_parquet)."
    shard = _SHARD.search(path.stem)
    if shard and not shard[1].endswith("-of-00001"):
        return f"Join the pieces into one file, {split}.parquet."
    if suffix in (*SUFFIXES, ".ndjson"):
        return f"Rename it to {split}{'.jsonl' if suffix == '.ndjson' else suffix}."
    how = "separated by commas" if suffix in (".tsv", ".txt") else "unpacked"
    return f"Save it as {split}.csv, {how}, or as one of {', '.join(SUFFIXES)}."
