"""The bootstrap against SciPy and exact small cases."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paco_eval.analysis.bootstrap import Interval, bootstrap_all, resamples
from tasks.metrics.metric import Metric, mean_of
from tasks.metrics.verification import AUC

MEAN = mean_of("error", "mean", unit="deg", best=0.0, worst=180.0)


def table(errors, groups=None) -> pd.DataFrame:
    ids = [f"unit{i}" for i in range(len(errors))]
    return pd.DataFrame({"id": ids, "group": ids if groups is None else groups, "error": errors})


def bootstrap(metric, items, **options) -> Interval:
    return bootstrap_all([metric], items, **options)[metric.name]


def test_replicates_draw_as_many_groups_as_there_are():
    whole = np.concatenate(list(resamples(7, 3000, seed=0)))
    assert whole.shape == (3000, 7)
    assert (whole.sum(axis=1) == 7).all()
    np.testing.assert_allclose(whole.mean(axis=0), 1.0, atol=0.08)
    np.testing.assert_allclose(whole.var(axis=0), 6 / 7, atol=0.1)
    assert np.corrcoef(whole.T)[0, 1] == pytest.approx(-1 / 6, abs=0.08)


def test_replicates_do_not_depend_on_how_many_follow():
    few, many = (np.concatenate(list(resamples(5000, n, seed=3))) for n in (10, 900))
    np.testing.assert_array_equal(few, many[:10])


@pytest.mark.parametrize("groups", [1, 2, 5000])
def test_every_group_is_as_likely(groups):
    drawn = np.concatenate(list(resamples(groups, 400, seed=1))).sum(axis=0)
    assert drawn.sum() == 400 * groups
    if groups > 1:
        assert stats.chisquare(drawn).pvalue > 0.001


def test_interval_against_scipy():
    errors = np.random.default_rng(0).gamma(2.0, 2.0, 400)
    found = bootstrap(MEAN, table(errors), replicates=20_000)
    expected = stats.bootstrap((errors,), np.mean, method="percentile", n_resamples=20_000, rng=1)
    assert found.value == pytest.approx(errors.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.02)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.02)


def test_interval_of_three_groups_against_all_27_draws():
    items = table([0.0, 0.0, 3.0, 6.0, 9.0], ["a", "a", "b", "c", "c"])
    sums, counts = np.array([0.0, 3.0, 15.0]), np.array([2, 1, 2])
    every = [sums[list(d)].sum() / counts[list(d)].sum() for d in itertools.product(range(3), repeat=3)]
    replicates = np.concatenate([MEAN.compute(items, w) for w in resamples(3, 40_000, seed=0)])
    for value in np.unique(np.round(every, 9)):
        share = np.isclose(replicates, value).mean()
        assert share == pytest.approx(np.isclose(every, value).mean(), abs=0.01)


def test_groups_are_resampled_not_items():
    errors = np.repeat(np.random.default_rng(0).normal(size=20), 50)
    people = [f"p{i // 50}" for i in range(1000)]
    by_person, by_item = bootstrap(MEAN, table(errors, people)), bootstrap(MEAN, table(errors))
    assert by_person.high - by_person.low > 4 * (by_item.high - by_item.low)


def test_all_metrics_at_once_are_each_alone():
    items = table(np.random.default_rng(0).normal(size=30)).assign(other=np.arange(30.0))
    other = mean_of("other", "other", unit="", best=0, worst=30)
    found = bootstrap_all([MEAN, other], items)
    assert found == {"mean": bootstrap(MEAN, items), "other": bootstrap(other, items)}


def test_one_group_has_no_interval():
    found = bootstrap(MEAN, table([1.0, 2.0], ["a", "a"]))
    assert found.value == 1.5
    assert np.isnan([found.low, found.high]).all()


def test_a_metric_often_undefined_has_no_interval():
    rare = mean_of("error", "rare", unit="", best=0, worst=1, keep="has")
    items = table(np.ones(50)).assign(has=np.arange(50) == 0)
    found = bootstrap(rare, items)
    assert found.value == 1.0
    assert np.isnan(found.low)
    often = bootstrap(rare, items.assign(has=np.arange(50) < 40))
    assert (often.low, often.high) == (1.0, 1.0)


def test_interval_of_pairs_by_a_plain_loop():
    rng = np.random.default_rng(0)
    a, b = (axis.ravel() for axis in np.triu_indices(24, k=1))
    items = pd.DataFrame(
        {"id": np.arange(len(a)), "group_a": (a // 2).astype(str), "group_b": (b // 2).astype(str)}
    )
    items["truth"] = items["group_a"] == items["group_b"]
    items["score"] = rng.normal(size=len(a)) + items["truth"]
    names = np.unique(items[["group_a", "group_b"]])
    column = {name: i for i, name in enumerate(names)}
    weights = np.concatenate(list(resamples(12, 30, seed=5)))
    for found, drawn in zip(AUC.compute(items, weights), weights, strict=True):
        wa = drawn[items["group_a"].map(column)]
        wb = drawn[items["group_b"].map(column)]
        weight = np.where(items["truth"], wa, wa * wb).astype(int)
        rows = items.loc[items.index.repeat(weight)]
        u = stats.mannwhitneyu(rows["score"][rows["truth"]], rows["score"][~rows["truth"]]).statistic
        assert found == pytest.approx(u / rows["truth"].sum() / (~rows["truth"]).sum())
    interval = bootstrap(AUC, items)
    assert interval.low < interval.value < interval.high


def test_a_metric_sees_every_replicate_once():
    calls = []

    def compute(items, weights):
        calls.append(1 if weights is None else len(weights))
        return np.zeros(calls[-1])

    bootstrap(Metric("m", "", True, 1, 0, compute), table(np.zeros(50_000)), replicates=100)
    assert sum(calls) == 101
