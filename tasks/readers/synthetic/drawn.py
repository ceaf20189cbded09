"""Synthetic benchmark faces. Identities of train, validation and test are disjoint, and none is pretrained on.

The declarations import this module's constants, so nothing heavy is imported before faces are drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from paco_fr.contracts import CropContract

if TYPE_CHECKING:
    from datasets import Dataset

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
    **look: Any,
) -> Dataset:
    """Return the face records of all three parts; ``look`` are further fields of ``FaceSpec``."""
    from datasets import concatenate_datasets

    from paco_fr.faces.records import COLUMNS
    from paco_fr.synthetic import FaceSpec
    from paco_fr.synthetic.dataset import stored_records

    parts, first = [], 0
    for split, identities in (("train", train), ("validation", validation), ("test", test)):
        spec = FaceSpec(
            identities=identities,
            images_per_identity=images_per_identity,
            seed=seed,
            first_identity=first,
            **look,
        )
        part = stored_records(spec)
        parts.append(part.add_column("split", [split] * len(part), feature=COLUMNS["split"]))
        first += identities
    return concatenate_datasets(parts)
