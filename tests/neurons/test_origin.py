"""Appearance, profiles and gaps between them, against the scores that they are made of."""

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_backbone, toy_data

from skillkit.models.evaluation import Evaluation, evaluate
from skillkit.models.inputs import encode_task
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.origin import (
    gap_over_sites,
    idle,
    perturb_methods,
    top_of_sites,
    watch_tuning,
)
from skillkit.neurons.perturbation import Perturbation
from skillkit.neurons.scores import score_neurons, skill_neurons
from skillkit.neurons.stability import rank_correlation
from skillkit.tuning.budget import TuningBudget
from skillkit.tuning.methods import tune_method
from skillkit.tuning.prompt import tune_prompt

BUDGET = TuningBudget(length=2, steps=5, batch_size=8, evaluate_every=2, learning_rate=0.5)


@pytest.fixture(scope="module")
def setting():
    backbone = tiny_backbone("roberta")
    return backbone, encode_task(backbone, toy_data(40, 30)), SoftPrompt.initial(backbone, 2, 0)


def test_neurons_are_scored_at_every_look_and_at_both_ends(setting) -> None:
    backbone, data, start = setting
    found = watch_tuning(backbone, data, data, start, BUDGET, seed=3)
    assert list(found.scores) == [0, 2, 4, 5]
    assert found.scores[0].predictivity.equal(score_neurons(backbone, start, data).predictivity)
    half = {}
    tune_prompt(
        backbone, data, BUDGET, seed=3, start=start, each=lambda look, prompt: half.update({look: prompt})
    )
    assert found.scores[4].predictivity.equal(score_neurons(backbone, half[2], data).predictivity)
    last = score_neurons(backbone, half[3], data).predictivity
    stages = found.stages(0.1).set_index(["step", "quantity"])["value"]
    top = skill_neurons(last, 0.1)
    expected = found.scores[2].predictivity[top].mean()
    assert stages[2, "skill neurons (top 10 % at the end)"] == pytest.approx(float(expected))
    assert stages[5, "best neuron"] == pytest.approx(float(last.max()))
    agreement = found.agreement().set_index("step")
    correlation = rank_correlation(found.scores[0].predictivity, last).mean()
    assert agreement.loc[0, "value"] == pytest.approx(float(correlation))
    assert agreement.loc[5, "value"] == pytest.approx(1.0) and set(agreement["unit"]) == {"sites"}


def test_a_profile_has_each_line_s_own_top_neurons(setting) -> None:
    backbone, data, start = setting
    scores = score_neurons(backbone, start, data)
    table = top_of_sites({"it": scores}, backbone.sites, 0.1)
    for index, value in enumerate(table["value"]):
        best = scores.predictivity[index].sort(descending=True).values[:2]
        assert value == pytest.approx(float(best.mean()))
    assert set(table["n"]) == {30} and set(table["unit"]) == {"texts"}


def test_a_gap_is_taken_over_the_sites_that_both_lines_have() -> None:
    rows = [("a", 0, 0.9), ("a", 1, 0.8), ("a", 2, 0.5), ("b", 0, 0.6), ("b", 1, 0.7)]
    profile = pd.DataFrame(rows, columns=["line", "layer", "value"]).assign(stack="encoder")
    gap = gap_over_sites(profile, "line", "a", "b")
    assert gap.value == pytest.approx(0.2) and (gap.n, gap.unit) == (2, "sites")
    assert gap.interval == "Student's t" and gap.low < 0.2 < gap.high


def test_methods_are_perturbed_without_a_prompt_and_the_idle_ones_named(setting) -> None:
    backbone, data, start = setting
    tuned = {"bitfit": tune_method(backbone, data, "bitfit", steps=2, batch_size=8, evaluate_every=2)}
    scores = score_neurons(backbone, start, data)
    plan = Perturbation([0.0, 0.2], ["zero"], ["skill"])
    curves = perturb_methods(tuned, 0, scores, data, plan)["bitfit"]
    answered = evaluate(tuned["bitfit"].backbone, None, data.test, data.task)
    np.testing.assert_array_equal(curves.correct["zero", "skill", 0.0][0], answered.correct)
    labels = np.arange(100) % 2
    good, bad = Evaluation(labels, labels), Evaluation(np.zeros(100, dtype=int), labels)
    assert idle({"good": good, "bad": bad}) == ["bad"]
