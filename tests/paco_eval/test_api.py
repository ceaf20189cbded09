"""From Python and for one's own pictures: plain modules, features as files, plans, sensitivity, the cache."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

import paco_eval
from paco_eval.cli import main
from paco_eval.encoders import load_encoder
from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.dry_run import plan
from paco_eval.experiments.sensitivity import contracts, sensitivity
from paco_eval.features import cache
from paco_eval.rows.store import load_rows
from paco_fr.contracts import CROPS, PixelContract
from paco_fr.faces.contents import contents_of
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.derived import derived_tasks
from tasks.readers.synthetic.drawn import BENCHMARK
from tests.paco_eval.conftest import blob_task
from tests.paco_fr.conftest import smooth_faces

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TASKS = "from tests.paco_eval.conftest import blob_task\nPOSE = blob_task('pose')\n"


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, picture in enumerate(smooth_faces(3, 40)):
        Image.fromarray(picture).save(pictures / f"{number}.png")
    (pictures / "torn.png").write_bytes((pictures / "0.png").read_bytes()[:100])
    return pictures


class Plain(nn.Module):
    """Any module of anybody's: patches of 8 pixels through a linear layer, and dropout to be switched off."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.drop = nn.Dropout(0.5)

    def forward(self, images):
        return self.drop(self.patches(images)).flatten(2).transpose(1, 2)


def test_a_plain_module_is_measured_like_an_encoder(tmp_path):
    torch.manual_seed(0)
    module = Plain()
    frame = paco_eval.evaluate(
        module, [blob_task("pose")], pixels=paco_eval.PixelContract(32), out=tmp_path, overwrite="missing"
    ).frame
    main_line = frame[frame["main"]].iloc[0]
    assert main_line["task"] == "pose/blobs" and 0 < main_line["value"] < 8
    assert main_line["encoder"].startswith("module:Plain-")
    assert module.training and all(parameter.requires_grad for parameter in module.parameters())  # as it was
    again = paco_eval.evaluate(module, [blob_task("pose")], pixels=PixelContract(32), out=tmp_path).frame
    assert again.equals(frame)


def test_a_timm_module_says_its_pixels_itself(tmp_path):
    import timm

    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=0)
    frame = paco_eval.evaluate([module, "constant"], [blob_task("pose")], out=tmp_path, name="mine").frame
    assert set(frame["encoder"]) == {"mine", "constant"}


def test_what_is_no_encoder_is_refused(tmp_path):
    with pytest.raises(PacoError, match="pixels=paco_eval"):
        paco_eval.evaluate(Plain(), [blob_task("pose")], out=tmp_path)
    with pytest.raises(PacoError, match="A int is no encoder"):
        paco_eval.evaluate(3, [blob_task("pose")], out=tmp_path)
    with pytest.raises(MissingDataError, match="landmarks/wflw"):
        paco_eval.evaluate("constant", "landmarks/wflw", out=tmp_path)
    with pytest.raises(PacoError, match="needs the crop"):
        encoder = Pixels()
        encoder.required_crop = CROPS["arcface"]
        paco_eval.evaluate(encoder, [blob_task("pose")], out=tmp_path)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    """Word for word, on fewer drawn people than the benchmark has."""
    for part in ("train", "validation", "test"):
        monkeypatch.setitem(BENCHMARK, part, 4)
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", README, flags=re.S)
    assert block is not None
    space: dict = {}
    exec(compile(block.group(1), "README.md", "exec"), space)
    frame = space["results"].frame
    assert len(frame) and {"pose/synthetic"} == set(frame["task"])


@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_features_of_ones_own_pictures(suffix, folder, tmp_path):
    out = tmp_path / f"features.{suffix}"
    result = call("embed", "random:tiny", folder, "--out", out, "--block", "2", "--reduction", "mean")
    assert (
        result.exit_code == 0 and "3 of 4 pictures" in result.output and "Not read: torn.png" in result.output
    )
    if suffix == "npy":
        table = np.load(out)
        assert (tmp_path / "features.ids.txt").read_text().split() == ["0.png", "1.png", "2.png", "torn.png"]
        assert np.isnan(table[3]).all()
        found = table[:3]
    else:
        read = pq.read_table(out)
        assert read.schema.metadata[b"paco_eval.encoder"] == b"random:tiny"
        rows = read.to_pylist()
        assert rows[3]["features"] is None and "torn.png" in rows[3]["failure"]
        found = np.array([row["features"] for row in rows[:3]])
    encoder = load_encoder("random:tiny")
    from paco_eval.features.embed import embed

    again = embed(encoder, [str(folder / "1.png")], block="2", reduction="mean")
    np.testing.assert_allclose(again.features[0], found[1], rtol=1e-4, atol=1e-5)
    picture = np.asarray(
        Image.open(folder / "1.png").convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)
    )
    from paco_fr.faces.pixels import prepare

    tokens = encoder.tokens(prepare(picture[None], encoder.pixels), ["2"])["2"].patches.mean(1)
    assert np.corrcoef(tokens[0].numpy(), found[1])[0, 1] > 0.99  # the crop resamples once more


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--block", "7"], "Unknown block of random:tiny '7'"),
        (["--reduction", "global"], "Unknown reduction of random:tiny"),
        (["--crop", "farl"], "landmarks"),
        (["--crop", "frl"], "Did you mean farl"),
        (["--out", "x.csv"], "parquet or"),
    ],
)
def test_wrong_calls_of_embed(words, message, folder):
    result = call("embed", "random:tiny", folder, *words)
    assert result.exit_code == 2 and message in result.output


def test_embed_of_files_that_are_not_there(tmp_path):
    assert "is no file" in call("embed", "pixels", tmp_path / "a.png", tmp_path / "b.png").output
    result = call("embed", "pixels", tmp_path / "nowhere")
    assert result.exit_code == 3 and "does not exist" in result.output


def test_sensitivity_shows_the_spread_beside_the_score(tmp_path):
    encoder = load_encoder("random:tiny")
    found = sensitivity(encoder, blob_task("pose"), out=tmp_path)
    assert found is not None and set(found.values) == {"as declared", "flip", "range", "crop"}
    values = [value for value in found.values.values() if value is not None]
    assert len(set(values)) == 4 and found.spread == pytest.approx(max(values) - min(values))
    assert "moves by" in str(found)
    rows = {stored.row.protocol: stored.row for stored in load_rows([tmp_path]).rows}
    assert set(rows) == {"frozen", *(f"sensitivity {name}, frozen" for name in ("flip", "range", "crop"))}
    declared = rows["frozen"]
    assert rows["sensitivity range, frozen"].pixel_hash != declared.pixel_hash
    assert rows["sensitivity crop, frozen"].crop_hash != declared.crop_hash
    assert encoder.pixels.hash == declared.pixel_hash  # the encoder itself is as it was


def test_contracts_that_cannot_be_varied_are_left_out(tmp_path):
    encoder = Pixels()
    encoder.required_crop = blob_task("pose").crop
    assert [name for name, _, _ in contracts(encoder, blob_task("pose"))] == ["flip"]
    said: list[str] = []
    task = blob_task("pose", crop=CROPS["whole"])
    found = sensitivity(Pixels(), task, out=tmp_path, say=said.append)
    assert found is not None and set(found.others) == {"flip"}


def test_the_plan_counts_what_the_cache_does_not_spare(tmp_path):
    encoders = [load_encoder("random:tiny"), Pixels()]
    tasks = [blob_task("pose"), blob_task("landmarks"), blob_task("pose", name="pose/sum", flip="sum")]
    cells = plan(encoders, tasks)
    assert [cell.passes for cell in cells] == [
        60,
        60,
        0,
        0,
        120,
        120,
    ]  # the second task shows the same pictures
    assert all(cell.seconds > 0 for cell in cells if cell.passes)
    paco_eval.evaluate("pixels", [tasks[0]], out=tmp_path)
    assert [cell.passes for cell in plan(encoders, tasks[:1])] == [60, 0]
    dark = derived_tasks(tasks[:1])["illumination/pose/blobs"]
    anchored = {
        "side_light",
        "top_light",
        "cast_shadow",
    }  # to landmarks of a known scheme, which blobs have not
    kinds = set(dark.sweep.kinds) - anchored
    lit = replace(dark, sweep=replace(dark.sweep, kinds=tuple(kinds), levels=(1, 5)))
    assert [cell.passes for cell in plan(encoders[1:], [lit])] == [18 * 2 * len(kinds)], "test pictures"
    broken = blob_task("pose", reader="tests.paco_eval.test_api:unreadable")
    assert "gone" in plan(encoders[:1], [broken])[0].problem


def unreadable(data_root=None):
    raise PacoError("gone")


def test_a_dry_run_prints_passes_and_an_estimate(tmp_path):
    (tmp_path / "mine.py").write_text(TASKS)
    result = call(
        "evaluate", "pixels", "--tasks", "pose/blobs", "--tasks-from", tmp_path / "mine.py", "--dry-run"
    )
    assert (
        "60 pictures, 60 forward passes, about" in result.output
        and "1 cells, 60 forward passes" in result.output
    )


def test_a_dry_run_knows_what_the_protocol_measures(tmp_path):
    (tmp_path / "mine.py").write_text(TASKS)
    words = [
        "evaluate",
        "random:tiny",
        "pixels",
        "--tasks",
        "pose/blobs",
        "--tasks-from",
        tmp_path / "mine.py",
        "--dry-run",
    ]
    shown = call(*words, "--protocol", "few-shot", "--shots", "10%", "--seeds", "2").output
    assert "random:tiny  pose/blobs v1  few-shot 10%, draw 0  60 pictures, 60 forward" in shown
    assert "few-shot 10%, draw 1  60 pictures, 0 forward" in shown and "4 cells, 120 forward" in shown
    shown = call(*words, "--protocol", "fine-tune", "--seeds", "1", "--epochs", "2").output
    passes = 2 * (3 * 36 + 6 + 18) + 18
    assert f"fine-tune 2 epochs, draw 0  60 pictures, {passes} forward" in shown
    assert "pixels  pose/blobs v1  fine-tune 2 epochs, draw 0  60 pictures, cannot be fine-tuned" in shown
    assert "it has no points" in call(*words, "--protocol", "heatmap").output


def test_evaluate_takes_classes_of_ones_own_only_with_trust(tmp_path):
    (tmp_path / "mine.py").write_text(TASKS)
    (tmp_path / "own.py").write_text("from paco_eval.encoders.baselines import Pixels as Own\n")
    words = ["evaluate", "--encoder-from", f"{tmp_path / 'own.py'}:Own", "--tasks", "pose/blobs", "--tasks-from",
             tmp_path / "mine.py", "--out", tmp_path / "out"]  # fmt: skip
    refused = call(*words)
    assert refused.exit_code == 2 and "--trust" in refused.output
    done = call(
        *words, "--trust", "--protocol", "few-shot", "--shots", "50%", "--seeds", "1", "--sensitivity"
    )
    assert done.exit_code == 0 and "moves by" in done.output
    assert call("evaluate", "--tasks", "pose/blobs").exit_code == 2


def test_the_cache_is_listed_and_pruned_by_last_use(tmp_path):
    for name in ("random:tiny", "pixels"):
        paco_eval.evaluate(name, [blob_task("pose")], out=tmp_path)
    contents_of([__file__])
    found = cache.entries()
    assert {entry.address["weight_hash"] for entry in found} == {
        load_encoder("random:tiny").weight_hash, load_encoder("pixels").weight_hash}  # fmt: skip
    assert all(entry.pictures == 60 and entry.size > 0 for entry in found)
    listed = call("cache", "list").output
    kinds = [line.split()[2] for line in listed.splitlines()[:-1]]
    assert kinds.count("features") == len(found) == listed.count("60 pictures")
    assert {"choices", "contents"} <= set(kinds) and f"in {len(kinds)} entries" in listed
    import os

    os.utime(found[-1].folder, (1, 1))  # used last in 1970
    found = cache.entries()
    total = sum(entry.size for entry in found)
    removed = cache.prune(found, total - 1)
    assert [entry.folder for entry in removed] == [found[0].folder] and not found[0].folder.exists()
    assert "Removed 0 entries" in call("cache", "prune", "--unused", "1").output
    assert "Removed 0 entries" in call("cache", "prune", "--to", "1GB").output
    assert f"Removed {len(kinds) - 1} entries" in call("cache", "prune").output and not cache.entries()
    assert "no size" in call("cache", "prune", "--to", "big").output


def test_looking_features_up_counts_as_use(tmp_path):
    import os

    paco_eval.evaluate("pixels", [blob_task("pose")], out=tmp_path)
    for entry in cache.entries():
        os.utime(entry.folder, (1, 1))
    paco_eval.evaluate("pixels", [blob_task("pose")], out=tmp_path / "again")
    assert all(entry.used > 1000 for entry in cache.entries())


@pytest.mark.parametrize("style", ["table", "json"])
def test_the_list_of_encoders_states_pixels_and_crop(style):
    output = call("list", "encoders", "*", "--format", style).output
    for text in ("farl:FILE", "RGB 224, CLIP mean and std", "onnx:FILE", "by file name, or crop="):
        assert text in output
