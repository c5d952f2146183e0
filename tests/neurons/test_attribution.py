"""Effects of single neurons: exact ones against a model changed by hand, estimates against exact ones, and a
planted neuron."""

import pytest
import torch
from tiny import TASK, fresh_backbone, tiny_backbone, toy_data

from skillkit.data.loading import load_task
from skillkit.errors import SkillkitError
from skillkit.models.activations import rewrite
from skillkit.models.backbones import FFNSite, load_backbone
from skillkit.models.evaluation import label_margin
from skillkit.models.inputs import encode
from skillkit.models.interventions import intervene
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.neurons.attribution import (
    NeuronEffects,
    agreement,
    attribute,
    importance_table,
    knock_out,
    mean_importance,
    sample_neurons,
    study_single_neurons,
)
from skillkit.neurons.scores import NeuronScores, score_neurons


def prepared(backbone, length=2):
    data = toy_data(scored=20)
    return SoftPrompt.initial(backbone, length, 0), encode(backbone, data.test, data.task)


def test_knock_outs_equal_one_neuron_set_by_an_intervention(backbone):
    prompt, encoded = prepared(backbone)
    means = torch.rand(len(backbone.sites), backbone.width)
    chosen = [(0, 3), (len(backbone.sites) - 1, 7)]
    mean, size = knock_out(backbone, prompt, encoded, TASK, chosen, to=means)
    intact = label_margin(label_logits(backbone, prompt, encoded, TASK), encoded.labels)
    for i, place in enumerate(chosen):
        mask = torch.zeros(means.shape, dtype=torch.bool)
        mask[place] = True
        with intervene(backbone, mask, "mean", values=means):
            changed = label_margin(label_logits(backbone, prompt, encoded, TASK), encoded.labels) - intact
        torch.testing.assert_close(mean[i], changed.mean(), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(size[i], changed.abs().mean(), atol=1e-5, rtol=1e-4)


def test_attribution_is_the_slope_of_a_small_change(backbone):
    """Against finite differences: every neuron moved a thousandth of the way to its target."""
    prompt, encoded = prepared(backbone)
    target = torch.rand(len(backbone.sites), backbone.width)
    effects = attribute(backbone, prompt, encoded, TASK, to=target)
    site, neuron, step = len(backbone.sites) - 1, 5, 1e-2

    def nudge(sign):
        def change(here, activation, current):
            if here != site:
                return None
            moved = activation.clone()
            moved[..., neuron] += sign * step * (target[site, neuron] - activation[..., neuron])
            return moved

        with rewrite(backbone, change):
            return label_margin(label_logits(backbone, prompt, encoded, TASK), encoded.labels)

    slope = (nudge(1) - nudge(-1)) / (2 * step)
    assert effects.mean[site, neuron].item() == pytest.approx(slope.mean().item(), rel=0.02, abs=1e-4)
    assert effects.size[site, neuron].item() == pytest.approx(slope.abs().mean().item(), rel=0.02, abs=1e-4)


def test_it_does_not_depend_on_the_batch_size(backbone):
    prompt, encoded = prepared(backbone)
    one, other = (attribute(backbone, prompt, encoded, TASK, batch_size=b) for b in (3, 20))
    torch.testing.assert_close(one.mean, other.mean, atol=1e-5, rtol=1e-3)


def test_a_planted_neuron_has_by_far_the_largest_effect():
    backbone = fresh_backbone("roberta")
    prompt, encoded = prepared(backbone)
    with torch.no_grad():
        backbone.down(backbone.sites[1]).weight[:, 4] *= 60
    effects = attribute(backbone, prompt, encoded, TASK)
    assert effects.size.flatten().argmax().item() == backbone.width + 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mini-roberta", "mini-t5"])
def test_estimates_rank_neurons_as_exact_effects_do(name):
    """On models where a neuron is one of many; in the tiny random ones each moves the answer far beyond its
    slope."""
    backbone, data = load_backbone(name, device="cpu"), load_task("film_sentiment", limit=40)
    prompt, encoded = SoftPrompt.initial(backbone, 4, 0), encode(backbone, data.test, data.task)
    effects = attribute(backbone, prompt, encoded, data.task)
    chosen = sample_neurons(effects, 60)
    exact, _ = knock_out(backbone, prompt, encoded, data.task, chosen)
    assert len(chosen) == 60 and chosen == sample_neurons(effects, 60)
    assert agreement(effects, chosen, exact) > 0.9


def test_the_bare_model_can_be_asked_and_bad_input_is_named():
    backbone = tiny_backbone("gpt2")
    _, encoded = prepared(backbone)
    assert attribute(backbone, None, encoded, TASK).examples == 20
    with pytest.raises(SkillkitError, match=r"\[sites, width\]"):
        attribute(backbone, None, encoded, TASK, to=torch.zeros(1, 2))
    with pytest.raises(SkillkitError, match="no neuron 20 at site 0"):
        knock_out(backbone, None, encoded, TASK, [(0, 20)])


def test_importance_follows_predictivity_only_where_it_does_beyond_deviation_and_level():
    """Planted: effects that follow the deviation alone, and effects that follow the predictivity."""
    generator = torch.Generator().manual_seed(0)
    deviation, noise, own = (torch.rand(2, 300, generator=generator) for _ in range(3))
    predictivity = 0.5 + 0.2 * deviation + 0.2 * own
    sites = (FFNSite("encoder", 0, 300), FFNSite("encoder", 1, 300))
    empty = torch.zeros(2, 1, 300)
    scores = NeuronScores(empty, empty, predictivity, deviation, deviation, examples=10, positive=5)
    size = torch.stack([deviation[0] + 0.1 * noise[0], own[1] + 0.1 * noise[1]])
    table = importance_table(NeuronEffects(size, size, 10), scores, sites)
    by = table.set_index(["layer", "given"])["value"]
    assert by[0, "nothing"] > 0.4 and abs(by[0, "deviation and level"]) < 0.15
    assert by[1, "deviation and level"] > 0.8 and set(table["unit"]) == {"neurons"}
    assert mean_importance(table).n == 2


def test_neurons_that_never_vary_and_small_sites_are_left_out():
    still = torch.zeros(1, 40)
    scores = NeuronScores(still[None], still[None], still + 0.5, still, still, examples=10, positive=5)
    assert importance_table(NeuronEffects(still, still, 10), scores, (FFNSite("encoder", 0, 40),)).empty


def test_nothing_is_claimed_where_estimates_and_exact_effects_disagree(monkeypatch):
    """In a tiny random model a neuron moves the answer far beyond its slope, and a site has few neurons."""
    backbone = tiny_backbone("t5")
    prompt, encoded = prepared(backbone)
    scores = score_neurons(backbone, prompt, toy_data(scored=20))
    found = study_single_neurons(backbone, prompt, encoded, TASK, scores, checked=30)
    exact, _ = knock_out(
        backbone,
        prompt,
        encoded,
        TASK,
        sample_neurons(attribute(backbone, prompt, encoded, TASK, to=scores.mean), 30),
        to=scores.mean,
    )
    assert found.checked == len(exact) and -1 <= found.agreement <= 1
    assert found.agreement >= 0.9 or "agree too little" in found.why_not
    monkeypatch.setattr("skillkit.neurons.attribution.AGREEING", -1.0)
    monkeypatch.setattr("skillkit.neurons.attribution.FEWEST", 21)
    without = study_single_neurons(backbone, prompt, encoded, TASK, scores, checked=5)
    assert without.importance.empty and "no site has 21 neurons" in without.why_not
