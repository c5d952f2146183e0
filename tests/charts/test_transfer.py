"""The figures about transfer draw what their tables hold, and say so in words."""

import pytest
from figure_tables import draw, task_pairs


def test_pairs_are_those_of_different_tasks_with_their_kind():
    pairs = task_pairs()
    assert len(pairs) == 12
    assert set(pairs.loc[pairs["pair"] == "same type", "relative"]) == {0.9, 0.8}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("type_strip", "same type: mean 0.85 of 2 pairs; different type: mean 0.50 of 4 pairs"),
        ("metric_scatter", "ON 1.00; E -1.00"),
        ("start_curves", "two from other ends at 0.65"),
        ("norm_scatter", "Spearman correlation 1.000"),
        ("overlap_history", "gate, p: 0.80 to 0.60"),
    ],
)
def test_a_figure_says_what_it_shows(name, words):
    assert words in draw(name).to_dict()["description"]
