"""Networks for onnxruntime: face recognisers as they are distributed, and our own exports.

How insightface feeds its recognisers (python-package, ``arcface_onnx.py``): RGB of 112 x 112 aligned to the
ArcFace template, (value - 127.5) / 127.5; files converted from MXNet subtract and scale by themselves and
take 0..255. Of other files, type, layout, size and batch are read from the input, and the range from the constants on the
picture's own path (:mod:`paco_eval.encoders._picture_path`); the rest is stated in the name, and what is stated wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._feed import Feed
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders._options import PIXELS, crop_option, pixel_contract, split_options, stated
from paco_eval.encoders._picture_path import Path as Path_
from paco_eval.encoders._picture_path import follow
from paco_eval.encoders._weights import beside, files_hash
from paco_fr.contracts import CROPS, PixelContract
from paco_fr.utils.errors import PacoError, one_line, quoted
from paco_fr.utils.untrusted import parse_json, shaped

TYPES = {
    "tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16,
    "tensor(uint8)": torch.uint8, "tensor(int32)": torch.int32, "tensor(int64)": torch.int64,
}  # fmt: skip
"""Types of pictures that onnxruntime names."""
ARCFACE = PixelContract(
    112, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), value_range=(-1.0, 1.0), interpolation="bilinear"
)
RECOGNISERS = ("w600k_r50", "w600k_mbf", "glintr100")
"""File names of insightface's model packs (buffalo_l, buffalo_s, antelopev2) that recognise."""
OTHERS = {
    "det_": "a face detector", "scrfd": "a face detector", "retinaface": "a face detector",
    "2d106det": "a landmark network", "1k3d68": "a landmark network", "genderage": "an age and gender network",
    "inswapper": "a face swapper",
}  # fmt: skip
"""Beginnings of file names in the same packs that do something else."""


def load(name: str) -> FunctionEncoder:
    """Return ``onnx:FILE[?crop=NAME&size=S&channels=RGB|BGR&range=LOW,HIGH&mean=R,G,B&std=R,G,B]``."""
    file, options = split_options(name, (*PIXELS, "crop"))
    path = Path(file)
    other = next((what for start, what in OTHERS.items() if path.name.startswith(start)), None)
    if other is not None:
        raise PacoError(f"{file} is {other}, not an encoder. Of that pack, take {', '.join(RECOGNISERS)}.")
    if not path.is_file():
        raise PacoError(f"No ONNX file {path}.")
    outside = tensor_files(path)
    onnx, session = _open(path)
    graph = onnx.graph
    picture = _input(session, file)
    found = follow(graph, picture.name)
    feed = _feed(picture, found, file)
    known, crop = _known(onnx, path)
    ours = known is not None and crop is None  # our own export says all of it
    read = known if ours else _by_graph(name, found, feed, known, options)
    pixels = pixel_contract(name, options, read)
    feed.check(name, pixels)
    facts = {"objective": "unknown", "pixels_checked": _checked(name, pixels, found), "stated": stated(options),
             "input": str(feed)}  # fmt: skip
    return FunctionEncoder(
        name,
        feed.through(_network(session, picture.name), pixels.channels),
        pixels,
        weight_hash=files_hash(path, *outside),
        parameters=sum(int(np.prod(weights.dims)) for weights in graph.initializer),
        required_crop=crop_option(options, crop),
        facts=facts,
    )


def _checked(name: str, pixels: PixelContract, found: Path_) -> str:
    """Return what is known of the contract; what the user states wins over what the file looks made for."""
    own = found.value_range
    if own is None:
        return check_contract(name, pixels)
    scales = ", ".join(found.nodes)
    if own == pixels.value_range:
        return f"takes {own[0]:g}..{own[1]:g} by its first nodes ({scales})"
    low, high = pixels.value_range
    return f"stated {low:g}..{high:g}; its first nodes ({scales}) look made for {own[0]:g}..{own[1]:g}"


def _input(session: Any, file: str) -> Any:
    """Return the only input of a session."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        listed = ", ".join(f"{quoted(one.name)} of {one.shape}" for one in inputs[:3])
        raise PacoError(f"{file} takes {listed}; an encoder takes one batch of pictures, four dimensions.")
    if inputs[0].type not in TYPES:
        raise PacoError(f"{file} takes {inputs[0].type}, not pictures of {', '.join(TYPES)}.")
    return inputs[0]


def _feed(picture: Any, found: Path_, file: str) -> Feed:
    """Return how the input wants its pictures: what is fixed in the file is read from it."""
    batch, *rest = (length if isinstance(length, int) and length > 0 else None for length in picture.shape)
    last = rest[2] in (1, 3) and rest[0] not in (1, 3)
    rows_first = last or (found.rows_first is True and rest[0] not in (1, 3))
    height, width, channels = rest if rows_first else (rest[1], rest[2], rest[0])
    if channels not in (None, 1, 3):
        raise PacoError(
            f"{file} takes pictures of {channels} channels; of 1 and of 3 there are pictures here."
        )
    if height is None or width is None:
        height = width = height or width
    layout: Literal["NCHW", "NHWC"] = "NHWC" if rows_first else "NCHW"
    return Feed(TYPES[picture.type], layout, height, width, channels or 3, batch)


def _by_graph(
    name: str, found: Path_, feed: Feed, known: PixelContract | None, options: Mapping[str, str]
) -> PixelContract:
    """Return the contract as far as file name and graph tell it; what neither tells must be stated."""
    value_range = found.value_range or (None if feed.dtype.is_floating_point else (0.0, 255.0))
    value_range = value_range or (known.value_range if known else None)
    channels = known.channels if known else found.channels or ("RGB" if feed.channels == 1 else None)
    size = feed.side or (known.size if known else None)
    own = (("size", size), ("channels", channels), ("range", value_range))
    lacking = [key for key, value in own if value is None and key not in options]
    if lacking:
        raise PacoError(
            f"{name}: neither the file nor its name tells how to prepare its pictures. Give {', '.join(lacking)}, for example "
            f"{name.partition('?')[0]}?channels=RGB&range=-1,1."
        )
    interpolation = known.interpolation if known else "bicubic"
    return PixelContract(
        size or 1,
        (0.0,) * 3,
        (1.0,) * 3,
        "BGR" if channels == "BGR" else "RGB",
        value_range or (0.0, 1.0),
        interpolation,
    )


@contextmanager
def _needing() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise PacoError(f"onnx: encoders need {error.name}: pip install 'paco-eval[onnx]'.") from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # protobuf and onnxruntime raise classes of their own
        raise PacoError(f"{path} cannot be read as ONNX: {one_line(error)}") from error


def _open(path: Path) -> tuple[Any, Any]:
    with _needing():
        import onnx
        import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 4  # what it cannot do it raises, and that is told in a line
    wanted = ["CUDAExecutionProvider"] if PartialState().device.type == "cuda" else []
    providers = [
        name for name in (*wanted, "CPUExecutionProvider") if name in onnxruntime.get_available_providers()
    ]
    with _reading(path):
        session = onnxruntime.InferenceSession(str(path), settings, providers=providers, enable_fallback=0)
        return onnx.load(str(path)), session


def tensor_files(path: Path) -> list[Path]:
    """Return the files beside an ONNX file that hold tensors of it, wherever in the graph those are.

    Raises:
        PacoError: one leads out of the folder, is missing, or is too short for what lies in it.

    """
    with _needing():
        import onnx
    with _reading(path):
        model = onnx.load(str(path), load_external_data=False)
    found: dict[Path, int] = {}
    for tensor in _tensors([model.graph, *model.functions]):
        said = {entry.key: entry.value for entry in tensor.external_data}
        if tensor.data_location != onnx.TensorProto.EXTERNAL and not said:
            continue
        part = beside(path, said.get("location", ""))
        try:
            end = int(said.get("offset", 0)) + int(said.get("length", 0))
        except ValueError as error:
            raise PacoError(f"{path}: {quoted(tensor.name)} lies at no place in {part.name}.") from error
        found[part] = max(found.get(part, 0), end)
    for part, end in found.items():
        if part.stat().st_size < end:
            raise PacoError(
                f"{part} has {part.stat().st_size} bytes, {path.name} needs {end}. Copy it again."
            )
    return sorted(found)


def _tensors(graphs: Iterable[Any]) -> Iterator[Any]:
    """Yield every tensor of graphs and functions: kept ones, and those in nodes and in graphs of nodes."""
    for graph in graphs:
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        yield from getattr(graph, "initializer", ())
        for node in graph.node:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)
                inner = [attribute.g] if attribute.HasField("g") else []
                yield from _tensors([*inner, *attribute.graphs])


def _known(model: Any, path: Path) -> tuple[PixelContract | None, Any]:
    """Return pixel contract and crop where our own export or the file's name tells them."""
    stated = {entry.key: entry.value for entry in model.metadata_props}
    if "pixels" in stated:
        where = f"{path}, metadata 'pixels'"
        values = parse_json(stated["pixels"], where, "Export it again.")
        return shaped(PixelContract, values, where, "Export it again."), None
    return (ARCFACE, CROPS["arcface"]) if path.stem in RECOGNISERS else (None, None)


def _network(session: Any, picture: str) -> Callable[[Tensor], Tensor]:
    """Return the session's first output for pictures as it takes them."""

    def run(pictures: Tensor) -> Tensor:
        found = session.run(None, {picture: pictures.cpu().numpy()})[0]
        return torch.from_numpy(np.asarray(found, np.float32))

    return run
