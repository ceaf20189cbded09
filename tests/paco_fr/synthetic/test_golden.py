"""The pictures of a renderer version do not change: a visual change raises RENDERER_VERSION.

After raising it, write the new reference with ``python tests/paco_fr/synthetic/test_golden.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from paco_fr.synthetic import RENDERER_VERSION, FaceSpec, face_parameters, render
from paco_fr.synthetic.spec import TEST_LIGHTS, TEST_OCCLUDERS, TRAIN_LIGHTS, TRAIN_OCCLUDERS

GOLDEN = Path(__file__).parent / "golden.json"
SPEC = FaceSpec(
    identities=8,
    images_per_identity=1,
    seed=1,
    level="hard",
    occluders=TRAIN_OCCLUDERS + TEST_OCCLUDERS,
    occluder_share=0.5,
    lights=TRAIN_LIGHTS + TEST_LIGHTS,
)
SIZE, THUMB = 64, 16


def drawn() -> list[dict[str, list]]:
    """Thumbnails of the reference faces, and the truth about them."""
    faces = []
    for index in range(len(SPEC)):
        face = face_parameters(SPEC, index)
        picture = render(face, SIZE)
        block = SIZE // THUMB
        thumb = picture.image.reshape(THUMB, block, THUMB, block, 3).mean(axis=(1, 3))
        faces.append(
            {
                "thumb": np.rint(thumb).astype(int).ravel().tolist(),
                "landmarks": np.round(picture.landmarks, 3).ravel().tolist(),
                "box": np.round(picture.box, 3).tolist(),
                "rotation": np.round(picture.rotation, 6).ravel().tolist(),
                "visible": picture.visible.tolist(),
                "coverage": round(float(picture.coverage), 4),
                "said": [face.identity_name, face.expression, face.occluder.kind, face.lighting.regime],
            }
        )
    return faces


def test_pictures_are_those_of_this_version():
    golden = json.loads(GOLDEN.read_text())
    remedy = "raise RENDERER_VERSION and write the reference anew"
    assert golden["version"] == RENDERER_VERSION, f"the reference is of another version: {remedy}"
    for index, (now, then) in enumerate(zip(drawn(), golden["faces"], strict=True)):
        # Other processors may round the last bit otherwise, which is worth at most a grey level.
        difference = np.abs(np.array(now["thumb"]) - np.array(then["thumb"]))
        assert difference.max() <= 1, f"face {index} looks different: {remedy}"
        assert difference.mean() < 0.1, f"face {index} looks different: {remedy}"
        for name, atol in (("landmarks", 2e-3), ("box", 2e-3), ("rotation", 1e-5), ("coverage", 2e-3)):
            np.testing.assert_allclose(now[name], then[name], atol=atol, err_msg=f"{name}: {remedy}")
        assert now["said"] == then["said"], remedy
        assert sum(a != b for a, b in zip(now["visible"], then["visible"], strict=True)) <= 1, remedy


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({"version": RENDERER_VERSION, "faces": drawn()}) + "\n")
