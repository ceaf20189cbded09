"""FaRL's fine-tuning whole: how its pictures are changed, and what its head is trained to, points or masks.

After the recipe that FaRL released (github.com/FacePerceiver/FaRL and its package py-blueprint 0.0.1.post3): every
picture is shifted, turned and scaled, cut anew out of its photograph, with background outside it; then, for points, a
black box and noise mixed in (half of the pictures); grey (a tenth), gamma, blur. It is never mirrored. Canvases are moved

- for points by up to 5 % of their side, 0.174 rad and 10 %, all uniform;
- for masks by up to 1 % (uniform), 0.314 rad and 10 % (normal deviations). Their head has a map a class, the cross
  entropy of every pixel for a loss and a rate of 1e-3.

Where we depart: the crop stays the task's (for masks instead of an alignment and a tanh warp), the picture the encoder's
size (``?size=448`` gives FaRL's), so that what is drawn there is not shrunk afterwards; the loss of masks is taken at
the cells of :data:`tasks.kinds.segmentation.GRID`, and scores are drawn out to the masks' own pixels; the weights'
average warms up, gradients are clipped at norm 1; no epoch is chosen on test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from paco_eval.finetune.upernet import UperHead, landmark_loss, points_of
from paco_fr.faces.crop import ALIGNED, apply, compose
from paco_fr.faces.decode import Pixels
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array
from tasks.kinds import load_kind
from tasks.kinds.segmentation import GRID, class_maps
from tasks.task import Task
from tasks.units import Units

SHIFT, TURN, SCALE = 0.05, 0.174, 0.1
"""For points: largest shift as a share of the canvas, turn in radians, and change of scale."""
MASK_SHIFT, MASK_TURN, MASK_SCALE = 0.01, 0.314, 0.1
"""For masks: largest shift as a share of the canvas; deviations of turn in radians and of scale."""
SMALLEST = 0.1
"""Least scale drawn: a normal deviate could turn the picture inside out."""
GREY = 0.1
NOISY = 0.5
LUMINANCE = np.array([0.299, 0.587, 0.114])


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
        """Draw how a canvas is moved (2, 3)."""
        shift = rng.uniform(-SHIFT, SHIFT, 2) * canvas
        return similar(canvas, shift, rng.uniform(-TURN, TURN), rng.uniform(1 - SCALE, 1 + SCALE))

    def moved(self, moves: Array, fit: npt.NDArray[np.intp], canvas: int) -> Points:
        """Return the points as they lie after ``moves`` (n, 2, 3) of the canvases of the units in ``fit``."""
        values = self.values.clone()
        there = apply(moves[fit], values[fit].double().numpy() * canvas - 0.5)
        values[fit] = torch.from_numpy((there + 0.5) / canvas).to(values.dtype)
        return Points(values)


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
        """Draw how a canvas is moved (2, 3)."""
        shift = rng.uniform(-MASK_SHIFT, MASK_SHIFT, 2) * canvas
        return similar(canvas, shift, rng.normal(0, MASK_TURN), max(SMALLEST, rng.normal(1, MASK_SCALE)))

    def moved(self, moves: Array, fit: npt.NDArray[np.intp], canvas: int) -> Masks:
        """Return the masks as they lie after ``moves`` (n, 2, 3) of the canvases; ``fit`` are those that move."""
        return replace(self, moves=moves)


def shaken(
    units: Units, targets: Points | Masks, fit: npt.NDArray[np.intp], seed: int, epoch: int
) -> tuple[Units, Points | Masks]:
    """Return the units with other crops of those in ``fit``, and the targets as they lie on them."""
    moves = np.tile(ALIGNED, (len(units), 1, 1))
    for unit in fit.tolist():
        moves[unit] = targets.movement(units.canvas, generator("farl crop", seed, epoch, unit))
    transforms = units.transforms.copy()
    transforms[fit] = compose(moves[fit], transforms[fit])
    return replace(units, transforms=transforms), targets.moved(moves, fit, units.canvas)


def similar(canvas: int, shift: Array, angle: float, scale: float) -> Array:
    """Return the transform (2, 3) of a canvas: a turn in radians and a scale about its centre, then a shift (2,)."""
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, (canvas - 1) / 2)
    return np.column_stack([linear, centre + shift - linear @ centre])


def recoloured(picture: Pixels, rng: np.random.Generator, *, covered: bool) -> Pixels:
    """Return a picture (S, S, 3) perhaps without colour, of other gamma, blurred; ``covered`` by box and noise first."""
    side = len(picture)
    shades = _covered(picture / 255.0, rng) if covered else picture / 255.0
    if rng.random() < GREY:
        shades = np.repeat(shades @ LUMINANCE[:, None], 3, axis=2)
    shades = shades ** rng.choice([0.5, 1.0, 2.0])
    blur = int(side * rng.uniform(0, 0.01))
    if blur > 1:
        shades = cv2.blur(shades, (blur, blur))
    return np.asarray((shades * 255).round().clip(0, 255), dtype=np.uint8)


def _covered(shades: Array, rng: np.random.Generator) -> Array:
    """Return a picture (S, S, 3), 0 to 1, with a black box and perhaps noise."""
    side = len(shades)
    height = rng.uniform(0.2, 0.8)
    width = height + rng.uniform(-0.2, 0.2)
    middle = rng.uniform(0, side - 1, 2)
    (top, bottom), (left, right) = (
        (max(0, round(at - length * side / 4)), max(0, round(at + length * side / 4)))
        for at, length in zip(middle, (height, width), strict=True)
    )
    shades[top:bottom, left:right] = 0.0
    if rng.random() < NOISY:
        share = rng.uniform(0, 0.5)
        shades = (1 - share) * shades + share * rng.random(shades.shape)
    return shades
