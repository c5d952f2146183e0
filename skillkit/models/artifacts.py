"""Prompts and scores as safetensors files: written whole, read with one clear error for each fault."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    with atomic_write(path) as temporary:
        save_file(ready, temporary, {"format": f"skillkit-{kind.key}", **(metadata or {})})
    return Path(path)


def load_artifact(path: str | Path, kind: ArtifactKind) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file; that it was read is noted in the ledger of `provenance`.

    Raises:
        SkillkitError: no such file, a truncated file, or a file that holds something else.
    """
    if not Path(path).exists():
        raise MissingFile(f"There is no {kind.name} at {path}. Run notebook {kind.notebook} first.")
    try:
        with safe_open(path, framework="pt") as file:
            held, metadata = list(file.keys()), file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in kind.tensors if name in held}
    except (SafetensorError, OSError) as error:
        raise SkillkitError(
            f"The {kind.name} {path} is truncated or foreign ({error}). "
            f"Delete it and run {kind.notebook} again."
        ) from error
    _check(path, kind, held)
    note_read(kind.key, path, file_digest(path))
    return tensors, metadata


def _check(path: str | Path, kind: ArtifactKind, held: Collection[str]) -> None:
    if not set(kind.tensors) <= set(held):
        raise SkillkitError(
            f"{path} holds {sorted(held)}, not a {kind.name}. Give a file that skillkit saved as one."
        )
