"""Miniatures of 300W-LP, AFLW2000-3D and BIWI."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from scipy.io import savemat

from paco_fr.faces.rotation import rotation_from_angles
from tasks.mimics.faces import SIDE, Cast, Face, face_crop, save, write_lines
from tasks.readers.pose.head_pose import CUT, HEAD_MM, PARTS_300W_LP, test_sequences, yaw_bin

_FOCAL, _CENTRE = 600.0, 63.5
_HIDDEN = (-1.0, SIDE + 2.0)
"""Where AFLW2000-3D, whose pictures have 450 pixels a side, puts a point that is not seen: (-1, 452)."""
_TURNED = 120.0
"""A yaw beyond the filter's limit, which a few real files have too."""


def write_aflw2000(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``300W_LP`` and ``AFLW2000``; one test face is turned beyond the limit of the filter."""
    counts = Counter(train=_write_300w_lp(root, cast))
    for face in cast.part("test"):
        angles = list(face.angles)
        if face.number == 5:
            angles[0] = _TURNED
        counts.update(["excluded"] if face.number == 5 else ["test", *yaw_bin(angles[0])])
        stem = root / "AFLW2000" / f"image{face.number + 1:05d}"
        save(stem.with_suffix(".jpg"), face.image)
        points = np.concatenate([face.points.T, np.zeros((1, 68))])
        seen = face.points[::3][:21].copy()
        seen[~face.visible[::3][:21]] = _HIDDEN
        savemat(stem.with_suffix(".mat"), {"Pose_Para": _pose(angles), "pt3d_68": points, "pt2d": seen.T})
    return dict(counts)


def _write_300w_lp(root: Path, cast: Cast) -> int:
    faces = cast.part("train")
    for flip in ("", "_Flip"):
        for part in PARTS_300W_LP:
            (root / "300W_LP" / f"{part}{flip}").mkdir(parents=True, exist_ok=True)
        for face in faces:
            part = PARTS_300W_LP[face.number % 4]
            stem = root / "300W_LP" / f"{part}{flip}" / f"{part}_image_{face.number:04d}_0"
            yaw, pitch, roll = face.angles
            image, points = face.image, face.points
            if flip:
                image, yaw, roll = np.ascontiguousarray(image[:, ::-1]), -yaw, -roll
                points = np.stack([image.shape[1] - 1 - points[:, 0], points[:, 1]], axis=1)
            save(stem.with_suffix(".jpg"), image)
            savemat(stem.with_suffix(".mat"), {"Pose_Para": _pose([yaw, pitch, roll]), "pt2d": points.T})
    return 2 * len(faces)


def _pose(angles: list[float]) -> np.ndarray:
    yaw, pitch, roll = np.radians(angles)
    return np.array([[pitch, yaw, roll, 0.0, 0.0, 0.0, 1.0]])


def write_biwi(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``300W_LP`` and ``BIWI``, with the pictures that a detector would have cut."""
    faces = [face for found in cast.people("validation", "test").values() for face in found]
    cut = np.stack([face_crop(face, 64)[..., ::-1] for face in faces])
    (root / "BIWI").mkdir(parents=True, exist_ok=True)
    np.savez(root / CUT, image=cut, pose=np.array([face.angles for face in faces]), img_size=64)
    return {"train": _write_300w_lp(root, cast), "test": sum(_write_sequences(root, cast).values())}


def write_biwi_70_30(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``BIWI``."""
    sequences = _write_sequences(root, cast)
    test = sum(count for name, count in sequences.items() if name in test_sequences(list(sequences)))
    return {"train": sum(sequences.values()) - test, "test": test}


def _write_sequences(root: Path, cast: Cast) -> dict[str, int]:
    """Write one sequence for each person who is not in 300W-LP and return the number of frames of each."""
    counts = {}
    for at, faces in enumerate(cast.people("validation", "test").values(), 1):
        folder = root / "BIWI" / f"{at:02d}"
        for number, face in enumerate(faces, 3):
            save(folder / f"frame_{number:05d}_rgb.png", face.image)
            write_lines(folder / f"frame_{number:05d}_pose.txt", _pose_file(face))
        rows = [f"{_FOCAL} 0 {_CENTRE}", f"0 {_FOCAL} {_CENTRE}", "0 0 1"]
        write_lines(
            folder / "rgb.cal",
            [*rows, "", "0 0 0 0", "", "1 0 0", "0 1 0", "0 0 1", "", "0 0 0", "", "128 128"],
        )
        counts[folder.name] = len(faces)
    return counts


def _pose_file(face: Face) -> list[str]:
    x0, y0, x1, y1 = face.box
    depth = _FOCAL * HEAD_MM / (1.2 * max(x1 - x0, y1 - y0))
    place = [((x0 + x1) / 2 - _CENTRE) * depth / _FOCAL, ((y0 + y1) / 2 - _CENTRE) * depth / _FOCAL, depth]
    matrix = rotation_from_angles(*(-angle for angle in face.angles)).T
    return [
        *(" ".join(f"{value:.7f}" for value in row) for row in matrix),
        "",
        " ".join(f"{v:.4f}" for v in place),
    ]
