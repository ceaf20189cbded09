"""Accuracy and validation rate over folds against plain loops over thresholds, the field's way."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve
from sklearn.model_selection import KFold

from tasks.metrics.folds import (
    ACCURACY_STEPS,
    FOLD_ACCURACY,
    GRID_ACCURACY,
    GRID_STD,
    RATE_STEPS,
    consecutive_folds,
    val_at_far,
)
from tasks.metrics.metric import group_codes
from tasks.metrics.verification import COLLAPSED, tar_at_far, tar_nearest


def made(n: int = 240, seed: int = 0, folds: int = 6, decimals: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.5
    a = rng.integers(0, 30, n)
    b = np.where(truth, a, (a + rng.integers(1, 30, n)) % 30)
    score = np.round(np.clip(0.4 * truth + 0.3 * rng.normal(size=n), -1, 1), decimals)
    columns = {"group_a": a.astype(str), "group_b": b.astype(str), "score": score, "truth": truth}
    return pd.DataFrame(columns | {"fold": consecutive_folds(n, folds)})


def weights_of(table: pd.DataFrame, drawn: np.ndarray) -> np.ndarray:
    codes, _ = group_codes(table)
    return np.array([drawn[a] if a == b else drawn[a] * drawn[b] for a, b in codes])


def plain(table: pd.DataFrame, weight: np.ndarray, far: float) -> tuple[float, float, float, float]:
    distance = 2 - 2 * table["score"].to_numpy()
    truth, fold = table["truth"].to_numpy(), table["fold"].to_numpy()
    distance = np.where(np.isnan(distance), np.where(truth, np.inf, -np.inf), distance)
    accuracies, free, rates = [], [], []
    for held in np.unique(fold):
        train, test = fold != held, fold == held
        there = np.unique(distance[train & (weight > 0) & np.isfinite(distance)])
        midpoints = np.array([0.0, *(there[1:] + there[:-1]) / 2, np.inf])
        for steps, found in ((ACCURACY_STEPS, accuracies), (midpoints, free)):
            right = [(weight * train)[(distance < t) == truth].sum() for t in steps]
            chosen = steps[int(np.argmax(right))]  # the lowest of equally good ones
            score = (weight * test)[(distance < chosen) == truth].sum()
            if lost := (weight * train)[~np.isfinite(distance)].sum():
                every = (
                    [-5.0, *np.unique(distance[np.isfinite(distance)]) + 1e-9]
                    if steps is midpoints
                    else steps
                )
                known = weight * np.isfinite(distance)
                gains = np.array([(known * train)[(distance < t) == truth].sum() for t in every])
                fair = np.flatnonzero(gains >= gains.max() - lost)
                score = min((known * test)[(distance < every[at]) == truth].sum() for at in fair)
            if weight[test].sum():
                found.append(score / weight[test].sum())
        impostors = weight * train * ~truth
        alarms = np.array([impostors[distance < t].sum() for t in RATE_STEPS]) / max(impostors.sum(), 1)
        threshold = 0.0
        if alarms.max() >= far:
            at = max(1, int(np.flatnonzero(alarms >= far)[0]))
            step = (far - alarms[at - 1]) / (alarms[at] - alarms[at - 1])
            threshold = RATE_STEPS[at - 1] + step * (RATE_STEPS[at] - RATE_STEPS[at - 1])
        genuine = weight * test * truth
        if genuine.sum():
            rates.append(genuine[distance < threshold].sum() / genuine.sum())
    return tuple(
        100 * float(x) for x in (np.mean(free), np.mean(accuracies), np.std(accuracies), np.mean(rates))
    )


@pytest.mark.parametrize("seed", range(4))
def test_sample_against_plain_loops(seed):
    table = made(seed=seed, decimals=2 + seed)
    table.loc[::29, "score"] = np.nan
    found = [metric.value(table) for metric in (FOLD_ACCURACY, GRID_ACCURACY, GRID_STD, val_at_far(0.05))]
    assert found == pytest.approx(plain(table, np.ones(len(table)), 0.05), abs=1e-10)


def test_the_threshold_is_as_fine_as_the_scores():
    """With thresholds 0.01 apart, pairs that are told apart without fault scored 50."""
    table = made(100, folds=10).assign(truth=np.arange(100) % 2 == 0)
    table["score"] = np.where(table["truth"], 0.9999, 0.9960)
    assert FOLD_ACCURACY.value(table) == 100.0
    assert GRID_ACCURACY.value(table) == 50.0
    assert GRID_STD.value(table) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_replicates_against_plain_loops(seed):
    table = made(120, seed=seed, folds=4)
    table.loc[seed::50, "score"] = np.nan
    _, names = group_codes(table)
    drawn = np.random.default_rng(seed).integers(0, 3, (3, len(names))).astype(float)
    metrics = (FOLD_ACCURACY, GRID_ACCURACY, val_at_far(0.05))
    found = np.stack([metric.compute(table, drawn) for metric in metrics], axis=1)
    expected = np.array([plain(table, weights_of(table, row), 0.05) for row in drawn])[:, [0, 1, 3]]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.isnan(GRID_STD.compute(table, drawn)).all()


@given(st.integers(10, 200), st.integers(2, 10))
def test_folds_are_those_of_an_unshuffled_split(pairs, folds):
    expected = np.empty(pairs, dtype=int)
    for number, (_, held) in enumerate(KFold(folds, shuffle=False).split(np.zeros(pairs))):
        expected[held] = number
    np.testing.assert_array_equal(consecutive_folds(pairs, folds), expected)


def test_lowest_of_equally_good_thresholds_is_taken():
    # Nine folds admit any threshold in (0.2, 1.0]; the pair of the tenth at distance 0.6 tells which.
    table = pd.DataFrame({"fold": np.repeat(np.arange(3), 2), "truth": [True, False] * 3})
    table["score"] = 1 - np.array([0.2, 1.0, 0.2, 1.0, 0.6, 1.0]) / 2
    table["group_a"], table["group_b"] = list("abcdef"), list("abcdef")
    assert GRID_ACCURACY.value(table) == pytest.approx(100 * (1 + 1 + 0.5) / 3)


def test_cosine_and_squared_distance_agree():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 8))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    np.testing.assert_allclose(2 - 2 * (a * b).sum(1), ((a - b) ** 2).sum(1))


def test_missing_scores_are_decided_wrongly_and_a_constant_scores_chance():
    table = made(200, folds=10)
    nothing = table.assign(score=np.nan)
    assert FOLD_ACCURACY.value(nothing) == GRID_ACCURACY.value(nothing) == 0.0
    assert val_at_far(0.1).value(nothing) == 0.0
    assert COLLAPSED.value(nothing) == COLLAPSED.value(table.assign(score=0.3)) == 1.0
    assert COLLAPSED.value(table) == 0.0
    balanced = table.assign(truth=np.arange(200) % 2 == 0, score=1.0)
    assert FOLD_ACCURACY.value(balanced) == GRID_ACCURACY.value(balanced) == 50.0


def test_one_class_alone():
    """Pairs of one kind alone gave an accuracy of 100, though nothing is told apart."""
    for truth in (True, False):
        table = made(60).assign(truth=truth)
        for metric in (val_at_far(0.1), FOLD_ACCURACY, GRID_ACCURACY, GRID_STD):
            assert np.isnan(metric.value(table))
    fold_without_genuine = made(60, folds=3).assign(truth=lambda t: t["fold"] > 0)
    assert np.isfinite(val_at_far(0.1).value(fold_without_genuine))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.001, 0.05, 0.1, 0.25, 0.5, 1.0]))
def test_nearest_point_is_a_corner_of_the_curve(seed, far):
    table = made(40, seed=seed, decimals=1)
    genuine, impostor = (np.asarray(table.loc[table["truth"] == kind, "score"]) for kind in (True, False))
    if not len(genuine) or not len(impostor):
        return
    points = [
        (np.mean(impostor >= t), np.mean(genuine >= t))
        for t in [np.inf, *sorted(set(table["score"]), reverse=True)]
    ]
    corners = list(zip(*roc_curve(table["truth"], table["score"])[:2], strict=True))
    gap = min(abs(x - far) for x, _ in corners)
    expected = max(y for x, y in corners if abs(x - far) <= gap)  # the largest TAR on ties
    assert tar_nearest(far).value(table) == pytest.approx(100 * expected)
    assert tar_at_far(far)[0].value(table) <= 100 * max(y for x, y in points if x <= far + 1e-12) + 1e-9
