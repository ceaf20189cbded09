"""How a foreign network takes pictures: their type, layout, size, channels and batch, and how ours become such."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a pixel (ITU-R BT.601), as Pillow turns pictures grey."""


@dataclass(frozen=True)
class Feed:
    """What a network takes.

    Attributes:
        dtype: of the pictures.
        layout: order of the dimensions.
        height: in pixels; None where the file leaves it open.
        width: in pixels; None where the file leaves it open.
        channels: 3, or 1 for grey pictures.
        batch: pictures that it takes at a time; None for any number.

    """

    dtype: torch.dtype = torch.float32
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    height: int | None = None
    width: int | None = None
    channels: int = 3
    batch: int | None = None

    @property
    def side(self) -> int | None:
        """Side of the square that its pictures are cut from the middle of; None where the file leaves it open."""
        return None if self.height is None or self.width is None else max(self.height, self.width)

    def __str__(self) -> str:
        """Say it in words, for the facts of an encoder."""
        size = "" if self.height is None else f" {self.height} x {self.width}"
        cut = "" if self.height == self.width else f", cut from the middle of {self.side} x {self.side}"
        batch = "" if self.batch is None else f", {self.batch} at a time"
        grey = ", grey" if self.channels == 1 else ""
        return f"{str(self.dtype).removeprefix('torch.')} {self.layout}{size}{cut}{grey}{batch}"

    def check(self, name: str, pixels: PixelContract) -> None:
        """Refuse a pixel contract that such a network cannot be fed under."""
        if self.side is not None and self.side != pixels.size:
            raise PacoError(
                f"{name} takes pictures of {self.height} x {self.width}, not of {pixels.size}. Leave size= out."
            )
        plain = (pixels.value_range, *pixels.mean, *pixels.std) == ((0.0, 255.0), 0, 0, 0, 1, 1, 1)
        if not self.dtype.is_floating_point and not plain:
            raise PacoError(f"{name} takes whole numbers ({self}): state range=0,255 and no mean or std.")
        if self.channels == 1 and (len(set(pixels.mean)) > 1 or len(set(pixels.std)) > 1):
            raise PacoError(f"{name} takes grey pictures: mean and std must be the same for all channels.")

    def parts(self, images: Tensor, channels: str = "RGB") -> Iterator[tuple[Tensor, int]]:
        """Yield pictures as the network takes them, and how many of them are not there to fill a batch.

        Args:
            images: (B, 3, S, S) prepared under the contract.
            channels: their order.

        """
        if self.height is not None and self.width is not None and self.height != self.width:
            top, left = (images.shape[2] - self.height) // 2, (images.shape[3] - self.width) // 2
            images = images[:, :, top : top + self.height, left : left + self.width]
        if self.channels == 1:
            shares = torch.tensor(LUMA if channels == "RGB" else LUMA[::-1], device=images.device)
            images = (images * shares[:, None, None]).sum(1, keepdim=True)
        if self.layout == "NHWC":
            images = images.permute(0, 2, 3, 1).contiguous()
        if not self.dtype.is_floating_point:
            images = images.round().clamp(0, 255)
        images = images.to(self.dtype)
        for part in torch.split(images, self.batch) if self.batch else [images]:
            lacking = self.batch - len(part) if self.batch else 0
            yield (
                (torch.cat([part, part[-1:].expand(lacking, *part.shape[1:])]) if lacking else part),
                lacking,
            )

    def through(self, network: Callable[[Tensor], Tensor], channels: str) -> Callable[[Tensor], Tensor]:
        """Return the network as a function of prepared pictures (B, 3, S, S)."""

        def run(images: Tensor) -> Tensor:
            found = [network(part)[: len(part) - lacking] for part, lacking in self.parts(images, channels)]
            joined = torch.cat(found)
            return joined if joined.dtype == torch.float32 else joined.float()

        return run
