"""Points in .pts files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paco_fr.utils.errors import PacoError
from tasks.readers.landmarks.pts import read_pts


def test_pts_counts_from_zero_and_tolerates_blanks(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    for text in (
        "version: 1\nn_points: 2\n{\n1 1\n3.5 2\n}",
        "version: 1\r\nn_points:  2 \r\n{\r\n 1  1 \r\n3.5\t2\r\n}\r\n\r\n",
        "\ufeffversion: 1\nn_points:2\n\n{\n\n1 1\n3.5 2\n}\n",
    ):
        path.write_bytes(text.encode())
        assert np.array_equal(read_pts(path, 2), [[0, 0], [2.5, 1]])
    assert np.array_equal(read_pts(path, None), [[0, 0], [2.5, 1]])


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
