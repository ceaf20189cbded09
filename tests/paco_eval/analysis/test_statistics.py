"""Statistics against SciPy and exact small cases."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from paco_eval.analysis.bootstrap import Interval, bootstrap_all
from paco_eval.analysis.statistics import holm, mean_rank, over_seeds, replicated, verdict
from paco_fr.utils.errors import PacoError
from tasks.metrics.metric import mean_of

MEAN = mean_of("error", "mean", unit="deg", best=0.0, worst=180.0)


def table(errors, groups=None) -> pd.DataFrame:
    ids = [f"unit{i}" for i in range(len(errors))]
    return pd.DataFrame({"id": ids, "group": ids if groups is None else groups, "error": errors})


def test_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(0)
    hard = rng.gamma(2.0, 5.0, 300)
    a, b = table(hard + rng.normal(size=300) * 0.1), table(hard + 0.2)
    found = over_seeds(MEAN, [a], baseline=[b.sample(frac=1, random_state=0)])
    assert found.value == pytest.approx(a["error"].mean() - b["error"].mean())
    assert found.high < 0
    assert found.high - found.low < 0.05
    expected = stats.bootstrap(
        (a["error"] - b["error"],), np.mean, method="percentile", n_resamples=5000, rng=0
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_an_encoder_does_not_differ_from_itself():
    items = table([1.0, 5.0, 2.0])
    assert over_seeds(MEAN, [items], baseline=[items]) == Interval(0.0, 0.0, 0.0)


def test_only_the_same_units_are_compared():
    items = table([1.0, 5.0, 2.0])
    with pytest.raises(PacoError, match="'unit2' is only in one"):
        over_seeds(MEAN, [items], baseline=[items.iloc[:2]])
    with pytest.raises(PacoError, match="'unit0' occurs twice"):
        over_seeds(MEAN, [items], baseline=[pd.concat([items, items.iloc[:1]])])
    with pytest.raises(PacoError, match="different groups"):
        over_seeds(MEAN, [items], baseline=[items.assign(group=["x", "y", "z"])])
    with pytest.raises(PacoError, match="no runs"):
        over_seeds(MEAN, [])


def test_seeds_widen_the_interval():
    rng = np.random.default_rng(0)
    people = rng.gamma(2.0, 2.0, 200)
    runs = [table(people + shift) for shift in (-1.0, 0.0, 1.0)]
    found, alone = (
        over_seeds(MEAN, runs, replicates=4000),
        bootstrap_all([MEAN], runs[1], replicates=4000)["mean"],
    )
    assert found.value == pytest.approx(people.mean())
    assert found.high - found.low > 1.5 * (alone.high - alone.low)
    same = over_seeds(MEAN, [runs[1]] * 3, replicates=4000)
    assert same == pytest.approx(alone)


def test_seeds_and_groups_are_resampled_independently():
    runs = [table(np.full(10, shift)) for shift in (0.0, 3.0)]  # groups do not matter: only seeds vary
    found = over_seeds(MEAN, runs, replicates=4000)
    assert (found.low, found.high) == (0.0, 3.0)
    difference = over_seeds(MEAN, runs, baseline=runs, replicates=4000)
    assert (difference.value, difference.low, difference.high) == (0.0, -3.0, 3.0)


def test_holm_by_hand():
    # Holm 1979: 0.01 * 4, 0.02 * 3 = 0.06, then 0.03 * 2 = 0.06 and 0.04 may not fall below it.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([]).size == 0
    for bad in ([np.nan], [1.1], [-0.1]):
        with pytest.raises(ValueError, match="p-values"):
            holm(bad)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_stepping_down_rejects(p_values, alpha):
    rejected = set()
    for step, at in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[at] * (len(p_values) - step) > alpha:
            break
        rejected.add(int(at))
    assert set(np.flatnonzero(holm(p_values) <= alpha).tolist()) == rejected


def test_mean_rank():
    scores = pd.DataFrame(
        {"pose": [3.0, 5.0, 5.0], "faces": [0.9, 0.8, 0.7], "points": [2.0, 1.0, 4.0]}, index=["a", "b", "c"]
    )
    found = mean_rank(scores, {"pose": False, "faces": True, "points": False})
    assert found.loc[["a", "b", "c"], "mean_rank"].tolist() == pytest.approx([4 / 3, 5.5 / 3, 8.5 / 3])
    assert found.index.tolist() == ["a", "b", "c"]
    assert (found["low"] <= found["mean_rank"]).all()
    assert found.loc["a", ["low", "high"]].tolist() == [1.0, 2.0]
    with pytest.raises(PacoError, match="b has no score on faces"):
        mean_rank(scores.replace({"faces": {0.8: np.nan}}), {"pose": False, "faces": True, "points": False})


@pytest.mark.parametrize(
    ("low", "high", "higher", "seeds", "p_value", "expected"),
    [
        (0.1, 0.3, True, 3, 0.01, "better"),
        (0.1, 0.3, False, 3, 0.01, "worse"),
        (-0.3, -0.1, False, 2, 0.01, "better"),
        (-0.3, -0.1, True, 2, 0.01, "worse"),
        (0.1, 0.3, True, 3, 0.05, "not distinguishable"),  # alone yes, among all differences of the table no
        (-0.3, -0.1, True, 2, 0.2, "not distinguishable"),
        (-0.1, 0.3, True, 3, 0.01, "not distinguishable"),
        (0.0, 0.0, True, 3, 1.0, "not distinguishable"),
        (np.nan, np.nan, True, 3, np.nan, "not distinguishable"),
        (0.1, 0.3, True, 1, 0.01, "observed"),
        (-0.1, 0.3, True, 1, np.nan, "observed"),
    ],
)
def test_one_seed_is_never_better(low, high, higher, seeds, p_value, expected):
    assert verdict(Interval(0.2, low, high), higher, seeds, p_value) == expected


def test_p_value_of_a_difference_against_all_256_draws():
    errors = np.array([0.5, 1.5, -0.9, 0.2])
    interval, found = replicated(
        MEAN, [table(errors + 3)], [table(np.full(4, 3.0))], replicates=20_000
    ).tested()
    means = np.array([np.mean(draw) for draw in itertools.product(errors, repeat=4)])
    assert found == pytest.approx(2 * (means <= 0).mean(), rel=0.1) and interval.value == pytest.approx(0.325)
    _, mirrored = replicated(MEAN, [table(3 - errors)], [table(np.full(4, 3.0))], replicates=20_000).tested()
    assert mirrored == found


def test_p_value_has_a_floor_and_a_ceiling_and_may_be_undefined():
    errors = np.random.default_rng(0).gamma(2.0, 2.0, 50)
    clear = replicated(MEAN, [table(errors + 1)], [table(errors)], replicates=999).tested()[1]
    assert clear == 2 / 1000
    assert replicated(MEAN, [table(errors)], [table(errors)]).tested()[1] == 1.0
    alone = np.full(50, "one person")
    assert np.isnan(replicated(MEAN, [table(errors, alone)], [table(errors + 1, alone)]).tested()[1])


@pytest.mark.parametrize("shift", np.linspace(0, 1.2, 7))
def test_p_value_and_interval_agree(shift):
    rng = np.random.default_rng(1)
    a, b = rng.normal(shift, 1, 40), rng.normal(0, 1, 40)
    interval, p_value = replicated(MEAN, [table(a)], [table(b)], replicates=2000).tested()
    assert (interval.low > 0 or interval.high < 0) == (p_value < 0.05)
