"""Weighted sums and group codes against plain loops."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.metrics.metric import group_codes, item_weights, mean_of, weighted_mean


def repeated(items: pd.DataFrame, multiplicity: dict[str, int]) -> pd.DataFrame:
    """Write the items of every group down as often as the group was drawn."""
    return items.loc[items.index.repeat([multiplicity[g] for g in items["group"]])]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weights_are_repetitions(data):
    groups = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
    values = data.draw(st.lists(st.floats(-9, 9), min_size=len(groups), max_size=len(groups)))
    items = pd.DataFrame({"group": groups, "value": values})
    _, names = group_codes(items)
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    found = weighted_mean(items, items["value"], np.array([drawn], dtype=float))
    expected = repeated(items, dict(zip(names, drawn, strict=True)))["value"].mean()
    np.testing.assert_allclose(found, [expected], atol=1e-12)


def test_codes_of_pairs_share_one_list_of_names():
    items = pd.DataFrame({"group_a": ["z", "m"], "group_b": ["a", "m"]})
    codes, names = group_codes(items)
    assert names.tolist() == ["a", "m", "z"]
    assert codes.tolist() == [[2, 0], [1, 1]]
    weights = item_weights(codes, np.array([[3.0, 2.0, 5.0], [1.0, 0.0, 4.0]]))
    assert weights.tolist() == [[15.0, 2.0], [4.0, 0.0]]


def test_a_subset_counts_only_its_items_and_is_undefined_when_empty():
    items = pd.DataFrame({"group": ["a", "b", "c"], "error": [1.0, np.nan, 5.0], "has": [True, False, True]})
    metric = mean_of("error", "m", unit="%", best=0, worst=9, keep="has")
    assert metric.value(items) == 3.0
    found = metric.compute(items, np.array([[1.0, 1.0, 0.0], [0.0, 3.0, 0.0]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_nan_is_never_averaged_away():
    items = pd.DataFrame({"group": ["a", "b"], "error": [1.0, np.nan]})
    assert np.isnan(mean_of("error", "m", unit="%", best=0, worst=9).value(items))


def test_what_is_not_finite_spoils_only_the_replicates_that_draw_it():
    """One NaN error made every replicate NaN, also those without it."""
    metric = mean_of("error", "m", unit="%", best=0, worst=9)
    drawn = np.array([[2.0, 0.0], [1.0, 1.0]])
    for odd in (np.nan, np.inf, -np.inf):
        found = metric.compute(pd.DataFrame({"group": ["a", "b"], "error": [1.0, odd]}), drawn)
        np.testing.assert_array_equal(found, [1.0, odd])
