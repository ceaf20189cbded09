"""Networks for onnxruntime: face recognisers as they are distributed, and our own exports.

How insightface feeds its recognisers (python-package, ``arcface_onnx.py``): RGB of 112 x 112 aligned to the
ArcFace template, (value - 127.5) / 127.5; files converted from MXNet subtract and scale by themselves and
take 0..255. Other files say their contract in the name, see :mod:`paco_eval.encoders._options`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders._options import PIXELS, crop_option, pixel_contract, split_options
from paco_fr.contracts import CROPS, PixelContract
from paco_fr.utils.errors import PacoError, one_line
from paco_fr.utils.untrusted import parse_json, shaped

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
    onnx, session = _open(path)
    graph = onnx.graph
    known, crop = _known(onnx, path)
    pixels = pixel_contract(name, options, known)
    scales = _scales_itself(graph)
    if scales and pixels.value_range != (0.0, 255.0):
        raise PacoError(
            f"{file} subtracts and scales by itself: it takes 0..255. Add range=0,255 to its options (got "
            f"{pixels.value_range[0]:g}..{pixels.value_range[1]:g})."
        )
    checked = "takes 0..255 by its first nodes" if scales else check_contract(name, pixels)
    return FunctionEncoder(
        name,
        _function(session, file),
        pixels,
        weight_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        parameters=sum(int(np.prod(weights.dims)) for weights in graph.initializer),
        required_crop=crop_option(options, crop),
        facts={"objective": "unknown", "pixels_checked": checked},
    )


def _open(path: Path) -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise PacoError(f"onnx: encoders need {error.name}: pip install 'paco-fr[onnx]'.") from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    wanted = ["CUDAExecutionProvider"] if PartialState().device.type == "cuda" else []
    providers = [
        name for name in (*wanted, "CPUExecutionProvider") if name in onnxruntime.get_available_providers()
    ]
    try:
        return onnx.load(str(path)), onnxruntime.InferenceSession(str(path), settings, providers=providers)
    except Exception as error:  # protobuf and onnxruntime raise classes of their own
        raise PacoError(f"{path} cannot be read as ONNX: {one_line(error)}") from error


def _known(model: Any, path: Path) -> tuple[PixelContract | None, Any]:
    """Return pixel contract and crop where our own export or the file's name tells them."""
    stated = {entry.key: entry.value for entry in model.metadata_props}
    if "pixels" in stated:
        where = f"{path}, metadata 'pixels'"
        values = parse_json(stated["pixels"], where, "Export it again.")
        return shaped(PixelContract, values, where, "Export it again."), None
    return (ARCFACE, CROPS["arcface"]) if path.stem in RECOGNISERS else (None, None)


def _scales_itself(graph: Any) -> bool:
    """Say whether the picture is shifted and scaled by constants before the first convolution."""
    first = []
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            break
        first.append(node.op_type)
    return "Sub" in first and bool({"Mul", "Div"} & set(first))


def _function(session: Any, file: str) -> Callable[[Tensor], Tensor]:
    """Return the session's first output for pictures, one by one where the file fixes a batch of one."""
    feed = session.get_inputs()[0]
    batch = feed.shape[0]
    if isinstance(batch, int) and batch != 1:
        raise PacoError(
            f"{file} takes batches of exactly {batch} pictures. Export it with a free batch size."
        )
    kind = np.float16 if feed.type == "tensor(float16)" else np.float32

    def run(images: Tensor) -> Tensor:
        pictures = images.cpu().numpy().astype(kind)
        parts = np.split(pictures, len(pictures)) if batch == 1 else [pictures]
        outputs = [session.run(None, {feed.name: part})[0] for part in parts]
        return torch.from_numpy(np.concatenate(outputs).astype(np.float32))

    return run
