"""Ten-fold scoring of 6,000 pairs against plain loops over thresholds, with equal results.

The plain loops are what a user would write, and what the field's scorers do: for every fold every threshold,
count who is decided rightly. Run: ``python -m benchmarks.folds``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from tasks.metrics.folds import (
    ACCURACY_STEPS,
    GRID_ACCURACY,
    RATE_STEPS,
    consecutive_folds,
    squared_distances,
    val_at_far,
)

FAR = 1e-3


def made_pairs(pairs: int, seed: int = 0) -> pd.DataFrame:
    """Return as many genuine as impostor pairs with overlapping scores, alternating in runs as in LFW."""
    rng = np.random.default_rng(seed)
    genuine = (np.arange(pairs) * 20 // pairs) % 2 == 0
    score = np.clip(np.where(genuine, 0.55, 0.1) + 0.18 * rng.normal(size=pairs), -1, 1)
    person = rng.integers(0, 4000, (2, pairs))
    return pd.DataFrame(
        {
            "group_a": person[0].astype(str),
            "group_b": np.where(genuine, person[0], person[1]).astype(str),
            "score": score,
            "truth": genuine,
            "fold": consecutive_folds(pairs),
        }
    )


def plain_accuracy(distance: np.ndarray, genuine: np.ndarray, fold: np.ndarray) -> float:
    """Try every threshold on every nine folds in plain loops; the first best one is kept."""
    scores = []
    for held in np.unique(fold):
        train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        found = np.zeros(len(ACCURACY_STEPS))
        for at, threshold in enumerate(ACCURACY_STEPS):
            same = np.less(distance[train], threshold)
            right = np.sum(np.logical_and(same, genuine[train]))
            right += np.sum(np.logical_and(np.logical_not(same), np.logical_not(genuine[train])))
            found[at] = right / len(train)
        best = ACCURACY_STEPS[np.argmax(found)]
        scores.append(np.mean(np.less(distance[test], best) == genuine[test]))
    return 100.0 * float(np.mean(scores))


def plain_rate(distance: np.ndarray, genuine: np.ndarray, fold: np.ndarray, far: float) -> float:
    """Sweep FAR over every threshold on nine folds, interpolate, and read the rate on the tenth."""
    rates = []
    for held in np.unique(fold):
        train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        alarms = np.zeros(len(RATE_STEPS))
        for at, threshold in enumerate(RATE_STEPS):
            same = np.less(distance[train], threshold)
            alarms[at] = np.sum(np.logical_and(same, np.logical_not(genuine[train])))
        alarms /= np.sum(~genuine[train])
        threshold = 0.0
        if alarms.max() >= far:
            high = max(1, int(np.searchsorted(alarms, far)))
            step = (far - alarms[high - 1]) / (alarms[high] - alarms[high - 1])
            threshold = RATE_STEPS[high - 1] + step * (RATE_STEPS[high] - RATE_STEPS[high - 1])
        rates.append(np.mean(distance[test][genuine[test]] < threshold))
    return 100.0 * float(np.mean(rates))


def timed(what: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Return the value and the shortest of several wall times in seconds."""
    shortest, value = np.inf, np.nan
    for _ in range(repeats):
        started = time.perf_counter()
        value = what()
        shortest = min(shortest, time.perf_counter() - started)
    return value, shortest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6000)
    pairs = made_pairs(parser.parse_args().pairs)
    distance, genuine = squared_distances(pairs["score"], pairs["truth"]), pairs["truth"].to_numpy()
    fold = pairs["fold"].to_numpy()
    rate = val_at_far(FAR)
    plain = timed(lambda: plain_accuracy(distance, genuine, fold), 3)
    ours = timed(lambda: GRID_ACCURACY.value(pairs), 20)
    plain_both = timed(lambda: plain_rate(distance, genuine, fold, FAR), 2)
    ours_both = timed(lambda: rate.value(pairs), 20)
    assert abs(plain[0] - ours[0]) < 1e-9, (plain, ours)
    assert abs(plain_both[0] - ours_both[0]) < 1e-9, (plain_both, ours_both)
    print(f"{len(pairs)} pairs, ten folds, equal results")
    times = plain[1] / ours[1]
    print(f"accuracy {ours[0]:.3f} %: plain {plain[1]:.4f} s, ours {ours[1]:.4f} s, {times:.0f} times")
    both = plain[1] + plain_both[1], ours[1] + ours_both[1]
    print(
        f"with the sweep, rate {ours_both[0]:.3f} % at FAR {FAR:g}: plain {both[0]:.4f} s, "
        f"ours {both[1]:.4f} s, {both[0] / both[1]:.0f} times"
    )


if __name__ == "__main__":
    main()
