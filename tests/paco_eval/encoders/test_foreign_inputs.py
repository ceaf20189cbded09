"""Foreign networks in any type, layout, size, channels and batch, held against onnxruntime's own output."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from paco_eval.encoders import load_encoder
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
SIDE = 12
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def network(
    path, steps=(), *, kind="FLOAT", layout="NCHW", shape=(SIDE, SIDE), channels=3, batch: int | str = "n"
):
    """Write Cast, transposition, steps (name of an operation and its constant) and a convolution to embeddings of 4."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    height, width = (SIDE if isinstance(side, str) else side for side in shape)
    weights = {"weight": rng.normal(size=(4, channels, height, width)).astype(np.float32)}
    nodes, value = [helper.make_node("Cast", ["picture"], ["cast"], to=TensorProto.FLOAT)], "cast"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [value], ["turned"], perm=[0, 3, 1, 2]))
        value = "turned"
    for number, (operation, constant) in enumerate(steps):
        inputs, output = [value], f"step{number}"
        for part, content in enumerate(constant if isinstance(constant, tuple) else (constant,)):
            name = f"constant{number}.{part}"
            weights[name] = np.asarray(content) if operation == "Gather" else np.asarray(content, np.float32)
            inputs.append(name)
        attributes = {"axis": 1} if operation == "Gather" else {}
        nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        value = output
    # Arithmetic on shapes beside the picture's path, as exports of "same" padding have it before the first convolution.
    nodes = [helper.make_node("Shape", ["picture"], ["size"]), helper.make_node("Cast", ["size"], ["real"], to=1),
             helper.make_node("Sub", ["real", "real"], ["nothing"]),
             helper.make_node("Mul", ["nothing", "real"], ["pads"]),
             *nodes, helper.make_node("Conv", [value, "weight"], ["map"]),
             helper.make_node("Flatten", ["map"], ["flat"]),
             helper.make_node("ReduceSum", ["pads"], ["zero"], keepdims=0),
             helper.make_node("Add", ["flat", "zero"], ["out"])]  # fmt: skip
    dimensions = [batch, channels, *shape] if layout == "NCHW" else [batch, *shape, channels]
    graph = helper.make_graph(
        nodes, "network", [helper.make_tensor_value_info("picture", getattr(TensorProto, kind), dimensions)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(content, name) for name, content in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def per_channel(values):
    return np.asarray(values).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("Sub", 127.5), ("Mul", 1 / 128)], (0, 255)),
        ([("Div", 127.5), ("Add", -1.0)], (0, 255)),
        ([("Mul", 1 / 255)], (0, 255)),
        ([("Sub", per_channel(IMAGENET[0])), ("Div", per_channel(IMAGENET[1]))], (0, 1)),
        ([("Sub", per_channel(IMAGENET[0] * 255)), ("Div", per_channel(IMAGENET[1] * 255))], (0, 255)),
        ([("Mul", 2.0), ("Sub", 1.0)], (0, 1)),
        (
            [("BatchNormalization", (np.ones(3), np.zeros(3), np.full(3, 127.5), np.full(3, 4000.0)))],
            (0, 255),
        ),
        ([("BatchNormalization", (np.ones(3), np.zeros(3), np.zeros(3), np.full(3, 0.25)))], (-1, 1)),
    ],
)
def test_the_range_is_read_off_the_pictures_own_path(steps, expected, tmp_path):
    """Any Sub and Mul before the first convolution meant 0..255, and Div with Add or a batch norm meant nothing."""
    file = network(tmp_path / "own.onnx", steps)
    encoder = load_encoder(f"onnx:{file}?channels=RGB")
    assert encoder.pixels.value_range == expected and encoder.pixels.size == SIDE
    assert encoder.facts["pixels_checked"].startswith(
        f"takes {expected[0]}..{expected[1]} by its first nodes"
    )
    stated = load_encoder(f"onnx:{file}?channels=RGB&range=-3,3")
    assert stated.pixels.value_range == (-3, 3) and "look made for" in stated.facts["pixels_checked"]
    assert stated.facts["stated"] == "channels=RGB, range=-3,3"
    assert stated.pixels.hash != encoder.pixels.hash


def test_the_order_of_channels_is_read_off_a_known_mean_colour(tmp_path):
    mean, std = IMAGENET
    for order, step in (("RGB", 1), ("BGR", -1)):
        steps = [("Sub", per_channel(mean[::step])), ("Div", per_channel(std[::step]))]
        assert load_encoder(f"onnx:{network(tmp_path / f'{order}.onnx', steps)}").pixels.channels == order
    turned = [("Gather", np.array([2, 1, 0])), ("Sub", per_channel(mean)), ("Div", per_channel(std))]
    assert load_encoder(f"onnx:{network(tmp_path / 'turned.onnx', turned)}").pixels.channels == "BGR"


def test_arithmetic_on_shapes_says_nothing_about_pixels(tmp_path):
    """The arithmetic of "same" padding was taken for a normalisation to 0..255."""
    file = network(tmp_path / "same.onnx")
    with pytest.raises(PacoError, match="Give channels, range"):
        load_encoder(f"onnx:{file}")
    assert load_encoder(f"onnx:{file}?channels=RGB&range=-1,1").pixels.value_range == (-1, 1)


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16", "UINT8", "INT32"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("shape", "channels", "batch"), [((SIDE, SIDE), 3, "n"), ((SIDE, SIDE - 2), 3, 4),
                                                          ((SIDE, SIDE), 1, 1), (("h", "w"), 3, 8)])  # fmt: skip
def test_features_are_onnxruntimes_own(kind, layout, shape, channels, batch, tmp_path):
    """Double, half, uint8, NHWC, oblong, grey and fixed batches ended in `Check the size`."""
    file = network(
        tmp_path / "own.onnx", kind=kind, layout=layout, shape=shape, channels=channels, batch=batch
    )
    size = f"&size={SIDE}" if shape[0] == "h" else ""
    encoder = load_encoder(f"onnx:{file}?channels=RGB&range=0,255{size}")
    assert encoder.pixels.size == SIDE and layout in encoder.facts["input"]
    images = torch.randint(0, 256, (5, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).float()
    found = encoder.tokens(images, ["out"])["out"].patches[:, 0].numpy()
    pictures = images.numpy()
    if shape == (SIDE, SIDE - 2):
        pictures = pictures[..., 1:-1]
    if channels == 1:
        pictures = np.einsum("nchw,c->nhw", pictures, [0.299, 0.587, 0.114])[:, None]
    if kind in ("UINT8", "INT32"):
        pictures = pictures.round()
    if layout == "NHWC":
        pictures = pictures.transpose(0, 2, 3, 1)
    names = {
        "FLOAT": np.float32,
        "DOUBLE": np.float64,
        "FLOAT16": np.float16,
        "UINT8": np.uint8,
        "INT32": np.int32,
    }
    session = onnxruntime.InferenceSession(str(file))
    fixed = batch if isinstance(batch, int) else 5
    given = [np.stack([picture] * fixed) for picture in pictures.astype(names[kind])]
    expected = [session.run(None, {"picture": batch_of_one})[0][0] for batch_of_one in given]
    np.testing.assert_allclose(found, np.stack(expected), rtol=2e-4, atol=0.05)


def test_whole_numbers_take_bytes_and_nothing_else(tmp_path):
    file = network(tmp_path / "own.onnx", kind="UINT8")
    assert load_encoder(f"onnx:{file}?channels=RGB").pixels.value_range == (0, 255)
    with pytest.raises(PacoError, match="takes whole numbers"):
        load_encoder(f"onnx:{file}?channels=RGB&range=-1,1")


class Traced(nn.Module):
    """An embedding of pictures of one type, layout and number."""

    def __init__(self, dtype, layout, channels):
        super().__init__()
        self.layout, self.dtype = layout, dtype
        self.conv = nn.Conv2d(channels, 4, SIDE)
        if dtype != torch.uint8:
            self.to(dtype)

    def forward(self, pictures):
        if self.layout == "NHWC":
            pictures = pictures.permute(0, 3, 1, 2)
        if self.dtype == torch.uint8:
            assert pictures.dtype == torch.uint8
            pictures = torch.bitwise_and(pictures, 255).float()  # floats have no bits
        return self.conv(pictures).flatten(1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("dtype", "layout", "channels", "baked"), [
    (torch.float64, "NCHW", 3, False), (torch.float32, "NHWC", 3, False), (torch.uint8, "NHWC", 3, False),
    (torch.float32, "NCHW", 1, False), (torch.float32, "NCHW", 3, True),
])  # fmt: skip
def test_torchscript_is_tried_for_what_it_takes(dtype, layout, channels, baked, tmp_path):
    model = Traced(dtype, layout, channels).eval()
    shape = (4, SIDE, SIDE, channels) if layout == "NHWC" else (4, channels, SIDE, SIDE)
    example = torch.zeros(shape, dtype=dtype)
    if baked:
        forward = model.forward
        model.forward = lambda pictures: forward(pictures).view(4, 4) * torch.arange(1.0, 5)[None]
        script = torch.jit.trace_module(model, {"forward": example})
    else:
        script = torch.jit.trace(model, example)
    script.save(str(tmp_path / "script.pt"))
    encoder = load_encoder(
        f"torchscript:{tmp_path / 'script.pt'}?size={SIDE}&channels=RGB&range=0,255", trust=True
    )
    assert layout in encoder.facts["input"] and str(dtype).removeprefix("torch.") in encoder.facts["input"]
    images = torch.randint(0, 256, (4, 3, SIDE, SIDE)).float()
    given = (
        images
        if channels == 3
        else (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, True)
    )
    given = (given.permute(0, 2, 3, 1) if layout == "NHWC" else given).to(dtype)
    expected = script(given).float().detach()
    torch.testing.assert_close(
        encoder.tokens(images, ["out"])["out"].patches[:, 0], expected, rtol=1e-4, atol=1e-2
    )
    short = encoder.tokens(images[:3], ["out"])["out"].patches[:, 0]
    torch.testing.assert_close(short, expected[:3], rtol=1e-4, atol=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_an_export_of_a_network_with_same_padding(tmp_path):
    """timm's tf_* networks carry arithmetic of padding before their first convolution."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model("tf_mobilenetv3_small_minimal_100", num_classes=0).eval()
    file = io.BytesIO()
    export = partial(torch.onnx.export, dynamo=False, input_names=["picture"], opset_version=17)
    try:
        export(model, torch.zeros(1, 3, 64, 64), file, dynamic_axes={"picture": {0: "n", 2: "h", 3: "w"}})  # fmt: skip
    except Exception as error:
        pytest.skip(f"this torch exports no such network ({type(error).__name__})")
    (tmp_path / "tf.onnx").write_bytes(file.getvalue())
    encoder = load_encoder(f"onnx:{tmp_path / 'tf.onnx'}?size=64&channels=RGB&range=-1,1")
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    expected = onnxruntime.InferenceSession(file.getvalue()).run(None, {"picture": images.numpy()})[0]
    found = encoder.tokens(images, ["out"])["out"].patches[:, 0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(found, model(images), rtol=1e-3, atol=1e-3)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    for name, scale, stated, channels, high in (
        ("imagenet", lambda x: (x - MEAN) / STD, "", "RGB", 1.0),
        ("div add", lambda x: x / 127.5 + (-1.0), "?channels=RGB", "RGB", 255.0),
        ("turned", lambda x: (x.flip(1) - 255 * MEAN) / (255 * STD), "", "BGR", 255.0),
    ):
        file = io.BytesIO()
        export(nn.Sequential(Scaled(scale), model), torch.zeros(2, 3, 64, 64), file)
        (tmp_path / f"{name}.onnx").write_bytes(file.getvalue())
        encoder = load_encoder(f"onnx:{tmp_path / name}.onnx{stated}")
        assert (encoder.pixels.value_range, encoder.pixels.channels) == ((0.0, high), channels), name
        shown = pictures[..., ::-1] if channels == "BGR" else pictures
        fed = np.ascontiguousarray(shown.transpose(0, 3, 1, 2), np.float32) * np.float32(high / 255)
        expected = onnxruntime.InferenceSession(file.getvalue()).run(None, {"picture": fed})[0]
        found = encoder.tokens(prepare(pictures, encoder.pixels), ["out"])["out"].patches[:, 0]
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-3)


MEAN, STD = (torch.tensor(np.asarray(values, np.float32)).reshape(1, 3, 1, 1) for values in IMAGENET)


class Scaled(nn.Module):
    """Normalises inside."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale(x)
