"""One bad label names its file and face; a face that alone cannot be cut is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from paco_fr.contracts import CROPS
from paco_fr.utils.errors import FormatError
from tasks.readers.files import inside, read_lines, to_records
from tasks.registry import all_tasks
from tasks.task import resolve
from tasks.units import units_of

POINTS = [[10.0, 10.0], [20.0, 10.0], [15.0, 15.0], [11.0, 20.0], [19.0, 20.0]]


def row(number: int, **changes: object) -> dict[str, object]:
    name = f"face{number}"
    known = {"image": "a.png", "image_id": name, "group": name, "box": [1.0, 2, 30, 40], "landmarks": POINTS}
    return {**known, "scheme": "five", **changes}


NAN = float("nan")
BAD = {
    "far": {"landmarks": [[1e300, 1.0], *POINTS[1:]]},
    "infinite": {"landmarks": [[float("inf"), 1.0], *POINTS[1:]]},
    "half known": {"landmarks": [[NAN, 1.0], *POINTS[1:]]},
    "alike": {"landmarks": [[5.0, 5.0]] * 5},
    "alike but for unknown ones": {"landmarks": [[NAN, NAN], *[[5.0, 5.0]] * 4]},
    "inside out": {"box": [30.0, 2, 1, 40]},
    "no height": {"box": [1.0, 2, 30, 2]},
    "no number": {"box": [1.0, NAN, 30, 40]},
    "box far away": {"box": [1.0, 2, 1e300, 40]},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_label_that_is_none_names_file_and_face(change: dict[str, object]) -> None:
    """A point of 1e300, points all alike or a box inside out ended a whole task without file or face."""
    with pytest.raises(
        FormatError, match=r"labels\.txt: face 'face1': .*\(2 such faces in all\).* Correct or remove"
    ):
        to_records([row(0), row(1, **change), row(2), row(3, **change)], "labels.txt")


def test_labels_at_the_edge_are_taken() -> None:
    unknown = row(1, landmarks=[[NAN, NAN], *POINTS[1:]])
    outside = row(2, box=[-50.0, -60, 20_000, 30_000])
    assert len(to_records([row(0), unknown, outside], "labels.txt")) == 3
    one = [{"image": "a", "image_id": "a", "group": "a", "landmarks": [[1.0, 2.0]], "scheme": "one"}]
    assert len(to_records(one, "labels.txt")) == 1


def test_a_bad_point_of_a_benchmark_is_named(copied: Callable[[str], Path]) -> None:
    root = copied("pose/aflw2000")
    path = sorted((root / "AFLW2000").glob("*.mat"))[2]
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
    content["pt3d_68"][0, 5] = 1e300
    savemat(path, content)
    task = all_tasks()["pose/aflw2000"]
    with pytest.raises(FormatError, match=path.stem):
        resolve(task.reader)(root, **task.reader_options)


def test_a_face_that_cannot_be_cut_leaves_the_others() -> None:
    """Five points of which the crop knows none apart: its transform is NaN, cutting fails and is counted."""
    records = to_records([row(0), row(1)], "labels.txt")

    def alike(face: dict) -> dict:
        return {"landmarks": [[5.0, 5.0]] * 5} if face["image_id"] == "face1" else {}

    spoilt = records.map(alike, features=records.features)
    transforms = units_of(spoilt, CROPS["arcface"]).transforms
    assert np.isfinite(transforms[0]).all() and np.isnan(transforms[1]).all()


def test_names_that_cannot_be_followed_are_told(tmp_path: Path) -> None:
    """Links in a circle and a NUL in a name got out as tracebacks."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for name in ("a/x.jpg", "x\0.jpg"):
        with pytest.raises(FormatError, match=r"list\.txt: .*cannot be followed"):
            inside(tmp_path, name, tmp_path / "list.txt")
    for content, what in (
        (b"a\0b\n", "NUL"),
        (b"\xff\xfe\n", "as text"),
        (b"x" * 1_100_000, "a line of over"),
    ):
        (tmp_path / "list.txt").write_bytes(content)
        with pytest.raises(FormatError, match=what):
            read_lines(tmp_path / "list.txt")
