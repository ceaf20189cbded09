"""Applying a perturbation to a canvas: the one function that everything else calls.

Perturbations act on uint8 canvases (S, S, 3) with the landmarks in canvas pixels. Each is a function of the picture,
a strength and random draws that depend on (name, version, seed, picture) and on nothing else: any number and
order of workers gives the same pictures. The level is left out of the draws on purpose: the five levels of
one picture show the same box growing and the same light turning, so that levels are paired. A picture
whose channels are equal everywhere stays grey.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import Pixels
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array
from tasks.perturbations.catalogue import Perturbation, perturbation

if TYPE_CHECKING:
    from tasks.perturbations.head import Head


class Perturbed(NamedTuple):
    """A changed canvas (S, S, 3) uint8, and the number that ``Perturbation.achieved`` speaks of."""

    image: Pixels
    achieved: float


@dataclass(frozen=True)
class Face:
    """Where the face is on a canvas; shared by all perturbations of one picture.

    Attributes:
        side: of the canvas in pixels.
        points: (L, 2) landmarks in canvas pixels, the centre of the top-left pixel is (0, 0).
        scheme: of the landmarks, see :mod:`paco_fr.faces.landmarks`.

    """

    side: int
    points: Array
    scheme: str

    @cached_property
    def head(self) -> Head:
        """The mean head, posed and scaled to the landmarks."""
        from tasks.perturbations.head import (
            fit_head,  # what only changed pictures need loads with the first of them
        )

        return fit_head(self.points, self.scheme, self.side)

    @cached_property
    def hull(self) -> npt.NDArray[np.bool_]:
        """(S, S) pixels of the face hull, see :mod:`tasks.perturbations.hull`."""
        from tasks.perturbations.hull import face_hull

        return face_hull(self.points, self.scheme, self.head, self.side)


@dataclass(frozen=True)
class Picture:
    """What a perturbation gets.

    Attributes:
        image: (S, S, 3) uint8.
        known_face: None where no landmarks are known.
        rng: draws of this perturbation on this picture.
        name: of the perturbation, for errors.

    """

    image: Pixels
    known_face: Face | None
    rng: np.random.Generator
    name: str

    @property
    def side(self) -> int:
        """Side of the canvas in pixels."""
        return int(self.image.shape[0])

    @property
    def face(self) -> Face:
        """The face; a refusal where there is none."""
        if self.known_face is None:
            raise PacoError(
                f"Perturbation '{self.name}' is anchored to landmarks and this picture has none. "
                "Give landmarks and their scheme with the records, or choose one that needs none, such as gamma."
            )
        return self.known_face


def picture_key(name: str) -> int:
    """Return the number that stands for a picture's id in random draws."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def perturb(
    name: str, level: int, image: Pixels, *, key: int | str, face: Face | None = None, seed: int = 0
) -> Perturbed:
    """Return a canvas under a perturbation.

    Args:
        name: of the perturbation.
        level: 0 (clean: the same bytes; achieved is NaN) to 5.
        image: (S, S, 3) uint8.
        key: number or id of the picture.
        face: landmarks on the canvas, where known.
        seed: of all draws.

    Raises:
        PacoError: unknown name or level, no landmarks where they are needed, or a face outside the canvas.

    """
    what = perturbation(name)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.shape[0] != image.shape[1]:
        raise PacoError(f"A canvas is square uint8 RGB, got {image.dtype} {image.shape}.")
    if level == 0:
        return Perturbed(image.copy(), float("nan"))
    strength = what.strength(level)
    number = key if isinstance(key, int) else picture_key(key)
    rng = generator(f"perturbation {name}", what.version, seed, number)
    changed, achieved = _function(what)(Picture(image, face, rng, name), strength)
    return Perturbed(_grey(changed) if _is_grey(image) else changed, float(achieved))


def _function(what: Perturbation):  # type: ignore[no-untyped-def]  # the modules below give it its type
    module, _, function = what.function.partition(":")
    return getattr(import_module(f"tasks.perturbations.{module}"), function)


def _is_grey(image: Pixels) -> bool:
    red = image[..., 0]
    return bool((red == image[..., 1]).all() and (red == image[..., 2]).all())


def _grey(image: Pixels) -> Pixels:
    from tasks.perturbations.linear import luminance, to_linear, to_srgb  # compiled code is heavy

    light = luminance(to_linear(image))
    return np.repeat(to_srgb(light)[..., None], 3, axis=2)
