"""How far a codebook sees the same in a changed picture: diagnostics under a perturbation against clean ones.

No head is fitted. A row of outputs holds for each of N places whether the nearest token is that of the clean
picture (1 or 0), whether something covers the place (1 or 0), and whether the belief chose the same token as on
the clean picture under the same mask (-1 where the patch was visible), (n, 3N). A picture that could not be read
has changed everywhere. The score of the clean picture itself is 100 % by definition; our choice of diagnostic.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.labels import finite_rows, start_items
from tasks.metrics.metric import Metric, group_codes, group_sums, mean_of, ratio, share
from tasks.task import Task

HEAD: HeadName = "diagnostics"

PLACES = 3
"""Numbers of each place in a row of outputs."""


def targets(labels: pd.DataFrame, task: Task) -> Array:
    """Refuse: nothing is fitted."""
    raise NotImplementedError("A codebook is looked at, not fitted to.")


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per picture: shares of equal tokens and beliefs in %, and counts of covered and other places."""
    rows = np.asarray(outputs, dtype=np.float64)
    finite = finite_rows(rows)
    table = start_items(labels, finite)
    same, covered, agree = np.split(np.where(finite[:, None], rows, 0.0), PLACES, axis=1)
    hidden = agree >= 0
    table["same_token"] = 100.0 * same.mean(1)
    table["same_belief"] = 100.0 * (agree > 0).sum(1) / np.maximum(hidden.sum(1), 1)
    table["error"] = 100.0 - table["same_token"]
    for name, part in (("covered", covered > 0), ("uncovered", covered == 0)):
        lost = (
            part.shape[1] if part[finite].any() else 0
        )  # where nothing is covered, no failure covers anything
        table[name] = np.where(finite, part.sum(1), lost)
        table[f"same_{name}"] = (part & (same > 0)).sum(1)
    return pd.DataFrame(table)


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return the share of equal nearest tokens (main), of covered and of other places, and of equal beliefs."""
    return (
        mean_of("same_token", "same_token", unit="%", best=100.0, worst=0.0, higher=True),
        _among("covered"),
        _among("uncovered"),
        mean_of("same_belief", "same_belief", unit="%", best=100.0, worst=0.0, higher=True),
    )


def _among(part: str) -> Metric:
    """Return the share of equal tokens among the places of one sort, undefined where there are none."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        codes, names = group_codes(items)
        counts = items[[f"same_{part}", part]].to_numpy(dtype=np.float64)
        sums = group_sums(codes, counts, len(names), weights)
        return 100.0 * ratio(sums[:, 0], sums[:, 1])

    return share(f"same_token_{part}", compute)


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return four places that stay the same, two of them covered and two believed."""
    row = [1, 1, 1, 1, 1, 1, 0, 0, -1, 1, 1, -1]
    return np.tile(np.array(row, dtype=np.float64), (len(labels), 1))
