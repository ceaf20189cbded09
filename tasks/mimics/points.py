"""Other point schemes from the 68 iBUG points: every point is a mean of some of them, perhaps shifted.

Good enough for a miniature: the order and the anatomy are those of the scheme, the exact places are not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.types import Array

Mix = list[tuple[int, ...]]

_JAW33: Mix = [(at // 2,) if at % 2 == 0 else (at // 2, at // 2 + 1) for at in range(33)]
_EYES8: list[Mix] = [
    [(36,), (37,), (37, 38), (38,), (39,), (40,), (40, 41), (41,)],
    [(42,), (43,), (43, 44), (44,), (45,), (46,), (46, 47), (47,)],
]
_MOUTH: Mix = [(point,) for point in range(48, 68)]
_PUPILS: Mix = [tuple(range(36, 42)), tuple(range(42, 48))]
_BROW_TOPS: list[Mix] = [[(point,) for point in range(first, first + 5)] for first in (17, 22)]
_BROW_UNDER: list[Mix] = [[(first + at, first + at + 1) for at in (3, 2, 1, 0)] for first in (17, 22)]

MIXES: dict[str, Mix] = {
    "wflw98": [
        *_JAW33, *_BROW_TOPS[0], *_BROW_UNDER[0], *_BROW_TOPS[1], *_BROW_UNDER[1],
        *((point,) for point in range(27, 36)), *_EYES8[0], *_EYES8[1], *_MOUTH, *_PUPILS,
    ],
    "lapa106": [
        *_JAW33, *_BROW_TOPS[0], *_BROW_UNDER[0], *_BROW_TOPS[1], *_BROW_UNDER[1],
        *((point,) for point in range(27, 31)), (27, 31), (29, 31), (31,), (31, 32), (32, 33), (33,), (33, 34),
        (34, 35), (35,), (29, 35), (27, 35), *_EYES8[0], _PUPILS[0], *_EYES8[1], _PUPILS[1], *_MOUTH, *_PUPILS,
    ],
    "cofw29": [
        (17,), (26,), (21,), (22,), (19,), (18, 20), (24,), (23, 25), (36,), (45,), (39,), (42,), (37, 38),
        (40, 41), (43, 44), (46, 47), *_PUPILS, (31,), (35,), (30,), (33,), (48,), (54,), (51,), (62,), (66,), (57,), (8,),
    ],
    "aflw19": [
        (17,), (19,), (21,), (22,), (24,), (26,), (36,), _PUPILS[0], (39,), (42,), _PUPILS[1], (45,), (31,), (30,),
        (35,), (48,), (62, 66), (54,), (8,),
    ],
}  # fmt: skip
"""Scheme -> for each of its points the iBUG points whose mean it is."""

_UNDER = {
    "wflw98": (*range(38, 42), *range(47, 51)),
    "lapa106": (*range(38, 42), *range(47, 51)),
    "cofw29": (5, 7),
}
"""Points on the lower edge of a brow, which iBUG does not mark: they lie a tenth of the eyes' distance lower."""


def derived(points: npt.ArrayLike, scheme: str) -> Array:
    """Return the points (K, 2) of a scheme for 68 iBUG points (68, 2)."""
    ibug = np.asarray(points, dtype=np.float64)
    found = np.stack([ibug[list(mix)].mean(axis=0) for mix in MIXES[scheme]])
    across = ibug[45] - ibug[36]
    found[list(_UNDER.get(scheme, ()))] += 0.1 * np.array([-across[1], across[0]])
    return found


def derived_visible(visible: npt.ArrayLike, scheme: str) -> npt.NDArray[np.bool_]:
    """Return which points (K,) of a scheme are visible: those all of whose iBUG points are."""
    flags = np.asarray(visible, dtype=bool)
    return np.array([flags[list(mix)].all() for mix in MIXES[scheme]])
