"""Arguments are checked by their annotations, and told in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from skillkit.checks import Count, Level, Seed, Share, Shares, Size, check_arguments, real_numbers, table_with
from skillkit.errors import SkillkitError


@check_arguments
def call(
    batch: Size = 1,
    none: Count = 0,
    seed: Seed = 0,
    share: Share = 0.5,
    level: Level = 0.9,
    shares: Shares = (0.1,),
    names: Sequence[str] = (),
    by_name: Mapping[str, Sequence[int]] | None = None,
    array: ArrayLike | None = None,
    places: Sequence[tuple[int, int]] = (),
    table: Annotated[pd.DataFrame, table_with("value", made_by="measure")] | None = None,
    words: Iterable[str] = (),
    flag: bool = False,
) -> str:
    return "called"


@pytest.mark.parametrize(
    "good",
    [
        {"batch": np.int64(3), "none": 0, "seed": 7, "share": 1, "level": 0.5, "flag": np.bool_(True)},
        {"shares": [0.0, 1.0], "names": ["a"], "by_name": {"a": [1]}, "places": [(1, 2)]},
        {"shares": np.array([0.2])},
        {"array": [[1.0]], "words": (each for each in "ab")},
        {"array": range(3)},
        {"array": None, "by_name": None, "table": pd.DataFrame({"value": [1.0]})},
    ],
)
def test_what_fits_is_let_through(good):
    assert call(**good) == "called"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"batch": 0}, "call: batch is 0; expected a whole number of at least 1"),
        ({"batch": "3"}, "batch is '3'; expected a whole number"),
        ({"batch": 2.5}, "batch is 2.5"),
        ({"batch": True}, "batch is True"),
        ({"batch": float("nan")}, "batch is nan"),
        ({"none": -1}, "at least 0"),
        ({"seed": 2**70}, "seed is"),
        ({"share": 1.5}, "from 0 to 1"),
        ({"share": float("nan")}, "from 0 to 1"),
        ({"level": 1}, "between 0 and 1"),
        ({"shares": []}, "at least one number"),
        ({"shares": ["a"]}, "each is a number"),
        ({"shares": np.array(["a"])}, "at least one number"),
        ({"names": "abc"}, "names is 'abc'; expected a list"),
        ({"names": [None]}, "text, not None"),
        ({"by_name": {"a": 1}}, "values are each a list, not 1"),
        ({"by_name": {1: [1]}}, "keys are each text, not 1"),
        ({"by_name": [1]}, "a mapping"),
        ({"array": 3}, "an array of numbers"),
        ({"places": [(1, 2, 3)]}, "2 values"),
        ({"places": [(1, "b")]}, "a whole number"),
        ({"table": pd.DataFrame({"value": []})}, "with rows and the columns value, as measure makes it"),
        ({"table": pd.DataFrame({"other": [1]})}, "the columns value"),
        ({"words": "ab"}, "a list"),
        ({"flag": "yes"}, "True or False"),
    ],
)
def test_what_does_not_fit_is_named(bad, message):
    with pytest.raises(SkillkitError, match=message.replace("(", r"\(")):
        call(**bad)


def test_defaults_names_and_wrong_calls_stay_as_python_has_them():
    assert call() == "called" and call.__name__ == "call"
    with pytest.raises(TypeError, match="unexpected"):
        call(unknown=1)  # type: ignore[call-arg]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats() | st.none() | st.text(max_size=2) | st.integers(-3, 3), max_size=5))
def test_real_numbers_are_finite_numbers_or_an_error(values):
    good = all(isinstance(each, int | float) and np.isfinite(each) for each in values) and values
    if good:
        assert real_numbers(values, "these").tolist() == [float(each) for each in values]
    else:
        with pytest.raises(SkillkitError, match="these"):
            real_numbers(values, "these")


def test_missing_numbers_are_let_through_where_they_are_an_answer():
    assert np.isnan(real_numbers([np.nan, 1], "these", missing=True)[0])
    with pytest.raises(SkillkitError, match="1 of 2 values are NaN or infinite"):
        real_numbers([np.inf, 1], "these", missing=True)
    with pytest.raises(SkillkitError, match="2 axes, got shape"):
        real_numbers([1.0], "these", axes=2)
