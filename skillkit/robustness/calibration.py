"""How far confidence can be trusted under attack, from the table of `answers.answer_pairs`."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skillkit.checks import Seed, check_arguments, real_numbers
from skillkit.errors import SkillkitError
from skillkit.robustness.answers import TEXTS, Answers, paired_answers
from skillkit.stats.intervals import RESAMPLES, UNKNOWN
from skillkit.stats.measurement import Measurement, mean_over_originals, ratio_over_originals

BINS = 10  # of confidence, for the calibration error

Array = NDArray[np.floating]


@check_arguments
def calibration(examples: Answers, *, seed: Seed = 0) -> pd.DataFrame:
    """How far confidence can be trusted on the pairs, clean and adversarial: one row per measurement.

    Returns:
        The columns of a measurement, text ("clean" or "adversarial") and metric. Metrics: confidence (mean),
        accuracy, overconfidence (their difference), loss (mean negative log-probability of the label, nats),
        calibration_error (expected calibration error in ten equal bins; biased upwards when n is small, so
        compare the two texts, which have the same n).
    """
    part = paired_answers(examples)
    groups, n = part["group"].to_numpy(), part["example"].nunique()
    rows = []
    for text in TEXTS:
        confidence, correct = (part[f"{text}_{c}"].to_numpy(dtype=float) for c in ("confidence", "correct"))
        probability = part[f"{text}_probability"].to_numpy(dtype=float)
        measured = {
            "confidence": ratio_over_originals(confidence, groups, n=n, seed=seed),
            "accuracy": mean_over_originals(correct, groups, n, "pairs", seed=seed),
            "overconfidence": ratio_over_originals(confidence - correct, groups, n=n, seed=seed),
            "loss": ratio_over_originals(-np.log(np.clip(probability, 1e-12, None)), groups, n=n, seed=seed),
            "calibration_error": _measured_error(confidence, correct, groups, n, seed),
        }
        rows += [each.row(metric, text=text) for metric, each in measured.items()]
    return pd.DataFrame(rows)


@check_arguments
def reliability(examples: Answers) -> pd.DataFrame:
    """Accuracy against confidence in bins, for a reliability diagram.

    Returns:
        The columns of a measurement (accuracy; over originals, since several prompts and several attacks can
        share one), text, and confidence (mean of the bin).
    """
    part = paired_answers(examples).reset_index(drop=True)
    rows = []
    for text in TEXTS:
        bins = _bins(part[f"{text}_confidence"].to_numpy(dtype=float))
        for _, own in part.groupby(bins):
            measured = mean_over_originals(
                own[f"{text}_correct"], own["group"], own["example"].nunique(), "pairs"
            )
            rows.append(measured.row("accuracy", text=text, confidence=own[f"{text}_confidence"].mean()))
    return pd.DataFrame(rows)


@check_arguments
def calibration_error(confidence: Array, correct: Array) -> float:
    """Expected calibration error: mean over examples of |accuracy - confidence| of the example's bin.

    Raises:
        SkillkitError: no example, different lengths, or a confidence outside 0 to 1.
    """
    confidence, correct = (real_numbers(each, "calibration_error") for each in (confidence, correct))
    if len(confidence) != len(correct) or confidence.min() < 0 or confidence.max() > 1:
        raise SkillkitError(
            f"calibration_error: {len(confidence)} confidences from {confidence.min():g} to "
            f"{confidence.max():g} and {len(correct)} outcomes; expected one confidence from 0 to 1 for each."
        )
    gaps = np.bincount(_bins(confidence), weights=confidence - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _bins(confidence: Array) -> NDArray[np.integer]:
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def _measured_error(
    confidence: Array, correct: Array, groups: NDArray[np.integer], n: int, seed: int
) -> Measurement:
    value = calibration_error(confidence, correct)
    low, high = _error_interval(confidence, correct, groups, seed)
    return Measurement(value, n, "pairs", low, high, "" if np.isnan(low) else "bootstrap over originals")


def _error_interval(
    confidence: Array, correct: Array, groups: NDArray[np.integer], seed: int
) -> tuple[float, float]:
    """Resample originals. Every bin's gap is a sum over originals, so one matrix product does for all."""
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return UNKNOWN
    gaps = np.zeros((len(names), BINS))
    np.add.at(gaps, (index, _bins(confidence)), confidence - correct)
    sizes = np.bincount(index).astype(float)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES).astype(float)
    errors = np.abs(drawn @ gaps).sum(1) / (drawn @ sizes)
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)
