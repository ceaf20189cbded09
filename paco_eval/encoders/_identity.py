"""An encoder is what it computes: its identity is its tensors and its outputs on a fixed probe.

Tensors do not tell networks apart: an activation, a pooling, a stride, an epsilon or the code of ``forward`` changes
every feature and no tensor. So each encoder is shown eight pictures that are drawn here, at its own pixel contract
and in float32, and every output that it declares (patch and global tokens of every block) is told in a few numbers:
two sums with random signs for each picture, over the output's root mean square, and the logarithm of that.

**Tensors and probe are held apart**, because float noise must not rename a network. Of an encoder of this package,
whose code is named by ``adapter_version``, ``weight_hash`` stays the hash of its tensors; of code from elsewhere
(modules, ``file:``, ONNX, TorchScript, other packages) it joins what they state with the shapes of the outputs and the
numbers in coarse classes (:data:`CLASS`), which noise all but never crosses. What was seen under a hash is kept under
``PACO_CACHE``: numbers within :data:`NOISE` are the same network and get the same hash on whatever side of a class
they fall; others under the same hash are another network, which gets a hash of its own. So features, choices and rows
are shared by networks that compute the same, and by no others.

The probe is run twice, and picture by picture: what depends on chance or on the batch is found. It is shown again
only where something could have changed: for encoders that are files or built here, what it told is remembered by
tensors, structure and the versions of what computes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from torch import Tensor, nn

from paco_fr.contracts import Encoder, Tokens, content_hash
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError, in_a_line
from paco_fr.utils.files import atomic_file, cache_folder
from paco_fr.utils.random import generator
from paco_fr.utils.untrusted import read_json

VERSION = 1
"""Raised when the probe or its numbers change."""
SIGNS = 2
"""Sums of an output for each picture."""
NOISE = 5e-3
"""Numbers of one network differ by less: float32 on two machines by 1e-5, with TF32 by 1e-3."""
CLASS = 0.1
"""Width of the classes that enter a hash."""
BY_CHANCE, BY_BATCH = 1e-4, 1e-2
"""Shares of an output's size by which it may differ when it is computed again, and in another batch."""
SAME = 1e-5
"""Share of an output's size by which all pictures differ less where the output does not depend on them."""


@dataclass(frozen=True)
class Identity:
    """What the probe told of an encoder.

    Attributes:
        weight_hash: of the network.
        shapes: of each output of one picture.
        numbers: of all outputs.
        problems: what makes its features unfit, in words.
        chance: what makes them depend on chance or on the batch.
        constant: blocks whose features do not depend on the picture.
        error: that the encoder raised on the probe.

    """

    weight_hash: str
    shapes: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    chance: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    error: Exception | None = None


class Identified:
    """Someone's encoder under the hash of what it computes; all else is its own."""

    def __init__(self, inner: Any, identity: Identity) -> None:
        self.inner, self.identity, self.weight_hash = inner, identity, identity.weight_hash

    def __getattr__(self, name: str) -> Any:
        """Return what the encoder has."""
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


def probe_pictures(size: int) -> npt.NDArray[np.uint8]:
    """Return the eight pictures of the probe (8, size, size, 3), uint8 RGB."""
    line = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(line, line)

    def spot(left: float, top: float, wide: float, high: float) -> npt.NDArray[np.float64]:
        return np.exp(-(((x - left) / wide) ** 2 + ((y - top) / high) ** 2))[..., None]

    slope = np.stack([x, y, 1 - x], -1)
    noise = generator("probe noise", size).random((size, size, 3))
    checks = np.repeat(((x * 8).astype(int) + (y * 8).astype(int))[..., None] % 2, 3, -1) * [1.0, 0.8, 0.6]
    spots = (
        spot(0.3, 0.3, 0.2, 0.1) * [1, 0, 0]
        + spot(0.7, 0.4, 0.1, 0.3) * [0, 1, 0]
        + spot(0.5, 0.8, 0.3, 0.2) * [0, 0, 1]
    )
    inside = (((x - 0.5) / 0.33) ** 2 + ((y - 0.52) / 0.43) ** 2 < 1)[..., None]
    skin = np.array([0.82, 0.62, 0.52]) * (0.75 + 0.35 * spot(0.4, 0.4, 0.5, 0.6))
    eyes = spot(0.37, 0.43, 0.06, 0.035) + spot(0.63, 0.43, 0.06, 0.035)
    face = np.where(
        inside, skin * (1 - 0.85 * eyes) - spot(0.5, 0.73, 0.13, 0.03) * [0.1, 0.35, 0.35], [0.35, 0.4, 0.5]
    )
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * np.stack([3 * x, 5 * y, 4 * (x + y)], -1))
    kinds = [slope, noise, checks, spots, face, waves, np.zeros_like(noise), np.ones_like(noise)]
    return np.stack([np.rint(255 * kind.clip(0, 1)).astype(np.uint8) for kind in kinds])


@contextmanager
def no_exit(name: str) -> Iterator[None]:
    """Turn what would end the process into an error of the encoder: only the user's interruption leaves a run."""
    try:
        yield
    except SystemExit as error:
        raise PacoError(f"{name}: its code tried to end the process (exit {error.code!r}).") from error


def identified(encoder: Any, *, foreign: bool | None = None) -> Encoder:
    """Return an encoder under the hash of what it computes, with what the probe told as its ``identity``.

    Args:
        encoder: loaded; one that was identified before is returned as it is.
        foreign: whether its code is from elsewhere; by default that is seen by its class.

    """
    if "identity" in getattr(encoder, "__dict__", {}):
        return encoder  # type: ignore[no-any-return]
    kind = type(encoder)
    if foreign is None:
        foreign = not kind.__module__.startswith("paco_eval.encoders.") or kind.__name__ == "FunctionEncoder"
    found = _named(encoder, _remembered_probe(encoder), foreign)
    if not kind.__module__.startswith("paco_eval.encoders."):
        return Identified(encoder, found)
    encoder.identity, encoder.weight_hash = found, found.weight_hash
    return encoder  # type: ignore[no-any-return]


def refuse_unfit(encoder: Encoder, *, allow_random: bool = False) -> None:
    """Refuse an encoder of which no score would mean anything.

    Raises:
        PacoError: naming what is wrong with each output; or whatever the encoder raised on the probe.

    """
    identity: Identity | None = getattr(encoder, "identity", None)
    if identity is None:
        return
    if identity.error is not None:
        raise identity.error
    if told := identity.problems or (() if allow_random else identity.chance):
        raise PacoError("; ".join(told))


def notes_of(encoder: Encoder, block: str) -> dict[str, str]:
    """Return what a row says of an encoder's features beside its choice of a block."""
    identity: Identity | None = getattr(encoder, "identity", None)
    if identity is None:
        return {}
    notes = {"random": "features depend on chance or on the batch"} if identity.chance else {}
    return notes | (
        {"constant": "features do not depend on the picture"} if block in identity.constant else {}
    )


def probed(encoder: Any) -> Identity:
    """Return what an encoder makes of the probe, under the hash that it states."""
    images = prepare(probe_pictures(encoder.pixels.size), encoder.pixels)
    blocks, nothing = list(encoder.blocks), Identity(str(encoder.weight_hash))
    try:
        with torch.random.fork_rng(), torch.no_grad(), _plain_floats(), no_exit("tokens()"):
            alone = [_outputs(encoder, images[at : at + 1], blocks) for at in range(len(images))]
            try:
                first, again = (_outputs(encoder, images.clone(), blocks) for _ in range(2))
            except (torch.OutOfMemoryError, MemoryError):
                first = again = {name: torch.cat([one[name] for one in alone]) for name in alone[0]}
    except UnfitError as error:
        return replace(nothing, problems=(str(error),))
    except Exception as error:  # whatever someone else's encoder raises
        return replace(nothing, problems=(in_a_line(error),), error=error)
    problems, chance, constant, numbers, shapes = [], [], [], [], []
    for name, output in first.items():
        values, size = _doubles(output), float(_doubles(output).square().mean().sqrt()) + 1e-12
        single = torch.cat([one[name] for one in alone if name in one])
        if again.get(name, output).shape != output.shape or single.shape != output.shape:
            problems.append(
                f"{name}: {tuple(single.shape)} picture by picture, {tuple(output.shape)} together"
            )
            continue
        if _most(again[name], output) > BY_CHANCE * size:
            chance.append(
                f"{name}: the same pictures give other features the second time, as with dropout; {GO_ON}"
            )
        elif _most(single, output) > BY_BATCH * size:
            chance.append(f"{name}: a picture alone gives other features than among others, as with batch norm in "
                          f"training mode; {GO_ON}")  # fmt: skip
        if float((values - values[:1]).abs().max()) <= SAME * size:
            constant.append(name.split()[1])
        shapes.append(f"{name} {tuple(output.shape[1:])}")
        numbers += _numbers(values, size)
    return Identity(
        nothing.weight_hash, tuple(shapes), tuple(numbers), tuple(problems), tuple(chance), tuple(constant)
    )


GO_ON = "call eval(), or go on with --allow-random (allow_random=True), and rows will say so"


class UnfitError(PacoError):
    """Outputs that are no tokens of the pictures shown."""


def check_tokens(found: Any, count: int, blocks: Sequence[str]) -> None:
    """Refuse what is no tokens of ``count`` pictures: shape, rank and type of each output of each block.

    Raises:
        PacoError: naming the block and what was expected.

    """
    if not isinstance(found, Mapping) or not set(blocks) <= set(found):
        told = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise UnfitError(f"tokens() returns blocks {told} for {list(blocks)}")
    for block in blocks:
        tokens = found[block]
        if not isinstance(tokens, Tokens):
            raise UnfitError(f"block {block}: tokens() returns {type(tokens).__name__}, expected Tokens")
        outputs = {"patches": (tokens.patches, 3, "N, D"), "the global token": (tokens.pooled, 2, "D")}
        for name, (output, rank, rest) in outputs.items():
            if output is None and rank == 2:
                continue
            if not isinstance(output, Tensor) or not output.is_floating_point():
                kind = output.dtype if isinstance(output, Tensor) else type(output).__name__
                raise UnfitError(
                    f"block {block}: {name} are {kind}, expected a tensor of floating point numbers"
                )
            if output.ndim != rank or len(output) != count or 0 in output.shape:
                raise UnfitError(
                    f"block {block}: {name} are {tuple(output.shape)}, expected ({count}, {rest})"
                )


def _outputs(encoder: Any, images: Tensor, blocks: list[str]) -> dict[str, Tensor]:
    """Return every declared output of prepared pictures by a name that ends in its block."""
    found = encoder.tokens(images, blocks)
    check_tokens(found, len(images), blocks)
    outputs = {}
    for block in blocks:
        outputs[f"block {block} patches"] = found[block].patches
        if found[block].pooled is not None:
            outputs[f"block {block} global"] = found[block].pooled
    return outputs


def _doubles(output: Tensor) -> Tensor:
    return torch.nan_to_num(output.detach().double().cpu().flatten(1))


def _most(one: Tensor, other: Tensor) -> float:
    return float((_doubles(one) - _doubles(other)).abs().max())


def _numbers(values: Tensor, size: float) -> list[float]:
    """Return the numbers of an output (8, n) of a root mean square."""
    count = values.shape[1]
    signs = generator("probe signs", count).integers(0, 2, (count, SIGNS)) * 2.0 - 1
    sums = values.numpy() @ signs / (size * count**0.5)
    return [*np.round(sums, 6).ravel().tolist(), round(float(np.log(size)), 6)]


@contextmanager
def _plain_floats() -> Iterator[None]:
    """Compute convolutions and products in whole float32, whatever the GPU would rather do."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _named(encoder: Any, told: Identity, foreign: bool) -> Identity:
    """Return what the probe told under the hash of the network, see the head of this module."""
    stated = told.weight_hash
    if told.problems or told.chance:  # its numbers are nothing to hold against others
        return replace(told, weight_hash=content_hash([stated, "unfit" if told.problems else "random"]))
    shapes = list(told.shapes)
    coarse = content_hash(
        [stated, VERSION, shapes, np.rint(np.array(told.numbers) / CLASS).astype(int).tolist()]
    )
    candidates = [coarse if foreign else stated]
    candidates.append(
        content_hash([stated, VERSION, shapes, np.rint(np.array(told.numbers) / NOISE).astype(int).tolist()])
    )
    address = content_hash(
        [VERSION, stated, encoder.adapter_version, encoder.pixels.hash, list(encoder.blocks), foreign]
    )
    path = cache_folder("identities") / f"{address}.json"
    known: list[dict[str, Any]] = _read(path).get("networks", [])
    for one in known:
        if one["shapes"] == shapes and _close(one["numbers"], told.numbers):
            return replace(told, weight_hash=one["weight_hash"])
    taken = {one["weight_hash"] for one in known}
    own = next(
        candidate
        for candidate in (*candidates, content_hash([stated, shapes, told.numbers]))
        if candidate not in taken
    )
    _write(
        path, {"networks": [*known, {"weight_hash": own, "shapes": shapes, "numbers": list(told.numbers)}]}
    )
    return replace(told, weight_hash=own)


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and bool(np.all(np.abs(np.subtract(one, other)) <= NOISE))


def _remembered_probe(encoder: Any) -> Identity:
    """Return what the probe tells, from the cache where nothing can have changed since."""
    made_of = _made_of(encoder)
    if made_of is None:
        return probed(encoder)
    path = cache_folder("identities") / f"probe-{content_hash(made_of)}.json"
    with suppress(TypeError, KeyError):
        content = _read(path)["identity"]
        fields: dict[str, Any] = {
            name: value if isinstance(value, str) else tuple(value) for name, value in content.items()
        }
        return Identity(**fields)
    told = probed(encoder)
    if not told.problems:
        _write(path, {"identity": {name: value for name, value in asdict(told).items() if name != "error"}})
    return told


def _made_of(encoder: Any) -> list[Any] | None:
    """Return all that the outputs of an encoder follow from; None where that is code which nobody can read off."""
    kind = type(encoder)
    if not kind.__module__.startswith("paco_eval.encoders."):
        return None
    model = getattr(encoder, "model", None)
    if kind.__name__ == "FunctionEncoder":
        if not encoder.name.startswith(("onnx:", "torchscript:")) and encoder.name != "dlib":
            return None  # a module from Python
    elif isinstance(model, nn.Module) and not all(
        type(part).__module__.startswith(("torch.nn.", "timm.")) for part in model.modules()
    ):
        return None
    structure = [] if not isinstance(model, nn.Module) else [
        [name, f"{type(part).__module__}.{type(part).__qualname__}", _settings(part)] for name, part in model.named_modules()
    ]  # fmt: skip
    hooked = model is not None and any(
        part._forward_hooks or "forward" in vars(part) for part in model.modules()
    )
    return None if hooked else [
        VERSION, kind.__qualname__, encoder.weight_hash, encoder.adapter_version, encoder.pixels.hash,
        list(encoder.blocks), structure, str(PartialState().device.type),
        [_version(name) for name in ("torch", "timm", "onnxruntime")],
    ]  # fmt: skip


def _settings(part: nn.Module) -> list[str]:
    """Return the plain settings of a module, which are no tensors."""
    plain = (bool, int, float, str, type(None))
    found = []
    for name, value in sorted(vars(part).items()):
        if isinstance(value, plain) or (
            isinstance(value, tuple) and all(isinstance(one, plain) for one in value)
        ):
            found.append(f"{name}={value!r}")
        elif callable(value) and not isinstance(value, nn.Module):
            found.append(f"{name}={getattr(value, '__qualname__', type(value).__qualname__)}")
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _read(path: Any) -> dict[str, Any]:
    """Return what lies in a file of the cache, nothing where that is not whole."""
    with suppress(PacoError, OSError, ValueError, TypeError, KeyError):
        content = read_json(path)
        if content["sum"] == _sum(content["content"]):
            found: dict[str, Any] = content["content"]
            return found
    return {}


def _write(path: Any, content: dict[str, Any]) -> None:
    with suppress(OSError), atomic_file(path) as temporary:  # what is not kept is found again
        temporary.write_text(json.dumps({"sum": _sum(content), "content": content}), encoding="utf-8")


def _sum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
