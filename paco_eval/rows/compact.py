"""Items of a sweep's cells in little space: a sweep has a hundred cells on the same pictures.

A cell keeps what its metric and paired statistics need, in single precision, and of that only the columns in
which it departs from the clean cell; reading joins the two again. Metrics are computed from what is kept, so
they come out the same when they are computed again.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from paco_fr.utils.errors import PacoError

DRAWN = ("prediction", "truth")
"""Columns of points, which only drawings need: the clean task's own row has them."""


def compact(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items without points, with numbers in single precision."""
    points = [
        name for name in DRAWN if name in items and items[name].dtype == object and _nested(items[name])
    ]
    kept = items.drop(columns=points)
    wide = kept.select_dtypes("float64").columns
    return kept.astype(dict.fromkeys(wide, np.float32))


def _nested(column: pd.Series) -> bool:
    return len(column) > 0 and np.ndim(column.iloc[0]) > 1  # lists of labels are scored and stay


def achieved_table(achieved: pd.Series) -> bytes:
    """Return what a perturbation achieved on each picture, by its id, as a parquet file.

    It is kept beside rows whose items are of pairs or templates.
    """
    table = pd.DataFrame({"id": achieved.index, "achieved": achieved.to_numpy(dtype=np.float32)})
    written = io.BytesIO()
    table.to_parquet(written, index=False, compression="zstd")
    return written.getvalue()


def departing(items: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame | None:
    """Return the columns of a cell that the clean cell has not, or has otherwise; None if the units differ."""
    named = [name for name in ("id", "id_a", "id_b") if name in items]
    if len(items) != len(clean) or not all(_same(items, clean, name) for name in named):
        return None
    return items[[name for name in items if not _same(items, clean, str(name))]]


def _same(items: pd.DataFrame, clean: pd.DataFrame, name: str) -> bool:
    if name not in clean:
        return False
    ours, theirs = items[name], clean[name]
    if pd.api.types.is_numeric_dtype(ours) and ours.dtype != theirs.dtype:
        return False
    if len(ours) and np.ndim(ours.iloc[0]) > 0:
        return all(map(np.array_equal, ours, theirs))
    missing = ours.isna().to_numpy()
    return bool(np.array_equal(missing, theirs.isna().to_numpy())) and bool(
        (ours.to_numpy() == theirs.to_numpy())[~missing].all()
    )


def completed(own: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame:
    """Return the items of a cell from its own columns and those of the clean cell.

    Raises:
        PacoError: the two do not have the same number of units.

    """
    if len(own) != len(clean):
        raise PacoError(f"A cell of {len(own)} units cannot be completed by a clean one of {len(clean)}.")
    return clean.drop(columns=[name for name in own if name in clean]).join(own)


def plain_cells(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items with array cells, e.g. points (L, 2), as nested lists, which parquet can hold."""
    nested = {
        str(name): [cell.tolist() for cell in column]
        for name, column in items.items()
        if len(column) and isinstance(column.iloc[0], np.ndarray)
    }
    return items.assign(**nested)


REST = "items_with"
"""Entry of ``chosen``: key of the clean row whose items have the columns that a cell of a sweep leaves out."""
REST_SHA256 = "items_with_sha256"
"""Entry of ``chosen``: sha256 of the items of that row."""
