"""Accuracy under attack: metrics, intervals over originals, and tests against chance."""

import numpy as np
import pandas as pd
import pytest
from attacks import examples_of, value

from skillkit.errors import SkillkitError
from skillkit.robustness.accuracy import attack_table, chance_test, short_of_chance
from skillkit.stats.claims import FAILED, HELD, UNDECIDED, verdict


def test_the_drop_is_counted_on_pairs():
    table = attack_table(examples_of([1, 1, 1, 0], [1, 0, 0, 1]))
    assert value(table, "clean_accuracy")["value"] == 0.75
    assert value(table, "adversarial_accuracy")["value"] == 0.5
    assert value(table, "drop")["value"] == 0.25
    assert value(table, "flip_rate")["value"] == 0.75
    success = value(table, "success_rate")
    assert success["value"] == pytest.approx(2 / 3)
    assert (success["n"], success["unit"], success["interval"]) == (3, "pairs", "bootstrap over originals")


def test_a_planted_drop_is_found_by_method():
    rng = np.random.default_rng(0)
    clean = rng.random(400) < 0.9
    typo = np.arange(400) < 200
    adversarial = np.where(typo, rng.random(400) < 0.5, clean)
    table = attack_table(examples_of(clean, adversarial, method=np.where(typo, "typo", "synonym")), "method")
    found, none = value(table, "drop", "typo"), value(table, "drop", "synonym")
    assert found["low"] > 0.25 and found["p"] < 1e-6
    assert (none["value"], none["p"]) == (0, 1)
    with pytest.raises(SkillkitError, match="column"):
        attack_table(examples_of([1], [1]), "kind")


def test_several_prompts_are_averaged_over_the_same_originals():
    rng = np.random.default_rng(0)
    clean, adversarial = rng.random(80) < 0.9, rng.random(80) < 0.6
    one = examples_of(clean, adversarial)
    table = attack_table(pd.concat([one.assign(seed=0), one.assign(seed=1)]))
    single = attack_table(one)
    # The same answers twice are no further evidence: the interval is that of one prompt.
    columns = ["metric", "value", "low", "high", "n", "p"]
    pd.testing.assert_frame_equal(table[columns], single[columns])


def test_a_perfect_accuracy_has_an_interval_too():
    row = value(attack_table(examples_of([1] * 20, [1] * 20)), "adversarial_accuracy")
    assert row["low"] < 0.9 < row["high"] == 1


def test_no_difference_at_all_is_not_known_without_error():
    row = value(attack_table(examples_of([1, 0] * 10, [1, 0] * 10)), "drop")
    assert row["value"] == 0 and row["low"] == -row["high"] < 0
    assert verdict(row["low"], row["high"]) == UNDECIDED


def test_chance_has_two_readings():
    below = chance_test(examples_of([1] * 60, [0] * 45 + [1] * 15), classes=2)
    assert set(below["verdict"]) == {HELD} and (below["p_below"] < 0.01).all()
    unbalanced = examples_of([1] * 100, [1] * 60 + [0] * 40).assign(label=[1] * 70 + [0] * 30)
    table = chance_test(unbalanced, classes=2).set_index("reference")
    assert table.loc["most frequent label", "chance"] == 0.7
    assert table.loc["uniform guess", "verdict"] == FAILED
    assert table.loc["most frequent label", "verdict"] == HELD
    assert set(chance_test(examples_of([1] * 8, [1, 0] * 4), classes=2)["verdict"]) == {UNDECIDED}
    lacking = short_of_chance(below.iloc[0])
    assert lacking.value == 0.25 and lacking.low == pytest.approx(0.5 - below.iloc[0]["high"])


def test_several_attacks_on_one_original_are_one_witness():
    """Each original attacked ten times in the same way: no interval narrows, and no p-value falls."""
    rng = np.random.default_rng(0)
    clean, adversarial = rng.random(30) < 0.9, rng.random(30) < 0.5
    once = examples_of(clean, adversarial, groups=range(30))
    tenfold = examples_of(np.tile(clean, 10), np.tile(adversarial, 10), groups=list(range(30)) * 10)
    tenfold["label"] = np.tile(once["label"], 10)
    tables = [(attack_table(once), attack_table(tenfold)), (chance_test(once, 2), chance_test(tenfold, 2))]
    for one, ten in tables:
        columns = [name for name in ("value", "low", "high", "p", "p_below", "p_above") if name in one]
        pd.testing.assert_frame_equal(one[columns], ten[columns])
        assert (ten["n"] == 10 * one["n"]).all()
