"""menpo landmark files (``.ljson``): JSON with points as (y, x), 0-based, and labels with index masks.

Version 3 holds named groups; version 2 is one group without a name, returned as "LJSON". A point may be
null in either coordinate when it was not annotated; it is read as NaN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.readers.files import FormatError, require

REMEDY = "Export it again with menpo.io.export_landmark_file."


@dataclass(frozen=True)
class LandmarkGroup:
    """Points (K, 2) as x, y in pixels, and the indices of the points of every label."""

    points: npt.NDArray[np.float64]
    labels: Mapping[str, tuple[int, ...]]


def read_ljson(path: str | Path) -> dict[str, LandmarkGroup]:
    """Return the groups of a file by name.

    Raises:
        MissingDataError: there is no such file.
        FormatError: not JSON, another version, or points and masks that do not fit; names the file.

    """
    path = Path(path)
    try:
        content = json.loads(require(path, REMEDY).read_bytes())
    except json.JSONDecodeError as error:
        raise FormatError(path, error.lineno, f"is not JSON ({error.msg})", REMEDY) from error
    except (UnicodeDecodeError, RecursionError, OSError) as error:
        raise FormatError(path, None, f"is not JSON ({error})", REMEDY) from error
    version = content.get("version") if isinstance(content, dict) else None
    if version not in (2, 3):
        raise FormatError(path, None, f"version {version!r}, only 2 and 3 are known", REMEDY)
    groups = content.get("groups") if version == 3 else {"LJSON": content}
    if not isinstance(groups, dict) or not groups:
        raise FormatError(path, None, "no groups of landmarks", REMEDY)
    try:
        return {name: _group(group) for name, group in groups.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(path, None, f"points or labels are malformed ({error!r})", REMEDY) from error


def _group(group: Mapping[str, Any]) -> LandmarkGroup:
    yx = np.array(group["landmarks"]["points"], dtype=np.float64)  # null becomes NaN
    if yx.ndim != 2 or yx.shape[1] != 2:
        raise ValueError(f"points of shape {yx.shape}")
    labels = {label["label"]: tuple(int(index) for index in label["mask"]) for label in group["labels"]}
    if any(not 0 <= index < len(yx) for mask in labels.values() for index in mask):
        raise ValueError("a mask names a point that does not exist")
    return LandmarkGroup(yx[:, ::-1].copy(), labels)
