"""Broken input never gives an ordinary number: public functions refuse it with one SkillkitError."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import tiny_backbone, toy_data

from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.best import best_neurons
from skillkit.neurons.fit import need_masks, need_scores, need_values
from skillkit.neurons.scores import (
    NeuronScores,
    best_positions,
    matched_neurons,
    merge_subtasks,
    predictivity,
    random_neurons,
    score_neurons,
    shift_unit,
    skill_neurons,
)
from skillkit.neurons.thresholds import threshold_accuracy
from skillkit.robustness.agreement import agreement_table
from skillkit.robustness.calibration import calibration_error
from skillkit.robustness.patching import patching_table
from skillkit.robustness.shift import shift_table
from skillkit.stats.claims import claim, verdict
from skillkit.stats.exact import share_test, sign_flip_test
from skillkit.stats.intervals import bootstrap, cluster_bootstrap, outcome_interval, wilson
from skillkit.stats.matching import match
from skillkit.stats.measurement import Measurement, difference_of_means, mean_of, mean_over_originals
from skillkit.stats.type_effect import type_effect
from skillkit.transfer.ranking import prediction
from skillkit.transfer.starts import speed_ups

NAN, INF = float("nan"), float("inf")
SCORES = torch.rand(2, 20)
HOLED = SCORES.clone().index_put_((torch.tensor(0), torch.tensor(3)), torch.tensor(NAN))
MASK = SCORES > 0.8
ACCURACY = torch.rand(2, 3, 20)
SHIFTS = pd.DataFrame({"neurons": "skill", "pair": [0, 1], "group": [0, 1], "value": [NAN, 1.0], "weight": 2})
MARGINS = {"clean": [1.0, 1.0], "adversarial": [NAN, -1.0], "patched": [NAN, 1.0]}
RUNS = pd.DataFrame({"start": "fresh", "seed": 0, "step": [0, 1], "accuracy": [0.5, NAN]})

BAD_CALLS: dict[str, Callable[[], Any]] = {
    "a claim about NaN with an interval": lambda: claim("it holds", {"value": NAN, "low": 0.1, "high": 0.2}),
    "a claim of a row without an interval": lambda: claim("it holds", {"value": 0.5}),
    "a claim against NaN": lambda: verdict(0.1, 0.2, NAN),
    "an interval the wrong way round": lambda: verdict(0.2, 0.1),
    "an interval of an unknown value": lambda: Measurement(NAN, 3, "texts", 0.1, 0.2, "Wilson"),
    "an infinite measurement": lambda: Measurement(INF, 3, "texts"),
    "half a text": lambda: Measurement(0.5, 2.5, "texts"),  # type: ignore[arg-type]
    "a share of nothing": lambda: wilson(0, 0),
    "a bootstrap of infinity": lambda: bootstrap([1.0, INF]),
    "a bootstrap of text": lambda: bootstrap(["1", "2"]),  # type: ignore[list-item]
    "a confidence of 2": lambda: bootstrap([1.0, 2.0], confidence=2.0),
    "a mean of nothing": lambda: mean_of([]),
    "a mean of NaN": lambda: mean_of([NAN, 1.0]),
    "a difference from nothing": lambda: difference_of_means([1.0, 2.0], []),
    "outcomes beyond 1": lambda: outcome_interval([0, 3], [0, 1]),
    "originals that are not known": lambda: cluster_bootstrap([0.0, 1.0], [0, NAN]),
    "n of 0": lambda: mean_over_originals([0, 1], [0, 1], 0),
    "a chance of -1": lambda: share_test([0, 1], [0, 1], -1.0),
    "an outcome of -1": lambda: share_test([-1, 1], [0, 1], 0.5),
    "an infinite difference": lambda: sign_flip_test([INF, 1], [0, 1]),
    "a caliper of -1": lambda: match([True, False], [True, True], [0, 0], {"x": [1.0, 2.0]}, caliper=-1.0),
    "candidates of another length": lambda: match([True, False], [True], [0, 0], {"x": [1.0, 2.0]}),
    "no permutation": lambda: type_effect(np.eye(3), ["a", "a", "b"], permutations=0),
    "infinite transfer": lambda: prediction(np.eye(3), np.full((3, 3), INF)),
    "predictivity of NaN": lambda: predictivity(ACCURACY * NAN),
    "predictivity with a hole": lambda: predictivity(HOLED[:, None]),
    "positions of NaN": lambda: best_positions(ACCURACY * NAN),
    "skill neurons of NaN": lambda: skill_neurons(HOLED, 0.1),
    "skill neurons of infinity": lambda: skill_neurons(SCORES / 0, 0.1),
    "minus five percent": lambda: skill_neurons(SCORES, -0.05),
    "merged NaN": lambda: merge_subtasks([SCORES, HOLED], 0.1),
    "no best neuron": lambda: best_neurons(SCORES, 0),
    "best of NaN": lambda: best_neurons(HOLED, 3),
    "random ones like numbers": lambda: random_neurons(SCORES, 0),
    "matched by NaN": lambda: matched_neurons(MASK, HOLED, 0),
    "units of NaN": lambda: shift_unit(HOLED),
    "scores of two widths": lambda: NeuronScores(ACCURACY, ACCURACY, SCORES[:, 1:], SCORES, SCORES, 9, 4),
    "scores over no text": lambda: NeuronScores(ACCURACY, ACCURACY, SCORES, SCORES, SCORES, 0, 0),
    "shifts of NaN": lambda: shift_table(SHIFTS),
    "no shifts": lambda: shift_table(SHIFTS.iloc[:0]),
    "agreement of NaN": lambda: agreement_table(SHIFTS.assign(text="clean")),
    "patched NaN": lambda: patching_table(
        SHIFTS[["pair", "group", "neurons"]].assign(direction="restore", **MARGINS), ["neurons"]
    ),
    "calibration of NaN": lambda: calibration_error(np.array([NAN]), np.array([1.0])),
    "a confidence above 1": lambda: calibration_error(np.array([1.5]), np.array([1.0])),
    "a speed-up of NaN": lambda: speed_ups(RUNS),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_broken_input_is_refused(name):
    with pytest.raises(SkillkitError) as told:
        BAD_CALLS[name]()
    assert len(str(told.value)) > 30


def test_an_unknown_end_of_an_interval_decides_nothing():
    assert verdict(0.1, NAN) == verdict(NAN, -0.1) == "undecided"


def test_what_belongs_to_another_model_is_refused():
    backbone = tiny_backbone("roberta")
    prompt, data = SoftPrompt.initial(backbone, 2, 0), toy_data()
    scores = score_neurons(backbone, prompt, data)
    need_scores(backbone, scores)
    need_masks(backbone, {"skill": skill_neurons(scores.predictivity, 0.1)})
    other = tiny_backbone("t5")
    encoded = encode(other, data.test, data.task)
    for call in (
        lambda: need_scores(other, scores),
        lambda: need_masks(other, {"skill": skill_neurons(scores.predictivity, 0.1)}),
        lambda: need_masks(backbone, {"none": torch.zeros(2, 20, dtype=torch.bool)}),
        lambda: need_masks(backbone, {}),
        lambda: need_values(backbone, HOLED, "deviation"),
        lambda: threshold_accuracy(other, SoftPrompt.initial(other, 2, 0), encoded, scores.baseline, 8),
    ):
        with pytest.raises(SkillkitError):
            call()
