"""Synthetic benchmark faces. Identities of train, validation and test are disjoint, and none is pretrained on.

The declarations import this module's constants, so nothing heavy is imported before faces are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paco_fr.contracts import CropContract

if TYPE_CHECKING:
    from datasets import Dataset

    from paco_fr.synthetic import FaceSpec

LICENCE = "Apache-2.0 (rendered by this package)"
OBTAIN = "Nothing to obtain: drawn on first use."
LOOSE_BOX = CropContract("box", margin=0.25, jitter=0.1)
"""Jittered, so that neither position nor size of the face gives away its pose or points."""

BENCHMARK: dict[str, Any] = {
    "seed": 7,
    "images_per_identity": 6,
    "train": 300,
    "validation": 80,
    "test": 160,
}
"""Identities of each part and pictures of each identity. Seed 7 is the benchmarks' own."""

HARD: dict[str, Any] = {**BENCHMARK, "level": "hard"}
"""The same people turned further, at weaker expressions, less evenly framed."""
LOOSER_BOX = CropContract("box", margin=0.25, jitter=0.2)
"""The box of a bad detector."""


def read_faces(
    data_root: Path | None,
    *,
    seed: int,
    images_per_identity: int,
    train: int,
    validation: int,
    test: int,
    limit: int | None = None,
    planned: bool = False,
    **look: Any,
) -> Dataset:
    """Return the face records of all three parts.

    Args:
        data_root: not looked at.
        seed: of the faces.
        images_per_identity: pictures of each person.
        train: people of this part.
        validation: people of this part.
        test: people of this part.
        limit: so many pictures of each part are wanted: only people who are in them are drawn.
        planned: draw nothing: sets that are not there yet have stand-ins for pictures, boxes and points.
        look: further fields of ``FaceSpec``.

    """
    from paco_fr.synthetic.dataset import planned_records, stored_records

    parts = _parts(seed, images_per_identity, (train, validation, test), look)
    return _joined(parts, limit, planned_records if planned else stored_records)


def _parts(seed: int, images: int, people: tuple[int, ...], look: dict[str, Any]) -> list[FaceSpec]:
    """Return the specs of parts of so many people, who are not the same."""
    from paco_fr.synthetic import FaceSpec

    return [
        FaceSpec(
            identities=count, images_per_identity=images, seed=seed, first_identity=sum(people[:at]), **look
        )
        for at, count in enumerate(people)
    ]


def _joined(specs: list[FaceSpec], limit: int | None, records_of: Callable[..., Dataset]) -> Dataset:
    """Return the records of the parts for training, validation and test."""
    from datasets import concatenate_datasets

    from paco_fr.faces.records import COLUMNS

    parts = []
    for split, spec in zip(("train", "validation", "test"), specs, strict=True):
        people = None if limit is None else -(-limit // spec.images_per_identity)
        part = records_of(spec, identities=people, progress=True)
        parts.append(part.add_column("split", [split] * len(part), feature=COLUMNS["split"]))
    return concatenate_datasets(parts)
