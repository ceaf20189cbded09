"""Plots that show the method at work on faces: where the belief looks, and what its codebook has to offer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from paco_eval.report.plots.pictures import Floats, Pictures, bare
from paco_eval.report.plots.style import INK, MUTED, PALETTE, house_style, new_figure

FRAME = PALETTE[1]


def attention_sheet(
    pictures: Pictures, corrupted: Pictures, attention: Floats, cells: npt.NDArray[np.int64], *, title: str
) -> Figure:
    """Return faces with one hidden patch framed, what the model saw, and where the belief looked for it.

    Args:
        pictures: (n, S, S, 3) uint8.
        corrupted: (n, S, S, 3) uint8, with tokens in the holes.
        attention: (n, N) of the framed place to all places; rows sum to one.
        cells: (n,) the framed places.
        title: of the run.

    """
    count, side = len(pictures), pictures.shape[1]
    grid = round(attention.shape[1] ** 0.5)
    patch = side / grid
    with house_style():
        figure, panels = new_figure(1.1 + 1.1 * count, 3.8, 3, count)
        for column in range(count):
            y, x = divmod(int(cells[column]), grid)
            for row, picture in enumerate((pictures[column], corrupted[column], pictures[column])):
                axes = panels[row * count + column]
                bare(axes)
                axes.imshow(picture, interpolation="none")
                if row == 2:
                    heat = attention[column].reshape(grid, grid)
                    shown = np.zeros((grid, grid, 4))
                    shown[..., 3] = 0.85 * (1 - heat / heat.max())
                    axes.imshow(shown, interpolation="none", extent=(-0.5, side - 0.5, side - 0.5, -0.5))
                corner = (x * patch - 0.5, y * patch - 0.5)
                axes.add_patch(Rectangle(corner, patch, patch, fill=False, edgecolor=FRAME, linewidth=1.6))
                axes.set_xlim(-0.5, side - 0.5)
                axes.set_ylim(side - 0.5, -0.5)
        for row, name in enumerate(("true", "with tokens", "looked at")):
            panels[row * count].set_ylabel(name, fontsize=8, color=MUTED)
        figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def nearest_tokens_sheet(
    picture: Pictures,
    patches: Pictures,
    tokens: Pictures,
    distances: Floats,
    cells: npt.NDArray[np.int64],
    *,
    title: str,
) -> Figure:
    """Return one face with numbered patches, and for each the tokens of its codebook nearest to it.

    Args:
        picture: (S, S, 3) uint8.
        patches: (m, P, P, 3) uint8, the true patches.
        tokens: (m, k, P, P, 3) uint8, nearest first.
        distances: (m, k) of the tokens.
        cells: (m,) places of the patches.
        title: of the run.

    """
    count, nearest, patch = tokens.shape[:3]
    grid = picture.shape[0] // patch
    with house_style():
        figure, panels = new_figure(2.6 + 0.62 * (nearest + 1), 0.6 + 0.66 * count, count, nearest + 4)
        for axes in panels:
            bare(axes)
        whole = figure.add_axes((0.01, 0.12, 1.9 / figure.get_figwidth(), 0.72))
        bare(whole)
        whole.imshow(picture, interpolation="none")
        for number, cell in enumerate(cells):
            y, x = divmod(int(cell), grid)
            corner = (x * patch - 0.5, y * patch - 0.5)
            whole.add_patch(Rectangle(corner, patch, patch, fill=False, edgecolor=FRAME, linewidth=1.2))
            whole.text(corner[0] + 1, corner[1] + 1, str(number + 1), fontsize=7, color=FRAME, va="top")
            line = panels[number * (nearest + 4) : (number + 1) * (nearest + 4)]
            for axes in line[:3]:
                axes.set_visible(False)
            line[3].imshow(patches[number], interpolation="none")
            line[3].set_ylabel(str(number + 1), rotation=0, ha="right", va="center", color=FRAME, fontsize=9)
            for place, axes in enumerate(line[4:]):
                axes.imshow(tokens[number, place], interpolation="none")
                axes.set_xlabel(f"{distances[number, place]:.2f}", fontsize=6.5, color=MUTED, labelpad=1)
        panels[3].set_title("true", fontsize=8, color=INK)
        panels[4].set_title("nearest tokens", fontsize=8, color=INK, loc="left")
        figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure
