"""Files of prompts and scores: round trips, the ledger, and a clear error for each fault."""

import pytest
import torch
from safetensors.torch import save_file

from skillkit.errors import MissingFile, SkillkitError
from skillkit.files import file_digest
from skillkit.models.artifacts import PROMPT, SCORES, content_digest, load_artifact, save_artifact
from skillkit.provenance import READS


def test_what_is_saved_is_read_and_noted(tmp_path):
    path = tmp_path / "deep" / "seed-0.safetensors"
    matrix = torch.rand(3, 4).T  # not contiguous
    assert save_artifact(path, PROMPT, {"prompt": matrix}, {"meta": "{}"}) == path
    tensors, metadata = load_artifact(path, PROMPT)
    assert torch.equal(tensors["prompt"], matrix)
    assert metadata["meta"] == "{}" and len(metadata["sha256"]) == 64
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


def test_no_byte_can_change_unnoticed(tmp_path):
    path = save_artifact(
        tmp_path / "seed-0.safetensors", PROMPT, {"prompt": torch.rand(1, 2)}, {"meta": "{}"}
    )
    whole, tensors = path.read_bytes(), load_artifact(path, PROMPT)[0]
    for byte in range(len(whole)):
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << byte % 8
        path.write_bytes(flipped)
        try:
            found, metadata = load_artifact(path, PROMPT)
        except SkillkitError:
            continue
        assert torch.equal(found["prompt"], tensors["prompt"]) and metadata["meta"] == "{}"  # white space


def test_damage_is_named_with_what_makes_the_file_again(tmp_path):
    path = save_artifact(tmp_path / "seed-0.safetensors", PROMPT, {"prompt": torch.rand(2, 2)})
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(SkillkitError, match=r"is damaged.*skillkit run.*01_prompt_tuning"):
        load_artifact(path, PROMPT)


def test_files_of_other_programs_need_no_digest(tmp_path):
    matrix, path = torch.rand(2, 2), tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}, {"format": "skillkit-prompt"}):
        save_file({"prompt": matrix}, path, metadata)
        assert torch.equal(load_artifact(path, PROMPT)[0]["prompt"], matrix)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_any_tensor_has_a_digest(dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    digests = {
        content_digest({"a": tensor}),
        content_digest({"b": tensor}),
        content_digest({"a": tensor.reshape(3, 2)}),
        content_digest({"a": tensor.flip(1)}),
        content_digest({"a": tensor}, {"seed": "0"}),
        content_digest({"a": tensor[:0]}),
        content_digest({"a": tensor[0, 0]}),
    }
    assert len(digests) == 7
