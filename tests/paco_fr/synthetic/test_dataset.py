from __future__ import annotations

import json

import numpy as np
import pytest

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.decode import read_image
from paco_fr.faces.records import COLUMNS
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.synthetic import FaceSpec, records

SPEC = FaceSpec(
    identities=12, images_per_identity=3, seed=11, photo_size=48, occluders=("box",), occluder_share=0.3
)


@pytest.fixture(scope="module")
def faces():
    return records(SPEC)


def test_records_keep_the_contract(faces):
    assert len(faces) == 36
    assert all(faces.features[name] == COLUMNS[name] for name in faces.column_names)
    row = faces[4]
    assert read_image(row["image"]).shape == (48, 48, 3)
    assert row["scheme"] == "ibug68"
    assert len(row["landmarks"]) == len(row["visible"]) == 68
    assert row["group"] == row["identity"] == "s11-1"
    truth = json.loads(row["parameters"])
    assert EXPRESSIONS[row["expression"]] == truth["expression"]
    assert truth["lighting"]["regime"] == row["light"]


def test_angles_are_those_of_the_rotation(faces):
    for row in faces.select(range(5)):
        again = rotation_from_angles(row["yaw"], row["pitch"], row["roll"])
        np.testing.assert_allclose(again, row["rotation"], atol=1e-6)


def test_workers_change_no_byte(faces):
    parallel = records(SPEC, workers=2)
    assert faces.to_dict() == parallel.to_dict()
