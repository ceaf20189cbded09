"""Pictures come prepared in their order, whatever cannot be read, and whoever decodes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image

from paco_eval.features.batches import BATCH, batch_of, batches_of, cut_batch, prepared_batches, resize
from paco_fr.contracts import CropContract, PixelContract
from paco_fr.faces.records import features
from paco_fr.utils.errors import PacoError
from tasks.units import units_of
from tests.paco_eval.conftest import blob_records, blob_task


def test_batches_hold_every_unit_once_in_order():
    who = list(range(2 * BATCH + 3))
    assert [len(batch) for batch in batches_of(who)] == [BATCH, BATCH, 3]
    assert [unit for batch in batches_of(who) for unit in batch] == who


def test_prepared_pictures_are_those_of_each_unit_alone_and_failures_are_told():
    made, contract = units_of(blob_records(people=4, broken=2), blob_task("pose").crop), PixelContract(32)
    batches = [[0, 10, 3], [5], [11]]
    found = list(prepared_batches(made, batches, contract))
    assert [members for members, _, _ in found] == [[0, 3], [5], []]
    assert [sorted(broken) for _, _, broken in found] == [[10], [], [11]]
    for members, pictures, _ in found:
        for unit, picture in zip(members, pictures, strict=True):
            canvas = cut_batch([unit], [made.records[int(made.rows[unit])]["image"]], made)[unit]
            assert torch.equal(picture, batch_of([resize(canvas, contract)], contract)[0])


def test_a_picture_that_is_replaced_meanwhile_is_not_taken_for_the_one_of_before(tmp_path):
    """Features of the new picture were kept under the contents of the old one."""
    path = tmp_path / "a.png"
    Image.new("RGB", (9, 9)).save(path)
    columns = {"image": [str(path)], "image_id": ["a"], "group": ["a"]}
    made = units_of(
        Dataset.from_dict(columns, features=features(columns)), CropContract("whole", canvas=9)
    ).known()
    cell = made.records[0]["image"]
    assert cut_batch([0], [cell], made)[0].shape == (9, 9, 3)
    Image.new("RGB", (9, 9), "white").save(path)
    with pytest.raises(PacoError, match=r"a\.png: changed since it was looked at"):
        cut_batch([0], [cell], made)


def test_a_canvas_of_the_right_size_is_not_resampled():
    canvas = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    assert resize(canvas, PixelContract(48)) is canvas
    assert resize(canvas, PixelContract(32)).shape == (32, 32, 3)
