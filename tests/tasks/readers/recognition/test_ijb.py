"""IJB layout: a miniature, and each way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.recognition.ijb import read_faces, read_search, read_template_pairs

POINTS = "10.5 20 30 20 20 30 12 40 28 40"
FILES = {
    "ijbc_face_tid_mid.txt": "1.jpg 1 69544\n2.jpg 1 69544\n3.jpg 2 7\n",
    "ijbc_name_5pts_score.txt": f"1.jpg {POINTS} 0.99\n2.jpg {POINTS} 0.5\n3.jpg {POINTS} 1\n",
    "ijbc_template_pair_label.txt": "1 2 0\n1 1 1\n",
    "ijbc_1N_gallery_G1.csv": "TEMPLATE_ID,SUBJECT_ID,FILENAME\n1,70,img/1.png\n1,70,frames/2.png\n",
    "ijbc_1N_gallery_G2.csv": "TEMPLATE_ID,SUBJECT_ID\n2,71\n",
    "ijbc_1N_probe_mixed.csv": "TEMPLATE_ID,SUBJECT_ID\n3,70\n4,71\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "IJBC/loose_crop").mkdir(parents=True)
    (tmp_path / "IJBC/meta").mkdir()
    for name, text in FILES.items():
        (tmp_path / "IJBC/meta" / name).write_text(text)
    return tmp_path


def change(root: Path, name: str, text: str) -> None:
    (root / "IJBC/meta" / name).write_text(text)


def test_miniature(root: Path) -> None:
    records = read_faces(root, "ijbc", whole=False)
    assert records["template"][:] == ["1", "1", "2"]
    assert records["media"][:] == ["69544", "69544", "7"]
    assert records["detector_score"][:] == pytest.approx([0.99, 0.5, 1.0])
    assert records[0]["landmarks"][0] == [10.5, 20]
    assert records[2]["image"]["path"].endswith("loose_crop/3.jpg")
    pairs = read_template_pairs(root, "ijbc")
    assert (pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist()) == (
        [1, 1],
        [2, 1],
        [False, True],
    )
    found = read_search(root, "ijbc")
    assert (found.gallery.tolist(), found.gallery_subject.tolist()) == ([1, 2], [70, 71])
    assert found.gallery_set.tolist() == [0, 1]
    assert (found.probe.tolist(), found.probe_subject.tolist()) == ([3, 4], [70, 71])
    with pytest.raises(PacoError, match="3 pictures, ijbc has 469375"):
        read_faces(root, "ijbc")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("face_tid_mid.txt", "1.jpg 1\n2.jpg 1 6\n3.jpg 2 7\n", "line 1: 2 columns"),
        (
            "face_tid_mid.txt",
            "1.jpg 1 6\n2.jpg one 6\n3.jpg 2 7\n",
            "line 2: template and medium are numbers",
        ),
        ("face_tid_mid.txt", "1.jpg 1 6\n2.jpg -1 6\n3.jpg 2 7\n", "line 2: template and medium are numbers"),
        ("face_tid_mid.txt", "1.jpg 1 6\n", "name_5pts_score.txt: 3 lines"),
        ("face_tid_mid.txt", "1.jpg 1 6\n9.jpg 1 6\n3.jpg 2 7\n", "line 2: names '2.jpg'"),
        (
            "name_5pts_score.txt",
            f"1.jpg {POINTS} 0.99\n2.jpg {POINTS}\n3.jpg {POINTS} 1\n",
            "line 2: expected 11",
        ),
        (
            "name_5pts_score.txt",
            f"1.jpg {POINTS} 1.5\n2.jpg {POINTS} 1\n3.jpg {POINTS} 1\n",
            "line 1: detector",
        ),
        (
            "name_5pts_score.txt",
            f"1.jpg {POINTS} nan\n2.jpg {POINTS} 1\n3.jpg {POINTS} 1\n",
            "line 1: .*no coord",
        ),
    ],
)
def test_bad_picture_lists(root: Path, name: str, text: str, message: str) -> None:
    change(root, f"ijbc_{name}", text)
    with pytest.raises(PacoError, match=message) as caught:
        read_faces(root, "ijbc", whole=False)
    assert "Restore the original meta files" in str(caught.value)


def test_duplicates_and_climbing_paths(root: Path) -> None:
    change(root, "ijbc_face_tid_mid.txt", "1.jpg 1 6\n1.jpg 1 6\n3.jpg 2 7\n")
    change(root, "ijbc_name_5pts_score.txt", f"1.jpg {POINTS} 1\n1.jpg {POINTS} 1\n3.jpg {POINTS} 1\n")
    with pytest.raises(PacoError, match=r"line 2: 1\.jpg stands already in line 1"):
        read_faces(root, "ijbc", whole=False)
    for name in ("../../x.jpg", "/etc/passwd", "a/../../../b.jpg"):
        change(root, "ijbc_face_tid_mid.txt", f"{name} 1 6\n")
        change(root, "ijbc_name_5pts_score.txt", f"{name} {POINTS} 1\n")
        with pytest.raises(PacoError, match="leads out of its folder"):
            read_faces(root, "ijbc", whole=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as pairs"),
        ("1 2 0\n1 2\n", "line 2: expected template, template and 0 or 1"),
        ("1 2 0 4\n", "line 1: expected"),
        ("1 2 0\n1 2 2\n", "line 2: label 2 is neither 0 nor 1"),
        ("1 2 0\none 2 1\n", "line 2: expected"),
        ("1,2,0\n", "line 1: expected"),
    ],
)
def test_bad_pairs(root: Path, text: str, message: str) -> None:
    change(root, "ijbc_template_pair_label.txt", text)
    with pytest.raises(PacoError, match=rf"ijbc_template_pair_label\.txt.*{message}"):
        read_template_pairs(root, "ijbc")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("1N_gallery_G1.csv", "TEMPLATE_ID,SUBJECT_ID\n1,70\n1,71\n", "line 3: template 1 shows subject 71"),
        (
            "1N_gallery_G1.csv",
            "TEMPLATE_ID,SUBJECT_ID\n1,70\n5,70\n",
            "a subject has two templates in gallery G1",
        ),
        ("1N_gallery_G2.csv", "TEMPLATE_ID,SUBJECT_ID\n1\n", "line 2: expected template and subject"),
        ("1N_probe_mixed.csv", "TEMPLATE_ID,SUBJECT_ID\nx,3\n", "line 2: expected"),
        ("1N_probe_mixed.csv", "TEMPLATE_ID,SUBJECT_ID\n", "lists no templates"),
    ],
)
def test_bad_searches(root: Path, name: str, text: str, message: str) -> None:
    change(root, f"ijbc_{name}", text)
    with pytest.raises(PacoError, match=message):
        read_search(root, "ijbc")


def test_missing_or_packed(root: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="stopped distributing"):
        read_faces(root, "ijbb")
    (tmp_path / "IJBB.tar").write_bytes(b"")
    with pytest.raises(MissingDataError, match=r"IJBB\.tar is a file.*Unpack"):
        read_template_pairs(root, "ijbb")
    (root / "IJBC/meta/ijbc_template_pair_label.txt").unlink()
    with pytest.raises(MissingDataError, match="ijbc_template_pair_label"):
        read_template_pairs(root, "ijbc")
    (root / "IJBC/loose_crop").rmdir()
    with pytest.raises(MissingDataError, match="loose_crop is missing"):
        read_faces(root, "ijbc", whole=False)


def test_long_pair_lists_are_read_whole(root: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (20_000, 3))
    change(root, "ijbc_template_pair_label.txt", "\n".join(" ".join(map(str, row)) for row in rows.tolist()))
    found = read_template_pairs(root, "ijbc")
    np.testing.assert_array_equal(np.stack([found.first, found.second, found.same], axis=1), rows)
