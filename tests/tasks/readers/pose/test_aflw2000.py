"""Pose and points in the .mat files of AFLW2000-3D."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from paco_fr.faces.rotation import angles_from_rotation, rotation_from_angles
from paco_fr.utils.errors import PacoError
from tasks.readers.pose.aflw2000 import read_fields, read_mat, within
from tasks.readers.pose.head_pose import field_square, fsanet_box, read_protocol1
from tasks.readers.pose.head_pose import test_square as square_of
from tests.oracles import crops


def pose_file(path: Path, pose: np.ndarray | None = None, points: np.ndarray | None = None) -> Path:
    pose = np.array([[0.1, -0.2, 0.3, 0, 0, 0, 1]]) if pose is None else pose
    points = np.arange(204.0).reshape(3, 68) if points is None else points
    savemat(path, {"Pose_Para": pose, "pt3d_68": points})
    return path


def test_mat_angles_are_named_and_in_degrees(tmp_path: Path) -> None:
    face = read_mat(pose_file(tmp_path / "a.mat"))
    assert np.allclose(face.angles, np.degrees([-0.2, 0.1, 0.3]))
    assert np.array_equal(face.points[1], [1, 69])


def test_mat_errors(tmp_path: Path) -> None:
    bad = {
        "text": b"not matlab",
        "empty": b"",
        "cut": pose_file(tmp_path / "cut").read_bytes()[:700],
        "v73": b"MATLAB 7.3 MAT-file" + b" " * 105 + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n",
    }
    for name, data in bad.items():
        path = tmp_path / f"{name}.mat"
        path.write_bytes(data)
        with pytest.raises(PacoError, match=rf"{name}\.mat: "):
            read_mat(path)
    for name, pose, points in (
        ("short", np.zeros((1, 6)), None),
        ("nan", np.full((1, 7), np.nan), None),
        ("flat", None, np.zeros((2, 68))),
    ):
        with pytest.raises(PacoError, match="finite numbers"):
            read_mat(pose_file(tmp_path / f"{name}.mat", pose, points))
    savemat(tmp_path / "other.mat", {"x": 1})
    with pytest.raises(PacoError, match="no field Pose_Para"):
        read_mat(tmp_path / "other.mat")


def test_filter_is_inclusive(tmp_path: Path) -> None:
    assert within([[99.0, 0, -99.0], [0, 99.001, 0]]).tolist() == [True, False]
    far = read_mat(pose_file(tmp_path / "b.mat", np.array([[0, np.radians(-150.0), 0, 0, 0, 0, 1]])))
    assert far.angles[0] == pytest.approx(-150, abs=1e-4), "as stored, not folded by a rotation"
    assert not within(far.angles)


def test_genuine_aflw2000(formats: Path) -> None:
    files = sorted((formats / "aflw2000_3d").glob("*.mat"))
    assert len(files) == 16
    faces = [read_mat(path) for path in files]
    points, angles = np.stack([face.points for face in faces]), np.stack([face.angles for face in faces])
    assert (points > 0).all()
    assert (points < 450).all()
    turns = np.stack([rotation_from_angles(*face) for face in angles])
    assert np.allclose(angles_from_rotation(turns), angles, atol=1e-3)
    # The signs of rotation.py: yaw positive turns the nose to the left of the picture, seen from the
    # middle of the head; roll positive lowers the eye on the right.
    turned = np.abs(angles[:, 0]) > 30
    nose = points[:, 30, 0] - points[:, [0, 16], 0].mean(axis=1)
    assert (np.sign(nose[turned]) == -np.sign(angles[turned, 0])).all()
    rolled = (np.abs(angles[:, 2]) > 5) & ~turned
    eyes = points[:, 42:48, 1].mean(axis=1) - points[:, 36:42, 1].mean(axis=1)
    assert (np.sign(eyes[rolled]) == np.sign(angles[rolled, 2])).all()


# --- the field's crops ------------------------------------------------------------------------------------------------


def pt2d(path: Path) -> np.ndarray:
    return read_fields(path, {"pt2d": (2, 21)})["pt2d"].T


def test_the_fields_square_of_genuine_files(data_root: Path) -> None:
    """The square was that of 68 points, a third smaller where hidden points of pt2d count as (-1, 452)."""
    folder = data_root / "annotation_formats/aflw2000_3d"
    if not folder.is_dir():
        pytest.skip("no genuine label files here")
    sides = {}
    for path in sorted(folder.glob("*.mat")):
        points = pt2d(path)
        x0, y0, x1, y1 = field_square(points, "6drepnet")
        assert x1 - x0 == pytest.approx(y1 - y0)
        oracle = crops.sixdrepnet_test(points.tolist())
        np.testing.assert_allclose([x0, y0, x1, y1], oracle, atol=1e-9)
        np.testing.assert_allclose(fsanet_box(points), crops.fsanet(points.tolist(), 450), atol=1e-9)
        sides[path.stem] = x1 - x0
    assert round(sides["image04331"]) == 347
    ours = read_mat(folder / "image04331.mat").points
    assert round(float(np.ptp(square_of(ours)[::2]))) == 210
    hidden = [side for name, side in sides.items() if (pt2d(folder / f"{name}.mat") < 0).any()]
    assert len(hidden) == 12 and min(hidden) > 330


def test_training_crops_are_drawn_once_a_picture(miniatures: Path) -> None:
    """Training squares were the test squares; the field draws k and widens a third as far to the sides."""
    records = read_protocol1(miniatures, "aflw2000", "6drepnet")
    train = [record for record in records.remove_columns("image") if record["split"] == "train"]
    again = read_protocol1(miniatures, "aflw2000", "6drepnet").remove_columns("image")
    assert [record["box"] for record in again][: len(train)] == [record["box"] for record in train]
    drawn = []
    for record in train:
        k = crops.train_k(record["landmarks"], record["box"])
        assert 0.19 < k < 0.41
        drawn.append(k)
    assert np.ptp(drawn) > 0.1
