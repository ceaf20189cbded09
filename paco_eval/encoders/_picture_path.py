"""What an ONNX graph does to the picture before its first layer, read off the graph.

Only the picture's own path counts: from the graph's input along the values that hold its pixels, through padding,
casts and changes of layout, up to the first convolution or product. Constants on that path say in which range the
file takes pixels; arithmetic on shapes beside it ("same" padding of exports) says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

PASSING = (
    "Cast", "Identity", "Transpose", "Pad", "Reshape", "Squeeze", "Unsqueeze", "Resize", "Dropout", "QuantizeLinear",
    "DequantizeLinear", "Clip", "DynamicQuantizeLinear",
)  # fmt: skip
"""Operations that keep the values of pixels as they are."""
FOLDED: dict[str, Callable[..., Vector]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Neg": np.negative, "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
}  # fmt: skip
"""Operations on constants that exporters leave to whoever runs the file."""
LAYERS = ("Conv", "MatMul", "Gemm", "ConvInteger", "QLinearConv", "FusedConv")
ASIDE = ("Shape", "Size")
RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
"""Ranges that files take pixels in."""
SPREAD = (0.9, 6.0)
"""Distances between black and white that networks are fed with, from [0, 1] to ImageNet's deviations."""
OFF = 0.55
"""How far the middle grey may lie from zero, as a share of that distance: [0, 1] itself lies half of it away."""
MEANS = {"ImageNet": (0.485, 0.456, 0.406), "CLIP": (0.48145466, 0.4578275, 0.40821073)}
"""Mean colours, red first, whose order tells the order of channels."""


@dataclass(frozen=True)
class Path:
    """What happens to a pixel x of each channel: ``gain * x + shift``.

    Attributes:
        gain: (C,) or (1,).
        shift: (C,) or (1,).
        nodes: names of the operations that did it, in their order.
        turned: whether the order of channels is reversed on the way.
        rows_first: whether a transposition says that the input is N x H x W x C; None where nothing does.

    """

    gain: Vector
    shift: Vector
    nodes: tuple[str, ...] = ()
    turned: bool = False
    rows_first: bool | None = None

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The range of pixels under which the first layer is fed as networks are; None where nothing tells."""
        if not self.nodes:
            return None
        best: tuple[float, tuple[float, float]] | None = None
        for low, high in RANGES:
            spread = np.abs(self.gain) * (high - low)
            off = float((np.abs(self.gain * (low + high) / 2 + self.shift) / np.maximum(spread, 1e-12)).max())
            fits = SPREAD[0] <= spread.min() and spread.max() <= SPREAD[1] and off <= OFF
            if fits and (best is None or off < best[0]):
                best = off, (low, high)
        return best[1] if best else None

    @property
    def channels(self) -> str | None:
        """RGB or BGR where the constants are a known mean colour in that order."""
        if self.value_range is None or len(self.shift) != 3:
            return None
        low, high = self.value_range
        mean = (-self.shift / self.gain - low) / (high - low)
        for known in MEANS.values():
            for order, colour in (("RGB", known), ("BGR", known[::-1])):
                if np.abs(mean - colour).max() < 0.01:
                    return order if not self.turned else order[::-1]
        return None


def follow(graph: Any, picture: str) -> Path:
    """Return what a graph does to its input ``picture`` before the first layer."""
    from onnx import numpy_helper

    dimensions = next(
        (list(one.type.tensor_type.shape.dim) for one in graph.input if one.name == picture), []
    )
    sides = [side.dim_value for side in dimensions]
    last = len(sides) == 4 and sides[3] in (1, 3) and sides[1] not in (1, 3)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}

    def constant(name: str, depth: int = 8) -> Vector | None:
        """Return the value of a name if it does not depend on the picture."""
        if name in constants:
            return np.asarray(numpy_helper.to_array(constants[name]), np.float64)
        node = made.get(name)
        if node is None or not depth:
            return None
        if node.op_type == "Constant":
            given = {entry.name: entry for entry in node.attribute}
            if "value" in given:
                return np.asarray(numpy_helper.to_array(given["value"].t), np.float64)
            return np.asarray(given["value_float"].f, np.float64) if "value_float" in given else None
        if node.op_type in ("Identity", "Cast"):
            return constant(node.input[0], depth - 1)
        if node.op_type in ("Unsqueeze", "Reshape", "Squeeze"):  # constants stay in the order of channels
            value = constant(node.input[0], depth - 1)
            return None if value is None else value.reshape(-1)
        if node.op_type in FOLDED:
            parts = [constant(each, depth - 1) for each in node.input]
            if any(part is None for part in parts):
                return None
            try:
                with np.errstate(all="ignore"):
                    return FOLDED[node.op_type](*parts)
            except (TypeError, ValueError):  # more parts than it takes, or of shapes that do not fit
                return None
        return None

    path, value = Path(np.ones(1), np.zeros(1), rows_first=True if last else None), picture
    axis = 3 if last else 1
    for _ in range(len(graph.node)):
        after = [node for node in graph.node if value in node.input and node.op_type not in ASIDE]
        if len(after) != 1 or after[0].op_type in LAYERS:
            break
        node = after[0]
        step = _step(node, value, constant, path, axis)
        if step is None:
            break
        if node.op_type == "Transpose":
            axis = 1 if step.rows_first else axis
        path, value = step, node.output[0]
    return path


def _reverses(node: Any, constant: Any, axis: int) -> bool:
    """Say whether a Slice turns the whole axis of channels round."""
    parts = [constant(name) if name else None for name in node.input[1:]]
    given = [part for part in parts if part is not None and part.size == 1]
    if len(parts) != 4 or len(given) != 4:
        return False
    start, end, along, step = (float(part.reshape(-1)[0]) for part in given)
    return step == -1 and along in (axis, axis - 4) and start in (-1, 2) and end < -3


def _step(node: Any, value: str, constant: Any, path: Path, axis: int) -> Path | None:
    """Return the path after one more operation, None where it can be followed no further."""
    kind, given = node.op_type, {entry.name: entry for entry in node.attribute}
    gain, shift, nodes, turned, rows_first = path.gain, path.shift, path.nodes, path.turned, path.rows_first
    if kind in PASSING:
        order = list(given["perm"].ints) if "perm" in given else []
        return Path(gain, shift, nodes, turned, True if order == [0, 3, 1, 2] else rows_first)
    if kind in ("Gather", "Slice"):
        indices = constant(node.input[1])
        if kind == "Slice" and not _reverses(node, constant, axis):
            return None
        if kind == "Gather" and (indices is None or indices.reshape(-1).tolist() != [2, 1, 0]):
            return None
        return Path(gain[::-1], shift[::-1], nodes, not turned, rows_first)
    if kind == "BatchNormalization":
        parts = [constant(name) for name in node.input[1:5]]
        if any(part is None for part in parts):
            return None
        weight, bias, mean, variance = parts
        scale = weight / np.sqrt(variance + (given["epsilon"].f if "epsilon" in given else 1e-5))
        return Path(gain * scale, shift * scale + bias - mean * scale, (*nodes, kind), turned, rows_first)
    if kind not in ("Add", "Sub", "Mul", "Div"):
        return None
    first = node.input[0] == value
    other = constant(node.input[1] if first else node.input[0])
    if other is None or other.size not in (1, 3) or (kind == "Div" and (not first or not other.all())):
        return None
    other, nodes = other.reshape(-1), (*nodes, kind)
    if kind in ("Mul", "Div"):
        factor = other if kind == "Mul" else 1 / other
        return Path(gain * factor, shift * factor, nodes, turned, rows_first)
    sign = -1.0 if kind == "Sub" else 1.0
    if kind == "Sub" and not first:  # constant - picture
        return Path(-gain, other - shift, nodes, turned, rows_first)
    return Path(gain + np.zeros_like(other), shift + sign * other, nodes, turned, rows_first)
