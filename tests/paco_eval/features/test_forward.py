"""Precision and memory of the forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paco_eval.encoders import load_encoder
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.features.cache import Address, find, store
from paco_eval.features.extract import extract
from paco_eval.features.forward import Forward, precision_of, set_up
from paco_eval.features.processes import use_device
from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError
from tests.fixtures.full_disk import files_no_larger_than
from tests.paco_eval.conftest import blob_task
from tests.paco_eval.features.test_extract import units


class Cramped(Pixels):
    """Holds at most ``room`` pictures at once, as a small device does."""

    room = 5
    batches: tuple[int, ...] = ()

    def tokens(self, images, blocks):
        self.batches += (len(images),)
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().tokens(images, blocks)


def test_batches_are_halved_until_they_fit_and_stay_so():
    images = torch.randn(24, 3, 32, 32)
    cramped = Cramped()
    forward = Forward(cramped, 64)
    found = forward(images, cramped.blocks)
    assert cramped.batches == (24, 12, 6, *([3] * 8)) and forward.limit == 3
    for block, tokens in Pixels().tokens(images, cramped.blocks).items():
        assert torch.equal(found[block].patches, tokens.patches)
    cramped.batches = ()
    forward(images[:6], cramped.blocks)
    assert cramped.batches == (3, 3)  # it remembers


def test_extraction_survives_a_small_device_with_the_same_features():
    made = units(people=8)
    cramped = extract(Cramped(weight_hash="cramped"), made, ("mean",)).layers
    for layer, table in extract(Pixels(), made, ("mean",)).layers.items():
        np.testing.assert_array_equal(cramped[layer], table)


def test_a_picture_that_never_fits_and_other_errors_are_told():
    tiny = Cramped()
    tiny.room = 0
    with pytest.raises(PacoError, match="one picture of 32 pixels does not fit in memory"):
        Forward(tiny, 8)(torch.randn(3, 3, 32, 32), tiny.blocks)

    class Failing(Pixels):
        def tokens(self, images, blocks):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        Forward(Failing(), 8)(torch.randn(3, 3, 32, 32), ["16x16"])


def test_memory_errors_pass_through_function_encoders():
    def hungry(images):
        if len(images) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return images.mean((2, 3))

    encoder = FunctionEncoder("x", hungry, PixelContract(8), "0" * 16, 1)
    images = torch.randn(5, 3, 8, 8)
    found = Forward(encoder, 8)(images, ["out"])["out"].patches
    torch.testing.assert_close(found[:, 0], images.mean((2, 3)))


def test_bfloat16_is_near_float32_kept_apart_in_the_cache_and_said_in_the_row(tmp_path):
    made = units(people=4)
    full = extract(load_encoder("random:tiny"), made, ("mean",))
    half = extract(set_up(load_encoder("random:tiny"), "bfloat16"), made, ("mean",))
    assert half.forward_passes == 12  # nothing of the full precision was taken for it
    table, rounded = full.layers["4", "mean"], half.layers["4", "mean"]
    assert not np.array_equal(table, rounded)
    np.testing.assert_allclose(rounded, table, atol=0.05 * table.std())
    encoder = set_up(load_encoder("random:tiny"), "bfloat16")
    (row,) = measure(encoder, Data.load(blob_task("pose"), None), out=tmp_path, say=lambda _: None)
    assert row.protocol == "frozen, bfloat16"


def test_precision_is_refused_where_it_means_nothing():
    encoder = FunctionEncoder("onnx:x", lambda images: images.mean((2, 3)), PixelContract(8), "0" * 16, 1)
    assert precision_of(set_up(encoder)) == "float32"
    with pytest.raises(PacoError, match="runs as its file is"):
        set_up(encoder, "float16")
    with pytest.raises(PacoError, match="Did you mean float16"):
        set_up(encoder, "float61")
    assert precision_of(set_up(Constant(), "bfloat16")) == "float32"  # no weights, nothing to round


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(PacoError, match="No GPU"):
        use_device("cuda")
    assert use_device("cpu").type == use_device("auto").type == "cpu"


def test_a_full_disk_is_told_and_spoils_nothing():
    """The write itself fails."""
    address = Address("weights", 1, "pixels", 112, "4", "mean")
    keys = np.arange(64, dtype=np.uint8).reshape(4, 16)
    store(address, keys, np.ones((4, 8), dtype=np.float32))
    with files_no_larger_than(2000), pytest.raises(PacoError, match=r"Cannot write features.* cache prune"):
        store(address, keys + 1, np.ones((4, 8000), dtype=np.float32))
    assert len(list(address.folder.iterdir())) == 1
    assert find(address, keys)[1].all()
