"""Errors of points as published scorers are described to take them, in plain Python, beside ours.

`python -m tests.oracles.points` prints both for drawn faces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Points = Sequence[Sequence[float]]


def nme(predicted: Points, true: Points, length: float) -> float:
    """FaRL's and HRNet's: each distance by the length, then the mean, as a share."""
    return sum(math.dist(p, t) / length for p, t in zip(predicted, true, strict=True)) / len(true)


def between(points: Points, left: int, right: int) -> float:
    return math.dist(points[left], points[right])


def box_lengths(box: Sequence[float]) -> tuple[float, float]:
    """FaRL's two lengths of AFLW's box: its diagonal, and the root of its area."""
    wide, high = box[2] - box[0], box[3] - box[1]
    return math.hypot(wide, high), math.sqrt(wide * high)


def on_square(points: Points, box: Sequence[float]) -> list[list[float]]:
    """PIPNet's: points as shares of the box that it stretches to a square, where it measures."""
    return [[(x - box[0]) / (box[2] - box[0]), (y - box[1]) / (box[3] - box[1])] for x, y in points]


def farl_curve(errors: Sequence[float], threshold: float, step: float = 1e-4) -> tuple[float, float]:
    """FaRL's AUC and FR of errors as shares: the curve at 0, 1e-4, .. while below threshold + step, Simpson's rule."""
    from scipy.integrate import simpson

    count = math.ceil((threshold + step) / step - 1e-6 * (threshold == 0.1))
    steps = [n * step for n in range(count)]
    curve = [sum(error <= at + 1e-15 for error in errors) / len(errors) for at in steps]
    return float(simpson(curve, x=steps)) / threshold, 1 - curve[-1]


def main() -> None:
    import random

    import numpy as np
    import pandas as pd

    from tasks.metrics import landmarks as ours

    draw = random.Random(0)
    errors = [draw.gammavariate(4, 0.012) for _ in range(500)]
    for percent in (7.0, 10.0):
        area, rate = ours.farl_grid("error", "", percent)
        table = pd.DataFrame({"error": 100 * np.array(errors), "group": range(len(errors))})
        found = farl_curve(errors, percent / 100)
        print(percent, area.value(table), rate.value(table), "|", *(100 * value for value in found))


if __name__ == "__main__":
    main()
