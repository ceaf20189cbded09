"""Resizing: Pillow's pixels to the last bit, and nothing touched where nothing is resized."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from paco_fr.faces.crop import crop_image
from paco_fr.faces.resize import resize_bicubic


def pillow(image, size, box):
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, box=box))


@pytest.mark.parametrize("kind", ["noise", "photograph", "edges"])
def test_every_pixel_is_that_of_pillow(kind):
    rng = np.random.default_rng(3)
    for _ in range(80):
        # Wide pictures and square sizes: there every version of Pillow goes across first.
        width, height = np.sort(rng.integers(5, 200, 2))[::-1]
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if kind == "photograph":
            image = (image.astype(float) / 8 + np.linspace(0, 200, width)[None, :, None]).astype(np.uint8)
        if kind == "edges":
            image = np.where(image < 128, 0, 255).astype(np.uint8)
        left, right = np.sort(rng.uniform(0, width, 2))
        top, bottom = np.sort(rng.uniform(0, height, 2))
        if min(right - left, bottom - top) < 0.5:
            continue
        size, box = (int(rng.integers(1, 150)),) * 2, (left, top, right, bottom)
        np.testing.assert_array_equal(resize_bicubic(image, size, box), pillow(image, size, box))


def test_a_box_of_whole_pixels_and_equal_size_is_a_copy():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cut = resize_bicubic(image, (10, 8), (4.0, 5.0, 14.0, 13.0))
    np.testing.assert_array_equal(cut, image[5:13, 4:14])
    np.testing.assert_array_equal(cut, pillow(image, (10, 8), (4, 5, 14, 13)))
    assert not np.shares_memory(cut, image)
    half = resize_bicubic(image, (10, 16), (4.0, 5.0, 14.0, 13.0))
    np.testing.assert_array_equal(half, pillow(image, (10, 16), (4, 5, 14, 13)))


def test_a_face_on_its_canvas_is_not_sampled_again():
    image = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    image.setflags(write=False)
    crop = crop_image(image, np.eye(2, 3), 112)
    np.testing.assert_array_equal(crop, image)
    assert crop.flags.writeable and crop.flags.c_contiguous and not np.shares_memory(crop, image)


def test_a_region_that_leaves_the_picture_is_that_of_a_padded_picture():
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for x0, y0, x1, y1, size in (
        (-9, 5, 50, 30, 24),
        (20, -4, 66, 44, 70),
        (-8, -8, 70, 50, 40),
        (70, 3, 90, 23, 9),
    ):
        padded = np.full((100, 120, 3), 77, np.uint8)
        padded[10:50, 10:70] = image
        region = padded[y0 + 10 : y1 + 10, x0 + 10 : x1 + 10]
        for box in ((2.25, 3.5, x1 - x0 - 4.5, y1 - y0 - 2.125), (1.0, 2.0, 1.0 + size, 2.0 + size)):
            if max(box[2] + x0 - x1, box[3] + y0 - y1) > 0:
                continue
            found = resize_bicubic(image, (size, size), box, (x0, y0, x1, y1), 77)
            np.testing.assert_array_equal(found, resize_bicubic(region, (size, size), box))
