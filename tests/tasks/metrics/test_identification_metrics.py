"""Rank and open-set rates against slow plain versions."""

import numpy as np
import pandas as pd
import pytest

from tasks.metrics.identification import probabilities_within, rank_within, tpir_at_fpir, tpir_nonmated


def searches(
    seed: int = 0, probes: int = 40, people: int = 12
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return items of searches with the scores (Q, G) and the mate's column (-1: none) they came from."""
    rng = np.random.default_rng(seed)
    mate = rng.integers(-3, people, probes).clip(-1)
    scores = np.round(rng.normal(size=(probes, people)), 1)
    has = mate >= 0
    scores[np.flatnonzero(has), mate[has]] += 1.5
    rows = []
    for q in range(probes):
        others = np.delete(scores[q], mate[q]) if has[q] else scores[q]
        own = scores[q, mate[q]] if has[q] else np.nan
        rows.append(
            {
                "id": f"p{q}",
                "group": f"s{mate[q]}" if has[q] else f"x{q}",
                "mated": has[q],
                "mate_score": own,
                "above": int((others > own).sum()) if has[q] else 0,
                "equal": int((others == own).sum()) if has[q] else 0,
                "nonmated_score": np.nan if has[q] else scores[q].max(),
                "impostor_scores": others.tolist(),
            }
        )
    return pd.DataFrame(rows), scores, mate


@pytest.mark.parametrize("rank", [1, 5])
def test_rank_is_the_mean_over_fair_draws(rank):
    items, scores, mate = searches()
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        order = np.argsort(-(scores + 1e-6 * rng.random(scores.shape)), axis=1)
        place = [np.flatnonzero(order[q] == mate[q])[0] for q in np.flatnonzero(mate >= 0)]
        draws.append(np.mean(np.array(place) < rank))
    assert rank_within(rank).value(items) == pytest.approx(100 * np.mean(draws), abs=0.5)


def test_ties_share_ranks():
    np.testing.assert_allclose(probabilities_within(1, [0, 0, 1], [0, 3, 0]), [1, 0.25, 0])
    np.testing.assert_allclose(probabilities_within(5, [3, 4, 5], [3, 9, 0]), [0.5, 0.1, 0])


@pytest.mark.parametrize("fpir", [0.1, 0.01])
def test_field_form_takes_its_threshold_from_all_impostor_scores(fpir):
    items, _, mate = searches()
    pooled = np.sort(np.concatenate(items["impostor_scores"].to_list()))[::-1]
    threshold = pooled[int(np.ceil(fpir * len(items))) - 1]
    expected = np.mean([score > threshold for score in items["mate_score"][mate >= 0]])
    assert tpir_at_fpir(fpir).value(items) == pytest.approx(100 * expected)


@pytest.mark.parametrize("fpir", [0.1, 0.3, 1.0])
def test_nonmated_form_lets_at_most_a_share_raise_alarms(fpir):
    items, _, mate = searches()
    alarms = items["nonmated_score"].dropna().to_numpy()
    best = 0.0
    thresholds = [np.inf, *sorted(set(alarms) | set(items["mate_score"].dropna()), reverse=True)]
    first = probabilities_within(1, items["above"], items["equal"])
    for threshold in thresholds:
        if np.mean(alarms >= threshold) <= fpir + 1e-12:
            best = float(np.mean(((items["mate_score"] >= threshold) * first)[mate >= 0]))
    share, achieved = tpir_nonmated(fpir)
    assert share.value(items) == pytest.approx(100 * best)
    assert achieved.value(items) <= 100 * fpir + 1e-9


def test_replicates_are_repeated_searches():
    items, _, _ = searches()
    names = sorted(set(items["group"]))
    drawn = np.random.default_rng(2).integers(0, 3, (1, len(names))).astype(float)
    times = items["group"].map(dict(zip(names, drawn[0].astype(int), strict=True)))
    repeated = items.loc[items.index.repeat(times)]
    for metric in (rank_within(1), rank_within(5), tpir_at_fpir(0.1), *tpir_nonmated(0.1)):
        assert metric.compute(items, drawn)[0] == pytest.approx(metric.value(repeated)), metric.name


def test_undefined_stays_undefined():
    items, _, _ = searches()
    mated = items[items["mated"]]
    assert np.isnan(tpir_nonmated(0.1)[0].value(mated))
    assert np.isnan(tpir_nonmated(0.1)[1].value(mated))
    assert np.isnan(rank_within(1).value(items[~items["mated"]]))
    lonely = mated.assign(impostor_scores=[[] for _ in range(len(mated))])
    assert np.isnan(tpir_at_fpir(0.1).value(lonely))
