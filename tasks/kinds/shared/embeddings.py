"""Embeddings on their way to a score: brought to length 1, pooled into templates, compared."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds.shared.labels import finite_rows
from tasks.kinds.shared.shown import PICTURES

Real = TypeVar("Real", bound=np.floating)

ROWS = 8_192
"""Embeddings or pairs worked on at once: bounds the memory."""


class Templates(NamedTuple):
    """Pooled embeddings.

    Attributes:
        numbers: (T,) template numbers, rising.
        units: (T, D) embeddings of length 1, 0 of lost ones, by default of the inputs' dtype.
        pictures: (T,) how many pictures a template has.
        lost: (T,) whether any of them has no finite embedding.

    """

    numbers: npt.NDArray[np.int64]
    units: npt.NDArray[np.floating]
    pictures: npt.NDArray[np.int64]
    lost: npt.NDArray[np.bool_]


def to_length_one(rows: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Return rows (n, D) of length 1; a zero row stays zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 0))


def pooled(
    outputs: npt.NDArray[np.floating],
    template: npt.NDArray[np.int64],
    media: npt.NDArray[np.int64],
    detector_score: npt.NDArray[np.floating],
    dtype: np.dtype[np.floating] | None = None,
) -> Templates:
    """Return templates pooled as IJB-B and IJB-C are scored.

    Embeddings as they are (norm kept) times the detector's score, mean inside each medium (a still, or all
    frames of one video), sum over the media of a template, length 1. A template is lost with any picture that has no
    finite embedding: without the picture it might be a better one.

    Args:
        outputs: (n, D) embeddings, flip already added; float32 stays float32, sums run in float64.
        template: (n,) template of every picture.
        media: (n,) medium of every picture, unique inside its template.
        detector_score: (n,) scores of the detector.
        dtype: of the pooled embeddings; that of ``outputs`` without it.

    """
    numbers, inverse, pictures = np.unique(template, return_inverse=True, return_counts=True)
    lost = np.bincount(inverse, ~finite_rows(outputs), minlength=len(numbers)) > 0
    order = np.lexsort((media, template))
    order = order[~lost[inverse[order]]]
    owner, medium = inverse[order], media[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (owner[1:] != owner[:-1]) | (medium[1:] != medium[:-1])
    run = np.cumsum(new) - 1
    # Pooling is linear: every picture counts with its detector score over the size of its medium.
    share = detector_score[order].astype(np.float64) / np.bincount(run)[run]
    sums = np.zeros((len(numbers), outputs.shape[1]))
    for at in range(0, len(order), ROWS):
        part = slice(at, at + ROWS)
        place = (owner[part] - owner[at], np.arange(len(order[part])))
        table = csr_matrix((share[part], place))  # templates of this part by its pictures
        sums[owner[at] : owner[at] + table.shape[0]] += table @ outputs[order[part]].astype(np.float64)
    return Templates(numbers, to_length_one(sums).astype(dtype or outputs.dtype), pictures, lost)


def template_columns(
    labels: pd.DataFrame,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return template, media and detector score of every unit; a missing column is named."""
    for column in ("template", "media", "detector_score"):
        if column not in labels:
            raise PacoError(f"The labels have no column '{column}', which pooling into templates needs.")
    return (
        labels["template"].to_numpy().astype(np.int64),
        labels["media"].to_numpy().astype(np.int64),
        labels["detector_score"].to_numpy(dtype=np.float64),
    )


def template_pictures(labels: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the first units of each template, by its number."""
    firsts = labels.groupby("template", sort=False).head(PICTURES)
    names = firsts["unit_id"].astype(str).groupby(firsts["template"].astype(np.int64))
    return {str(number): tuple(found) for number, found in names}


def pair_products(
    units: npt.NDArray[np.floating], first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> npt.NDArray[np.floating]:
    """Return the inner product (P,) of each pair of rows, some thousand pairs at a time."""
    found = np.empty(len(first), dtype=units.dtype)
    for at in range(0, len(first), ROWS):
        part = slice(at, at + ROWS)
        np.einsum("pd,pd->p", units[first[part]], units[second[part]], out=found[part])
    return found


def scores_of_pairs(
    units: npt.NDArray[np.floating], first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> npt.NDArray[np.floating]:
    """Return the inner product (P,) of each pair, for lists so long that whole products pay.

    Pairs are taken by their first side, a block of rows at a time; each block is multiplied with all rows
    and the pairs are picked out. Falls back to :func:`pair_products` for short lists.
    """
    if len(first) * 100 < len(units) ** 2:
        return pair_products(units, first, second)
    block = max(1, ROWS * 1_024 // max(1, len(units)))
    found = np.empty(len(first), dtype=units.dtype)
    order = np.argsort(first, kind="stable")
    edges = np.searchsorted(first, np.arange(0, len(units) + block, block), sorter=order)
    for number, start in enumerate(range(0, len(units), block)):
        members = order[edges[number] : edges[number + 1]]
        if members.size:
            table = units[start : start + block] @ units.T
            found[members] = table[first[members] - start, second[members]]
    return found


def without_rounding(cosines: npt.NDArray[np.floating]) -> Array:
    """Return cosines of float64 embeddings to 12 digits: equal ones tie, in whatever order a matrix product sums."""
    return cosines.astype(np.float64, copy=False).round(12)


def as_embeddings(outputs: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return embeddings (n, D) of length 1, zeros for units without a finite output, and which are finite."""
    finite = finite_rows(outputs)
    rows = np.where(finite[:, None], np.asarray(outputs, dtype=np.float64), 0.0)
    return np.asarray(to_length_one(rows), dtype=np.float64), finite
