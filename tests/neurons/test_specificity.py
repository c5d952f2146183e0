"""Agreement between tasks: against scipy, planted types, and what independent selections share."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from skillkit.errors import SkillkitError
from skillkit.models.backbones import FFNSite
from skillkit.neurons.scores import skill_neurons
from skillkit.neurons.specificity import (
    as_cells,
    by_pair,
    by_stack,
    overlap_beyond_chance,
    overlap_of_tasks,
    own_task_gap,
    pair_kinds,
    profile_by_kind,
    specificity,
    type_differences,
)
from skillkit.neurons.stability import top_overlap

SITES = (FFNSite("encoder", 0, 40), FFNSite("encoder", 1, 40))


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


def test_overlap_of_independent_tasks_is_what_chance_gives():
    """Many draws of five tasks: the interval covers 0 in about 95 % of them; planted sharing is found."""
    rng = np.random.default_rng(0)

    def mask():
        return skill_neurons(torch.from_numpy(rng.random((2, 60))), 0.2)

    covered = 0
    for _ in range(60):
        row = overlap_beyond_chance(overlap_of_tasks({task: [mask()] for task in "abcde"}))
        covered += row.low <= 0 <= row.high
    assert row.n == 10 and 51 <= covered <= 60
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


def test_neurons_that_never_fire_are_none_that_chance_could_choose():
    """Two thirds of a site are silent: independent selections share three times what the width suggests."""
    rng = np.random.default_rng(1)
    firing = (torch.arange(120) < 40).expand(2, -1)

    def mask():
        return skill_neurons(torch.where(firing, torch.from_numpy(rng.random((2, 120))), 0.0), 0.1)

    covered = fooled = 0
    for _ in range(60):
        masks = {task: [mask()] for task in "abcde"}
        row = overlap_beyond_chance(overlap_of_tasks(masks, {task: [firing] for task in masks}))
        covered += row.low <= 0 <= row.high
        fooled += overlap_beyond_chance(overlap_of_tasks(masks)).low > 0
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


def test_a_mask_without_neurons_is_refused_before_anything_is_divided_by_what_it_shares():
    """The first mask alone used to be looked at, so an empty second one was a division by zero."""
    full, empty = torch.ones(2, 40, dtype=torch.bool), torch.zeros(2, 40, dtype=torch.bool)
    with pytest.raises(SkillkitError, match="masks of 'b' hold no neuron"):
        overlap_of_tasks({"a": [full], "b": [empty]})


def test_a_page_says_by_stack_and_by_kind_what_the_pairs_say():
    rng = np.random.default_rng(5)
    sites = (FFNSite("encoder", 0, 40), FFNSite("decoder", 0, 40))
    tasks, types = ["film", "food", "news"], {"film": "mood", "food": "mood", "news": "topic"}
    scores = {task: [torch.from_numpy(rng.random((2, 40))) for _ in range(2)] for task in tasks}
    table = specificity(scores, sites)
    assert set(table["n"]) == {40} and set(table["unit"]) == {"neurons"}
    similar = by_stack(table, tasks)
    assert list(similar) == ["encoder", "decoder", "all"]
    mean = (similar["encoder"] + similar["decoder"]) / 2
    pd.testing.assert_frame_equal(similar["all"], mean)
    cells = as_cells(similar["encoder"]).set_index(["row", "column"])["value"]
    assert len(cells) == 9 and cells["film", "news"] == similar["encoder"].loc["film", "news"]
    profile = profile_by_kind(table.assign(pair=pair_kinds(table, types))).set_index(["pair", "stack"])[
        "value"
    ]
    assert profile["same type", "decoder"] == pytest.approx(similar["decoder"].loc["film", "food"])
    assert profile["same task", "encoder"] == pytest.approx(np.diag(similar["encoder"]).mean())
    across = similar["encoder"].loc["news", ["film", "food"]].mean()
    assert profile["other type", "encoder"] == pytest.approx(across)
    assert list(type_differences(similar, list(types.values()))) == ["encoder", "decoder", "all"]
    assert list(type_differences(similar | {"decoder": mean}, ["a", "a", "a"])) == []


def test_the_gap_to_the_nearest_other_task_is_paired_by_task():
    square = pd.DataFrame([[0.9, 0.2, 0.4], [0.2, 0.8, 0.1], [0.4, 0.1, 0.3]], list("abc"), list("abc"))
    gap = own_task_gap(square)
    assert gap.value == pytest.approx(((0.9 - 0.4) + (0.8 - 0.2) + (0.3 - 0.4)) / 3)
    assert (gap.n, gap.unit) == (3, "tasks") and gap.low <= gap.value <= gap.high
    with pytest.raises(SkillkitError, match="two seeds"):
        own_task_gap(square.where(~np.eye(3, dtype=bool)))


def test_the_difference_between_types_is_measured_in_pairs():
    square = pd.DataFrame(np.full((4, 4), 0.2), list("abcd"), list("abcd"))
    square.loc["a", "b"] = square.loc["b", "a"] = square.loc["c", "d"] = square.loc["d", "c"] = 0.8
    [found] = type_differences({"encoder": square, "all": square}, ["x", "x", "y", "y"]).values()
    measured = found.beyond_chance()
    assert (measured.n, measured.unit) == (2, "pairs")
    assert measured.high - measured.low == pytest.approx(found.chance_high - found.chance_low)


def test_a_difference_that_ties_with_the_largest_of_permuted_types_is_undecided():
    """With two tasks of each of two types, a third of all orders are the observed one."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.random((4, 4)) / 3
        square = pd.DataFrame(values + values.T + 0.4 * np.kron(np.eye(2), np.ones((2, 2))))
        [found] = type_differences({"all": square}, ["x", "x", "y", "y"]).values()
        assert found.beyond_chance().low == 0
