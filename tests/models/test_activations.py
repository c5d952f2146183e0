"""Recording and intervening at the FFN sites."""

from dataclasses import FrozenInstanceError

import pytest
import torch
from tiny import TASK, tiny_backbone, toy_dataset

from skillkit.errors import SkillkitError
from skillkit.models.activations import record, watch
from skillkit.models.inputs import encode
from skillkit.models.interventions import intervene
from skillkit.models.passes import current_pass
from skillkit.models.prompts import SoftPrompt, label_logits


def everything(backbone):
    return torch.ones(len(backbone.sites), backbone.width, dtype=torch.bool)


def by_hand(backbone, prompt, text):
    """Inputs of every down-projection for one unpadded example, [sites] of [sequence, width]."""
    seen = []
    hooks = [
        backbone.down(site).register_forward_pre_hook(lambda m, x: seen.append(x[0][0].clone()))
        for site in backbone.sites
    ]
    label_logits(backbone, prompt, toy_dataset(1, 0).remove_columns("text").add_column("text", [text]), TASK)
    for hook in hooks:
        hook.remove()
    return seen


def test_recorded_values_are_those_of_the_down_projections_inputs(backbone):
    prompt, dataset = SoftPrompt.initial(backbone, 3, 0), toy_dataset(6, 0)
    recorded = record(backbone, prompt, dataset, TASK, batch_size=4)
    for row, text in enumerate(dataset["text"]):
        words = len(text.split()) + 2
        for s, values in enumerate(by_hand(backbone, prompt, text)):
            stack = backbone.sites[s].stack
            if backbone.family == "masked-lm":
                expected = values[:4]
            elif backbone.family == "causal-lm":
                expected = torch.cat([torch.full((1, 20), torch.nan), values[words : words + 3]])
            elif stack == "encoder":
                expected = torch.cat([torch.full((1, 20), torch.nan), values[:3]])
            else:
                expected = torch.cat([values[:1], torch.full((3, 20), torch.nan)])
            torch.testing.assert_close(recorded[row, s], expected, equal_nan=True, atol=1e-5, rtol=1e-5)


def test_a_gated_neuron_is_the_gated_product():
    backbone = tiny_backbone("t5-gated")
    site = backbone.sites[0]
    block = backbone.layer(site).layer[1]
    captured = {}
    handle = block.DenseReluDense.register_forward_pre_hook(lambda m, x: captured.update(x=x[0]))
    recorded = record(backbone, SoftPrompt.initial(backbone, 2, 0), toy_dataset(1, 0), TASK)
    handle.remove()
    gate, value = (up(captured["x"]) for up in backbone.up(site))
    torch.testing.assert_close(recorded[0, 0, 1:], (block.DenseReluDense.act(gate) * value)[0, :2])


def test_changing_no_neuron_changes_nothing(backbone):
    prompt, dataset = SoftPrompt.initial(backbone, 3, 0), toy_dataset(9, 0)
    plain = label_logits(backbone, prompt, dataset, TASK)
    none = ~everything(backbone)
    values = torch.zeros(none.shape)
    for mode in ("zero", "noise", "mean"):
        with intervene(backbone, none, mode, values=values):
            assert torch.equal(label_logits(backbone, prompt, dataset, TASK), plain)
    with intervene(backbone, everything(backbone), "zero"):
        assert not torch.allclose(label_logits(backbone, prompt, dataset, TASK), plain)
    assert torch.equal(label_logits(backbone, prompt, dataset, TASK), plain)  # and the hooks are gone


def test_zeroing_equals_zeroing_the_columns_of_the_weights(backbone):
    prompt, dataset = SoftPrompt.initial(backbone, 3, 0), toy_dataset(9, 0)
    mask = torch.rand(len(backbone.sites), 20, generator=torch.Generator().manual_seed(0)) < 0.3
    with intervene(backbone, mask, "zero"):
        hooked = label_logits(backbone, prompt, dataset, TASK)
    with torch.no_grad():
        for site, row in zip(backbone.sites, mask, strict=True):
            down = backbone.down(site)
            if isinstance(down, torch.nn.Linear):
                down.weight[:, row] = 0
            else:
                down.weight[row] = 0
    torch.testing.assert_close(hooked, label_logits(backbone, prompt, dataset, TASK), atol=1e-5, rtol=1e-5)


def test_mean_writes_the_given_values(backbone):
    prompt, dataset = SoftPrompt.initial(backbone, 3, 0), toy_dataset(5, 0)
    values = torch.randn(len(backbone.sites), 20, generator=torch.Generator().manual_seed(1))
    with intervene(backbone, everything(backbone), "mean", values=values):
        recorded = record(backbone, prompt, dataset, TASK)
    seen = recorded.nan_to_num(0).abs().sum(-1, keepdim=True) > 0
    torch.testing.assert_close(
        recorded.nan_to_num(0), (values[None, :, None] * seen).expand_as(recorded).nan_to_num(0)
    )


def test_prompt_positions_alone_leave_the_text_alone():
    backbone, dataset = tiny_backbone("roberta"), toy_dataset(1, 0)
    prompt = SoftPrompt.initial(backbone, 3, 0)
    seen = {}
    first = backbone.sites[0]
    mask = everything(backbone)
    mask[1] = False
    with intervene(backbone, mask, "zero", where="prompt"):
        handle = backbone.down(first).register_forward_pre_hook(lambda m, x: seen.update(x=x[0][0]))
        label_logits(backbone, prompt, dataset, TASK)
        handle.remove()
    assert (seen["x"][:4] == 0).all()
    assert (seen["x"][4:] != 0).any()


class TestNoise:
    def test_has_the_asked_spread_and_is_shared_over_positions(self):
        backbone, dataset = tiny_backbone("roberta"), toy_dataset(300, 0, low=3, high=4)
        prompt, mask = SoftPrompt.initial(backbone, 3, 0), everything(backbone)
        mask[1] = False
        plain = record(backbone, prompt, dataset, TASK)[:, 0]
        unit = torch.linspace(0.5, 2, 40).reshape(2, 20)
        with intervene(backbone, mask, "noise", scale=0.3, unit=unit):
            added = record(backbone, prompt, dataset, TASK)[:, 0] - plain
        torch.testing.assert_close(added, added[:, :1].expand_as(added), atol=1e-5, rtol=1e-4)
        spread = added[:, 0].std(0) / (0.3 * unit[0])
        assert spread.mean().item() == pytest.approx(1, abs=0.03)
        assert (spread - 1).abs().max() < 0.2

    def test_does_not_depend_on_the_batch_nor_on_other_neurons(self, backbone):
        dataset, prompt = toy_dataset(20, 0), SoftPrompt.initial(backbone, 3, 0)
        mask = torch.zeros(len(backbone.sites), 20, dtype=torch.bool)
        mask[0, 3] = True
        more = mask.clone()
        more[0, 7] = True

        def noisy(chosen, batch_size, seed=0):
            with intervene(backbone, chosen, "noise", scale=5.0, seed=seed):
                return record(backbone, prompt, dataset, TASK, batch_size=batch_size)[:, 0, :, 3]

        torch.testing.assert_close(noisy(mask, 1), noisy(mask, 32), equal_nan=True, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(noisy(mask, 32), noisy(more, 32), equal_nan=True)
        assert not torch.allclose(noisy(mask, 32).nan_to_num(0), noisy(mask, 32, seed=1).nan_to_num(0))

    def test_equals_one_generator_for_each_example(self, backbone):
        """The slow way: nothing but the row and the seed decide an example's draw."""
        dataset, prompt = toy_dataset(9, 0), SoftPrompt.initial(backbone, 3, 0)
        mask = torch.zeros(len(backbone.sites), 20, dtype=torch.bool)
        mask[0, ::3] = True
        plain = record(backbone, prompt, dataset, TASK)
        with intervene(backbone, mask, "noise", scale=0.7, seed=4):
            noisy = record(backbone, prompt, dataset, TASK, batch_size=2)
        for row in range(9):
            generator = torch.Generator().manual_seed(4 * 1_000_003 + row)
            drawn = torch.randn(mask.shape, generator=generator)[0] * 0.7 * mask[0]
            expected = plain[row, 0] + drawn
            torch.testing.assert_close(noisy[row, 0], expected, equal_nan=True, atol=1e-5, rtol=1e-5)


def test_an_intervention_of_ones_own(backbone):
    dataset, prompt = toy_dataset(5, 0), SoftPrompt.initial(backbone, 3, 0)
    mask = torch.zeros(len(backbone.sites), 20, dtype=torch.bool)
    mask[0, 2] = True
    plain = record(backbone, prompt, dataset, TASK)
    with intervene(
        backbone, mask, lambda activation, chosen, *_: torch.where(chosen, -activation, activation)
    ):
        recorded = record(backbone, prompt, dataset, TASK)
    torch.testing.assert_close(recorded[:, 0, :, 2], -plain[:, 0, :, 2], equal_nan=True)
    torch.testing.assert_close(recorded[:, 0, :, 3], plain[:, 0, :, 3], equal_nan=True)


def test_there_is_a_pass_in_progress_only_during_a_pass():
    backbone, seen = tiny_backbone("roberta"), []
    with watch(backbone, lambda site, activation, current: seen.append(current_pass() is current)):
        label_logits(backbone, SoftPrompt.initial(backbone, 3, 0), toy_dataset(5, 0), TASK)
        assert current_pass() is None
        backbone.model(input_ids=torch.tensor([[0, 2]]))  # a pass that nobody has announced is not shown
    assert seen == [True, True]
    with pytest.raises(FrozenInstanceError):
        backbone.name = "another"


def test_no_pass_is_in_progress_after_one_that_failed():
    backbone = tiny_backbone("roberta")

    def fail(site, activation, current):
        raise KeyError("in a hook")

    with pytest.raises(KeyError), watch(backbone, fail):
        label_logits(backbone, None, toy_dataset(5, 0), TASK)
    assert current_pass() is None


def test_bad_calls_are_refused(backbone):
    mask = everything(backbone)
    calls = [
        (dict(neurons=mask, mode="zeros"), "Did you mean 'zero'"),
        (dict(neurons=mask[:, :3], mode="zero"), r"\[sites, width\]"),
        (dict(neurons=mask.float(), mode="zero"), "bool"),
        (dict(neurons=mask, mode="mean"), "needs values"),
        (dict(neurons=mask, mode="mean", values=torch.zeros(2)), r"\[sites, width\]"),
        (dict(neurons=mask, mode="patch"), "Unknown intervention"),
        (dict(neurons=mask, mode="noise", unit=torch.zeros(3)), "unit"),
        (dict(neurons=mask, mode="zero", where="text"), "place"),
    ]
    for arguments, message in calls:
        with pytest.raises(SkillkitError, match=message), intervene(backbone, **arguments):
            pass


def test_an_encoding_of_another_layout_is_refused():
    backbone = tiny_backbone("roberta")
    encoded = encode(backbone, toy_dataset(3, 0), TASK, "su")
    with pytest.raises(SkillkitError, match="encode it again"):
        record(backbone, None, encoded, TASK)
