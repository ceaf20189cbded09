from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from timm.data import resolve_data_config

from paco_fr.checkpoint import load_encoder, weight_hash
from paco_fr.export import export_half, export_onnx, export_timm
from paco_fr.train.pretrain import pretrain
from paco_fr.utils.errors import PacoError
from tests.paco_fr.conftest import config_on


@pytest.fixture
def checkpoint(faces, tmp_path):
    return pretrain(config_on(faces, objective="mae", optimiser={"presentations": 32}), tmp_path / "run")


def test_timm_loads_the_folder_strictly_with_equal_features_and_pixels(checkpoint, tmp_path):
    out = export_timm(checkpoint, tmp_path / "timm")
    model = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    encoder, _, config = load_encoder(checkpoint)
    assert model.state_dict().keys() == encoder.state_dict().keys()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.forward_features(images), encoder.forward_features(images))
    settings = resolve_data_config(model=model)
    pixels = config.pixels
    assert settings["input_size"] == (3, 32, 32) and settings["interpolation"] == pixels.interpolation
    assert tuple(settings["mean"]) == pixels.mean and tuple(settings["std"]) == pixels.std
    card = (out / "README.md").read_text()
    for said in (
        "24 pictures",
        "Apache-2.0",
        "masking.ratio",
        "not fit for identifying people",
        "mean [0.5, 0.5, 0.5]",
        f"Not measured for this card. Measure with\n`paco-eval evaluate paco:{checkpoint.name} pixels constant --out RUN`",
        "again with `--scores RUN`",
    ):
        assert said in card
    (out / "model.safetensors").write_bytes((out / "model.safetensors").read_bytes()[:-5])
    with pytest.raises(Exception, match=r"\w"):
        timm.create_model(f"local-dir:{out}", pretrained=True)


@pytest.mark.parametrize("export", [export_timm, export_onnx, export_half])
def test_scores_are_asked_for_the_weights_that_are_written_and_before_they_are(checkpoint, tmp_path, export):
    asked = []

    def scores(weight_hash: str, pixel_hash: str) -> str:
        asked.append(weight_hash)
        assert pixel_hash == load_encoder(checkpoint)[2].pixels.hash
        return "pose: 5.07"

    out = export(checkpoint, tmp_path / "out", scores)
    assert "## Scores\n\npose: 5.07\n\n## Limits" in (out / "README.md").read_text()
    written = out if export is export_half else checkpoint
    assert asked == [weight_hash(load_encoder(written)[0])]

    def none(*_: str) -> str:
        raise PacoError("measured others")

    with pytest.raises(PacoError, match="measured others"):
        export(checkpoint, tmp_path / "nothing", none)
    assert not (tmp_path / "nothing").exists()


def test_onnxruntime_gives_the_same_features(checkpoint, tmp_path):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    out = export_onnx(checkpoint, tmp_path / "onnx")
    session = onnxruntime.InferenceSession(str(out / "encoder.onnx"))
    encoder, _, _ = load_encoder(checkpoint)
    for count in (1, 5):
        images = torch.randn(count, 3, 32, 32)
        found = session.run(["tokens"], {"images": images.numpy()})[0]
        assert np.abs(found - encoder.forward_features(images).numpy()).max() < 1e-4
    metadata = {entry.key: entry.value for entry in onnx.load(str(out / "encoder.onnx")).metadata_props}
    assert json.loads(metadata["pixels"])["size"] == 32 and (out / "README.md").exists()


def test_without_onnx_the_extra_is_named(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(PacoError, match=r"pip install 'paco-eval\[onnx\]'"):
        export_onnx(checkpoint, tmp_path / "onnx")
    with pytest.raises(PacoError, match=r"card\.json is missing"):
        export_timm(tmp_path, tmp_path / "timm")


def test_half_a_checkpoint_is_a_checkpoint_and_ships_by_its_bare_name(checkpoint, tmp_path, monkeypatch):
    from paco_eval.encoders import load_encoder as load_by_name

    monkeypatch.setattr("paco_fr.export.SHIPPED", tmp_path / "weights")
    out = export_half(checkpoint, tmp_path / "weights" / "mae-micro")
    size = (checkpoint / "model.safetensors").stat().st_size
    assert (out / "model.safetensors").stat().st_size < 0.6 * size
    images = torch.randn(2, 3, 32, 32)
    whole, half = (load_encoder(folder)[0].forward_features(images) for folder in (checkpoint, out))
    torch.testing.assert_close(whole, half, atol=1e-2, rtol=1e-2)
    shown = (out / "README.md").read_text()
    assert "Apache-2.0" in shown
    assert "`paco-eval evaluate mae-micro pixels constant" in shown and "paco:mae-micro" not in shown
    with pytest.raises(PacoError, match="Unknown encoder 'mae-micro'"):
        load_by_name("mae-micro")
    monkeypatch.setattr("paco_fr.checkpoint.SHIPPED", tmp_path / "weights")
    monkeypatch.setattr("paco_eval.encoders.paco.SHIPPED", tmp_path / "weights")
    encoder = load_by_name("mae-micro")
    assert encoder.name == "mae-micro" and encoder.facts["objective"] == "mae"
    card = json.loads((out / "card.json").read_text())
    assert card["weights"] == "fp16" and card["encoder_hash"] == encoder.identity.stated


def test_weights_too_large_for_half_precision_are_refused(checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(checkpoint / "model.safetensors")
    tensors["encoder.pos_embed"][0, 0, 0] = 1e6
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(PacoError, match=r"'encoder\.pos_embed' does not fit half precision"):
        export_half(checkpoint, tmp_path / "half")
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("form", ["timm", "onnx", "half"])
def test_an_export_never_writes_onto_its_checkpoint(form, tmp_path):
    """It overwrote the checkpoint: decoder and codebook were lost, with exit status 0."""
    import paco_fr.export as exporting

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "card.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for out in (tmp_path / "run", tmp_path / "link"):
        with pytest.raises(PacoError, match="is what is read"):
            getattr(exporting, f"export_{form}")(tmp_path / "run", out)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["card.json"]
