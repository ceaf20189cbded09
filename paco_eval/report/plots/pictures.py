"""Plots made of pictures: reconstructions, the codebook on the face grid, faces with landmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paco_eval.report.plots.style import INK, MUTED, PALETTE, house_style, new_figure

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


def reconstruction_sheet(
    original: Pictures, corrupted: Pictures, reconstructed: Pictures, *, title: str
) -> Figure:
    """Return three rows of pictures (n, H, W, 3) uint8: what was, what was shown, what was made of it."""
    rows = {"original": original, "corrupted": corrupted, "reconstructed": reconstructed}
    return picture_rows(rows, title=title)


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


def codebook_atlas(tokens: Floats, usage: Floats, *, title: str, side: int = 3) -> Figure:
    """Return the codebook where its tokens belong on the face.

    Left the most used token of every cell, which together should look like a face; middle the ``side``
    squared most used ones of each cell, most used first; right how many codes each cell really uses.

    Args:
        tokens: (N, K, P, P, 3) in 0..1, N a square number, row-major over the face.
        usage: (N, K) counts or shares.
        title: of the run.
        side: tokens per cell and direction in the middle panel; less where K is small.

    """
    tokens, usage = np.asarray(tokens), np.asarray(usage, dtype=np.float64)
    cells, codes, patch = tokens.shape[:3]
    grid = round(cells**0.5)
    if grid * grid != cells or usage.shape != (cells, codes):
        raise ValueError(f"tokens {tokens.shape} and usage {usage.shape} are not a square grid of codebooks")
    side = min(side, int(codes**0.5))
    order = np.argsort(-usage, axis=1, kind="stable")
    pixels = (np.clip(tokens, 0, 1) * 255).round().astype(np.uint8)
    best = pixels[np.arange(cells), order[:, 0]].reshape(grid, grid, patch, patch, 3)
    chosen = np.take_along_axis(pixels, order[:, : side * side, None, None, None], axis=1)
    mosaic = chosen.reshape(cells, side, side, patch, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    mosaic = mosaic.reshape(grid, grid, side * patch, side * patch, 3)
    effective = perplexity(usage).reshape(grid, grid)
    with house_style():
        figure, (left, middle, right) = new_figure(11.4, 4.25, 1, 3)
        left.imshow(tile(best, 0), interpolation="none")
        left.set_title("most used token of each cell", fontsize=9, fontweight="normal")
        middle.imshow(tile(mosaic, max(2, patch // 3)), interpolation="none")
        middle.set_title(f"{side * side} most used tokens of each cell", fontsize=9, fontweight="normal")
        shown = np.zeros((grid, grid, 4))
        shown[..., :3] = np.array([0, 114, 178]) / 255
        shown[..., 3] = 0.05 + 0.95 * effective / max(1.0, effective.max())
        right.imshow(shown, interpolation="none")
        right.set_title(f"codes in real use of {codes} (perplexity)", fontsize=9, fontweight="normal")
        if grid <= 16:
            for (row, column), value in np.ndenumerate(effective):
                right.text(
                    column, row, f"{value:.0f}", ha="center", va="center", fontsize=7,
                    color="#ffffff" if shown[row, column, 3] > 0.5 else INK,
                )  # fmt: skip
        for axes in (left, middle, right):
            bare(axes)
        figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def landmark_sheet(
    images: Pictures,
    predicted: Floats,
    truth: Floats,
    visible: npt.NDArray[np.bool_],
    *,
    title: str,
    names: Sequence[str] | None = None,
    columns: int = 6,
) -> Figure:
    """Return faces with true points (rings), predicted points (dots) and the error between them (lines).

    Args:
        images: (n, H, W, 3) uint8.
        predicted: (n, L, 2), x y in pixels, the centre of the top-left pixel is (0, 0).
        truth: (n, L, 2), likewise.
        visible: (n, L); hidden points are drawn faintly.
        title: of the task and encoder.
        names: a line under each face.
        columns: faces in a row.

    """
    count = len(images)
    columns = min(columns, count)
    rows = -(-count // columns)
    with house_style():
        figure, panels = new_figure(1.55 * columns, 0.45 + 1.7 * rows, rows, columns)
        for i, axes in enumerate(panels):
            bare(axes)
            if i >= count:
                axes.set_visible(False)
                continue
            axes.imshow(images[i], interpolation="none")
            seen = visible[i].astype(bool)
            for shown, alpha in ((seen, 1.0), (~seen, 0.35)):
                ends = np.stack([truth[i][shown], predicted[i][shown]])
                axes.plot(ends[..., 0], ends[..., 1], color="#ffffff", linewidth=0.6, alpha=0.8 * alpha)
                axes.plot(
                    *truth[i][shown].T, "o", markersize=2.6, color="#ffffff", markerfacecolor="none",
                    markeredgewidth=0.6, alpha=alpha,
                )  # fmt: skip
                axes.plot(
                    *predicted[i][shown].T,
                    "o",
                    markersize=1.7,
                    color=PALETTE[1],
                    markeredgewidth=0,
                    alpha=alpha,
                )
            height, width = images.shape[1:3]
            axes.set_xlim(-0.5, width - 0.5)
            axes.set_ylim(height - 0.5, -0.5)
            if names is not None:
                axes.set_xlabel(names[i], fontsize=7, color=MUTED)
        figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.text(
            0.012, 0.995 - 0.27 / figure.get_figheight(),
            "○ true   ● predicted, joined by their error   faint: hidden", fontsize=7, color=MUTED, va="top",
        )  # fmt: skip
    return figure
