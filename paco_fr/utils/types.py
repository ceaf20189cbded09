"""Names for types that many signatures share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
"""Numbers of double precision, whatever their shape."""

Say = Callable[[str], None]
"""Tells the user one line, as a run goes on."""
