"""Agreement between rankings: against scipy, the hypergeometric distribution by simulation, and planted agreement."""

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
    by_pair,
    held_out,
    overlap_beyond_chance,
    overlap_of_tasks,
    rank_correlation,
    selection_bias,
    shared_neurons,
    specificity,
    top_overlap,
    type_difference,
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
        assert table.loc[row, "low"] == pytest.approx(np.quantile(counts, 0.025) / most, abs=1.01 / most)
        assert table.loc[row, "high"] == pytest.approx(np.quantile(counts, 0.975) / most, abs=1.01 / most)
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
    assert {"stack", "layer", "fraction", "value", "expected", "low", "high"} <= set(by_site)


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


def test_specificity_is_high_for_like_tasks_and_has_the_ceiling_on_its_diagonal():
    rng = np.random.default_rng(0)
    mood, topic = rng.random((2, 2, 40))

    def seeds(skill):
        return [torch.from_numpy(skill + 0.1 * rng.random((2, 40))) for _ in range(2)]

    table = specificity({"film": seeds(mood), "food": seeds(mood), "news": seeds(topic)}, SITES)
    value = table.groupby(["row", "column"])["value"].mean()
    assert value["film", "food"] > 0.9 and abs(value["film", "news"]) < 0.35
    assert value["film", "film"] > 0.9 and value["film", "film"] < 1
    assert value["film", "news"] == pytest.approx(value["news", "film"])
    assert table.set_index(["row", "column"]).loc[("film", "food"), "pairs"].unique() == [2]
    square = by_pair(table, ["news", "film", "food"])
    assert list(square.index) == list(square.columns) == ["news", "film", "food"]
    assert square.loc["film", "food"] == pytest.approx(value["film", "food"])
    alone = specificity({"film": seeds(mood)[:1]}, SITES)
    assert alone["value"].isna().all()


def test_specificity_equals_scipy():
    rng = np.random.default_rng(3)
    first, second = torch.from_numpy(rng.integers(0, 8, (2, 2, 40)).astype(float))
    table = specificity({"a": [first], "b": [second]}, SITES)
    row = table[(table["row"] == "a") & (table["column"] == "b")].sort_values("layer")
    np.testing.assert_allclose(
        row["value"], [spearmanr(first[s], second[s]).statistic for s in range(2)], atol=1e-9
    )


def test_type_difference_finds_planted_types_and_keeps_its_level_without():
    rng = np.random.default_rng(0)
    types = ["mood", "mood", "mood", "topic", "topic", "pair", "pair"]
    same = np.array([[a == b for a in types] for b in types])
    noise = rng.random((7, 7))
    planted = type_difference(0.5 * same + 0.1 * (noise + noise.T), types)
    assert planted.difference == pytest.approx(planted.inside - planted.across) and planted.difference > 0.4
    # 7! / (3! 2! 2! 2!) = 105 different labellings, of which one is the true one
    assert planted.p == pytest.approx(1 / 105) and planted.row()["low"] > 0
    assert planted.inside_pairs == 5 and planted.across_pairs == 16
    p = []
    for _ in range(60):
        noise = rng.random((6, 6))
        p.append(type_difference(noise + noise.T, ["a", "a", "b", "b", "c", "c"]).p)
    assert np.mean(np.array(p) <= 0.2) <= 0.2 + 3 * np.sqrt(0.16 / 60)
    with pytest.raises(SkillkitError, match="Use more tasks"):
        type_difference(np.eye(3), ["a", "b", "c"])


def test_overlap_of_independent_tasks_is_what_chance_gives():
    """Many draws of five tasks: the interval covers 0 in about 95 % of them; planted sharing is found."""
    rng = np.random.default_rng(0)

    def mask():
        return skill_neurons(torch.from_numpy(rng.random((2, 60))), 0.2)

    covered = 0
    for _ in range(60):
        row = overlap_beyond_chance(overlap_of_tasks({task: [mask()] for task in "abcde"}))
        covered += row["low"] <= 0 <= row["high"]
    assert row["n"] == 10 and 51 <= covered <= 60
    common = mask()
    table = overlap_of_tasks({"a": [common, mask()], "b": [common], "c": [mask()]})
    pair = table.set_index(["row", "column"])
    assert pair.loc[("a", "b"), "share"] > 0.5 and pair.loc[("a", "b"), "value"] == pytest.approx(
        pair.loc[("a", "b"), "share"] / 0.2
    )
    assert ("a", "a") in pair.index and ("b", "b") not in pair.index
    with pytest.raises(SkillkitError, match="two tasks"):
        overlap_beyond_chance(overlap_of_tasks({"a": [common, mask()]}))
    with pytest.raises(SkillkitError, match="larger fraction"):
        overlap_of_tasks({name: [torch.zeros(2, 60, dtype=torch.bool)] for name in "ab"})


@pytest.mark.slow
def test_neurons_that_never_fire_are_none_that_chance_could_choose():
    """Two thirds of each site are silent: independent selections among the others share three times what the width suggests."""
    rng = np.random.default_rng(1)
    firing = (torch.arange(120) < 40).expand(2, -1)

    def mask():
        return skill_neurons(torch.where(firing, torch.from_numpy(rng.random((2, 120))), 0.0), 0.1)

    covered = fooled = 0
    for _ in range(60):
        masks = {task: [mask()] for task in "abcde"}
        row = overlap_beyond_chance(overlap_of_tasks(masks, {task: [firing] for task in masks}))
        covered += row["low"] <= 0 <= row["high"]
        fooled += overlap_beyond_chance(overlap_of_tasks(masks))["low"] > 0
    assert covered >= 51 and fooled == 60
    scores = torch.from_numpy(rng.random((2, 120)))
    assert top_overlap(scores, scores, [0.1], among=firing)["expected"].iloc[0] > 0.2


def test_different_tasks_are_never_compared_by_prompts_of_one_seed():
    """Prompts of one seed start from the same rows; what comes from there is not shared by the tasks."""
    starts = [
        skill_neurons(torch.rand(2, 60, generator=torch.Generator().manual_seed(seed)), 0.2)
        for seed in (0, 1)
    ]
    pair = overlap_of_tasks({"a": starts, "b": starts}).set_index(["row", "column"])
    assert pair.loc[("a", "b"), "share"] == pytest.approx(pair.loc[("a", "a"), "share"]) != 1
