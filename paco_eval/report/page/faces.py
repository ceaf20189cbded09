"""The face matrix: the same faces in columns, encoders in rows; of recognition what is in ``comparisons``.

Pictures come from the samples of rows, what was predicted on them from their items, so an encoder is shown on faces
that another's row kept. All of it is plain data, drawn by the page's script when it is looked at.
"""

from __future__ import annotations

import base64
import colorsys
import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from paco_eval.report.charts.scores import Items, class_name, classes_of
from paco_eval.report.page.comparisons import COMPARED, Item, comparisons, item_of
from paco_eval.rows.artefacts import load_arrays
from paco_eval.rows.schema import Row
from paco_eval.rows.store import SAMPLES, Stored
from paco_fr.faces.crop import apply
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from tasks.kinds.shared.class_maps import resized
from tasks.kinds.shared.shown import SHARED, WORST

ANGLES = ("yaw", "pitch", "roll")
SIDE = 112
"""Pixels of a face on the page."""
NAMED = 4
"""Attributes that are named under a face."""


class Pictures:
    """Pictures of a page as data addresses, each once."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._place: dict[bytes, int] = {}

    def add(self, picture: npt.NDArray[np.uint8]) -> int:
        """Return the number of a picture (H, W, 3) on the page."""
        key = picture.tobytes()
        if key not in self._place:
            self._place[key] = len(self.addresses)
            image = Image.fromarray(picture)
            if max(image.size) > 2 * SIDE:
                image.thumbnail((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
            self.addresses.append(data_address(image))
        return self._place[key]


def data_address(image: Image.Image, quality: int = 82) -> str:
    """Return a picture as an address that holds it."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


@dataclass
class Face:
    """A kept picture, its number on the page, and the way from the photograph to it."""

    pixels: npt.NDArray[np.uint8]
    picture: int
    transform: npt.NDArray[np.float64]

    @property
    def side(self) -> int:
        """Of the picture in pixels."""
        return len(self.pixels)


@dataclass
class _Kept:
    """What rows of one task on the same data keep.

    Attributes:
        faces: by unit.
        shared: units that every encoder is shown on.
        worst: of each line, the units that it did worst on.
        sides: of each line, the comparisons that it did worst on: by item the units of each side.
        masks: truth and prediction (2, S, S) by line and unit, where the kind of task has class maps.

    """

    faces: dict[str, Face] = field(default_factory=dict)
    shared: dict[str, None] = field(default_factory=dict)
    worst: dict[str, list[str]] = field(default_factory=dict)
    sides: dict[str, dict[str, list[list[str]]]] = field(default_factory=dict)
    masks: dict[tuple[str, str], npt.NDArray[np.uint8]] = field(default_factory=dict)

    def read(self, label: str, stored: Stored, pictures: Pictures) -> None:
        """Add what lies beside a row.

        Raises:
            PacoError: the file cannot be read.

        """
        place = stored.beside(SAMPLES)
        arrays = None if place is None else load_arrays(place, "samples")
        if arrays is None:
            return
        columns = (arrays[name] for name in ("images", "ids", "roles", "items", "sides", "transforms"))
        for at, (image, unit, role, item, side, transform) in enumerate(zip(*columns, strict=True)):
            name = str(unit)
            if name not in self.faces:
                self.faces[name] = Face(image, pictures.add(image), transform)
            if "masks" in arrays:
                self.masks[label, name] = arrays["masks"][at]
            if role == SHARED:
                self.shared[name] = None
            elif role == WORST:
                self.worst.setdefault(label, []).append(name)
            else:
                sides = self.sides.setdefault(label, {}).setdefault(str(item), [])
                sides += [[] for _ in range(len(sides), min(int(side), 8) + 1)]
                sides[min(int(side), 8)].append(name)


Sentence = Callable[[str], None]


def matrices(
    rows: Sequence[tuple[str, Stored]], items: Items, pictures: Pictures, problem: Sentence
) -> list[dict[str, Any]]:
    """Return a matrix for each task that keeps faces, as plain data for the page.

    Args:
        rows: line and row of plain tasks, lines in the order of the table; one row a line and task.
        items: reader.
        pictures: of the page; faces join them.
        problem: told what could not be read.

    """
    tasks: dict[tuple[str, str, str], list[tuple[str, Stored]]] = defaultdict(list)
    for label, stored in rows:
        row = stored.row
        tasks[row.task, row.crop_hash, row.data_fingerprint].append((label, stored))
    made = []
    for (task, _, _), found in tasks.items():
        kept = _Kept()
        for label, stored in found:
            try:
                kept.read(label, stored, pictures)
            except PacoError as error:
                problem(str(error))
        if not kept.faces:
            continue
        try:
            matrix = _matrix(task, found, {label: items(stored) for label, stored in found}, kept, pictures)
        except (PacoError, KeyError, IndexError) as error:
            problem(f"{task}: its faces cannot be shown: {error}")
            continue
        if matrix is not None:
            made.append(matrix)
    return made


def _matrix(
    task: str,
    found: Sequence[tuple[str, Stored]],
    tables: Mapping[str, pd.DataFrame],
    kept: _Kept,
    pictures: Pictures,
) -> dict[str, Any] | None:
    """Return the matrix of a task by the kind whose items its rows have; rows with other items are left out."""
    for kind, (needed, _) in {**KINDS, **COMPARED}.items():
        told = [(label, stored.row) for label, stored in found if needed <= set(tables[label])]
        if told:
            sides = [face.side for face in kept.faces.values()]
            matrix: dict[str, Any] = {"task": task, "kind": kind, "side": max(sides)}
            frames = {label: tables[label].set_index("id", drop=False) for label, _ in told}
            more = (
                _faces(kind, told, frames, kept, pictures)
                if kind in KINDS
                else comparisons(
                    kind, told, frames, kept.sides, {name: face.picture for name, face in kept.faces.items()}
                )
            )
            return matrix | more if more else None
    return None


@dataclass(frozen=True)
class Seen:
    """A face with what was said of it.

    Attributes:
        item: of the face.
        face: as it is kept.
        row: of the encoder.
        masks: truth and prediction (2, S, S), where they are kept.
        pictures: of the page.

    """

    item: Item
    face: Face
    row: Row
    masks: npt.NDArray[np.uint8] | None
    pictures: Pictures

    def painted(self, which: int) -> dict[str, Any]:
        """Return the picture with the truth (0) or the prediction (1) painted over it; nothing where none is kept."""
        if self.masks is None:
            return {}
        return {"img": self.pictures.add(paint(self.face.pixels, self.masks[which]))}


Drawn = Callable[[Seen], dict[str, Any]]


def _faces(
    kind: str,
    told: Sequence[tuple[str, Row]],
    frames: Mapping[str, pd.DataFrame],
    kept: _Kept,
    pictures: Pictures,
) -> dict[str, Any]:
    """Return the shared faces in columns, and what each line makes of them and of those it did worst on."""
    _, (truth, said) = KINDS[kind]

    def seen(label: str, row: Row, name: str) -> Seen:
        masks = kept.masks.get((label, name))
        return Seen(item_of(frames[label], name), kept.faces[name], row, masks, pictures)

    shared = [name for name in kept.shared if all(name in frame.index for frame in frames.values())]
    lines = []
    for label, row in told:
        own = [name for name in kept.worst.get(label, []) if name in frames[label].index]
        cells = [said(seen(label, row, name)) for name in shared]
        for name in own:  # these stand under no column that says what is true
            one = seen(label, row, name)
            cells.append(said(one))
            if kind == "classification":
                cells[-1]["t"] += f" for {class_name(row, int(one.item['truth']))}"
        lines.append({"label": label, "cells": cells, "own": [kept.faces[name].picture for name in own]})
    label, row = told[0]
    columns = [
        {"img": kept.faces[name].picture, "id": name, **truth(seen(label, row, name))} for name in shared
    ]
    more = {"keys": keys_of(classes_of(row))} if kind == "segmentation" and kept.masks else {}
    return {"columns": columns, "rows": lines, "bare": kind in BARE, **more}


def _points(values: Any, face: Face) -> list[int]:
    """Return points (L, 2) of a photograph as tenths of a pixel of the face, flat."""
    stacked = np.stack([np.asarray(point, dtype=np.float64) for point in values])
    moved = np.nan_to_num(apply(face.transform, stacked), nan=-99.0)
    return [int(value) for value in (10 * moved).round().ravel()]


def _axes(angles: Sequence[float], face: Face) -> list[int]:
    """Return where the axes of a head end on the face, from its middle, in tenths of a third of its side.

    To its left ear, down, and out of the nose, flat (x, y) each; the crop may be turned against the photograph.
    """
    rotation = rotation_from_angles(*angles)
    ends = np.stack([rotation[:2, 0], rotation[:2, 1], -rotation[:2, 2]])
    turn = face.transform[:, :2] / max(1e-9, float(np.sqrt(abs(np.linalg.det(face.transform[:, :2])))))
    return [int(value) for value in (face.side / 3 * 10 * (ends @ turn.T)).round().ravel()]


def _true_pose(seen: Seen) -> dict[str, Any]:
    angles = [float(seen.item[f"{angle}_true"]) for angle in ANGLES]
    shown = " / ".join(f"{angle:.0f}°" for angle in angles).replace("-", "−")
    return {"a": _axes(angles, seen.face), "t": shown}


def _said_pose(seen: Seen) -> dict[str, Any]:
    said = [float(seen.item[f"{angle}_pred"]) for angle in ANGLES]
    if not np.isfinite(said).all():
        return {"t": "failed"}
    return {"a": _axes(said, seen.face), "t": f"{float(seen.item['error']):.1f}° off"}


def _true_points(seen: Seen) -> dict[str, Any]:
    yaw = f"yaw {float(seen.item['yaw']):.0f}°".replace("-", "−") if "yaw" in seen.item else ""
    return {"q": _points(seen.item["truth"], seen.face), "t": yaw}


def _said_points(seen: Seen) -> dict[str, Any]:
    item = seen.item
    if item["failure"] or item["prediction"] is None:
        return {"t": "failed"}
    points = {"p": _points(item["prediction"], seen.face), "q": _points(item["truth"], seen.face)}
    return {**points, "t": f"{float(item['error']):.1f} %"}


def _true_class(seen: Seen) -> dict[str, Any]:
    return {"t": class_name(seen.row, int(seen.item["truth"]))}


def _said_class(seen: Seen) -> dict[str, Any]:
    item = seen.item
    right = int(item["prediction"]) == int(item["truth"])
    sure = f"{100 * float(item['confidence']):.0f} % sure" if "confidence" in item else ""
    return {"t": class_name(seen.row, int(item["prediction"])), "s": sure, "ok": right}


def _true_attributes(seen: Seen) -> dict[str, Any]:
    names = [
        class_name(seen.row, code) for code in np.flatnonzero(np.asarray(seen.item["truth"]) == 1).tolist()
    ]
    return {"t": _some(names) or "none of them"}


def _said_attributes(seen: Seen) -> dict[str, Any]:
    truth, said = (np.asarray(seen.item[name]) for name in ("truth", "prediction"))
    wrong = np.flatnonzero(truth != said).tolist()
    if (said < 0).all():
        return {"t": "failed"}
    names = [f"{'no ' if truth[code] else ''}{class_name(seen.row, code)}" for code in wrong]
    return {"t": f"{len(wrong)} of {len(truth)} wrong" if names else "all right", "s": _some(names)}


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _true_mask(seen: Seen) -> dict[str, Any]:
    return {"t": "as annotated" if seen.masks is not None else "", **seen.painted(0)}


def _said_mask(seen: Seen) -> dict[str, Any]:
    return {"t": f"{100 * float(seen.item['error']):.1f} % wrong", **seen.painted(1)}


def paint(picture: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a picture (H, W, 3) with the classes of a mask (S, S) laid over it; the background stays as it is."""
    placed = resized(mask, picture.shape[:2])
    share = np.where(placed == 0, 0.0, 0.6)[..., None]
    return np.asarray(picture * (1 - share) + PALETTE[placed] * share).round().astype(np.uint8)


def hue(code: int) -> tuple[int, int, int]:
    """Return the colour of a class: hues a golden section apart, in turns light and dark."""
    red, green, blue = colorsys.hls_to_rgb(0.618034 * code % 1.0, 0.62 if code % 2 else 0.42, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


PALETTE = np.array([hue(code) for code in range(256)])
"""The colour (256, 3) of every class that a mask can hold."""


def keys_of(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the name and the colour of every class but the background."""
    return [
        (str(name).replace("_", " "), "#{:02x}{:02x}{:02x}".format(*hue(code)))
        for code, name in enumerate(classes)
        if code
    ]


KINDS: dict[str, tuple[set[str], tuple[Drawn, Drawn]]] = {
    "pose": ({"yaw_pred", "pitch_pred", "roll_pred"}, (_true_pose, _said_pose)),
    "landmarks": ({"prediction", "truth", "error", "nme_box"}, (_true_points, _said_points)),
    "classification": ({"prediction", "truth", "confidence"}, (_true_class, _said_class)),
    "segmentation": ({"confusion", "error"}, (_true_mask, _said_mask)),
    "multilabel": ({"prediction", "truth", "error"}, (_true_attributes, _said_attributes)),
}
"""By kind of task the columns of items by which it is known, what is true of a face, and what was said of it."""
BARE = ("classification", "multilabel")
"""Kinds of which nothing is drawn on the face."""
