"""From head coordinates to pixels: a pinhole camera that frames the landmarks, and an optional crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking along +z at a head whose origin is ``distance`` away.

    A point at the distance of the head's origin is drawn ``scale`` pixels per head unit.

    Attributes:
        distance: from the pinhole to the head's origin, in head units of 10 cm.
        scale: photo pixels per head unit at the head's origin.
        centre: photo pixel of the head's origin.

    """

    distance: float
    scale: float
    centre: tuple[float, float]

    def project(self, points: Floats) -> Floats:
        """Return (..., 2) photo pixels of camera-frame points (..., 3)."""
        return np.asarray(self.centre) + self.scale * flatten(points, self.distance)


def flatten(points: Floats, distance: float) -> Floats:
    """Return the perspective picture (..., 2) of camera-frame points, in head units."""
    return np.asarray(points[..., :2] * (distance / (distance + points[..., 2:])))


def framing_camera(
    flat_landmarks: Floats, distance: float, photo_size: int, framing: float, shift: tuple[float, float]
) -> Camera:
    """Return the camera whose photo holds the landmarks at the asked size and place.

    Args:
        flat_landmarks: (68, 2) landmarks after :func:`flatten`.
        distance: camera distance in head units.
        photo_size: side of the square photo in pixels.
        framing: longer side of the landmark box as a share of the photo.
        shift: displacement of the box centre from the photo centre as a share of the photo.

    """
    low, high = flat_landmarks.min(axis=0), flat_landmarks.max(axis=0)
    scale = framing * photo_size / float((high - low).max())
    target = (photo_size - 1) / 2 + np.asarray(shift) * photo_size
    centre = target - scale * (low + high) / 2
    return Camera(distance, scale, (float(centre[0]), float(centre[1])))


def apply_affine(matrix: Floats | None, points: Floats) -> Floats:
    """Return points (..., 2) after a (2, 3) affine map; None is the identity."""
    if matrix is None:
        return points
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
