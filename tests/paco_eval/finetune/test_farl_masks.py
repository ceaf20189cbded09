"""FaRL's recipe for parsing: masks move with their picture, in every kind of mask, and it learns them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from datasets import Dataset

from paco_eval.cli import main
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.finetuned import parts_of
from paco_eval.evaluation.protocols import NotApplicableError
from paco_eval.evaluation.runner import measure
from paco_eval.finetune.farl import Masks, recoloured, shaken
from paco_eval.finetune.model import recipe
from paco_fr.contracts import CropContract
from paco_fr.faces import records
from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import encode_png, read_image
from paco_fr.utils.random import generator
from tasks.kinds.segmentation import GRID, class_maps, targets
from tasks.task import Task
from tests.paco_eval.conftest import SIDE, blob_records, under
from tests.paco_eval.finetune.test_train import quiet, small_encoder


def masked_blobs(data_root=None, *, people=20, canvas=False):
    """Return the pictures of blobs with a mask of the photograph, or of the canvas, whose class 1 is the disc."""
    faces = blob_records(people=people)
    grid, cells = np.arange(SIDE), []
    for points in faces["landmarks"]:
        x, y = points[0]
        disc = (np.hypot(grid[None, :] - x, grid[:, None] - y) < 11).astype(np.uint8)
        cells.append({"bytes": encode_png(np.repeat(disc[..., None], 3, axis=2)), "path": None})
    rows = {name: faces[name][:] for name in faces.column_names} | {"mask": cells}
    return Dataset.from_dict(rows, features=records.features(rows))


def parsing(**changes):
    fields = {
        "name": "parsing/blobs", "version": 1, "kind": "segmentation",
        "reader": "tests.paco_eval.finetune.test_farl_masks:masked_blobs", "crop": CropContract("box", canvas=SIDE),
        "main_metric": "mean_f1", "reductions": ("tokens",), "licence": "made here", "obtain": "nothing",
        "data_kind": "synthetic", "options": {"classes": ("background", "disc")},
    }  # fmt: skip
    return Task(**{**fields, **changes})


def farl(task, epochs):
    (variant,) = under(Data.load(task, None), "fine-tune", seeds=1, epochs=epochs, head="farl")
    return variant


def test_masks_stay_on_the_blob_wherever_the_picture_goes():
    data = farl(parsing(), 1)
    part = parts_of(data)[0].fit
    plain = Masks.of(data.task, part.units)
    units, moved = shaken(part.units, plain, part.indices, 0, 2)
    shown = part.indices[:12]
    maps = class_maps(moved.labels.iloc[shown], data.task, moved.moves[shown])
    still = targets(plain.labels.iloc[shown], data.task)
    assert (maps != still).mean() > 0.01
    for unit, classes in zip(shown.tolist(), maps, strict=True):
        image = read_image(units.records[int(units.rows[unit])]["image"])
        crop = crop_image(image, units.transforms[unit], units.canvas).astype(float).sum(2)
        brightest = np.argwhere(crop == crop.max()).mean(0)
        middle = (np.argwhere(classes == 1).mean(0) + 0.5) * SIDE / GRID - 0.5
        assert np.hypot(*(middle - brightest)) < 2.5
    others = np.setdiff1d(np.arange(len(units)), part.indices)
    np.testing.assert_array_equal(units.transforms[others], part.units.transforms[others])


@pytest.mark.parametrize("mask", ["photograph", "canvas"])
def test_a_quarter_turn_turns_the_map(mask):
    task = parsing(
        crop=CropContract("whole", canvas=SIDE), options={"classes": ("background", "disc"), "mask": mask}
    )
    labels = Data.load(task, None).views["all"][0].labels.iloc[:5]
    quarter = np.tile([[0.0, -1.0, SIDE - 1.0], [1.0, 0.0, 0.0]], (5, 1, 1))
    still = targets(labels, task)
    assert 0.05 < still.mean() < 0.5
    # Cells whose centre falls on the border of two pixels may be rounded either way.
    assert (class_maps(labels, task, quarter) == np.rot90(still, -1, axes=(1, 2))).mean() > 0.98


def test_movements_and_pictures_are_those_of_parsing():
    masks = Masks.of(parsing(), Data.load(parsing(), None).views["all"][0])
    moves = np.stack([masks.movement(200, generator("move", n)) for n in range(400)])
    scale = np.sqrt(np.linalg.det(moves[:, :, :2]))
    angle = np.arctan2(moves[:, 1, 0], moves[:, 0, 0])
    centre = (moves[:, :, :2] @ np.full(2, 99.5) + moves[:, :, 2] - 99.5) / 200
    assert angle.std() == pytest.approx(0.314, rel=0.15) and scale.std() == pytest.approx(0.1, rel=0.15)
    assert 0.0095 < np.abs(centre).max() <= 0.01
    picture = np.random.default_rng(0).integers(60, 200, (100, 100, 3), dtype=np.uint8)
    made = [recoloured(picture, generator("change", n), covered=False) for n in range(40)]
    assert min(one.min() for one in made) > 0  # no black box


def test_the_loss_is_the_cross_entropy_of_the_cells():
    data = farl(parsing(), 1)
    masks = Masks.of(data.task, data.views["all"][0])
    logits = torch.from_numpy(generator("logits").normal(size=(2, 2, GRID, GRID)))
    truth = targets(masks.labels.iloc[[3, 7]], data.task)
    shares = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    chosen = np.take_along_axis(shares, truth[:, None].astype(int), axis=1)
    assert float(masks.loss(logits, [3, 7])) == pytest.approx(-np.log(chosen).mean((1, 2, 3)).sum(), rel=1e-4)


def test_it_learns_the_masks_and_unreadable_pictures_are_background(tmp_path):
    data = farl(parsing(), 6)
    settings = replace(recipe("farl", "segmentation"), epochs=6, batch=6, rate=2e-1, average=0.8)
    assert settings.head_rate == 10.0 and recipe("farl", "landmarks").head_rate == 100.0
    (row,) = measure(small_encoder(), data, settings=settings, out=tmp_path, say=quiet)
    assert row.protocol == "fine-tune 6 epochs, farl head" and row.n_scored == row.n_expected
    part = parts_of(data)[0].test
    guess = np.zeros((len(part.indices), 4, 2), dtype=np.float32)
    guess[..., 1] = 1.0
    assert row.main.value > 1.5 * part.score(guess), (row.main.value, part.score(guess))
    guess[0] = np.nan
    assert part.score(guess) <= part.score(np.nan_to_num(guess, nan=1.0)) + 1e-9


def test_masks_want_the_dense_head():
    with pytest.raises(NotApplicableError, match="give --head farl"):
        under(Data.load(parsing(), None), "fine-tune", seeds=1, epochs=1)
    assert "parsing" in CliRunner().invoke(main, ["evaluate", "--help"]).output
