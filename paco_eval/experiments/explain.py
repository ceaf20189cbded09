"""Why is my number low? One row, looked at from every side on which a mistake usually lies.

The encoder is measured again on a part of the task, as declared and with one thing changed at a time: the order of
colours, the range of pixels, how closely faces are cut, whether the mirrored picture is added; labels mirrored, points
moved by a pixel, train and test exchanged. What is then better by more than chance (a paired bootstrap over the scored
groups) is a finding, and the findings are told by how much of the distance to a perfect score they bring back. Beside
them: raw pixels and the same network untrained, what was chosen and how flat that choice was, what failed, and the
worst faces.

A finding says what explains the number, not that the declaration is wrong: a change that helps may help for another
reason. Nothing of it enters a row.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from paco_eval.analysis.statistics import over_seeds
from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import decide_elsewhere
from paco_eval.evaluation.protocols import Protocol
from paco_eval.experiments.repro import encoder_of, task_of
from paco_eval.features.extract import Features, extract
from paco_eval.features.processes import use_device
from paco_eval.probes.probe import Choice, choose
from paco_eval.probes.scorer import Decision, Scorer
from paco_eval.probes.solvers import load_solver
from paco_eval.rows.schema import Row
from paco_eval.rows.store import find_row
from paco_fr.contracts import Encoder, PixelContract
from paco_fr.faces.records import cells_of, picture_sizes
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from paco_fr.utils.progress import tracked
from paco_fr.utils.types import Array
from tasks import splits
from tasks.kinds import PEOPLE_KINDS, load_kind, main_metric
from tasks.kinds.pose import true_angles
from tasks.metrics.metric import Metric
from tasks.registry import all_tasks
from tasks.registry import tasks_from as tasks_of
from tasks.splits import Fold, Split, Test, Train
from tasks.task import Task
from tasks.user_tasks import own_task

LIMIT = 300
"""Pictures of each part that are looked at by default."""
REPLICATES = 300
"""Bootstrap replicates behind each difference."""
LEAST = 0.03
"""Share of the distance to a perfect score that a finding brings back at least."""
FLAT = 0.05
"""Share of that distance within which choices count as alike."""
ZOOM = 1.8
"""How much closer faces are cut to see whether they were cut too loosely."""
WORST = 12
"""Items that are shown."""

HALF = (0.5, 0.5, 0.5)
RANGES: dict[str, tuple[tuple[float, float], tuple[float, float, float], tuple[float, float, float]]] = {
    "0 to 1": ((0.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1 to 1": ((0.0, 1.0), HALF, HALF),
    "0 to 255": ((0.0, 255.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "ImageNet's mean and deviation": ((0.0, 1.0), PixelContract(1).mean, PixelContract(1).std),
}
"""What networks are usually trained on: range, mean, deviation."""


@dataclass(frozen=True)
class Finding:
    """One thing that explains a number.

    Attributes:
        cause: its name, one of those in :data:`CAUSES` or of a check below.
        sentence: what it is and what to do.
        evidence: in numbers.
        gain: share of the distance to a perfect score that it explains.

    """

    cause: str
    sentence: str
    evidence: str
    gain: float

    def __str__(self) -> str:
        return f"{self.sentence} {self.evidence}"


@dataclass(frozen=True)
class Layered:
    """What validation said of one layer at its best strength."""

    block: str
    reduction: str
    strength: float | str
    score: float


@dataclass(frozen=True)
class Explanation:
    """What was found out about a row.

    Attributes:
        row: the row.
        metric: its main metric.
        value: of the part that was looked at, as declared.
        pictures: of each part that were looked at, at most.
        beside: the same part by others: ``pixels``, ``untrained``, ``constant``.
        layers: validation scores, the best first; empty where nothing is chosen on the task itself.
        flat: how many of them are as good as the best, all but.
        changed: value under each single change.
        findings: the likeliest cause first.
        worst: items, the worst first.
        files: pictures that were written.

    """

    row: Row
    metric: str
    value: float
    pictures: int
    beside: Mapping[str, float]
    layers: Sequence[Layered]
    flat: int
    changed: Mapping[str, float]
    findings: Sequence[Finding]
    worst: pd.DataFrame
    files: Sequence[Path] = ()

    @property
    def likeliest(self) -> str:
        """The likeliest cause, with its evidence, in a sentence or two."""
        if self.findings:
            return str(self.findings[0])
        lead = self.beside.get("pixels", math.nan)
        return (
            f"Nothing that was tried explains it: {self.metric} stays near {self.value:.4g} under every change"
            + (f", raw pixels have {lead:.4g}." if np.isfinite(lead) else ".")
            + " Then it is what the encoder learned, or the task is hard; look at the worst faces."
        )

    def lines(self) -> Iterator[str]:
        """Yield all of it as text."""
        yield f"{self.row.task}  {self.row.encoder}: {self.metric} {_told(self.row.main.value)} in the row"
        yield f"Looked at: {self.pictures} pictures of each part at most; as declared {_told(self.value)}"
        yield f"Likeliest: {self.likeliest}"
        for finding in self.findings[1:]:
            yield f"Also: {finding}"
        for title, found in (("Beside it", self.beside), ("With one change", self.changed)):
            if found:
                yield f"{title}: " + ", ".join(f"{name} {_told(value)}" for name, value in found.items())
        if self.layers:
            best = self.layers[0]
            yield (
                f"Chosen: block {best.block} ({best.reduction}), strength {best.strength}, {_told(best.score)} on validation; "
                f"{self.flat} of {len(self.layers)} layers are about as good"
            )
        if self.row.failures:
            yield f"Failures in the row: {self.row.failures}"
        if len(self.worst):
            names = [str(name) for name in self.worst["id"]]
            yield f"Worst: {', '.join(names)}"
        yield from (f"Look at {path}" for path in self.files)


def _told(value: float | None) -> str:
    return "undefined" if value is None or not np.isfinite(value) else f"{value:.4g}"


def explain(
    row: str | Path,
    *,
    limit: int = LIMIT,
    out: str | Path | None = None,
    data_root: str | Path | None = None,
    encoder_from: str | None = None,
    tasks_from: str | Path | None = None,
    folder: str | None = None,
    trust: bool = False,
) -> Explanation:
    """Return why the number of a row may be what it is: ``paco-eval explain ROW`` as a function.

    Args:
        row: its file ``KEY.json``, or ``FOLDER#KEY`` of an archive.
        limit: pictures of each part that are looked at.
        out: folder of the sheet of worst faces; without it none is written.
        data_root: folder of the data sets.
        encoder_from: ``FILE:CLASS`` that gives the encoder of the row, where its name cannot be loaded; needs ``trust``.
        tasks_from: the Python file that declares the task.
        folder: ``FAMILY=PATH``, the task on own pictures.
        trust: whether code that comes with an encoder may run.

    Raises:
        PacoError: as :func:`explain_row`.

    """
    extra = [*(tasks_of(Path(tasks_from)) if tasks_from else ()), *([own_task(folder)] if folder else ())]
    use_device("auto")
    return explain_row(
        row, all_tasks(extra), encoder_from=encoder_from, limit=limit, out=None if out is None else Path(out),
        trust=trust, data_root=None if data_root is None else Path(data_root),
    )  # fmt: skip


def explain_row(
    place: str | Path,
    known: Mapping[str, Task],
    *,
    encoder: Encoder | None = None,
    encoder_from: str | None = None,
    data_root: Path | None = None,
    limit: int = LIMIT,
    out: Path | None = None,
    trust: bool = False,
) -> Explanation:
    """Return why the number of a row may be what it is.

    Args:
        place: file of the row, or ``FOLDER#KEY`` of an archive.
        known: tasks by name.
        encoder: in place of the one that the row names.
        encoder_from: ``FILE:CLASS`` that gives it.
        data_root: folder of the data sets.
        limit: at most so many pictures of each part are looked at.
        out: folder for a sheet of the worst faces; none without it.
        trust: whether code that comes with an encoder may run.

    Raises:
        MissingDataError: the task's data is not under ``data_root``.
        PacoError: the row cannot be read, its task is not known here, it is of a protocol or kind that is not
            explained, or the encoder cannot be had.

    """
    stored = find_row(place)
    row = stored.row
    protocol = Protocol.parse(row.protocol)
    task = task_of(stored.path, row, known, data_root)
    if task.sweep is not None:
        raise PacoError(f"{row.task} is a derived task. Explain the row of {task.sweep.base} instead.")
    if protocol.name != "frozen" or load_kind(task.kind).HEAD in ("diagnostics", "token_ridge"):
        raise PacoError(f"{stored.path}: only frozen features with one head a picture are explained.")
    own = encoder or encoder_of(stored.path, row, encoder_from=encoder_from, trust=trust)
    asked = replace(
        Protocol(crop=protocol.crop), limit=limit if protocol.limit is None else min(limit, protocol.limit)
    )
    data = Data.load(task, data_root, asked)
    found = diagnose(own, data, row)
    if out is None:
        return found
    return replace(found, files=sheet_of_worst(found.worst, data, out))


@dataclass(frozen=True)
class _Look:
    """One measurement: what was scored, and all that is needed to score it against other labels."""

    data: Data
    features: Features
    scorer: Scorer
    items: pd.DataFrame
    metric: Metric = field(repr=False)

    @property
    def value(self) -> float:
        return self.metric.value(self.items)

    def against(self, labels: pd.DataFrame) -> pd.DataFrame:
        """Return the items of the same outputs against other labels."""
        return self.scorer.items(self.features.layers[self.scorer.decision.choice.layer], labels)


def _look(encoder: Encoder, data: Data) -> _Look:
    task, (units, split) = data.task, data.views["all"]
    features = extract(encoder, units, task.reductions, flip=task.flip, progress=True)
    if isinstance(split, Split):
        decision = Decision(choose(task, features.layers, units.labels, split.select, _coarse(task)))
    else:
        decision = decide_elsewhere(encoder, data)
    scorer = Scorer.fitted(task, split, decision, features.layers, units.labels)
    items = scorer.items(features.layers[decision.choice.layer], units.labels)
    return _Look(data, features, scorer, items, main_metric(task))


def _coarse(task: Task) -> list[float] | None:
    """Return every fourth strength of a long path, which is enough to compare by; None for all of a short one."""
    solver = load_solver(task.head or load_kind(task.kind).HEAD)
    path = getattr(import_module(solver.__module__), "STRENGTHS", ())
    return [float(strength) for strength in path[::4]] if len(path) > 20 else None


def diagnose(encoder: Encoder, data: Data, row: Row) -> Explanation:
    """Return what is found out about an encoder on data that are loaded, for a row of it."""
    look = _look(encoder, data)
    metric = look.metric
    changed: dict[str, float] = {}
    findings: list[Finding] = []
    for check in tracked(CHECKS, "explaining", len(CHECKS), "checks"):
        for finding, values in check(encoder, look):
            changed |= values
            findings += [finding] if finding is not None else []
    findings.sort(key=lambda finding: -finding.gain)
    layers = _layers(look)
    at_best = layers[0].score if layers else math.nan
    slack = FLAT * abs(_ideal(metric) - at_best) if layers else 0.0
    return Explanation(
        row=row,
        metric=metric.name,
        value=look.value,
        pictures=data.protocol.limit or 0,
        beside=_beside(encoder, data),
        layers=layers,
        flat=sum(abs(layer.score - at_best) <= slack for layer in layers),
        changed=changed,
        findings=findings,
        worst=_worst(look.items),
    )


Checked = Iterator[tuple[Finding | None, Mapping[str, float]]]
"""Findings of a check, with the value under each change that it tried."""


def _judged(
    look: _Look, name: str, items: pd.DataFrame, cause: str, sentence: str
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


def _ideal(metric: Metric) -> float:
    return metric.best if np.isfinite(metric.best) else 0.0


def _gain(metric: Metric, before: float, after: float) -> float:
    """Return the share of the distance to a perfect score that is gone."""
    left = abs(_ideal(metric) - before)
    return float("nan") if not left else (left - abs(_ideal(metric) - after)) / left


def _under(encoder: Encoder, pixels: PixelContract) -> Encoder:
    other = copy.copy(encoder)
    other.pixels = pixels
    return other


def _colours(encoder: Encoder, look: _Look) -> Checked:
    pixels = encoder.pixels
    other: Literal["RGB", "BGR"] = "BGR" if pixels.channels == "RGB" else "RGB"
    swapped = replace(pixels, channels=other, mean=pixels.mean[::-1], std=pixels.std[::-1])
    items = _look(_under(encoder, swapped), look.data).items
    sentence = (
        f"The colours seem to be in the wrong order: the weights are given {pixels.channels} and do better on {other}. "
        f"Declare channels {other}."
    )
    yield _judged(look, f"channels {other}", items, "channels", sentence)


def _ranges(encoder: Encoder, look: _Look) -> Checked:
    pixels, now = encoder.pixels, _ends(encoder.pixels)
    tried = []
    for name, (low_high, mean, std) in RANGES.items():
        other = replace(pixels, value_range=low_high, mean=mean, std=std)
        if np.allclose(_ends(other), now, rtol=0.05, atol=0.05):
            continue
        items = _look(_under(encoder, other), look.data).items
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


def _cut(encoder: Encoder, look: _Look) -> Checked:
    data = look.data
    for name, factor in (("cut closer", ZOOM), ("cut more loosely", 1 / 1.3)):
        items = _look(encoder, zoomed(data, factor)).items
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


def _flip(encoder: Encoder, look: _Look) -> Checked:
    flip: Literal["none", "sum"] = "none" if look.data.task.flip == "sum" else "sum"
    items = _look(encoder, replace(look.data, task=replace(look.data.task, flip=flip))).items
    name = "mirrored pictures added" if flip == "sum" else "mirrored pictures left out"
    sentence = f"Much of the number is how mirrored pictures count; it is better with {name}. Compare like with like."
    yield _judged(look, name, items, "flip", sentence)


def _mirrored(encoder: Encoder, look: _Look) -> Checked:
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


def _mirrored_poses(labels: pd.DataFrame, look: _Look) -> Iterator[tuple[str, pd.DataFrame]]:
    yaw, pitch, roll = true_angles(labels).T
    turned = labels.assign(yaw=-yaw, roll=-roll)
    if "rotation" in labels:
        rotations = rotation_from_angles(-yaw, pitch, -roll)
        turned["rotation"] = pd.Series(
            [rotation.tolist() for rotation in rotations], index=labels.index, dtype=object
        )
    yield "labels mirrored", turned


def _mirrored_points(labels: pd.DataFrame, look: _Look) -> Iterator[tuple[str, pd.DataFrame]]:
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


MIRRORS: dict[str, Callable[[pd.DataFrame, _Look], Iterator[tuple[str, pd.DataFrame]]]] = {
    "pose": _mirrored_poses,
    "landmarks": _mirrored_points,
}


def _counted_from_one(encoder: Encoder, look: _Look) -> Checked:
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


def _exchanged(encoder: Encoder, look: _Look) -> Checked:
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
    value = _look(encoder, replace(look.data, views={"all": (units, other)})).value
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


def _failed(encoder: Encoder, look: _Look) -> Checked:
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


CHECKS: tuple[Callable[[Encoder, _Look], Checked], ...] = (
    _failed, _colours, _ranges, _cut, _flip, _mirrored, _counted_from_one, _exchanged,
)  # fmt: skip
"""What is tried, each by itself."""


def _beside(encoder: Encoder, data: Data) -> dict[str, float]:
    """Return what others make of the same part: raw pixels, a constant, and the same network untrained."""
    scheme, _, rest = encoder.name.partition(":")
    named = {"pixels": "pixels", "constant": "constant"}
    if scheme == "timm" and "?" not in rest:
        named["untrained"] = f"random:{rest}"
    elif not rest and encoder.parameters:
        named["untrained"] = f"random:{encoder.name}"
    found = {}
    for title, name in named.items():
        if name == encoder.name:
            continue
        try:
            found[title] = _look(load_encoder(name), data).value
        except PacoError:  # no such network untrained, or nothing to choose
            continue
    return found


def _layers(look: _Look) -> list[Layered]:
    """Return the score of every layer on validation, the best first."""
    units, split = look.data.views["all"]
    if not isinstance(split, Split):
        return []
    found: list[Choice] = [
        choose(look.data.task, {layer: table}, units.labels, split.select, _coarse(look.data.task))
        for layer, table in look.features.layers.items()
    ]
    sign = 1 if look.metric.higher_is_better else -1
    found.sort(key=lambda choice: -sign * choice.score if np.isfinite(choice.score) else math.inf)
    return [Layered(*choice.layer, choice.strength, choice.score) for choice in found]


def _worst(items: pd.DataFrame) -> pd.DataFrame:
    """Return the worst items: largest errors, of pairs the least alike of one person and the most alike of two."""
    if "error" in items:
        return items.sort_values("error", ascending=False, kind="stable").head(WORST).reset_index(drop=True)
    if {"score", "truth"} <= set(items.columns):
        same = items["truth"].astype(bool)
        genuine = items[same].sort_values("score", kind="stable").head(WORST // 2)
        impostor = items[~same].sort_values("score", ascending=False, kind="stable")
        return pd.concat([genuine, impostor.head(WORST - len(genuine))], ignore_index=True)
    return items.head(0)


def sheet_of_worst(worst: pd.DataFrame, data: Data, out: Path) -> list[Path]:
    """Write the worst items as faces into ``out/worst.png`` and return it; nothing where no face can be read."""
    from paco_eval.report.inspect.contact import contact_sheet

    units = data.views["all"][0]
    place = {name: unit for unit, name in enumerate(units.labels["unit_id"])}
    rows: list[tuple[list[int], str]] = []
    for item in worst.to_dict("records"):
        sides = [place[name] for name in _names(item, data.task) if name in place]
        score = item.get("error", item.get("score"))
        rows.append((sides, f"{item['id']}  {score:.3g}" if score is not None else str(item["id"])))
    return contact_sheet(rows, units, out / "worst.png")


def _names(item: Mapping[Any, Any], task: Task) -> list[str]:
    if task.kind in PEOPLE_KINDS:
        return [str(item[side]) for side in ("id_a", "id_b") if side in item]
    return [str(item["id"])]
