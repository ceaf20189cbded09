"""Readers of the benchmarks against damaged data: file, line and remedy are named, and nothing leaves its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from datasets import Dataset
from scipy.io import loadmat, savemat

from paco_fr.errors import MissingDataError, PacoError
from paco_fr.rotation import angles_from_rotation
from tasks.mimics import WRITERS
from tasks.passport import passport
from tasks.readers.head_pose import read_biwi_pose, test_square
from tasks.registry import all_tasks
from tasks.task import resolve

test_square.__test__ = False  # a square to test on, not a test

Copied = Callable[[str], Path]


def read(name: str, root: Path) -> Dataset:
    task = all_tasks()[name]
    found: Dataset = resolve(task.reader)(root, **task.reader_options)
    return found


def line(number: int, change: Callable[[str], str]) -> Callable[[Path], None]:
    """Return an edit of one line of a text file, counted from 1; an empty result drops the line."""

    def edit(path: Path) -> None:
        lines = path.read_text().split("\n")
        lines[number - 1 : number] = [text for text in [change(lines[number - 1])] if text]
        path.write_text("\n".join(lines))

    return edit


def first_word(word: str) -> Callable[[str], str]:
    return lambda text: " ".join([word, *text.split()[1:]])


def last_word(word: str) -> Callable[[str], str]:
    return lambda text: " ".join([*text.split()[:-1], word])


def mat(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
        content[name] = change(content[name])
        savemat(path, content)

    return edit


def renamed(names: np.ndarray) -> np.ndarray:
    names[0, 0] = np.array(["../../../outside.jpg"])
    return names


def garbage(path: Path) -> None:
    path.write_bytes(b"nothing of the kind")


def npy(value: object) -> Callable[[Path], None]:
    return lambda path: np.save(path, np.array(value), allow_pickle=True)


WFLW = "WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt"
RAF = "RAF-DB/basic/EmoLabel/list_patition_label.txt"
AFFECT = "AffectNet/train_set/annotations/3_exp.npy"
ATTR, EVAL = "CelebA/Anno/list_attr_celeba.txt", "CelebA/Eval/list_eval_partition.txt"
MARKS = "CelebA/Anno/list_landmarks_align_celeba.txt"
BIWI, CAL = "BIWI/01/frame_00003_pose.txt", "BIWI/01/rgb.cal"
LP, AFLW = "300W_LP/AFW/AFW_image_0000_0.mat", "AFLW19/AFLWinfo_release.mat"
PTS, COFW = "300W/ibug/image_0002.pts", "COFW/COFW_test_color.mat"
FER = "ferplus/FER2013Valid/label.csv"

DAMAGE = [
    ("landmarks/wflw", WFLW, line(2, lambda text: text.rpartition(" ")[0]), "train.txt, line 2: 206 columns, expected 207"),
    ("landmarks/wflw", WFLW, line(3, first_word("x")), "train.txt, line 3: .* is not made of numbers"),
    ("landmarks/wflw", WFLW, line(1, last_word("../../up.jpg")), "leads out of its folder"),
    ("landmarks/wflw", WFLW, line(1, lambda t: t.replace(f" {t.split()[205]} {t.split()[206]}", f" 2 {t.split()[206]}")),
     "line 1: flags .* are not all 0 or 1"),
    ("landmarks/wflw", WFLW, line(4, lambda t: " ".join([*t.split()[:196], "9", "9", "9", "9", *t.split()[200:]])),
     "line 4: the box .* has no extent"),
    ("landmarks/300w", PTS, line(2, lambda _: "n_points: 51"), "holds 51 points, expected 68"),
    ("landmarks/300w", PTS, line(9, lambda _: "1 2 3"), r"image_0002\.pts, line 9: expected 2 numbers"),
    ("landmarks/cofw", COFW, garbage, "COFW_test_color.mat: is not COFW's Matlab 7.3 file"),
    ("landmarks/aflw19", AFLW, garbage, "is not AFLW's Matlab 5 file"),
    ("landmarks/aflw19", AFLW, mat("ra", lambda ra: ra * 0 + 1), "ra is no order of the"),
    ("landmarks/aflw19", AFLW, mat("data", lambda data: data[:, :10]), "data is .*, expected 32 x 38"),
    ("landmarks/aflw19", AFLW, mat("bbox", lambda box: box[:, [1, 0, 2, 3]]), "the box has no extent"),
    ("landmarks/aflw19", AFLW, mat("nameList", renamed), "leads out of its folder"),
    ("pose/aflw2000", LP, garbage, r"_0\.mat: is not a Matlab 5 file"),
    ("pose/aflw2000", LP, mat("pt2d", lambda points: points[:, :21]), "pt2d is not 2 x 68 finite numbers"),
    ("pose/aflw2000", "AFLW2000/image00001.mat", mat("Pose_Para", lambda pose: pose * np.nan), "finite numbers"),
    ("pose/biwi", BIWI, line(1, lambda _: "1 2"), r"frame_00003_pose\.txt, line 1: expected 3 numbers"),
    ("pose/biwi", BIWI, line(2, lambda _: "9 9 9"), "no rotation matrix"),
    ("pose/biwi-70-30", BIWI, line(5, lambda _: "1 2 -800"), "-800 mm before the camera"),
    ("pose/biwi-70-30", BIWI, lambda path: path.write_text("1 0 0\n"), "1 lines of numbers, expected at least 4"),
    ("pose/biwi", CAL, lambda path: path.unlink(), r"rgb\.cal is missing"),
    ("expression/rafdb", RAF, line(3, lambda text: text + " 4"), "label.txt, line 3: 3 columns"),
    ("expression/rafdb", RAF, line(2, last_word("11")), "line 2: label '11' is not 1 to 7. it belongs to the compound"),
    ("expression/rafdb", RAF, line(2, last_word("0")), "line 2: label '0' is not 1 to 7"),
    ("expression/rafdb", RAF, line(2, first_word("train_00001.jpg")), "line 2: train_00001.jpg stands already in line 1"),
    ("expression/rafdb", RAF, line(1, first_word("train_/../../../x.jpg")), "leads out of its folder"),
    ("expression/rafdb", RAF, line(1, first_word("valid_00001.jpg")), "line 1: .* neither train_ nor test_"),
    ("expression/affectnet8", AFFECT, garbage, r"3_exp\.npy: is not an \.npy file with one label"),
    ("expression/affectnet8", AFFECT, npy("9"), "label .* is not one from 0 to 7"),
    ("expression/affectnet7", AFFECT, npy({"a": print}), "is not an .npy file with one label .*pickle"),
    ("expression/fer2013", "FER2013/fer2013.csv", line(1, lambda _: "a,b"), "line 1: the header"),
    ("expression/fer2013", "FER2013/fer2013.csv", line(2, lambda t: "7" + t[1:]), "line 2: label '7' is not 0 to 6"),
    ("expression/fer2013", "FER2013/fer2013.csv", line(3, lambda t: t.replace(" ", "", 1)), "line 3: 2303 pixels"),
    ("expression/fer2013", "FER2013/fer2013.csv", line(2, lambda t: t + ",x"), "line 2: 4 columns"),
    ("expression/fer2013", "FER2013/fer2013.csv", line(2, lambda t: t.replace("Training", "Test")), "line 2: usage 'Test'"),
    ("expression/ferplus", FER, line(2, lambda t: t.rpartition(",")[0]), "line 2: 11 columns, expected 12"),
    ("expression/ferplus", FER, line(2, lambda t: "../" + t), "line 2: an image name with a folder"),
    ("expression/ferplus", FER, line(3, lambda t: t.replace("fer0000002", "fer0000001")), "stands already in line 2"),
    ("attributes/celeba", ATTR, line(4, lambda text: text + " 1"), "line 4: 42 columns, expected 41"),
    ("attributes/celeba", ATTR, line(3, last_word("0")), "line 3: attributes of 000001.jpg are not all 1 or -1"),
    ("attributes/celeba", ATTR, line(1, lambda _: "7"), "line 1: expected the count 48"),
    ("attributes/celeba", ATTR, line(4, first_word("000001.jpg")), "line 4: 000001.jpg stands already in line 3"),
    ("attributes/celeba", EVAL, line(5, lambda _: ""), "000005.jpg .* is not in this list"),
    ("attributes/celeba", EVAL, line(5, last_word("3")), "line 5: part '3' is not 0, 1 or 2"),
    ("attributes/celeba", MARKS, line(4, last_word("x")), "line 4: values that are no whole numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "edit", "message"), DAMAGE)
def test_damage_is_named(
    name: str, file: str, edit: Callable[[Path], None], message: str, copied: Copied
) -> None:
    root = copied(name)
    edit(root / file)
    with pytest.raises(PacoError, match=message) as caught:
        read(name, root)
    assert Path(file).name in str(caught.value)
    found = passport(all_tasks()[name], root)
    assert not found.sound
    assert str(caught.value) in (found.problem, f"{found.problem}")


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


@pytest.mark.parametrize("name", sorted(name for name in WRITERS if not name.startswith("recognition/")))
def test_missing_and_packed_data(name: str, copied: Copied, tmp_path: Path) -> None:
    task = all_tasks()[name]
    with pytest.raises(MissingDataError):
        read(name, tmp_path / "nowhere")
    assert passport(task, None).missing == task.files
    root = copied(name)
    for folder in {Path(file).parts[0] for file in task.files}:
        shutil.rmtree(root / folder)
        (root / f"{folder}.zip").write_bytes(b"PK")
    with pytest.raises(MissingDataError, match=r"\.zip is a file; a folder .* is expected. Unpack"):
        read(name, root)
    absent = passport(task, root)
    assert absent.missing == task.files
    assert absent.remedy == task.obtain


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
