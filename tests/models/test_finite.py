"""Numbers that are not finite end every computation with the layer named, and are never a result."""

import pytest
import torch
from tiny import FAMILIES, TASK, fresh_backbone, tiny_backbone, toy_data, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.evaluation import evaluate
from skillkit.models.finite import first_not_finite
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.neurons.scores import score_neurons

COMPUTATIONS = {
    "label_logits": lambda backbone, prompt: label_logits(backbone, prompt, toy_dataset(40, 0), TASK),
    "evaluate": lambda backbone, prompt: evaluate(backbone, prompt, toy_dataset(40, 0), TASK),
    "record": lambda backbone, prompt: record(backbone, prompt, toy_dataset(40, 0), TASK),
    "score_neurons": lambda backbone, prompt: score_neurons(backbone, prompt, toy_data()),
}


def overflowing(family):
    """In float16 the first layer's FFN computes numbers above 65504; every weight is finite."""
    backbone = fresh_backbone(family)
    with torch.no_grad():
        for up in backbone.up(backbone.sites[0]):
            up.weight.copy_(6e4 * up.weight.sign())
    backbone.model.half()
    return backbone


@pytest.mark.parametrize("computation", COMPUTATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_overflow_in_float16_is_named(family, computation):
    backbone = overflowing(family)
    with pytest.raises(SkillkitError, match=r"begin in .*\.0\..* \(float16\)\. .*dtype='float32'"):
        COMPUTATIONS[computation](backbone, SoftPrompt(torch.randn(3, 12)))


@pytest.mark.parametrize("computation", COMPUTATIONS)
def test_one_broken_word_is_enough(computation, own_backbone):
    with torch.no_grad():
        word = own_backbone.tokenizer.convert_tokens_to_ids("word3")
        own_backbone.embeddings.weight[word] = torch.nan
    with pytest.raises(SkillkitError, match=r"begin in Embedding .*, whose weights are not finite"):
        COMPUTATIONS[computation](own_backbone, SoftPrompt(torch.zeros(3, 12)))


@pytest.mark.parametrize("computation", ["record", "score_neurons"])
def test_activations_that_no_answer_depends_on_are_looked_at_too(computation):
    """A neuron of the last layer that is infinite at a prompt row never reaches the answer slot."""
    backbone = fresh_backbone("roberta")
    last = backbone.layer(backbone.sites[-1])

    def overflow(module, inputs, output):
        output = output.clone()
        output[:, 2, 5] = torch.inf
        return output

    last.intermediate.register_forward_hook(overflow)
    prompt = SoftPrompt.initial(tiny_backbone("roberta"), 3, 0)
    assert torch.isfinite(label_logits(backbone, prompt, toy_dataset(9, 0), TASK)).all()
    with pytest.raises(SkillkitError, match=r"first at FFN site encoder 1 \(float32\)"):
        COMPUTATIONS[computation](backbone, prompt)


def test_the_vocabulary_projection_is_named():
    backbone = fresh_backbone("gpt2")
    backbone.model.lm_head.weight = torch.nn.Parameter(torch.full((48, 12), 3e38), requires_grad=False)
    with pytest.raises(SkillkitError, match="begins in the vocabulary projection"):
        label_logits(backbone, SoftPrompt(torch.zeros(3, 12)), toy_dataset(5, 0), TASK)


def test_an_intervention_that_writes_no_numbers_is_found(backbone):
    every = torch.ones(len(backbone.sites), backbone.width, dtype=torch.bool)
    values = torch.full(every.shape, torch.nan)
    with pytest.raises(SkillkitError), intervene(backbone, every, "mean", values=values):
        label_logits(backbone, SoftPrompt.initial(backbone, 3, 0), toy_dataset(5, 0), TASK)


def test_the_first_module_is_found_and_no_hook_stays():
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    assert first_not_finite(lambda: layers(torch.ones(1, 2))) is None
    torch.nn.init.constant_(layers[1].weight, 3e38)
    found = first_not_finite(lambda: layers(1e9 * torch.ones(1, 2)))
    assert str(found) == "1 (float32)" and not found.by_weights
    with pytest.raises(RuntimeError):
        first_not_finite(lambda: layers(torch.ones(1, 3)))
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
