"""The form of a head: named numbers, each a soft displacement of the mean head by one standard deviation."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.shape import deform
from paco_fr.synthetic.shape import geometry as g
from paco_fr.synthetic.shape.deform import Pull


def _fields() -> dict[str, g.Floats]:
    head = g.head_grid()
    x, y = head.across, head.down
    size_x, size_y, size_z = head.points[..., 0], head.points[..., 1], head.points[..., 2]
    pulls = deform.pulls
    eye_near = g.gauss((np.abs(x) - g.EYE[0]) / 0.19) * g.gauss((y - g.EYE[1]) / 0.12)
    eye_x, eye_y = np.abs(x) - g.EYE[0], y - g.EYE[1]
    brow_near = g.gauss((y + 0.235) / 0.11) * g.gauss((np.abs(x) - 0.32) / 0.26)
    low = g.ramp((y - 0.45) / 0.55)
    return {
        "head_width": deform.lift(0 * y, right=0.050 * size_x),
        "head_depth": deform.lift(0 * y, forward=-0.035 * size_z * (1 - head.front * 0.8)),
        "face_length": deform.lift(0.040 * size_y),
        "lower_face_length": deform.lift(0.045 * low),
        "forehead_height": deform.lift(-0.050 * g.ramp((-y - 0.25) / 0.5)),
        "forehead_slope": pulls(Pull((0.0, -0.55), (0.6, 0.28), forward=0.035)),
        "temples": pulls(Pull((0.68, -0.25), (0.25, 0.3), out=0.022)),
        "cheekbone_width": pulls(Pull((0.62, 0.20), (0.22, 0.20), out=0.026)),
        "cheekbone_height": pulls(Pull((0.42, 0.22), (0.16, 0.13), forward=0.028)),
        "cheek_fullness": pulls(Pull((0.46, 0.56), (0.18, 0.20), out=0.022, forward=0.032)),
        "jaw_width": pulls(Pull((0.58, 0.80), (0.26, 0.26), out=0.038)),
        "jaw_angle": pulls(Pull((0.58, 0.82), (0.20, 0.18), down=0.035)),
        "chin_width": pulls(Pull((0.20, 1.04), (0.17, 0.14), out=0.034)),
        "chin_forward": pulls(Pull((0.0, 1.03), (0.24, 0.16), forward=0.036)),
        "fullness": pulls(
            Pull((0.5, 0.65), (0.3, 0.3), out=0.024, forward=0.014),
            Pull((0.0, 1.12), (0.5, 0.16), down=0.022),
        ),
        "eye_spacing": pulls(Pull((0.31, 0.0), (0.18, 0.16), out=0.017)),
        "eye_size": deform.lift(0.10 * eye_y * eye_near, right=np.sign(x) * 0.10 * eye_x * eye_near),
        "eye_opening": deform.lid_field(-0.12, 0.08),
        "eye_tilt": deform.lift(-0.085 * eye_x * eye_near),
        "eye_height": pulls(Pull((0.31, -0.02), (0.26, 0.16), down=0.020)),
        "eye_depth": pulls(Pull((0.30, -0.02), (0.17, 0.13), forward=-0.018)),
        "lid_fullness": pulls(Pull((0.33, -0.10), (0.14, 0.05), down=0.010, forward=0.016)),
        "brow_height": deform.lift(-0.022 * brow_near),
        "brow_tilt": deform.lift(-0.085 * (np.abs(x) - 0.30) * brow_near),
        "brow_arch": deform.lift(-0.020 * g.gauss((np.abs(x) - 0.37) / 0.10) * g.gauss((y + 0.24) / 0.09)),
        "brow_ridge": pulls(Pull((0.22, -0.19), (0.22, 0.09), forward=0.022)),
        "nose_length": pulls(Pull((0.0, 0.45), (0.22, 0.15), down=0.028)),
        "nose_width": pulls(Pull((0.0, 0.43), (0.13, 0.13), out=0.020)),
        "nose_forward": pulls(Pull((0.0, 0.40), (0.13, 0.16), forward=0.036)),
        "bridge_height": pulls(Pull((0.0, 0.08), (0.085, 0.17), forward=0.028)),
        "bridge_width": pulls(Pull((0.0, 0.15), (0.09, 0.18), out=0.012)),
        "bridge_hump": pulls(Pull((0.0, 0.20), (0.06, 0.09), forward=0.017)),
        "tip_turn": pulls(
            Pull((0.0, 0.40), (0.08, 0.06), down=-0.020, forward=0.008),
            Pull((0.0, 0.49), (0.10, 0.05), down=-0.012),
        ),
        "tip_width": pulls(Pull((0.0, 0.40), (0.09, 0.06), out=0.014)),
        "wings": pulls(Pull((0.13, 0.44), (0.05, 0.06), out=0.010, forward=0.014)),
        "mouth_width": pulls(Pull((0.24, 0.72), (0.13, 0.12), out=0.024)),
        "mouth_height": pulls(Pull((0.0, 0.72), (0.32, 0.16), down=0.020)),
        "mouth_curve": pulls(
            Pull((0.26, 0.72), (0.09, 0.09), down=-0.013), Pull((0.0, 0.72), (0.12, 0.09), down=0.007)
        ),
        "upper_lip": pulls(Pull((0.0, 0.645), (0.20, 0.042), down=-0.017, forward=0.008)),
        "lower_lip": pulls(Pull((0.0, 0.815), (0.18, 0.048), down=0.018, forward=0.010)),
        "lips_forward": pulls(Pull((0.0, 0.73), (0.22, 0.10), forward=0.024)),
        "philtrum_length": pulls(Pull((0.0, 0.56), (0.20, 0.06), down=-0.016)),
        # Left and right differ a little in every face: displacements of one sign over both sides.
        "nose_bend": deform.lift(0 * y, right=0.012 * g.gauss(x / 0.13) * g.gauss((y - 0.35) / 0.18)),
        "mouth_skew": deform.lift(0.030 * x * g.gauss(x / 0.35) * g.gauss((y - 0.74) / 0.15)),
        "brow_skew": deform.lift(0.022 * x * brow_near),
        "eye_skew": deform.lift(0.020 * x * eye_near),
        "jaw_skew": deform.lift(0 * y, right=0.014 * low * g.ramp((np.cos(head.angle)[None, :] + 0.2) / 0.6)),
    }


@cache
def shape_names() -> tuple[str, ...]:
    """Return the names of the shape numbers in their order."""
    return tuple(_fields())


SKEWS = ("nose_bend", "mouth_skew", "brow_skew", "eye_skew", "jaw_skew")
"""Shape numbers whose sign turns when a face is mirrored."""


@cache
def shape_basis() -> npt.NDArray[np.float32]:
    """Return (len(shape_names()), ROWS, COLUMNS, 3) displacements of one standard deviation."""
    return np.stack(list(_fields().values())).astype(np.float32)
