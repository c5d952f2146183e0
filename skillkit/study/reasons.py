"""Why a page is made: Snakemake's reason for a job, in a few plain words."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

PLAIN = {
    "Missing output files": "not made yet",
    "Updated input files": "changed: ",
    "Params have changed": "other parameters than last time",
    "Input files updated by another job": "reads a page that is made anew",
    "Set of input files has changed": "reads other files than last time",
    "Code has changed": "the Snakefile changed",
    "Forced execution": "asked for",
    "Incomplete": "was interrupted",
}

_DIGESTS = re.compile(r"'((?:[^\s'=]+=[0-9a-f]{1,64} ?)+)'")
"""A parameter of a page that holds digests, as Snakemake writes it: the words of `sources.code_words` and of
`outside.outside_words`."""

_KINDS = {"notebook": "changed", "code": "code changed", "data": "data changed", "model": "model changed"}


def explain(reason: str) -> str:
    """Snakemake's reason for a job, in a few plain words."""
    for words, said in PLAIN.items():
        if (at := reason.find(words)) < 0:
            continue
        details = reason[at:].partition(": ")[2].partition(";")[0]
        if words == "Missing output files" and any(_was_made(path) for path in details.split(", ")):
            return "its files are not those that it wrote"
        if words == "Params have changed":
            return _explain_parameters(reason, said)
        return said + details if said.endswith(": ") else said
    return reason


def _explain_parameters(reason: str, otherwise: str) -> str:
    """Which code, notebook, data and model files differ, if it is them."""
    before, _, now = reason.partition(" now: ")
    words = [" ".join(_DIGESTS.findall(part)) for part in (before, now)]
    said = [f"{_KINDS[kind]}: {', '.join(names)}" for kind, names in changed_files(*words).items()]
    if said and not all(words):  # the last time there was no such parameter
        said = [_KINDS["code"]]
    if not said or "{" in _DIGESTS.sub("", reason):
        said.append(otherwise)
    return ", and ".join(said)


def changed_files(before: str, now: str) -> dict[str, list[str]]:
    """The files that differ between two lists of words such as `data:sst2/train.csv=3fa1…`, by kind."""
    changed: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    for word in {*before.split()} ^ {*now.split()}:
        kind, _, name = word.rpartition("=")[0].rpartition(":")
        changed[kind or "code"].add(unquote(name))
    return {kind: sorted(names) for kind, names in changed.items() if names}


def _was_made(path: str) -> bool:
    """Whether a missing file is the receipt of a page that has a table."""
    return path.endswith(".sha256") and Path(path).with_suffix(".parquet").is_file()
