"""FaRL's fine-tuning for parsing: its targets and how their pictures are moved.

After the recipe that FaRL released: the head of landmarks with a map a class, the cross entropy of every pixel, a rate of
the head of 1e-3; pictures are shifted by up to 1 % of the canvas (uniform), turned by 0.314 rad and scaled by 10 % (normal
deviations), with background outside the photograph, and neither covered nor made noisy.

Where we depart, besides :mod:`paco_eval.finetune.farl`: the crop is the task's instead of an alignment and a tanh warp,
and the loss is taken at the cells of :data:`tasks.kinds.segmentation.GRID`. Scores are drawn out to the masks' own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from paco_eval.finetune.shaking import similar
from paco_eval.finetune.upernet import UperHead
from paco_fr.faces.crop import ALIGNED
from tasks.kinds.segmentation import GRID, class_maps
from tasks.task import Task
from tasks.units import Units

Array = npt.NDArray[np.float64]

SHIFT, TURN, SCALE = 0.01, 0.314, 0.1
"""Largest shift as a share of the canvas; deviations of turn in radians and of scale."""
SMALLEST = 0.1
"""Least scale drawn: a normal deviate could turn the picture inside out."""


@dataclass(frozen=True)
class Masks:
    """What FaRL's head is trained to: the class of every cell of the canvas, moved by ``moves`` (n, 2, 3).

    Masks are read when their pictures are: all of them at once would be larger than the pictures.
    """

    task: Task
    labels: pd.DataFrame
    moves: Array

    @classmethod
    def of(cls, task: Task, data: Units) -> Masks:
        """Take the masks of all units, where they are."""
        return cls(task, data.labels, np.tile(ALIGNED, (len(data), 1, 1)))

    def head(self, width: int) -> UperHead:
        """Return a new head."""
        return UperHead(width, len(self.task.options["classes"]))

    def loss(self, outputs: Tensor, units: list[int]) -> Tensor:
        """Return the sum of the losses over a batch of logits (B, C, S, S)."""
        truth = torch.from_numpy(class_maps(self.labels.iloc[units], self.task, self.moves[units]))
        drawn = F.interpolate(outputs.float(), (GRID, GRID), mode="bilinear", align_corners=False)
        each = F.cross_entropy(drawn, truth.long().to(outputs.device), reduction="none")
        return each.mean((1, 2)).sum()

    def answers(self, outputs: Tensor) -> npt.NDArray[np.float32]:
        """Return scores (B, S * S, C) of the cells of a square grid."""
        return outputs.flatten(2).transpose(1, 2).float().cpu().numpy()

    def movement(self, canvas: int, rng: np.random.Generator) -> Array:
        """Draw how a canvas is moved."""
        shift = rng.uniform(-SHIFT, SHIFT, 2) * canvas
        return similar(canvas, shift, rng.normal(0, TURN), max(SMALLEST, rng.normal(1, SCALE)))

    def moved(self, moves: Array, fit: npt.NDArray[np.intp], canvas: int) -> Masks:
        """Return the masks as they lie after ``moves`` (n, 2, 3) of the canvases; ``fit`` are those that move."""
        return replace(self, moves=moves)
