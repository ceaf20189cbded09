"""AFLW2000-3D and 300W-LP (Zhu et al. 2016): one Matlab file a picture, 450 x 450 pixels.

``Pose_Para`` is pitch, yaw, roll in radians (then shifts and scale), with the signs of
:mod:`paco_fr.faces.rotation`. ``pt3d_68`` holds the 68 iBUG points, occluded ones included, with the origin at
the top left; x and y are taken as they are. ``pt2d`` are AFLW's 21 points, a hidden one (-1, 452). Some angles lie
far outside their range: the field drops a picture when any angle exceeds 99 degrees, which :func:`within` does,
inclusively and countably.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paco_fr.utils.types import Array
from tasks.readers.files import FormatError, require
from tasks.readers.matlab import read_matlab

OBTAIN = "Download AFLW2000-3D (Zhu et al. 2016) into <data root>/AFLW2000."
REMEDY = "Restore the original .mat file."
LIMIT = 99.0


@dataclass(frozen=True)
class PoseFile:
    """Angles yaw, pitch, roll in degrees (3,) as stored, and the 68 points (68, 2) in pixels."""

    angles: Array
    points: Array


def read_mat(path: str | Path) -> PoseFile:
    """Return pose and points of one file.

    Raises:
        MissingDataError: there is no such file.
        FormatError: not a Matlab 5 file, or a field is missing or of another shape; names the file.

    """
    fields = read_fields(path, {"Pose_Para": (1, 7), "pt3d_68": (3, 68)})
    pitch, yaw, roll = np.degrees(fields["Pose_Para"][0, :3])
    return PoseFile(np.array([yaw, pitch, roll]), fields["pt3d_68"][:2].T.copy())


def read_fields(path: str | Path, shapes: Mapping[str, tuple[int, int]]) -> dict[str, Array]:
    """Return the named matrices of a Matlab 5 file, each of its expected shape; errors as above."""
    path = Path(path)
    require(path, OBTAIN)
    content = read_matlab(path, shapes, "a Matlab 5 file", REMEDY)
    return {name: _field(path, content, name, shape) for name, shape in shapes.items()}


def _field(path: Path, content: Mapping[str, Any], name: str, shape: tuple[int, int]) -> Array:
    if name not in content:
        raise FormatError(path, None, f"has no field {name}", REMEDY)
    found = content[name]
    if not isinstance(found, np.ndarray) or found.shape != shape or not np.isfinite(found).all():
        raise FormatError(path, None, f"{name} is not {shape[0]} x {shape[1]} finite numbers", REMEDY)
    return np.asarray(found, dtype=np.float64)


def within(angles: npt.ArrayLike, limit: float = LIMIT) -> npt.NDArray[np.bool_]:
    """Return for stored angles (..., K) in degrees whether all K lie within ±limit, the limit included."""
    return np.asarray((np.abs(np.asarray(angles, np.float64)) <= limit).all(axis=-1))
