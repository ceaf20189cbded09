"""A sheet to look at: every level of perturbations on the first faces of any face records.

One block a perturbation, one row a face, one column a level, the achieved number under each picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset
from PIL import Image, ImageDraw

from paco_eval.features.perturbed import faces_of
from paco_fr.contracts import CROPS, CropContract
from paco_fr.faces.decode import Pixels, read_image
from paco_fr.utils.errors import PacoError, unknown_name
from tasks.perturbations.apply import Face, perturb
from tasks.perturbations.catalogue import COVERAGE, FACTORS, LEVELS, PERTURBATIONS, kinds_of, perturbation
from tasks.units import Units, units_of

FACES = 4
ZOOM = 2
"""Whole-number enlargement of a canvas."""
MARGIN, CAPTION, GAP = 4, 13, 3
_INK, _PAPER = (29, 35, 41), (254, 254, 254)


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
    records: Dataset, name: str, folder: Path, *, crop: CropContract | None = None
) -> list[Path]:
    """Write ``perturb-NAME.png``: every level on the same faces, at twice the canvas; return its path.

    Args:
        records: face records; of the first pictures that can be read those of different people are shown.
        name: a perturbation, a factor or ``all``.
        folder: where to write; exists.
        crop: how faces are cut; by default by their box, else whole.

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
            canvases.append(units.cut(read_image(cell), unit))
        except PacoError:
            continue
        shown.append(unit)
        if len(shown) == FACES:
            break
    if not shown:
        raise PacoError("None of the first pictures can be read, so there is nothing to perturb.")
    keys = [str(units.labels["unit_id"].iloc[unit]) for unit in shown]
    page = sheet(names, canvases, [faces[unit] for unit in shown], keys)
    path = folder / f"perturb-{name}.png"
    page.save(path)
    return [path]


def sheet(
    names: Sequence[str],
    canvases: Sequence[Pixels],
    faces: Sequence[Face | None],
    keys: Sequence[str],
) -> Image.Image:
    """Return the sheet as a picture.

    Args:
        names: of perturbations.
        canvases: pictures (S, S, 3) uint8, all of one size.
        faces: their landmarks on the canvas, None where unknown.
        keys: ids of the pictures, which fix the draws.

    Raises:
        PacoError: an unknown perturbation, or one that needs landmarks where a picture has none.

    """
    side = canvases[0].shape[0] * ZOOM
    cell, line = side + GAP, side + GAP + CAPTION
    width = 2 * MARGIN + (1 + len(LEVELS)) * cell
    block = CAPTION + 4 + len(canvases) * line
    page = Image.new("RGB", (width, 2 * MARGIN + len(names) * block), _PAPER)
    pen = ImageDraw.Draw(page)
    for number, name in enumerate(names):
        what, top = perturbation(name), MARGIN + number * block
        pen.text((MARGIN, top), f"{name} ({what.factor}), below: {what.achieved}", fill=_INK)
        for row, (canvas, face, key) in enumerate(zip(canvases, faces, keys, strict=True)):
            for level in (0, *LEVELS):
                changed, achieved = perturb(name, level, canvas, key=key, face=face)
                shown = Image.fromarray(changed).resize((side, side), Image.Resampling.NEAREST)
                at = (MARGIN + level * cell, top + CAPTION + 4 + row * line)
                page.paste(shown, at)
                amount = f"{100 * achieved:.0f} %" if what.achieved == COVERAGE else f"{achieved:.3g}"
                text = "clean" if level == 0 else f"{level}: {amount}"
                pen.text((at[0], at[1] + side), text, fill=_INK)
    return page
