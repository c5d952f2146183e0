"""Prompts and scores as safetensors files: written whole, read with one clear error for each fault.

A file carries a digest of all that it holds, so that a number changed on the disk is never used.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from skillkit.errors import MissingFile, SkillkitError
from skillkit.files import atomic_write, file_digest
from skillkit.provenance import note_read


@dataclass(frozen=True)
class ArtifactKind:
    """A kind of file.

    Attributes:
        key: its name in the ledger of what was read.
        name: the same in words, such as "soft prompt".
        tensors: the names of the tensors that a file of this kind holds.
        notebook: the notebook that makes it.
    """

    key: str
    name: str
    tensors: tuple[str, ...]
    notebook: str


PROMPT = ArtifactKind("prompt", "soft prompt", ("prompt",), "01_prompt_tuning")
SCORES = ArtifactKind(
    "scores",
    "file of neuron scores",
    ("baseline", "accuracy", "predictivity", "deviation", "mean", "counts"),
    "02_skill_neurons",
)


def save_artifact(
    path: str | Path,
    kind: ArtifactKind,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write tensors as a file of this kind, whole or not at all."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    said = {"format": f"skillkit-{kind.key}{_WITH_DIGEST}", **(metadata or {})}
    with atomic_write(path) as temporary:
        save_file(ready, temporary, {**said, "sha256": content_digest(ready, said)})
    return Path(path)


def load_artifact(path: str | Path, kind: ArtifactKind) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file; that it was read is noted in the ledger of `provenance`.

    Files without a digest (older ones, and those that other programs wrote) are taken as they are.

    Raises:
        SkillkitError: no such file, a truncated or damaged file, or a file that holds something else.
    """
    if not Path(path).exists():
        raise MissingFile(f"There is no {kind.name} at {path}. Run notebook {kind.notebook} first.")
    try:
        with safe_open(path, framework="pt") as file:
            held, metadata = list(file.keys()), file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in held}
    except (SafetensorError, OSError) as error:
        raise SkillkitError(
            f"The {kind.name} {path} is truncated or foreign ({error}). "
            f"Delete it and run {kind.notebook} again."
        ) from error
    _check_undamaged(path, kind, tensors, metadata)
    _check_kind(path, kind, held)
    note_read(kind.key, path, file_digest(path))
    return {name: tensors[name] for name in kind.tensors}, metadata


def content_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """The SHA-256 of the names, dtypes, shapes and bytes of some tensors, and of what is said of them."""
    digest = hashlib.sha256(json.dumps(metadata or {}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        if tensor.is_meta:  # a model of shapes alone
            continue
        # As bytes, because numpy has no bfloat16. A tensor without a dimension has no bytes to look at.
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


_WITH_DIGEST = "-2"
"""Ends the format of files that carry a digest: one that has lost its digest is damaged, not old."""


def _check_undamaged(
    path: str | Path, kind: ArtifactKind, tensors: Mapping[str, Tensor], metadata: dict[str, str]
) -> None:
    said = {name: value for name, value in metadata.items() if name != "sha256"}
    if "sha256" not in metadata and not said.get("format", "").endswith(_WITH_DIGEST):
        return
    if metadata.get("sha256") != content_digest(tensors, said):
        raise SkillkitError(
            f"The {kind.name} {path} is damaged: it does not hold what was written into it. Delete it; "
            f"`skillkit run` (or `skillkit page` for {kind.notebook}) makes it again."
        )


def _check_kind(path: str | Path, kind: ArtifactKind, held: Collection[str]) -> None:
    if not set(kind.tensors) <= set(held):
        raise SkillkitError(
            f"{path} holds {sorted(held)}, not a {kind.name}. Give a file that skillkit saved as one."
        )
