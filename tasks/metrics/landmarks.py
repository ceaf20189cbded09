"""Landmarks: normalised mean error, failure rate and the area under the cumulative error curve.

An error is in percent of its normaliser. An image fails at t when its error is above t: exactly t passes.
An error that is not a number is a failure and is counted (``docs/protocols.md``, landmarks).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.metric import Metric, ratio, weighted_mean


def nme(
    predicted: npt.ArrayLike,
    true: npt.ArrayLike,
    normaliser: npt.ArrayLike,
    points: npt.ArrayLike | None = None,
) -> Array:
    """Return the mean point error of every image, in percent of its normaliser.

    Args:
        predicted: (n, L, 2) points in pixels of the photograph.
        true: (n, L, 2) points in the same pixels.
        normaliser: (n,) lengths in the same pixels.
        points: (n, L) true for the points that count; all without it.

    Returns:
        (n,) errors; NaN for an image none of whose points counts, or whose normaliser is 0.

    """
    difference = np.asarray(predicted, dtype=np.float64) - np.asarray(true, dtype=np.float64)
    distance = np.linalg.norm(difference, axis=-1)
    counted = np.ones(distance.shape) if points is None else np.asarray(points, dtype=np.float64)
    mean = ratio(np.where(counted > 0, distance, 0.0).sum(axis=1), counted.sum(axis=1))
    return ratio(100.0 * mean, np.asarray(normaliser, dtype=np.float64))


def box_size(points: npt.ArrayLike) -> Array:
    """Return (n,) sqrt(width * height) of the box of all points (n, L, 2)."""
    sides = np.ptp(np.asarray(points, dtype=np.float64), axis=1)
    return np.asarray(np.sqrt(sides.prod(axis=1)))


def box_diagonal(points: npt.ArrayLike) -> Array:
    """Return (n,) diagonals of the box of all points (n, L, 2)."""
    return np.asarray(np.linalg.norm(np.ptp(np.asarray(points, dtype=np.float64), axis=1), axis=1))


def distance_between(points: npt.ArrayLike, left: int | Sequence[int], right: int | Sequence[int]) -> Array:
    """Return (n,) distances between two points, or between the means of two sets of points.

    Outer eye corners give the inter-ocular distance (300W: 36 and 45), pupils or the means of the eye
    contours the inter-pupil distance (300W: 36..41 and 42..47).
    """
    array = np.asarray(points, dtype=np.float64)
    ends = [array[:, np.atleast_1d(np.asarray(end))].mean(axis=1) for end in (left, right)]
    return np.asarray(np.linalg.norm(ends[0] - ends[1], axis=1))


def fails(errors: npt.ArrayLike, threshold: float) -> npt.NDArray[np.bool_]:
    """Return (n,) whether an image fails: its error is above the threshold or not a number."""
    return np.asarray(~(np.asarray(errors, dtype=np.float64) <= threshold))


def failure_rate(column: str, name: str, threshold: float) -> Metric:
    """Return the metric FR@threshold in percent of images, over an error column in percent."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        return 100.0 * weighted_mean(items, fails(items[column], threshold), weights)

    return Metric(name, "%", False, 0.0, 100.0, compute)


def farl_steps(threshold: float) -> Array:
    """Return the errors (K,), 0 to 1, at which FaRL's scorer looks at the cumulative curve: 0, 1e-4 and so on.

    A step of 1e-4 is added to the end before the range is cut, so that at 7 percent there are 702 and the last is 0.0701.
    """
    return np.arange(0.0, threshold / 100 + 1e-4, 1e-4)


def farl_grid(column: str, suffix: str, threshold: float) -> list[Metric]:
    """Return AUC and FR as FaRL's scorer takes them, for comparison with published numbers only.

    The area is Simpson's rule on the curve at :func:`farl_steps`, divided by the threshold; at 7 percent the last step
    lies beyond it, so a good predictor gains up to 0.143; the value is cut off at 100. The rate is what the curve lacks at
    the last step. A picture's share is what the rule makes of its own step, as the rule is linear in the curve.
    """
    from scipy.integrate import simpson

    steps = farl_steps(threshold)
    shares = simpson(np.eye(len(steps)), x=steps, axis=1) / (threshold / 100)
    held = np.append(np.cumsum(shares[::-1])[::-1], 0.0)

    def places(items: pd.DataFrame) -> npt.NDArray[np.intp]:
        errors = np.nan_to_num(items[column].to_numpy(dtype=np.float64) / 100, nan=np.inf)
        return np.searchsorted(steps, errors)

    def area(items: pd.DataFrame, weights: Array | None) -> Array:
        return np.minimum(100.0, 100.0 * weighted_mean(items, held[places(items)], weights))

    def rate(items: pd.DataFrame, weights: Array | None) -> Array:
        return 100.0 * weighted_mean(items, places(items) == len(steps), weights)

    name = f"{suffix}{threshold:g}_grid{len(steps)}"
    return [
        Metric(f"auc{name}", "%", True, 100.0, 0.0, area),
        Metric(f"fr{name}", "%", False, 0.0, 100.0, rate),
    ]


def area_under_curve(column: str, name: str, threshold: float) -> Metric:
    """Return the metric AUC@threshold in percent, over an error column in percent.

    It is the exact integral of the cumulative error curve over [0, threshold] divided by the threshold:
    an image with error e holds the curve up from e on, so it adds ``max(0, 1 - e / threshold)``.
    """

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        errors = items[column].to_numpy(dtype=np.float64)
        held = np.where(fails(errors, threshold), 0.0, 1.0 - errors / threshold)
        return 100.0 * weighted_mean(items, held, weights)

    return Metric(name, "%", True, 100.0, 0.0, compute)
