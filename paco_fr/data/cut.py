"""One face record to one training crop."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from paco_fr.config import PretrainConfig
from paco_fr.contracts import CropContract
from paco_fr.faces.crop import apply, crop_image, crop_transform, five_points
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator

Cut = tuple[npt.NDArray[np.uint8], list[str], list[npt.NDArray[np.float64]], list[str]]
"""Crops (m, S, S, 3), their region maps, their five points, and what failed."""


OneCut = tuple[npt.NDArray[np.uint8], str, npt.NDArray[np.float64]]
"""A crop (S, S, 3), the name of its region map, and its five points (5, 2) in its pixels, NaN where unknown."""


def cut_record(row: dict[str, Any], config: PretrainConfig, index: int) -> OneCut:
    """Return the crop (S, S, 3) of a face record, the name of its region map and its five points (5, 2).

    The points are in pixels of the crop, NaN where the record has none.

    Args:
        row: the record.
        config: shares of the kinds of crop, template, jitter, size.
        index: number of the record in its source; it fixes kind and jitter.

    Raises:
        PacoError: the picture cannot be read, or its points or box cannot be cut.

    """
    kind = crop_kind(config, index)
    image = read_image(row["image"])
    contract = training_crop(kind, config)
    transform = crop_transform(
        contract,
        landmarks=row.get("landmarks"),
        scheme=row.get("scheme"),
        box=row.get("box"),
        image_size=image.shape[:2],
        image_key=index,
    )
    points = np.full((5, 2), np.nan)
    if row.get("landmarks") is not None and row.get("scheme") is not None:
        points = five_points(row["landmarks"], row["scheme"])
    if kind == "aligned":
        _points_inside(points, transform, image, config.encoder.size)
    anchor = config.data.template if kind == "aligned" else kind
    return crop_image(image, transform, config.encoder.size), anchor, apply(transform, points)


def crop_kind(config: PretrainConfig, index: int) -> str:
    """Return which kind of crop the face of this number gets, drawn from the shares of the configuration."""
    shares = config.data.crops
    return str(generator("crop kind", index).choice(list(shares), p=list(shares.values())))


def _points_inside(
    points: npt.NDArray[np.float64],
    transform: npt.NDArray[np.float64],
    image: npt.NDArray[np.uint8],
    size: int,
) -> None:
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


def training_crop(kind: str, config: PretrainConfig) -> CropContract:
    """Return the crop contract of one kind of pretraining crop."""
    size, jitter = config.encoder.size, config.data.jitter
    if kind == "aligned":
        return CropContract("template", template=config.data.template, canvas=size, jitter=jitter)
    if kind == "box":
        return CropContract("box", margin=0.25, canvas=size, jitter=jitter)
    return CropContract("whole", canvas=size)
