from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.landmarks.psychomorph import read_tem

GOOD = ["3", "1.5\t2", "3\t4.25", "-1\t0", "1", "0", "2", "0 1"]


def test_points_are_read_and_curves_ignored(tmp_path: Path) -> None:
    path = tmp_path / "face.tem"
    for end in ("\n", "\r\n"):
        path.write_bytes(end.join(GOOD).encode())
        assert np.array_equal(read_tem(path, 3), [[1.5, 2], [3, 4.25], [-1, 0]])
        assert np.array_equal(read_tem(path, None), read_tem(path, 3))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["4", *GOOD[1:]], "line 1: expected the count 3, found '4'"),
        ([], "line 1: expected the count 3"),
        (GOOD[:1] + GOOD[2:], "line 4: expected 2 numbers, found 1 fields"),  # a missing line
        (GOOD[:3], "line 3: ends after 2 of 3 points"),
        ([*GOOD[:2], "3\tfour", *GOOD[3:]], r"line 3: '3\\tfour' is not made of numbers"),
        ([*GOOD[:2], "3\tnan", *GOOD[3:]], "line 3: .* no coordinate"),
    ],
)
def test_errors_name_file_line_and_remedy(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "face.tem"
    path.write_text("\n".join(lines))
    with pytest.raises(PacoError, match=message) as caught:
        read_tem(path, 3)
    assert "face.tem" in str(caught.value)
    assert "Restore the original" in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"face\.tem is missing"):
        read_tem(tmp_path / "face.tem")


def test_genuine_files(data_root: Path) -> None:
    london = sorted((data_root / "london_set").glob("*/*.tem"))
    assert london
    for path in london:
        points = read_tem(path)
        assert points.shape == (189, 2)
        assert (points[0] < points[1])[0]  # left pupil left of the right one
    for path in sorted((data_root / "webmorph_cc0").glob("*/*.tem")):
        assert len(read_tem(path, None)) in (83, 106)
