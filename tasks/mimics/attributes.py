"""Miniature of CelebA."""

from __future__ import annotations

from pathlib import Path

from paco_fr.faces.landmarks import five_points
from tasks.mimics.faces import PARTS, Cast, Face, save, write_lines
from tasks.readers.dataset_info import CELEBA_ATTRIBUTES

WIDTH, HEIGHT = 178, 218
"""Size of CelebA's aligned pictures."""


def write_celeba(root: Path, cast: Cast) -> dict[str, int]:
    """Write lists and pictures; attributes that no face shows are given out evenly."""
    attributes, points, parts, people = [], [], [], []
    persons = sorted(cast.people())
    number = 0
    for code, part in enumerate(PARTS):
        for face in cast.part(part):
            number += 1
            name = f"{number:06d}.jpg"
            save(root / "CelebA/Img/img_align_celeba" / name, face.image, (WIDTH, HEIGHT))
            side = face.image.shape[0]
            five = (five_points(face.points, "ibug68") + 0.5) * [WIDTH / side, HEIGHT / side] - 0.5
            attributes.append(
                f"{name}  " + " ".join("1" if _has(face, what) else "-1" for what in CELEBA_ATTRIBUTES)
            )
            points.append(f"{name}  " + " ".join(str(round(value)) for value in five.ravel()))
            parts.append(f"{name} {code}")
            people.append(f"{name} {persons.index(face.person) + 1}")
    sides = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    names = " ".join(f"{side}_{axis}" for side in sides for axis in "xy")
    write_lines(
        root / "CelebA/Anno/list_attr_celeba.txt",
        [str(number), " ".join(CELEBA_ATTRIBUTES) + " ", *attributes],
    )
    write_lines(root / "CelebA/Anno/list_landmarks_align_celeba.txt", [str(number), names, *points])
    write_lines(root / "CelebA/Anno/identity_CelebA.txt", people)
    write_lines(root / "CelebA/Eval/list_eval_partition.txt", parts)
    return {part: len(cast.part(part)) for part in PARTS}


def _has(face: Face, what: str) -> bool:
    if what == "Smiling":
        return face.expression == "happiness"
    if what == "Eyeglasses":
        return face.occluder == "glasses"
    if what == "Mouth_Slightly_Open":
        return bool(abs(face.points[66, 1] - face.points[62, 1]) > 2)
    return face.drawn(what, 0.3)
