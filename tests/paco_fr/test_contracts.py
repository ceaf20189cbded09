from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from paco_fr.contracts import CROPS, CropContract, Encoder, PixelContract, content_hash
from paco_fr.faces import records
from paco_fr.faces.rotation import angles_from_rotation, rotation_from_angles
from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.random import generator


def test_hashes_change_with_every_field_and_with_nothing_else():
    pixels = PixelContract(224)
    changes = {"size": 112, "channels": "BGR", "mean": (0, 0, 0), "std": (1, 1, 1), "value_range": (-1, 1)}
    changed = [replace(pixels, **{name: value}) for name, value in changes.items()]
    changed.append(replace(pixels, interpolation="bilinear"))
    assert len({pixels.hash, *(other.hash for other in changed)}) == 7
    assert PixelContract(224).hash == pixels.hash
    assert len({crop.hash for crop in CROPS.values()}) == len(CROPS)
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "bad", [{"rule": "template"}, {"rule": "box", "template": "farl"}, {"rule": "box", "canvas": 4}]
)
def test_crops_that_mean_nothing_are_refused(bad):
    with pytest.raises(ValueError, match=r"fit together|out of range"):
        CropContract(**bad)


def test_signs_of_the_angles():
    nose, right = np.array([0, 0, -1.0]), np.array([1.0, 0, 0])
    assert (rotation_from_angles(30, 0, 0) @ nose)[0] < 0  # to the left of the picture
    assert (rotation_from_angles(0, 20, 0) @ nose)[1] < 0  # up
    assert (rotation_from_angles(0, 0, 20) @ right)[1] > 0  # clockwise


def test_angles_and_rotations_undo_each_other_and_rotations_are_proper():
    angles = generator("test").uniform(-80, 80, (200, 3))
    rotations = rotation_from_angles(*angles.T)
    np.testing.assert_allclose(angles_from_rotation(rotations), angles, atol=1e-9)
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(1, 2), np.tile(np.eye(3), (200, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)


def test_randomness_depends_on_purpose_and_key_alone():
    draw = generator("mask", 1, 2, 3).random(4)
    generator("other", 9).random(100)
    assert (generator("mask", 1, 2, 3).random(4) == draw).all()
    assert not (generator("crop", 1, 2, 3).random(4) == draw).any()
    assert not (generator("mask", 1, 3, 2).random(4) == draw).any()


def test_records_are_held_to_their_columns():
    good = {"image": [{"bytes": b"x", "path": None}], "image_id": ["a"], "group": ["a"]}
    made = Dataset.from_dict(good, features=records.features(good))
    assert records.check(made, "here") is made
    with pytest.raises(PacoError, match="lack the column group"):
        records.check(made.remove_columns("group"), "here")
    with pytest.raises(PacoError, match="'age' is not a face record column"):
        records.check(made.add_column("age", [3]), "here")
    with pytest.raises(PacoError, match="no faces"):
        records.check(made.select([]), "here")
    with pytest.raises(PacoError, match="Not a face record column: age"):
        records.features(["age"])


def test_fingerprints_follow_content():
    def made(picture: bytes, name: str = "a") -> Dataset:
        columns = {"image": [{"bytes": picture, "path": None}], "image_id": [name], "group": ["g"]}
        return Dataset.from_dict(columns, features=records.features(columns))

    assert records.fingerprint(made(b"x")) == records.fingerprint(made(b"x"))
    assert len({records.fingerprint(made(*args)) for args in ((b"x",), (b"y",), (b"x", "b"))}) == 3


def test_near_names_are_suggested():
    assert "Did you mean landmarks/london" in str(
        unknown_name("task", "landmark/london", ["landmarks/london", "pose/x"])
    )
    assert "Known: a, b" in str(unknown_name("task", "zzz", ["b", "a"]))


def test_baselines_keep_the_encoder_protocol():
    from paco_eval.encoders.baselines import Constant, Pixels

    assert isinstance(Pixels(), Encoder) and isinstance(Constant(), Encoder)


@pytest.mark.parametrize(
    "module", ["paco_fr", "paco_fr.contracts", "tasks", "tasks.registry", "paco_eval", "paco_eval.cli"]
)
def test_light_modules_import_nothing_heavy(module):
    heavy = ["torch", "numpy", "pandas", "sklearn", "scipy", "datasets", "timm", "matplotlib", "pydantic"]
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_packages_depend_one_way():
    """paco_fr imports neither tasks nor paco_eval, tasks never paco_eval; only the command line prints."""
    import ast
    from pathlib import Path

    root = Path(__file__).parents[2]
    forbidden = {"paco_fr": {"tasks", "paco_eval"}, "tasks": {"paco_eval"}, "paco_eval": set()}
    for package, banned in forbidden.items():
        for path in (root / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.partition(".")[0] for name in names} & banned, path
                called = (
                    isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
                )
                assert not called, f"{path} prints"
