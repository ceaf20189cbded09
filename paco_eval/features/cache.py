"""Features on disk, addressed by everything that could change them and by nothing else.

An address (a folder) fixes weights, adapter version, pixel and crop contracts, perturbation, block,
reduction, flip and dtype. Inside it, features are found by image key, the hash of a picture's content and
of the way it was cut, so tasks that share pictures share features and labels never matter. A folder holds
any number of immutable parts; each is written under a temporary name and renamed to the hash of its keys,
so a killed process leaves nothing half-made and two processes that did the same work agree.

Each part names its address in its header, so that the cache can be listed and pruned without knowing encoders, and
a checksum of all that it holds, which is compared the first time that a process reads it. A part that does not fit
is put aside, and its pictures are looked at again.

What a running process uses is never pruned, see :mod:`paco_eval.features.cache_locks`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from paco_eval.features.cache_locks import NO_ROOM, alone, in_use, limit, using
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import (
    atomic_file,
    cache_folder,
    cache_root,
    checksum,
    put_aside,
    sweep,
    unheld,
    writing,
)
from paco_fr.utils.untrusted import parse_json

Keys = npt.NDArray[np.uint8]

STORED = 2
"""Number of the format of parts. It is in the name of their folder: what was stored without checksums is never found."""

_known: dict[Path, tuple[int, ...]] = {}
"""Parts that this process held against their checksum, by what the file system said of them then."""


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
    probe: str = ""

    @property
    def folder(self) -> Path:
        """The folder of this address under the cache."""
        return cache_folder("features") / content_hash({**vars(self), "stored": STORED})


def find(address: Address, keys: Keys) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.bool_]]:
    """Return features (n, ...) of keys (n, 16) and which of them were found; (None, all False) if none."""
    found = np.zeros(len(keys), dtype=bool)
    features: npt.NDArray[np.float32] | None = None
    wanted = _as_scalars(keys)
    with using(address.folder):
        for path in _parts(address.folder):
            part = _read(path, address)
            if part is None:
                continue
            if features is not None and part[1].shape[1:] != features.shape[1:]:
                shape = part[1].shape[1:]
                put_aside(
                    path, f"its features are {shape} for a picture, those beside it {features.shape[1:]}"
                )
                continue
            rows = {key: row for row, key in enumerate(_as_scalars(part[0]))}
            sources = np.array([rows.get(key, -1) for key in wanted])
            hits = (sources >= 0) & ~found
            if not hits.any():
                continue
            if features is None:
                features = np.full((len(keys), *part[1].shape[1:]), np.nan, dtype=np.float32)
            features[hits] = part[1][sources[hits]]
            found |= hits
    return features, found


def _read(path: Path, address: Address) -> tuple[Keys, npt.NDArray[np.float32]] | None:
    """Return keys and features of a part; None where it is gone, or was put aside because it is damaged."""
    try:
        status = path.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        with safe_open(path, framework="np") as file:
            keys, values = file.get_tensor("keys"), file.get_tensor("features")
            if _known.get(path) != stamp:
                said = (file.metadata() or {}).get("checksum")
                if said != _checksum(address, keys, values):
                    raise PacoError("its features do not fit their checksum")
                if problem := _misfit(address, keys, values):
                    raise PacoError(problem)
                _known[path] = stamp
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, ValueError, PacoError) as error:
        put_aside(path, error)
        return None
    return keys, values


def _checksum(address: Address, keys: Keys, values: npt.NDArray[Any]) -> str:
    about = [vars(address), keys.dtype.str, keys.shape, values.dtype.str, values.shape]
    return checksum(json.dumps(about), np.ascontiguousarray(keys), np.ascontiguousarray(values))


def _misfit(address: Address, keys: npt.NDArray[Any], values: npt.NDArray[Any]) -> str:
    """Return what is wrong with the shape or type of features (n, ...) of keys (n, 16), empty if nothing is."""
    if keys.dtype != np.uint8 or keys.ndim != 2 or keys.shape[1] != 16:
        return f"its keys are {keys.dtype} {keys.shape}, expected uint8 (n, 16)"
    if values.dtype != np.float32 or len(values) != len(keys):
        return f"its features are {values.dtype} {values.shape}, expected float32 ({len(keys)}, ...)"
    rank = 3 if address.reduction == "tokens" else 2
    if values.ndim != rank or 0 in values.shape[1:]:
        return f"its features are {values.shape}, expected {rank} dimensions of {address.reduction}"
    return ""


def _parts(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    os.utime(folder)  # when it was last of use, for pruning
    return sorted(folder.glob("*.safetensors"))


def store(address: Address, keys: Keys, features: npt.NDArray[np.float32]) -> None:
    """Add the features (n, ...) of keys (n, 16) as one part.

    Raises:
        PacoError: counts, rank or type are not those of features of these pictures, or there is no room.

    """
    folder = address.folder
    problem = _misfit(address, keys, features)
    if not problem and len(set(_as_scalars(keys))) < len(keys):
        problem = "two of its features are of one picture"
    if problem:
        raise PacoError(f"Features of block {address.block} ({address.reduction}) are not stored: {problem}.")
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
            about = {
                "address": json.dumps(vars(address)),
                "checksum": _checksum(address, keys, tensors["features"]),
            }
            save_file(tensors, temporary, metadata=about)


def _as_scalars(keys: Keys) -> list[bytes]:
    return [key.tobytes() for key in keys]


@dataclass(frozen=True)
class Entry:
    """Something that the cache holds and that can go as a whole.

    Attributes:
        folder: where it is.
        address: of features the fields of their address; empty where no part can be read, and of other kinds.
        pictures: number of keys of features; of other kinds 0.
        size: bytes.
        used: seconds since the epoch when it was last looked at.
        kind: one of :data:`KINDS`.

    """

    folder: Path
    address: dict[str, Any]
    pictures: int
    size: int
    used: float
    kind: str = "features"


KINDS = {
    "features": "features of an encoder",
    "faces": "drawn photographs",
    "packed": "crops for pretraining",
    "crops": "crops of an earlier version",
    "masks": "painted masks",
    "choices": "what validation decided",
    "identities": "what encoders told of their probe",
    "contents": "hashes of files",
}
"""Folders of the cache, and what is in them."""
WHOLE = ("masks", "choices", "identities", "contents")
"""Those whose files are small and many: they are one entry."""


def entries(kinds: Iterable[str] = ("features",)) -> list[Entry]:
    """Return what the cache holds of some kinds, the longest unused first; what killed writers left is removed."""
    found = []
    for kind in kinds:
        top = cache_root() / kind
        if not top.is_dir():
            continue
        sweep(top)
        if kind in WHOLE:
            found.append(_entry(top, kind))
            continue
        for folder in sorted(top.iterdir()):
            if folder.is_dir():
                if kind == "features":
                    sweep(folder)
                found.append(_entry(folder, kind))
    return sorted(
        (entry for entry in found if entry.size or entry.kind not in WHOLE),
        key=lambda entry: (entry.used, entry.folder.name),
    )


def _entry(folder: Path, kind: str) -> Entry:
    address: dict[str, Any] = {}
    pictures = size = 0
    used = 0.0
    with suppress(FileNotFoundError):  # another process makes room, too
        used = folder.stat().st_mtime
    for part in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            size += part.stat().st_size if part.is_file() else 0
        if kind != "features" or part.suffix != ".safetensors" or part.name.startswith("."):
            continue
        try:
            with safe_open(part, framework="np") as file:
                pictures += file.get_slice("keys").get_shape()[0]
                address = parse_json((file.metadata() or {}).get("address", "{}"), part) or address
        except (SafetensorError, OSError, ValueError, PacoError):
            continue
    return Entry(folder, address, pictures, size, used, kind)


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
            if (total > limit or entry.used < unused_since) and _removed(entry, used):
                total -= entry.size
                removed.append(entry)
    return removed


def _removed(entry: Entry, used: set[str]) -> bool:
    """Remove an entry, unless somebody uses it; say whether it is gone."""
    if entry.kind == "features":
        if entry.folder.name in used:
            return False
        shutil.rmtree(entry.folder, ignore_errors=True)
        return True
    name = entry.folder / "all" if entry.kind in WHOLE else entry.folder
    with unheld(name) as free:
        if free:
            shutil.rmtree(entry.folder, ignore_errors=True)
        return free


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
