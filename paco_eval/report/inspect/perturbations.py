"""Sheets of perturbations on the first faces of any face records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datasets import Dataset

from paco_eval.features.perturbed import faces_of
from paco_eval.report.inspect.describe import sheet
from paco_fr.contracts import CROPS, CropContract
from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError, unknown_name
from tasks.perturbations.catalogue import FACTORS, PERTURBATIONS, kinds_of
from tasks.units import Units, units_of

FACES = 4


def named(name: str) -> tuple[str, ...]:
    """Return the perturbations that a name means: one of them, a factor, or ``all``."""
    if name == "all":
        return tuple(PERTURBATIONS)
    if name in FACTORS:
        return kinds_of(name)
    if name not in PERTURBATIONS:
        raise unknown_name("perturbation", name, (*PERTURBATIONS, *FACTORS, "all"))
    return (name,)


def _people_first(units: Units) -> list[int]:
    """Return all units in an order in which everybody comes once before anybody comes again."""
    if "group" not in units.labels:
        return list(range(len(units)))
    earlier = units.labels.groupby("group").cumcount().to_numpy()
    return [int(unit) for unit in np.argsort(earlier, kind="stable")]


def describe_perturbed(
    records: Dataset, name: str, folder: Path, *, crop: CropContract | None = None, seed: int = 0
) -> list[Path]:
    """Write ``perturb-NAME.png``: every level on the same faces, at twice the canvas; return its path.

    Args:
        records: face records; of the first pictures that can be read those of different people are shown.
        name: a perturbation, a factor or ``all``.
        folder: where to write; exists.
        crop: how faces are cut; by default by their box, else whole.
        seed: of all draws.

    Raises:
        PacoError: an unknown name, no readable picture, or no landmarks where a perturbation needs them.

    """
    names = named(name)
    chosen = crop or CROPS["box" if "box" in records.column_names else "whole"]
    units = units_of(records.select(range(min(len(records), 4 * FACES))), chosen)
    faces, canvases, shown = faces_of(units), [], []
    for unit in _people_first(units):
        try:
            cell = units.records[int(units.rows[unit])]["image"]
            canvases.append(crop_image(read_image(cell), units.transforms[unit], units.canvas))
        except PacoError:
            continue
        shown.append(unit)
        if len(shown) == FACES:
            break
    if not shown:
        raise PacoError("None of the first pictures can be read, so there is nothing to perturb.")
    keys = [str(units.labels["unit_id"].iloc[unit]) for unit in shown]
    page = sheet(names, canvases, [faces[unit] for unit in shown], keys, seed=seed, zoom=2)
    path = folder / f"perturb-{name}.png"
    page.save(path)
    return [path]
