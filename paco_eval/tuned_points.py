"""FaRL's fine-tuning for landmarks: its targets and its augmentation.

After the recipe that FaRL released (github.com/FacePerceiver/FaRL and its package py-blueprint 0.0.1.post3): every
picture is shifted by up to 5 % of the canvas, turned by up to 0.174 rad and scaled by up to 10 %, all uniform, cut
anew out of its photograph; then a black box, noise mixed in (half of the pictures), grey (a tenth), gamma, blur. It is
never mirrored.

Where we depart: the crop stays the task's, the picture the encoder's size (``?size=448`` gives FaRL's), so that what
is drawn there is not shrunk afterwards; the weights' average warms up, gradients are clipped at norm 1; no epoch is
chosen on test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paco_fr.alignment import apply, compose
from paco_fr.images import Pixels
from paco_fr.randomness import generator
from tasks.heads.upernet import UperHead, landmark_loss, points_of
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.units import Units

Array = npt.NDArray[np.float64]

SHIFT, TURN, SCALE = 0.05, 0.174, 0.1
"""Largest shift as a share of the canvas, turn in radians, and change of scale."""
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


def shaken(
    units: Units, targets: Points, fit: npt.NDArray[np.intp], seed: int, epoch: int
) -> tuple[Units, Points]:
    """Return the units with other crops of those in ``fit``, and the points as they lie on them."""
    transforms, values = units.transforms.copy(), targets.values.clone()
    for unit in fit.tolist():
        move = movement(units.canvas, generator("farl crop", seed, epoch, unit))
        transforms[unit] = compose(move, transforms[unit])
        moved = apply(move, values[unit].double().numpy() * units.canvas - 0.5)
        values[unit] = torch.from_numpy((moved + 0.5) / units.canvas)
    return replace(units, transforms=transforms), Points(values)


def movement(canvas: int, rng: np.random.Generator) -> Array:
    """Draw a transform (2, 3) of the canvas: a turn and a scale about its centre, then a shift."""
    shift = rng.uniform(-SHIFT, SHIFT, 2) * canvas
    angle, scale = rng.uniform(-TURN, TURN), rng.uniform(1 - SCALE, 1 + SCALE)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, (canvas - 1) / 2)
    return np.column_stack([linear, centre + shift - linear @ centre])


def recoloured(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a picture (S, S, 3) with a black box, and perhaps noise, without colour, of other gamma, blurred."""
    side = len(picture)
    shades = picture / 255.0
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
    if rng.random() < GREY:
        shades = np.repeat(shades @ LUMINANCE[:, None], 3, axis=2)
    shades = shades ** rng.choice([0.5, 1.0, 2.0])
    blur = int(side * rng.uniform(0, 0.01))
    if blur > 1:
        shades = cv2.blur(shades, (blur, blur))
    return np.asarray((shades * 255).round().clip(0, 255), dtype=np.uint8)
