"""The few lines that let one run be spread over processes."""

from __future__ import annotations

import atexit
import os

import torch
import torch.distributed as dist
from torch import Tensor


def on_cpus() -> bool:
    """Say whether this process computes on CPUs: there is no accelerator, or ``ACCELERATE_USE_CPU`` says so.

    Accelerate lets processes on CPUs form a group only where it is told that they are to use them.
    """
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return asked or not (torch.cuda.is_available() or torch.backends.mps.is_available())


def leave_group_at_exit() -> None:
    """Have this process leave its group before the interpreter ends: what every place that joins a group calls.

    A thread of Gloo that still held a tensor then would wait for an interpreter that is gone, which aborts the
    process after its work is done (pytorch issue 190489). Groups of GPUs are left to the launcher: NCCL waits for
    the others, which after an error in one process may never come.
    """
    atexit.register(_leave_group)  # a second call finds no group


def _leave_group() -> None:
    if dist.is_available() and dist.is_initialized() and dist.get_backend() == "gloo":
        dist.destroy_process_group()


def _several() -> bool:
    """Say whether this process has others beside it."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def summed(value: Tensor) -> Tensor:
    """Return the sum of ``value`` over all processes (the value itself in a single one)."""
    if _several():
        value = value.clone()
        dist.all_reduce(value)
    return value


def gathered(value: Tensor) -> Tensor:
    """Return the rows of ``value`` of all processes, in the order of their ranks."""
    if _several():
        parts = [torch.empty_like(value) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, value.contiguous())
        return torch.cat(parts)
    return value


def averaged(value: Tensor) -> Tensor:
    """Return the mean of ``value`` over all processes."""
    return summed(value) / dist.get_world_size() if _several() else value


def highest(values: list[float], device: torch.device) -> list[float]:
    """Return the largest of each value over all processes, so that all of them decide alike."""
    if not _several():
        return values
    tensor = torch.tensor(values, dtype=torch.float32, device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tensor.tolist()
