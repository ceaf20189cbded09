"""The synthetic faces that all miniatures are cast from, and writing them down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.decode import Pixels, read_image
from paco_fr.faces.landmarks import box_of
from paco_fr.synthetic import FaceSpec
from paco_fr.synthetic.dataset import stored_records
from paco_fr.utils.types import Array

PARTS = ("train", "validation", "test")
PER_PERSON = 4
SIDE = 128
"""Side of a photograph in pixels."""


@dataclass(frozen=True)
class Face:
    """One rendered face.

    Attributes:
        number: from 0 within its part.
        image: (128, 128, 3) uint8.
        points: (68, 2) iBUG points in pixels.
        visible: (68,) whether each can be seen.
        angles: yaw, pitch, roll in degrees.
        expression: its name.
        person: of whom it is; the parts share nobody.
        occluder: its kind or "none".
        light: its regime.

    """

    number: int
    image: Pixels
    points: Array
    visible: npt.NDArray[np.bool_]
    angles: tuple[float, float, float]
    expression: str
    person: str
    occluder: str
    light: str

    @property
    def box(self) -> Array:
        """The tight box x0 y0 x1 y1 of the points."""
        return box_of(self.points)

    def drawn(self, what: str, share: float) -> bool:
        """Return whether something that nobody renders is said of this face, evenly over numbers."""
        return (self.number * 7919 + sum(map(ord, what))) % 100 < 100 * share


@dataclass(frozen=True)
class Cast:
    """Faces of three parts, ``per_part`` each (of ``per_part / 4`` people), the same in every miniature."""

    per_part: int

    @cached_property
    def _faces(self) -> dict[str, list[Face]]:
        people = -(-self.per_part // PER_PERSON)
        found = {}
        for at, part in enumerate(PARTS):
            spec = FaceSpec(
                identities=people, images_per_identity=PER_PERSON, seed=13, first_identity=at * people, photo_size=SIDE,
                occluders=("none", "box", "glasses", "surgical_mask"), occluder_share=0.25,
                lights=("soft", "directional", "side", "dim"),
            )  # fmt: skip
            records = stored_records(spec, workers=1).select(range(self.per_part))
            found[part] = [
                Face(
                    number, read_image(row["image"]), np.array(row["landmarks"]), np.array(row["visible"]),
                    (row["yaw"], row["pitch"], row["roll"]), EXPRESSIONS[row["expression"]], row["identity"],
                    row["occluder"], row["light"],
                )
                for number, row in enumerate(records)
            ]  # fmt: skip
        return found

    def part(self, name: str) -> list[Face]:
        """Return the faces of "train", "validation" or "test"."""
        return self._faces[name]

    def two_parts(self) -> list[tuple[str, Face]]:
        """Return train and test faces with the name of their part, for sets without a validation part."""
        return [(part, face) for part in ("train", "test") for face in self.part(part)]

    def people(self, *parts: str) -> dict[str, list[Face]]:
        """Return the faces of some parts, by default of all, by person."""
        found: dict[str, list[Face]] = {}
        for part in parts or PARTS:
            for face in self.part(part):
                found.setdefault(face.person, []).append(face)
        return found


def save(path: Path, image: npt.NDArray[np.uint8], size: tuple[int, int] | None = None) -> None:
    """Write a picture by its suffix, JPEG at quality 95, perhaps resized to (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    if size is not None:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    if path.suffix == ".jpg":
        picture.save(path, quality=95)
    else:
        picture.save(path)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file with a line end after each line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def face_crop(face: Face, side: int) -> Pixels:
    """Return the square around the face at ``side`` pixels, for sets of ready-made crops."""
    from paco_fr.faces.crop import crop_image

    return crop_image(face.image, face_transform(face, side), side)


def face_transform(face: Face, side: int) -> Array:
    """Return the transform (2, 3) of :func:`face_crop`."""
    from paco_fr.contracts import CropContract
    from paco_fr.faces.crop import crop_transform

    return crop_transform(CropContract("box", margin=0.15, canvas=side), box=face.box)
