"""What fine-tuning trains: an encoder with a head, its targets, its rates."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
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
from tasks.heads.margin import DEFAULTS, CentreHead, MarginName, margin_loss
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
        margin: loss of tasks of recognition.

    """

    epochs: int = EPOCHS
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    layer_decay: float = 0.75
    warmup: float = 0.1
    average: float = 0.999
    margin: MarginName = "cosface"


class Tuned(nn.Module):
    """An encoder with a head on its last block: on the mean token, or on 4 x 4 places for regression.

    ``head`` makes it for a number of features.
    """

    def __init__(self, encoder: TimmEncoder, reduction: str, head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(encoder.model).requires_grad_(True)
        self.last, self.reduction = int(encoder.default_block) - 1, reduction
        size = encoder.pixels.size
        with torch.no_grad():
            width = self._features(torch.zeros(1, 3, size, size, device=encoder.device)).shape[1]
        self.head = head(width).to(encoder.device)

    def _features(self, images: Tensor) -> Tensor:
        found = self.backbone.forward_intermediates(
            images, indices=[self.last], norm=True, intermediates_only=True
        )
        return reduce(Tokens(found[0].flatten(2).transpose(1, 2)), self.reduction)

    def forward(self, images: Tensor) -> Tensor:
        """Return what the head makes (B, T) of prepared pictures (B, 3, S, S)."""
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

    def head(self, width: int) -> nn.Module:
        """Return a linear head that starts at the mean answer, as that of MAE does."""
        head = nn.Linear(width, self.classes or int(self.values.shape[1]))
        nn.init.trunc_normal_(head.weight, std=2e-5)
        nn.init.zeros_(head.bias)
        return head

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


@dataclass(frozen=True)
class Identities:
    """Training for recognition: a margin loss over known people; the answer is the embedding."""

    values: Tensor
    classes: int
    margin: MarginName

    @classmethod
    def of(cls, task: Task, data: Units, fit: npt.NDArray[np.intp], margin: MarginName) -> Identities:
        """Number the people in ``fit``; nobody else has a class."""
        codes = load_kind(task.kind).targets(data.labels.iloc[fit], task)
        values = torch.full((len(data),), -1)
        values[fit] = torch.from_numpy(np.asarray(codes))
        return cls(values, int(codes.max()) + 1, margin)

    def head(self, width: int) -> nn.Module:
        """Return centres of the people."""
        return CentreHead(width, self.classes)

    def loss(self, outputs: Tensor, units: list[int]) -> Tensor:
        """Return the sum of the losses over a batch of cosines (B, C)."""
        truth = self.values[units].to(outputs.device)
        return margin_loss(outputs, truth, self.margin, DEFAULTS[self.margin]) * len(units)

    def answers(self, outputs: Tensor) -> Array:
        """Return the embeddings."""
        return outputs.cpu().double().numpy()


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
    head = [
        {"params": [part], "weight_decay": settings.weight_decay if part.ndim > 1 else 0.0, "lr_scale": 1.0}
        for part in model.head.parameters()
    ]
    return [
        *({key: value for key, value in group.items() if key != "param_names"} for group in groups),
        *head,
    ]
