"""Features on disk, addressed by everything that could change them and by nothing else.

An address (a folder) fixes weights, adapter version, pixel and crop contracts, perturbation, block,
reduction, flip and dtype. Inside it, features are found by image key, the hash of a picture's content and
of the way it was cut, so tasks that share pictures share features and labels never matter. A folder holds
any number of immutable parts; each is written under a temporary name and renamed to the hash of its keys,
so a killed process leaves nothing half-made and two processes that did the same work agree.

Each part names its address in its header, so that the cache can be listed and pruned without knowing encoders.
What a running process uses is never pruned, see :mod:`paco_eval.features.cache_locks`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from paco_eval.features.cache_locks import NO_ROOM, alone, in_use, limit, using
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError, one_line
from paco_fr.utils.files import atomic_file, cache_folder, writing
from paco_fr.utils.untrusted import parse_json

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
    with using(address.folder):
        for part in _parts(address.folder):
            try:
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
            except (SafetensorError, OSError, ValueError, IndexError, TypeError) as error:
                raise PacoError(
                    f"{part} is damaged ({one_line(error)}). Remove it: its features are computed again."
                ) from error
    return features, found


def _parts(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    os.utime(folder)  # when it was last of use, for pruning
    return sorted(folder.glob("*.safetensors"))


def store(address: Address, keys: Keys, features: npt.NDArray[np.float32]) -> None:
    """Add the features (n, ...) of keys (n, 16) as one part."""
    folder = address.folder
    path = folder / f"{content_hash(keys.tobytes().hex())}.safetensors"
    with using(folder):
        if path.exists():
            return
        advice = f"{NO_ROOM} What was stored before stays usable."
        tensors: dict[str, npt.NDArray[Any]] = {"keys": keys, "features": np.ascontiguousarray(features)}
        with (
            writing(f"features to {folder}", advice, wrapped=SafetensorError),
            atomic_file(path) as temporary,
        ):
            save_file(tensors, temporary, metadata={"address": json.dumps(vars(address))})


def _as_scalars(keys: Keys) -> list[bytes]:
    return [key.tobytes() for key in keys]


@dataclass(frozen=True)
class Entry:
    """Features of one address on disk.

    Attributes:
        folder: where they are.
        address: fields of the address; empty where no part can be read.
        pictures: number of keys.
        size: bytes.
        used: seconds since the epoch when they were last looked at.

    """

    folder: Path
    address: dict[str, Any]
    pictures: int
    size: int
    used: float


def entries() -> list[Entry]:
    """Return what the cache holds, the longest unused first."""
    found = [_entry(folder) for folder in cache_folder("features").iterdir() if folder.is_dir()]
    return sorted(found, key=lambda entry: (entry.used, entry.folder.name))


def _entry(folder: Path) -> Entry:
    address: dict[str, Any] = {}
    pictures = size = 0
    for part in sorted(folder.iterdir()):
        size += part.stat().st_size
        if part.suffix != ".safetensors" or part.name.startswith("."):
            continue
        try:
            with safe_open(part, framework="np") as file:
                pictures += file.get_slice("keys").get_shape()[0]
                address = parse_json((file.metadata() or {}).get("address", "{}"), part) or address
        except (SafetensorError, OSError, PacoError):
            continue
    return Entry(folder, address, pictures, size, folder.stat().st_mtime)


def prune(found: Iterable[Entry], limit: int, unused_since: float = 0.0) -> list[Entry]:
    """Remove entries, the longest unused first, until at most ``limit`` bytes are left; return them.

    Those that a running process uses stay, whatever is left then.

    Args:
        found: as :func:`entries` returns them.
        limit: bytes that may stay.
        unused_since: entries last used before this time (seconds since the epoch) go in any case.

    """
    found = list(found)
    total = sum(entry.size for entry in found)
    removed = []
    with alone():
        used = in_use()
        for entry in found:
            if entry.folder.name not in used and (total > limit or entry.used < unused_since):
                shutil.rmtree(entry.folder, ignore_errors=True)
                total -= entry.size
                removed.append(entry)
    return removed


def keep_to_limit() -> None:
    """Prune the cache to the size limit, if there is one now."""
    if limit():
        prune(entries(), size_of(limit()))


def size_of(text: str) -> int:
    """Return the bytes of a size such as 20GB or 500MB (powers of 1000), or say what is wrong with it."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text, flags=re.IGNORECASE)
    if match is None:
        raise PacoError(f"'{text}' is no size of the cache such as 20GB.")
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2].lower() or " "))
