"""What is tried, one change at a time; what is then better by more than chance is a finding."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from paco_eval.analysis.statistics import over_seeds
from paco_eval.evaluation.data import Data
from paco_eval.experiments.explain.explanation import Finding
from paco_eval.experiments.explain.look import Look, look_at
from paco_fr.contracts import Encoder, PixelContract
from paco_fr.faces.records import cells_of, picture_sizes
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks import splits
from tasks.kinds.pose import true_angles
from tasks.metrics.metric import Metric
from tasks.splits import Fold, Split, Test, Train

REPLICATES = 300
"""Bootstrap replicates behind each difference."""
LEAST = 0.03
"""Share of the distance to a perfect score that a finding brings back at least."""
ZOOM = 1.8
"""How much closer faces are cut to see whether they were cut too loosely."""

HALF = (0.5, 0.5, 0.5)
RANGES: dict[str, tuple[tuple[float, float], tuple[float, float, float], tuple[float, float, float]]] = {
    "0 to 1": ((0.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1 to 1": ((0.0, 1.0), HALF, HALF),
    "0 to 255": ((0.0, 255.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "ImageNet's mean and deviation": ((0.0, 1.0), PixelContract(1).mean, PixelContract(1).std),
}
"""What networks are usually trained on: range, mean, deviation."""

Checked = Iterator[tuple[Finding | None, Mapping[str, float]]]
"""Findings of a check, with the value under each change that it tried."""


def _judged(
    look: Look, name: str, items: pd.DataFrame, cause: str, sentence: str
) -> tuple[Finding | None, dict[str, float]]:
    """Return a finding if other items of the same units are better by more than chance, and their value by name."""
    metric, value = look.metric, look.metric.value(items)
    gain = _gain(metric, look.value, value)
    if not gain >= LEAST:
        return None, {name: value}
    try:
        apart = over_seeds(metric, [items], baseline=[look.items], replicates=REPLICATES)
    except (PacoError, KeyError):
        return None, {name: value}
    sure = apart.low > 0 if metric.higher_is_better else apart.high < 0
    ends = sorted((apart.low, apart.high))
    evidence = (
        f"{metric.name} goes from {look.value:.4g} to {value:.4g} with it ({name}; difference {ends[0]:+.3g} to {ends[1]:+.3g} "
        f"in 95 % of {REPLICATES} replicates)."
    )
    return (Finding(cause, sentence, evidence, gain) if sure else None), {name: value}


def ideal(metric: Metric) -> float:
    """Return the perfect score; 0 where none is known."""
    return metric.best if np.isfinite(metric.best) else 0.0


def _gain(metric: Metric, before: float, after: float) -> float:
    """Return the share of the distance to a perfect score that is gone."""
    left = abs(ideal(metric) - before)
    return float("nan") if not left else (left - abs(ideal(metric) - after)) / left


def _under(encoder: Encoder, pixels: PixelContract) -> Encoder:
    other = copy.copy(encoder)
    other.pixels = pixels
    return other


def _colours(encoder: Encoder, look: Look) -> Checked:
    pixels = encoder.pixels
    other: Literal["RGB", "BGR"] = "BGR" if pixels.channels == "RGB" else "RGB"
    swapped = replace(pixels, channels=other, mean=pixels.mean[::-1], std=pixels.std[::-1])
    items = look_at(_under(encoder, swapped), look.data).items
    sentence = (
        f"The colours seem to be in the wrong order: the weights are given {pixels.channels} and do better on {other}. "
        f"Declare channels {other}."
    )
    yield _judged(look, f"channels {other}", items, "channels", sentence)


def _ranges(encoder: Encoder, look: Look) -> Checked:
    pixels, now = encoder.pixels, _ends(encoder.pixels)
    tried = []
    for name, (low_high, mean, std) in RANGES.items():
        other = replace(pixels, value_range=low_high, mean=mean, std=std)
        if np.allclose(_ends(other), now, rtol=0.05, atol=0.05):
            continue
        items = look_at(_under(encoder, other), look.data).items
        shown = f"{now.min():.3g} to {now.max():.3g}"
        sentence = (
            f"The range of pixels seems wrong: black and white reach the weights as {shown}, and they do better on {name}. "
            "Declare the range, mean and std that they were trained with."
        )
        tried.append(_judged(look, f"range {name}", items, "range", sentence))
    best = max((found.gain for found, _ in tried if found is not None), default=0.0)
    for found, values in tried:
        yield (found if found is not None and found.gain == best else None), values


def _ends(pixels: PixelContract) -> Array:
    """Return what black and white become (2, 3)."""
    ends = np.array(pixels.value_range)[:, None]
    return np.asarray((ends - np.array(pixels.mean)) / np.array(pixels.std))


def _cut(encoder: Encoder, look: Look) -> Checked:
    data = look.data
    for name, factor in (("cut closer", ZOOM), ("cut more loosely", 1 / 1.3)):
        items = look_at(encoder, zoomed(data, factor)).items
        if factor > 1:
            sentence = (
                f"The pictures look uncut: the middle of them alone, {1 / factor:.0%} of the side, scores better than all of it "
                f"({data.task.crop}). Cut the faces first (paco-eval data align), or name a closer --crop."
            )
            cause = "uncut pictures"
        else:
            sentence, cause = "Faces are cut too closely. Name a --crop with a wider margin.", "crop"
        yield _judged(look, name, items, cause, sentence)


def zoomed(data: Data, factor: float) -> Data:
    """Return data whose canvases show the middle of what they showed, ``factor`` times as large."""
    views = {}
    for view, (units, split) in data.views.items():
        centre = (units.canvas - 1) / 2
        transforms = units.transforms * factor
        transforms[:, :, 2] += centre * (1 - factor)
        labels = units.labels.assign(
            transform=pd.Series(list(transforms), index=units.labels.index, dtype=object)
        )
        views[view] = replace(units, transforms=transforms, labels=labels), split
    return replace(data, views=views)


def _flip(encoder: Encoder, look: Look) -> Checked:
    flip: Literal["none", "sum"] = "none" if look.data.task.flip == "sum" else "sum"
    items = look_at(encoder, replace(look.data, task=replace(look.data.task, flip=flip))).items
    name = "mirrored pictures added" if flip == "sum" else "mirrored pictures left out"
    sentence = f"Much of the number is how mirrored pictures count; it is better with {name}. Compare like with like."
    yield _judged(look, name, items, "flip", sentence)


def _mirrored(encoder: Encoder, look: Look) -> Checked:
    labels, kind = look.data.views["all"][0].labels, look.data.task.kind
    turn = MIRRORS.get(kind)
    if turn is None:
        return
    sentence = (
        "The labels of the scored part seem to be mirrored: what is predicted fits their mirror image better than them. "
        "Look at left and right: signs of yaw and roll, names of points, pictures that were flipped and labels that were not."
    )
    for name, changed in turn(labels, look):
        yield _judged(look, name, look.against(changed), "mirrored labels", sentence)


def _mirrored_poses(labels: pd.DataFrame, look: Look) -> Iterator[tuple[str, pd.DataFrame]]:
    yaw, pitch, roll = true_angles(labels).T
    turned = labels.assign(yaw=-yaw, roll=-roll)
    if "rotation" in labels:
        rotations = rotation_from_angles(-yaw, pitch, -roll)
        turned["rotation"] = pd.Series(
            [rotation.tolist() for rotation in rotations], index=labels.index, dtype=object
        )
    yield "labels mirrored", turned


def _mirrored_points(labels: pd.DataFrame, look: Look) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield labels mirrored in their photographs, points named as they are and as their partners."""
    units = look.data.views["all"][0]
    sizes = picture_sizes(cells_of(units.records))
    widths = [math.nan if size is None else float(size[1]) for size in sizes]
    points = [np.stack(list(cell)).astype(float) for cell in labels["landmarks"]]
    across = [
        np.stack([widths[row] - 1 - own[:, 0], own[:, 1]], axis=1)
        for row, own in zip(units.rows.tolist(), points, strict=True)
    ]
    partners = _partners(np.stack(points))
    yield "labels mirrored", _pointed(labels, [own[partners] for own in across])
    yield "left and right exchanged", _pointed(labels, [own[partners] for own in points])


def _partners(points: Array) -> list[int]:
    """Return for each point (n, L, 2) the number of the one on the other side of the face, in the mean shape."""
    centred = points - points.mean(axis=1, keepdims=True)
    mean = (centred / np.maximum(np.abs(centred).max(axis=(1, 2), keepdims=True), 1e-9)).mean(axis=0)
    mirrored = mean * [-1.0, 1.0]
    return [int(np.linalg.norm(mean - other, axis=1).argmin()) for other in mirrored]


def _pointed(labels: pd.DataFrame, points: Sequence[Array]) -> pd.DataFrame:
    return labels.assign(
        landmarks=pd.Series([own.tolist() for own in points], index=labels.index, dtype=object)
    )


MIRRORS: dict[str, Callable[[pd.DataFrame, Look], Iterator[tuple[str, pd.DataFrame]]]] = {
    "pose": _mirrored_poses,
    "landmarks": _mirrored_points,
}


def _counted_from_one(encoder: Encoder, look: Look) -> Checked:
    labels, task = look.data.views["all"][0].labels, look.data.task
    if task.kind != "landmarks":
        return
    items = look.items[look.items["failure"] == ""]
    both = zip(items["prediction"], items["truth"], strict=True)
    apart = np.array([np.mean(np.asarray(own) - np.asarray(true), axis=0) for own, true in both])
    x, y = apart.mean(axis=0) if len(apart) else (math.nan, math.nan)
    for name, step in (("points moved by -1", -1.0), ("points moved by +1", 1.0)):
        moved = [np.stack(list(cell)).astype(float) + step for cell in labels["landmarks"]]
        sentence = (
            f"The points of the scored part seem to count pixels from {'1' if step < 0 else '-1'} instead of 0: predictions lie "
            f"{x:+.2f}, {y:+.2f} pixels from them on average. Subtract {-step:+g} where they are read."
        )
        found, values = _judged(look, name, look.against(_pointed(labels, moved)), "1-based points", sentence)
        near = abs(x - step) < 0.5 and abs(y - step) < 0.5
        yield (found if near else None), values


def _exchanged(encoder: Encoder, look: Look) -> Checked:
    """Exchange who is fitted on and who is scored, where few are fitted on and many scored."""
    units, split = look.data.views["all"]
    if not isinstance(split, Split) or len(split.score) != 1 or look.data.task.split != "official":
        return
    fold = split.score[0]
    fitted, scored = fold.fit.indices, fold.held.indices
    groups = units.labels["group"].astype(str).tolist()
    if 2 * len(fitted) > len(scored):
        return
    select = [Fold(Train(scored), part.held) for part in split.select]
    try:
        other = splits.check(select, [Fold(Train(scored), Test(fitted))], groups, "parts exchanged")
    except PacoError:  # somebody is in two parts
        return
    value = look_at(encoder, replace(look.data, views={"all": (units, other)})).value
    gain = _gain(look.metric, look.value, value)
    told = {"train and test exchanged": value}
    if not gain >= LEAST:
        yield None, told
        return
    sentence = (
        f"Train and test seem to be exchanged: heads are fitted on {len(fitted)} units and scored on {len(scored)}. "
        "Look at the column 'split', or at the lists that it is read from."
    )
    evidence = f"{look.metric.name} goes from {look.value:.4g} to {value:.4g} with the parts exchanged."
    yield Finding("swapped split", sentence, evidence, gain), told


def _failed(encoder: Encoder, look: Look) -> Checked:
    if "failure" not in look.items:
        return
    lost = look.items["failure"].fillna("") != ""
    if not lost.any() or lost.all():
        return
    value = look.metric.value(look.items[~lost].reset_index(drop=True))
    gain = _gain(look.metric, look.value, value)
    first = look.items["failure"][lost].iloc[0]
    sentence = (
        f"{int(lost.sum())} of {len(lost)} scored units failed and count as the worst (first: {first})."
    )
    evidence = f"Without them {look.metric.name} is {value:.4g} instead of {look.value:.4g}."
    found = Finding("failures", sentence, evidence, gain) if gain >= LEAST else None
    yield found, {"without failures": value}


CHECKS: tuple[Callable[[Encoder, Look], Checked], ...] = (
    _failed, _colours, _ranges, _cut, _flip, _mirrored, _counted_from_one, _exchanged,
)  # fmt: skip
"""What is tried, each by itself."""
