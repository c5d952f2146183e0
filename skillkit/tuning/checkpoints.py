"""The file in which a run of tuning keeps its state, so that a killed run goes on where it was.

A file is a line with a digest, and then what ``torch.save`` makes of the state. One that is damaged, or that
belongs to a run with other settings, texts or weights, costs no more than the time that it would have saved:
the run starts afresh, and says so.
"""

import hashlib
import io
import json
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from skillkit.errors import SkillkitError
from skillkit.files import atomic_write


@dataclass(frozen=True)
class Checkpoint:
    """The file in which a run keeps its state, and what names the run (texts and numbers)."""

    path: Path
    identity: dict[str, Any]

    def save(self, state: dict[str, Any]) -> None:
        """Write a state, whole or not at all: tensors, numbers, texts, and lists and dicts of them."""
        buffer = io.BytesIO()
        torch.save({"identity": self._named, "state": state}, buffer)
        content = buffer.getvalue()
        with atomic_write(self.path) as temporary:
            temporary.write_bytes(_digest(content) + b"\n" + content)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state that was saved, None where there is none that can be used.

        Warns:
            UserWarning: there is a file, but it is damaged or belongs to another run.

        Raises:
            SkillkitError: the path is that of a folder.
        """
        if self.path.is_dir():
            raise SkillkitError(f"The checkpoint {self.path} is a folder. Give the path of a file.")
        if not self.path.exists():
            return None
        held = self._read(device)
        if held is None:
            self._start_afresh("is damaged, or no checkpoint")
        elif held["identity"] != self._named:
            self._start_afresh(f"belongs to a run with {self._difference(held['identity'])}")
        else:
            return held["state"]
        return None

    @property
    def _named(self) -> str:
        return json.dumps(self.identity, sort_keys=True)

    def _read(self, device: torch.device) -> dict[str, Any] | None:
        """What the file holds; None if it is not exactly what ``save`` wrote."""
        digest, _, content = self.path.read_bytes().partition(b"\n")
        if digest != _digest(content):
            return None
        try:
            return torch.load(io.BytesIO(content), weights_only=True, map_location=device)
        except (RuntimeError, pickle.UnpicklingError):  # written by another version of torch
            return None

    def _difference(self, identity: str) -> str:
        """In which of its settings another run differs from this one."""
        other = json.loads(identity)
        names = [name for name in self.identity if other.get(name) != json.loads(self._named)[name]]
        return f"other {', '.join(names)}" if names else "other settings"

    def _start_afresh(self, fault: str) -> None:
        warnings.warn(f"The checkpoint {self.path} {fault}. The run starts afresh.", stacklevel=4)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
