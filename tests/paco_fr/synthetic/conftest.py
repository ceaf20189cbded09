from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from paco_fr.synthetic import FaceParameters, FaceSpec, face_parameters
from paco_fr.synthetic.shape.expression import ACTIONS


@pytest.fixture(scope="session")
def hard_spec() -> FaceSpec:
    return FaceSpec(identities=40, images_per_identity=3, seed=5, level="hard", photo_size=64)


def plain_face(seed: int = 3, index: int = 0, **changes: Any) -> FaceParameters:
    """A face without hair, beard, expression, noise or occluder, looking into the camera."""
    spec = FaceSpec(identities=index + 1, images_per_identity=1, seed=seed, lights=("soft",))
    face = face_parameters(spec, index)
    face = replace(
        face,
        actions=(0.0,) * len(ACTIONS),
        asymmetry=0.0,
        gaze=(0.0, 0.0),
        pose=replace(face.pose, yaw=0.0, pitch=0.0, roll=0.0, body_yaw=0.0),
        lighting=replace(face.lighting, noise=0.0),
        hair=replace(face.hair, thickness=0.01, length=0.0, fringe=0.0, baldness=1.0),
        beard=replace(face.beard, beard=0.0, moustache=0.0),
    )
    return replace(face, **changes)
