"""``data align``: photographs of people to aligned faces with 68 points, and a report of what became of each.

The result is a folder: ``faces/`` holds face records in parquet, itself a SOURCE, whose pictures are five-point
crops with their points in pixels of the crop; ``report.parquet`` has a line for every photograph, kept or not.
Photographs in folders of people (``PERSON/PICTURE``) keep who is who: ``identity`` is the name of the folder.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from datasets import Dataset

from paco_fr.contracts import CropContract
from paco_fr.data.sources import load_source, same_place
from paco_fr.faces.crop import apply, crop_image, crop_transform
from paco_fr.faces.decode import Pixels, encode_png, read_image
from paco_fr.faces.detector import FaceDetector, Found, detector_of
from paco_fr.faces.landmarks import box_of, five_points
from paco_fr.faces.listing import as_text
from paco_fr.faces.records import COLUMNS, digests_of_parts, features
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import (
    atomic_file,
    file_checksum,
    never_onto,
    owned_folder,
    remove_torn,
    same_settings,
    write_text,
)
from paco_fr.utils.pool import in_order
from paco_fr.utils.progress import stage
from paco_fr.utils.untrusted import parse_parquet, read_bounded, read_text

Several = Literal["largest", "central", "reject"]
Keep = Callable[[Pixels, dict[str, Any], Found, str, "Rules"], dict[str, Any]]
"""Makes the record that is kept of photograph, record, face, scheme of its points and rules."""

NOSE = 0.6
"""How far the tip of the nose stands before the eyes, in distances of the pupils: a rough average of adults."""

MEANT = 0.2
"""Share that the box of a found face and the known one have in common at least, where both are of one face."""

PART = 256
"""Photographs in a part, the unit of resuming."""


@dataclass(frozen=True)
class Rules:
    """What is kept, and how it is cut.

    Attributes:
        template: five-point template of the crops.
        canvas: side of a crop in pixels.
        several: which of several faces counts: the one with the largest box, the one nearest to the middle of
            the photograph, or none.
        min_score: of the detector.
        min_side: larger side of the face's box in pixels.
        max_turn: largest turn to a side in degrees, estimated from five points (see :func:`turn_of`).
        detector: one of :data:`paco_fr.faces.detector.DETECTORS`.
        known: whether a photograph's own box says which face is meant, and where it is if no detector finds it.

    """

    template: str = "farl"
    canvas: int = 256
    several: Several = "largest"
    min_score: float = 0.8
    min_side: float = 48.0
    max_turn: float = 60.0
    detector: str = "face-alignment"
    known: bool = False


LATER = {"detector": "face-alignment", "known": False}
"""Rules that folders of earlier versions do not name, with what they were then."""


@dataclass(frozen=True)
class Line:
    """A line of the report: what was found in one photograph, and whether and why it was kept.

    ``status`` is ``kept``, ``no face``, ``several faces``, ``too small``, ``too turned``, ``no alignment`` or
    ``unreadable``; ``by`` says whose points were used, ``record`` or ``detector``, or ``box`` where the detector found
    none and its points were put into the box that the record knows.
    """

    image_id: str
    status: str
    why: str = ""
    by: str = ""
    faces: int = 0
    score: float = float("nan")
    side: float = float("nan")
    turn: float = float("nan")


@dataclass(frozen=True)
class _Context:
    records: Dataset
    out: Path
    rules: Rules
    inputs: dict[int, str]
    detector: _Once
    keep: Keep


def align(
    source: str,
    out: Path,
    rules: Rules,
    *,
    workers: int = 1,
    device: str = "cpu",
    progress: bool = False,
) -> Counter[str]:
    """Align all photographs of a source into ``out``; return how many ended with which status.

    Finished parts are kept, so the same call goes on where it was stopped. Photographs that come with
    landmarks need no detector; it is loaded when the first one without is met.

    Raises:
        PacoError: other rules were used in ``out``, the detector cannot be had, or nothing was kept.

    """
    never_onto(out, Path(source).expanduser())
    records = with_people(load_source(source))
    return sought(records, source, out, rules, _cut, workers=workers, device=device, progress=progress)


def sought(
    records: Dataset, source: str, out: Path, rules: Rules, keep: Keep, *, workers: int, device: str, progress: bool
) -> Counter[str]:  # fmt: skip
    """Look for the face of every record, part by part, and keep in ``out`` what ``keep`` makes of it; see :func:`align`."""
    with owned_folder(out):
        for folder in (out / "faces", out / "parts", out / "inputs"):
            folder.mkdir(exist_ok=True)
            remove_torn(folder)
        parts = range(-(-len(records) // PART))
        inputs = dict(enumerate(digests_of_parts(records, PART)))
        todo = [number for number in parts if not _done(out, number, inputs[number])]
        _note(out, as_text(source), rules, known=len(todo) < len(parts))
        _forget(out, todo, len(parts), as_text(source))
        before = (len(parts) - len(todo)) * PART
        with stage(f"aligning {source}", len(records), "img", initial=before, shown=progress) as bar:
            detector = _Once(rules.detector, device, alone=workers <= 1)
            context = _Context(records, out, rules, inputs, detector, keep)
            for done in in_order(_part, context, todo, workers):
                bar.update(done)
        reports = [_report(out, number) for number in parts]
        tables = [parse_parquet(read_bounded(path), path) for path in reports]
        report = pd.concat(tables, ignore_index=True)
        with atomic_file(out / "report.parquet") as path:
            report.to_parquet(path, index=False)
    counts = Counter(report["status"].tolist())
    if not counts["kept"]:
        listed = ", ".join(f"{status}: {count}" for status, count in counts.most_common())
        first = next((f" First: {why.rstrip('.')}." for why in report["why"] if why), "")
        raise PacoError(
            f"{source}: not one of {len(report)} photographs was kept ({listed}).{first} See {out / 'report.parquet'}."
        )
    return counts


def with_people(records: Dataset) -> Dataset:
    """Return records with ``identity`` and ``group`` where files lie in folders of people; others as they are.

    They do where each lies in a sub-folder of the source: PERSON/PICTURE.
    """
    ids = records["image_id"][:]
    if "identity" in records.column_names or not all("/" in name for name in ids):
        return records
    if any(cell["bytes"] is not None for cell in records.select(range(1))["image"]):
        return records  # a table, whose names are no paths
    people = [name.partition("/")[0] for name in ids]
    for column in ("identity", "group"):
        records = records.remove_columns([column] if column in records.column_names else [])
        records = records.add_column(column, people, feature=COLUMNS[column])
    return records


def judge(image: Pixels, row: dict[str, Any], rules: Rules, detector: Any) -> tuple[Line, Found | None, str]:
    """Return the report's line, the face if it is kept, and the scheme of its points.

    Args:
        image: the photograph (H, W, 3).
        row: its record; with ``landmarks`` and ``scheme`` the detector is left alone.
        rules: what is kept.
        detector: called for one that has ``faces`` and ``points`` when one is needed.

    """
    name, scheme = str(row["image_id"]), row.get("scheme") or "ibug68"
    if row.get("landmarks"):
        points = np.asarray(row["landmarks"], np.float64)
        box = (
            np.asarray(row["box"], np.float64)
            if row.get("box")
            else box_of(points[np.isfinite(points).all(1)])
        )
        faces, by = [Found(box, 1.0, points)], "record"
    else:
        found = detector().faces(image)
        faces, by, scheme = [face for face in found if face.score >= rules.min_score], "detector", "ibug68"
        if rules.known and row.get("box") is not None:
            box = np.asarray(row["box"], np.float64)
            faces = [face for face in faces if _share(face.box, box) > MEANT]
            faces = sorted(faces, key=lambda face: -_share(face.box, box))[:1]
            if not faces:
                faces, by = [Found(box, float("nan"), np.full((68, 2), np.nan))], "box"
    line = Line(name, "kept", by=by, faces=len(faces))
    if not faces:
        return (
            replace(line, status="no face", why=f"no face with a score of {rules.min_score:g}"),
            None,
            scheme,
        )
    if len(faces) > 1 and rules.several == "reject":
        return replace(line, status="several faces", why=f"{len(faces)} faces, rule reject"), None, scheme
    face = _choose(faces, image, rules.several)
    if len(faces) > 1:
        line = replace(line, why=f"the {rules.several} of {len(faces)} faces")
    side = float(max(face.box[2] - face.box[0], face.box[3] - face.box[1]))
    line = replace(line, score=face.score, side=side)
    if side < rules.min_side:
        return (
            replace(line, status="too small", why=f"{side:.0f} px, less than {rules.min_side:g}"),
            None,
            scheme,
        )
    if by != "record":
        face = detector().points(image, face)
    try:
        turn = turn_of(five_points(face.landmarks, scheme))
    except PacoError as error:
        return replace(line, status="no alignment", why=str(error)), None, scheme
    line = replace(line, turn=turn)
    if abs(turn) > rules.max_turn:
        return (
            replace(line, status="too turned", why=f"{turn:.0f} degrees, more than {rules.max_turn:g}"),
            None,
            scheme,
        )
    return line, face, scheme


def turn_of(five: Any) -> float:
    """Return roughly how far a face is turned to a side, in degrees, from its five points (5, 2).

    Along the line through the eyes, the tip of the nose moves away from their middle by ``NOSE`` tan(yaw)
    distances of the pupils. Good enough to sort out profiles, not to measure pose.
    """
    left, right, nose = np.asarray(five, np.float64)[:3]
    axis = right - left
    length = float(np.hypot(*axis))
    if length == 0:
        raise PacoError("Both eyes lie at the same point.")
    offset = float((nose - (left + right) / 2) @ axis) / length**2
    return float(np.degrees(np.arctan(offset / NOSE)))


def _share(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Return how much of two boxes is common to both, as a share of all that they cover."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / max(float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common, 1e-9)


def _choose(faces: list[Found], image: Pixels, several: Several) -> Found:
    if several == "central":
        middle = np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2
        return min(faces, key=lambda face: float(np.hypot(*((face.box[:2] + face.box[2:]) / 2 - middle))))
    return max(faces, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])))


def _part(context: _Context, number: int) -> int:
    """Align one part: its faces first, then its report, which marks it as done."""
    rules, detector, lines, kept = context.rules, context.detector, [], []
    rows = range(number * PART, min((number + 1) * PART, len(context.records)))
    for index in rows:
        row = context.records[index]
        try:
            image = read_image(row["image"])
            line, face, scheme = judge(image, row, rules, detector)
        except PacoError as error:
            if detector.failed:
                raise
            lines.append(Line(str(row["image_id"]), "unreadable", str(error)))
            continue
        if face is not None:
            try:
                kept.append(context.keep(image, row, face, scheme, rules))
            except PacoError as error:
                line = replace(line, status="no alignment", why=str(error))
        lines.append(line)
    if kept:
        columns = {name: [row[name] for row in kept] for name in kept[0]}
        with atomic_file(_faces(context.out, number)) as path:
            Dataset.from_dict(columns, features=features(columns)).to_parquet(str(path))
    with atomic_file(_report(context.out, number)) as path:
        pd.DataFrame([asdict(line) for line in lines]).to_parquet(path, index=False)
    made = [context.inputs[number], *_sums(context.out, number)]
    write_text(_inputs_path(context.out, number), "\n".join(made))  # last: it says that all is there
    return len(rows)


def _sums(out: Path, number: int) -> list[str]:
    """Return the checksums of what a part left; a part of which nothing was kept has no faces."""
    return [
        file_checksum(path) if path.is_file() else "" for path in (_faces(out, number), _report(out, number))
    ]


def _done(out: Path, number: int, inputs: str) -> bool:
    """Say whether a part is there, whole, and of the photographs that are there now; a mended one is aligned again."""
    try:
        return _report(out, number).is_file() and (
            read_text(_inputs_path(out, number), 1000).split("\n") == [inputs, *_sums(out, number)]
        )
    except PacoError:
        return False


def _note(out: Path, source: str, rules: Rules, *, known: bool) -> None:
    """Note how a folder is aligned, or refuse to go on in one that was aligned otherwise.

    Where the source lies does not count as long as some of it is ``known``.
    """

    def moved(found: Mapping[str, Any]) -> set[str]:
        return {"source"} if known or same_place(str(found["source"]), source) else set()

    wanted = {"source": source, **asdict(rules)}
    same_settings(out, wanted, made="aligned", advice="Choose another folder.", later=LATER, moved=moved)


def _forget(out: Path, todo: list[int], parts: int, source: str) -> None:
    """Remove what was made of photographs that are others now, or gone, and say so."""
    there = {int(path.stem.rpartition("-")[2]) for path in (out / "inputs").glob("part-*.txt")}
    left = {int(path.stem.rpartition("-")[2]) for path in (out / "parts").glob("report-*.parquet")}
    gone = [number for number in sorted(there) if number in todo or number >= parts]
    if gone:
        sys.stderr.write(
            f"{source}: {len(gone)} of {len(there)} parts in {out} are of photographs that changed, or damaged: "
            "aligned anew.\n"
        )
        sys.stderr.flush()
    for number in {*todo, *gone, *(each for each in left if each >= parts)}:
        for path in (_inputs_path(out, number), _report(out, number), _faces(out, number)):
            path.unlink(missing_ok=True)


def _cut(image: Pixels, row: dict[str, Any], face: Found, scheme: str, rules: Rules) -> dict[str, Any]:
    contract = CropContract("template", template=rules.template, canvas=rules.canvas)
    transform = crop_transform(contract, landmarks=face.landmarks, scheme=scheme)
    corners = np.array([face.box[[0, 1]], face.box[[2, 1]], face.box[[0, 3]], face.box[[2, 3]]])
    return {
        "image": {"bytes": encode_png(crop_image(image, transform, rules.canvas)), "path": None},
        "image_id": str(row["image_id"]),
        "group": str(row["group"]),
        "identity": row.get("identity"),
        "box": box_of(apply(transform, corners)).tolist(),
        "landmarks": apply(transform, face.landmarks).tolist(),
        "scheme": scheme,
        "template": rules.template,
        "detector_score": face.score,
    }


class _Once:
    """A detector made when it is first called for; ``failed`` tells whether that went wrong."""

    def __init__(self, name: str, device: str, *, alone: bool) -> None:
        self.name, self.device, self.alone, self.failed = name, device, alone, False
        self._made: FaceDetector | None = None

    def __call__(self) -> FaceDetector:
        if self._made is None:
            self.failed = True
            if not self.alone:
                import torch

                torch.set_num_threads(1)  # the other processes have the other cores
            self._made = detector_of(self.name, self.device)
            self.failed = False
        return self._made


def _faces(out: Path, number: int) -> Path:
    return out / "faces" / f"part-{number:05d}.parquet"


def _inputs_path(out: Path, number: int) -> Path:
    return out / "inputs" / f"part-{number:05d}.txt"


def _report(out: Path, number: int) -> Path:
    return out / "parts" / f"report-{number:05d}.parquet"
