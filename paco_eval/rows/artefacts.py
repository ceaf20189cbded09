"""The small files that a run leaves for its report, beside rows and items.

==================================== ==============================================================
``pretrain/NAME/card.json``          facts about the run, name to plain value
``pretrain/NAME/metrics.jsonl``      a line per log step, see :mod:`paco_eval.report.charts.training`
``pretrain/NAME/reconstruction.npz`` ``original``, ``corrupted``, ``reconstructed``: (n, H, W, 3) uint8
``pretrain/NAME/sheets/STEP.npz``    the same, after so many steps
``pretrain/NAME/codebook.npz``       ``tokens``: (N, K, P, P, 3) uint8; ``usage``: (N, K) float
``rows/KEY.HASH.samples.npz``        of a row: ``images`` (n, H, W, 3) uint8, ``ids`` (n,) of their units,
                                     ``roles`` (n,), why they are kept, ``items`` (n,), of which item, ``sides``
                                     (n,), on which side of a comparison, ``transforms`` (n, 2, 3) from
                                     photograph to image, ``visible`` (n, L) bool of points; of class maps also
                                     ``masks`` (n, 2, S, S) uint8, the truth and what was predicted
==================================== ==============================================================

A run that an encoder ``paco:FOLDER`` of the rows names is shown as well where its folder is at hand.
None of them is needed: a section whose file is absent says so. Nothing is unpickled.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file
from paco_fr.utils.untrusted import ARRAYS, PLAIN, read_json, read_npz

Arrays = dict[str, npt.NDArray[Any]]

SHAPES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "reconstruction": {"original": (4, "u"), "corrupted": (4, "u"), "reconstructed": (4, "u")},
    "codebook": {"tokens": (5, "u"), "usage": (2, "f")},
    "samples": {
        "images": (4, "u"), "ids": (1, "U"), "roles": (1, "U"), "items": (1, "U"), "sides": (1, "i"),
        "transforms": (3, "f"), "visible": (2, "b"),
    },
}  # fmt: skip
"""Arrays of each kind of file: number of axes and kind of type."""
PERHAPS: Mapping[str, tuple[int, str]] = {"masks": (4, "u")}
"""Those that a file need not have."""

LIMITS = {"reconstruction": 100_000_000, "codebook": ARRAYS, "samples": 100_000_000}
"""Bytes of each kind of file, unpacked."""
SIDE = 2048
"""Pixels of the longer side of a picture in such a file at most."""


@dataclass(frozen=True)
class Pretraining:
    """The folder of one pretraining run."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """Where the loss curves are."""
        return self.folder / "metrics.jsonl"

    def card(self) -> dict[str, Any]:
        """Return the facts about the run; none if it has no card."""
        path = self.folder / "card.json"
        if not path.exists():
            return {}
        card: dict[str, Any] = read_json(path, "It is not a readable card.")
        return card


def pretrainings(run: Path) -> list[Pretraining]:
    """Return the pretraining runs of a run folder by name."""
    folders = sorted(path for path in (run / "pretrain").glob("*") if path.is_dir())
    return [Pretraining(folder.name, folder) for folder in folders]


def checkpoints(encoders: Iterable[str], known: Iterable[Pretraining]) -> list[Pretraining]:
    """Return the runs behind encoders ``paco:FOLDER`` whose folder is at hand and not among the known ones."""
    seen = {run.folder.resolve() for run in known}
    found = []
    for name in sorted(set(encoders)):
        folder = Path(name.removeprefix("paco:"))
        if name.startswith("paco:") and (folder / "card.json").is_file() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            found.append(Pretraining(folder.name, folder))
    return found


def save_arrays(path: Path, kind: str, **arrays: npt.ArrayLike) -> Path:
    """Write a ``reconstruction``, ``codebook`` or ``samples`` file after checking it against the layout."""
    content = packed_arrays(path, kind, **arrays)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
    return path


def packed_arrays(where: Path | str, kind: str, **arrays: npt.ArrayLike) -> bytes:
    """Return the content of such a file after checking it against the layout; ``where`` names it in errors."""
    found = {name: np.asarray(values) for name, values in arrays.items()}
    _check(where, kind, found)
    stream = io.BytesIO()
    np.savez_compressed(stream, **found)  # type: ignore[arg-type]
    return stream.getvalue()


def load_arrays(path: Path, kind: str) -> Arrays | None:
    """Return the arrays of such a file, None if it is not there."""
    if not path.exists():
        return None
    found = read_npz(path, "It is not a readable array file.", kinds=f"{PLAIN}U", limit=LIMITS[kind])
    _check(path, kind, found)
    return found


def _check(path: Path | str, kind: str, arrays: Arrays) -> None:
    perhaps = {name: shape for name, shape in PERHAPS.items() if name in arrays}
    for name, (axes, type_kind) in {**SHAPES[kind], **perhaps}.items():
        if name not in arrays:
            raise PacoError(f"{path}: no array '{name}'; a {kind} file has {', '.join(SHAPES[kind])}.")
        array = arrays[name]
        if array.ndim != axes or array.dtype.kind != type_kind:
            raise PacoError(
                f"{path}: '{name}' is {array.dtype} with {array.ndim} axes, expected {axes} axes."
            )
        if axes >= 4 and not 0 < max(array.shape[1:]) <= SIDE:
            raise PacoError(
                f"{path}: '{name}' holds pictures of {array.shape[1:]}, at most {SIDE} are shown."
            )
    counts = {len(array) for array in arrays.values()}
    if len(counts) > 1 or counts == {0}:
        raise PacoError(f"{path}: its arrays are of different lengths or empty.")
