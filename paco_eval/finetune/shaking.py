"""FaRL's augmentation of pictures that are fine-tuned on, shared by points and masks.

After the recipe that FaRL released (github.com/FacePerceiver/FaRL and its package py-blueprint 0.0.1.post3): every
picture is shifted, turned and scaled, cut anew out of its photograph; then, for points, a black box and noise mixed
in (half of the pictures); grey (a tenth), gamma, blur. It is never mirrored.

Where we depart: the crop stays the task's, the picture the encoder's size (``?size=448`` gives FaRL's), so that what
is drawn there is not shrunk afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from paco_fr.faces.crop import ALIGNED, compose
from paco_fr.faces.decode import Pixels
from paco_fr.utils.random import generator
from tasks.units import Units

if TYPE_CHECKING:
    from paco_eval.finetune.farl import Points
    from paco_eval.finetune.tuned_masks import Masks

Array = npt.NDArray[np.float64]

GREY = 0.1
NOISY = 0.5
LUMINANCE = np.array([0.299, 0.587, 0.114])


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
