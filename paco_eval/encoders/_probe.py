"""The probe: eight pictures that are drawn here, what an encoder makes of them, and what makes its features unfit.

They are shown at the encoder's own pixel contract and in float32, together twice and picture by picture, so that what
depends on chance or on the batch is found; chance that torch draws comes from one seed. Every output that is declared
(patch and global tokens of every block) is told in a few numbers: two sums with random signs for each picture, over
the output's root mean square, and the logarithm of that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paco_fr.contracts import Tokens, content_hash
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError, in_a_line, no_exit
from paco_fr.utils.random import generator

NOISE = 2e-3
"""Numbers of one network differ by less: float32 on two machines by 1e-5, with TF32 by 1e-3."""
SIGNS = 2
"""Sums of an output for each picture."""
PHOTOGRAPHS = 6
"""Of the eight pictures those that are not of one colour."""
BY_CHANCE, BY_BATCH = 1e-4, 1e-2
"""Shares of an output's size by which it may differ when it is computed again, and in another batch."""
SAME = 1e-5
"""Share of an output's size by which all pictures differ less where the output does not depend on them."""
GO_ON = "call eval(), or go on with --allow-random (allow_random=True), and rows will say so"


@dataclass(frozen=True)
class Identity:
    """What the probe told of an encoder.

    Attributes:
        weight_hash: of the network, see :mod:`paco_eval.encoders._identity`.
        stated: hash that the encoder states: of its tensors, or of its file.
        structure: hash of the settings of torch's own modules in it, as far as they can be seen.
        shapes: of each output of one picture.
        numbers: of all outputs.
        problems: what makes its features unfit, in words.
        chance: what makes them depend on chance or on the batch.
        constant: blocks whose features do not depend on the picture.
        error: that the encoder raised on the probe.

    """

    weight_hash: str
    stated: str = ""
    structure: str = ""
    shapes: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    chance: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    error: Exception | None = None

    @cached_property
    def fine(self) -> str:
        """Hash of all that the probe told, for what is only kept to spare work: noise makes it anew."""
        return content_hash([self.structure, self.shapes, classes(self.numbers, NOISE)])


def classes(numbers: Sequence[float], width: float) -> list[int]:
    """Return the class of each number, of a width."""
    found: list[int] = np.rint(np.array(numbers) / width).astype(int).tolist()
    return found


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


def probed(encoder: Any) -> Identity:
    """Return what an encoder makes of the probe, under the hash that it states."""
    images = prepare(probe_pictures(encoder.pixels.size), encoder.pixels)
    blocks, nothing = list(encoder.blocks), Identity(str(encoder.weight_hash), str(encoder.weight_hash))
    try:
        with _one_seed(), torch.no_grad(), _plain_floats(), no_exit("tokens()"):
            each = [_outputs(encoder, images[at : at + 1].clone(), blocks) for at in range(len(images))]
            alone = {name: torch.cat([one[name] for one in each if name in one]) for name in each[0]}
            shown = images.clone()
            try:
                first, again = _outputs(encoder, shown, blocks), _outputs(encoder, images.clone(), blocks)
            except (torch.OutOfMemoryError, MemoryError):
                first = again = alone
            asked: dict[str, torch.Tensor] = {}  # block by block
            for block in blocks if len(blocks) > 1 else ():
                asked |= _outputs(encoder, images[:1].clone(), [block])
    except UnfitError as error:
        return replace(nothing, problems=(str(error),))
    except Exception as error:  # whatever someone else's encoder raises
        return replace(nothing, problems=(in_a_line(error),), error=error)
    problems, chance, constant, numbers, shapes = [], [], [], [], []
    if not torch.equal(shown, images):
        problems.append("tokens() writes to the pictures that it is given")
    for name, output in first.items():
        values, size = _doubles(output), float(_doubles(output).square().mean().sqrt()) + 1e-12
        single = alone.get(name, output[:0])
        if again.get(name, output).shape != output.shape or single.shape != output.shape:
            problems.append(
                f"{name}: {tuple(single.shape)} picture by picture, {tuple(output.shape)} together"
            )
            continue
        finite = torch.isfinite(output[:PHOTOGRAPHS]).flatten(1).all(1)
        if not finite.all():
            problems.append(f"{name} are not finite for {int((~finite).sum())} of {PHOTOGRAPHS} pictures")
        elif _most(again[name], output) > BY_CHANCE * size:
            chance.append(
                f"{name}: the same pictures give other tokens the second time, as with dropout; {GO_ON}"
            )
        elif _most(single, output) > BY_BATCH * size:
            chance.append(f"{name}: a picture alone gives other tokens than in a batch, as with batch norm in "
                          f"training mode; {GO_ON}")  # fmt: skip
        elif name in asked and _most(asked[name], output[:1]) > BY_BATCH * size:
            problems.append(f"{name}: asked alone it gives other tokens than among all blocks")
        if float((values - values[:1]).abs().max()) <= SAME * size:
            constant.append(name.split()[1])
        shapes.append(f"{name} {tuple(output.shape[1:])}")
        numbers += _numbers(values, size)
    return replace(nothing, shapes=tuple(shapes), numbers=tuple(numbers), problems=tuple(problems),
                   chance=tuple(chance), constant=tuple(constant))  # fmt: skip


@contextmanager
def _one_seed() -> Iterator[None]:
    """Let chance begin alike each time, and leave the generators as they were."""
    before, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - of other people's code
    with torch.random.fork_rng():
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(numpys)  # noqa: NPY002


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
    return torch.nan_to_num(output.detach().double().cpu().flatten(1), 0.0, 0.0, 0.0)


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
