"""Any function from prepared pictures to features as an encoder: plain modules, ONNX sessions, TorchScript."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from paco_fr.contracts import CropContract, PixelContract, Tokens
from paco_fr.utils.errors import PacoError, one_line


@dataclass
class FunctionEncoder:
    """An encoder with one block, ``out``. See :class:`paco_fr.contracts.Encoder`.

    The output of ``function`` tells what it is: (B, D) an embedding, taken as it stands; (B, C, H, W) a
    map of H x W tokens; (B, N, D) tokens, with a class token first where N is one more than a square.

    Attributes:
        function: prepared pictures (B, 3, S, S) to features.

    """

    name: str
    function: Callable[[Tensor], Tensor]
    pixels: PixelContract
    weight_hash: str
    parameters: int
    required_crop: CropContract | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    adapter_version: int = 1
    blocks: Sequence[str] = ("out",)
    default_block: str = "out"

    def __post_init__(self) -> None:
        """Look at the shape of two grey pictures' features to know what can be offered."""
        found = self.tokens(torch.zeros(2, 3, self.pixels.size, self.pixels.size), self.blocks)["out"]
        self.reductions: Sequence[str] = _reductions(found)

    @torch.inference_mode()
    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return the tokens of the only block.

        Raises:
            PacoError: the function does not take such pictures, or gives no features.

        """
        try:
            found = self.function(images)
        except (torch.OutOfMemoryError, MemoryError):
            raise  # the caller tries again with fewer pictures
        except Exception as error:  # whatever foreign code raises on pictures that it cannot take
            shape = tuple(images.shape)
            raise PacoError(
                f"{self.name} does not take pictures {shape}: {one_line((str(error).strip().splitlines() or [''])[-1])}."
            ) from error
        if not isinstance(found, Tensor) or found.ndim not in (2, 3, 4) or len(found) != len(images):
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise PacoError(
                f"{self.name} gives {what} for {len(images)} pictures; an encoder gives (B, D), (B, N, D) or (B, C, H, W)."
            )
        return {"out": as_tokens(found)}


def as_tokens(found: Tensor) -> Tokens:
    """Return features (B, D), (B, N, D) or (B, C, H, W) as tokens."""
    if found.ndim == 2:
        return Tokens(found[:, None])
    if found.ndim == 4:
        return Tokens(found.flatten(2).transpose(1, 2))
    count = found.shape[1]
    if count > 1 and not _square(count) and _square(count - 1):
        return Tokens(found[:, 1:], found[:, 0])
    return Tokens(found)


def _square(count: int) -> bool:
    return math.isqrt(count) ** 2 == count


def _reductions(tokens: Tokens) -> tuple[str, ...]:
    count = tokens.patches.shape[1]
    if count == 1:
        return ("flat",)
    grid = ("grid4",) if _square(count) else ()
    return ("mean", *grid, *(("global",) if tokens.pooled is not None else ()))
