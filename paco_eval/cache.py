"""Features on disk, addressed by everything that could change them and by nothing else.

An address (a folder) fixes weights, adapter version, pixel and crop contracts, perturbation, block,
reduction, flip and dtype. Inside it, features are found by image key, the hash of a picture's content and
of the way it was cut, so tasks that share pictures share features and labels never matter. A folder holds
any number of immutable parts; each is written under a temporary name and renamed to the hash of its keys,
so a killed process leaves nothing half-made and two processes that did the same work agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save_file

from paco_fr.contracts import content_hash
from paco_fr.files import atomic_file, cache_folder

Keys = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Address:
    """Where features of one kind live. Every field is part of the hash."""

    weight_hash: str
    adapter_version: int
    pixel_hash: str
    canvas: int
    block: str
    reduction: str
    perturbation: str = "none"
    flip: bool = False
    dtype: str = "float32"

    @property
    def folder(self) -> Path:
        """The folder of this address under the cache."""
        return cache_folder("features") / content_hash(vars(self))


def find(address: Address, keys: Keys) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.bool_]]:
    """Return features (n, ...) of keys (n, 16) and which of them were found; (None, all False) if none."""
    found = np.zeros(len(keys), dtype=bool)
    features: npt.NDArray[np.float32] | None = None
    wanted = _as_scalars(keys)
    for part in sorted(address.folder.glob("*.safetensors")) if address.folder.exists() else ():
        with safe_open(part, framework="np") as file:
            rows = {key: row for row, key in enumerate(_as_scalars(file.get_tensor("keys")))}
            sources = np.array([rows.get(key, -1) for key in wanted])
            hits = (sources >= 0) & ~found
            if not hits.any():
                continue
            values = file.get_tensor("features")
            if features is None:
                features = np.full((len(keys), *values.shape[1:]), np.nan, dtype=np.float32)
            features[hits] = values[sources[hits]]
            found |= hits
    return features, found


def store(address: Address, keys: Keys, features: npt.NDArray[np.float32]) -> None:
    """Add the features (n, ...) of keys (n, 16) as one part."""
    folder = address.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{content_hash(keys.tobytes().hex())}.safetensors"
    if not path.exists():
        with atomic_file(path) as temporary:
            save_file({"keys": keys, "features": np.ascontiguousarray(features)}, temporary)


def _as_scalars(keys: Keys) -> list[bytes]:
    return [key.tobytes() for key in keys]
