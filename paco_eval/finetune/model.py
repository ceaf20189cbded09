"""What fine-tuning trains: an encoder with a head, its targets, its rates."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import Tensor, nn

from paco_eval.encoders.timm import TimmEncoder
from paco_eval.features.layers import reduce
from paco_eval.finetune.margin import DEFAULTS, CentreHead, MarginName, margin_loss
from paco_eval.finetune.upernet import depths
from paco_fr.contracts import Tokens
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.units import Units

EPOCHS = 30
TunedHead = Literal["linear", "farl"]
"""Heads of fine-tuning."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the fitted units.
        batch: pictures of a step, over all processes.
        rate: highest learning rate at a batch of 256, scaled linearly; of the last block, less below.
        weight_decay: of matrices.
        layer_decay: factor on the rate from one block to the one before it.
        warmup: share of the steps over which the rate rises.
        average: decay of the average of weights, reached gradually.
        margin: loss of tasks of recognition.
        head: ``linear``, or FaRL's for landmarks and parsing, see :mod:`paco_eval.finetune.upernet`.
        head_rate: factor on the rate for the head.
        drop: epoch from which the rate is a tenth, constant before and after; 0 for a cosine.

    """

    epochs: int = EPOCHS
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    layer_decay: float = 0.75
    warmup: float = 0.1
    average: float = 0.999
    margin: MarginName = "cosface"
    head: TunedHead = "linear"
    head_rate: float = 1.0
    drop: int = 0


RECIPES: dict[TunedHead, Settings] = {
    "linear": Settings(),
    # FaRL's: AdamW at 1e-4 and, for the head, 1e-2 with 40 pictures a step, no warm-up, a tenth from epoch 200 on.
    "farl": Settings(batch=40, rate=1e-4 * 256 / 40, weight_decay=1e-5, layer_decay=1.0, warmup=0.0,
                     head="farl", head_rate=100.0, drop=200),
}  # fmt: skip


def recipe(head: TunedHead, kind: str) -> Settings:
    """Return the settings of a head; FaRL's learns masks at a tenth of the rate of points."""
    settings = RECIPES[head]
    return replace(settings, head_rate=10.0) if head == "farl" and kind == "segmentation" else settings


class Tuned(nn.Module):
    """An encoder with a head on its last block, on the mean token or on 4 x 4 places, or on maps of four blocks.

    ``head`` makes it for a number of features; ``reduction`` is ``mean``, ``grid4`` or ``maps``.
    """

    def __init__(self, encoder: TimmEncoder, reduction: str, head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(encoder.model).requires_grad_(True)
        depth = int(encoder.default_block)
        self.reduction = reduction
        self.blocks = [block - 1 for block in (depths(depth) if reduction == "maps" else (depth,))]
        size = encoder.pixels.size
        with torch.no_grad():
            maps = self._maps(torch.zeros(1, 3, size, size, device=encoder.device))
        if len({part.shape for part in maps}) > 1 or (reduction == "maps" and maps[0].shape[-1] < 2):
            raise PacoError(
                f"{encoder.name}: FaRL's head needs maps of one size, as the blocks of transformers give."
            )
        self.head = head(maps[0].shape[1] if reduction == "maps" else self._reduced(maps).shape[1])
        self.head.to(encoder.device)

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps (B, D, g, g) of the blocks; FaRL takes them as they are, not normalised."""
        found = self.backbone.forward_intermediates(
            images, indices=sorted(set(self.blocks)), norm=self.reduction != "maps", intermediates_only=True
        )
        by_block = dict(zip(sorted(set(self.blocks)), found, strict=True))
        return [by_block[block] for block in self.blocks]

    def _reduced(self, maps: list[Tensor]) -> Tensor:
        return reduce(Tokens(maps[0].flatten(2).transpose(1, 2)), self.reduction)

    def forward(self, images: Tensor) -> Tensor:
        """Return what the head makes of prepared pictures (B, 3, S, S)."""
        maps = self._maps(images)
        outputs: Tensor = self.head(maps if self.reduction == "maps" else self._reduced(maps))
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
        """Number the people in ``fit``; nobody else has a class. One person alone is an error."""
        codes = load_kind(task.kind).targets(data.labels.iloc[fit], task)
        if len(np.unique(codes)) < 2:
            raise PacoError(f"{task.name}: 1 person to fit on; a margin loss tells two or more apart.")
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
    """Return the rate of one step, scaled with the batch from 256: warm-up and cosine to zero, or a late drop."""
    peak, warmup = settings.rate * settings.batch / 256, settings.warmup * steps
    if settings.drop:
        return peak * (0.1 if step * settings.epochs >= settings.drop * steps else 1.0)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


def parameter_groups(model: Tuned, settings: Settings) -> list[dict[str, Any]]:
    """Return the parameters by depth, each with its share of the rate; vectors do not decay."""
    groups: list[dict[str, Any]] = param_groups_layer_decay(
        model.backbone, weight_decay=settings.weight_decay, layer_decay=settings.layer_decay
    )
    head = [
        {
            "params": [part],
            "weight_decay": settings.weight_decay if part.ndim > 1 else 0.0,
            "lr_scale": settings.head_rate,
        }
        for part in model.head.parameters()
    ]
    return [
        *({key: value for key, value in group.items() if key != "param_names"} for group in groups),
        *head,
    ]
