"""Rasters of class numbers are read as the numbers that they hold."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from paco_fr.faces.decode import ImageError, read_labels

NUMBERS = np.arange(12).reshape(3, 4)


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def palette() -> Image.Image:
    image = Image.fromarray(NUMBERS.astype(np.uint8), "P")
    image.putpalette([value for index in range(256) for value in (255 - index, index // 2, 7)])
    return image


def wide(channels: int) -> bytes:
    done, data = cv2.imencode(".png", np.repeat(NUMBERS[..., None], channels, axis=2).astype(np.uint16))
    assert done
    return data.tobytes()


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(NUMBERS.astype(np.uint8))),
        saved(Image.fromarray(NUMBERS.astype(np.uint16))),
        saved(Image.fromarray(NUMBERS.astype(np.int32)), "TIFF"),
        saved(palette()),
        saved(palette(), "GIF"),
        saved(Image.fromarray(np.repeat(NUMBERS[..., None], 3, axis=2).astype(np.uint8))),
        saved(Image.fromarray(np.repeat(NUMBERS[..., None], 4, axis=2).astype(np.uint8), "RGBA")),
        saved(Image.fromarray(np.repeat(NUMBERS[..., None], 2, axis=2).astype(np.uint8), "LA")),
        wide(1),
        wide(3),
        wide(4),
    ],
    ids=["8", "16", "32", "palette", "gif", "rgb", "rgba", "la", "png16", "rgb16", "rgba16"],
)
def test_numbers_come_out_as_they_were_put_in(data: bytes) -> None:
    """In 16 and 32 bit all was background, with a palette its colours were the classes."""
    np.testing.assert_array_equal(read_labels(data), NUMBERS)


def test_one_bit_is_0_and_1() -> None:
    np.testing.assert_array_equal(read_labels(saved(Image.fromarray(NUMBERS > 5))), NUMBERS > 5)


@pytest.mark.parametrize(
    ("image", "kind", "said"),
    [
        (Image.fromarray(np.stack([NUMBERS, NUMBERS, NUMBERS + 1], axis=2).astype(np.uint8)), "PNG", "colours that differ"),
        (Image.fromarray(NUMBERS.astype(np.float32)), "TIFF", "fractions"),
        (Image.fromarray(NUMBERS.astype(np.int32) - 3), "TIFF", "holds -3"),
    ],
)  # fmt: skip
def test_what_names_no_class_is_refused_with_its_file(
    image: Image.Image, kind: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mask.img"
    path.write_bytes(saved(image, kind))
    with pytest.raises(ImageError, match=rf"mask\.img: .*{said}"):
        read_labels(path)
