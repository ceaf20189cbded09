"""Crops as published code is described to make them, in plain Python, beside ours.

`python -m tests.oracles.crops FOLDER` prints both for the .mat files of a folder of AFLW2000-3D. Boxes are in the
convention of records: the centre of the top-left pixel is (0, 0), so a cut from pixel a to before pixel b is a - 0.5 to
b - 0.5.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

Points = Sequence[Sequence[float]]
Box = tuple[float, float, float, float]


def bounds(points: Points) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def loosely(points: Points, k: float, sideways: float) -> list[int]:
    """HopeNet's and 6DRepNet's loose box: each side moves by a share of the box as the moves before left it."""
    left, top, right, bottom = bounds(points)
    left = left - sideways * k * (right - left)
    top = top - 2 * k * (bottom - top)
    right = right + sideways * k * (right - left)
    bottom = bottom + 0.6 * k * (bottom - top)
    return [int(value) for value in (left, top, right, bottom)]


def middle(box: Sequence[float], share: float) -> Box:
    """The shorter side to a length, then a square of a share of it from the middle."""
    left, top, right, bottom = (value - 0.5 for value in box)
    side = share * min(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def sixdrepnet_test(points: Points) -> Box:
    return middle(loosely(points, 0.2, 2.0), 224 / 256)


def hopenet_test(points: Points) -> Box:
    return middle(loosely(points, 0.2, 2.0), 1.0)


def train_k(points: Points, square: Sequence[float]) -> float:
    """The k of 0.15 to 0.45 whose training square is the nearest to this one."""
    away = {}
    for step in range(3001):
        k = 0.15 + step * 1e-4
        found = middle(loosely(points, k, 0.6), 1.0)
        away[k] = sum(abs(a - b) for a, b in zip(found, square, strict=True))
    return min(away, key=lambda k: away[k])


def fsanet(points: Points, side: int) -> Box:
    """FSA-Net's: of the points on the picture, 0.6 of width and height on either side, not beyond the picture."""
    by_x, by_y = [p for p in points if p[0] > 0], [p for p in points if p[1] > 0]
    seen = by_y if len(by_x) > len(by_y) else by_x
    left, top, right, bottom = (int(value) for value in bounds(seen))
    wide, high = right - left, bottom - top
    corners = (
        max(int(left - 0.6 * wide), 0),
        max(int(top - 0.6 * high), 0),
        min(int(right + 0.6 * wide), side - 1),
        min(int(bottom + 0.6 * high), side - 1),
    )
    left, top, right, bottom = (value - 0.5 for value in corners)
    return left, top, right, bottom


def hrnet(points: Points) -> tuple[float, float, float]:
    """HRNet's label: centre and side of the face, the box of its points at whole pixels; tested at 1.25 times the side."""
    left, top, right, bottom = bounds(points)
    left, top, right, bottom = math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
    return (left + right) / 2, (top + bottom) / 2, 1.25 * max(right - left, bottom - top)


def farl_tanh(u: float, w: float = 0.8) -> float:
    """FaRL's warp of a coordinate of -1 to 1 on its aligned canvas."""
    if abs(u) <= 1 - w:
        return u
    return math.copysign(w * math.tanh((abs(u) - 1 + w) / w) + 1 - w, u)


def main(folder: Path) -> None:
    from scipy.io import loadmat

    from tasks.readers.pose.head_pose import RULES, field_square

    theirs = {
        "6drepnet": sixdrepnet_test,
        "hopenet": hopenet_test,
        "fsanet": lambda points: fsanet(points, 450),
    }
    for path in sorted(folder.glob("*.mat")):
        points = loadmat(path)["pt2d"].T.tolist()
        for rule in RULES[:3]:
            ours = " ".join(f"{value:8.2f}" for value in field_square(points, rule))
            print(path.stem, f"{rule:9}", ours, "|", " ".join(f"{v:8.2f}" for v in theirs[rule](points)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
