"""Points that are found once and lie beside a set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from paco_fr.data.points import find_points, with_points
from paco_fr.faces.landmarks import five_points
from paco_fr.utils.errors import PacoError
from tasks.readers.files import to_records
from tests.fixtures import stand_in_dlib as stand_in


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes photographs of square faces and returns their records."""
    stand_in.install(tmp_path / "site", monkeypatch)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))

    def write(*pictures: np.ndarray, boxes: list[list[float]] | None = None):
        rows = []
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / f"{number}.png")
            row = {"image": str(tmp_path / f"{number}.png"), "image_id": f"{number}", "group": f"{number}"}
            rows.append(row | ({"box": boxes[number]} if boxes else {}))
        return to_records(rows, "faces")

    return write


NOTHING = np.zeros((120, 120, 3), np.uint8)


def test_found_points_join_the_records(faces, tmp_path: Path) -> None:
    records = faces(stand_in.photo(30, 20, 60), NOTHING)
    path = tmp_path / "landmarks.parquet"
    assert find_points(records, path, detector="dlib") == {"kept": 1, "no face": 1}
    joined = with_points(records, path)
    assert joined["scheme"][:] == ["ibug68", None] and joined["landmarks"][1] is None
    expected = np.rint([30, 20] + stand_in.FIVE * 59)
    assert np.abs(five_points(joined["landmarks"][0], "ibug68") - expected).max() < 1e-6
    assert not list((tmp_path / "cache/points").iterdir())  # parts are kept only until all is there
    with pytest.raises(PacoError, match="come with points of their own"):
        find_points(joined, path, detector="dlib")


def test_the_known_box_says_which_face_is_meant_and_where_it_is(faces, tmp_path: Path) -> None:
    """The stand-in sees one bright face; of two records one means it, the other a face that no detector sees."""
    picture = stand_in.photo(70, 70, 40)
    records = faces(picture, picture, boxes=[[65, 65, 115, 115], [5, 5, 45, 45]])
    path = tmp_path / "landmarks.parquet"
    assert find_points(records, path, detector="dlib") == {"kept": 2}
    table = pd.read_parquet(path)
    assert table["by"].tolist() == ["detector", "box"]
    joined = with_points(records, path)
    seen, put = (five_points(points, "ibug68") for points in joined["landmarks"][:])
    assert np.abs(seen - np.rint([70, 70] + stand_in.FIVE * 39)).max() < 1e-6
    assert np.abs(put - np.rint([5, 5] + stand_in.FIVE * 40)).max() < 1e-6


def test_points_of_other_faces_stay(faces, tmp_path: Path) -> None:
    path = tmp_path / "landmarks.parquet"
    records = faces(stand_in.photo(30, 20, 60), stand_in.photo(40, 40, 50))
    find_points(records.select([0]), path, detector="dlib")
    find_points(records.select([1]), path, detector="dlib")
    assert None not in with_points(records, path)["landmarks"][:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="scheme"), "has no column scheme"),
        (lambda table: pd.concat([table, table]), "names a face twice"),
        (lambda table: table.assign(image_id="other"), "has points of none of the faces here"),
        (lambda table: table.assign(scheme="ibug86"), "face '0': an unknown scheme"),
        (lambda table: table.assign(landmarks=[[[1.0, 2.0]]]), "face '0': Scheme 'ibug68' needs at least"),
        (lambda table: table.assign(landmarks=[[[np.inf, 2.0]] * 68]), "is not a finite number"),
        (lambda table: table.assign(landmarks=[["x"] * 68]), "face '0'"),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(faces, tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "landmarks.parquet"
    records = faces(stand_in.photo(30, 20, 60))
    find_points(records, path, detector="dlib")
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(PacoError, match=message) as caught:
        with_points(records, path)
    assert "landmarks.parquet" in str(caught.value) and "data align --for" in str(caught.value)
