"""Similarity metrics against plain loops and their invariants."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import TASK, tiny_backbone

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.backbones import FFNSite
from skillkit.models.prompts import SoftPrompt
from skillkit.transfer.similarities import (
    METRICS,
    activated,
    layer_groups,
    overlap_rate,
    overlap_rates,
    same_type,
    similarities,
    similarity,
)


def plain_similarity(first, second):
    """Su et al. (2022), section 6.1, as loops over rows and coordinates."""

    def distance(a, b):
        return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    flat_first, flat_second = [x for row in first for x in row], [x for row in second for x in row]
    pairs = [(a, b) for a in first for b in second]
    return {
        "E_concat": 1 / (1 + distance(flat_first, flat_second)),
        "E_average": 1 / (1 + sum(distance(a, b) for a, b in pairs) / len(pairs)),
        "C_concat": cosine(flat_first, flat_second),
        "C_average": sum(cosine(a, b) for a, b in pairs) / len(pairs),
    }


def test_metrics_equal_plain_loops():
    rng = np.random.default_rng(0)
    prompts = rng.normal(size=(4, 6, 5)) * np.array([0.02, 1, 30, 1])[:, None, None]
    found = similarities(list(prompts))
    for i, first in enumerate(prompts):
        for j, second in enumerate(prompts):
            expected = plain_similarity(first.tolist(), second.tolist())
            for name in METRICS:
                assert found[name][i, j] == pytest.approx(expected[name], abs=1e-9), (name, i, j)


def test_nearly_equal_large_rows_keep_their_digits():
    first = np.full((2, 3), 1e6)
    second = first + 1e-3
    expected = plain_similarity(first.tolist(), second.tolist())
    assert similarity(first, second)["E_average"] == pytest.approx(expected["E_average"], rel=1e-6)


finite = st.floats(-100, 100, allow_nan=False, width=32)
prompt_pairs = st.tuples(st.integers(1, 5), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=finite), arrays(np.float64, shape, elements=finite)
    )
)


@settings(max_examples=60, deadline=None)
@given(prompt_pairs, st.floats(0.01, 100), st.randoms(use_true_random=False))
def test_invariants_of_the_metrics(pair, factor, random):
    first, second = pair
    forward, backward = similarity(first, second), similarity(second, first)
    assert forward == backward
    assert 0 < forward["E_concat"] <= 1
    assert 0 < forward["E_average"] <= 1
    assert -1 - 1e-9 <= forward["C_concat"] <= 1 + 1e-9
    assert -1 - 1e-9 <= forward["C_average"] <= 1 + 1e-9
    assert similarity(first, first)["E_concat"] == 1

    scaled = similarity(first * factor, second)
    assert scaled["C_concat"] == pytest.approx(forward["C_concat"], abs=1e-9)
    assert scaled["C_average"] == pytest.approx(forward["C_average"], abs=1e-9)

    order = list(range(len(first)))
    random.shuffle(order)
    shuffled = similarity(first[order], second)  # only the averages ignore the order of the rows
    assert shuffled["E_average"] == pytest.approx(forward["E_average"], abs=1e-9)
    assert shuffled["C_average"] == pytest.approx(forward["C_average"], abs=1e-9)


def test_leaving_out_the_first_row_equals_slicing_it_off():
    prompts = np.random.default_rng(1).normal(size=(3, 4, 5))
    skipped, sliced = similarities(list(prompts), skip_rows=1), similarities(list(prompts[:, 1:]))
    for name in METRICS:
        np.testing.assert_array_equal(skipped[name], sliced[name])
    assert not np.allclose(skipped["C_concat"], similarities(list(prompts))["C_concat"])


def test_a_row_of_zeros_has_cosine_zero():
    values = similarity(np.zeros((2, 3)), np.ones((2, 3)))
    assert values["C_concat"] == 0
    assert values["C_average"] == 0


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "one shape"),
        (np.ones(3), np.ones(3), "length, hidden"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), "diverged"),
    ],
)
def test_bad_prompts_are_refused(first, second, message):
    with pytest.raises(SkillkitError, match=message):
        similarity(first, second)
    with pytest.raises(SkillkitError, match="leaves no row"):
        similarities([np.ones((1, 3))] * 2, skip_rows=1)


patterns = st.tuples(st.integers(1, 3), st.integers(1, 20)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@settings(max_examples=60, deadline=None)
@given(patterns)
def test_overlap_rate_is_the_cosine_of_the_sets(pair):
    first, second = pair
    a, b = set(zip(*np.nonzero(first), strict=True)), set(zip(*np.nonzero(second), strict=True))
    if not a or not b:
        assert math.isnan(overlap_rate(first, second))
        return
    assert overlap_rate(first, second) == pytest.approx(len(a & b) / math.sqrt(len(a) * len(b)))
    assert overlap_rate(first, first) == pytest.approx(1)
    assert overlap_rate(first, second) == overlap_rate(second, first)


def test_unrelated_patterns_score_their_density_not_zero():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 4, 20_000)) < 0.3
    assert overlap_rate(first, second) == pytest.approx(0.3, abs=0.01)


def test_overlap_on_skill_neurons_and_on_layer_groups():
    rng = np.random.default_rng(0)
    shared = rng.random((4, 50)) < 0.5
    first, second = shared.copy(), shared.copy()
    second[2:] = ~second[2:]  # agree in the first two sites, nowhere in the last two
    mask = np.zeros_like(shared)
    mask[:2] = True
    assert overlap_rate(first, second, neurons=mask) == pytest.approx(1)
    assert overlap_rates([first, second], sites=[0, 1])[0, 1] == pytest.approx(1)
    assert overlap_rates([first, second], sites=[2, 3])[0, 1] == 0
    assert 0 < overlap_rate(first, second) < 1
    with pytest.raises(SkillkitError, match="mask"):
        overlap_rate(first, second, neurons=mask[:2])
    with pytest.raises(SkillkitError, match="boolean"):
        overlap_rate(first.astype(float), second.astype(float))
    with pytest.raises(SkillkitError, match="one backbone"):
        overlap_rate(first, second[:2])


def test_layer_groups_stay_inside_a_stack():
    sites = [FFNSite("encoder", layer, 20) for layer in range(4)]
    sites += [FFNSite("decoder", layer, 20) for layer in range(2)]
    groups = layer_groups(sites, size=3)
    assert groups == {"encoder 0-2": [0, 1, 2], "encoder 3": [3], "decoder 0-1": [4, 5]}
    with pytest.raises(SkillkitError, match="size is 0"):
        layer_groups(sites, size=0)


def test_same_type():
    np.testing.assert_array_equal(same_type(["a", "b", "a"]), [[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def test_activated_is_what_record_sees_at_the_answer_slot(backbone):
    prompt = SoftPrompt.initial(backbone, 3, seed=0, method="normal")
    active = activated(backbone, prompt)
    assert active.shape == (len(backbone.sites), backbone.width)

    empty = Dataset.from_dict({"text": [""], "label": [0]})
    recorded = record(backbone, prompt, empty, TASK)[0]  # [sites, positions, width]
    slot = 3 if backbone.family == "causal-lm" else 0
    expected = recorded[:, slot] > 0  # NaN, where a site has no answer slot, is not above 0
    assert torch.equal(active, expected)
    assert active.any() and not active.all()
    if backbone.family == "encoder-decoder":
        assert not active[[site.stack == "encoder" for site in backbone.sites]].any()


def test_activated_in_su_layout_never_sees_prompt_row_0():
    backbone = tiny_backbone("roberta")
    prompt = SoftPrompt.initial(backbone, 3, seed=0, method="normal")
    other = prompt.matrix.clone()
    other[0] = -5 * other[0]
    same = [activated(backbone, SoftPrompt(matrix, {"layout": "su"})) for matrix in (prompt.matrix, other)]
    assert torch.equal(*same)
    assert not torch.equal(*[activated(backbone, SoftPrompt(matrix)) for matrix in (prompt.matrix, other)])


def test_overlap_of_activated_neurons_takes_tensors():
    backbone = tiny_backbone("gpt2")
    patterns = [activated(backbone, SoftPrompt.initial(backbone, 3, seed, "normal")) for seed in range(3)]
    rates = overlap_rates(patterns, neurons=torch.ones_like(patterns[0]))
    assert rates.shape == (3, 3)
    np.testing.assert_allclose(np.diag(rates), 1)
    assert rates[0, 1] == overlap_rate(patterns[0], patterns[1])
