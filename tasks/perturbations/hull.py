"""The face hull: the part of the canvas that coverage is a share of.

It is the convex hull of the landmarks and of the forehead of the fitted mean head, up to three quarters of the
way from the brows to the hairline; without the forehead no hair in front and no raised hand would count.
Schemes without a jaw line take that from the fitted head as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull, QhullError

from paco_fr.errors import PacoError
from tasks.perturbations.head import Head

WITHOUT_JAW = ("five", "cofw29", "aflw19")

_FOREHEAD = ((-0.52, -0.30), (-0.42, -0.48), (-0.22, -0.56), (0.0, -0.58), (0.22, -0.56), (0.42, -0.48), (0.52, -0.30))
_JAW = ((-0.58, 0.2), (-0.54, 0.5), (-0.44, 0.8), (-0.26, 1.0), (0.0, 1.08), (0.26, 1.0), (0.44, 0.8), (0.54, 0.5), (0.58, 0.2))
"""Face coordinates (across, down) on the mean head, in units of 10 cm."""

LEAST = 0.01
"""Smallest share of the canvas that a hull may have inside it."""


def face_hull(
    points: npt.NDArray[np.float64], scheme: str, head: Head, side: int
) -> npt.NDArray[np.bool_]:
    """Return (S, S) which pixels of a canvas the face hull covers.

    Raises:
        PacoError: less than a hundredth of the canvas shows face, so a share of it means nothing.

    """
    added = [*_FOREHEAD, *(_JAW if scheme in WITHOUT_JAW else ())]
    outline = np.concatenate([points[np.isfinite(points).all(axis=1)], head.place(np.array(added))])
    try:
        corners = outline[ConvexHull(outline).vertices]
    except QhullError as error:
        raise PacoError("The landmarks of this picture lie on one line: there is no face to cover.") from error
    mask = Image.new("1", (side, side))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    inside = np.array(mask)
    if inside.mean() < LEAST:
        raise PacoError("The landmarks of this picture lie outside the canvas: there is no face to cover.")
    return inside
