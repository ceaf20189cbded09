"""Networks and classes of others: ONNX, TorchScript, a file, an entry point, timm's folders and files."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from torch import nn

from paco_eval.encoders import load_encoder, outside
from paco_eval.encoders._function import FunctionEncoder
from paco_fr.contracts import CROPS, PixelContract
from paco_fr.utils.errors import PacoError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ARCFACE = "crop=arcface&size=16&channels=BGR&range=-1,1"


def onnx_file(path, *, scales: bool = False, batch: int | str = "batch", metadata: dict | None = None) -> str:
    """Write a convolution of 3 x 16 x 16 pictures to embeddings of 8, as a recogniser of its own."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {"weight": rng.normal(size=(8, 3, 16, 16)), "mean": np.array(127.5), "gain": np.array(1 / 128)}
    nodes = [helper.make_node("Conv", ["scaled" if scales else "input.1", "weight"], ["map"]),
             helper.make_node("Flatten", ["map"], ["683"])]  # fmt: skip
    if scales:
        nodes = [helper.make_node("Sub", ["input.1", "mean"], ["centred"]),
                 helper.make_node("Mul", ["centred", "gain"], ["scaled"]), *nodes]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "recogniser",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("683", TensorProto.FLOAT, [batch, 8])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return str(path)


def weight_of(path) -> torch.Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(numpy_helper.to_array(onnx.load(str(path)).graph.initializer[0]).copy())


@pytest.mark.parametrize("batch", ["batch", 1])
def test_an_onnx_recogniser_gives_its_embedding_under_the_stated_contract(batch, tmp_path):
    file = onnx_file(tmp_path / "own.onnx", batch=batch)
    encoder = load_encoder(f"onnx:{file}?{ARCFACE}")
    assert encoder.required_crop == CROPS["arcface"] and encoder.reductions == ("flat",)
    assert encoder.pixels == PixelContract(
        16, (0.0,) * 3, (1.0,) * 3, channels="BGR", value_range=(-1.0, 1.0)
    )
    images = torch.randn(3, 3, 16, 16)
    found = encoder.tokens(images, ["out"])["out"].patches
    expected = torch.einsum("bchw,ochw->bo", images, weight_of(file))
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_recognisers_of_known_names_bring_their_contract(tmp_path):
    file = onnx_file(tmp_path / "w600k_r50.onnx")
    encoder = load_encoder(f"onnx:{file}")  # the real file takes 112, this one says 16
    assert encoder.pixels.channels == "RGB" and encoder.pixels.value_range == (-1.0, 1.0)
    assert encoder.required_crop == CROPS["arcface"]
    assert encoder.pixels.size == 16
    with pytest.raises(PacoError, match=r"takes pictures of 16 x 16, not of 112"):
        load_encoder(f"onnx:{file}?size=112")
    for other, what in (("det_10g", "a face detector"), ("2d106det", "a landmark network")):
        with pytest.raises(PacoError, match=what):
            load_encoder(f"onnx:{tmp_path / other}.onnx")


def test_a_file_that_scales_by_itself_takes_bytes_unless_the_user_states_otherwise(tmp_path):
    file = onnx_file(tmp_path / "mxnet.onnx", scales=True)
    encoder = load_encoder(f"onnx:{file}?channels=BGR")
    assert encoder.pixels.value_range == (0.0, 255.0) and "takes 0..255" in encoder.facts["pixels_checked"]
    stated = load_encoder(f"onnx:{file}?{ARCFACE}")
    assert stated.pixels.value_range == (-1.0, 1.0)
    assert stated.facts["pixels_checked"].startswith(
        "stated -1..1; its first nodes (Sub, Mul) look made for 0..255"
    )


def test_our_own_export_carries_its_contract_in_the_file(tmp_path):
    stated = {"size": 16, "mean": [0.5] * 3, "std": [0.25] * 3, "channels": "RGB", "value_range": [0, 1],
              "interpolation": "bicubic"}  # fmt: skip
    file = onnx_file(tmp_path / "encoder.onnx", metadata={"pixels": json.dumps(stated)})
    encoder = load_encoder(f"onnx:{file}")
    assert encoder.pixels.std == (0.25, 0.25, 0.25) and encoder.required_crop is None


@pytest.mark.parametrize(
    ("options", "message"),
    [("", "Give channels, range"), ("?size=16&channels=RGB", "Give range"), ("?colour=RGB", "Unknown option"),
     ("?" + ARCFACE.replace("BGR", "GBR"), "RGB or BGR"), ("?" + ARCFACE.replace("-1,1", "1"), "not 2 numbers"),
     ("?" + ARCFACE.replace("arcface", "arcfase"), "Did you mean arcface"), ("?size", "needs a value"),
     ("?" + ARCFACE + "&std=58,58,58", "different units")],
)  # fmt: skip
def test_contracts_that_are_missing_or_wrong_are_refused(options, message, tmp_path):
    with pytest.raises(PacoError, match=message):
        load_encoder(f"onnx:{onnx_file(tmp_path / 'own.onnx')}{options}")


def test_files_that_are_no_onnx_are_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(PacoError, match="cannot be read as ONNX"):
        load_encoder(f"onnx:{tmp_path / 'text.onnx'}?{ARCFACE}")
    with pytest.raises(PacoError, match="No ONNX file"):
        load_encoder("onnx:nowhere.onnx")


def test_without_onnxruntime_the_error_names_the_extra(tmp_path, monkeypatch):
    file = onnx_file(tmp_path / "own.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PacoError, match=r"paco-eval\[onnx\]"):
        load_encoder(f"onnx:{file}?{ARCFACE}")


def test_torchscript_runs_only_with_trust(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4)).eval()
    torch.jit.trace(model, torch.zeros(1, 3, 16, 16)).save(str(tmp_path / "script.pt"))
    name = f"torchscript:{tmp_path / 'script.pt'}?size=16&channels=RGB&range=0,1"
    with pytest.raises(PacoError, match="--trust"):
        load_encoder(name)
    encoder = load_encoder(name, trust=True)
    images = torch.randn(2, 3, 16, 16)
    found = encoder.tokens(images, ["out"])["out"].patches
    torch.testing.assert_close(found, model(images).flatten(2).transpose(1, 2))
    assert encoder.reductions == ("mean", "grid4")
    with pytest.raises(PacoError, match="No TorchScript file"):
        load_encoder("torchscript:nowhere.pt?size=16", trust=True)


OWN = """
import torch
from dataclasses import dataclass
from paco_fr.contracts import PixelContract
from paco_fr.contracts import Tokens

@dataclass
class Mean:
    name: str = "mean"
    pixels = PixelContract(8)
    weight_hash = "0" * 16
    blocks = ("only",)
    default_block = "only"
    reductions = ("mean",)
    required_crop = None
    adapter_version = 1
    parameters = 0

    def tokens(self, images, blocks):
        return {block: Tokens(images.mean((2, 3))[:, None]) for block in blocks}

class Half:
    name = "half"
"""


def test_an_encoder_class_in_a_file_of_ones_own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    name = f"file:{tmp_path / 'own.py'}:Mean"
    with pytest.raises(PacoError, match="--trust"):
        load_encoder(name)
    assert load_encoder(name, trust=True).tokens(torch.ones(1, 3, 8, 8), ["only"])["only"].patches.shape == (
        1,
        1,
        3,
    )
    with pytest.raises(PacoError, match="Half lacks pixels, weight_hash"):
        load_encoder(f"file:{tmp_path / 'own.py'}:Half", trust=True)
    with pytest.raises(PacoError, match=r"own\.py.*no attribute 'Max'"):
        load_encoder(f"file:{tmp_path / 'own.py'}:Max", trust=True)
    (tmp_path / "bad.py").write_text("x = 1\ny = 1 / 0\n")
    with pytest.raises(PacoError, match=r"bad\.py, line 2: ZeroDivisionError"):
        load_encoder(f"file:{tmp_path / 'bad.py'}:Any", trust=True)
    with pytest.raises(PacoError, match=r"FILE\.py:CLASS"):
        load_encoder("file:nowhere.py:Any", trust=True)


def from_others(name: str) -> FunctionEncoder:
    if name == "theirs:broken":
        raise RuntimeError("no weights")
    return FunctionEncoder(name, lambda images: images.mean((2, 3)), PixelContract(8), "0" * 16, 0)


def test_an_installed_package_adds_a_scheme(monkeypatch):
    entry = EntryPoint("theirs", f"{__name__}:from_others", outside.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: from_others)
    monkeypatch.setattr(outside, "entry_points", lambda group, name: [entry] if name == "theirs" else [])
    assert load_encoder("theirs:a").name == "theirs:a"
    with pytest.raises(PacoError, match=r"cannot be loaded \(RuntimeError: no weights"):
        load_encoder("theirs:broken")
    with pytest.raises(PacoError, match="Unknown encoder 'thiers'"):
        load_encoder("thiers:a")


@pytest.mark.parametrize(
    ("shape", "patches", "reductions"),
    [((5,), (1, 5), ("flat",)), ((5, 2, 2), (4, 5), ("mean", "grid4")), ((4, 5), (4, 5), ("mean", "grid4")),
     ((17, 5), (16, 5), ("mean", "grid4", "global")), ((7, 5), (7, 5), ("mean",))],
)  # fmt: skip
def test_the_shape_of_an_output_says_what_it_is(shape, patches, reductions):
    encoder = FunctionEncoder(
        "x", lambda images: torch.ones(len(images), *shape), PixelContract(8), "0" * 16, 0
    )
    assert encoder.reductions == reductions
    assert encoder.tokens(torch.zeros(3, 3, 8, 8), ["out"])["out"].patches.shape == (3, *patches)


@pytest.mark.parametrize("output", [torch.ones(2), {"x": 1}, torch.ones(5, 4)])
def test_outputs_that_are_no_features_are_refused(output):
    with pytest.raises(PacoError, match="an encoder gives"):
        FunctionEncoder("x", lambda images: output, PixelContract(8), "0" * 16, 0)


def timm_folder(folder):
    """Write a folder as timm's hub tools write it."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=0)
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": 0, "model_args": {"img_size": 32, "depth": 2},
              "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3,
                                 "interpolation": "bilinear", "num_classes": 0}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return model.eval()


def test_timm_reads_folders_with_their_contract(tmp_path):
    model = timm_folder(tmp_path / "model")
    encoder = load_encoder(f"timm:local-dir:{tmp_path / 'model'}")
    assert encoder.pixels == PixelContract(32, (0.5,) * 3, (0.5,) * 3, interpolation="bilinear")
    images = torch.randn(2, 3, 32, 32)
    expected = model.forward_features(images)
    found = encoder.tokens(images, ["2"])["2"]
    torch.testing.assert_close(found.patches, expected[:, 1:])
    torch.testing.assert_close(found.pooled, expected[:, 0])
    with pytest.raises(PacoError, match="no such folder"):
        load_encoder(f"timm:local-dir:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize(
    ("name", "token"),
    [("vit_small_patch14_dinov2.lvd142m", True), ("vit_base_patch16_clip_quickgelu_224.openai", True),
     ("vit_base_patch16_224.mae", False), ("resnet10t.c3_in1k", False)],
)  # fmt: skip
def test_dinov2_clip_and_others_by_their_timm_names(name, token, tmp_path, monkeypatch):
    """The real configurations and architectures, narrowed to two blocks, with random weights instead of theirs."""
    import timm

    from paco_eval.encoders import timm as adapter

    create = timm.create_model
    narrow = {} if name.startswith("resnet") else {"depth": 2, "embed_dim": 64, "num_heads": 2}

    def without_download(model_name, pretrained, **options):
        return create(model_name, pretrained=False, **narrow, **options)

    monkeypatch.setattr(adapter.timm, "create_model", without_download)
    encoder = load_encoder(f"timm:{name}?size=56" if "patch14" in name else f"timm:{name}?size=64")
    expected = encoder.model.pretrained_cfg
    assert encoder.pixels.mean == tuple(expected["mean"]) and encoder.pixels.std == tuple(expected["std"])
    tokens = encoder.tokens(
        torch.randn(1, 3, encoder.pixels.size, encoder.pixels.size), [encoder.default_block]
    )
    assert ("global" in encoder.reductions) == token == (tokens[encoder.default_block].pooled is not None)
    if "patch14" in name:
        with pytest.raises(PacoError, match="cannot take pictures of 60 pixels"):
            load_encoder(f"timm:{name}?size=60")


def test_timm_takes_weights_from_a_file_strictly(tmp_path):
    import timm

    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=7)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "weights.pth")
    encoder = load_encoder(f"timm:resnet10t?weights={tmp_path / 'weights.pth'}")
    model.reset_classifier(0)
    from paco_fr.checkpoint import weight_hash

    assert encoder.identity.stated == weight_hash(model)
    state = model.state_dict()
    state.pop(next(iter(state)))
    torch.save(state, tmp_path / "torn.pth")
    with pytest.raises(PacoError, match="lacks"):
        load_encoder(f"timm:resnet10t?weights={tmp_path / 'torn.pth'}")
