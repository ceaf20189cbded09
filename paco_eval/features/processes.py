"""On which device processes run, and what several of them find out, told to each other: what fails in one fails in all."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

import torch
from accelerate import PartialState

from paco_fr.utils.distributed import leave_group_at_exit, on_cpus
from paco_fr.utils.errors import PacoError, in_a_line

Found = TypeVar("Found")


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


def gather(own: Found, state: PartialState) -> list[Found]:
    """Return what every process found, in the order of their ranks."""
    if state.num_processes == 1:
        return [own]
    parts = [own] * state.num_processes
    torch.distributed.all_gather_object(parts, own)
    return parts


def together(work: Callable[[], Found], state: PartialState) -> list[Found]:
    """Return what the work of every process found; an error in one is raised in all, which would wait in vain.

    Raises:
        PacoError: of the first process whose work raised an error, if it is one.
        RuntimeError: the first error is another, in another process; it is told with its traceback as the cause.

    """
    found: Found | None = None
    own: Exception | None = None
    told = unforeseen = ""
    try:
        found = work()
    except Exception as error:  # whatever someone else's encoder raises
        own, told = error, in_a_line(error)
        unforeseen = "" if isinstance(error, PacoError) else traceback.format_exc()
    parts = gather((found, told, unforeseen), state)
    for rank, (_, line, trace) in enumerate(parts):
        if line and own is not None and rank == state.process_index:
            raise own
        if trace:
            raise RuntimeError(f"{line}, in process {rank}") from RuntimeError(trace)
        if line:
            raise PacoError(line)
    return [part for part, _, _ in parts if part is not None]
