"""Robustness: what is lost behind things and in bad light, and how large the error there is."""

from __future__ import annotations

from functools import cache

import pandas as pd

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.robustness import replicated_drops, sweeps
from paco_eval.analysis.statistics import over_seeds
from tests.claims.reference import main_metric, reference

FACTORS = ["occlusion", "perturbed-occlusion", "illumination", "perturbed-illumination"]
FAMILIES = ["pose", "landmarks"]
SEEDS = [5, 6, 7]


@cache
def cells(task: str, method: str) -> dict[int | None, list]:
    """Return the cells of a task by pretraining seed, the clean one among them."""
    found: dict[int | None, list] = {}
    for stored in reference()[0]:
        if (stored.row.task, stored.row.method) == (task, method):
            found.setdefault(stored.row.pretrain_seed, []).append(stored)
    return found


def drop(task: str, ours: str, rival: str) -> Interval:
    """Return how much more one loses from the clean pictures than the other, over people and seeds."""
    sides = [list(sweeps(s for part in cells(task, side).values() for s in part)) for side in (ours, rival)]
    return replicated_drops(*sides).interval()


def error(task: str, ours: str, rival: str) -> Interval:
    """Return the difference of the mean errors over all kinds and levels, over people and seeds."""
    sides = [[_levels(part) for part in cells(task, side).values()] for side in (ours, rival)]
    return over_seeds(main_metric(task), sides[0], baseline=sides[1], replicates=200)


def _levels(part: list) -> pd.DataFrame:
    named = [
        s.items().assign(id=f"{s.row.subset} {s.row.level} " + s.items()["id"].astype(str))
        for s in part
        if s.row.level
    ]
    return pd.concat(named, ignore_index=True)


def told(found: Interval) -> str:
    """Return what an interval of errors says; less is better."""
    return "less" if found.high < 0 else "more" if found.low > 0 else "not told apart"


TASKS = [f"{factor}/{family}/synthetic" for factor in FACTORS for family in FAMILIES]
