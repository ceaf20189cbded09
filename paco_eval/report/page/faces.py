"""The face matrix: the same faces in columns, encoders in rows, and for recognition the hardest pairs.

Pictures come from the samples of rows, what was predicted on them from their items, so an encoder is shown on faces
that another's row kept. All of it is plain data, drawn by the page's script when it is looked at.
"""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from paco_eval.report.charts.scores import Items
from paco_eval.rows.artefacts import load_arrays
from paco_eval.rows.samples import PAIR, SHARED, WORST, hardest_pairs
from paco_eval.rows.schema import Row
from paco_eval.rows.store import SAMPLES, Stored
from paco_fr.faces.crop import apply
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError

ANGLES = ("yaw", "pitch", "roll")
FAR = 0.01
"""Rate of false accepts at which a pair is called accepted, where the main metric names no other."""
SIDE = 112
"""Pixels of a face on the page."""


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
    """A kept picture: its number on the page, its side in pixels, and the way from the photograph to it."""

    picture: int
    side: int
    transform: npt.NDArray[np.float64]
    visible: npt.NDArray[np.bool_]


@dataclass
class _Kept:
    """What rows of one task on the same data keep."""

    faces: dict[str, Face] = field(default_factory=dict)
    shared: dict[str, None] = field(default_factory=dict)
    worst: dict[str, list[str]] = field(default_factory=dict)


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
    older = 0
    for (task, _, _), found in tasks.items():
        kept, unread = _kept(found, pictures, problem)
        older += unread
        if not kept.faces:
            continue
        try:
            tables = {label: items(stored) for label, stored in found}
            needed = next(
                (need for need in NEEDED if any(need <= set(frame) for frame in tables.values())), None
            )
            if needed is None:
                continue
            tables = {label: frame for label, frame in tables.items() if needed <= set(frame)}
            matrix = _matrix(task, [each for each in found if each[0] in tables], tables, kept)
        except (PacoError, KeyError) as error:
            problem(f"{task}: its faces cannot be shown: {error}")
            continue
        if matrix is not None:
            made.append(matrix)
    if older:
        problem(f"Faces of {older} rows were kept by an earlier version and are not shown; evaluate again.")
    return made


def _kept(found: Sequence[tuple[str, Stored]], pictures: Pictures, problem: Sentence) -> tuple[_Kept, int]:
    kept, older = _Kept(), 0
    for label, stored in found:
        try:
            place = stored.beside(SAMPLES)
            arrays = None if place is None else load_arrays(place, "samples")
        except PacoError as error:
            if "no array 'ids'" in str(error):
                older += 1
            else:
                problem(str(error))
            continue
        if arrays is None:
            continue
        columns = (arrays[name] for name in ("images", "ids", "roles", "transforms", "visible"))
        for image, name, role, transform, visible in zip(*columns, strict=True):
            if str(name) not in kept.faces:
                kept.faces[str(name)] = Face(pictures.add(image), image.shape[0], transform, visible)
            if role == SHARED:
                kept.shared[str(name)] = None
            elif role == WORST:
                kept.worst.setdefault(label, []).append(str(name))
            else:
                assert role == PAIR or role
    return kept, older


def _matrix(
    task: str, found: Sequence[tuple[str, Stored]], tables: Mapping[str, pd.DataFrame], kept: _Kept
) -> dict[str, Any] | None:
    first = next(iter(tables.values()))
    if set(first) >= PAIRED:
        return _pairs(task, found, tables, kept)
    kind = next((kind for kind, (needed, _) in KINDS.items() if needed <= set(first)), None)
    if kind is None:
        return None
    cell = KINDS[kind][1]
    indexed = {label: frame.set_index("id", drop=False) for label, frame in tables.items()}
    shared = [name for name in kept.shared if all(name in frame.index for frame in indexed.values())]
    lines = []
    for label, stored in found:
        frame = indexed[label]
        own = [name for name in kept.worst.get(label, []) if name in frame.index]
        cells = [cell(_item(frame, name), kept.faces[name], stored.row) for name in [*shared, *own]]
        if kind == "classification":  # these stand under no column that says what is true
            for name, said in zip(own, cells[len(shared) :], strict=True):
                said["t"] += f" for {class_name(stored.row, int(_item(frame, name)['truth']))}"
        pictures = [kept.faces[name].picture for name in own]
        lines.append({"label": label, "cells": cells, "own": pictures})
    columns = [
        {
            "img": kept.faces[name].picture,
            "id": name,
            **_truth(kind, _item(indexed[found[0][0]], name), kept.faces[name], found[0][1].row),
        }
        for name in shared
    ]
    sides = [kept.faces[name].side for name in kept.faces]
    return {"task": task, "kind": kind, "side": max(sides), "columns": columns, "rows": lines}


Item = Mapping[str, Any]


def _item(frame: pd.DataFrame, name: str) -> Item:
    """Return one line of items that are indexed by their ids."""
    place = int(np.flatnonzero(frame.index == name)[0])
    return {str(column): frame[column].iloc[place] for column in frame}


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


def _of_pose(item: Item, face: Face, row: Row) -> dict[str, Any]:
    said = [float(item[f"{angle}_pred"]) for angle in ANGLES]
    if not np.isfinite(said).all():
        return {"t": "failed"}
    return {"a": _axes(said, face), "t": f"{float(item['error']):.1f}° off"}


def _of_points(item: Item, face: Face, row: Row) -> dict[str, Any]:
    if item["failure"] or item["prediction"] is None:
        return {"t": "failed"}
    return {
        "p": _points(item["prediction"], face),
        "q": _points(item["truth"], face),
        "t": f"{float(item['error']):.1f} %",
    }


def _of_class(item: Item, face: Face, row: Row) -> dict[str, Any]:
    right = int(item["prediction"]) == int(item["truth"])
    sure = f", {100 * float(item['confidence']):.0f} % sure" if "confidence" in item else ""
    return {
        "t": class_name(row, int(item["prediction"])),
        "s": ("right" if right else "wrong") + sure,
        "ok": right,
    }


Cell = Callable[[Item, Face, Row], dict[str, Any]]

KINDS: dict[str, tuple[set[str], Cell]] = {
    "pose": ({"yaw_pred", "pitch_pred", "roll_pred"}, _of_pose),
    "landmarks": ({"prediction", "truth", "error", "nme_box"}, _of_points),
    "classification": ({"prediction", "truth", "confidence"}, _of_class),
}
"""By kind of task the columns of items that it needs, and what is shown of one face."""


PAIRED = {"id_a", "id_b", "score", "truth"}
NEEDED = (PAIRED, *(needed for needed, _ in KINDS.values()))


def _truth(kind: str, item: Item, face: Face, row: Row) -> dict[str, Any]:
    """Return what is true of a face, for the head of its column."""
    if kind == "pose":
        angles = [float(item[f"{angle}_true"]) for angle in ANGLES]
        return {
            "a": _axes(angles, face),
            "t": " / ".join(f"{angle:.0f}°" for angle in angles).replace("-", "−"),
        }
    if kind == "landmarks":
        yaw = f"yaw {float(item['yaw']):.0f}°".replace("-", "−") if "yaw" in item else ""
        return {"q": _points(item["truth"], face), "t": yaw}
    return {"t": class_name(row, int(item["truth"]))}


def class_name(row: Row, code: int) -> str:
    """Return a class as people call it: from the row's definition, else the seven expressions, else its number."""
    from paco_fr.faces.records import EXPRESSIONS

    definition = getattr(row, "definition", None)
    options = definition.options if definition is not None else {}
    names = options.get("classes") or (EXPRESSIONS if row.family.endswith("expression") else ())
    if code < 0:
        return "none"
    return str(names[code]).replace("_", " ") if code < len(names) else str(code)


def _pairs(
    task: str, found: Sequence[tuple[str, Stored]], tables: Mapping[str, pd.DataFrame], kept: _Kept
) -> dict[str, Any] | None:
    """Return for each line its hardest pairs, and what every line makes of them."""
    indexed = {label: frame.set_index("id", drop=False) for label, frame in tables.items()}
    far = _far(found[0][1].row)
    impostors = {}
    for label, frame in tables.items():
        scores = frame.loc[~frame["truth"].astype(bool), "score"].to_numpy(dtype=np.float64)
        impostors[label] = np.sort(scores[np.isfinite(scores)])
    sets = []
    for label, _ in found:
        pairs = hardest_pairs(tables[label])
        shown = [
            pair
            for pair in pairs.to_dict("records")
            if {pair["id_a"], pair["id_b"]} <= set(kept.faces)
            and all(pair["id"] in f.index for f in indexed.values())
        ]
        if not shown:
            continue
        columns = [
            {
                "img": kept.faces[pair["id_a"]].picture,
                "img2": kept.faces[pair["id_b"]].picture,
                "same": bool(pair["truth"]),
                "id": pair["id"],
            }
            for pair in shown
        ]
        lines = [
            {
                "label": other,
                "cells": [
                    _verdict(_item(indexed[other], pair["id"]), impostors[other], far) for pair in shown
                ],
            }
            for other, _ in found
        ]
        sets.append({"label": label, "columns": columns, "rows": lines})
    if not sets:
        return None
    return {
        "task": task,
        "kind": "pairs",
        "side": max(face.side for face in kept.faces.values()),
        "sets": sets,
        "far": f"{100 * far:g} %",
    }


def _far(row: Row) -> float:
    name, _, rate = row.main_metric.partition("far=")
    return float(rate) if rate and name.startswith("tar") else FAR


def _verdict(item: Item, impostors: npt.NDArray[np.float64], far: float) -> dict[str, Any]:
    score = float(item["score"])
    if not np.isfinite(score) or not len(impostors):
        return {"t": "failed"}
    threshold = impostors[min(len(impostors) - 1, int(np.ceil((1 - far) * len(impostors))))]
    accepted = bool(score > threshold)
    above = 100 * np.searchsorted(impostors, score) / len(impostors)
    return {
        "t": "accepted" if accepted else "rejected",
        "ok": accepted == bool(item["truth"]),
        "v": round(float(above), 1),
        "s": f"above {above:.0f} % of impostors",
    }
