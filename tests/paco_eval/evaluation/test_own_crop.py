"""An encoder class states its crop, whatever it is, and any task cuts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import paco_eval
from paco_eval.cli.evaluate import command
from paco_eval.evaluation.protocols import Protocol
from paco_fr.contracts import CROPS, CropContract, PixelContract, Tokens
from paco_fr.faces.crop import apply, crop_image, crop_of, crop_transform, template_points
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from tests.paco_eval.conftest import blob_records, blob_task

OWN = CropContract("box", margin=0.03, canvas=150)


class Seeing:
    """An encoder that keeps what it is shown; its features are the mean colours."""

    name, weight_hash, parameters, adapter_version = "seeing", "a" * 16, 0, 1
    blocks, default_block, reductions = ("out",), "out", ("flat",)
    pixels = PixelContract(150, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    required_crop: CropContract | None = OWN

    def __init__(self) -> None:
        self.shown: list[Tensor] = []

    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        self.shown.append(images)
        return {"out": Tokens(torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)[:, None])}


def measured(encoder: Any, out: Path, **given: Any) -> Any:
    return paco_eval.evaluate(encoder, [blob_task("pose")], out=out, limit=4, **given).frame


def test_a_class_is_shown_its_own_crop(tmp_path: Path) -> None:
    """No --crop could express a box with a margin of 0.03 at 150 pixels; beside it others keep the task's crop."""
    encoder = Seeing()
    with pytest.raises(PacoError, match=r"box with a margin of 0.03 at 150 pixels, .* Add --crop encoder"):
        measured(encoder, tmp_path)
    encoder.shown.clear()
    frame = measured([encoder, "pixels"], tmp_path, crop="encoder").set_index("encoder")
    row = blob_records()[0]
    picture = read_image(row["image"])
    expected = crop_image(picture, crop_transform(OWN, box=row["box"]), 150) / 255
    seen = torch.cat(encoder.shown).permute(0, 2, 3, 1).numpy()
    assert min(np.abs(each - expected).max() for each in seen) < 1e-6
    assert set(frame.loc["seeing", "crop_hash"]) == {OWN.hash}
    assert set(frame.loc["pixels", "crop_hash"]) == {blob_task("pose").crop.hash}
    assert set(frame["protocol"]) == {"frozen, crop encoder, limit 4"}


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    """Five points anywhere: the eyes of each face lie where the class says."""
    points = tuple((0.1 + 0.8 * x, 0.9 * y) for x, y in (template_points("arcface", 112) + 0.5) / 112)
    crop = CropContract("template", template="mine", canvas=64, points=points)
    faces = np.add(template_points("arcface", 200), [7, -3])
    moved = apply(crop_transform(crop, landmarks=faces, scheme="five"), faces)
    assert np.abs(moved - (np.array(points) * 64 - 0.5)).max() < 3  # a similarity comes near, not upon
    exact = CropContract(
        "template", template="same", points=tuple(map(tuple, (faces + 0.5) / 300)), canvas=300
    )
    assert np.allclose(crop_transform(exact, landmarks=faces, scheme="five"), np.eye(2, 3))
    assert crop.hash != CropContract("template", template="mine", canvas=64).hash
    for wrong in (points[:4], [(0, 0, 0)] * 5):
        with pytest.raises(ValueError, match="points are the five of a template"):
            CropContract("template", template="mine", points=wrong)
    with pytest.raises(ValueError, match="points are the five"):
        CropContract("box", points=points)


def test_hashes_of_crops_are_those_of_stored_rows() -> None:
    """A field that is not stated does not change them: rows and cached features of before stay found."""
    assert CROPS["arcface"].hash == "7e43f146d6deed9f" and CROPS["box"].hash == "53ae6dd6d6516e8a"


@pytest.mark.parametrize(
    "text", ["encoder", "box:margin=0.03:canvas=150", "arcface:canvas=224", "dlib", "box:margin=-0.1"]
)
def test_crops_are_written_into_rows_and_read_back(text: str, tmp_path: Path) -> None:
    protocol = Protocol.asked("frozen", crop=text, limit=4)
    assert Protocol.parse(str(protocol)) == protocol and protocol.options() == [
        "--crop",
        text,
        "--limit",
        "4",
    ]
    assert command.make_context("evaluate", protocol.options()).params["crop"] == text
    if text.startswith("box:margin=0"):
        assert crop_of(text) == OWN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bocks", "Did you mean box"),
        ("box:margn=1", "Did you mean margin"),
        ("whole:margin=1", "Unknown setting of crop whole"),
        ("box:margin=x", "margin a share"),
        ("box:margin=nan", "margin a share"),
        ("box:canvas=99999999999", "canvas is 8 to 4096"),
        ("box:canvas=²", "canvas is 8 to 4096"),
        ("box:canvas", "canvas is 8 to 4096"),
    ],
)
def test_wrong_crops_are_refused_before_anything_is_read(text: str, message: str) -> None:
    with pytest.raises(PacoError, match=message):
        Protocol.asked("frozen", crop=text)
