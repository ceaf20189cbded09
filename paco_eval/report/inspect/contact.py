"""Faces beside each other as one picture, quickly: without a library that draws figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import Pixels, read_image
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file, writing
from tasks.units import Units

SIDE, GAP, LINE = 112, 6, 14
"""Pixels: side of a face, between faces, height of a line of text."""
INK, PAPER = (34, 40, 46), (255, 255, 255)


def contact_sheet(
    rows: Sequence[tuple[Sequence[int], str]], units: Units, path: Path, across: int = 4
) -> list[Path]:
    """Write units, one or a pair in each place with a line below, as a PNG; return it, or nothing if none can be read.

    Args:
        rows: numbers of the units that stand beside each other, and the line.
        units: the crops.
        path: of the picture.
        across: places in a row.

    """
    placed: list[tuple[list[Pixels], str]] = []
    for members, line in rows:
        faces = []
        for unit in members:
            try:
                picture = read_image(units.records[int(units.rows[unit])]["image"])
                faces.append(crop_image(picture, units.transforms[unit], units.canvas))
            except PacoError:
                continue
        if faces:
            placed.append((faces, line))
    return [write_sheet(path, placed, across)] if placed else []


def write_sheet(
    path: Path, placed: Sequence[tuple[Sequence[npt.NDArray[np.uint8]], str]], across: int
) -> Path:
    """Write pictures (S, S, 3), some beside each other in each place with a line below, as a PNG."""
    most = max(len(faces) for faces, _ in placed)
    width, height = most * SIDE + GAP, SIDE + LINE + GAP
    down = -(-len(placed) // across)
    sheet = Image.new("RGB", (min(across, len(placed)) * width + GAP, down * height + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (faces, line) in enumerate(placed):
        x, y = GAP + place % across * width, GAP + place // across * height
        for at, face in enumerate(faces):
            sheet.paste(
                Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BICUBIC), (x + at * SIDE, y)
            )
        draw.text((x, y + SIDE + 1), line[: most * SIDE // 6], fill=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path, "Choose another folder."), atomic_file(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path
