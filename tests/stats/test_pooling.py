"""Pooling over tasks: against slow formulas, against a known truth, and at the edges."""

import numpy as np
import pytest
from scipy import stats

from skillkit.errors import SkillkitError
from skillkit.stats.measurement import Measurement
from skillkit.stats.pooling import Z, pool


def effect(value, error, n=100):
    return Measurement(value, n, "texts", value - Z * error, value + Z * error, "bootstrap over texts")


def test_equal_precision_and_no_spread_beyond_sampling_is_the_plain_mean():
    pooled = pool([effect(0.1, 0.1), effect(0.2, 0.1), effect(0.3, 0.1)])
    assert (
        pooled.measurement.value == pytest.approx(0.2) and pooled.between == 0 and pooled.heterogeneity == 0
    )
    assert (pooled.measurement.n, pooled.measurement.unit) == (3, "tasks")


def test_it_equals_the_formulas_written_out():
    values, errors = [0.5, 0.1, 0.9, 0.2], [0.1, 0.05, 0.2, 0.1]
    w = [1 / e**2 for e in errors]
    fixed = sum(a * b for a, b in zip(w, values, strict=True)) / sum(w)
    q = sum(a * (b - fixed) ** 2 for a, b in zip(w, values, strict=True))
    tau = max(0, (q - 3) / (sum(w) - sum(a * a for a in w) / sum(w)))
    star = [1 / (e**2 + tau) for e in errors]
    mean = sum(a * b for a, b in zip(star, values, strict=True)) / sum(star)
    hk = sum(a * (b - mean) ** 2 for a, b in zip(star, values, strict=True)) / (3 * sum(star))
    reach = stats.t.ppf(0.975, 3) * np.sqrt(max(hk, 1 / sum(star)))
    pooled = pool([effect(v, e) for v, e in zip(values, errors, strict=True)])
    assert pooled.measurement.value == pytest.approx(mean) and pooled.between == pytest.approx(np.sqrt(tau))
    assert pooled.measurement.low == pytest.approx(mean - reach) and pooled.heterogeneity == pytest.approx(
        1 - 3 / q
    )


def test_intervals_cover_the_mean_effect_over_tasks():
    """400 simulated studies of six tasks whose true effects differ: a 95 % interval covers the truth in at
    least 92 % of them."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        errors = rng.uniform(0.05, 0.15, 6)
        values = 0.2 + rng.normal(0, 0.1, 6) + rng.normal(0, errors)
        found = pool([effect(v, e) for v, e in zip(values, errors, strict=True)]).measurement
        covered += found.low <= 0.2 <= found.high
    assert 0.92 <= covered / 400 <= 0.99


def test_without_an_effect_few_studies_call_it_held():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        values = rng.normal(0, 0.1, 5) + rng.normal(0, 0.1, 5)
        held += pool([effect(v, 0.1) for v in values]).measurement.low > 0
    assert held / 400 <= 0.05


def test_one_task_keeps_its_own_interval_and_none_is_refused():
    one = effect(0.3, 0.1)
    pooled = pool([one, Measurement(0.5, 3, "texts")])
    assert (pooled.measurement.low, pooled.measurement.high) == (one.low, one.high)
    assert pooled.p == pytest.approx(2 * stats.norm.sf(3), rel=1e-6)
    with pytest.raises(SkillkitError, match="nothing to pool"):
        pool([Measurement(0.5, 3, "texts")])
