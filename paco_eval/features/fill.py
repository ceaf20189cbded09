"""The cache filled: what encoders have not seen yet of pictures, clean or changed, goes through them once.

A picture is decoded once, and changed once in every way asked for, for all encoders that lack it. Features of clean
pictures lie apart from those of their mirror images, so that any task finds what it takes; of changed ones the sum is
kept. Beside features lies what each perturbation achieved on each picture (a hidden share, an angle), which belongs to
no encoder.

Under several processes each shows its own part of what the cache lacks to the encoders; afterwards all read the same
files, so features and scores do not depend on their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor

from paco_eval.features.batches import BATCH, batches_of, prepared_under
from paco_eval.features.cache import Address, Keys, find, keep_to_limit, store
from paco_eval.features.cache_locks import keeping
from paco_eval.features.forward import Forward, precision_of, probe_hash
from paco_eval.features.layers import Layer, reduce
from paco_eval.features.perturbed import Condition, changed_keys
from paco_eval.features.processes import together
from paco_fr.contracts import Encoder
from paco_fr.faces.decode import ImageError, read_bytes
from paco_fr.utils.errors import PacoError
from paco_fr.utils.progress import stage
from tasks.kinds.shared.labels import finite_rows
from tasks.units import Units

CHUNK = 2048
"""Units whose features are stored at once: what a killed run loses at most."""
HELD = 8192
"""Pictures whose features are held before they are stored, over all encoders and conditions."""
MAX_BYTES = 8 * 2**30
"""Features of one task and encoder that are stored at most; only tokens come near it."""

Table = npt.NDArray[np.float32]


class LostError(PacoError):
    """Features that had been stored cannot be read any more: damaged meanwhile, or removed by hand."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Who looks at the pictures: an encoder, the layers wanted of it, and whether mirrored pictures are added."""

    encoder: Encoder
    layers: tuple[Layer, ...]
    summed: bool = False

    @cached_property
    def forward(self) -> Forward:
        """The encoder in batches that the device can hold; how large these are is learnt once."""
        return Forward(self.encoder, BATCH)

    def addresses(self, canvas: int, condition: Condition) -> list[Address]:
        """Return where features lie, layer by layer: clean ones of a picture and of its mirror image, else the sum."""
        plain = [
            Address(
                self.encoder.weight_hash, self.encoder.adapter_version, self.encoder.pixels.hash, canvas, *layer,
                dtype=precision_of(self.encoder), probe=probe_hash(self.encoder),
            )
            for layer in self.layers
        ]  # fmt: skip
        if condition.level:
            tag = f"{condition.tag}.summed" if self.summed else condition.tag
            return [replace(address, perturbation=tag) for address in plain]
        sides = (False, True) if self.summed else (False,)
        return [replace(address, flip=side) for address in plain for side in sides]

    def features(self, pictures: Tensor, condition: Condition) -> list[Table]:
        """Return features (B, D) of prepared pictures (B, 3, S, S) for each address."""
        blocks = list(dict.fromkeys(block for block, _ in self.layers))
        sides = (pictures, pictures.flip(-1)) if self.summed else (pictures,)
        told = [self.forward(side, blocks) for side in sides]
        found: list[Table] = []
        for block, reduction in self.layers:
            tables = [reduce(tokens[block], reduction).float().cpu().numpy() for tokens in told]
            found += [np.asarray(sum(tables))] if condition.level else tables
        return found

    def read(self, units: Units, filled: Filled, condition: Condition) -> dict[Layer, Table]:
        """Return the features (n, D) of each layer from the cache, NaN for failed units."""
        keys, failures = filled.keys[condition], filled.failures[condition]
        tables: dict[Layer, Table] = {}
        for address in self.addresses(units.canvas, condition):
            layer, table = (address.block, address.reduction), _known(address, keys, failures, condition)
            if layer in tables:
                tables[layer] += table
            else:
                tables[layer] = table
        for table in tables.values():
            table[list(failures)] = np.nan
        return tables


@dataclass(frozen=True)
class Filled:
    """What the cache holds of units after it was filled.

    Attributes:
        keys: for each condition under which keys (n, 16) features lie.
        failures: for each condition unit -> why there are none.
        passes: pictures, clean and changed, that somebody had not seen.

    """

    keys: dict[Condition, Keys]
    failures: dict[Condition, dict[int, str]]
    passes: int


Missing = dict[Condition, list[npt.NDArray[np.bool_]]]
"""For each condition and reader which units (n,) it has not seen."""


@keeping()
def fill_cache(
    readers: Sequence[Reader], units: Units, conditions: Sequence[Condition], *, progress: bool = False
) -> Filled:
    """Have every reader look at the pictures that it has not seen under a condition.

    A picture is decoded once and changed once for all readers.

    Raises:
        PacoError: a feature is not finite, features that do not fit into memory, or a full disk.

    """
    clean, unreadable = unit_keys(units)
    changed = changed_keys(units, clean) if any(condition.level for condition in conditions) else clean
    keys = {condition: changed if condition.level else clean for condition in conditions}
    missing: Missing = {
        condition: [lacks(reader, units, condition, own, unreadable) for reader in readers]
        for condition, own in keys.items()
    }
    # One process says what is missing: others may look when some of it has been stored already.
    (missing,) = broadcast_object_list([missing])
    lacked = np.array([np.any(masks, axis=0) for masks in missing.values()])
    state = PartialState()
    with state.split_between_processes(np.flatnonzero(lacked.any(axis=0)).tolist()) as own:
        parts = together(
            lambda: _encode(readers, units, own, keys, missing, progress and state.is_main_process), state
        )
    failures = {condition: dict(unreadable) for condition in conditions}
    for part in parts:
        for (condition, unit), reason in part.items():
            failures[condition][unit] = reason
    if lacked.any():
        keep_to_limit()
    spread = {condition: _spread(found, keys[condition]) for condition, found in failures.items()}
    return Filled(keys, spread, int(lacked.sum()))


def unit_keys(units: Units) -> tuple[Keys, dict[int, str]]:
    """Return the key (n, 16) of each unit, content and transform, and the units without readable content."""
    keys = np.zeros((len(units), 16), dtype=np.uint8)
    failures: dict[int, str] = {}
    contents = units.known().contents
    warp = f"warp {units.warp}".encode() if units.warp else b""
    for unit, row in enumerate(units.rows.tolist()):
        known = contents[row]
        if known is None:
            failures[unit] = _why_unreadable(units.records[row]["image"])
            continue
        digest = hashlib.sha256(known + units.transforms[unit].tobytes() + warp).digest()
        keys[unit] = np.frombuffer(digest[:16], dtype=np.uint8)
    return keys, failures


def _why_unreadable(image: dict[str, Any]) -> str:
    try:
        read_bytes(image)
    except ImageError as error:
        return str(error)
    return f"{image['path']}: could not be read a moment ago. Evaluate again."


def achieved_of(units: Units, filled: Filled, condition: Condition) -> Table:
    """Return what a condition achieved on each unit (n,), NaN for clean and failed ones."""
    achieved = np.full(len(units), np.nan, dtype=np.float32)
    for address in _facts(units, condition):
        achieved = _known(address, filled.keys[condition], filled.failures[condition], condition)[:, 0]
    achieved[list(filled.failures[condition])] = np.nan
    return achieved


def _facts(units: Units, condition: Condition) -> list[Address]:
    """Return where lies what was achieved, which of a clean picture is nothing."""
    if condition.level == 0:
        return []
    return [Address("none", 0, "none", units.canvas, "perturbation", "achieved", perturbation=condition.tag)]


def lacks(
    reader: Reader, units: Units, condition: Condition, keys: Keys, unreadable: dict[int, str]
) -> npt.NDArray[np.bool_]:
    """Return the readable units (n,), one of each picture, that an address lacks."""
    absent = np.zeros(len(units), dtype=bool)
    for address in (*reader.addresses(units.canvas, condition), *_facts(units, condition)):
        absent |= ~find(address, keys)[1]
    absent[list(unreadable)] = False
    candidates = np.flatnonzero(absent)
    _, first = np.unique(keys[candidates], axis=0, return_index=True)
    absent[np.delete(candidates, first)] = False
    return absent


def _known(address: Address, keys: Keys, failures: dict[int, str], condition: Condition) -> Table:
    """Return what lies at an address, which cannot be nothing unless every picture failed.

    Raises:
        LostError: something was there when the cache was filled, and is not now.

    """
    table, found = find(address, keys)
    found[list(failures)] = True
    if not found.all() and len(failures) < len(keys):
        raise LostError(
            f"{address.folder}: features of {int((~found).sum())} pictures went while they were in use. Run it again."
        )
    if table is None:
        what = f"had under {condition.tag}" if condition.level else "read"
        first = next(iter(failures.values()), "there are none")
        raise PacoError(f"Not one of {len(keys)} pictures could be {what}. First: {first}")
    return table


def _encode(
    readers: Sequence[Reader],
    units: Units,
    own: list[int],
    keys: dict[Condition, Keys],
    missing: Missing,
    progress: bool,
) -> dict[tuple[Condition, int], str]:
    """Show the units in ``own`` to the readers that miss them, store, and return what failed."""
    failures: dict[tuple[Condition, int], str] = {}
    chunk = max(BATCH, min(CHUNK, HELD // (len(missing) * len(readers)) // BATCH * BATCH))
    contracts = list(dict.fromkeys(reader.encoder.pixels for reader in readers))
    anyone = {condition: np.any(masks, axis=0) for condition, masks in missing.items()}
    total = int(sum(absent[own].sum() for absent in anyone.values()))
    title = (
        f"encoding by {readers[0].encoder.name[-40:]}"
        if len(readers) == 1
        else f"encoding by {len(readers)} encoders"
    )
    with stage(title, total, "img", shown=progress and total > 0) as bar:
        for start in range(0, len(own), chunk):
            found: dict[tuple[Condition, Address], list[tuple[list[int], Table]]] = {}
            batches = [_wanted(batch, anyone) for batch in batches_of(own[start : start + chunk])]
            for condition, members, pictures, achieved, broken in prepared_under(contracts, units, batches):
                failures |= {(condition, unit): reason for unit, reason in broken.items()}
                bar.update(len(members) + len(broken))
                if not members:
                    continue
                for address in _facts(units, condition):
                    found.setdefault((condition, address), []).append((members, achieved[:, None]))
                for reader, absent in zip(readers, missing[condition], strict=True):
                    new = np.flatnonzero(absent[members])
                    if not len(new):
                        continue
                    shown = pictures[reader.encoder.pixels]
                    tables = reader.features(shown if len(new) == len(members) else shown[new], condition)
                    seen = [members[at] for at in new]
                    _affordable(tables, len(units), reader.encoder)
                    for address, values in zip(
                        reader.addresses(units.canvas, condition), tables, strict=True
                    ):
                        _check_finite(values, seen, units, address, reader.encoder)
                        found.setdefault((condition, address), []).append((seen, values))
            for (condition, address), parts in found.items():
                done = [unit for seen, _ in parts for unit in seen]
                store(address, keys[condition][done], np.concatenate([values for _, values in parts]))
    return failures


def _wanted(batch: list[int], anyone: dict[Condition, npt.NDArray[np.bool_]]) -> dict[Condition, list[int]]:
    """Return which units of a batch somebody lacks under each condition."""
    lacked = {condition: [unit for unit in batch if absent[unit]] for condition, absent in anyone.items()}
    return {condition: found for condition, found in lacked.items() if found}


def _affordable(first: list[Table], units: int, encoder: Encoder) -> None:
    """Refuse features that would not fit into memory, given a batch of every layer."""
    size = sum(values[0].nbytes for values in first) * units
    if size > MAX_BYTES:
        raise PacoError(
            f"{encoder.name}: features of {units} pictures from {len(first)} layers take {size / 2**30:.0f} GiB, "
            f"more than {MAX_BYTES / 2**30:.0f}. Evaluate fewer pictures with --limit."
        )


def _check_finite(
    values: Table, members: list[int], units: Units, address: Address, encoder: Encoder
) -> None:
    """Refuse features (n, ...) that are not finite, naming picture and layer."""
    bad = np.flatnonzero(~finite_rows(values))
    if len(bad):
        name = units.labels["unit_id"].iloc[members[int(bad[0])]]
        raise PacoError(
            f"{encoder.name}: features of block {address.block} ({address.reduction}) are not finite for picture {name}."
        )


def _spread(failures: dict[int, str], keys: Keys) -> dict[int, str]:
    """Return the failures of all units that show a picture which failed once."""
    by_key = {keys[unit].tobytes(): reason for unit, reason in failures.items() if keys[unit].any()}
    same = {unit: by_key[key.tobytes()] for unit, key in enumerate(keys) if key.tobytes() in by_key}
    return {**failures, **same}
