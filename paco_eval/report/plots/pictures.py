"""Rows of pictures, for the eye."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paco_eval.report.plots.style import house_style, new_figure

Pictures = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]


def bare(axes: Axes) -> None:
    """Take ticks, grid and frame off a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def tile(pictures: Pictures, gap: int) -> npt.NDArray[np.uint8]:
    """Return pictures (R, C, H, W, 3) uint8 as one transparent-gapped sheet (.., .., 4)."""
    rows, columns, height, width = pictures.shape[:4]
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for row, column in np.ndindex(rows, columns):
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width, :3] = pictures[row, column]
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def picture_rows(rows: Mapping[str, Pictures], *, title: str) -> Figure:
    """Return named rows of equally many pictures (n, H, W, 3) uint8."""
    sheet = np.stack(list(rows.values()))
    count, side = sheet.shape[1:3]
    gap = max(2, side // 20)
    with house_style():
        figure, (axes,) = new_figure(1.5 + 0.85 * count, 0.4 + 0.87 * len(rows))
        axes.imshow(tile(sheet, gap), interpolation="none")
        bare(axes)
        axes.set_yticks([(side + gap) * i + side / 2 for i in range(len(rows))], list(rows))
        axes.set_title(title)
    return figure


def perplexity(usage: Floats) -> Floats:
    """Return the effective number of codes (N,) of each cell from usage (N, K), 0 where nothing was used."""
    usage = np.asarray(usage, dtype=np.float64)
    total = usage.sum(axis=1, keepdims=True)
    share = usage / np.where(total > 0, total, 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)
    return np.where(total[:, 0] > 0, np.exp(entropy), 0.0)
