"""What fine-tuning trains: an encoder with a linear head, its targets, its rates."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import Tensor, nn

from paco_eval.encoders.timm import TimmEncoder
from paco_eval.extraction import reduce
from paco_eval.protocols import EPOCHS
from paco_fr.encoder import Tokens
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.units import Units

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the fitted units.
        batch: pictures of a step, over all processes.
        rate: highest learning rate at a batch of 256, scaled linearly; of the head, less below.
        weight_decay: of matrices.
        layer_decay: factor on the rate from one block to the one before it.
        warmup: share of the steps over which the rate rises.
        average: decay of the average of weights, reached gradually.

    """

    epochs: int = EPOCHS
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    layer_decay: float = 0.75
    warmup: float = 0.1
    average: float = 0.999


class Tuned(nn.Module):
    """An encoder with a linear head on its last block: on the mean token, or on 4 x 4 places for regression."""

    def __init__(self, encoder: TimmEncoder, reduction: str, outputs: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(encoder.model).requires_grad_(True)
        self.last, self.reduction = int(encoder.default_block) - 1, reduction
        size = encoder.pixels.size
        with torch.no_grad():
            width = self._features(torch.zeros(1, 3, size, size, device=encoder.device)).shape[1]
        self.head = nn.Linear(width, outputs).to(encoder.device)
        nn.init.trunc_normal_(self.head.weight, std=2e-5)  # starts at the mean answer, as MAE does
        nn.init.zeros_(self.head.bias)

    def _features(self, images: Tensor) -> Tensor:
        found = self.backbone.forward_intermediates(
            images, indices=[self.last], norm=True, intermediates_only=True
        )
        return reduce(Tokens(found[0].flatten(2).transpose(1, 2)), self.reduction)

    def forward(self, images: Tensor) -> Tensor:
        """Return outputs (B, T) of prepared pictures (B, 3, S, S)."""
        outputs: Tensor = self.head(self._features(images))
        return outputs


@dataclass(frozen=True)
class Targets:
    """What the head is trained to: class codes, or numbers brought to mean 0 and variance 1 on the fitted units."""

    values: Tensor
    mean: Tensor
    std: Tensor
    classes: int

    @classmethod
    def of(cls, task: Task, data: Units, fit: npt.NDArray[np.intp]) -> Targets:
        """Take the targets of all units, scaled by those in ``fit``."""
        kind = load_kind(task.kind)
        raw = torch.from_numpy(np.asarray(kind.targets(data.labels, task)))
        if kind.HEAD == "logistic":
            return cls(raw.long(), torch.zeros(1), torch.ones(1), int(raw[fit].max()) + 1)
        numbers = raw.reshape(len(raw), -1).float()
        mean, std = numbers[fit].mean(0), numbers[fit].std(0, correction=0).clamp_min(1e-6)
        return cls((numbers - mean) / std, mean, std, 0)

    @property
    def width(self) -> int:
        """Outputs of the head."""
        return self.classes or int(self.values.shape[1])

    def loss(self, outputs: Tensor, units: list[int]) -> Tensor:
        """Return the sum of the losses over a batch."""
        truth = self.values[units].to(outputs.device)
        if self.classes:
            return F.cross_entropy(outputs, truth, reduction="sum")
        return (outputs - truth).square().mean(1).sum()

    def answers(self, outputs: Tensor) -> Array:
        """Return what the kind expects: probabilities, or numbers in their own units."""
        found = outputs.softmax(1) if self.classes else outputs.cpu() * self.std + self.mean
        return found.cpu().double().numpy()


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """Return the rate of one step: linear warm-up, then cosine to zero; scaled with the batch from 256."""
    peak, warmup = settings.rate * settings.batch / 256, settings.warmup * steps
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


def parameter_groups(model: Tuned, settings: Settings) -> list[dict[str, Any]]:
    """Return the parameters by depth, each with its share of the rate; vectors do not decay."""
    groups: list[dict[str, Any]] = param_groups_layer_decay(
        model.backbone, weight_decay=settings.weight_decay, layer_decay=settings.layer_decay
    )
    head = [{"params": [model.head.weight], "weight_decay": settings.weight_decay, "lr_scale": 1.0},
            {"params": [model.head.bias], "weight_decay": 0.0, "lr_scale": 1.0}]  # fmt: skip
    return [
        *({key: value for key, value in group.items() if key != "param_names"} for group in groups),
        *head,
    ]
