"""Readers and passports of the benchmarks on miniatures, whole and incomplete."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from paco_fr.faces.rotation import angles_from_rotation
from paco_fr.utils.errors import PacoError
from tasks.data_check import passport
from tasks.readers.pose.head_pose import read_biwi_pose, test_square
from tasks.registry import all_tasks
from tests.tasks.readers.damage import Copied, read

test_square.__test__ = False  # a square to test on, not a test


WFLW = "WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt"
ATTR, EVAL = "CelebA/Anno/list_attr_celeba.txt", "CelebA/Eval/list_eval_partition.txt"
MARKS = "CelebA/Anno/list_landmarks_align_celeba.txt"
BIWI, COFW = "BIWI/01/frame_00003_pose.txt", "COFW/COFW_test_color.mat"


def test_paths_out_of_celeba_are_refused(copied: Copied) -> None:
    root = copied("attributes/celeba")
    for file in (ATTR, EVAL, MARKS):
        path = root / file
        path.write_text(path.read_text().replace("000001.jpg", "../000001.jpg"))
    with pytest.raises(PacoError, match="leads out of its folder"):
        read("attributes/celeba", root)


def test_cofw_of_another_shape(copied: Copied) -> None:
    root = copied("landmarks/cofw")
    with h5py.File(root / COFW, "r+") as file:
        del file["phisT"]
        file["phisT"] = np.zeros((58, 16))
    with pytest.raises(PacoError, match="phisT is not 87 finite numbers"):
        read("landmarks/cofw", root)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("landmarks/300w", "300W/ibug/image_0002.jpg"),
        ("expression/rafdb", "RAF-DB/basic/Image/aligned/test_00001_aligned.jpg"),
        ("pose/aflw2000", "AFLW2000/image00001.jpg"),
    ],
)
def test_a_broken_and_an_absent_picture_are_counted(name: str, image: str, copied: Copied) -> None:
    root = copied(name)
    (root / image).write_bytes((root / image).read_bytes()[:300])
    other = next(
        path for path in sorted((root / image).parent.glob("*.jpg")) if path.name != Path(image).name
    )
    other.unlink()
    assert len(read(name, root)) > 0
    found = passport(all_tasks()[name], root)
    assert list(found.broken) == [str(root / image)]
    assert found.absent == 1
    assert "miniature again" in found.remedy


def test_heads_have_the_points_that_perturbations_are_anchored_to(copied: Copied) -> None:
    known = read("pose/aflw2000", copied("pose/aflw2000"))
    assert set(known["scheme"]) == {"ibug68"}
    for points, (x0, y0, x1, y1) in zip(known["landmarks"], known["box"], strict=True):
        middle = np.median(np.array(points), axis=0)
        assert np.shape(points) == (68, 2) and x0 < middle[0] < x1 and y0 < middle[1] < y1


def test_points_are_left_out_beside_heads_that_have_none(copied: Copied) -> None:
    assert "landmarks" not in read("pose/biwi", copied("pose/biwi")).column_names


def test_counts_are_held_against_the_official_ones(copied: Copied) -> None:
    root = copied("landmarks/wflw")
    (root / "WFLW/mimic.json").unlink()  # now it poses as the real set
    found = passport(all_tasks()["landmarks/wflw"], root)
    assert found.data_kind == "official"
    assert found.differences["train"] == (7_500, 16)
    assert found.differences["blur"][0] == 773
    assert "compare with the official list" in found.remedy


def test_a_picture_in_train_and_test_is_told(copied: Copied) -> None:
    root = copied("expression/rafdb")
    images = root / "RAF-DB/basic/Image/aligned"
    shutil.copy(images / "train_00001_aligned.jpg", images / "test_00001_aligned.jpg")
    assert passport(all_tasks()["expression/rafdb"], root).shared == 1


def test_signs_of_bad_copies(copied: Copied) -> None:
    root = copied("landmarks/300w")
    shutil.copy(root / "300W/ibug/image_0002.jpg", root / "300W/ibug/image_0002_mirror.jpg")
    found = passport(all_tasks()["landmarks/300w"], root)
    assert "mirrored" in found.known_bad[0]
    assert found.sound


def test_biwi_angles_have_the_signs_of_300w_lp(copied: Copied) -> None:
    """What the miniature wrote is what the 300W-LP files of the same kind of faces say."""
    root = copied("pose/biwi-70-30")
    path = root / BIWI
    angles, place = read_biwi_pose(path)
    matrix = np.array([[float(v) for v in row.split()] for row in path.read_text().split("\n")[:3]])
    R = matrix.T  # read as public loaders do
    yaw = -np.degrees(np.arctan2(-R[2, 0], np.hypot(R[2, 1], R[2, 2])))
    pitch, roll = np.degrees(np.arctan2(R[2, 1], R[2, 2])), -np.degrees(np.arctan2(R[1, 0], R[0, 0]))
    assert np.allclose(angles, [yaw, pitch, roll], atol=1e-4)
    assert place[2] > 0
    found = read("pose/biwi-70-30", root)
    stored = np.stack([found[name][:] for name in ("yaw", "pitch", "roll")], axis=-1)
    assert np.allclose(angles_from_rotation(np.array(found["rotation"][:])), stored, atol=1e-3)


def test_the_test_square_follows_the_published_order() -> None:
    x0, y0, x1, y1 = 10.0, 20.0, 110.0, 100.0
    k = 0.2
    left = x0 - 2 * k * (x1 - x0)
    top = y0 - 2 * k * (y1 - y0)
    right = x1 + 2 * k * (x1 - left)
    bottom = y1 + 0.6 * k * (y1 - top)
    side = 224 / 256 * min(right - left, bottom - top)
    square = test_square(np.array([[x0, y0], [x1, y1], [50, 60]]))
    assert square[2] - square[0] == pytest.approx(side)
    assert square[3] - square[1] == pytest.approx(side)
    assert (square[0] + square[2]) / 2 == pytest.approx((left + right) / 2)
    assert (square[1] + square[3]) / 2 == pytest.approx((top + bottom) / 2)


def test_wflw_photographs_shared_by_parts_keep_their_parts(copied: Copied) -> None:
    root = copied("landmarks/wflw")
    lists = [root / WFLW.replace("_train.txt", f"_{part}.txt") for part in ("train", "test")]
    one = lists[0].read_text().split("\n")[0].split()[-1]
    lines = lists[1].read_text().split("\n")
    lines[0] = " ".join([*lines[0].split()[:-1], one])
    lists[1].write_text("\n".join(lines))
    found = read("landmarks/wflw", root)
    groups = {row["group"] for row in found if row["image"]["path"].endswith(one)}
    assert groups == {f"train:{one}", f"test:{one}"}
