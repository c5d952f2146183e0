"""Calibration under attack."""

import numpy as np
import pandas as pd
import pytest
from attacks import examples_of

from skillkit.robustness.calibration import calibration, calibration_error, reliability
from skillkit.stats.claims import UNDECIDED, verdict


def test_calibration_error_agrees_with_a_loop_over_bins():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 300)
    correct = (rng.random(300) < confidence - 0.1).astype(float)
    expected = 0.0
    for bin_ in range(10):
        own = (confidence >= bin_ / 10) & (confidence < (bin_ + 1) / 10)
        if own.any():
            expected += own.mean() * abs(confidence[own].mean() - correct[own].mean())
    assert calibration_error(confidence, correct) == pytest.approx(expected)


def test_overconfidence_under_attack_is_found():
    right = np.arange(300) % 5 > 0  # 80 %, as sure as it says
    table = calibration(examples_of(right, np.arange(300) % 5 > 2)).set_index(["text", "metric"])
    assert verdict(*table.loc[("clean", "overconfidence"), ["low", "high"]]) == UNDECIDED
    assert table.loc[("adversarial", "overconfidence"), "low"] > 0.3
    row = table.loc[("adversarial", "calibration_error")]
    assert row["low"] <= row["value"] <= row["high"]
    assert set(reliability(examples_of([1, 0, 1], [1, 1, 1]))["text"]) == {"clean", "adversarial"}


def test_a_text_answered_by_several_prompts_is_one_text():
    once = examples_of([1, 1, 0], [1, 1, 1])
    thrice = pd.concat([once.assign(seed=seed) for seed in range(3)])
    columns = ["value", "n", "low", "high"]
    pd.testing.assert_frame_equal(reliability(once)[columns], reliability(thrice)[columns])
