"""Segmentation: scores of tokens become classes of pixels through the crop, and the other way round."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import PacoError
from tasks.kinds import segmentation
from tasks.kinds.shared.class_maps import resized
from tasks.task import Task

CLASSES = ("background", "skin", "hair")
SIDE = 40


def task(**options: object) -> Task:
    declared = {"classes": CLASSES, **options}
    return Task(
        "parsing/made",
        1,
        "segmentation",
        "module:reader",
        CROPS["box"],
        "mean_f1",
        "own",
        "here",
        options=declared,
    )


def faces(mask: np.ndarray, transform: np.ndarray, canvas: int = SIDE, n: int = 1) -> pd.DataFrame:
    cell = {"bytes": encode_png(mask.astype(np.uint8)), "path": "mask.png"}
    return pd.DataFrame(
        {
            "unit_id": [f"u{i}" for i in range(n)], "group": [f"u{i}" for i in range(n)], "mask": [cell] * n,
            "transform": [transform] * n, "canvas": [canvas] * n,
        }
    )  # fmt: skip


def halves() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, SIDE // 2 :] = 1
    mask[SIDE // 2 :, :] = 2
    return mask


IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.mark.parametrize(("tokens", "across"), [([0, 1, 0, 1], True), ([0, 0, 1, 1], False)])
def test_scores_of_two_by_two_tokens_fill_their_halves(tokens: list[int], across: bool) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[(slice(None), slice(SIDE // 2, None))[:: 1 if across else -1]] = 1
    items = segmentation.items(np.eye(3)[tokens][None], faces(mask, IDENTITY), task())
    counts = np.array(items["confusion"][0]).reshape(3, 3)
    assert counts.tolist() == [[SIDE * SIDE // 2, 0, 0], [0, SIDE * SIDE // 2, 0], [0, 0, 0]]
    assert items["error"][0] == 0
    assert items["failure"][0] == ""


def test_pixels_outside_the_crop_are_background() -> None:
    mask = np.ones((SIDE, SIDE), np.uint8)
    shifted = np.array([[1.0, 0.0, -10.0], [0.0, 1.0, 0.0]])  # the canvas begins ten pixels to the right
    items = segmentation.items(np.eye(3)[[1]][None], faces(mask, shifted), task())
    counts = np.array(items["confusion"][0]).reshape(3, 3)
    assert counts[1].tolist() == [10 * SIDE, 30 * SIDE, 0]


def test_targets_follow_the_crop_and_are_background_outside_the_picture() -> None:
    found = segmentation.targets(faces(halves(), IDENTITY), task())[0]
    half = segmentation.GRID // 2
    assert (found[:half, :half] == 0).all()
    assert (found[:half, half:] == 1).all()
    assert (found[half:] == 2).all()
    wide = np.array([[0.5, 0.0, 9.75], [0.0, 0.5, 9.75]])  # the picture fills the middle of the canvas
    small = segmentation.targets(faces(np.ones((SIDE, SIDE), np.uint8), wide), task())[0]
    assert small.mean() == pytest.approx(0.25, abs=0.01)
    assert small[half, half] == 1
    assert small[0, 0] == 0


def test_a_mask_on_the_canvas_needs_no_size_of_the_photograph() -> None:
    odd = np.array([[0.01, 0.0, 3.0], [0.0, 0.01, 5.0]])
    labels = faces(halves(), odd, canvas=20)
    lying = task(mask="canvas")
    assert (segmentation.targets(labels, lying)[0, : segmentation.GRID // 2, 0] == 0).all()
    items = segmentation.items(np.eye(3)[[0, 1, 2, 2]][None], labels, lying)
    assert items["error"][0] < 0.02  # where three classes meet, the drawn-out scores round the corner


def test_grids_and_maps_fit_together() -> None:
    """What is sampled at the cells and drawn out again differs from the mask at its edges only."""
    random = np.random.default_rng(0)
    mask = np.kron(random.integers(0, 3, (5, 5)), np.ones((8, 8))).astype(np.uint8)
    labels = faces(mask, np.array([[2.8, 0.0, 0.9], [0.0, 2.8, 0.9]]), canvas=112)
    scores = np.eye(3)[segmentation.targets(labels, task()).reshape(1, -1)]
    items = segmentation.items(scores, labels, task())
    assert items["error"][0] < 0.02


def test_a_unit_without_scores_is_wrong_at_every_pixel_and_says_so() -> None:
    """It was scored as background, which is right where the truth is."""
    items = segmentation.items(np.full((2, 4, 3), np.nan), faces(halves(), IDENTITY, n=2), task())
    assert (items["failure"] != "").all()
    assert items["error"][0] == 1.0
    assert np.diag(np.array(items["confusion"][0]).reshape(3, 3)).sum() == 0
    assert (
        segmentation.items(np.full(2, np.nan), faces(halves(), IDENTITY, n=2), task())["error"] == 1.0
    ).all()


def test_numbers_to_be_ignored_count_for_nobody() -> None:
    mask = halves()
    mask[:, :10] = 255
    labels, ignoring = faces(mask, IDENTITY), task(ignore=255)
    items = segmentation.items(np.eye(3)[[0, 1, 2, 2]][None], labels, ignoring)
    assert np.array(items["confusion"][0]).sum() == SIDE * (SIDE - 10)
    assert (segmentation.targets(labels, ignoring)[0, :, : segmentation.GRID // 4] == 0).all()
    lost = segmentation.items(np.full((1, 4, 3), np.nan), labels, ignoring)
    assert lost["error"][0] == 1.0
    with pytest.raises(PacoError, match=r"mask\.png: class 255 is not 0 to 2"):
        segmentation.targets(labels, task())


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_masks_of_16_bit_score_as_those_of_8(kind: type) -> None:
    """In 16 bit every mask was read as background."""
    labels = faces(halves(), IDENTITY)
    labels["mask"] = [{"bytes": cv2.imencode(".png", halves().astype(kind))[1].tobytes(), "path": "mask.png"}]
    items = segmentation.items(np.eye(3)[[0, 1, 2, 2]][None], labels, task())
    assert np.diag(np.array(items["confusion"][0]).reshape(3, 3)).tolist() == pytest.approx(
        [400, 400, 800], abs=60
    )


def test_a_mask_of_another_size_than_its_photograph_is_refused() -> None:
    labels = faces(halves(), IDENTITY).assign(photo_size=[(SIDE, SIDE + 1)])
    with pytest.raises(PacoError, match=r"mask\.png: is 40 x 40, its photograph 41 x 40 pixels"):
        segmentation.targets(labels, task())
    segmentation.targets(labels.assign(photo_size=[(SIDE, SIDE)]), task())
    segmentation.targets(labels, task(mask="canvas"))


def test_class_maps_are_taken_to_the_size_of_the_mask() -> None:
    outputs = np.empty(1, dtype=object)
    outputs[0] = halves()[::4, ::4]
    assert segmentation.items(outputs, faces(halves(), IDENTITY), task())["error"][0] == 0


def test_bad_masks_are_named(tmp_path: Path) -> None:
    labels = faces(np.full((4, 4), 3, np.uint8), IDENTITY)
    with pytest.raises(PacoError, match=r"mask\.png: class 3 is not 0 to 2\. Restore"):
        segmentation.targets(labels, task())
    with pytest.raises(PacoError, match="no column 'mask', which parsing/made needs"):
        segmentation.targets(labels.drop(columns="mask"), task())
    labels["mask"] = [{"bytes": None, "path": str(tmp_path / "absent.png")}]
    with pytest.raises(PacoError, match=r"absent\.png"):
        segmentation.items(np.zeros((1, 4, 3)), labels, task())


def test_a_class_map_is_taken_to_another_size():
    cells = np.array([[1, 2], [3, 4]], np.uint8)
    assert resized(cells, (2, 4)).tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    assert resized(cells, (3, 1)).tolist() == [[1], [1], [3]]
