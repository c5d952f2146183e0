"""Prompt tuning learns, is deterministic, touches nothing but the prompt, and survives being killed."""

from dataclasses import replace

import pytest
import torch
from tiny import FAMILIES, TASK, fresh_backbone, tiny_backbone, toy_data

from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode_task
from skillkit.models.prompts import SoftPrompt
from skillkit.tuning.budget import TuningBudget
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


def killed_at(evaluation):
    """What dies, as `each`, at this evaluation, before its state is saved."""

    def die(number, prompt):
        if number == evaluation:
            raise KeyboardInterrupt

    return die


def test_a_killed_run_goes_on_to_the_same_prompt(tmp_path):
    whole = tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK)
    checkpoint, seen = tmp_path / "run.pt", []
    with pytest.raises(KeyboardInterrupt):
        tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK, checkpoint=checkpoint, each=killed_at(3))
    resumed = tune_prompt(
        tiny_backbone("roberta"),
        toy_data(),
        **QUICK,
        checkpoint=checkpoint,
        each=lambda *now: seen.append(now),
    )
    assert len(seen) == 1  # only the evaluation that was missed
    assert torch.equal(resumed.prompt.matrix, whole.prompt.matrix)
    assert resumed.history.equals(whole.history)


@pytest.mark.parametrize("patience", [None, 1])
def test_a_finished_run_is_not_made_again(tmp_path, patience):
    """A page that is killed while it tunes its second prompt has its first one still."""
    options = {**QUICK, "steps": 40, "patience": patience, "checkpoint": tmp_path / "run.pt"}
    first = tune_prompt(tiny_backbone("roberta"), toy_data(), **options)
    again = tune_prompt(tiny_backbone("roberta"), toy_data(), **options, each=killed_at(1))
    assert torch.equal(again.prompt.matrix, first.prompt.matrix)
    assert again.history.equals(first.history) and again.validation_accuracy == first.validation_accuracy


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


OTHER_RUNS = {
    "learning_rate": lambda start: dict(learning_rate=0.01),
    "train": lambda start: dict(data=toy_data(train=25)),
    "validation": lambda start: dict(data=toy_data(scored=20)),
    # The same numbers in another order, and so with the same sum.
    "start": lambda start: dict(start=replace(start, matrix=start.matrix.flip(0))),
}


@pytest.mark.parametrize("differs", OTHER_RUNS)
def test_a_checkpoint_of_another_run_is_replaced_with_a_warning(tmp_path, differs):
    checkpoint, start = tmp_path / "run.pt", SoftPrompt.initial(tiny_backbone("roberta"), 4, 0)

    def tune(data=None, start=start, **more):
        options = {**QUICK, **more, "start": start}
        return tune_prompt(tiny_backbone("roberta"), data or toy_data(), **options).prompt

    with pytest.raises(KeyboardInterrupt):
        tune(checkpoint=checkpoint, each=killed_at(2))
    other = OTHER_RUNS[differs](start)
    with pytest.warns(UserWarning, match=rf"a run with other .*{differs}.* starts afresh"):
        afresh = tune(**other, checkpoint=checkpoint)
    assert torch.equal(afresh.matrix, tune(**other).matrix)
    again = tune(**other, checkpoint=checkpoint, each=killed_at(1))  # which it never gets to
    assert torch.equal(again.matrix, afresh.matrix)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"half"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        flip_a_bit,
    ],
    ids=["foreign", "empty", "truncated", "flipped"],
)
def test_a_damaged_checkpoint_is_replaced_with_a_warning(tmp_path, damage):
    checkpoint, backbone = tmp_path / "run.pt", tiny_backbone("roberta")
    whole = tune_prompt(backbone, toy_data(), **QUICK, checkpoint=checkpoint)
    damage(checkpoint)
    with pytest.warns(UserWarning, match=r"is damaged, or no checkpoint\. The run starts afresh"):
        again = tune_prompt(backbone, toy_data(), **QUICK, checkpoint=checkpoint)
    assert torch.equal(again.prompt.matrix, whole.prompt.matrix) and again.history.equals(whole.history)


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(SkillkitError, match="is a folder"):
        tune_prompt(tiny_backbone("roberta"), toy_data(), **QUICK, checkpoint=tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_is_not_finite_is_named_and_not_the_learning_rate(family):
    backbone = fresh_backbone(family)
    with torch.no_grad():
        backbone.down(backbone.sites[-1]).weight[3, 3] = torch.inf
    with pytest.raises(SkillkitError, match=r"at step 1 of .* the model or the start, not the learning rate"):
        tune_prompt(backbone, toy_data(), **QUICK, start=SoftPrompt(torch.zeros(4, 12)))


def test_a_word_that_is_not_finite_is_the_models_fault_at_any_step():
    backbone = fresh_backbone("t5")
    with torch.no_grad():
        backbone.embeddings.weight[backbone.tokenizer.convert_tokens_to_ids("word3")] = torch.nan
    with pytest.raises(SkillkitError, match=r"Embedding .*, whose weights are not finite\. It is the model"):
        tune_prompt(backbone, toy_data(), **QUICK, start=SoftPrompt(torch.zeros(4, 12)))


def test_tuning_can_start_from_another_prompt():
    backbone = tiny_backbone("roberta")
    other = SoftPrompt.initial(backbone, 6, 9)
    tuned = tune_prompt(backbone, toy_data(), **{**QUICK, "learning_rate": 0.0}, start=other)
    assert torch.equal(tuned.prompt.matrix, other.matrix)


def test_impossible_settings_are_refused():
    with pytest.raises(SkillkitError, match="steps is 0; expected"):
        tune_prompt(tiny_backbone("roberta"), toy_data(), steps=0)
    with pytest.raises(SkillkitError, match="no 'train' split"):
        tune_prompt(tiny_backbone("roberta"), TaskData(TASK, {"test": toy_data().test}, "the test"))


def test_a_budget_and_its_fields_by_name_say_the_same():
    budget = TuningBudget(**QUICK)
    one, other, longer = (
        tune_prompt(tiny_backbone("roberta"), toy_data(), *budget, **fields)
        for budget, fields in (((budget,), {}), ((), QUICK), ((budget,), {"steps": 16}))
    )
    assert torch.equal(one.prompt.matrix, other.prompt.matrix) and one.prompt.meta == other.prompt.meta
    assert longer.history["step"].tolist() == [4, 8, 12, 16]
    with pytest.raises(SkillkitError, match="Did you mean 'steps'"):
        tune_prompt(tiny_backbone("roberta"), toy_data(), step=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("length", "steps") for value in (0, 2.5, "100", True, None)),
        *((name, value) for name in ("batch_size", "evaluate_every") for value in (-4, 0, 2.0, [8])),
        *(("patience", value) for value in (0, -1, 1.5, "2", False)),
        *(("learning_rate", value) for value in (-0.1, float("nan"), float("inf"), "0.1", True, None)),
    ],
)
def test_impossible_budgets_are_refused(name, value):
    with pytest.raises(SkillkitError, match=f"{name} is .*expected"):
        TuningBudget(**{name: value})
    with pytest.raises(SkillkitError, match=f"{name} is .*expected"):
        tune_prompt(tiny_backbone("roberta"), toy_data(), **{name: value})


@pytest.mark.parametrize("layout", ["standard", "su"])
def test_an_encoded_task_is_tuned_on_like_its_texts(layout):
    backbone = tiny_backbone("roberta")
    start = SoftPrompt.initial(backbone, 4, 0, layout=layout)
    one, other = (
        tune_prompt(backbone, data, **QUICK, start=start)
        for data in (toy_data(), encode_task(backbone, toy_data(), layout))
    )
    assert torch.equal(one.prompt.matrix, other.prompt.matrix)
    assert other.prompt.meta["layout"] == layout and other.prompt.meta["initialisation"] == "vocabulary"
    with pytest.raises(SkillkitError, match="encode it again"):
        tune_prompt(backbone, encode_task(backbone, toy_data(), "wang"), **QUICK, start=start)


def test_every_evaluation_can_be_looked_at():
    backbone, data = tiny_backbone("roberta"), toy_data()
    seen = {}
    tuned = tune_prompt(
        backbone, data, length=2, steps=6, evaluate_every=2, batch_size=8, each=seen.__setitem__
    )
    assert list(seen) == [1, 2, 3]
    assert any(torch.equal(prompt.matrix, tuned.prompt.matrix) for prompt in seen.values())
    assert not torch.equal(seen[1].matrix, seen[3].matrix)
