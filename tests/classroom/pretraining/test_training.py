"""The shipped weights, and the recipe that made them."""

import csv
import hashlib
import json
from dataclasses import asdict

import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer

from skillkit import load_backbone
from skillkit.classroom.pretraining.architectures import BLIND_HEADS, FAMILIES, build_model, losses
from skillkit.classroom.pretraining.batches import IGNORED, Batch
from skillkit.classroom.pretraining.corpus import tokenizer_words
from skillkit.classroom.pretraining.tokenizer import build_tokenizer
from skillkit.classroom.pretraining.training import RECIPES, Recipe, Round, Run, pretrain
from skillkit.errors import SkillkitError
from skillkit.models.bundled import model_path

NAMES = sorted(FAMILIES)
MEGABYTE = 1_000_000


def recorded(name):
    return json.loads((model_path(name) / "training.json").read_text())


def recorded_curve(name):
    with (model_path(name) / "curve.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_are_small_half_precision_and_the_recorded_ones(name):
    weights = model_path(name) / "model.safetensors"
    assert weights.stat().st_size == recorded(name)["bytes"] <= 12 * MEGABYTE
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert digest == recorded(name)["sha256"]
    assert digest in (model_path(name) / "README.md").read_text()
    with safe_open(weights, framework="pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118


@pytest.mark.parametrize("name", NAMES)
def test_shipped_model_loads_in_float32(name):
    backbone = load_backbone(name, device="cpu")
    assert backbone.family == FAMILIES[name]
    assert backbone.hidden_size == 96
    assert {parameter.dtype for parameter in backbone.model.parameters()} == {torch.float32}
    count = sum(parameter.numel() for parameter in backbone.model.parameters())
    assert count == recorded(name)["parameters"] <= 6_000_000
    assert {site.width for site in backbone.sites} == {384}
    assert len(backbone.sites) == 6


def test_the_two_models_are_matched():
    one, two = (recorded(name) for name in NAMES)
    assert one["vocabulary_sha256"] == two["vocabulary_sha256"]
    assert abs(one["parameters"] / two["parameters"] - 1) < 0.1
    for key in ("steps", "batch_size", "seed"):
        assert one["recipe"][key] == two["recipe"][key]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_tokenizer_knows_every_word_of_the_grammar(name):
    tokenizer = AutoTokenizer.from_pretrained(model_path(name))
    words = sorted(tokenizer_words())
    encoded = tokenizer(words, add_special_tokens=False)["input_ids"]
    assert [tokenizer.convert_ids_to_tokens(ids) for ids in encoded] == [[word] for word in words]
    assert [tokenizer.decode(ids) for ids in encoded] == words
    assert len(tokenizer) == recorded(name)["vocabulary_size"]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_are_of_the_present_recipe(name):
    assert recorded(name)["recipe"] == json.loads(json.dumps(asdict(RECIPES[name])))


def test_an_untrained_word_looks_for_its_like_and_half_of_the_heads_not_at_itself():
    tokenizer = build_tokenizer(tokenizer_words())
    torch.manual_seed(0)
    model = build_model("mini-t5", tokenizer).eval()
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(["film", "boy", "child", "good", "boy"])])
    with torch.no_grad():
        layers = model.encoder(ids, output_attentions=True).attentions
    for attention in layers:  # [1, heads, words, words]
        itself, its_like = attention[0, :, 1, 1], attention[0, :, 1, 4]
        assert (itself[:BLIND_HEADS] < 0.01).all()
        assert (its_like[:BLIND_HEADS] > 0.5).all()
        assert (itself[BLIND_HEADS:] > 0.2).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_follow_the_recorded_curve(name):
    """The first 40 steps give the recorded losses, to a per cent: other machines add in another order."""
    run = Run(RECIPES[name])
    for _ in range(40):
        run.train_step()
    for row, kept in zip(run.curve, recorded_curve(name), strict=False):
        assert row["step"] == kept["step"]
        assert row["text_loss"] == pytest.approx(kept["text_loss"], rel=0.02, abs=1e-3)
        assert row["answer_loss"] == pytest.approx(kept["answer_loss"], rel=0.02)
        assert row["learning_rate"] == pytest.approx(kept["learning_rate"], rel=1e-4)
    first, last = (sum(row["answer_loss"] for row in part) / 5 for part in (run.curve[:5], run.curve[-5:]))
    assert last < first - 0.3
    assert recorded_curve(name)[-1]["answer_loss"] < last - 0.9


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_ends_with_the_same_weights(name, tmp_path):
    rounds = (Round(0, 1e-3), Round(2, 5e-4, word_rate=2.0))
    recipe = Recipe(name, steps=4, rounds=rounds, batch_size=4, warm_up=1)
    whole = Run(recipe)
    for _ in range(4):
        whole.train_step()
    part = Run(recipe)
    part.train_step()
    part.train_step()
    part.save_checkpoint(tmp_path / "checkpoint.pt")
    pretrain(recipe, tmp_path, device="cpu", progress=False)
    assert not (tmp_path / "checkpoint.pt").exists()
    again = load_backbone(str(tmp_path), device="cpu").model.state_dict()
    for key, value in whole.model.state_dict().items():
        assert torch.equal(again[key], value.half().float()), key
    assert json.loads((tmp_path / "training.json").read_text())["recipe"]["steps"] == 4
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 5


def test_the_learning_rate_rises_and_falls_once_in_each_round():
    rounds = (Round(0, 1e-3), Round(10, 5e-4), Round(100, 1.0))
    run = Run(Recipe("mini-t5", steps=20, rounds=rounds, batch_size=2, warm_up=2))
    for _ in range(20):
        run.train_step()
    rates = [row["learning_rate"] for row in run.curve]
    for part, most in ((rates[:10], 1e-3), (rates[10:], 5e-4)):
        assert part[0] == pytest.approx(most / 2)
        assert part[1] == max(part) == pytest.approx(most)
        assert sorted(part[1:], reverse=True) == part[1:]
        assert part[-1] < most / 4


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    run = Run(Recipe("mini-t5", steps=4, batch_size=4))
    run.save_checkpoint(tmp_path / "checkpoint.pt")
    with pytest.raises(SkillkitError, match="another recipe"):
        pretrain(Recipe("mini-t5", steps=5, batch_size=4), tmp_path, device="cpu", progress=False)


@pytest.mark.parametrize("name", NAMES)
def test_the_slot_loss_is_the_cross_entropy_of_softened_answers(name):
    """Against the definition, written out line by line, through the model's own forward pass."""
    run = Run(Recipe(name, steps=1, batch_size=4))
    tokenizer = run.tokenizer
    inputs = torch.tensor([tokenizer("<mask> the plot was good")["input_ids"][1:]] * 2)
    good = tokenizer.convert_tokens_to_ids("good")
    targets = torch.full((2, 3 if name == "mini-t5" else inputs.shape[1]), IGNORED)
    batch = Batch(inputs, torch.ones_like(inputs), targets, torch.tensor([good, IGNORED]))
    labels = tokenizer.convert_tokens_to_ids(["good", "bad"])
    text, slot = losses(run.model, batch, torch.tensor(labels), doubt=0.2)
    assert len(text) == 0
    if name == "mini-t5":
        start = torch.full((2, 1), tokenizer.pad_token_id)
        logits = run.model(inputs, decoder_input_ids=start).logits[:, 0]
    else:
        logits = run.model(inputs).logits[:, 0]
    log = logits.log_softmax(-1)
    expected = [
        -(0.9 * log[0, labels[0]] + 0.1 * log[0, labels[1]]),
        -(0.5 * log[1, labels[0]] + 0.5 * log[1, labels[1]]),
    ]
    assert torch.allclose(slot, torch.stack(expected), atol=1e-5)


def test_an_unknown_model_is_refused():
    with pytest.raises(SkillkitError, match="mini-t5"):
        model_path("mini-t6")
