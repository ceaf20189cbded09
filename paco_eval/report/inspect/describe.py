"""A sheet to look at: every level of perturbations on the same faces.

One block a perturbation, one row a face, one column a level, the achieved number under each picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from paco_fr.faces.decode import Pixels
from tasks.perturbations.apply import Face, perturb
from tasks.perturbations.catalogue import COVERAGE, LEVELS, perturbation

MARGIN, CAPTION, GAP = 4, 13, 3
_INK, _PAPER = (29, 35, 41), (254, 254, 254)


def sheet(names: Sequence[str], canvases: Sequence[Pixels], faces: Sequence[Face | None], keys: Sequence[str],
          *, seed: int = 0, zoom: int = 1) -> Image.Image:  # fmt: skip
    """Return the sheet as a picture.

    Args:
        names: of perturbations.
        canvases: pictures (S, S, 3) uint8, all of one size.
        faces: their landmarks on the canvas, None where unknown.
        keys: ids of the pictures, which fix the draws.
        seed: of all draws.
        zoom: whole-number enlargement.

    Raises:
        PacoError: an unknown perturbation, or one that needs landmarks where a picture has none.

    """
    side = canvases[0].shape[0] * zoom
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
                changed, achieved = perturb(name, level, canvas, key=key, face=face, seed=seed)
                shown = Image.fromarray(changed).resize((side, side), Image.Resampling.NEAREST)
                at = (MARGIN + level * cell, top + CAPTION + 4 + row * line)
                page.paste(shown, at)
                amount = f"{100 * achieved:.0f} %" if what.achieved == COVERAGE else f"{achieved:.3g}"
                text = "clean" if level == 0 else f"{level}: {amount}"
                pen.text((at[0], at[1] + side), text, fill=_INK)
    return page


def change(clean: Pixels, changed: Pixels) -> float:
    """Return the root mean square difference of two pictures in grey levels."""
    return float(np.sqrt(np.mean((clean.astype(np.float64) - changed) ** 2)))
