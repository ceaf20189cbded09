"""FaRL's fine-tuning for landmarks: its targets and how their pictures are moved.

After the recipe that FaRL released: shifted by up to 5 % of the canvas, turned by up to 0.174 rad and scaled by up to
10 %, all uniform (:mod:`paco_eval.finetune.shaking` has the rest). Where we depart: the weights' average warms up, gradients are
clipped at norm 1; no epoch is chosen on test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paco_eval.finetune.shaking import similar
from paco_eval.finetune.upernet import UperHead, landmark_loss, points_of
from paco_fr.faces.crop import apply
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.units import Units

Array = npt.NDArray[np.float64]

SHIFT, TURN, SCALE = 0.05, 0.174, 0.1
"""Largest shift as a share of the canvas, turn in radians, and change of scale."""


@dataclass(frozen=True)
class Points:
    """What FaRL's head is trained to: points (n, L, 2) on the canvas, 0 to 1 inside it."""

    values: Tensor

    @classmethod
    def of(cls, task: Task, data: Units) -> Points:
        """Take the points of all units."""
        raw = np.asarray(load_kind(task.kind).targets(data.labels, task))
        return cls(torch.from_numpy(raw).float().reshape(len(raw), -1, 2))

    def head(self, width: int) -> UperHead:
        """Return a new head."""
        return UperHead(width, int(self.values.shape[1]))

    def loss(self, outputs: Tensor, units: list[int]) -> Tensor:
        """Return the sum of the losses over a batch of logits (B, L, S, S)."""
        return landmark_loss(outputs, self.values[units].to(outputs.device)).sum()

    def answers(self, outputs: Tensor) -> Array:
        """Return points (B, 2 L), x0 y0 x1 y1 ... on the canvas."""
        return points_of(outputs).flatten(1).cpu().double().numpy()

    def movement(self, canvas: int, rng: np.random.Generator) -> Array:
        """Draw how a canvas is moved."""
        return movement(canvas, rng)

    def moved(self, moves: Array, fit: npt.NDArray[np.intp], canvas: int) -> Points:
        """Return the points as they lie after ``moves`` (n, 2, 3) of the canvases of the units in ``fit``."""
        values = self.values.clone()
        there = apply(moves[fit], values[fit].double().numpy() * canvas - 0.5)
        values[fit] = torch.from_numpy((there + 0.5) / canvas).to(values.dtype)
        return Points(values)


def movement(canvas: int, rng: np.random.Generator) -> Array:
    """Draw a transform (2, 3) of the canvas: a turn and a scale about its centre, then a shift."""
    shift = rng.uniform(-SHIFT, SHIFT, 2) * canvas
    return similar(canvas, shift, rng.uniform(-TURN, TURN), rng.uniform(1 - SCALE, 1 + SCALE))
