from __future__ import annotations

import numpy as np
import pytest

from paco_fr.synthetic import FaceSpec, face_parameters, render
from tasks.perturbations.apply import Face

SIDE = 112


class Sample:
    """A rendered canvas with its landmarks and true rotation."""

    def __init__(self, index: int, level: str, yaw: tuple[float, float] | None = None) -> None:
        spec = FaceSpec(identities=8, images_per_identity=1, seed=5, level=level, yaw=yaw)
        drawn = render(face_parameters(spec, index), SIDE)
        self.image = drawn.image
        self.points = drawn.landmarks.astype(np.float64)
        self.rotation = drawn.rotation
        self.face = Face(SIDE, self.points, "ibug68")


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    return [Sample(i, "normal") for i in range(3)] + [Sample(i, "hard") for i in range(3, 6)]
