"""Drawing of grid meshes into sample buffers with a depth test.

All meshes are grids: (R, C) points whose quads are split in two triangles, the diagonal mirrored about
the middle column so that a mirrored mesh gives the mirrored picture. ``screen`` holds x, y in samples
(0, 0 is the centre of the top-left sample) and the depth along the viewing axis, smaller is nearer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]

BOTH, FRONT, BACK = 0, 1, -1
"""Which side of a mesh is drawn."""


@compiled
def corners(row: int, column: int, columns: int, triangle: int) -> tuple[int, int, int, int, int, int]:
    """Return (row, column) of the three corners of a quad's triangle 0 or 1, clockwise in the picture."""
    if column < columns // 2:
        if triangle == 0:
            return row, column, row, column + 1, row + 1, column + 1
        return row, column, row + 1, column + 1, row + 1, column
    if triangle == 0:
        return row, column, row, column + 1, row + 1, column
    return row, column + 1, row + 1, column + 1, row + 1, column


@compiled
def misses_samples(screen: F32, row: int, column: int, width: int, height: int) -> bool:
    """Tell whether a quad lies beside the buffer or between samples: most quads of a small picture do."""
    ax, bx = screen[row, column, 0], screen[row, column + 1, 0]
    cx, dx = screen[row + 1, column, 0], screen[row + 1, column + 1, 0]
    low, high = min(min(ax, bx), min(cx, dx)), max(max(ax, bx), max(cx, dx))
    if np.ceil(low) > high or high < 0 or low > width - 1:
        return True
    ay, by = screen[row, column, 1], screen[row, column + 1, 1]
    cy, dy = screen[row + 1, column, 1], screen[row + 1, column + 1, 1]
    low, high = min(min(ay, by), min(cy, dy)), max(max(ay, by), max(cy, dy))
    return bool(np.ceil(low) > high or high < 0 or low > height - 1)


@compiled
def draw_places(screen: F32, depth: F32, places: F32) -> None:
    """Draw the front of an opaque mesh: its depth, and for every sample the (column, row) it shows.

    Args:
        screen: (R, C, 3) points.
        depth: (H, W) buffer, written where the mesh is nearer.
        places: (H, W, 2) buffer of fractional grid places, written likewise.

    """
    height, width = depth.shape
    rows, columns = screen.shape[:2]
    for row in range(rows - 1):
        for column in range(columns - 1):
            if misses_samples(screen, row, column, width, height):
                continue
            for triangle in range(2):
                ra, ca, rb, cb, rc, cc = corners(row, column, columns, triangle)
                ax, ay = screen[ra, ca, 0], screen[ra, ca, 1]
                bx, by = screen[rb, cb, 0], screen[rb, cb, 1]
                cx, cy = screen[rc, cc, 0], screen[rc, cc, 1]
                area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
                if area <= 1e-9:
                    continue
                x0, x1 = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))), width - 1)
                y0, y1 = (
                    max(int(np.ceil(min(ay, by, cy))), 0),
                    min(int(np.floor(max(ay, by, cy))), height - 1),
                )
                if x1 < x0 or y1 < y0:
                    continue
                scale = np.float32(1.0) / area
                za, zb, zc = screen[ra, ca, 2], screen[rb, cb, 2], screen[rc, cc, 2]
                for y in range(y0, y1 + 1):
                    for x in range(x0, x1 + 1):
                        wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
                        wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
                        wc = np.float32(1.0) - wa - wb
                        if wa < 0 or wb < 0 or wc < 0:
                            continue
                        z = wa * za + wb * zb + wc * zc
                        if z < depth[y, x]:
                            depth[y, x] = z
                            places[y, x, 0] = wa * ca + wb * cb + wc * cc
                            places[y, x, 1] = wa * ra + wb * rb + wc * rc


@compiled
def draw_coloured(
    screen: F32,
    paint: F32,
    side: int,
    strands: F32,
    fray: float,
    depth: F32,
    colour: F32,
    cover: F32,
    opaque: bool,
) -> None:
    """Draw a mesh of given colours over what is there, blending by its opacity.

    Args:
        screen: (R, C, 3) points.
        paint: (R, C, 5) red, green, blue, opacity, strand coordinate. Opacity may leave 0..1.
        side: FRONT, BACK or BOTH.
        strands: (S,) periodic pattern with mean 0, read at the strand coordinate.
        fray: how much the pattern moves the opacity; it also streaks the colour. 0 for smooth surfaces.
        depth: (H, W) buffer; samples behind it are skipped, an opaque mesh writes it.
        colour: (H, W, 3) buffer, premultiplied by opacity.
        cover: (H, W) opacity of all that was drawn so far.
        opaque: whether samples more than half opaque hide later, farther meshes.

    """
    height, width = depth.shape
    rows, columns = screen.shape[:2]
    count = strands.shape[0]
    one = np.float32(1.0)
    for row in range(rows - 1):
        for column in range(columns - 1):
            if misses_samples(screen, row, column, width, height):
                continue
            for triangle in range(2):
                ra, ca, rb, cb, rc, cc = corners(row, column, columns, triangle)
                if paint[ra, ca, 3] <= -fray and paint[rb, cb, 3] <= -fray and paint[rc, cc, 3] <= -fray:
                    continue
                ax, ay = screen[ra, ca, 0], screen[ra, ca, 1]
                bx, by = screen[rb, cb, 0], screen[rb, cb, 1]
                cx, cy = screen[rc, cc, 0], screen[rc, cc, 1]
                area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
                if abs(area) <= 1e-9 or area * side < 0:
                    continue
                x0, x1 = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))), width - 1)
                y0, y1 = (
                    max(int(np.ceil(min(ay, by, cy))), 0),
                    min(int(np.floor(max(ay, by, cy))), height - 1),
                )
                if x1 < x0 or y1 < y0:
                    continue
                scale = one / area
                za, zb, zc = screen[ra, ca, 2], screen[rb, cb, 2], screen[rc, cc, 2]
                for y in range(y0, y1 + 1):
                    for x in range(x0, x1 + 1):
                        wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
                        wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
                        wc = one - wa - wb
                        # Strict, so that no sample on a shared edge is blended twice.
                        if wa < 0 or wb < 0 or wc <= 0:
                            continue
                        z = wa * za + wb * zb + wc * zc
                        if z >= depth[y, x]:
                            continue
                        alpha = wa * paint[ra, ca, 3] + wb * paint[rb, cb, 3] + wc * paint[rc, cc, 3]
                        tone = one
                        if fray > 0:
                            place = wa * paint[ra, ca, 4] + wb * paint[rb, cb, 4] + wc * paint[rc, cc, 4]
                            cell = int(np.floor(place))
                            share = np.float32(place - cell)
                            streak = (
                                strands[cell % count] * (one - share) + strands[(cell + 1) % count] * share
                            )
                            alpha += np.float32(fray) * streak
                            tone = max(one + np.float32(0.32) * streak, np.float32(0.2))
                        alpha = min(max(alpha, np.float32(0.0)), one)
                        if alpha <= 0:
                            continue
                        for k in range(3):
                            value = (
                                wa * paint[ra, ca, k] + wb * paint[rb, cb, k] + wc * paint[rc, cc, k]
                            ) * tone
                            colour[y, x, k] = colour[y, x, k] * (one - alpha) + value * alpha
                        cover[y, x] = cover[y, x] * (one - alpha) + alpha
                        if opaque and alpha > 0.5:
                            depth[y, x] = z
