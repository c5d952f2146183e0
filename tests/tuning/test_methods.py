"""BitFit, adapters, LoRA and full tuning: what learns, what stays, and that learning happens."""

import pytest
import torch
from tiny import TASK, fresh_backbone, tiny_backbone, toy_data
from torch import nn

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.inputs import encode_task
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.neurons.scores import score_neurons, skill_neurons
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.methods import _PREPARE, LEARNING_RATES, learning_rates, reinitialised, tune_method
from skillkit.tuning.prompt import accuracy

FAMILIES = ("roberta", "bert", "t5", "t5-gated", "gpt2", "llama")
FROZEN_NEURONS = ("bitfit", "adapter", "lora")


def tune(backbone, data, method, **more):
    return tune_method(
        backbone,
        data,
        method,
        **{"steps": 4, "evaluate_every": 2, "batch_size": 8, "learning_rate": 0.01, **more},
    )


@pytest.mark.parametrize("method", FROZEN_NEURONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_neuron_weights_stay_and_the_function_changes(family, method):
    backbone, data = tiny_backbone(family), toy_data(train=24, scored=8)
    before = label_logits(backbone, None, data.test, TASK)
    tuned = tune(backbone, data, method)
    after = label_logits(tuned.backbone, None, data.test, TASK)
    assert (after - before).abs().max() > 1e-4
    torch.testing.assert_close(label_logits(backbone, None, data.test, TASK), before, atol=0, rtol=0)
    for site in backbone.sites:
        modules = [(backbone.down(site), tuned.backbone.down(site))]
        modules += list(zip(backbone.up(site), tuned.backbone.up(site), strict=True))
        for old, new in modules:
            assert torch.equal(old.weight, new.weight)
    assert not any(parameter.requires_grad for parameter in tuned.backbone.model.parameters())
    assert tuned.history["step"].tolist() == [2, 4]


@pytest.mark.parametrize("family", FAMILIES)
def test_full_tuning_changes_neuron_weights(family):
    backbone, data = tiny_backbone(family), toy_data(train=24, scored=8)
    tuned = tune(backbone, data, "full")
    assert tuned.trained == sum(p.numel() for p in backbone.model.parameters())
    site = backbone.sites[0]
    assert not torch.equal(backbone.down(site).weight, tuned.backbone.down(site).weight)


@pytest.mark.parametrize("method", LEARNING_RATES)
@pytest.mark.parametrize("family", ["roberta", "t5-gated", "gpt2"])
def test_methods_start_from_the_backbone_s_function(family, method):
    """Before the first step nothing is changed: new biases, adapters and LoRA's second matrix are zero."""
    backbone, data = fresh_backbone(family), toy_data()
    before = label_logits(backbone, None, data.test, TASK)
    parameters, _ = _PREPARE[method](backbone)
    assert parameters and all(parameter.requires_grad for parameter in parameters)
    torch.testing.assert_close(label_logits(backbone, None, data.test, TASK), before, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("method", LEARNING_RATES)
def test_methods_learn_the_toy_task(method):
    backbone, data = tiny_backbone("roberta"), toy_data(train=160, scored=60)
    rate = 0.01 if method == "full" else 0.05
    tuned = tune(backbone, data, method, steps=100, evaluate_every=25, batch_size=32, learning_rate=rate)
    test = accuracy(label_logits(tuned.backbone, None, data.test, TASK), torch.tensor(data.test["label"]))
    assert tuned.validation_accuracy > 0.65 and test > 0.6
    assert tuned.history["loss"].iloc[-1] < tuned.history["loss"].iloc[0] - 0.02
    assert tuned.validation_accuracy == tuned.history["accuracy"].max()


def test_bitfit_learns_biases_and_nothing_else():
    backbone, data = tiny_backbone("t5"), toy_data(train=24, scored=8)
    linear = sum(
        m.out_features
        for name, m in backbone.model.named_modules()
        if isinstance(m, nn.Linear) and "lm_head" not in name
    )
    tuned = tune(backbone, data, "bitfit")
    assert tuned.trained == linear  # T5 had none of its own
    new = dict(tuned.backbone.model.named_parameters())
    for name, old in backbone.model.named_parameters():
        assert torch.equal(old, new[name])


def test_the_best_checkpoint_is_returned_and_a_seed_fixes_it():
    backbone, data = tiny_backbone("roberta"), toy_data()
    first, second = (tune(backbone, data, "adapter", seed=3) for _ in range(2))
    logits = label_logits(first.backbone, None, data.validation, TASK)
    assert accuracy(logits, torch.tensor(data.validation["label"])) == pytest.approx(
        first.validation_accuracy
    )
    torch.testing.assert_close(
        logits, label_logits(second.backbone, None, data.validation, TASK), atol=0, rtol=0
    )


@pytest.mark.parametrize("method", LEARNING_RATES)
def test_neurons_of_a_tuned_backbone_can_be_scored_and_perturbed(method):
    backbone, data = tiny_backbone("roberta"), toy_data()
    tuned = tune(backbone, data, method).backbone
    scores = score_neurons(tuned, None, data)
    with intervene(tuned, skill_neurons(scores.predictivity, 0.3), "zero"):
        changed = label_logits(tuned, None, data.test, TASK)
    assert (changed - label_logits(tuned, None, data.test, TASK)).abs().max() > 1e-5


def test_reinitialised_backbone_has_other_weights_and_the_same_sites(backbone):
    random, data = reinitialised(backbone, 1), toy_data()
    assert random.sites == backbone.sites and random.hidden_size == backbone.hidden_size
    prompt = SoftPrompt.initial(random, 2, 0)
    assert (
        record(random, prompt, data.test, TASK).shape
        == record(backbone, prompt.unbound(), data.test, TASK).shape
    )
    assert not torch.equal(random.down(random.sites[0]).weight, backbone.down(backbone.sites[0]).weight)
    assert torch.equal(reinitialised(backbone, 1).embeddings.weight, random.embeddings.weight)


def test_a_given_rate_stands_before_the_usual_one():
    assert learning_rates({}) == LEARNING_RATES
    assert learning_rates({"lora": 0.5}) == {**LEARNING_RATES, "lora": 0.5}
    with pytest.raises(SkillkitError, match="bitfitt"):
        learning_rates({"bitfitt": 0.5})


def test_unknown_methods_are_refused():
    with pytest.raises(SkillkitError, match="'adapter'"):
        tune_method(tiny_backbone("roberta"), toy_data(), "adaptor")


def test_a_budget_serves_as_well_as_its_fields_and_the_usual_rate_is_the_method_s():
    budget = TuningBudget(steps=4, evaluate_every=2, batch_size=8, learning_rate=LEARNING_RATES["bitfit"])
    data = toy_data(train=24, scored=8)
    one, other = (
        tune_method(tiny_backbone("roberta"), data, "bitfit", *budget, **fields)
        for budget, fields in (((budget,), {}), ((), {"steps": 4, "evaluate_every": 2, "batch_size": 8}))
    )
    assert one.history.equals(other.history)
    encoded = encode_task(tiny_backbone("roberta"), data)
    again = tune_method(tiny_backbone("roberta"), encoded, "bitfit", budget)
    assert again.history.equals(one.history)
