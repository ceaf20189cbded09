from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from datasets import concatenate_datasets

from paco_fr.contracts import EXPRESSIONS
from paco_fr.data.sources import as_records
from paco_fr.faces.decode import read_image
from paco_fr.faces.records import COLUMNS, fingerprint
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.synthetic import FaceSpec, records
from paco_fr.synthetic.dataset import planned_records, stored_records
from tasks.readers.records import records_of
from tasks.registry import all_tasks

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


def test_last_digits_of_a_processor_are_no_other_faces(faces):
    """Rows of one machine could not stand beside those of another: its cosines and its PNG had other bytes."""

    def elsewhere(row):
        row["landmarks"] = [[x + 1e-5, y] for x, y in row["landmarks"]]
        row["yaw"] += 1e-6
        row["image"] = {"bytes": row["image"]["bytes"] + b" ", "path": None}
        return row

    assert fingerprint(faces.map(elsewhere, features=faces.features)) == fingerprint(faces)


@pytest.mark.parametrize("change", [{"seed": 12}, {"occluder_share": 0.4}, {"first_identity": 1}])
def test_other_faces_have_another_fingerprint(faces, change):
    assert fingerprint(records(SPEC.model_copy(update=change))) != fingerprint(faces)


def test_another_renderer_or_part_has_another_fingerprint(faces, monkeypatch):
    known = {fingerprint(faces), fingerprint(faces.select(range(35)))}
    for part in ("train", "test"):
        known.add(fingerprint(faces.add_column("split", [part] * 36, feature=COLUMNS["split"])))
    monkeypatch.setattr("paco_fr.synthetic.spec.RENDERER_VERSION", 10**6)
    assert len(known | {fingerprint(records(SPEC))}) == 5


def test_planned_stored_and_first_faces_are_the_same_faces(faces, tmp_path, monkeypatch):
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    first = fingerprint(faces.select(range(9)))
    assert fingerprint(planned_records(SPEC, identities=3)) == first
    assert fingerprint(stored_records(SPEC, identities=3)) == first
    assert fingerprint(stored_records(SPEC)) == fingerprint(faces) != first


def test_no_other_table_says_that_its_faces_are_drawn(faces):
    told = as_records(faces, "elsewhere")
    assert "drawn" not in told.column_names and fingerprint(told) != fingerprint(faces)


def test_beside_others_drawn_faces_count_by_their_contents(faces):
    others = concatenate_datasets([faces, as_records(faces, "elsewhere").select(range(3))])
    changed = others.map(lambda row: {"expression": 0}, features=others.features)
    assert fingerprint(others) != fingerprint(changed)


def test_another_reader_of_drawn_faces_may_have_changed_them(monkeypatch):
    """Its faces kept the fingerprint of those that were drawn, and with it the rows."""
    monkeypatch.setattr("tasks.readers.records.resolve", lambda name: lambda data_root, **_: records(SPEC))
    drawn = all_tasks()["pose/synthetic"]
    assert "drawn" in records_of(drawn, None).column_names
    assert "drawn" not in records_of(replace(drawn, reader="mine:blurred"), None).column_names
