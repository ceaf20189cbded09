"""What a unit without features counts as: the worst honest outcome for its own label, so that no failure helps.

The rule, once for all kinds; each kind asks the function that fits what it scores.

================= ==========================================================================================
pair              accepted at every threshold if it shows two people, rejected at every one if it shows one
template          lost with any picture of it, and every pair of it as above
search            a pair of a probe and an entry of the gallery is one as above: a lost probe finds nobody and raises
                  every alarm, a lost entry is not found by its person and stands first in all other searches
threshold         where training pairs of a fold are lost, the worst of those that may have been chosen with them
landmarks         every point lies as far off as the length that errors are divided by: 100 %
pose              each angle lies at the other end of what the filter admits, the rotation half a turn away
class, pixels     not of the own class, and of every other class: no accuracy, and a false alarm in the F1 of each
attributes        wrong, all of them
codebook          no hidden patch is believed rightly, every token has changed, covered or not
================= ==========================================================================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.types import Array

NME = 100.0
"""Error of a face without features, in percent of its normaliser."""
HALF_TURN = 180.0
"""Geodesic error of a head without features, and the largest error of an angle, in degrees."""


def pair_scores(scores: npt.ArrayLike, genuine: npt.ArrayLike) -> Array:
    """Return scores (P,) whose NaN are infinite: least of all for genuine pairs, highest of all for impostors."""
    array = np.asarray(scores)
    lost = np.where(np.asarray(genuine, dtype=bool), -np.inf, np.inf).astype(array.dtype)
    return np.where(np.isnan(array), lost, array)


def angle_errors(true: npt.ArrayLike, limit: float = HALF_TURN) -> Array:
    """Return the largest errors that angles (...) in degrees can have where none exceeds ``limit`` in magnitude."""
    return np.minimum(np.abs(np.asarray(true, dtype=np.float64)) + limit, HALF_TURN)


def predicted_in_all(predicted: Array, true: Array, lost: npt.ArrayLike) -> Array:
    """Return counts (n, C) of predictions: of lost units (n,), all that is not of a class (n, C) is said to be of it."""
    others = true.sum(axis=-1, keepdims=True) - true
    return np.where(np.asarray(lost, dtype=bool)[:, None], others, predicted)
