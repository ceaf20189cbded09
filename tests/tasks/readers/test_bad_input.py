"""Every reader against bad input: the message names file, line and remedy, and nothing leaves its folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.data_check import passport
from tasks.mimics import WRITERS
from tasks.registry import all_tasks
from tests.tasks.readers.damage import (
    Copied,
    Edit,
    copy_of,
    first_word,
    garbage,
    hostile,
    last_word,
    line,
    mat,
    npy,
    read,
    renamed,
    repeat,
)

WFLW = "WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt"
RAF = "RAF-DB/basic/EmoLabel/list_patition_label.txt"
AFFECT = "AffectNet/train_set/annotations/3_exp.npy"
ATTR, EVAL = "CelebA/Anno/list_attr_celeba.txt", "CelebA/Eval/list_eval_partition.txt"
MARKS = "CelebA/Anno/list_landmarks_align_celeba.txt"
BIWI, CAL = "BIWI/01/frame_00003_pose.txt", "BIWI/01/rgb.cal"
LP, AFLW = "300W_LP/AFW/AFW_image_0000_0.mat", "AFLW19/AFLWinfo_release.mat"
PTS, COFW = "300W/ibug/image_0002.pts", "COFW/COFW_test_color.mat"
FER = "ferplus/FER2013Valid/label.csv"
LISTS = "Challenge-condition-FER-dataset/RAF_DB_dir"
FIRST = "AffectNet/Manually_Annotated_file_lists/training.csv"
HQ, PIE = "CelebAMask-HQ", "Multi-PIE/data/session01/multiview/001/01/05_1"

DAMAGE = [
    ("landmarks/wflw", WFLW, line(2, lambda text: text.rpartition(" ")[0]), "train.txt, line 2: 206 columns, expected 207"),
    ("landmarks/wflw", WFLW, line(3, first_word("x")), "train.txt, line 3: .* is not made of numbers"),
    ("landmarks/wflw", WFLW, line(1, last_word("../../up.jpg")), "leads out of its folder"),
    ("landmarks/wflw", WFLW, line(1, lambda t: t.replace(f" {t.split()[205]} {t.split()[206]}", f" 2 {t.split()[206]}")),
     "line 1: flags .* are not all 0 or 1"),
    ("landmarks/wflw", WFLW, line(4, lambda t: " ".join([*t.split()[:196], "9", "9", "9", "9", *t.split()[200:]])),
     "line 4: the box .* has no extent"),
    ("landmarks/300w", PTS, line(2, lambda _: "n_points: 51"), "holds 51 points, expected 68"),
    ("landmarks/300w", PTS, line(2, lambda _: "n_points: " + "6" * 5_000), "no single 'n_points: K'"),
    ("landmarks/300w", PTS, line(9, lambda _: "1 2 3"), r"image_0002\.pts, line 9: expected 2 numbers"),
    ("landmarks/cofw", COFW, garbage, "COFW_test_color.mat: is not a Matlab 7.3 file"),
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
    ("expression/affectnet8", AFFECT, garbage, r"3_exp\.npy: is not an \.npy file"),
    ("expression/affectnet8", AFFECT, npy("9"), "one label from 0 to 7: '9'"),
    ("expression/affectnet7", AFFECT, npy({"a": print}), "holds object, not plain values"),
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
    ("attributes/celeba", MARKS, line(4, last_word("--5")), "line 4: values that are no whole numbers"),
    ("expression/rafdb_challenge", LISTS + "/rafdb_occlusion_list.txt", line(2, lambda _: "nothing 3 4"),
     "rafdb_occlusion_list.txt, line 2: 'nothing 3 4' does not hold one name"),
    ("expression/rafdb_challenge", LISTS + "/val_raf_db_list.txt", line(1, lambda _: "0/test_99999_aligned.jpg"),
     "names test_99999, which rafdb does not have"),
    ("expression/affectnet_challenge", FIRST, line(1, lambda text: text.replace("face_x", "x")), "line 1: the header lacks"),
    ("expression/affectnet_challenge", FIRST, line(2, lambda text: text + ",9"), "line 2: another number of columns"),
    ("expression/affectnet_challenge", FIRST, line(3, lambda t: t.rpartition(",")[0] + ",11"), "label '11' is not 0 to 10"),
    ("expression/affectnet_challenge", FIRST, line(2, lambda text: "../../" + text), "leads out of its folder"),
    ("expression/affectnet_challenge", FIRST, repeat(2, 3), "line 3: .* stands already in line 2"),
    ("expression/affectnet_challenge", FIRST, line(4, lambda t: ",".join([t.split(",")[0], "1", "1", "0", "5", "0"])),
     "line 4: the box of .* has no extent"),
    ("parsing/lapa", "LaPa/val/landmarks/00003_0.txt", line(1, lambda _: "68"), "line 1: expected the count 106"),
    ("parsing/lapa", "LaPa/val/landmarks/00003_0.txt", line(5, lambda _: "1 2 3"), "line 5: expected 2 numbers"),
    ("parsing/celebamask", HQ + "/list_eval_partition.txt", line(2, last_word("7")), "line 2: .* with 0, 1 or 2"),
    ("parsing/celebamask", HQ + "/CelebA-HQ-to-CelebA-mapping.txt", repeat(2, 3), "line 3: 0 stands already in line 2"),
    ("recognition/lfw", "lfw/pairs.txt", line(2, lambda text: text + "\t1"), "line 2: 4 columns, genuine pairs have 3"),
    ("recognition/lfw", "lfw/pairs.txt", line(3, lambda t: "../" + t), "line 3: .* is no name with a number"),
    ("recognition/lfw", "lfw/pairs.txt", repeat(2, 3), "line 3: .* stands twice"),
    ("recognition/mfr2", "mfr2/pairs.txt", line(2, lambda text: text + " 1 2"), "line 2: 5 columns"),
    ("recognition/mfr2", "mfr2/pairs.txt", line(3, lambda text: "../" + text), "line 3: .* is no name with a number"),
    ("recognition/mfr2", "mfr2/pairs.txt", lambda path: path.write_text(""), "pairs.txt: holds no pairs"),
    ("recognition/agedb_30", "verification/agedb_30.bin", hostile, "names .*system. Only .* are admitted"),
    ("recognition/mlfw", "verification/mlfw.bin", garbage, "is no whole pickle"),
    ("recognition/yale", "CroppedYale/yaleB12/yaleB11_P00A+000E+00.pgm",
     copy_of("../yaleB11/yaleB11_P00A+000E+00.pgm"), "shows yaleB11 in the folder of another"),
    ("recognition/multipie1", PIE + "/002_01_01_051_07.png", copy_of("001_01_01_051_07.png"), "is not of person 001"),
    ("recognition/ijbc", "IJBC/meta/ijbc_face_tid_mid.txt", line(2, lambda t: t + " 1"), "line 2: 4 columns"),
    ("recognition/ijbc", "IJBC/meta/ijbc_face_tid_mid.txt", line(3, first_word("../3.jpg")), "line 3"),
    ("recognition/ijbc", "IJBC/meta/ijbc_template_pair_label.txt", line(2, last_word("2")), "line 2: label 2 is neither 0 nor 1"),
    ("recognition/ijbb_search", "IJBB/meta/ijbb_1N_probe_mixed.csv", line(2, lambda _: "x,y,z"), "line 2: expected template"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "edit", "message"), DAMAGE)
def test_damage_is_named(name: str, file: str, edit: Edit, message: str, copied: Copied) -> None:
    root = copied(name)
    edit(root / file)
    with pytest.raises(PacoError, match=message) as caught:
        read(name, root)
    assert Path(file).name in str(caught.value)
    found = passport(all_tasks()[name], root)
    assert not found.sound
    assert str(caught.value) in (found.problem, f"{found.problem}")


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_every_missing_file_is_named_with_its_remedy(name: str, copied: Copied, tmp_path: Path) -> None:
    root, task = copied(name), all_tasks()[name]
    for file in task.files:
        (root / file).rename(tmp_path / "aside")
        with pytest.raises(MissingDataError, match=r"is missing\. [A-Z]\w+ \w+") as caught:
            read(name, root)
        assert file in str(caught.value)
        absent = passport(task, root)
        assert absent.missing == (file,)
        assert absent.remedy == task.obtain
        (tmp_path / "aside").rename(root / file)
    read(name, root)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_an_archive_in_place_of_a_folder_is_to_be_unpacked(name: str, copied: Copied, tmp_path: Path) -> None:
    root, task = copied(name), all_tasks()[name]
    folders = {Path(file).parts[0] for file in task.files}
    for folder in folders:
        shutil.rmtree(root / folder)
        (root / f"{folder}.zip").write_bytes(b"PK")
    with pytest.raises(MissingDataError, match=r"\.zip is a file; a folder .* is expected. Unpack"):
        read(name, root)
    for folder in folders:
        (root / f"{folder}.zip").rename(root / folder)
    with pytest.raises(MissingDataError, match=r"is a file; a folder .* is expected. Unpack"):
        read(name, root)
    with pytest.raises(MissingDataError):
        read(name, tmp_path / "nowhere")
    assert passport(task, None).missing == task.files


ONE_A_LAYOUT = sorted({all_tasks()[name].files: name for name in sorted(WRITERS)}.values())


@pytest.mark.parametrize("name", ONE_A_LAYOUT)
def test_a_data_root_may_have_a_name_that_is_no_utf_8(name: str, copied: Copied) -> None:
    """Paths went into tables as they were, which broke them with a traceback."""
    root = copied(name)
    root = root.rename(root.with_name(root.name + os.fsdecode(b"\xe9")))
    found = passport(all_tasks()[name], root, decode=True)
    assert found.sound, found.problem


@pytest.mark.parametrize("name", ONE_A_LAYOUT)
def test_a_picture_that_does_not_decode_is_counted_not_dropped(name: str, copied: Copied) -> None:
    root = copied(name)
    faces = read(name, root)
    path = faces[0]["image"]["path"]
    if path is None:
        assert all(cell["bytes"] for cell in faces["image"])  # kept inside a file that is read as a whole
        return
    Path(path).write_bytes(Path(path).read_bytes()[:40])
    assert len(read(name, root)) == len(faces)
    found = passport(all_tasks()[name], root)
    assert list(found.broken) == [path]
    assert not found.sound
