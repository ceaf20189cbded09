"""One forward pass, in the asked precision and in batches that the device can hold; what it costs, and pictures to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from paco_fr.contracts import Encoder, Tokens
from paco_fr.utils.errors import PacoError, no_exit, unknown_name
from paco_fr.utils.random import generator

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Of the matrix products in a forward pass; features are stored as float32 in any case."""


def precision_of(encoder: Encoder) -> str:
    """Return the name of the precision in which an encoder runs."""
    return str(getattr(encoder, "precision", "float32"))


def probe_hash(encoder: Encoder) -> str:
    """Return the hash of all that an identified encoder told of the probe, empty of others."""
    return str(getattr(getattr(encoder, "identity", None), "fine", ""))


def set_up(encoder: Encoder, precision: str = "float32") -> Encoder:
    """Return the encoder, told to run in a precision; its weights stay as they are, encoders without any run as they are.

    Raises:
        PacoError: unknown precision, or a network that runs outside torch (ONNX).

    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if encoder.parameters:
        if precision != "float32" and not isinstance(getattr(encoder, "model", None), nn.Module):
            raise PacoError(f"{encoder.name} runs as its file is; leave --precision out.")
        encoder.precision = precision  # type: ignore[attr-defined]
    return encoder


@dataclass
class Forward:
    """Runs an encoder on batches, in parts of at most ``limit`` pictures once the device ran out of memory.

    Attributes:
        limit: pictures at once; halved each time that memory does not suffice.
        shapes: of each block's outputs for one picture, as seen first.

    """

    encoder: Encoder
    limit: int
    shapes: dict[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)

    def __call__(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return the tokens of the asked blocks for prepared pictures (B, 3, S, S).

        Raises:
            PacoError: a single picture is too much for the device.

        """
        while True:
            try:
                starts = range(0, len(images), self.limit)
                parts = [self._run(images[at : at + self.limit], blocks) for at in starts]
                return parts[0] if len(parts) == 1 else _joined(parts, blocks)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
            if self.limit == 1:
                raise PacoError(
                    f"{self.encoder.name}: one picture of {images.shape[-1]} pixels does not fit in memory."
                )
            self.limit = max(1, min(self.limit, len(images)) // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _run(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        with no_exit(self.encoder.name), torch.no_grad(), _cast(precision_of(self.encoder)):
            found = self.encoder.tokens(images, blocks)
        self._check(found, len(images), blocks)
        return found

    def _as_probed(self, block: str, own: tuple[tuple[int, ...], ...]) -> None:
        """Refuse outputs of other shapes than the probe of an identified encoder found."""
        probed = getattr(getattr(self.encoder, "identity", None), "shapes", ())
        told = [
            f"block {block} {name} {shape}" for name, shape in zip(("patches", "global"), own, strict=False)
        ]
        if probed and not set(told) <= set(probed):
            raise PacoError(
                f"{self.encoder.name}: block {block} gives {own} for a picture, on the probe others."
            )

    def _check(self, found: Mapping[str, Tokens], count: int, blocks: Sequence[str]) -> None:
        """Refuse outputs that are not those of ``count`` pictures, or of another width than before."""
        for block in blocks:
            tokens = found.get(block) if isinstance(found, Mapping) else None
            if not isinstance(tokens, Tokens):
                raise PacoError(f"{self.encoder.name}: tokens() gives none for block {block}.")
            shapes = [tuple(tokens.patches.shape)]
            shapes += [tuple(tokens.pooled.shape)] if tokens.pooled is not None else []
            for shape, rank in zip(shapes, (3, 2), strict=False):
                if len(shape) != rank or shape[0] != count:
                    wanted = f"({count}, N, D)" if rank == 3 else f"({count}, D)"
                    raise PacoError(
                        f"{self.encoder.name}: block {block} gives {shape} for {count} pictures, expected {wanted}."
                    )
            own = tuple(shape[1:] for shape in shapes)
            if block not in self.shapes:
                self._as_probed(block, own)
            if self.shapes.setdefault(block, own) != own:
                raise PacoError(
                    f"{self.encoder.name}: block {block} gives {own} for a picture, {self.shapes[block]} before."
                )


def _cast(precision: str) -> AbstractContextManager[object]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(PartialState().device.type, dtype=PRECISIONS[precision])


def _out_of_memory(error: BaseException) -> bool:
    """Say whether an error means too little memory; the CPU allocator raises a plain RuntimeError."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _joined(parts: Sequence[Mapping[str, Tokens]], blocks: Sequence[str]) -> dict[str, Tokens]:
    found = {}
    for block in blocks:
        pooled = [part[block].pooled for part in parts]
        known = [token for token in pooled if token is not None]
        found[block] = Tokens(
            torch.cat([part[block].patches for part in parts]), torch.cat(known) if known else None
        )
    return found


def flops_of(encoder: Encoder) -> float:
    """Return the floating point operations for the tokens of one picture, all blocks included.

    Counted by PyTorch over matrix products, convolutions and attention; a multiply-add is two. Normalisation,
    activations and what an encoder does outside PyTorch are not counted, so raw pixels cost nothing. Attention runs
    as plain products here: which fused kernels are counted differs between processors and versions of PyTorch. An
    encoder may know its own: attribute ``flops``.
    """
    if (known := getattr(encoder, "flops", None)) is not None:
        return float(known)
    from torch.utils.flop_counter import FlopCounterMode  # brings a compiler along

    picture = torch.zeros(1, 3, encoder.pixels.size, encoder.pixels.size)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            encoder.tokens(picture, encoder.blocks)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return float(counter.get_total_flops())


def reference_pictures(size: int, count: int) -> npt.NDArray[np.uint8]:
    """Return smooth pictures (count, size, size, 3), uint8 RGB, in the colours of skin; always the same."""
    pictures = []
    for number in range(count):
        rng = generator("reference picture", number)
        coarse = (
            np.array([190, 150, 125]) + 40 * rng.normal(size=(6, 6, 1)) + 15 * rng.normal(size=(6, 6, 3))
        ).clip(0, 255)
        pictures.append(
            np.asarray(
                Image.fromarray(coarse.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
            )
        )
    return np.stack(pictures)
