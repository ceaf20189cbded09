"""What a unit without features counts as: the worst honest outcome for its own label, so that no failure helps.

The rule, once for all kinds; each kind asks the function that fits what it scores.

================= ==========================================================================================
pair              accepted at every threshold if it shows two people, rejected at every one if it shows one
template          every pair of it, as above
search            a mated one misses; one for somebody who is not there raises an alarm. An entry of the
                  gallery is never found: searches for its person miss, the others go on without it
landmarks         every point lies as far off as the length that errors are divided by: 100 %
pose              each angle lies at the other end of what the filter admits, the rotation half a turn away
class, attributes wrong, all of them
parsing           every pixel is wrong: the face is background, the background the commonest class of the face
codebook          no hidden patch is believed rightly, every token has changed
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


def wrong_classes(mask: npt.NDArray[np.uint8], background: int = 0) -> npt.NDArray[np.uint8]:
    """Return a mask (H, W) that is wrong at every pixel: the face as background, the background as its commonest class."""
    counts = np.bincount(mask[mask != background], minlength=background + 2)
    commonest = int(counts.argmax()) if counts.any() else background + 1
    return np.where(mask == background, commonest, background).astype(mask.dtype)
