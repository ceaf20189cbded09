"""One face record to one training crop, and what says how it is cut."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paco_fr.config import PretrainConfig
from paco_fr.contracts import CropContract, content_hash
from paco_fr.faces.crop import apply, crop_image, crop_transform
from paco_fr.faces.decode import Pixels, read_image
from paco_fr.faces.landmarks import five_points
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array

OneCut = tuple[npt.NDArray[np.uint8], str]
"""A crop (S, S, 3) and the name of its region map, see :data:`paco_fr.model.regions.ANCHORS`."""


@dataclass(frozen=True)
class Cutting:
    """How the faces of a run are cut: all that decides what a crop shows, but the face.

    Attributes:
        size: side of a crop in pixels.
        crops: share of each kind of crop, ``aligned``, ``box`` or ``whole``.
        template: five-point template of aligned crops.
        jitter: largest relative shift and scale change.

    """

    size: int
    crops: dict[str, float]
    template: str
    jitter: float

    @classmethod
    def of(cls, config: PretrainConfig) -> Cutting:
        """Return the cutting that a configuration asks for."""
        data = config.data
        crops = {str(kind): share for kind, share in data.crops.items()}
        return cls(config.encoder.size, crops, data.template, data.jitter)

    @property
    def hash(self) -> str:
        """Sixteen hex digits that change with any of the settings."""
        return content_hash(asdict(self))

    def anchor(self, kind: str) -> str:
        """Return the name of the region map of a kind of crop."""
        return self.template if kind == "aligned" else kind


def crop_kind(cutting: Cutting, index: int) -> str:
    """Return which kind of crop the face of this number gets, drawn from the shares."""
    shares = cutting.crops
    return str(generator("crop kind", index).choice(list(shares), p=list(shares.values())))


def training_crop(kind: str, cutting: Cutting) -> CropContract:
    """Return the crop contract of one kind of pretraining crop."""
    size, jitter = cutting.size, cutting.jitter
    if kind == "aligned":
        return CropContract("template", template=cutting.template, canvas=size, jitter=jitter)
    if kind == "box":
        return CropContract("box", margin=0.25, canvas=size, jitter=jitter)
    return CropContract("whole", canvas=size)


def cut_record(row: dict[str, Any], cutting: Cutting, index: int) -> OneCut:
    """Return the crop (S, S, 3) of a face record and the name of its region map.

    Args:
        row: the record.
        cutting: how it is cut.
        index: number of the record in its source; it fixes kind and jitter.

    Raises:
        PacoError: the picture cannot be read, or its points or box cannot be cut.

    """
    kind = crop_kind(cutting, index)
    image = read_image(row["image"])
    transform = crop_transform(
        training_crop(kind, cutting),
        landmarks=row.get("landmarks"),
        scheme=row.get("scheme"),
        box=row.get("box"),
        image_size=image.shape[:2],
        image_key=index,
    )
    if row.get("landmarks") is not None and row.get("scheme") is not None:
        points = five_points(
            row["landmarks"], row["scheme"]
        )  # no face with points of no use, however it is cut
        if kind == "aligned":
            _points_inside(points, transform, image, cutting.size)
    return crop_image(image, transform, cutting.size), cutting.anchor(kind)


def _points_inside(points: Array, transform: Array, image: Pixels, size: int) -> None:
    """Refuse points that do not belong to the picture, e.g. of another file or another scale."""
    height, width = image.shape[:2]
    outside = ((points < -0.5) | (points > np.array([width, height]) - 0.5)).any(1)
    if outside.sum() > 2:
        raise PacoError(
            f"{outside.sum()} of its five landmarks lie outside the picture of {width} x {height} pixels. "
            "Check that points and picture have the same scale."
        )
    placed = apply(transform, points)
    if ((placed < -0.5) | (placed > size - 0.5)).any():
        raise PacoError(
            "Its landmarks fall outside the crop: they do not look like a face. Check their scheme."
        )
