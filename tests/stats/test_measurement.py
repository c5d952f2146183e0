"""Every constructor gives the value, says what n counts, and brackets the value."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillkit.errors import SkillkitError
from skillkit.results import Place, measurements
from skillkit.stats.measurement import (
    Measurement,
    difference_of_means,
    difference_over_originals,
    mean_of,
    mean_of_runs,
    mean_over_originals,
    paired_difference,
    proportion,
    ratio_over_originals,
    without_interval,
)

NAN = float("nan")
quick = settings(max_examples=30, deadline=None)
outcomes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=25)


def width(measured: Measurement) -> float:
    return measured.high - measured.low


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0.5, 3, "sentences"), "unit"),
        ((0.5, -1, "texts"), "n = -1"),
        ((0.5, 3, "texts", 0.4, NAN, "Wilson"), "both ends"),
        ((0.5, 3, "texts", 0.6, 0.4, "Wilson"), "lower one first"),
        ((0.5, 3, "texts", 0.4, 0.6), "name it"),
        ((0.5, 3, "texts", NAN, NAN, "Wilson"), "name it"),
    ],
)
def test_a_measurement_that_does_not_say_what_it_is_is_refused(fields, message):
    with pytest.raises(SkillkitError, match=message):
        Measurement(*fields)


def test_a_measurement_survives_a_table():
    given_ = [proportion(3, 4, "pairs"), without_interval(2.0, 5, "neurons")]
    table = measurements(Place("s"), [each.row("m", seed=0) for each in given_])
    read = [Measurement.of_row(row) for _, row in table.iterrows()]
    assert read[0] == given_[0]
    assert read[1].interval == "" and math.isnan(read[1].low) and read[1].unit == "neurons"
    with pytest.raises(SkillkitError, match="what n counts"):
        Measurement.of_row({"value": 0.5, "n": 3, "unit": pd.NA})


def test_subtracting_from_a_constant_turns_the_interval_round():
    turned = Measurement(0.4, 10, "texts", 0.3, 0.45, "Wilson").subtracted_from(0.5)
    assert (turned.value, turned.low, turned.high) == pytest.approx((0.1, 0.05, 0.2))
    assert (turned.n, turned.unit, turned.interval) == (10, "texts", "Wilson")


@quick
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 3))
def test_a_mean_lies_in_its_interval(values, seed):
    measured = mean_of(values, seed=seed)
    assert measured.value == pytest.approx(np.mean(values)) and measured.n == len(values)
    if measured.interval == "Wilson":  # all the same
        assert width(measured) > 0
    assert -1e-9 <= measured.low <= measured.high <= 1 + 1e-9


@quick
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40))
def test_a_paired_difference_and_its_reverse_mirror_each_other(rows):
    one, other = zip(*rows, strict=True)
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert there.value == -back.value
    assert width(there) > 0 and width(there) == pytest.approx(width(back), abs=0.25)
    assert -1 <= there.low <= there.high <= 1


def test_a_paired_difference_agrees_with_a_loop_and_needs_pairs():
    rng = np.random.default_rng(0)
    one, other = rng.random(60), rng.random(60)
    drawn = np.random.default_rng(1).integers(0, 60, (4000, 60))
    means = [np.mean([one[i] - other[i] for i in rows]) for rows in drawn]
    measured = paired_difference(one, other)
    assert (measured.low, measured.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)
    with pytest.raises(SkillkitError, match="difference_of_means"):
        paired_difference([1, 0], [1])


def test_separate_samples_are_resampled_on_their_own():
    rng = np.random.default_rng(0)
    one, other = rng.normal(1, 1, 300), rng.normal(0, 2, 200)
    measured = difference_of_means(one, other)
    error = math.sqrt(one.var() / 300 + other.var() / 200)
    assert measured.n == 200 and measured.value == pytest.approx(one.mean() - other.mean())
    assert width(measured) == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert difference_of_means([1.0], other).interval == ""


def test_runs_are_few_and_get_student_s_interval():
    assert mean_of_runs([0.1, 0.3]).interval == "Student's t" and mean_of_runs([0.2]).interval == ""
    assert mean_of_runs([0.1, 0.3]).unit == "prompts"


@quick
@given(outcomes, st.integers(2, 4))
def test_repeating_every_attack_does_not_narrow_an_interval(rows, times):
    values, originals = zip(*rows, strict=True)
    differences = [value - index % 2 for index, value in enumerate(values)]
    for make, each in (
        (mean_over_originals, values),
        (difference_over_originals, differences),
        (ratio_over_originals, values),
    ):
        once, repeated = make(each, originals), make(each * times, originals * times)
        assert repeated.n == times * once.n
        assert (repeated.value, repeated.low, repeated.high) == pytest.approx(
            (once.value, once.low, once.high), nan_ok=True
        )


@quick
@given(outcomes)
def test_resampling_originals_brackets_the_value(rows):
    values, originals = zip(*rows, strict=True)
    measured = mean_over_originals(values, originals)
    if measured.interval:
        assert 0 <= measured.low <= measured.value <= measured.high <= 1


def test_originals_that_all_fare_alike_still_leave_doubt():
    """Two attacks on each original, one right and one wrong: resampling originals sees no spread at all."""
    values, originals = [1, 0] * 10, np.repeat(np.arange(10), 2)
    alike = mean_over_originals(values, originals)
    assert alike.low < 0.3 and alike.interval == "Wilson over originals"
    assert (
        difference_over_originals(values, originals).low
        < 0.3
        < 0.7
        < difference_over_originals(values, originals).high
    )


def test_a_ratio_weighs_rows_by_the_denominator():
    measured = ratio_over_originals([1.0, 4.0, 2.0], [0, 1, 2], [2.0, 4.0, 8.0], n=3)
    assert measured.value == 0.5 and measured.low <= 0.5 <= measured.high
    assert math.isnan(ratio_over_originals([1.0, 2.0], [0, 1], [0.0, 0.0]).value)
