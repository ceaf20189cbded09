"""Reading labels and beginning an item table: what all kinds share."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array

CARRIED = ("image_id", "yaw", "pitch", "light", "occluder")
"""Columns of the labels that items keep where they exist, for plots against them."""

NO_OUTPUT = "no finite output"
"""Failure reason of a unit whose row of outputs is not finite."""


def stacked(labels: pd.DataFrame, column: str, *shape: int) -> Array:
    """Return a column of equally long (nested) lists as one array (n, ...), -1 in ``shape`` for any length.

    Raises:
        PacoError: the column is missing, or cells have another shape; the first such unit is named.

    """
    if column not in labels:
        raise PacoError(f"The labels have no column '{column}', which this kind of task needs.")
    values = labels[column].tolist()
    with suppress(ValueError, TypeError):  # of unequal or nested cells, which the lines below take one by one
        found = np.array(values, dtype=np.float64)
        if found.ndim == len(shape) + 1 and all(
            side in (-1, own) for side, own in zip(shape, found.shape[1:], strict=True)
        ):
            return found
    cells = [np.asarray(_plain(cell), dtype=np.float64) for cell in values]
    length = cells[0].shape[0] if cells and cells[0].ndim else 0
    expected = tuple(length if side < 0 else side for side in shape)
    for unit, cell in zip(labels["unit_id"], cells, strict=True):
        if cell.shape != expected:
            raise PacoError(f"Unit '{unit}': '{column}' has shape {cell.shape}, expected {expected}.")
    return np.stack(cells) if cells else np.empty((0, *expected))


def _plain(cell: Any) -> Any:
    """Turn nested object arrays, as parquet readers give them, into nested lists."""
    if isinstance(cell, np.ndarray) and cell.dtype == object:
        return [_plain(part) for part in cell]
    return cell


def start_items(labels: pd.DataFrame, finite: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the first columns of an item table: id, group, failure reason, subset flags and what plots are drawn against.

    A table is made of all columns at once: choosing makes hundreds, and pandas takes longest to add a column.
    """
    columns: dict[str, Any] = {
        "id": labels["unit_id"].to_numpy(),
        "group": labels["group"].to_numpy(),
        "failure": np.where(finite, "", NO_OUTPUT),
    }
    columns |= {name: labels[name].to_numpy() for name in CARRIED if name in labels}
    return columns | subset_flags(labels)


def subset_flags(labels: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Return ``subset:NAME`` -> (n,) whether each unit belongs to it, for every subset that any unit belongs to."""
    if "subsets" not in labels:
        return {}
    member = [set() if cell is None else set(cell) for cell in labels["subsets"]]
    names = sorted(set().union(*member))
    return {f"subset:{name}": np.array([name in found for found in member]) for name in names}


def finite_rows(outputs: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return (n,) whether all outputs (n, ...) of a unit are finite."""
    array = np.asarray(outputs)
    return np.asarray(np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
