"""Head pose: 300W-LP for training, AFLW2000-3D and BIWI for testing.

``300W_LP/{AFW,HELEN,IBUG,LFPW}`` and the same with ``_Flip`` hold a picture and a ``.mat`` of one stem:
``Pose_Para`` as in AFLW2000-3D, ``pt2d`` the 68 iBUG points (2 x 68). ``BIWI/NN/frame_XXXXX_pose.txt`` holds
a rotation matrix, a blank line and the head's place in mm; ``frame_XXXXX_rgb.png`` the picture; ``rgb.cal`` the
camera. 300W-LP's and BIWI's layouts are known from public loaders only: unproven.

**Filter.** A picture with any angle beyond 99 degrees takes no part: its ``split`` is "excluded", which is
counted. The limit is inclusive and applied to the stored value.

**Crop.** The ``box`` of a record is what is cut, with margin 0. How it comes about is one of :data:`RULES`:

``6drepnet``   AFLW2000: the box of ``pt2d``, 21 points of which a hidden one is (-1, 452) and counts, widened with k =
               0.2 one side after the other (left 2k w, top 2k h, right 2k w', bottom 0.6k h', where w' and h' are the
               sizes after the sides before), cut at whole pixels, its shorter side scaled to 256 and the centre 224
               kept. 300W-LP: k is drawn anew from 0.2 to 0.4 (here once a picture), left and right 0.6k, and the middle
               square is kept; of the field's further random part (80 to 100 % of the area) nothing is drawn.
``hopenet``    the same, but all of the shorter side is kept in testing.
``fsanet``     either set: the box of the points of ``pt2d`` with a positive coordinate, widened by 0.6 on every side, not
               beyond the picture, stretched to a square.
``landmarks``  ours: the test square of ``6drepnet``, of all 68 points, in training and testing; nothing is drawn.

BIWI's published crops come from a detector (MTCNN, margin 0.4): ``BIWI/BIWI_noTrack.npz``, which FSA-Net's code
writes, holds them (``image``, n x S x S x 3, blue first) with ``pose`` (n x 3, yaw, pitch, roll in degrees, signs of
300W-LP), of whom it does not say; ``test="biwi_cut"`` reads it, and the centre is kept as in testing above. Else ours
is a square of 180 mm around the place in ``_pose.txt``, seen through ``rgb.cal``: cut from the truth, and said to be
so here.

**BIWI's angles** are read from the transposed matrix with all signs turned, which brings them into the signs of
300W-LP (as FSA-Net does). The two frames still differ by a constant rotation (arXiv 2401.05807).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from paco_fr.faces.decode import encode_png
from paco_fr.faces.landmarks import box_of
from paco_fr.faces.listing import files_in
from paco_fr.faces.rotation import angles_from_rotation, rotation_from_angles
from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array
from paco_fr.utils.untrusted import read_npz
from tasks.readers.dataset_info import OBTAIN_CUT
from tasks.readers.files import (
    FormatError,
    read_lines,
    read_numbers,
    reading,
    require,
    require_folder,
    to_records,
)
from tasks.readers.pose.aflw2000 import read_fields, read_mat, within

OBTAIN_300W_LP = "Download 300W-LP (Zhu et al. 2016) into <data root>/300W_LP."
OBTAIN_AFLW2000 = "Download AFLW2000-3D (Zhu et al. 2016) into <data root>/AFLW2000."
CUT = "BIWI/BIWI_noTrack.npz"
CUT_LIMIT = 4 * 2**30
"""Bytes of it at most; 15,667 pictures of 256 pixels are 3.1 GB."""
OBTAIN_BIWI = "Download the Biwi Kinect Head Pose Database into <data root>/BIWI (folders 01 to 24)."
REMEDY = "Restore the original file."
PARTS_300W_LP = ("AFW", "HELEN", "IBUG", "LFPW")
HEAD_MM = 180.0
"""Side of BIWI's square, about what the rule above leaves of an adult face."""
TEST_SEQUENCES = 8
"""Of BIWI's 24 in protocol 2. Published code draws them anew each time, so no list can be matched."""


TEST_K, TRAIN_K = 0.2, (0.2, 0.4)
"""How far published code widens a box, in testing and, drawn, in training."""
KEPT = 224 / 256
"""Share of the shorter side that 6DRepNet's centre crop keeps in testing."""
FSANET_MARGIN = 0.6
SIDE = 450
"""Pixels of a side of the pictures of 300W-LP and AFLW2000-3D."""
RULES = ("6drepnet", "hopenet", "fsanet", "landmarks")


def widened(points: npt.ArrayLike, k: float = TEST_K, sideways: float = 2.0) -> Array:
    """Return the box x0 y0 x1 y1 of points (K, 2), widened one side after the other as HopeNet and 6DRepNet do."""
    x0, y0, x1, y1 = box_of(points)
    x0 -= sideways * k * (x1 - x0)
    y0 -= 2 * k * (y1 - y0)
    x1 += sideways * k * (x1 - x0)
    y1 += 0.6 * k * (y1 - y0)
    return np.array([x0, y0, x1, y1])


def middle_square(box: npt.ArrayLike, kept: float = 1.0) -> Array:
    """Return the square in the middle of a box, ``kept`` of its shorter side."""
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    half, x, y = kept * min(x1 - x0, y1 - y0) / 2, (x0 + x1) / 2, (y0 + y1) / 2
    return np.array([x - half, y - half, x + half, y + half])


def test_square(points: npt.ArrayLike, k: float = TEST_K, kept: float = KEPT) -> Array:
    """Return the square x0 y0 x1 y1 that 6DRepNet would test on, for points (K, 2), not cut at whole pixels."""
    return middle_square(widened(points, k), kept)


def field_square(points: npt.ArrayLike, rule: str, drawn: str = "") -> Array:
    """Return the box x0 y0 x1 y1 that published code cuts, in the pixel convention of records.

    Args:
        points: (K, 2) of ``pt2d``, hidden ones included.
        rule: one of :data:`RULES` but ``landmarks``.
        drawn: in training, the id of the picture, which k depends on; empty in testing.

    """
    if rule == "fsanet":
        return fsanet_box(points)
    if drawn:
        number = int.from_bytes(hashlib.sha256(drawn.encode()).digest()[:8])
        box = widened(points, generator("300W-LP crop", number).uniform(*TRAIN_K), 0.6)
    else:
        box = widened(points)
    # A picture is cut at whole numbers, truncated; the pixel n begins at n - 0.5.
    return middle_square(np.trunc(box) - 0.5, KEPT if rule == "6drepnet" and not drawn else 1.0)


def fsanet_box(points: npt.ArrayLike) -> Array:
    """Return the box that FSA-Net stretches to a square; pictures are of :data:`SIDE` pixels."""
    found = np.asarray(points, np.float64)
    told = found > 0
    seen = told[:, 1] if told[:, 0].sum() > told[:, 1].sum() else told[:, 0]
    x0, y0, x1, y1 = np.trunc(box_of(found[seen]))
    aside, above = FSANET_MARGIN * (x1 - x0), FSANET_MARGIN * (y1 - y0)
    box = np.trunc([x0 - aside, y0 - above, x1 + aside, y1 + above])
    return np.asarray(np.clip(box, 0, SIDE - 1) - 0.5)


def read_protocol1(data_root: str | Path, test: str, rule: str = "landmarks") -> Dataset:
    """Return 300W-LP as train and ``test`` ("aflw2000", "biwi" or "biwi_cut") as test, cut by one of :data:`RULES`."""
    if rule not in RULES:
        raise unknown_name("rule of cutting heads", rule, RULES)
    rows = _rows_300w_lp(Path(data_root), rule)
    if test == "aflw2000":
        tested = _rows_aflw2000(Path(data_root), rule)
        rows = [row | {"subsets": yaw_bin(row["yaw"])} for row in (*rows, *tested)]
    else:  # BIWI has no points
        rows = [{name: row[name] for name in row if name not in POINTS} for row in rows]
        if test == "biwi_cut":
            rows = [row | {"image": {"bytes": None, "path": row["image"]}} for row in rows]
            rows += _rows_biwi_cut(Path(data_root))
        else:
            rows += _rows_biwi(Path(data_root), _all_test)
    return to_records(rows, str(Path(data_root) / "300W_LP"))


def read_protocol2(data_root: str | Path) -> Dataset:
    """Return BIWI with 16 sequences as train and 8 as test: those whose name has the smallest sha256.

    Four of the 20 people were recorded twice; which, the files do not say, so a group is a sequence.
    """
    return to_records(_rows_biwi(Path(data_root), test_sequences), str(Path(data_root) / "BIWI"))


def yaw_bin(yaw: float) -> list[str]:
    """Return the subset of a stored yaw in degrees: "yaw0-30", "yaw30-60" or "yaw60-90"; none beyond 90.

    Bins hold their upper end, as in the evaluation of 3DDFA (Zhu et al. 2016).
    """
    for high in (30, 60, 90):
        if abs(yaw) <= high:
            return [f"yaw{high - 30}-{high}"]
    return []


def _all_test(sequences: Sequence[str]) -> frozenset[str]:
    return frozenset(sequences)


def test_sequences(sequences: Sequence[str]) -> frozenset[str]:
    """Return the names of the test sequences of protocol 2."""
    ordered = sorted(sequences, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = max(1, len(sequences) * TEST_SEQUENCES // 24)
    return frozenset(ordered[:count])


def _row(image: Path, ident: str, group: str, box: Array, angles: Array, split: str) -> dict[str, Any]:
    yaw, pitch, roll = (float(angle) for angle in angles)
    return {
        "image": str(image),
        "image_id": ident,
        "group": group,
        "box": box.tolist(),
        "rotation": rotation_from_angles(yaw, pitch, roll).tolist(),
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "split": split if within(angles) else "excluded",
    }


POINTS = ("landmarks", "scheme")


def _points(points: Array) -> dict[str, Any]:
    """Return the columns of the 68 points, which perturbations are anchored to."""
    return dict(zip(POINTS, (points.tolist(), "ibug68"), strict=True))


def _rows_300w_lp(data_root: Path, rule: str) -> list[dict[str, Any]]:
    root, rows = require_folder(data_root / "300W_LP", OBTAIN_300W_LP), []
    for part in (f"{name}{flip}" for name in PARTS_300W_LP for flip in ("", "_Flip")):
        for path in reading(files_in(require_folder(root / part, OBTAIN_300W_LP), ".mat")):
            fields = read_fields(path, {"Pose_Para": (1, 7), "pt2d": (2, 68)})
            pitch, yaw, roll = np.degrees(fields["Pose_Para"][0, :3])
            photo = re.sub(r"_\d+$", "", path.stem)  # the number says how far the photograph was turned
            points, ident = fields["pt2d"].T, f"{part}/{path.stem}"
            box = test_square(points) if rule == "landmarks" else field_square(points, rule, drawn=ident)
            rows.append(
                _row(path.with_suffix(".jpg"), ident, f"{part.removesuffix('_Flip')}/{photo}", box,
                     np.array([yaw, pitch, roll]), "train")
                | _points(points)
            )  # fmt: skip
    if not rows:
        raise PacoError(f"{root}: no .mat files in {', '.join(PARTS_300W_LP)}. {OBTAIN_300W_LP}")
    return rows


def _rows_aflw2000(data_root: Path, rule: str) -> list[dict[str, Any]]:
    root, rows = require_folder(data_root / "AFLW2000", OBTAIN_AFLW2000), []
    for path in reading(files_in(root, ".mat")):
        face = read_mat(path)
        name = f"AFLW2000/{path.stem}"
        if rule == "landmarks":
            box = test_square(face.points)
        else:
            box = field_square(read_fields(path, {"pt2d": (2, 21)})["pt2d"].T, rule)
        row = _row(path.with_suffix(".jpg"), name, name, box, face.angles, "test")
        rows.append(row | _points(face.points))
    if not rows:
        raise PacoError(f"{root}: no .mat files. {OBTAIN_AFLW2000}")
    return rows


def _rows_biwi(data_root: Path, choose: Any) -> list[dict[str, Any]]:
    root = require_folder(data_root / "BIWI", OBTAIN_BIWI)
    sequences = sorted(
        path.name for path in root.iterdir() if path.is_dir() and re.fullmatch(r"\d\d", path.name)
    )
    if not sequences:
        raise PacoError(f"{root}: no folders 01 to 24. {OBTAIN_BIWI}")
    test, rows = choose(sequences), []
    for name in reading(sequences):
        camera = read_camera(root / name / "rgb.cal")
        for path in _poses(root / name):
            angles, place = read_biwi_pose(path)
            if place[2] <= 0:
                raise FormatError(path, 5, f"the head is {place[2]:g} mm before the camera", REMEDY)
            x, y = (camera @ (place / place[2]))[:2]
            half = HEAD_MM / 2 * camera[0, 0] / place[2]
            box = np.array([x - half, y - half, x + half, y + half])
            image = path.with_name(path.name.replace("_pose.txt", "_rgb.png"))
            ident = f"BIWI/{name}/{path.name.removesuffix('_pose.txt')}"
            rows.append(_row(image, ident, f"BIWI/{name}", box, angles, "test" if name in test else "train"))
    if not rows:
        raise PacoError(f"{root}: no frame_XXXXX_pose.txt in its folders. {OBTAIN_BIWI}")
    return rows


def _rows_biwi_cut(data_root: Path) -> list[dict[str, Any]]:
    path = require(data_root / CUT, OBTAIN_CUT)
    held = read_npz(path, OBTAIN_CUT, limit=CUT_LIMIT)
    pictures, poses = held.get("image"), held.get("pose")
    if (
        pictures is None or poses is None or pictures.ndim != 4 or pictures.shape[3] != 3
        or pictures.shape[1] != pictures.shape[2] or poses.shape != (len(pictures), 3) or not np.isfinite(poses).all()
    ):  # fmt: skip
        raise FormatError(
            path, None, "does not hold n square pictures and as many yaws, pitches, rolls", OBTAIN_CUT
        )
    side, rows = pictures.shape[1], []
    box = middle_square([-0.5, -0.5, side - 0.5, side - 0.5], KEPT)
    for number, (picture, angles) in enumerate(zip(pictures, poses, strict=True)):
        ident = f"BIWI/{number:05d}"
        cell = {"bytes": encode_png(np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)), "path": None}
        rows.append(_row(path, ident, ident, box, angles, "test") | {"image": cell})
    return rows


def _poses(folder: Path) -> list[Path]:
    return [path for path in files_in(folder, ".txt") if re.fullmatch(r"frame_.*_pose\.txt", path.name)]


def read_biwi_pose(path: str | Path) -> tuple[Array, Array]:
    """Return yaw, pitch, roll (3,) in degrees with the signs of 300W-LP, and the head's place (3,) in mm.

    Raises:
        FormatError: not three lines of three numbers, or a matrix that is no rotation; names file and line.

    """
    path = Path(path)
    matrix = _matrix(path, 4)
    rotation = matrix[:3].T
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-2) or np.linalg.det(rotation) < 0:
        raise FormatError(path, 1, "the first three lines are no rotation matrix", REMEDY)
    return -angles_from_rotation(rotation), matrix[3]


def read_camera(path: str | Path) -> Array:
    """Return the camera matrix (3, 3) of an ``rgb.cal``; distortion and extrinsics (2 cm) are not used."""
    return _matrix(Path(path), 3)


def _matrix(path: Path, rows: int) -> Array:
    """Return the first ``rows`` non-empty lines as rows of three numbers."""
    lines = [(n, line) for n, line in enumerate(read_lines(require(path, OBTAIN_BIWI)), 1) if line.strip()]
    if len(lines) < rows:
        raise FormatError(
            path, len(lines), f"{len(lines)} lines of numbers, expected at least {rows}", REMEDY
        )
    return np.array([read_numbers(path, n, line, 3, REMEDY) for n, line in lines[:rows]])
