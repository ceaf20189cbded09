"""TorchScript files: programs, not weights, so they are loaded only with trust."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Literal

import torch
from accelerate import PartialState
from torch import Tensor

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._feed import Feed
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders._options import PIXELS, crop_option, pixel_contract, split_options, stated
from paco_eval.encoders._weights import files_hash
from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError, one_line

BATCHES = (1, 4, 8, 16, 32, 64)
"""Numbers of pictures that programs were traced with."""


def load(name: str) -> FunctionEncoder:
    """Return ``torchscript:FILE?size=S&channels=...&range=...``; the file runs as a program.

    The caller has asked for trust, see :func:`paco_eval.encoders.load_encoder`.
    """
    file, options = split_options(name, (*PIXELS, "crop"))
    path = Path(file)
    if not path.is_file():
        raise PacoError(f"No TorchScript file {path}.")
    pixels = pixel_contract(name, options)
    device = PartialState().device
    try:
        model = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise PacoError(
            f"{path} cannot be read as TorchScript: {str(error).splitlines()[0][:200]}"
        ) from error

    def function(images: Tensor) -> Tensor:
        found: Tensor = model(images.to(device))
        return found

    feed = _feed(function, pixels, name)
    return FunctionEncoder(
        name,
        feed.through(function, pixels.channels),
        pixels,
        weight_hash=files_hash(path),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        required_crop=crop_option(options),
        facts={"objective": "unknown", "pixels_checked": check_contract(name, pixels), "stated": stated(options),
               "input": str(feed)},
    )  # fmt: skip


def _feed(network: Callable[[Tensor], Tensor], pixels: PixelContract, name: str) -> Feed:
    """Return the first way in which a program takes pictures; it does not say, so it is tried with grey ones.

    Types are tried from float32 on, layouts from NCHW, three channels before one, free batches before fixed ones.

    Raises:
        PacoError: it takes none; with what it said about plain pictures.

    """
    said: Exception | None = None
    whole = pixels.value_range == (0.0, 255.0)
    types = (torch.float32, torch.float16, torch.float64, *((torch.uint8,) if whole else ()))
    layouts: tuple[Literal["NCHW", "NHWC"], ...] = ("NCHW", "NHWC")
    for batch, channels, layout, dtype in product((None, *BATCHES), (3, 1), layouts, types):
        feed = Feed(dtype, layout, None, None, channels, batch)
        grey = torch.zeros(2, 3, pixels.size, pixels.size)
        try:
            with torch.inference_mode():
                found = feed.through(network, pixels.channels)(grey)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a program raises whatever it does on pictures that it cannot take
            said = said or error
            continue
        if len(found) == 2:
            return feed
    why = one_line(str(said).strip().splitlines()[-1]) if said else "it gives no feature for each picture"
    raise PacoError(
        f"{name} does not take pictures of {pixels.size} x {pixels.size} in any type, layout or batch: {why}."
    )
