"""What is behind the head: a gradient with soft shapes, out of focus."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.parameters import Background
from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]


def draw_background(
    background: Background, size: int, to_photo: npt.NDArray[np.float64], photo_size: int
) -> F32:
    """Return the background (size, size, 3) in linear light.

    Args:
        background: its shapes, in shares of the photo.
        size: side of the output in pixels.
        to_photo: (2, 3) map from output pixels to photo pixels.
        photo_size: side of the photo in pixels.

    """
    table = np.array(
        [
            (p.x, p.y, p.half_width, p.half_height, p.softness, float(p.round), *p.colour)
            for p in background.patches
        ],
        dtype=np.float32,
    ).reshape(-1, 9)
    ends = np.array([background.top, background.bottom], dtype=np.float32)
    # Shares count from the photo's edge, half a pixel before the centre of its first pixel.
    to_share = (to_photo + np.array([[0, 0, 0.5], [0, 0, 0.5]])) / photo_size
    return fill(table, ends, np.float32(background.side), size, to_share.astype(np.float32))


@compiled
def fill(patches: F32, ends: F32, side: np.float32, size: int, to_share: F32) -> F32:
    """Return the picture of a gradient and patches; ``to_share`` maps pixels to shares of the photo."""
    out = np.empty((size, size, 3), dtype=np.float32)
    one = np.float32(1.0)
    for row in range(size):
        for column in range(size):
            x = to_share[0, 0] * column + to_share[0, 1] * row + to_share[0, 2]
            y = to_share[1, 0] * column + to_share[1, 1] * row + to_share[1, 2]
            down = min(max(y, np.float32(0.0)), one)
            glow = max(one + np.float32(side) * (x - np.float32(0.5)), np.float32(0.2))
            r = (ends[0, 0] + (ends[1, 0] - ends[0, 0]) * down) * glow
            g = (ends[0, 1] + (ends[1, 1] - ends[0, 1]) * down) * glow
            b = (ends[0, 2] + (ends[1, 2] - ends[0, 2]) * down) * glow
            for k in range(patches.shape[0]):
                dx, dy = abs(x - patches[k, 0]), abs(y - patches[k, 1])
                soft = patches[k, 4]
                if dx > patches[k, 2] + soft or dy > patches[k, 3] + soft:
                    continue
                if patches[k, 5] > 0.5:
                    ex, ey = dx / patches[k, 2], dy / patches[k, 3]
                    inside = (one - np.sqrt(ex * ex + ey * ey)) * min(patches[k, 2], patches[k, 3])
                else:
                    inside = min(patches[k, 2] - dx, patches[k, 3] - dy)
                t = min(max(np.float32(0.5) + np.float32(0.5) * inside / soft, np.float32(0.0)), one)
                t = t * t * (np.float32(3.0) - np.float32(2.0) * t)
                r += (patches[k, 6] - r) * t
                g += (patches[k, 7] - g) * t
                b += (patches[k, 8] - b) * t
            out[row, column, 0], out[row, column, 1], out[row, column, 2] = r, g, b
    return out
