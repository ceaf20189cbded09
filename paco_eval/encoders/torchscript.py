"""TorchScript files: programs, not weights, so they are loaded only with trust."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from accelerate import PartialState
from torch import Tensor

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders._options import PIXELS, crop_option, pixel_contract, split_options
from paco_fr.utils.errors import PacoError


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

    return FunctionEncoder(
        name,
        function,
        pixels,
        weight_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        required_crop=crop_option(options),
        facts={"objective": "unknown", "pixels_checked": check_contract(name, pixels)},
    )
