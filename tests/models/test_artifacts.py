"""Files of prompts and scores: round trips, the ledger, and a clear error for each fault."""

import pytest
import torch

from skillkit.errors import MissingFile, SkillkitError
from skillkit.files import file_digest
from skillkit.models.artifacts import PROMPT, SCORES, load_artifact, save_artifact
from skillkit.provenance import READS


def test_what_is_saved_is_read_and_noted(tmp_path):
    path = tmp_path / "deep" / "seed-0.safetensors"
    matrix = torch.rand(3, 4).T  # not contiguous
    assert save_artifact(path, PROMPT, {"prompt": matrix}, {"meta": "{}"}) == path
    tensors, metadata = load_artifact(path, PROMPT)
    assert torch.equal(tensors["prompt"], matrix)
    assert metadata == {"format": "skillkit-prompt", "meta": "{}"}
    assert READS["prompt"][str(path)] == file_digest(path)


def test_each_fault_is_named(tmp_path):
    path = tmp_path / "seed-0.safetensors"
    with pytest.raises(MissingFile, match="Run notebook 01_prompt_tuning first"):
        load_artifact(path, PROMPT)
    save_artifact(path, PROMPT, {"prompt": torch.rand(2, 2)})
    with pytest.raises(SkillkitError, match=r"holds \['prompt'\], not a file of neuron scores"):
        load_artifact(path, SCORES)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(SkillkitError, match="truncated or foreign"):
        load_artifact(path, PROMPT)
