"""Agreement between rankings: against scipy, simulated selections, and planted agreement."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tiny import tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.backbones import FFNSite
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import NeuronScores, score_neurons, skill_neurons
from skillkit.neurons.stability import (
    compare_seeds,
    held_out,
    rank_correlation,
    selection_bias,
    shared_neurons,
    top_overlap,
)

SITES = (FFNSite("encoder", 0, 40), FFNSite("encoder", 1, 40))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_rank_correlation_equals_scipy_with_ties(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, (2, 3, 25)).astype(float)
    ours = rank_correlation(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(
        ours, [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)], atol=1e-6
    )


def test_rank_correlation_refuses_other_shapes():
    with pytest.raises(SkillkitError, match=r"\[2, 5\]"):
        rank_correlation(torch.rand(2, 5), torch.rand(2, 6))


def test_shared_neurons_expectation_and_range_equal_a_simulation():
    rng = np.random.default_rng(0)

    def mask(sizes):
        result = torch.zeros(2, 40, dtype=torch.bool)
        for site, size in enumerate(sizes):
            result[site, torch.from_numpy(rng.permutation(40)[:size])] = True
        return result

    table = shared_neurons(mask((8, 10)), mask((12, 10)))
    drawn = np.array([(mask((8, 10)) & mask((12, 10))).sum(1).numpy() for _ in range(4000)])
    for row, counts, most in ((0, drawn[:, 0], 8), (1, drawn[:, 1], 10), (2, drawn.sum(1), 18)):
        assert table.loc[row, "expected"] == pytest.approx(counts.mean() / most, abs=0.01)
        assert table.loc[row, "sd"] == pytest.approx(counts.std() / most, rel=0.05)
        assert table.loc[row, "chance_low"] == pytest.approx(
            np.quantile(counts, 0.025) / most, abs=1.01 / most
        )
        assert table.loc[row, "chance_high"] == pytest.approx(
            np.quantile(counts, 0.975) / most, abs=1.01 / most
        )
        assert table.loc[row, "p"] == pytest.approx((counts >= table.loc[row, "shared"]).mean(), abs=0.03)
    assert table["site"].tolist() == [0, 1, -1]


def test_p_of_independent_selections_keeps_its_level():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(300):
        first, second = (skill_neurons(torch.from_numpy(rng.random((2, 100))), 0.2) for _ in range(2))
        p.append(shared_neurons(first, second)["p"].iloc[-1])
    for level in (0.05, 0.2, 0.5):
        assert (np.array(p) <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 300)


def test_top_overlap_is_one_with_itself_and_chance_with_a_shuffle():
    scores = torch.rand(2, 40, generator=torch.Generator().manual_seed(0))
    curve = top_overlap(scores, scores, (0.1, 0.5))
    assert curve["value"].tolist() == [1.0, 1.0] and curve["expected"].tolist() == pytest.approx([0.1, 0.5])
    by_site = top_overlap(scores, 1 - scores, (0.1,), SITES)
    assert by_site["value"].tolist() == [0.0, 0.0] and by_site["layer"].tolist() == [0, 1]
    assert {"stack", "layer", "fraction", "value", "expected", "chance_low", "chance_high"} <= set(by_site)


def test_held_out_uses_position_and_direction_of_the_selection():
    backbone, data = tiny_backbone("t5"), toy_data()
    prompts = [SoftPrompt.initial(backbone, 3, seed) for seed in (0, 1)]
    validation, test = (score_neurons(backbone, prompts, data, split=s) for s in ("validation", "test"))
    ours = held_out(validation, test)
    for site in range(len(backbone.sites)):
        for neuron in (0, 7, 19):
            values = []
            for prompt in range(2):
                own = validation.accuracy[prompt, site, :, neuron].numpy()
                place = np.nanargmax(np.maximum(own, 1 - own))
                there = test.accuracy[prompt, site, place, neuron].item()
                values.append(there if own[place] >= 0.5 else 1 - there)
            assert ours[site, neuron].item() == pytest.approx(np.mean(values), abs=1e-6)


def _scores(accuracy):
    shape = accuracy.shape[0], accuracy.shape[2]
    best = torch.maximum(accuracy, 1 - accuracy).amax(1)
    return NeuronScores(accuracy, accuracy, best, torch.ones(shape), torch.zeros(shape), 100, 50)


def test_selection_bias_of_useless_neurons_is_all_of_their_lead():
    rng = np.random.default_rng(0)
    draw = [_scores(torch.from_numpy(rng.binomial(100, 0.5, (2, 9, 200)) / 100)) for _ in range(2)]
    table = selection_bias(*draw, fraction=0.05)
    assert (table["selection"] > 0.62).all()
    assert table["held_out"].to_numpy() == pytest.approx([0.5, 0.5], abs=0.04)
    assert (table["full_bias"] > 0.1).all() and (table["bias"] > 0).all()
    assert (table["neurons"] == 10).all()
    with pytest.raises(SkillkitError, match="larger fraction"):
        selection_bias(*draw, fraction=0.001)


def test_two_seeds_are_compared_across_splits_and_each_with_itself():
    backbone, data = tiny_backbone("t5"), toy_data(40, 40)
    prompts = [SoftPrompt.initial(backbone, 2, seed) for seed in (0, 1)]
    chosen, tested = (
        [score_neurons(backbone, prompt, data, split=split) for prompt in prompts]
        for split in ("validation", "test")
    )
    found = compare_seeds(chosen, tested, [0.1, 0.5])
    own, new = ([scores.predictivity.numpy() for scores in each] for each in (chosen, tested))
    for site in range(len(backbone.sites)):
        across = [spearmanr(own[a][site], new[b][site]).statistic for a, b in ((0, 1), (1, 0))]
        itself = [spearmanr(own[a][site], new[a][site]).statistic for a in (0, 1)]
        assert found.across[site].item() == pytest.approx(np.mean(across), abs=1e-5)
        assert found.itself[site].item() == pytest.approx(np.mean(itself), abs=1e-5)
    rows = found.by_site(backbone.sites)
    assert len(rows) == 8 and set(rows["n"]) == {20} and set(rows["unit"]) == {"neurons"}
    beyond, row = found.beyond_chance(0.5), found.shared.iloc[1]
    assert beyond.value == pytest.approx(row["value"] - row["expected"]) and beyond.n == 40
    assert (beyond.low, beyond.high) == pytest.approx(
        (row["value"] - row["chance_high"], row["value"] - row["chance_low"])
    )
