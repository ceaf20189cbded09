"""Expressions as mixtures of actions, after the muscle actions of the Facial Action Coding System.

An action's strength is 0 at rest and 1 when fully shown; some may be negative (an eye narrower than at
rest). Each action moves the head by a fixed field; wrinkles follow the same numbers (appearance).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.shape import deform, geometry
from paco_fr.synthetic.shape.deform import Pull

ACTIONS = (
    "inner_brow_raise",
    "outer_brow_raise",
    "brow_lower",
    "lid_raise",
    "lid_close",
    "cheek_raise",
    "nose_wrinkle",
    "upper_lip_raise",
    "smile",
    "corner_drop",
    "stretch",
    "chin_raise",
    "press",
    "lips_part",
    "jaw_drop",
)

PROTOTYPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {
        "smile": 1.0,
        "cheek_raise": 0.8,
        "lips_part": 0.55,
        "jaw_drop": 0.16,
        "upper_lip_raise": 0.25,
    },
    "sadness": {
        "inner_brow_raise": 0.9,
        "brow_lower": 0.30,
        "corner_drop": 1.0,
        "chin_raise": 0.6,
        "lid_close": 0.22,
    },
    "surprise": {"inner_brow_raise": 1.0, "outer_brow_raise": 1.0, "lid_raise": 0.9, "jaw_drop": 0.85},
    "fear": {
        "inner_brow_raise": 1.0,
        "outer_brow_raise": 0.45,
        "brow_lower": 0.45,
        "lid_raise": 1.0,
        "stretch": 0.9,
        "lips_part": 0.6,
        "jaw_drop": 0.22,
    },
    "disgust": {
        "nose_wrinkle": 1.0,
        "upper_lip_raise": 0.9,
        "brow_lower": 0.45,
        "cheek_raise": 0.5,
        "lid_close": 0.2,
        "corner_drop": 0.35,
        "lips_part": 0.15,
    },
    "anger": {
        "brow_lower": 1.0,
        "lid_raise": 0.35,
        "lid_close": 0.15,
        "press": 1.0,
        "corner_drop": 0.25,
        "nose_wrinkle": 0.2,
        "chin_raise": 0.3,
    },
}


def prototype(name: str) -> npt.NDArray[np.float64]:
    """Return (len(ACTIONS),) strengths of an expression at full intensity."""
    return np.array([PROTOTYPES[name].get(action, 0.0) for action in ACTIONS])


def _fields() -> dict[str, npt.NDArray[np.float64]]:
    pulls = deform.pulls
    return {
        "inner_brow_raise": pulls(
            Pull((0.13, -0.22), (0.13, 0.12), down=-0.095), Pull((0.2, -0.12), (0.12, 0.05), down=-0.015)
        ),
        "outer_brow_raise": pulls(Pull((0.40, -0.22), (0.16, 0.12), down=-0.095)),
        "brow_lower": pulls(
            Pull((0.15, -0.19), (0.13, 0.10), out=-0.035, down=0.065, forward=0.015),
            Pull((0.36, -0.20), (0.14, 0.08), down=0.025),
        ),
        "lid_raise": deform.lid_field(-0.42, 0.03),
        # A little more than shut, so that wide eyes close, too.
        "lid_close": deform.lid_field(0.95, 0.17),
        "cheek_raise": pulls(Pull((0.37, 0.24), (0.16, 0.13), down=-0.035, forward=0.03))
        + deform.lid_field(0.04, 0.20),
        "nose_wrinkle": pulls(
            Pull((0.10, 0.38), (0.10, 0.10), down=-0.035, out=0.012, forward=0.008),
            Pull((0.12, -0.18), (0.12, 0.09), down=0.03),
            Pull((0.0, 0.60), (0.22, 0.06), down=-0.02),
        )
        + deform.lid_field(0.10, 0.12),
        "upper_lip_raise": deform.lips_field(0.055, 0.0)
        + pulls(Pull((0.15, 0.62), (0.13, 0.10), down=-0.022, forward=0.012)),
        "smile": pulls(
            Pull((0.28, 0.72), (0.155, 0.13), out=0.080, down=-0.088, forward=-0.035),
            Pull((0.36, 0.52), (0.14, 0.14), out=0.02, down=-0.035, forward=0.035),
            Pull((0.0, 0.70), (0.15, 0.10), down=0.016, forward=-0.03),
        ),
        "corner_drop": pulls(
            Pull((0.265, 0.73), (0.10, 0.10), down=0.062, forward=-0.008),
            Pull((0.0, 0.76), (0.12, 0.09), down=-0.015),
        ),
        "stretch": pulls(Pull((0.27, 0.74), (0.12, 0.14), out=0.075, down=0.012, forward=-0.03)),
        "chin_raise": pulls(
            Pull((0.0, 0.80), (0.17, 0.07), down=-0.022, forward=0.018),
            Pull((0.0, 0.98), (0.15, 0.10), down=-0.03),
        ),
        "press": pulls(
            Pull((0.0, 0.64), (0.24, 0.035), down=0.026, forward=-0.012),
            Pull((0.0, 0.815), (0.22, 0.04), down=-0.036, forward=-0.014),
        ),
        "lips_part": deform.lips_field(0.020, 0.065),
        "jaw_drop": deform.jaw_field(0.36),
    }


@cache
def action_basis() -> npt.NDArray[np.float32]:
    """Return (len(ACTIONS), ROWS, COLUMNS, 3) displacements at full strength."""
    fields = _fields()
    return np.stack([fields[name] for name in ACTIONS]).astype(np.float32)


def side_field() -> npt.NDArray[np.float64]:
    """Return (ROWS, COLUMNS): -1 on the picture's left, 1 on its right, smooth between.

    Actions are scaled by ``1 + asymmetry * side``: no face smiles evenly.
    """
    return np.tanh(geometry.head_grid().across / 0.15)
