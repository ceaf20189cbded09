"""iBUG point files (``.pts``): ``version: 1``, ``n_points: 68``, then ``x y`` a line between braces.

The files of 300W, LFPW, Helen and AFW were written by Matlab and count pixels from 1: the centre of the
top-left pixel is (1, 1). Records count from 0, so 1 is subtracted (FaRL's reader subtracts 2 from the HRNet
csv of the same points; that is its own convention). Blanks, blank lines and line ends vary in the wild.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.readers.files import FormatError, is_whole, read_lines, read_numbers

REMEDY = "Restore the original .pts file."
_COUNT = re.compile(r"n_points\s*:\s*(\d+)", re.IGNORECASE)


def read_pts(path: str | Path, points: int | None = 68) -> npt.NDArray[np.float64]:
    """Return the points (K, 2) of a file as x, y in pixels, the top-left pixel centre being (0, 0).

    Args:
        path: the ``.pts`` file.
        points: how many are expected; None accepts what the file announces.

    Raises:
        MissingDataError: there is no such file.
        FormatError: bad header, braces, count or number; names file and line.

    """
    path = Path(path)
    lines = [(n, line.strip()) for n, line in enumerate(read_lines(path, obtain=REMEDY), 1) if line.strip()]
    opening = next((i for i, (_, line) in enumerate(lines) if line == "{"), None)
    if opening is None or lines[-1][1] != "}":
        raise FormatError(path, lines[-1][0] if lines else None, "no points between braces", REMEDY)
    found = [m for _, line in lines[:opening] if (m := _COUNT.fullmatch(line))]
    if len(found) != 1 or not is_whole(found[0][1]):
        raise FormatError(path, lines[opening][0], "no single 'n_points: K' before the brace", REMEDY)
    count, body = int(found[0][1]), lines[opening + 1 : -1]
    if points is not None and count != points:
        raise FormatError(path, None, f"holds {count} points, expected {points}", "Check which set this is.")
    if len(body) != count or not body:
        raise FormatError(path, lines[-1][0], f"{len(body)} points, but n_points says {count}", REMEDY)
    xy = np.array([read_numbers(path, n, line, 2, REMEDY) for n, line in body])
    return xy - 1.0
