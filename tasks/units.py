"""Units: the crops that a task scores. A photograph gives one, or several jittered copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from datasets import Dataset

from paco_fr.alignment import crop_transform
from paco_fr.contracts import CropContract
from paco_fr.images import ImageError, image_size


@dataclass(frozen=True)
class Units:
    """What to cut and what is known about it.

    Attributes:
        records: the face records.
        rows: (n,) record of each unit.
        transforms: (n, 2, 3) photograph to canvas; NaN where the photograph cannot be cut.
        canvas: side of the canvas in pixels.
        labels: one line per unit: the record's columns without pictures, ``unit_id``, ``transform``,
            ``canvas``.

    """

    records: Dataset
    rows: npt.NDArray[np.intp]
    transforms: npt.NDArray[np.float64]
    canvas: int
    labels: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, keep: npt.NDArray[np.intp]) -> Units:
        """Return the units at ``keep``."""
        return Units(
            self.records,
            self.rows[keep],
            self.transforms[keep],
            self.canvas,
            self.labels.iloc[keep].reset_index(drop=True),
        )


def units_of(records: Dataset, crop: CropContract) -> Units:
    """Return the units of face records under a crop contract.

    Raises:
        PacoError: a record lacks what the crop rule needs.

    """
    labels = records.remove_columns(
        [name for name in ("image", "mask") if name in records.column_names]
    ).to_pandas()
    cells = records.select_columns(["image"]) if crop.rule == "whole" else None
    rows, transforms, names = [], [], []
    for row, known in enumerate(labels.to_dict("records")):
        size = None
        if cells is not None:
            try:
                size = image_size(cells[row]["image"])
            except ImageError:
                size = (1, 1)  # extraction meets the same error and counts the failure
        for copy in range(crop.copies):
            rows.append(row)
            names.append(known["image_id"] if crop.copies == 1 else f"{known['image_id']}#{copy}")
            transforms.append(
                crop_transform(
                    crop,
                    landmarks=_points(known.get("landmarks")),
                    scheme=known.get("scheme"),
                    box=known.get("box"),
                    image_size=size,
                    image_key=known["image_id"],
                    copy=copy,
                )
            )
    table = labels.iloc[rows].reset_index(drop=True)
    stacked = np.stack(transforms)
    table["unit_id"], table["transform"], table["canvas"] = names, list(stacked), crop.canvas
    return Units(records, np.array(rows, dtype=np.intp), stacked, crop.canvas, table)


def _points(cell: npt.NDArray[np.object_] | None) -> npt.NDArray[np.float64] | None:
    return None if cell is None else np.stack(list(cell)).astype(np.float64)
