"""Soft displacements of the head, the common vocabulary of identity and expression.

A basis is a float32 array (K, ROWS, COLUMNS, 3) in head units: adding ``sum_k a_k basis_k`` to the mean
head moves points and, with them, every feature drawn at their face coordinates. Because it is linear,
the 68 points need no mesh: the same combination of the basis taken at their places is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paco_fr.synthetic.shape import geometry as g


@dataclass(frozen=True)
class Pull:
    """A displacement with a soft window, the same on both sides of the face.

    Attributes:
        at: face coordinates (across >= 0, down) of the middle of the window.
        reach: half sizes (across, down) of the Gaussian window.
        out: movement away from the mid-plane. With ``at[0] == 0`` it grows evenly with the distance from
            the mid-plane and is reached at ``reach[0]``.
        down: movement downward.
        forward: movement out of the face.

    """

    at: tuple[float, float]
    reach: tuple[float, float]
    out: float = 0.0
    down: float = 0.0
    forward: float = 0.0


def pull_field(pull: Pull) -> g.Floats:
    """Return the displacement (ROWS, COLUMNS, 3) of one pull over the head."""
    head = g.head_grid()
    x = np.abs(head.across)
    if pull.at[0] == 0:
        window = g.gauss(x / pull.reach[0])
        sideways = np.sign(head.across) * pull.out * np.minimum(x / pull.reach[0], 2)
    else:
        window = g.gauss((x - pull.at[0]) / pull.reach[0])
        # No sideways movement on the mid-plane itself, or the two sides would tear it apart.
        sideways = np.tanh(head.across / 0.06) * pull.out
    window = window * g.gauss((head.down - pull.at[1]) / pull.reach[1])
    return (
        np.stack([sideways, np.full_like(x, pull.down), np.full_like(x, -pull.forward)], axis=-1)
        * window[..., None]
    )


def pulls(*parts: Pull) -> g.Floats:
    """Return the sum of several pulls, (ROWS, COLUMNS, 3)."""
    return np.asarray(sum(pull_field(part) for part in parts))


def lift(down: g.Floats, forward: g.Floats | float = 0.0, right: g.Floats | float = 0.0) -> g.Floats:
    """Return a field (ROWS, COLUMNS, 3) from its parts."""
    return np.stack(np.broadcast_arrays(right, down, -np.asarray(forward)), axis=-1)


def lid_field(upper: float, lower: float) -> g.Floats:
    """Return the field that moves the upper lid's edge down and the lower lid's edge up.

    The values are shares of the open eye's height; the eyeball's rows between the lids are squeezed evenly,
    the skin above and below follows to the brow and to the cheek.
    """
    head = g.head_grid()
    top, bottom = g.upper_lid(head.across), g.lower_lid(head.across)
    height = bottom - top
    t = (np.abs(head.across) - g.EYE[0]) / g.EYE_HALF_WIDTH
    inside = np.clip((head.down - top) / np.maximum(height, 1e-6), 0, 1)
    edge = upper * height * (1 - inside) - lower * height * inside
    above = g.ramp(1 - (top - head.down) / 0.10)
    below = g.ramp(1 - (head.down - bottom) / 0.09)
    near = head.front * g.ramp((1.25 - np.abs(t)) / 0.25)
    return lift(edge * above * below * near)


def jaw_field(drop: float) -> g.Floats:
    """Return the field of a jaw lowered by ``drop`` head units at the lower lip.

    Between the corners the lower lip leaves the upper lip; outside them the cheek stretches smoothly.
    """
    head = g.head_grid()
    cheek = g.ramp((head.down - 0.42) / 0.55)
    split = g.below_mouth(np.arange(g.ROWS))[:, None]
    open_share = g.mouth_opening(head.across)
    near_lips = g.ramp((head.down - 0.52) / 0.20)
    apart = np.where(split <= 0, 0.0, split * (0.90 + 0.10 * cheek))
    share = (cheek * (1 - open_share) * near_lips + apart * open_share) * np.where(split <= 0, near_lips, 1.0)
    share = share * g.ramp((np.cos(head.angle)[None, :] + 0.25) / 0.6)
    narrow = -0.10 * drop * head.across * gauss_mouth(head)
    return lift(drop * share, forward=-0.28 * drop * share, right=narrow)


def gauss_mouth(head: g.HeadGrid) -> g.Floats:
    """Return a wide window over the mouth and its surround."""
    return g.gauss(head.across / 0.45) * g.gauss((head.down - 0.75) / 0.25)


def lips_field(upper: float, lower: float) -> g.Floats:
    """Return the field that lifts the upper lip and lowers the lower lip by head units (parting them)."""
    head = g.head_grid()
    split = g.below_mouth(np.arange(g.ROWS))[:, None]
    open_share = g.mouth_opening(head.across)
    window = g.gauss(head.across / 0.24)
    above = g.gauss(np.minimum(head.down - g.MOUTH_DOWN, 0) / 0.13)
    below = g.gauss(np.maximum(head.down - g.MOUTH_DOWN, 0) / 0.13)
    shift = -upper * (1 - split) * above + lower * split * below
    return lift(shift * open_share * window)
