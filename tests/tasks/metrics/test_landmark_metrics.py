"""Landmark errors, failure rate and AUC against Simpson's rule and plain loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson

from tasks.metrics import landmarks as m


def items(errors) -> pd.DataFrame:
    return pd.DataFrame({"group": [str(i) for i in range(len(errors))], "error": errors})


def passed(errors, thresholds):
    """Return the share of images that pass each threshold: the cumulative error curve."""
    return np.searchsorted(np.sort(errors), thresholds, side="right") / len(errors)


def test_nme_against_a_plain_loop():
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(size=(2, 5, 7, 2)) * 30
    size, kept = rng.uniform(10, 20, 5), rng.random((5, 7)) < 0.5
    kept[0] = False
    found = m.nme(predicted, true, size, kept)
    assert np.isnan(found[0])
    for i in range(1, 5):
        distances = [np.hypot(*(predicted[i, j] - true[i, j])) for j in range(7) if kept[i, j]]
        assert found[i] == pytest.approx(100 * sum(distances) / len(distances) / size[i])


@given(st.floats(0.1, 50), st.floats(-300, 300), st.integers(0, 999))
def test_nme_does_not_change_with_scale_and_place(scale, shift, seed):
    true = np.random.default_rng(seed).normal(size=(3, 9, 2)) * 10
    predicted = true + 1.0
    for length in (m.box_size, m.box_diagonal, lambda p: m.distance_between(p, 0, [3, 4])):
        before = m.nme(predicted, true, length(true))
        moved_true, moved = scale * true + shift, scale * predicted + shift
        np.testing.assert_allclose(m.nme(moved, moved_true, length(moved_true)), before, rtol=1e-6)


def test_normalisers():
    points = np.array([[[0, 0], [4, 0], [4, 9], [0, 9.0]]])
    assert m.box_size(points) == 6.0
    assert m.box_diagonal(points) == pytest.approx(np.hypot(4, 9))
    assert m.distance_between(points, 0, 1) == 4.0
    assert m.distance_between(points, [0, 1], (2, 3)) == 9.0
    assert np.isnan(m.nme(points, points, [0.0])).all()


def test_exactly_the_threshold_passes_and_nan_fails():
    errors = [6.999, 7.0, 7.0000001, np.nan]
    assert m.fails(errors, 7.0).tolist() == [False, False, True, True]
    assert m.failure_rate("error", "fr7", 7.0).value(items(errors)) == 50.0


def test_an_nme_of_exactly_the_threshold_in_pixels_passes():
    predicted, true = np.zeros((1, 4, 2)), np.zeros((1, 4, 2))
    predicted[..., 0] = 7.0
    assert not m.fails(m.nme(predicted, true, [100.0]), 7.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 15), min_size=1, max_size=40), st.sampled_from([7.0, 8.0, 10.0]))
def test_auc_is_the_integral_of_the_curve(errors, threshold):
    grid = np.linspace(0.0, threshold, 70_001)
    expected = 100 * simpson(passed(errors, grid), x=grid) / threshold
    found = m.area_under_curve("error", "auc", threshold).value(items(errors))
    assert found == pytest.approx(expected, abs=0.01)


def test_auc_agrees_with_the_field_rule_of_simpson_with_step_1e_4():
    errors = np.random.default_rng(1).gamma(4.0, 1.2, size=2000)
    grid = np.arange(0, 1001) * 1e-4  # shares of the normaliser, 0 to 0.1, an odd number of points
    expected = 100 * simpson(passed(errors, 100 * grid), x=grid) / 0.1
    assert m.area_under_curve("error", "auc10", 10.0).value(items(errors)) == pytest.approx(
        expected, abs=0.02
    )


def test_farls_grid_has_702_points_at_7_percent():
    errors = np.random.default_rng(1).gamma(4.0, 1.0, size=2000)
    grid = np.arange(0.0, 0.07 + 0.0001, 0.0001)
    assert len(grid) == 702
    expected = 100 * simpson(passed(errors, 100 * grid), x=grid) / 0.07
    (theirs, rate), ours = m.farl_grid("error", "", 7.0), m.area_under_curve("error", "auc7", 7.0)
    assert (theirs.name, rate.name) == ("auc7_grid702", "fr7_grid702")
    assert rate.value(items(errors)) == pytest.approx(100 - 100 * passed(errors, [100 * grid[-1]])[0])
    assert rate.value(items([7.005, np.nan])) == 50.0  # passes beyond the threshold; not a number fails
    assert [metric.name for metric in m.farl_grid("error", "_box", 10.0)] == [
        "auc_box10_grid1001",
        "fr_box10_grid1001",
    ]
    assert theirs.value(items(errors)) == pytest.approx(expected, abs=1e-6)
    most = np.append(errors, 0.0)
    assert 0 < theirs.value(items(errors)) - ours.value(items(most)) < 0.143
    assert theirs.value(items([0.0])) == 100.0


def test_perfect_and_all_failed():
    fr, auc = m.failure_rate("error", "fr7", 7.0), m.area_under_curve("error", "auc7", 7.0)
    assert (fr.value(items([0.0, 0.0])), auc.value(items([0.0, 0.0]))) == (fr.best, auc.best)
    assert (fr.value(items([np.nan, 99.0])), auc.value(items([np.nan, 99.0]))) == (fr.worst, auc.worst)
