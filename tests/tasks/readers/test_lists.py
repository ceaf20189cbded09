"""Lists and folders: LFW pairs, FER+ votes, ORL, a user's own folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import encode_png, read_image
from paco_fr.faces.records import EXPRESSIONS
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.expression.ferplus import majority, read_ferplus, read_labels
from tasks.readers.files import read_lines
from tasks.readers.recognition.lfw import Pair, read_lfw, read_pairs
from tasks.readers.recognition.orl import read_orl
from tasks.readers.user.folder import read_people

PNG = encode_png(np.zeros((4, 4, 3), np.uint8))


# --- LFW ---------------------------------------------------------------------------------------------


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "lfw/pairs.txt"
    path.parent.mkdir()
    path.write_text("2\t1\nA_B\t1\t12\nA_B\t1\tC\t3\nC\t1\t2\nC\t1\tD.\t1\n")
    assert read_pairs(path) == [
        Pair("A_B/A_B_0001", "A_B/A_B_0012", True, 0),
        Pair("A_B/A_B_0001", "C/C_0003", False, 0),
        Pair("C/C_0001", "C/C_0002", True, 1),
        Pair("C/C_0001", "D./D._0001", False, 1),
    ]
    records = read_lfw(tmp_path)
    assert len(records) == 6
    assert records[1]["identity"] == "A_B"
    assert records[1]["image"]["path"].endswith("lfw/A_B/A_B_0012.jpg")
    path.write_text("1\nA\t1\t2\nA\t1\tB\t1\n")  # one fold, as in pairsDevTrain.txt
    assert [pair.fold for pair in read_pairs(path)] == [0, 0]
    kept = read_pairs(path)
    path.write_text("1\nA 1  2\r\nA 1 B 1 \r\n\r\n")  # a copy whose tabs became blanks
    assert read_pairs(path) == kept


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the number of folds"),
        ("ten\t1\n", "line 1"),
        ("1\t1\nA\t1\t2\n", "1 pairs, the header says 2"),
        ("0\t0\n", "0 pairs"),
        ("1\t1\nA\t1\tB\t1\nA\t1\t2\n", "line 2: 4 columns, genuine pairs have 3"),
        ("1\t1\nA\t1\t2\nA 1 B\n", "line 3: 3 columns, impostor pairs have 4"),
        ("1\t1\nA\t1\tx\nA\t1\tB\t1\n", "line 2: 'A' with 'x'"),
        ("1\t1\nA\t1\t0\nA\t1\tB\t1\n", "line 2: 'A' with '0'"),
        ("1\t1\n..\t1\t2\nA\t1\tB\t1\n", "line 2: '..' with '1'"),
        ("1\t1\n../A\t1\t2\nA\t1\tB\t1\n", "line 2: '../A'"),
        ("1\t1\nA\t1\t1\nA\t1\tB\t1\n", "line 2: A/A_0001 is paired with itself"),
        ("1\t2\nA\t1\t2\nA\t1\t2\nA\t1\tB\t1\nA\t2\tB\t1\n", "line 3: .* stands twice"),
    ],
)
def test_pairs_errors(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises(PacoError, match=message) as caught:
        read_pairs(path)
    assert "pairs.txt" in str(caught.value)
    with pytest.raises(MissingDataError, match="Download LFW"):
        read_lfw(tmp_path)


def test_genuine_pairs(data_root: Path) -> None:
    pairs = read_pairs(data_root / "annotation_formats/lfw/pairs.txt")
    assert len(pairs) == 6000
    assert Counter((pair.fold, pair.same) for pair in pairs) == {
        (f, s): 300 for f in range(10) for s in (True, False)
    }
    assert pairs[0] == Pair("Abel_Pacheco/Abel_Pacheco_0001", "Abel_Pacheco/Abel_Pacheco_0004", True, 0)
    records = read_lfw(data_root / "annotation_formats")
    assert len(records) == len({ident for pair in pairs for ident in pair[:2]}) == 7701


# --- FER+ --------------------------------------------------------------------------------------------


def test_majority_is_the_official_rule() -> None:
    assert majority((4, 0, 0, 1, 3, 2, 0, 0, 0, 0)) is None  # 4 of 9 left
    assert majority((6, 0, 1, 1, 0, 0, 0, 0, 2, 0)) == EXPRESSIONS.index("neutral")
    assert majority((0, 0, 0, 6, 0, 0, 4, 0, 0, 0)) == EXPRESSIONS.index("sadness")
    assert majority((0, 0, 5, 0, 0, 0, 5, 0, 0, 0)) is None
    assert majority((1, 0, 0, 0, 0, 0, 0, 0, 0, 9)) is None
    assert majority((1, 1, 1, 1, 1, 1, 1, 1, 1, 1)) is None


def test_ferplus_folders(tmp_path: Path) -> None:
    for name in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        folder = tmp_path / "ferplus" / name
        folder.mkdir(parents=True)
        (folder / "label.csv").write_text(
            'a.png,"(0, 0, 48, 48)",0,9,0,0,0,0,0,0,1,0\nb.png,"x",5,0,5,0,0,0,0,0,0,0\n'
        )
    records = read_ferplus(tmp_path)
    assert len(records) == 6
    assert records["split"][:] == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    assert records["expression"][:2] == [EXPRESSIONS.index("happiness"), None]
    assert records[0]["votes"][1] == 9


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.png,box,9,0,0,0,0,0,0,0,0", "line 2: 11 columns"),
        ("b.png,box,9,0,0,0,0,0,0,0,0,-1", "line 2: votes"),
        ("b.png,box,9,0,0,0,0,0,0,0,0,9", "line 2: 18 votes"),
        ("b.png,box,0,0,0,0,0,0,0,0,0,0", "line 2: 0 votes"),
        ("../b.png,box,9,0,0,0,0,0,0,0,0,0", "line 2: an image name with a folder"),
        ('b.png,"box,9', "table"),
    ],
)
def test_votes_errors(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "label.csv"
    path.write_text(f"a.png,box,9,0,0,0,0,0,0,0,0,0\n{row}\n")
    with pytest.raises(PacoError, match=message):
        read_labels(path, "train")


def test_labels_errors(tmp_path: Path) -> None:
    path = tmp_path / "label.csv"
    row = ',"(0, 0, 48, 48)",9,0,0,0,0,0,0,0,0,0\n'
    path.write_text("a.png" + row + "b.png" + row + "a.png" + row)
    with pytest.raises(PacoError, match=r"line 3: a\.png stands already in line 1"):
        read_labels(path, "train")
    path.write_text("a.png" + row + row)
    with pytest.raises(PacoError, match="line 2: no image name"):
        read_labels(path, "train")


def test_genuine_votes(data_root: Path) -> None:
    folder = data_root / "annotation_formats/ferplus"
    for name, split, count in (
        ("FER2013Train", "train", 28_558),
        ("FER2013Valid", "validation", 3_579),
        ("FER2013Test", "test", 3_573),
    ):
        assert len(read_labels(folder / name / "label.csv", split)) == count
    records = read_ferplus(data_root / "annotation_formats")
    assert len(records) == 35_710


# --- ORL and folders ---------------------------------------------------------------------------------


def test_orl(tmp_path: Path) -> None:
    for name in ("s2/1.pgm", "s10/2.pgm", "s2/10.pgm", "s2/notes.txt", "sx/1.pgm"):
        path = tmp_path / "orl_faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P5 2 2 255\n\x00\x01\x02\x03")
    records = read_orl(tmp_path)
    assert records["image_id"][:] == ["s2/1", "s2/10", "s10/2"]
    assert read_image(records[0]["image"])[..., 0].tolist() == [[0, 1], [2, 3]]
    with pytest.raises(MissingDataError, match="AT&T"):
        read_orl(tmp_path / "s2")
    with pytest.raises(PacoError, match=r"no pictures named sX/Y\.pgm"):
        read_orl(tmp_path, ".")


def test_genuine_orl(data_root: Path) -> None:
    records = read_orl(data_root)
    assert set(Counter(records["identity"][:]).values()) == {10}
    assert read_image(records[0]["image"]).shape == (112, 92, 3)


def test_folders_give_labels(tmp_path: Path) -> None:
    for name in ("mine/ann/1.png", "mine/ann/far/2.png", "mine/bob/1.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    assert read_people(tmp_path, "mine")["identity"][:] == ["ann", "ann", "bob"]
    (tmp_path / "mine/loose.png").write_bytes(PNG)
    with pytest.raises(PacoError, match=r"loose\.png: lies beside the labelled"):
        read_people(tmp_path, "mine")
    with pytest.raises(MissingDataError, match="absent"):
        read_people(tmp_path, "absent")


def test_blank_lines_at_the_end_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for end in ("", "\n", "\r\n\r\n", "\n  \n\t\n"):
        path.write_bytes(f"\ufeff one 1\n\ntwo 2{end}".encode())
        assert read_lines(path) == [" one 1", "", "two 2"]
    path.write_bytes(b"\n \n")
    assert read_lines(path) == []
