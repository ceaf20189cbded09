"""A few faces of a landmark row with predicted and true points, for the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from paco_eval.report.artefacts import save_arrays
from paco_fr.alignment import apply, crop_image
from paco_fr.errors import PacoError
from paco_fr.images import read_image
from tasks.units import Units

COUNT = 8
"""Faces kept: evenly spaced from the best to the worst error, so that failures show, too."""


def save_samples(path: Path, items: pd.DataFrame, units: Units) -> None:
    """Write the samples file of one landmark row; points are in pixels of the canvas."""
    ranked = items[items["failure"] == ""].sort_values("error", kind="stable")
    picked = ranked.iloc[
        np.unique(np.linspace(0, len(ranked) - 1, min(COUNT, len(ranked))).round().astype(int))
    ]
    place = {name: unit for unit, name in enumerate(units.labels["unit_id"])}
    images, predicted, truth, visible, names = [], [], [], [], []
    for item in picked.to_dict("records"):
        unit = place[item["id"]]
        transform = units.transforms[unit]
        try:
            image = crop_image(
                read_image(units.records[int(units.rows[unit])]["image"]), transform, units.canvas
            )
        except PacoError:
            continue
        points = np.asarray(item["truth"], dtype=np.float64)
        seen = (
            units.labels["visible"].iloc[unit]
            if "visible" in units.labels
            else np.ones(len(points), dtype=bool)
        )
        images.append(image)
        predicted.append(apply(transform, np.asarray(item["prediction"], dtype=np.float64)))
        truth.append(apply(transform, points))
        visible.append(np.asarray(seen, dtype=bool))
        names.append(f"{item['id']}  {item['error']:.1f} %")
    if images:
        save_arrays(
            path, "samples", images=images, predicted=predicted, truth=truth, visible=visible, names=names
        )
