r"""Head rotation: the one place where the signs of yaw, pitch and roll are written down.

Camera frame: x to the right of the picture, y down, z away from the viewer (right-handed, so y down
matches pixel rows). A frontal upright head has the same axes: its nose points along -z. A rotation R
takes head coordinates to camera coordinates and is composed as ``R = Rz(roll) @ Ry(yaw) @ Rx(-pitch)``.

=====  ============================================  ====================================
angle  positive means (as the picture is looked at)  range
=====  ============================================  ====================================
yaw    the nose points to the LEFT of the picture    [-90, 90] (gimbal lock at the ends)
pitch  the nose points UP                            (-180, 180]
roll   the head is turned CLOCKWISE                  (-180, 180]
=====  ============================================  ====================================

These are the signs of 300W-LP and AFLW2000-3D (``Pose_Para`` = pitch, yaw, roll)::

      yaw +30            pitch +20           roll +20
     .-------.           .---^---.            .-----.
     | o  o  |           | o < o |           / o    /
     |<      |           |       |          /    o /
     |  --   |           |  --   |          \ --  /
     '-------'           '-------'           '----'
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.types import Array


def rotation_from_angles(yaw: npt.ArrayLike, pitch: npt.ArrayLike, roll: npt.ArrayLike) -> Array:
    """Return rotation matrices of shape (..., 3, 3) for angles in degrees of equal shape (...)."""
    y, p, r = (np.radians(np.asarray(angle, dtype=np.float64)) for angle in (yaw, pitch, roll))
    cy, sy, cp, sp, cr, sr = np.cos(y), np.sin(y), np.cos(-p), np.sin(-p), np.cos(r), np.sin(r)
    rows = [
        [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
        [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
        [-sy, cy * sp, cy * cp],
    ]
    return np.stack([np.stack(np.broadcast_arrays(*row), axis=-1) for row in rows], axis=-2)


def angles_from_rotation(rotation: npt.ArrayLike) -> Array:
    """Return (..., 3) angles yaw, pitch, roll in degrees of rotation matrices (..., 3, 3)."""
    R = np.asarray(rotation, dtype=np.float64)
    yaw = np.arctan2(-R[..., 2, 0], np.hypot(R[..., 0, 0], R[..., 1, 0]))
    pitch = -np.arctan2(R[..., 2, 1], R[..., 2, 2])
    roll = np.arctan2(R[..., 1, 0], R[..., 0, 0])
    angles: Array = np.degrees(np.stack([yaw, pitch, roll], axis=-1))
    return angles
