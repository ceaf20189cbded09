"""Angles of heads as published scorers are described to compare them, in plain Python, beside ours.

`python -m tests.oracles.angles` prints both for drawn heads. Angles are in degrees, in the order yaw, pitch, roll.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Triple = Sequence[float]


def matrix(angles: Triple) -> list[list[float]]:
    """Rz(roll) Ry(yaw) Rx(-pitch), multiplied out: a nose that points up has a positive pitch while y points down.

    6DRepNet turns by +pitch; errors of angles are the same by either sign, as it reads back what it has written.
    """
    yaw, pitch, roll = (math.radians(angle) for angle in angles)
    pitch = -pitch
    cy, sy, cp, sp, cr, sr = (f(angle) for angle in (yaw, pitch, roll) for f in (math.cos, math.sin))
    return [
        [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
        [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
        [-sy, cy * sp, cy * cp],
    ]


def read_back(rotation: Sequence[Sequence[float]]) -> list[float]:
    """6DRepNet's reading of a matrix, but for the sign of pitch: yaw within a right angle of the front."""
    pitch = -math.atan2(rotation[2][1], rotation[2][2])
    yaw = math.atan2(-rotation[2][0], math.hypot(rotation[0][0], rotation[1][0]))
    roll = math.atan2(rotation[1][0], rotation[0][0])
    return [math.degrees(angle) for angle in (yaw, pitch, roll)]


def folded(predicted: Triple, true: Triple) -> list[float]:
    """6DRepNet's error of each angle: the least of five, half turns included."""
    return [
        min(abs(p - t + turn) for turn in (0, 360, -360, 180, -180))
        for p, t in zip(predicted, true, strict=True)
    ]


def nearest(rotation: Sequence[Sequence[float]], true: Triple) -> list[float]:
    """The errors by whichever of all ways to write the predicted rotation lies nearest to the truth, by search."""
    yaw, pitch, roll = read_back(rotation)
    turns = (-720, -360, 0, 360, 720)
    best: list[float] = []
    for branch in ((yaw, pitch, roll), (180 - yaw, pitch + 180, roll + 180)):
        errors = [min(abs(angle + turn - t) for turn in turns) for angle, t in zip(branch, true, strict=True)]
        if not best or sum(errors) < sum(best):
            best = errors
    return best


def geodesic(predicted: Sequence[Sequence[float]], true: Sequence[Sequence[float]]) -> float:
    """The angle between two rotations by the trace of one by the other's transpose."""
    trace = sum(predicted[i][k] * true[i][k] for i in range(3) for k in range(3))
    return math.degrees(math.acos(max(-1.0, min(1.0, (trace - 1) / 2))))


def main() -> None:
    import random

    import pandas as pd

    from tasks.kinds import pose
    from tasks.registry import all_tasks

    draw = random.Random(0)
    for _ in range(12):
        true = [draw.uniform(-99, 99) for _ in range(3)]
        guess = [angle + draw.gauss(0, 10) for angle in true]
        frame = {"unit_id": ["a"], "group": ["a"], **{n: [v] for n, v in zip(pose.ANGLES, true, strict=True)}}
        m = matrix(guess)
        row = pose.items(
            [[m[i][k] for k in (0, 1) for i in range(3)]], pd.DataFrame(frame), all_tasks()["pose/aflw2000"]
        )
        ours = [row[f"error_{name}"].iloc[0] for name in pose.ANGLES]
        half = [row[f"error_{name}_lenient"].iloc[0] for name in pose.ANGLES]
        theirs = nearest(m, true), folded(read_back(m), true)
        print(*(f"{v:7.2f}" for v in (*ours, *half)), "|", *(f"{v:7.2f}" for v in (*theirs[0], *theirs[1])))


if __name__ == "__main__":
    main()
