"""Prompt tuning learns, is deterministic, touches nothing but the prompt, and survives being killed."""

import pytest
import torch
from tiny import FAMILIES, TASK, fresh_backbone, tiny_backbone, toy_data

import skillkit.tuning.prompt as tuning
from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt
from skillkit.tuning.prompt import tune_prompt

QUICK = dict(length=4, steps=12, batch_size=8, evaluate_every=4, learning_rate=0.05)


def weights(backbone):
    return {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_prompt_learns(family):
    backbone, data = tiny_backbone(family), toy_data()
    before = weights(backbone)
    tuned = tune_prompt(backbone, data, **QUICK)
    start = SoftPrompt.initial(backbone, 4, 0)
    assert not torch.equal(tuned.prompt.matrix, start.matrix) or tuned.validation_accuracy > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.model.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.model.parameters())


def test_the_loss_falls_and_the_task_is_learnt():
    data = toy_data(train=200, scored=80)
    tuned = tune_prompt(
        tiny_backbone("roberta"),
        data,
        length=8,
        steps=150,
        batch_size=16,
        evaluate_every=25,
        learning_rate=0.1,
    )
    assert tuned.history["loss"].iloc[-1] < tuned.history["loss"].iloc[0] - 0.05
    assert tuned.validation_accuracy > 0.75


def test_same_seed_same_prompt():
    runs = [tune_prompt(tiny_backbone("t5"), toy_data(), seed=seed, **QUICK) for seed in (3, 3, 4)]
    assert torch.equal(runs[0].prompt.matrix, runs[1].prompt.matrix)
    assert runs[0].history.equals(runs[1].history)
    assert not torch.equal(runs[0].prompt.matrix, runs[2].prompt.matrix)


def test_the_best_checkpoint_is_kept():
    tuned = tune_prompt(tiny_backbone("roberta"), toy_data(), **{**QUICK, "steps": 40})
    assert tuned.validation_accuracy == tuned.history["accuracy"].max()


def test_patience_stops_early():
    tuned = tune_prompt(tiny_backbone("roberta"), toy_data(), **{**QUICK, "steps": 400}, patience=2)
    rows = tuned.history["accuracy"]
    assert len(rows) < 100
    assert rows.iloc[-2:].max() <= rows.max()
    assert rows.idxmax() == len(rows) - 3


def test_a_killed_run_goes_on_to_the_same_prompt(tmp_path, monkeypatch):
    whole = tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK)
    saved, checkpoint = tuning._save, tmp_path / "run.pt"

    def save_then_die(path, state, *rest):
        saved(path, state, *rest)
        if state.step == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "_save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK, checkpoint=checkpoint)
    monkeypatch.setattr(tuning, "_save", saved)
    resumed = tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK, checkpoint=checkpoint)
    assert torch.equal(resumed.prompt.matrix, whole.prompt.matrix)
    assert resumed.history.equals(whole.history)


@pytest.mark.parametrize("patience", [None, 1])
def test_a_finished_run_is_not_made_again(tmp_path, monkeypatch, patience):
    """A page that is killed while it tunes its second prompt has its first one still."""
    options = {**QUICK, "steps": 40, "patience": patience, "checkpoint": tmp_path / "run.pt"}
    first = tune_prompt(tiny_backbone("roberta"), toy_data(), **options)
    monkeypatch.setattr(tuning, "_save", None)  # would be called after another step
    again = tune_prompt(tiny_backbone("roberta"), toy_data(), **options)
    assert torch.equal(again.prompt.matrix, first.prompt.matrix)
    assert again.history.equals(first.history) and again.validation_accuracy == first.validation_accuracy


def test_checkpoints_of_other_runs_and_broken_ones_are_refused(tmp_path, monkeypatch):
    checkpoint = tmp_path / "run.pt"
    saved = tuning._save

    def save_then_die(path, state, *rest):
        saved(path, state, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "_save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK, checkpoint=checkpoint)
    with pytest.raises(SkillkitError, match="other settings or texts"):
        tune_prompt(
            tiny_backbone("roberta"), toy_data(), **{**QUICK, "learning_rate": 0.01}, checkpoint=checkpoint
        )
    with pytest.raises(SkillkitError, match="other settings or texts"):  # a text was mended
        tune_prompt(tiny_backbone("roberta"), toy_data(train=25), **QUICK, checkpoint=checkpoint)
    checkpoint.write_bytes(b"half")
    with pytest.raises(SkillkitError, match="truncated or foreign"):
        tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK, checkpoint=checkpoint)


def test_a_loss_that_is_not_a_number_says_so():
    backbone = fresh_backbone("t5")
    with torch.no_grad():
        backbone.embeddings.weight[backbone.tokenizer.convert_tokens_to_ids("word3")] = torch.nan
    with pytest.raises(SkillkitError, match=r"became nan at step \d+ .* lower learning rate"):
        tune_prompt(backbone, toy_data(), **QUICK, initial=SoftPrompt(torch.zeros(4, 12)))


def test_tuning_can_start_from_another_prompt():
    backbone = tiny_backbone("roberta")
    other = SoftPrompt.initial(backbone, 6, 9)
    tuned = tune_prompt(backbone, toy_data(), **{**QUICK, "learning_rate": 0.0}, initial=other)
    assert torch.equal(tuned.prompt.matrix, other.matrix)


def test_impossible_settings_are_refused():
    with pytest.raises(SkillkitError, match="positive"):
        tune_prompt(tiny_backbone("roberta"), toy_data(), steps=0)
    with pytest.raises(SkillkitError, match="no 'validation' split"):
        tune_prompt(tiny_backbone("roberta"), TaskData(TASK, {"test": toy_data().test}, "the test"))


def test_every_evaluation_can_be_looked_at():
    backbone, data = tiny_backbone("roberta"), toy_data()
    seen = {}
    tuned = tune_prompt(
        backbone, data, length=2, steps=6, evaluate_every=2, batch_size=8, each=seen.__setitem__
    )
    assert list(seen) == [1, 2, 3]
    assert any(torch.equal(prompt.matrix, tuned.prompt.matrix) for prompt in seen.values())
    assert not torch.equal(seen[1].matrix, seen[3].matrix)
