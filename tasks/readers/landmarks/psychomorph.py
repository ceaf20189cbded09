"""Psychomorph and WebMorph templates (``.tem``): a count, then that many lines ``x y``, then curves.

The origin is the top left of the photograph; coordinates are taken as they are, since the format does not
say whether pixel centres or corners are meant (half a pixel is 0.4 % of a London inter-ocular distance).
The curve records that follow the points only join points by lines and are not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from paco_fr.utils.errors import quoted
from tasks.readers.files import FormatError, is_whole, read_lines, read_numbers

REMEDY = "Restore the original .tem file."


def read_tem(path: str | Path, points: int | None = 189) -> npt.NDArray[np.float64]:
    """Return the points (K, 2) of a template as x, y in pixels.

    Args:
        path: the ``.tem`` file.
        points: how many points the scheme has; 189 for the Face Research Lab London Set; None
            accepts what the file announces.

    Raises:
        MissingDataError: there is no such file.
        FormatError: wrong count, a missing line, or text that is no number; names file and line.

    """
    path = Path(path)
    lines = read_lines(path, obtain=REMEDY)
    count = lines[0].strip() if lines else ""
    if not (is_whole(count) and int(count) > 0) or points not in (None, int(count)):
        raise FormatError(
            path, 1, f"expected the count {points or 'of points'}, found {quoted(count)}", REMEDY
        )
    points = int(count)
    if len(lines) <= points:
        raise FormatError(path, len(lines), f"ends after {len(lines) - 1} of {points} points", REMEDY)
    return np.array([read_numbers(path, n + 1, lines[n], 2, REMEDY) for n in range(1, points + 1)])
