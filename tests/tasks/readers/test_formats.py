"""Point and pose files: pts, AFLW2000 .mat; every genuine file of a benchmark has its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from paco_fr.faces.rotation import angles_from_rotation, rotation_from_angles
from paco_fr.utils.errors import PacoError
from tasks.readers.expression.ferplus import read_labels
from tasks.readers.landmarks.pts import read_pts
from tasks.readers.pose.aflw2000 import read_mat, within
from tasks.readers.recognition.lfw import read_pairs


@pytest.fixture(scope="module")
def formats(data_root: Path) -> Path:
    folder = data_root / "annotation_formats"
    if not folder.is_dir():
        pytest.skip(f"no genuine label files: {folder} does not exist")
    return folder


# --- pts ---------------------------------------------------------------------------------------------


def test_pts_counts_from_zero_and_tolerates_blanks(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    for text in (
        "version: 1\nn_points: 2\n{\n1 1\n3.5 2\n}",
        "version: 1\r\nn_points:  2 \r\n{\r\n 1  1 \r\n3.5\t2\r\n}\r\n\r\n",
        "\ufeffversion: 1\nn_points:2\n\n{\n\n1 1\n3.5 2\n}\n",
    ):
        path.write_bytes(text.encode())
        assert np.array_equal(read_pts(path, 2), [[0, 0], [2.5, 1]])
    assert np.array_equal(read_pts(path, None, one_based=False), [[1, 1], [3.5, 2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no points between braces"),
        ("n_points: 2\n{\n1 1\n2 2\n", "line 4: no points between braces"),
        ("{\n1 1\n2 2\n}", "line 1: no single 'n_points: K'"),
        ("n_points: 2\n{\n1 1\n}", "line 4: 1 points, but n_points says 2"),
        ("n_points: 3\n{\n1 1\n2 2\n3 3\n}", "holds 3 points, expected 2"),
        ("n_points: 2\n{\n1 1\n2 x\n}", "line 4: '2 x' is not made of numbers"),
        ("n_points: 2\n{\n1 1\n2 2 2\n}", "line 4: expected 2 numbers, found 3"),
        ("n_points: 2\n{\n1 1\n2 inf\n}", "line 4: .* no coordinate"),
    ],
)
def test_pts_errors(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "face.pts"
    path.write_text(text)
    with pytest.raises(PacoError, match=message) as caught:
        read_pts(path, 2)
    assert "face.pts" in str(caught.value)


def test_genuine_pts(formats: Path) -> None:
    for name, count in (("einstein", 68), ("breakingbad", 68), ("takeo", 68), ("tongue", 19)):
        assert read_pts(formats / f"pts_ljson/{name}.pts", count).shape == (count, 2)
    einstein = read_pts(formats / "pts_ljson/einstein.pts")
    assert np.allclose(einstein[0], (356.417253, 307.455774))
    with pytest.raises(PacoError, match="holds 19 points, expected 68"):
        read_pts(formats / "pts_ljson/tongue.pts")


# --- AFLW2000 ----------------------------------------------------------------------------------------


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


READERS: dict[str, Callable[[Path], object]] = {
    "*.mat": read_mat,
    "*.pts": lambda path: read_pts(path, None),
    "label.csv": lambda path: read_labels(path, "train"),
    "pairs.txt": read_pairs,
}


def test_every_genuine_file_has_a_reader(formats: Path) -> None:
    of_no_benchmark = ("*.ljson", "*.xml", "*.npy", "fer2013new.csv")  # menpo's, dlib's, 3DDFA's, other votes
    files = [
        path
        for path in sorted(formats.rglob("*"))
        if path.is_file() and not any(path.match(pattern) for pattern in of_no_benchmark)
    ]
    assert len(files) >= 24
    for path in files:
        readers = [reader for pattern, reader in READERS.items() if path.match(pattern)]
        assert len(readers) == 1, path
        assert readers[0](path) is not None
