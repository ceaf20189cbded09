"""The pairs of LFW."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.recognition.lfw import Pair, read_lfw, read_pairs

PNG = encode_png(np.zeros((4, 4, 3), np.uint8))


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


def test_pictures_that_were_cut_out_before_are_refused(tmp_path: Path) -> None:
    """Of faces of 96 x 112 the box for 250 x 250 held 14 % picture, without a word."""
    (tmp_path / "lfw/A").mkdir(parents=True)
    (tmp_path / "lfw/pairs.txt").write_text("1\t1\nA\t1\t2\nA\t1\tB\t1\n")
    (tmp_path / "lfw/A/A_0001.jpg").write_bytes(encode_png(np.zeros((250, 250, 3), np.uint8)))
    assert len(read_lfw(tmp_path)) == 3  # others are lost pictures, which are counted
    (tmp_path / "lfw/A/A_0002.jpg").write_bytes(encode_png(np.zeros((112, 96, 3), np.uint8)))
    with pytest.raises(
        PacoError, match=r"A_0002\.jpg is 96 x 112 pixels, the set's are 250 x 250.*recognition=DIR"
    ):
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
