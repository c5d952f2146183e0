"""Backbones: sites, names, hashes, and one clear error for each way that loading fails."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import FAMILIES, TASK, tiny_backbone, tiny_model, tiny_tokenizer, toy_dataset
from transformers import BertModel

from skillkit.errors import SkillkitError
from skillkit.models import bundled
from skillkit.models.backbones import load_backbone, make_backbone
from skillkit.models.prompts import SoftPrompt, label_logits


def saved(folder, family):
    tiny_model(family).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_a_local_folder_gives_the_same_model(tmp_path, backbone):
    family = backbone.name.removeprefix("tiny-")
    loaded = load_backbone(str(saved(tmp_path, family)), device="cpu")
    assert loaded.sites == backbone.sites
    assert loaded.family == backbone.family
    prompt, dataset = SoftPrompt.initial(backbone, 3, 0), toy_dataset(5, 0)
    torch.testing.assert_close(
        label_logits(loaded, prompt, dataset, TASK), label_logits(backbone, prompt, dataset, TASK)
    )


def test_sites_are_the_ffns_encoder_first():
    assert [str(site) for site in tiny_backbone("t5").sites] == [
        "encoder 0",
        "encoder 1",
        "decoder 0",
        "decoder 1",
    ]
    assert [str(site) for site in tiny_backbone("llama").sites] == ["decoder 0", "decoder 1"]


def test_the_projections_of_a_site(backbone):
    gated = backbone.name in ("tiny-t5-gated", "tiny-llama")
    for site in backbone.sites:
        assert len(backbone.up(site)) == (2 if gated else 1)
        assert site.width == backbone.width == 20


def test_the_backbone_is_frozen_and_without_dropout(backbone):
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert not backbone.model.training


def test_only_label_word_rows_are_projected(backbone):
    """The vocabulary projection itself must not run."""
    path = backbone.architecture.projection
    handle = backbone.model.get_submodule(path).register_forward_hook(
        lambda *_: pytest.fail("the whole vocabulary was projected")
    )
    label_logits(backbone, SoftPrompt.initial(backbone, 3, 0), toy_dataset(5, 0), TASK)
    handle.remove()


def test_t5_v1_1_does_not_scale_its_decoder_output(tmp_path):
    """transformers keeps this in `tie_word_embeddings` of the saved config; it must survive the disk."""
    assert tiny_backbone("t5").model.config.scale_decoder_outputs
    assert not tiny_backbone("t5-gated").model.config.scale_decoder_outputs
    assert not load_backbone(str(saved(tmp_path, "t5-gated"))).model.config.scale_decoder_outputs


def test_minilm_comes_from_its_package_with_its_hash_checked(monkeypatch):
    backbone = load_backbone("minilm", device="cpu")
    assert (backbone.family, backbone.hidden_size, len(backbone.sites), backbone.width) == (
        "masked-lm",
        384,
        6,
        1536,
    )
    monkeypatch.setitem(bundled.MODELS, "minilm", replace(bundled.MODELS["minilm"], sha256="0" * 64))
    with pytest.raises(SkillkitError, match="sha256"):
        load_backbone("minilm")


def test_a_pooler_is_not_needed(tmp_path):
    bare = BertModel(tiny_model("bert").config, add_pooling_layer=False)
    bare.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_backbone(str(tmp_path), device="cpu").architecture.name == "bert-encoder"


CODE = {"auto_map": {"AutoConfig": "own.Config", "AutoModelForMaskedLM": "own.Model"}}


def change_config(folder, changes):
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return str(folder)


class TestCodeOfAModelFolder:
    """It is never run, and nobody is asked at the terminal whether it may."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked at the terminal"))
        (saved(tmp_path, "roberta") / "own.py").write_text("raise SystemExit('the code was run')")
        return tmp_path

    def test_an_unknown_model_type_is_refused(self, folder):
        change_config(folder, {**CODE, "model_type": "own"})
        with pytest.raises(SkillkitError, match=r"Unknown architecture 'own'.* never run") as error:
            load_backbone(str(folder))
        assert "\n" not in str(error.value)

    def test_a_known_model_type_is_loaded_by_the_code_of_transformers(self, folder):
        assert load_backbone(change_config(folder, CODE), device="cpu").family == "masked-lm"

    def test_a_tokenizer_brings_none_either(self, folder):
        config = folder / "tokenizer_config.json"
        own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Slow", "own.Fast"]}}
        config.write_text(json.dumps({**json.loads(config.read_text()), **own}))
        assert len(load_backbone(str(folder), device="cpu").tokenizer) == len(tiny_tokenizer())


class TestBadModels:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_folder_without_a_tokenizer(self, tmp_path, family):
        tiny_model(family).save_pretrained(tmp_path)
        with pytest.raises(SkillkitError, match="has no tokenizer"):
            load_backbone(str(tmp_path))

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"model_type": 3}, "Unknown architecture '3'"),
            ({"model_type": None}, "Unknown architecture 'None'"),
            ({"num_hidden_layers": 0}, r"further layers: roberta\.encoder\.layer\.0"),
            ({"num_hidden_layers": 1}, r"further layers: roberta\.encoder\.layer\.1"),
            ({"num_attention_heads": 5}, "cannot be loaded"),
            ({"vocab_size": 0}, "cannot be loaded"),
            ({"tie_word_embeddings": False}, r"they lack lm_head\.decoder"),
            ({"is_decoder": True}, "hides the text"),
        ],
    )
    def test_a_config_that_does_not_fit(self, tmp_path, changes, said):
        folder = change_config(saved(tmp_path, "roberta"), changes)
        with pytest.raises(SkillkitError, match=said):
            load_backbone(folder)

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            *(("name", value) for value in (None, 3, "", "~nobody")),
            *(("dtype", value) for value in (None, "int8", torch.float32)),
            *(("device", value) for value in (None, 3)),
            *(("max_text_tokens", value) for value in (0, -1, 2.0, "9", True)),
            ("revision", 3),
        ],
    )
    def test_wrong_arguments(self, tmp_path, argument, value):
        options = {"name": str(saved(tmp_path, "bert")), "device": "cpu", argument: value}
        with pytest.raises(SkillkitError, match=r"\. |; expected"):
            load_backbone(**options)

    def test_unknown_names_without_network(self):
        with pytest.raises(SkillkitError, match=r"neither bundled .* network"):
            load_backbone("no-such-model-anywhere")

    def test_paths_that_are_no_folder(self, tmp_path):
        with pytest.raises(SkillkitError, match="no model folder"):
            load_backbone(str(tmp_path / "absent"))
        with pytest.raises(SkillkitError, match=r"no config\.json"):
            load_backbone(str(tmp_path))

    def test_truncated_weights(self, tmp_path):
        weights = saved(tmp_path, "roberta") / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(SkillkitError, match="truncated or foreign"):
            load_backbone(str(tmp_path))

    @pytest.mark.parametrize(("lost", "named"), [("lm_head", "lm_head.bias"), ("layer.1.", "layer.1.att")])
    def test_weights_that_lack_a_part(self, tmp_path, lost, named):
        weights = saved(tmp_path, "roberta") / "model.safetensors"
        kept = {name: tensor for name, tensor in load_file(weights).items() if lost not in name}
        save_file(kept, weights, {"format": "pt"})
        with pytest.raises(SkillkitError, match=rf"they lack .*{named}.* and \d+ more\. Give all weights"):
            load_backbone(str(tmp_path))

    def test_weights_of_another_model(self, tmp_path):
        foreign = saved(tmp_path / "gpt2", "gpt2") / "model.safetensors"
        folder = saved(tmp_path / "roberta", "roberta")
        (folder / "model.safetensors").write_bytes(foreign.read_bytes())
        with pytest.raises(SkillkitError, match="incomplete or foreign: for a RobertaForMaskedLM they lack"):
            load_backbone(str(folder))

    def test_weights_of_another_size(self, tmp_path):
        config = saved(tmp_path, "roberta") / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "intermediate_size": 24}))
        with pytest.raises(SkillkitError, match=r"another size for .*intermediate"):
            load_backbone(str(tmp_path))

    def test_unsupported_architecture(self, tmp_path):
        config = saved(tmp_path, "roberta") / "config.json"
        config.write_text(
            json.dumps(
                {
                    **json.loads(config.read_text()),
                    "model_type": "albert",
                    "architectures": ["AlbertForMaskedLM"],
                }
            )
        )
        with pytest.raises(SkillkitError, match=r"Unknown architecture 'albert'"):
            load_backbone(str(tmp_path))

    def test_unknown_dtype_and_device(self, tmp_path):
        with pytest.raises(SkillkitError, match="Did you mean 'float32'"):
            load_backbone(str(saved(tmp_path, "roberta")), dtype="float31")
        with pytest.raises(SkillkitError, match="cannot be used"):
            make_backbone("tiny", tiny_model("roberta"), tiny_tokenizer(), device="spaceship")


def test_half_precision_weights_are_scored_in_float32(tmp_path):
    backbone = load_backbone(str(saved(tmp_path, "t5")), dtype="bfloat16", device="cpu")
    assert (
        label_logits(backbone, SoftPrompt.initial(backbone, 3, 0), toy_dataset(5, 0), TASK).dtype
        == torch.float32
    )
