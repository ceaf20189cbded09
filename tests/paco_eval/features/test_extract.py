from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import paco_eval.features.batches as preparing
import paco_eval.features.fill as filling
from paco_eval.encoders import load_encoder
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.features.batches import resize
from paco_eval.features.extract import extract
from paco_eval.features.layers import layers_of, reduce
from paco_fr.contracts import PixelContract, Tokens
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from tasks.units import units_of
from tests.fixtures.child import in_processes
from tests.paco_eval.conftest import SIDE, blob_records, blob_task


def units(**options):
    return units_of(blob_records(**options), blob_task("pose").crop)


def test_reductions_equal_plain_pooling():
    patches = torch.randn(2, 64, 5)
    grid = patches.reshape(2, 8, 8, 5)
    np.testing.assert_allclose(reduce(Tokens(patches), "mean"), grid.mean((1, 2)), atol=1e-6)
    cells = grid.reshape(2, 4, 2, 4, 2, 5).mean((2, 4))  # B, row, column, D
    np.testing.assert_allclose(
        reduce(Tokens(patches), "grid4"), cells.permute(0, 3, 1, 2).reshape(2, -1), atol=1e-6
    )
    assert reduce(Tokens(patches), "flat").shape == (2, 320)
    with pytest.raises(PacoError, match="no global token"):
        reduce(Tokens(patches), "global")
    with pytest.raises(PacoError, match="square grid"):
        reduce(Tokens(patches[:, :60]), "grid4")


def test_features_are_those_of_each_picture_alone():
    encoder, made = load_encoder("random:tiny"), units(people=4)
    found = extract(encoder, made, ("mean", "grid4"))
    for unit in (0, 5, 11):
        alone = extract(load_encoder("random:tiny"), made.only(np.array([unit])), ("mean",))
        layer = ("4", "mean")
        np.testing.assert_allclose(alone.layers[layer][0], found.layers[layer][unit], rtol=1e-5, atol=1e-6)


def test_pixels_are_the_picture():
    made = units(people=2)
    table = extract(Pixels(), made, ("mean",)).layers["32x32", "flat"]
    picture = read_image(made.records[0]["image"])[5:43, 5:43]
    colours = table[0].reshape(32, 32, 3) * 0.25 + 0.5
    small = np.asarray(resize(picture[:38, :38], PixelContract(32)), dtype=float) / 255
    assert np.corrcoef(colours.ravel(), small.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_any_batch_size_gives_the_same_features(batch, monkeypatch):
    made = units(people=4)
    for room in (filling, preparing):
        monkeypatch.setattr(room, "BATCH", batch)
    table = extract(load_encoder("random:tiny"), made, ("grid4",)).layers["4", "grid4"]
    reference = Path(os.environ["PACO_CACHE"]).parent / "reference.npy"
    if not reference.exists():
        np.save(reference, table)
    np.testing.assert_allclose(table, np.load(reference), rtol=1e-5, atol=1e-5)


def test_known_pictures_are_not_encoded_again():
    class Counting(Pixels):
        seen = 0

        def tokens(self, images, blocks):
            Counting.seen += len(images)
            return super().tokens(images, blocks)

    made = units(people=4)
    first = extract(Counting(), made, ("mean",))
    assert Counting.seen == first.forward_passes == 12
    second = extract(Counting(), made.only(np.array([3, 1])), ("mean",))
    assert Counting.seen == 12 and second.forward_passes == 0
    for layer, table in second.layers.items():
        np.testing.assert_array_equal(table, first.layers[layer][[3, 1]])


def test_the_same_picture_is_encoded_once_and_another_crop_anew():
    records = blob_records(people=2)
    doubled = units_of(records.select([0, 0, 1]), blob_task("pose").crop)
    assert extract(Pixels(), doubled, ("mean",)).forward_passes == 2
    wider = units_of(records.select([0]), replace(blob_task("pose").crop, margin=0.5))
    assert extract(Pixels(), wider, ("mean",)).forward_passes == 1


def test_broken_pictures_are_failures_with_a_reason():
    found = extract(Pixels(), units(people=4, broken=2), ("mean",))
    assert sorted(found.failures) == [10, 11]
    assert all("damaged" in reason or "truncated" in reason for reason in found.failures.values())
    table = found.layers["32x32", "flat"]
    assert np.isnan(table[10:]).all() and np.isfinite(table[:10]).all()


def test_features_that_are_not_finite_name_picture_and_layer():
    class Broken(Pixels):
        def tokens(self, images, blocks):
            found = super().tokens(images, blocks)
            found["16x16"].patches[1] = float("nan")
            return found

    with pytest.raises(PacoError, match=r"block 16x16 \(flat\) are not finite for picture 0-1"):
        extract(Broken(weight_hash="broken"), units(people=2), ("mean",))


def test_an_encoder_and_a_task_without_a_common_reduction_are_refused():
    with pytest.raises(PacoError, match="the task takes words"):
        layers_of(load_encoder("random:tiny"), ("words",))
    assert layers_of(Constant(), ("mean",)) == [("none", "flat")]


def test_an_encoder_without_patch_tokens_is_refused_by_heads_on_tokens(tmp_path):
    vector = FunctionEncoder("onnx:x", lambda images: images.mean((2, 3)), PixelContract(8), "0" * 16, 1)
    with pytest.raises(PacoError, match="onnx:x gives one vector for a picture and has no patch tokens"):
        extract(vector, units(people=2), ("tokens",))
    failed = evaluate_all(
        [vector], [blob_task("landmarks")], Protocol("heatmap"), out=tmp_path, say=lambda _: None
    )
    assert len(failed) == 1 and "has no patch tokens" in failed[0]
    assert layers_of(Constant(), ("tokens",)) == [("none", "tokens")]  # the floor of every task


def test_tokens_are_kept_as_a_table_each_and_only_within_the_limit(monkeypatch):
    made = units(people=2)
    found = extract(Pixels(), made, ("tokens",)).layers
    assert {layer: table.shape[1:] for layer, table in found.items()} == {
        ("16x16", "tokens"): (256, 3),
        ("32x32", "tokens"): (1024, 3),
        ("16x16 uncentred", "tokens"): (256, 3),
        ("32x32 uncentred", "tokens"): (1024, 3),
    }
    flat = extract(Pixels(), made, ("mean",)).layers
    np.testing.assert_array_equal(found["16x16", "tokens"].reshape(len(made), -1), flat["16x16", "flat"])
    monkeypatch.setattr("paco_eval.features.fill.MAX_BYTES", 1000)
    with pytest.raises(PacoError, match=r"from 4 layers take .* fewer pictures with --limit"):
        extract(Pixels(weight_hash="another"), made, ("tokens",))


SPREAD = """
import json
import numpy as np
from accelerate import PartialState
from paco_eval.encoders import load_encoder
from paco_eval.encoders.baselines import Pixels
from paco_eval.features.extract import extract
from paco_eval.features.processes import gather, use_device
from paco_fr.utils.errors import PacoError
from tests.paco_eval.features.test_extract import units
use_device("auto")
found = extract(load_encoder("random:tiny"), units(people=7, broken=1), ("mean",))
np.save(OUT, found.layers["4", "mean"])

class Broken(Pixels):
    def tokens(self, images, blocks):
        made = super().tokens(images, blocks)
        if PartialState().process_index == 1:
            made["16x16"].patches[0] = float("nan")
        return made

try:
    extract(Broken(weight_hash="broken"), units(people=2), ("mean",))
except PacoError as error:
    told = str(error)
assert gather(told, PartialState()) == [told] * 3 and "not finite for picture 0-2" in told, told
print(json.dumps(sorted(found.failures)))
"""


def test_one_and_three_processes_extract_the_same(tmp_path):
    alone = extract(load_encoder("random:tiny"), units(people=7, broken=1), ("mean",))
    script = SPREAD.replace("OUT", repr(str(tmp_path / "three.npy")))
    said = in_processes(3, script, PACO_CACHE=str(tmp_path / "cache"))
    assert json.loads(said.splitlines()[-1]) == sorted(alone.failures) == [20]
    tables = alone.layers["4", "mean"], np.load(tmp_path / "three.npy")
    np.testing.assert_allclose(tables[0][:20], tables[1][:20], rtol=1e-5, atol=1e-6)
    assert np.isnan(tables[1][20]).all() and SIDE == 48
