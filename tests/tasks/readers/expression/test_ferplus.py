"""The votes of FER+."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import PacoError
from tasks.readers.expression.ferplus import majority, read_ferplus, read_labels

PNG = encode_png(np.zeros((4, 4, 3), np.uint8))


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
