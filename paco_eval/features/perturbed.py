"""What is done to a picture before an encoder sees it: nothing, or a perturbation at a level."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paco_eval.features.cache import Keys
from paco_fr.faces.decode import Pixels
from paco_fr.utils.errors import PacoError
from tasks.perturbations.apply import Face, perturb
from tasks.perturbations.catalogue import perturbation
from tasks.units import Units


@dataclass(frozen=True)
class Condition:
    """One perturbation at one level."""

    name: str
    level: int
    seed: int = 0

    @property
    def tag(self) -> str:
        """What the cache address says."""
        return f"{self.name}.v{perturbation(self.name).version}.level{self.level}.seed{self.seed}"


CLEAN_PICTURE = Condition("gamma", 0)
"""Level 0 of any kind is the clean picture; this one needs no landmarks."""


def faces_of(units: Units) -> list[Face | None]:
    """Return the landmarks of every unit on its canvas, None where the records have none."""
    labels = units.labels
    if "landmarks" not in labels or "scheme" not in labels:
        return [None] * len(units)
    told = zip(labels["landmarks"], labels["scheme"], strict=True)
    return [_face(units, unit, points, scheme) for unit, (points, scheme) in enumerate(told)]


def _face(units: Units, unit: int, points: object, scheme: object) -> Face | None:
    if points is None or scheme is None or not np.isfinite(units.transforms[unit]).all():
        return None
    photo = np.stack(list(points)).astype(np.float64)  # type: ignore[call-overload]  # a list or an array
    return Face(units.canvas, units.on_canvas(photo, unit), str(scheme))


def changed_keys(units: Units, clean: Keys) -> Keys:
    """Return keys (n, 16) of content and crop, landmarks, and the id that draws depend on."""
    keys = np.zeros_like(clean)
    for unit, (face, name) in enumerate(zip(faces_of(units), units.labels["unit_id"], strict=True)):
        known = b"" if face is None else face.scheme.encode() + face.points.tobytes()
        digest = hashlib.sha256(clean[unit].tobytes() + str(name).encode() + known).digest()
        keys[unit] = np.frombuffer(digest[:16], dtype=np.uint8)
    return keys


def changed(
    canvases: Mapping[int, Pixels | str], condition: Condition, faces: Mapping[int, Face | None], units: Units
) -> tuple[dict[int, tuple[Pixels, float]], dict[int, str]]:
    """Return the canvas of each unit under a condition with what was achieved on it, and why there is none of others.

    Args:
        canvases: of each unit, or why there is none.
        condition: what is done; on clean pictures nothing is achieved (NaN).
        faces: of each unit, where known.
        units: whose ids draws depend on.

    """
    found: dict[int, tuple[Pixels, float]] = {}
    broken: dict[int, str] = {}
    for unit, canvas in canvases.items():
        if isinstance(canvas, str):
            broken[unit] = canvas
        elif condition.level == 0:
            found[unit] = canvas, float("nan")
        else:
            name = str(units.labels["unit_id"].iloc[unit])
            try:
                made = perturb(
                    condition.name,
                    condition.level,
                    canvas,
                    key=name,
                    face=faces.get(unit),
                    seed=condition.seed,
                )
            except PacoError as error:
                broken[unit] = str(error)
            else:
                found[unit] = made.image, made.achieved
    return found, broken
