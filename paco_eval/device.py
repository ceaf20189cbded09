"""Where encoders run: decided once, before anything is computed."""

from __future__ import annotations

import os

import torch
from accelerate import PartialState

from paco_fr.errors import PacoError


def use_device(name: str) -> torch.device:
    """Make ``cpu``, ``cuda`` or, for ``auto``, the best there is the device of this process, and return it.

    Under a launcher (accelerate, torchrun) the processes form their group here, on CPUs too.

    Raises:
        PacoError: a GPU was asked for and there is none, or another device is already in use.

    """
    if name == "cuda" and not torch.cuda.is_available():
        raise PacoError(
            f"No GPU that torch {torch.__version__} can use was found. Check the driver, or leave --device out."
        )
    # Accelerate lets processes on CPUs form a group only where it is told that they are to use them.
    state = PartialState(cpu=True) if name == "cpu" or not _accelerated() else PartialState()
    device: torch.device = state.device
    if name != "auto" and device.type != name:
        raise PacoError(f"This process already runs on {device.type}; {name} has to be chosen before.")
    return device


def _accelerated() -> bool:
    asked_not_to = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return not asked_not_to and (torch.cuda.is_available() or torch.backends.mps.is_available())
