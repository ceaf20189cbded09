"""FaRL's recipe for landmarks: points move with their picture, nothing else depends on chance, and it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import paco_eval.finetune.train as finetune
from paco_eval.cli import main
from paco_eval.encoders.timm import TimmEncoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.finetuned import parts_of
from paco_eval.evaluation.protocols import NotApplicableError, Protocol
from paco_eval.evaluation.runner import measure
from paco_eval.finetune.farl import SCALE, SHIFT, TURN, Points, recoloured, shaken
from paco_eval.finetune.model import RECIPES, Settings, Tuned, learning_rate, parameter_groups
from paco_fr.contracts import PixelContract
from paco_fr.faces.crop import crop_image, invert
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tests.paco_eval.conftest import SIDE, blob_task, under
from tests.paco_eval.finetune.test_train import quiet, small_encoder


def farl(data, epochs):
    (variant,) = under(data, "fine-tune", seeds=1, epochs=epochs, head="farl")
    return variant


def test_points_stay_on_the_blob_wherever_the_picture_goes():
    data = Data.load(blob_task("landmarks"), None)
    part = parts_of(data)[0].fit
    plain = Points.of(data.task, part.units)
    units, moved = shaken(part.units, plain, part.indices, 0, 3)
    far = (moved.values - plain.values)[part.indices].abs().amax((1, 2))
    assert (far > 0).all() and far.mean() > 0.02
    for unit in part.indices[:12].tolist():
        image = read_image(units.records[int(units.rows[unit])]["image"])
        crop = crop_image(image, units.transforms[unit], units.canvas).astype(float).sum(2)
        x, y = moved.values[unit, 0].numpy() * units.canvas - 0.5
        brightest = np.argwhere(crop == crop.max()).mean(0)
        assert np.hypot(*(brightest - [y, x])) < 1.5
    others = np.setdiff1d(np.arange(len(units)), part.indices)
    np.testing.assert_array_equal(units.transforms[others], part.units.transforms[others])
    assert torch.equal(moved.values[others], plain.values[others])


def test_movements_keep_to_the_recipe_and_to_their_seed():
    points = Points(torch.zeros(1, 1, 2))
    moves = np.stack([points.movement(200, generator("move", n)) for n in range(300)])
    scale = np.sqrt(np.linalg.det(moves[:, :, :2]))
    angle = np.arctan2(moves[:, 1, 0], moves[:, 0, 0])
    centre = moves[:, :, :2] @ np.full(2, 99.5) + moves[:, :, 2] - 99.5
    for found, limit in ((scale - 1, SCALE), (angle, TURN), (centre / 200, SHIFT)):
        assert limit * 0.95 < np.abs(found).max() <= limit + 1e-9 and abs(found.mean()) < 0.15 * limit
    np.testing.assert_array_equal(moves[7], points.movement(200, generator("move", 7)))


def test_a_known_movement_moves_a_known_point(monkeypatch):
    data = Data.load(blob_task("landmarks"), None)
    part = parts_of(data)[0].fit
    quarter = np.array([[0.0, -1.0, SIDE - 1.0], [1.0, 0.0, 0.0]])  # a quarter turn of the canvas
    monkeypatch.setattr(Points, "movement", lambda self, canvas, rng: quarter)
    plain = Points.of(data.task, part.units)
    units, moved = shaken(part.units, plain, part.indices, 0, 0)
    x, y = plain.values[part.indices].unbind(-1)
    torch.testing.assert_close(moved.values[part.indices], torch.stack([1 - y, x], -1), atol=1e-5, rtol=0)
    unit = int(part.indices[0])
    back = invert(units.transforms[unit]) @ [*(moved.values[unit, 0].numpy() * SIDE - 0.5), 1]
    np.testing.assert_allclose(back, part.units.labels["landmarks"].iloc[unit][0], atol=1e-3)


def test_pictures_are_covered_and_changed_as_the_recipe_says():
    picture = np.random.default_rng(0).integers(60, 200, (100, 100, 3), dtype=np.uint8)
    made = [recoloured(picture, generator("change", n), covered=True) for n in range(200)]
    assert all(one.shape == picture.shape and one.dtype == np.uint8 for one in made)
    grey = np.mean([(one == one[..., :1]).all() for one in made])
    assert 0.03 < grey < 0.2
    # Noise, in half of them, is laid over the box.
    covered = np.array([(one == 0).all(2).mean() for one in made])
    assert 0.35 < (covered > 0.005).mean() < 0.65 and 0.1 < covered.max() < 0.2
    np.testing.assert_array_equal(made[5], recoloured(picture, generator("change", 5), covered=True))
    assert picture.min() >= 60  # the picture itself stays


def test_rates_are_those_of_the_recipe():
    settings = replace(RECIPES["farl"], epochs=250)
    rates = [learning_rate(settings, step, 1000) for step in (0, 799, 800, 999)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    model = Tuned(small_encoder(), "maps", lambda width: torch.nn.Conv2d(width, 3, 1))
    groups = parameter_groups(model, settings)
    head = {id(part) for part in model.head.parameters()}
    for group in groups:
        wanted = 100.0 if id(group["params"][0]) in head else 1.0
        assert group["lr_scale"] == wanted and group["weight_decay"] in (0.0, 1e-5)


def test_it_learns_where_the_points_are(tmp_path):
    data = farl(Data.load(blob_task("landmarks"), None), 8)
    settings = replace(RECIPES["farl"], epochs=8, batch=6, rate=5e-2, average=0.9)
    (row,) = measure(small_encoder(), data, settings=settings, out=tmp_path, say=quiet)
    assert row.protocol == "fine-tune 8 epochs, farl head" and row.command.endswith("--epochs 8 --head farl")
    (parts,) = parts_of(data)
    values = Points.of(data.task, parts.fit.units).values.flatten(1).double().numpy()
    shape = np.broadcast_to(values[parts.fit.indices].mean(0), (len(parts.test.indices), values.shape[1]))
    assert row.main.value < 0.75 * parts.test.score(shape), (row.main.value, parts.test.score(shape))


def test_a_last_batch_of_one_is_passed_over_and_a_killed_training_goes_on_the_same(tmp_path, monkeypatch):
    data = farl(Data.load(blob_task("landmarks", reader_options={"people": 10}), None), 2)
    settings = replace(RECIPES["farl"], epochs=2, batch=17)  # 18 pictures to fit on: one is left over
    (whole,) = measure(small_encoder(), data, settings=settings, out=tmp_path / "whole", say=quiet)
    keep = finetune._keep

    def killed(*state):
        keep(*state)
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "_keep", killed)
    with pytest.raises(KeyboardInterrupt):
        measure(small_encoder(), data, settings=settings, out=tmp_path / "torn", say=quiet)
    monkeypatch.setattr(finetune, "_keep", keep)
    (resumed,) = measure(small_encoder(), data, settings=settings, out=tmp_path / "torn", say=quiet)
    assert resumed.metrics == whole.metrics


def test_what_has_no_points_or_no_equal_maps_is_refused(tmp_path):
    with pytest.raises(NotApplicableError, match="FaRL's head does not apply"):
        farl(Data.load(blob_task("pose"), None), 1)
    import timm

    network = TimmEncoder("convolutions", timm.create_model("resnet10t", num_classes=0), PixelContract(32))
    data = farl(Data.load(blob_task("landmarks"), None), 1)
    with pytest.raises(PacoError, match="maps of one size"):
        measure(network, data, settings=replace(RECIPES["farl"], epochs=1), out=tmp_path, say=quiet)


def test_the_command_line_knows_the_head():
    assert "--head" in CliRunner().invoke(main, ["evaluate", "--help"]).output
    assert Protocol.parse("fine-tune 3 epochs, farl head, crop whole").options() == [
        "--protocol", "fine-tune", "--epochs", "3", "--head", "farl", "--crop", "whole"]  # fmt: skip
    assert RECIPES["linear"] == Settings()
