"""Miniatures of LaPa and CelebAMask-HQ: masks are painted from the 68 points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from paco_fr.faces.decode import encode_png
from paco_fr.faces.landmarks import FIVE_POINTS, five_points
from paco_fr.utils.types import Array
from tasks.mimics.faces import PARTS, SIDE, Cast, Face, save, write_lines
from tasks.readers.dataset_info import LAPA_CLASSES
from tasks.readers.parsing.celebamask import SIDE as MASK_SIDE

REGIONS = {
    "left eyebrow": range(17, 22),
    "right eyebrow": range(22, 27),
    "left eye": range(36, 42),
    "right eye": range(42, 48),
    "nose": (27, *range(31, 36)),
    "upper lip": (*range(48, 55), *range(64, 59, -1)),
    "inner mouth": range(60, 68),
    "lower lip": (*range(54, 60), 48, 60, *range(67, 63, -1)),
}
"""LaPa's name -> the points around it; left is left in the picture."""
CELEBAMASK_NAMES = {
    **{
        "left eyebrow": "l_brow",
        "right eyebrow": "r_brow",
        "left eye": "l_eye",
        "right eye": "r_eye",
        "nose": "nose",
    },
    **{"upper lip": "u_lip", "inner mouth": "mouth", "lower lip": "l_lip", "skin": "skin", "hair": "hair"},
}


def _polygons(face: Face) -> Iterator[tuple[str, Array]]:
    """Yield the outline (K, 2) of every region, those underneath first."""
    jaw, brows = face.points[:17], face.points[26:16:-1]
    up = face.points[27] - face.points[8]  # from the chin to the root of the nose
    yield "hair", np.concatenate([face.points[[0, 16]], brows + 0.7 * up])
    yield "skin", np.concatenate([jaw, brows + 0.15 * up])
    for name, points in REGIONS.items():
        yield name, face.points[list(points)]


def _filled(outline: Array, side: int) -> npt.NDArray[np.bool_]:
    canvas = Image.new("L", (side, side))
    scaled = (outline + 0.5) * side / SIDE - 0.5
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in scaled.tolist()], fill=1)
    return np.asarray(canvas) > 0


def write_lapa(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``LaPa``: pictures, masks and 106 points; those that faces are aligned by are where LaPa has them."""
    for part, folder in zip(PARTS, ("train", "val", "test"), strict=True):
        (root / "LaPa" / folder / "labels").mkdir(parents=True, exist_ok=True)
        for face in cast.part(part):
            stem = f"{face.number:05d}_0"
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for name, outline in _polygons(face):
                mask[_filled(outline, SIDE)] = LAPA_CLASSES.index(name)
            points = np.concatenate([face.points, (face.points[:38] + face.points[1:39]) / 2])
            points[[index for (index,) in FIVE_POINTS["lapa106"]]] = five_points(face.points, "ibug68")
            save(root / "LaPa" / folder / "images" / f"{stem}.jpg", face.image)
            (root / "LaPa" / folder / "labels" / f"{stem}.png").write_bytes(encode_png(mask))
            write_lines(
                root / "LaPa" / folder / "landmarks" / f"{stem}.txt",
                ["106", *(f"{x:.3f} {y:.3f}" for x, y in points)],
            )
    return {part: len(cast.part(part)) for part in PARTS}


def write_celebamask(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``CelebAMask-HQ``: every second face, with one mask a part."""
    base, counts = root / "CelebAMask-HQ", dict[str, int]()
    mapping, partition = ["idx orig_idx orig_file"], list[str]()
    for code, part in enumerate(PARTS):
        faces = cast.part(part)[::2]
        counts[part] = len(faces)
        for face in faces:
            number = len(partition)
            save(base / "CelebA-HQ-img" / f"{number}.jpg", face.image, (1024, 1024))
            folder = base / "CelebAMask-HQ-mask-anno" / "0"
            folder.mkdir(parents=True, exist_ok=True)
            for name, outline in _polygons(face):
                mask = _filled(outline, MASK_SIDE).astype(np.uint8) * 255
                (folder / f"{number:05d}_{CELEBAMASK_NAMES[name]}.png").write_bytes(encode_png(mask))
            mapping.append(f"{number} {number} {number + 1:06d}.jpg")
            partition.append(f"{number + 1:06d}.jpg {code}")
    write_lines(base / "CelebA-HQ-to-CelebA-mapping.txt", mapping)
    write_lines(base / "list_eval_partition.txt", partition)
    return counts
