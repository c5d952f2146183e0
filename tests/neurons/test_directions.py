"""Neurons against rotated directions: planted cases in both senses, and a slow reference."""

import numpy as np
import pytest
import torch
from tiny import TASK, tiny_backbone, toy_data

from skillkit import record
from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.directions import (
    Sample,
    activations_of_sites,
    compare_at_sites,
    compare_directions,
    direction_table,
    mean_advantage,
)
from skillkit.neurons.scores import score_neurons


def drawn(seed, signal, count=400, width=30):
    """Activations in which the label moves the activations along `signal` [width]; two splits."""
    generator = torch.Generator().manual_seed(seed)
    splits = []
    for _ in range(2):
        labels = torch.arange(count) % 2
        noise = torch.randn(count, width, generator=generator)
        splits.append((noise + labels[:, None] * signal, labels))
    return splits


def compared(splits, baseline, **options):
    """What is found at a single place."""
    return compare_directions({"here": Sample(*splits, baseline)}, **options)["here"]


def test_one_neuron_that_holds_the_signal_beats_all_rotations():
    signal = torch.zeros(30)
    signal[7] = 3.0
    found = compared(drawn(0, signal), baseline=signal / 2)
    assert found.neuron.mean() > 0.9 and found.advantage().low > 0.05
    assert found.probe.mean() > 0.85 and found.majority.mean() == 0.5


def test_a_signal_spread_over_many_neurons_is_found_by_rotations_as_well():
    signal = torch.full((30,), 3.0 / np.sqrt(30))
    found = compared(drawn(1, signal), baseline=signal / 2)
    assert found.advantage().low <= 0 and found.probe.mean() > 0.85 > found.neuron.mean()


def test_nothing_is_found_where_nothing_is():
    """Neither neuron, rotation nor probe predicts labels that say nothing, since all are chosen on another
    split."""
    held = 0
    for seed in range(40):
        found = compared(drawn(seed, torch.zeros(30), count=100), torch.zeros(30), draws=2)
        held += found.advantage().low > 0
        assert 0.3 < found.neuron.mean() < 0.7 and 0.3 < found.probe.mean() < 0.7
    assert held <= 4


def test_the_best_neuron_equals_a_slow_search():
    splits = drawn(2, torch.randn(30, generator=torch.Generator().manual_seed(5)))
    baseline = torch.zeros(30)
    best, score = None, -1.0
    for n in range(30):
        share = np.mean([(a[n] > 0) == bool(y) for a, y in zip(*splits[0], strict=True)])
        if max(share, 1 - share) > score:
            best, score, flip = n, max(share, 1 - share), share < 0.5
    slow = [((a[best] > 0).item() != flip) == bool(y) for a, y in zip(*splits[1], strict=True)]
    assert compared(splits, baseline).neuron.tolist() == [float(x) for x in slow]


def test_the_table_states_every_kind_with_its_interval():
    table = compared(drawn(3, torch.ones(30)), baseline=torch.full((30,), 0.5), draws=4).table()
    assert table["kind"].tolist() == ["best neuron", "linear probe", "majority", "best rotated direction"]
    assert table[["n", "low", "high"]].notna().all().all() and set(table["unit"]) == {"texts"}
    rotated = table.set_index("kind").loc["best rotated direction"]
    assert rotated["lowest"] <= rotated["value"] <= rotated["highest"]


def test_activations_of_whole_sites_are_those_that_record_gives(backbone):
    data = toy_data(scored=9)
    prompt, encoded = SoftPrompt.initial(backbone, 2, 0), encode(backbone, data.test, data.task)
    everything = record(backbone, prompt, encoded, TASK)
    present = [
        torch.nonzero(~everything[0, site, :, 0].isnan()).flatten().tolist()
        for site in range(len(backbone.sites))
    ]
    entries = {(site, entry) for site, here in enumerate(present) for entry in (here[0], here[-1])}
    found = activations_of_sites(backbone, prompt, encoded, entries, batch_size=4)
    assert set(found) == entries
    for (site, entry), activations in found.items():
        torch.testing.assert_close(activations, everything[:, site, entry], atol=1e-5, rtol=1e-4)


def test_samples_are_compared_as_if_alone():
    one, other = (Sample(*drawn(seed, torch.ones(30)), torch.zeros(30)) for seed in (0, 1))
    both = compare_directions({"one": one, "other": other}, draws=3)
    alone = compare_directions({"other": other}, draws=3)["other"]
    assert np.array_equal(both["other"].rotated, alone.rotated)
    assert np.array_equal(both["other"].probe, alone.probe)


def test_bad_input_is_named():
    backbone, data = tiny_backbone("t5"), toy_data(scored=4)
    encoded = encode(backbone, data.test, data.task)
    with pytest.raises(SkillkitError, match="has no position 0"):
        activations_of_sites(backbone, SoftPrompt.initial(backbone, 2, 0), encoded, {(0, 0)})
    one = (torch.randn(4, 3), torch.ones(4, dtype=torch.long))
    with pytest.raises(SkillkitError, match="two classes"):
        compared((one, one), torch.zeros(3))
    broken = (torch.full((4, 3), torch.nan), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(SkillkitError, match="not finite"):
        compared((broken, broken), torch.zeros(3))


def test_every_site_is_compared_at_the_positions_that_it_has():
    backbone, data = tiny_backbone("t5"), toy_data(scored=24)
    prompt = SoftPrompt.initial(backbone, 2, 0)
    scores = score_neurons(backbone, prompt, data)
    validation, test = (encode(backbone, split, data.task) for split in (data.validation, data.test))
    found = compare_at_sites(backbone, prompt, validation, test, scores, draws=2)
    encoder = [i for i, site in enumerate(backbone.sites) if site.stack == "encoder"]
    decoder = [i for i, site in enumerate(backbone.sites) if site.stack == "decoder"]
    assert set(found) == {(i, "best prompt row") for i in encoder} | {(i, "answer slot") for i in decoder}
    everything = record(backbone, prompt, test, data.task)
    site = decoder[0]
    best = int((scores.accuracy[site, 0] - 0.5).abs().argmax())
    above = everything[:, site, 0, best] > scores.baseline[site, 0, best]
    answer = above if scores.accuracy[site, 0, best] >= 0.5 else ~above
    assert found[site, "answer slot"].neuron.mean() == pytest.approx(
        (answer == test.labels.bool()).float().mean().item()
    )
    table = direction_table(found, backbone.sites)
    assert len(table) == 4 * len(found) and {"stack", "layer", "position"} <= set(table)
    one, other = (
        np.mean([getattr(each, kind).mean() for each in found.values()]) for kind in ("neuron", "rotated")
    )
    assert mean_advantage(found).value == pytest.approx(one - other)
