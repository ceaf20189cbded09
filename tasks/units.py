"""Units: the crops that a task scores. A photograph gives one, or several jittered copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from datasets import Dataset

from paco_fr.contracts import CropContract
from paco_fr.faces.crop import CropError, crop_image, crop_transform, enlarged, onto_canvas
from paco_fr.faces.decode import Pixels
from paco_fr.faces.records import cells_of, picture_contents, picture_sizes
from paco_fr.utils.progress import tracked
from paco_fr.utils.types import Array
from tasks.task import Task

PHOTO_SIZE = "photo_size"
"""Column of the labels beside masks: height and width of the photograph, None where it cannot be read."""


@dataclass(frozen=True)
class Units:
    """What to cut and what is known about it.

    Attributes:
        records: the face records.
        rows: (n,) record of each unit.
        transforms: (n, 2, 3) photograph to canvas; NaN where the photograph cannot be cut.
        canvas: side of the canvas in pixels.
        excluded: records that the protocol's own filter keeps out (``split`` "excluded"); they give no unit.
        labels: one line per unit: the record's columns without the picture, ``unit_id``, ``transform``,
            ``canvas``, and ``warp`` where there is one.
        warp: of the canvas, see :func:`paco_fr.faces.crop.warped`.
        contents: sha256 of the picture of each record, None where it cannot be read; empty where nobody asked yet.

    """

    records: Dataset
    rows: npt.NDArray[np.intp]
    transforms: npt.NDArray[np.float64]
    canvas: int
    labels: pd.DataFrame
    excluded: int = 0
    warp: float = 0.0
    contents: Sequence[bytes | None] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def known(self) -> Units:
        """Return the units with the contents of their pictures."""
        return self if self.contents else replace(self, contents=picture_contents(cells_of(self.records)))

    def only(self, keep: npt.NDArray[np.intp]) -> Units:
        """Return the units at ``keep``."""
        labels = self.labels.iloc[keep].reset_index(drop=True)
        return replace(self, rows=self.rows[keep], transforms=self.transforms[keep], labels=labels)

    def at(self, canvas: int) -> Units:
        """Return the same crops on a canvas of another side, cut from the photographs anew."""
        if canvas == self.canvas:
            return self
        transforms = enlarged(self.transforms, self.canvas, canvas)
        labels = self.labels.assign(transform=list(transforms), canvas=canvas)
        return replace(self, transforms=transforms, canvas=canvas, labels=labels)

    def cut(self, picture: Pixels, unit: int) -> Pixels:
        """Return the canvas of a unit, cut out of its photograph."""
        return crop_image(picture, self.transforms[unit], self.canvas, warp=self.warp)

    def on_canvas(self, points: npt.ArrayLike, unit: int) -> Array:
        """Return points (K, 2) of a unit's photograph as they lie on its canvas."""
        return onto_canvas(points, self.transforms[unit], self.canvas, self.warp)

    @property
    def source_side(self) -> float:
        """How many pixels of a photograph a side of the canvas shows, the median of the units; NaN of none."""
        linear = self.transforms[:, :, :2]
        scale = np.sqrt(np.abs(np.linalg.det(linear[np.isfinite(linear).all(axis=(1, 2))])))
        return float(self.canvas / np.median(scale)) if len(scale) else float("nan")


def units_of(records: Dataset, crop: CropContract) -> Units:
    """Return the units of face records under a crop contract.

    Raises:
        PacoError: a record lacks what the crop rule needs.

    """
    records, excluded = _without_excluded(records)
    labels = records.remove_columns("image").to_pandas().apply(_unnested)
    masked = "mask" in records.column_names
    sizes = picture_sizes(cells_of(records)) if crop.rule == "whole" or masked else [None] * len(records)
    rows, transforms, names = [], [], []
    some = crop.rule == "template" and "landmarks" in labels and labels["landmarks"].notna().any()
    for row, known in enumerate(tracked(labels.to_dict("records"), "placing crops", unit="face")):
        for copy in range(crop.copies):
            rows.append(row)
            names.append(known["image_id"] if crop.copies == 1 else f"{known['image_id']}#{copy}")
            try:
                if some and known["landmarks"] is None:
                    raise CropError("No points were found in this photograph.")
                transform = crop_transform(
                    crop,
                    landmarks=known.get("landmarks"),
                    scheme=known.get("scheme"),
                    box=known.get("box"),
                    image_size=sizes[row]
                    or (1, 1),  # extraction meets what cannot be read and counts the failure
                    image_key=known["image_id"],
                    copy=copy,
                )
            except CropError:
                transform = np.full((2, 3), np.nan)  # cutting it fails and is counted
            transforms.append(transform)
    table = labels.iloc[rows].reset_index(drop=True)
    stacked = np.stack(transforms)
    if masked:
        table[PHOTO_SIZE] = pd.Series([sizes[row] for row in rows], dtype=object)
    table["unit_id"], table["transform"], table["canvas"] = names, list(stacked), crop.canvas
    if crop.warp:
        table["warp"] = crop.warp
    return Units(records, np.array(rows, dtype=np.intp), stacked, crop.canvas, table, excluded, crop.warp)


def _without_excluded(records: Dataset) -> tuple[Dataset, int]:
    """Return the records that take part, and how many the protocol's filter keeps out."""
    if "split" not in records.column_names:
        return records, 0
    kept = np.flatnonzero(np.array(records["split"][:], dtype=object) != "excluded")
    return (records, 0) if len(kept) == len(records) else (records.select(kept), len(records) - len(kept))


def _unnested(column: pd.Series) -> pd.Series:
    """Return a column with arrays of arrays, as parquet readers give matrices, as plain matrices."""
    nested = [
        isinstance(cell, np.ndarray) and bool(cell.size) and isinstance(cell[0], np.ndarray)
        for cell in column
    ]
    if not any(nested):
        return column
    cells = [np.stack(cell) if deep else cell for cell, deep in zip(column, nested, strict=True)]
    return pd.Series(cells, index=column.index, dtype=object)


def view_of_units(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.object_]:
    """Return the view (n,) that each unit belongs to: one of ``task.views`` among its subsets, else "all"."""
    if not task.views:
        return np.full(len(labels), "all", dtype=object)
    own = [next((view for view in task.views if view in set(cell)), "all") for cell in labels["subsets"]]
    return np.array(own, dtype=object)
