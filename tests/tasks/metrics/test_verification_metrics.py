"""Verification and identification against scikit-learn and slow plain versions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from paco_eval.analysis.bootstrap import bootstrap_all
from tasks.metrics.metric import group_codes
from tasks.metrics.verification import AUC, EER, RANK1, tar_at_far

TAR, ACHIEVED = tar_at_far(0.2)


@st.composite
def pairs(draw, min_size=2):
    n = draw(st.integers(min_size, 25))

    def column(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    a, b = column(st.sampled_from("abcd")), column(st.sampled_from("abcd"))
    score = column(st.sampled_from([-0.5, 0.0, 0.1, 0.1, 0.7, 1.0]))
    table = pd.DataFrame({"group_a": a, "group_b": b, "score": score})
    table["truth"] = table["group_a"] == table["group_b"]
    table["id_a"], table["id_b"] = table["group_a"], [f"probe{i}" for i in range(n)]
    return table


def weights_of(table, drawn):
    """Weigh every pair in a plain loop."""
    return np.array(
        [
            drawn[a] if a == b else drawn[a] * drawn[b]
            for a, b in zip(table["group_a"], table["group_b"], strict=True)
        ]
    )


def plain(table, weight, far_limit):
    """Try every threshold in a plain loop; returns auc, tar, achieved far."""
    score, truth = table["score"].to_numpy(), table["truth"].to_numpy()
    genuine, impostor = weight[truth].sum(), weight[~truth].sum()
    best = (0.0, 0.0)
    for threshold in [np.inf, *sorted(set(score), reverse=True)]:
        accepted = score >= threshold
        far, tar = weight[accepted & ~truth].sum() / impostor, weight[accepted & truth].sum() / genuine
        if far <= far_limit + 1e-12:
            best = (tar, far)
    wins = sum(
        weight[i] * weight[j] * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
        for i in np.flatnonzero(truth)
        for j in np.flatnonzero(~truth)
    )
    return wins / genuine / impostor, *best


@settings(max_examples=80, deadline=None)
@given(pairs(), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_replicates_against_a_plain_loop(table, multiplicity):
    drawn = dict(zip("abcd", multiplicity, strict=True))
    _, names = group_codes(table)
    weight = weights_of(table, drawn).astype(float)
    replicate = np.array([[drawn[name] for name in names]], dtype=float)
    found = [float(metric.compute(table, replicate)[0]) for metric in (AUC, TAR, ACHIEVED)]
    if not weight[table["truth"]].sum() or not weight[~table["truth"]].sum():
        assert np.isnan(found).all()
        return
    auc, tar, far = plain(table, weight, 0.2)
    np.testing.assert_allclose(found, [auc, 100 * tar, 100 * far], atol=1e-9)


def many(n=2000, seed=0, identities=60):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, identities, (2, n))
    b = np.where(rng.random(n) < 0.5, a, b)
    score = np.round(rng.normal(size=n) + (a == b), 2)
    columns = {"group_a": a.astype(str), "group_b": b.astype(str), "id_a": a, "id_b": np.arange(n)}
    return pd.DataFrame({**columns, "score": score, "truth": a == b})


def test_auc_against_scikit_learn():
    table = many()
    assert AUC.value(table) == pytest.approx(roc_auc_score(table["truth"], table["score"]), abs=1e-12)


def test_equal_error_rate_against_interpolation():
    table = many()
    far, tar, _ = roc_curve(table["truth"], table["score"], drop_intermediate=False)
    grid = np.linspace(0, 1, 2_000_001)
    at = np.argmin(np.abs(grid - (1 - np.interp(grid, far, tar))))
    assert EER.value(table) == pytest.approx(100 * grid[at], abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_metrics_depend_on_the_order_of_scores_only(table):
    moved = table.assign(score=np.arctan(3 * table["score"]) + 2)
    for metric in (AUC, TAR, EER, RANK1):
        np.testing.assert_array_equal(metric.compute(table, None), metric.compute(moved, None))


def test_at_most_means_at_most():
    table = pd.DataFrame({"score": np.arange(20.0), "truth": np.arange(20) % 2 == 0})
    table["group_a"], table["group_b"] = "a", [f"g{i}" for i in range(20)]
    for far in (0.05, 0.1, 0.29, 0.3, 1.0):
        assert tar_at_far(far)[1].value(table) <= 100 * far + 1e-9
    assert tar_at_far(0.3)[1].value(table) == 30.0
    assert tar_at_far(0.05)[1].value(table) == 0.0
    assert tar_at_far(0.05)[0].value(table) == 0.0
    assert tar_at_far(1e-2)[0].name == "tar@far=1e-2"


@pytest.mark.parametrize("truth", [True, False])
def test_one_class_alone_is_undefined(truth):
    table = many(20).assign(truth=truth)
    for metric in (AUC, TAR, ACHIEVED, EER):
        assert np.isnan(metric.value(table))


def test_a_collapsed_encoder_scores_chance():
    table = many().assign(score=1.0)
    assert (AUC.value(table), EER.value(table), TAR.value(table)) == (0.5, 50.0, 0.0)


def test_pairs_without_a_score_are_decided_wrongly():
    """An impostor pair without a score counted as rejected, so that failing on impostors was perfect."""
    table = many(200)
    failed = table.assign(score=np.where(np.arange(200) % 3, table["score"], np.nan))
    wrong = np.where(table["truth"], -1e9, 1e9)
    last = table.assign(score=np.where(np.arange(200) % 3, table["score"], wrong))
    for metric in (AUC, TAR, EER):
        assert metric.value(failed) == metric.value(last)
    nothing = table.assign(score=np.nan)
    assert AUC.value(nothing) == 0.0
    assert (TAR.value(nothing), EER.value(nothing)) == (0.0, 100.0)
    assert RANK1.value(nothing) == 0.0


def test_a_rate_at_a_far_of_few_impostor_pairs_warns():
    few, enough = (many(n).assign(truth=np.arange(n) % 4 == 0) for n in (200, 400))
    assert "of 150 impostor pairs rests on 1 of them" in tar_at_far(1e-2)[0].warning(few)
    assert tar_at_far(0.04)[0].warning(enough) == ""
    found = bootstrap_all([tar_at_far(1e-2)[0], AUC], few, replicates=50)
    assert np.isnan(found["tar@far=1e-2"].low)
    assert np.isfinite([found["tar@far=1e-2"].value, found["auc"].low]).all()


def test_a_table_without_pairs_is_undefined():
    """It raised IndexError or ValueError, depending on the metric."""
    for metric in (AUC, TAR, ACHIEVED, EER, RANK1):
        assert np.isnan(metric.value(many(20).iloc[:0]))


def square(scores):
    """A gallery of n people against one probe each, scores (n, n), probes in columns."""
    n = len(scores)
    a, b = (axis.ravel() for axis in np.meshgrid(range(n), range(n), indexing="ij"))
    table = pd.DataFrame({"group_a": a.astype(str), "group_b": b.astype(str), "id_a": a, "id_b": b})
    return table.assign(score=np.asarray(scores, dtype=float).ravel(), truth=a == b)


def test_rank1_against_argmax():
    scores = np.random.default_rng(0).normal(size=(30, 30)) + np.eye(30)
    expected = 100 * (scores.argmax(axis=0) == np.arange(30)).mean()
    assert RANK1.value(square(scores)) == pytest.approx(expected)


def test_rank1_ties_are_drawn_fairly():
    assert RANK1.value(square(np.zeros((4, 4)))) == 25.0
    assert RANK1.value(square([[1, 0], [1, 2]])) == 75.0


def test_rank1_resamples_probes_before_the_whole_gallery():
    table = square([[1, 9, 0], [0, 1, 0], [0, 0, 1]])
    assert RANK1.compute(table, np.array([[0.0, 1.0, 3.0]])) == 75.0


def test_rank1_asks_only_probes_with_a_mate():
    table = square(np.eye(3) + 0.1)
    assert RANK1.value(table[~((table["id_b"] == 2) & table["truth"])]) == 100.0


def test_repeated_pairs_change_nothing():
    table = many(300)
    twice = pd.concat([table, table], ignore_index=True)
    for metric in (AUC, TAR, EER):
        assert metric.value(twice) == pytest.approx(metric.value(table), abs=1e-9)


def test_many_replicates_are_cut_into_pieces_without_a_seam(monkeypatch):
    table = many(500)
    weights = np.random.default_rng(0).integers(0, 3, (40, 60)).astype(float)
    whole = AUC.compute(table, weights)
    monkeypatch.setattr("tasks.metrics.verification.COMPUTE_CELLS", 1700)
    np.testing.assert_array_equal(AUC.compute(table, weights), whole)
