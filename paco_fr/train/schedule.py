"""The optimiser of a run and its learning rate over time."""

from __future__ import annotations

import math
from typing import Any

import torch

from paco_fr.config import PretrainConfig


def step_count(config: PretrainConfig) -> int:
    """Return the number of optimiser steps of a run; an untrained encoder takes none."""
    if config.objective == "untrained":
        return 0
    return math.ceil(config.optimiser.presentations / config.optimiser.batch)


def learning_rate(config: PretrainConfig, step: int, steps: int) -> float:
    """Return the rate of one step: linear warm-up, then cosine to zero; scaled with the batch from 64."""
    peak = learning_rate_peak(config)
    warmup = config.optimiser.warmup * steps
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def learning_rate_peak(config: PretrainConfig) -> float:
    """Return the highest rate of a run: the recipe's at batch 64, scaled linearly."""
    return config.optimiser.learning_rate * config.optimiser.batch / 64


def build_optimiser(
    config: PretrainConfig, model: torch.nn.Module, device: torch.device
) -> torch.optim.Optimizer:
    """Return AdamW over the decayed and the free parameters; fused into one kernel where the device has one."""
    fused = True if device.type in ("cuda", "cpu") else None
    return torch.optim.AdamW(_groups(model, config), betas=config.optimiser.betas, fused=fused)


def describe_schedule(config: PretrainConfig, processes: int = 1) -> str:
    """Say how a batch is spread and how the learning rate follows from it."""
    optimiser = config.optimiser
    parts = f"{processes} process{'es' if processes > 1 else ''} x {optimiser.accumulate} parts x "
    return (
        f"{step_count(config)} steps of {optimiser.batch} pictures ({parts}"
        f"{optimiser.batch // processes // optimiser.accumulate}), {optimiser.precision}; learning rate "
        f"{optimiser.learning_rate:.2g} at batch 64, scaled linearly to a peak of {learning_rate_peak(config):.2g}, "
        f"warm-up over {optimiser.warmup:.0%} of the run, then cosine to zero"
    )


def _groups(model: torch.nn.Module, config: PretrainConfig) -> list[dict[str, Any]]:
    """Decay matrices only: not biases, norms, positions, mask tokens or the codebook, which are places."""
    decayed: list[torch.nn.Parameter] = []
    free: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        matrix = parameter.ndim == 2 or name.endswith("patch_embed.proj.weight")
        (decayed if matrix else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": config.optimiser.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
