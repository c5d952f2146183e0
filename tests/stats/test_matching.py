"""Partners: allowed, used once, as many as possible, and balanced where the data allow it."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillkit.errors import SkillkitError
from skillkit.stats.matching import match


def units(rng, count=40, strata=2, shift=0.0):
    groups = np.repeat(np.arange(strata), count)
    treated = rng.random(len(groups)) < 0.2
    treated[0] = True
    covariates = {
        name: rng.normal(size=len(groups)) + shift * treated for name in ("deviation", "size", "rate")
    }
    return treated, groups, covariates


@given(seed=st.integers(0, 200), shift=st.floats(0, 2), caliper=st.floats(0.05, 2))
@settings(max_examples=60, deadline=None)
def test_partners_are_allowed_candidates_used_once(seed, shift, caliper):
    rng = np.random.default_rng(seed)
    treated, groups, covariates = units(rng, shift=shift)
    candidates = rng.random(len(groups)) < 0.7
    found = match(treated, candidates, groups, covariates, caliper=caliper)
    assert len(set(found.partners)) == len(found.partners) and len(set(found.treated)) == len(found.treated)
    assert treated[found.treated].all() and (candidates & ~treated)[found.partners].all()
    assert (groups[found.treated] == groups[found.partners]).all()
    for values in covariates.values():
        for group in np.unique(groups):
            spread = values[groups == group].std()
            own = groups[found.treated] == group
            gaps = np.abs(values[found.treated[own]] - values[found.partners[own]]) / spread
            assert (gaps <= caliper + 1e-9).all()
    assert 0 <= found.share <= 1 and found.sought == treated.sum()


def test_it_is_the_best_of_all_ways_to_pair():
    """Against trying every way on a small case: most pairs first, then the smallest sum of squares."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=9)
    treated = np.arange(9) < 4
    found = match(treated, ~treated, np.zeros(9), {"x": values}, caliper=0.8)
    standard = (values - values.mean()) / values.std()

    def score(order):
        gaps = [abs(standard[i] - standard[4 + j]) for i, j in enumerate(order)]
        return -sum(gap <= 0.8 for gap in gaps), sum(gap**2 for gap in gaps if gap <= 0.8)

    best = min(score(order) for order in permutations(range(5), 4))
    mine = standard[found.treated] - standard[found.partners]
    assert (-len(mine), (mine**2).sum()) == (best[0], pytest.approx(best[1]))


def test_the_order_of_the_units_does_not_matter():
    rng = np.random.default_rng(1)
    treated, groups, covariates = units(rng)
    order = rng.permutation(len(groups))
    plain = match(treated, ~treated, groups, covariates)
    mixed = match(
        treated[order], ~treated[order], groups[order], {k: v[order] for k, v in covariates.items()}
    )
    assert set(zip(plain.treated, plain.partners, strict=True)) == set(
        zip(order[mixed.treated], order[mixed.partners], strict=True)
    )


def test_matching_takes_a_planted_imbalance_away():
    rng = np.random.default_rng(0)
    treated, groups, covariates = units(rng, count=400, shift=0.8)
    found = match(treated, ~treated, groups, covariates)
    table = found.balance().set_index("covariate")
    assert (table["before"] > 0.5).all() and (table["after"].abs() < table["before"].abs()).all()
    assert found.share > 0.3  # a caliper on three independent covariates leaves many alone
    first, other = treated, ~treated
    slow = []
    for name, values in covariates.items():
        standard = values.copy()
        for group in np.unique(groups):
            own = groups == group
            standard[own] = (values[own] - values[own].mean()) / values[own].std()
        pooled = np.sqrt((standard[first].var(ddof=1) + standard[other].var(ddof=1)) / 2)
        slow.append((standard[first].mean() - standard[other].mean()) / pooled)
        assert table.loc[name, "before"] == pytest.approx(slow[-1])


def test_groups_that_never_overlap_give_no_pairs_and_no_test():
    treated = np.array([True] * 5 + [False] * 20)
    found = match(
        treated, ~treated, np.zeros(25), {"size": np.where(treated, 10.0, 0.0) + np.linspace(0, 0.1, 25)}
    )
    assert found.share == 0 and not found.is_balanced and found.balance()["after"].isna().all()


def test_a_constant_covariate_is_no_obstacle():
    treated = np.array([True, False, False])
    found = match(treated, ~treated, np.zeros(3), {"size": [1.0, 1.0, 5.0], "rate": [0.5, 0.5, 0.5]})
    assert found.partners.tolist() == [1] and found.is_balanced


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"covariates": {}}, "at least one covariate"),
        ({"covariates": {"x": [1.0, np.nan, 2.0]}}, "covariate 'x': 1 of 3 values are NaN"),
        ({"covariates": {"x": [1.0, 2.0]}}, "of one length"),
        ({"treated": [False, False, False]}, "nothing to match"),
    ],
)
def test_bad_input_is_named(changes, message):
    good = {
        "treated": [True, False, False],
        "candidates": [True] * 3,
        "strata": [0] * 3,
        "covariates": {"x": [1.0, 1, 1]},
    }
    with pytest.raises(SkillkitError, match=message):
        match(**{**good, **changes})
