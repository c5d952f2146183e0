"""A pruned model is the full model with the removed neurons pinned at their mean; its arithmetic is exact."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TASK, tiny_backbone, toy_data, toy_dataset
from transformers import RobertaConfig, RobertaForMaskedLM

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.backbones import ARCHITECTURES, Backbone, FFNSite
from skillkit.models.inputs import encode
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_logits
from skillkit.neurons.pruning import (
    forward_flops,
    largest_neurons,
    mean_activation,
    parameter_count,
    prune_ffn,
    speed_up,
    upper_sites,
)
from skillkit.neurons.scores import random_neurons, score_neurons, skill_neurons
from skillkit.tuning.prompt import tune_prompt

FAMILIES = ("roberta", "bert", "t5", "t5-gated", "gpt2", "llama")


def mask_of(backbone, count, seed=0):
    like = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.bool)
    like[:, :count] = True
    return random_neurons(like, seed)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(FAMILIES), st.integers(1, 19), st.integers(0, 100), st.sets(st.integers(0, 1), min_size=1)
)
def test_pruned_equals_pinned_at_the_mean(family, count, seed, sites):
    backbone, data = tiny_backbone(family), toy_dataset(7, seed)
    prompt = SoftPrompt.initial(backbone, 3, seed)
    keep = mask_of(backbone, count, seed)
    means = torch.randn(keep.shape, generator=torch.Generator().manual_seed(seed))
    before = label_logits(backbone, prompt, data, TASK)
    pruned = prune_ffn(backbone, keep, means, sites=sites)
    removed = ~keep
    removed[[s for s in range(len(keep)) if s not in sites]] = False
    with intervene(backbone, removed, "mean", values=means):
        pinned = label_logits(backbone, prompt, data, TASK)
    torch.testing.assert_close(label_logits(pruned, prompt, data, TASK), pinned, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        label_logits(backbone, prompt, data, TASK), before, atol=0, rtol=0
    )  # untouched
    assert (pinned - before).abs().max() > 1e-4  # pinning does something here


@pytest.mark.parametrize("family", FAMILIES)
def test_the_released_variant_counts_kept_neurons_twice(family):
    """Same as pinning the removed neurons at their mean and adding the kept neurons' mean to their live activation."""
    backbone, data = tiny_backbone(family), toy_dataset(5, 0)
    prompt, keep = SoftPrompt.initial(backbone, 3, 0), mask_of(backbone, 6)
    means = torch.randn(keep.shape, generator=torch.Generator().manual_seed(0))
    hooks = []
    for index, site in enumerate(backbone.sites):

        def double(module, inputs, index=index):
            return (torch.where(keep[index], inputs[0] + means[index], means[index]),)

        hooks.append(backbone.down(site).register_forward_pre_hook(double))
    expected = label_logits(backbone, prompt, data, TASK)
    for hook in hooks:
        hook.remove()
    ours = label_logits(prune_ffn(backbone, keep, means, fold="all"), prompt, data, TASK)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    right = label_logits(prune_ffn(backbone, keep, means), prompt, data, TASK)
    assert (right - ours).abs().max() > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_fold_none_equals_suppression(family):
    backbone, data = tiny_backbone(family), toy_dataset(5, 0)
    prompt, keep = SoftPrompt.initial(backbone, 3, 0), mask_of(backbone, 6)
    with intervene(backbone, ~keep, "zero"):
        expected = label_logits(backbone, prompt, data, TASK)
    pruned = prune_ffn(backbone, keep, torch.full(keep.shape, torch.nan), fold="none")
    torch.testing.assert_close(label_logits(pruned, prompt, data, TASK), expected, atol=1e-5, rtol=1e-5)


def test_keeping_all_neurons_changes_nothing(backbone, data):
    keep = torch.ones(len(backbone.sites), backbone.width, dtype=torch.bool)
    prompt = SoftPrompt.initial(backbone, 2, 0)
    pruned = prune_ffn(backbone, keep, torch.ones(keep.shape))
    expected = label_logits(backbone, prompt, data.test, TASK)
    torch.testing.assert_close(label_logits(pruned, prompt, data.test, TASK), expected, atol=1e-6, rtol=1e-6)


def test_removed_parameters_add_up(backbone):
    """Each removed neuron takes its row of every up-projection (with its bias) and its column of the down-projection."""
    keep = mask_of(backbone, 6)
    pruned = prune_ffn(backbone, keep, torch.zeros(keep.shape), sites=[1])
    ups, hidden = backbone.up(backbone.sites[1]), backbone.hidden_size
    per_neuron = sum(hidden + (up.bias is not None) for up in ups) + hidden
    added = 0 if backbone.down(backbone.sites[1]).bias is not None else hidden
    assert parameter_count(backbone) - parameter_count(pruned) == 14 * per_neuron - added
    assert [site.width for site in pruned.sites][:2] == [20, 6]
    assert pruned.down(pruned.sites[1]).weight.numel() == 6 * hidden


def test_roberta_base_keeps_83_046_270_parameters():
    """9 layers with 61 of 3072 neurons: the 66.6 % that Wang et al. (2022) report as remaining."""
    with torch.device("meta"):
        model = RobertaForMaskedLM(
            RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
        )
    sites = tuple(FFNSite("encoder", layer, 3072) for layer in range(12))
    backbone = Backbone("roberta-base", ARCHITECTURES["roberta"], model, None, sites)
    keep = skill_neurons(torch.rand(12, 3072), 0.02)
    pruned = prune_ffn(backbone, keep, torch.zeros(12, 3072), sites=upper_sites(backbone))
    assert int(keep.sum()) == 12 * 61
    assert parameter_count(backbone) == 124_697_433
    assert parameter_count(pruned) == 83_046_270
    assert parameter_count(pruned) / parameter_count(backbone) == pytest.approx(0.66598, abs=5e-6)


def test_upper_sites_leave_the_lowest_quarter_of_each_stack():
    backbone = tiny_backbone("t5")
    assert upper_sites(backbone) == [0, 1, 2, 3]  # two layers have no whole quarter
    assert upper_sites(backbone, 0.5) == [1, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_mean_over_all_positions_ignores_padding(family):
    """Against a loop over single, unpadded examples."""
    backbone, dataset = tiny_backbone(family), toy_dataset(6, 1)
    prompt = SoftPrompt.initial(backbone, 2, 0)
    encoded, seen = encode(backbone, dataset, TASK), [[] for _ in backbone.sites]
    hooks = []
    for index, site in enumerate(backbone.sites):

        def keep(module, inputs, index=index):
            seen[index].append(inputs[0][0])

        hooks.append(backbone.down(site).register_forward_pre_hook(keep))
    for row in range(6):
        with torch.no_grad():
            answer_hidden(backbone, prompt.matrix, encoded.batch([row], backbone.device))
    for hook in hooks:
        hook.remove()
    expected = torch.stack([torch.cat(parts).mean(0) for parts in seen])
    torch.testing.assert_close(
        mean_activation(backbone, prompt, dataset, TASK, batch_size=4), expected, atol=1e-5, rtol=1e-5
    )


def test_largest_neurons_are_those_with_large_weights(backbone):
    planted = copy.deepcopy(backbone)
    with torch.no_grad():
        for site in planted.sites:
            down = planted.down(site)
            if isinstance(down, torch.nn.Linear):
                down.weight[:, [3, 11]] *= 1000
            else:
                down.weight[[3, 11]] *= 1000
    assert [torch.nonzero(row).flatten().tolist() for row in largest_neurons(planted, 0.1)] == [
        [3, 11]
    ] * len(planted.sites)


def test_flops_fall_by_what_the_removed_neurons_multiply():
    backbone = tiny_backbone("roberta")
    dataset, keep = toy_dataset(4, 0), mask_of(backbone, 5)
    pruned = prune_ffn(backbone, keep, torch.zeros(keep.shape))
    prompt = SoftPrompt.initial(backbone, 3, 0)
    tokens = encode(backbone, dataset, TASK).lengths.mean() + 1 + 3
    saved = forward_flops(backbone, prompt, dataset, TASK) - forward_flops(pruned, prompt, dataset, TASK)
    assert saved == pytest.approx(2 * 2 * 2 * tokens * 12 * 15)  # sites, projections, multiply and add


def test_speed_up_of_a_model_over_itself_is_about_one():
    backbone = tiny_backbone("roberta")
    result = speed_up(backbone, backbone, None, toy_dataset(4, 0), TASK, batch_size=2, rounds=9, seconds=0.01)
    assert 0.6 < result.value < 1.6 and result.low <= result.value <= result.high and result.rounds == 9


def test_a_pruned_model_can_be_tuned_further():
    backbone, data = tiny_backbone("t5-gated"), toy_data()
    prompt = SoftPrompt.initial(backbone, 3, 0)
    scores = score_neurons(backbone, prompt, data)
    pruned = prune_ffn(backbone, skill_neurons(scores.predictivity, 0.3), scores.mean)
    tuned = tune_prompt(pruned, data, steps=3, evaluate_every=3, batch_size=8, start=prompt)
    assert not torch.equal(tuned.prompt.matrix, prompt.matrix)
    assert not any(p.requires_grad for p in pruned.model.parameters())


def test_what_cannot_be_pruned_is_refused():
    backbone = tiny_backbone("roberta")
    keep, means = mask_of(backbone, 5), torch.zeros(2, 20)
    for bad, message in (
        (dict(keep=keep[:, :5]), "bool mask"),
        (dict(mean_activation=means[0]), "mean_activation must be"),
        (dict(sites=[7]), "sites 0 to 1"),
        (dict(fold="some"), "Unknown fold"),
        (dict(keep=torch.zeros_like(keep)), "would keep no neuron"),
        (dict(mean_activation=means * torch.nan), "no mean activation"),
    ):
        with pytest.raises(SkillkitError, match=message):
            prune_ffn(**{"backbone": backbone, "keep": keep, "mean_activation": means, **bad})
    pruned = prune_ffn(backbone, keep, means, sites=[0])
    with pytest.raises(SkillkitError, match="different widths"):
        record(pruned, None, toy_dataset(3, 0), TASK)
