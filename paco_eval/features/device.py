"""Where encoders run: decided once, before anything is computed."""

from __future__ import annotations

import torch
from accelerate import PartialState

from paco_fr.utils.distributed import leave_group_at_exit, on_cpus
from paco_fr.utils.errors import PacoError


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
    state = PartialState(cpu=True) if name == "cpu" or on_cpus() else PartialState()
    leave_group_at_exit()
    device: torch.device = state.device
    if name != "auto" and device.type != name:
        raise PacoError(f"This process already runs on {device.type}; {name} has to be chosen before.")
    return device
