"""Features of perturbed canvases: each picture is decoded once, cut once, and changed in every way asked for.

What is kept is addressed like any feature, with the perturbation in the address; beside it lies what each
perturbation achieved on each picture (a hidden share, an angle), which belongs to no encoder. The clean picture
can be looked at on the way (:data:`CLEAN_PICTURE`); its features lie where extraction keeps and finds them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor
from tqdm import tqdm

from paco_eval.features.batches import BATCH, batch_of, batches_of, cut_batch, decoding_threads, resize
from paco_eval.features.cache import Address, Keys, find, keep_to_limit, store
from paco_eval.features.cache_locks import keeping
from paco_eval.features.extract import Layer, address_of, check_finite, reduce, unit_keys
from paco_eval.features.forward import Forward
from paco_eval.features.processes import together
from paco_fr.contracts import Encoder, PixelContract
from paco_fr.faces.crop import apply
from paco_fr.faces.decode import Pixels
from paco_fr.utils.errors import PacoError
from tasks.perturbations.apply import Face, perturb
from tasks.perturbations.catalogue import perturbation
from tasks.units import Units

HELD = 8192
"""Feature rows held before they are stored, over all conditions."""


@dataclass(frozen=True)
class Condition:
    """One perturbation at one level."""

    name: str
    level: int
    seed: int = 0

    @property
    def tag(self) -> str:
        """What the cache address says."""
        return f"{self.name}.v{perturbation(self.name).version}.level{self.level}.seed{self.seed}"


CLEAN_PICTURE = Condition("gamma", 0)
"""Level 0 of any kind is the clean picture; this one needs no landmarks."""


@dataclass(frozen=True)
class Outcome:
    """Features (n, D) under one condition, NaN where there are none, what was achieved (n,), and failures."""

    features: npt.NDArray[np.float32]
    achieved: npt.NDArray[np.float32]
    failures: dict[int, str]


def faces_of(units: Units) -> list[Face | None]:
    """Return the landmarks of every unit on its canvas, None where the records have none."""
    return list(_faces(units))


def _faces(units: Units) -> Iterator[Face | None]:
    labels = units.labels
    if "landmarks" not in labels or "scheme" not in labels:
        yield from [None] * len(units)
        return
    for points, scheme, transform in zip(
        labels["landmarks"], labels["scheme"], units.transforms, strict=True
    ):
        if points is None or scheme is None or not np.isfinite(transform).all():
            yield None
            continue
        photo = np.stack(list(points)).astype(np.float64)
        yield Face(units.canvas, apply(transform, photo), str(scheme))


@dataclass(frozen=True, eq=False)
class Reader:
    """Who looks at the pictures: an encoder, the layer that is wanted of it, and whether mirrored ones are added."""

    encoder: Encoder
    layer: Layer
    summed: bool = False

    def addresses(self, units: Units, condition: Condition) -> list[Address]:
        """Return where features lie: clean ones of a picture and of its mirror image, else the sum of the two."""
        if condition.level == 0:
            sides = (False, True) if self.summed else (False,)
            return [address_of(self.encoder, units.canvas, self.layer, side) for side in sides]
        tag = f"{condition.tag}.summed" if self.summed else condition.tag
        return [replace(address_of(self.encoder, units.canvas, self.layer), perturbation=tag)]

    def features(self, pictures: Tensor, condition: Condition) -> list[npt.NDArray[np.float32]]:
        """Return features (B, D) of prepared pictures for each address."""
        sides = (pictures, pictures.flip(-1)) if self.summed else (pictures,)
        block, reduction = self.layer
        told = [Forward(self.encoder, BATCH)(side, [block])[block] for side in sides]
        tables = [reduce(tokens, reduction).float().cpu().numpy() for tokens in told]
        return tables if condition.level == 0 else [np.asarray(sum(tables))]


@dataclass(frozen=True)
class _Keys:
    """Under which keys (n, 16) features of units lie, and which units have no readable content."""

    clean: Keys
    changed: Keys
    unreadable: dict[int, str]

    def under(self, condition: Condition) -> Keys:
        return self.changed if condition.level else self.clean


@keeping()
def extract_perturbed(
    encoder: Encoder,
    units: Units,
    layer: Layer,
    conditions: Sequence[Condition],
    *,
    flip: str = "none",
    progress: bool = False,
) -> dict[Condition, Outcome]:
    """Return features of all units in one layer under each condition, from the cache where they are known.

    A picture that cannot be read, or whose face lies outside the canvas, fails under that condition.
    """
    reader = Reader(encoder, layer, flip == "sum")
    failed = fill_cache([reader], units, conditions, progress=progress)
    keys = _keys(units)
    return {
        condition: _outcome(reader, units, keys, failed[condition], condition) for condition in conditions
    }


@keeping()
def fill_cache(
    readers: Sequence[Reader], units: Units, conditions: Sequence[Condition], *, progress: bool = False
) -> dict[Condition, dict[int, str]]:
    """Have every reader look at the pictures that it has not seen under a condition; return what failed under each.

    A picture is decoded once and changed once for all readers.
    """
    keys = _keys(units)
    missing = {
        condition: [_missing(reader, units, condition, keys) for reader in readers]
        for condition in conditions
    }
    # One process says what is missing: others may look when some of it has been stored already.
    (missing,) = broadcast_object_list([missing])
    state = PartialState()
    absent = [np.any(masks, axis=0) for masks in missing.values() if masks]
    need = np.flatnonzero(np.any(absent, axis=0)) if absent else np.empty(0, dtype=np.intp)
    with state.split_between_processes(need.tolist()) as own:
        parts = together(
            lambda: _encode(readers, units, own, keys, missing, progress and state.is_main_process), state
        )
    failed: dict[Condition, dict[int, str]] = {condition: dict(keys.unreadable) for condition in conditions}
    for part in parts:
        for (condition, unit), reason in part.items():
            failed[condition][unit] = reason
    if len(need):
        keep_to_limit()
    return failed


def _fact_addresses(units: Units, condition: Condition) -> list[Address]:
    """Return where lies what was achieved, which of a clean picture is nothing."""
    if condition.level == 0:
        return []
    return [Address("none", 0, "none", units.canvas, "perturbation", "achieved", perturbation=condition.tag)]


def _keys(units: Units) -> _Keys:
    """Return keys of content and crop and, of changed pictures, of landmarks and the id that draws depend on."""
    clean, unreadable = unit_keys(units)
    changed = np.zeros_like(clean)
    for unit, (face, name) in enumerate(zip(_faces(units), units.labels["unit_id"], strict=True)):
        known = b"" if face is None else face.scheme.encode() + face.points.tobytes()
        digest = hashlib.sha256(clean[unit].tobytes() + str(name).encode() + known).digest()
        changed[unit] = np.frombuffer(digest[:16], dtype=np.uint8)
    return _Keys(clean, changed, unreadable)


def _missing(reader: Reader, units: Units, condition: Condition, keys: _Keys) -> npt.NDArray[np.bool_]:
    absent = np.zeros(len(units), dtype=bool)
    for address in (*reader.addresses(units, condition), *_fact_addresses(units, condition)):
        absent |= ~find(address, keys.under(condition))[1]
    absent[list(keys.unreadable)] = False
    return absent


def _outcome(
    reader: Reader, units: Units, keys: _Keys, failures: dict[int, str], condition: Condition
) -> Outcome:
    own = keys.under(condition)
    tables = [find(address, own)[0] for address in reader.addresses(units, condition)]
    facts = [find(address, own)[0] for address in _fact_addresses(units, condition)]
    known = [table for table in (*tables, *facts) if table is not None]
    if len(known) < len(tables) + len(facts):
        first = next(iter(failures.values()), "there are none")
        raise PacoError(f"Not one of {len(own)} pictures could be had under {condition.tag}. First: {first}")
    features = np.asarray(sum(known[: len(tables)]))
    achieved = known[-1][:, 0] if facts else np.full(len(own), np.nan, dtype=np.float32)
    failed = list(failures)
    features[failed], achieved[failed] = np.nan, np.nan
    return Outcome(features, achieved, failures)


Broken = dict[tuple[Condition, int], str]
Prepared = tuple[list[int], Mapping[PixelContract, Tensor], npt.NDArray[np.float32], Broken]
Missing = dict[Condition, list[npt.NDArray[np.bool_]]]
"""For each condition and reader which units it has not seen."""


def _encode(
    readers: Sequence[Reader], units: Units, own: list[int], keys: _Keys, missing: Missing, progress: bool
) -> Broken:
    """Show the units in ``own`` to the readers that miss them, store, and return what failed."""
    failures: Broken = {}
    step = max(BATCH, HELD // max(1, len(missing) * len(readers)) // BATCH * BATCH)
    contracts = list(dict.fromkeys(reader.encoder.pixels for reader in readers))
    anyone = {condition: np.any(masks, axis=0) for condition, masks in missing.items()}
    total = int(sum(absent[own].sum() for absent in anyone.values()))
    title = readers[0].encoder.name[-40:] if len(readers) == 1 else f"{len(readers)} encoders"
    with tqdm(total=total, desc=title, unit="img", disable=not progress or not total) as bar:
        for start in range(0, len(own), step):
            found: dict[tuple[Condition, Address], list[tuple[list[int], npt.NDArray[np.float32]]]] = {}
            for condition, prepared in prepared_under(contracts, units, own[start : start + step], anyone):
                members, pictures, achieved, broken = prepared
                failures |= broken
                bar.update(len(members) + len(broken))
                if not members:
                    continue
                for address in _fact_addresses(units, condition):
                    found.setdefault((condition, address), []).append((members, achieved[:, None]))
                for reader, absent in zip(readers, missing[condition], strict=True):
                    new = np.flatnonzero(absent[members])
                    if not len(new):
                        continue
                    seen = [members[at] for at in new]
                    tables = reader.features(pictures[reader.encoder.pixels][new], condition)
                    for address, values in zip(reader.addresses(units, condition), tables, strict=True):
                        check_finite(values, seen, units, reader.layer, reader.encoder)
                        found.setdefault((condition, address), []).append((seen, values))
            for (condition, address), parts in found.items():
                done = [unit for seen, _ in parts for unit in seen]
                store(address, keys.under(condition)[done], np.concatenate([values for _, values in parts]))
    return failures


def prepared_under(
    contracts: Sequence[PixelContract], units: Units, chunk: list[int], missing: dict[Condition, npt.NDArray[np.bool_]]
) -> Iterator[tuple[Condition, Prepared]]:  # fmt: skip
    """Yield batches of pictures under each condition, in order, made a few ahead of the encoders."""
    batches = batches_of(chunk)
    cells = units.records.select_columns(["image"])
    faces = dict(zip(chunk, _faces(units.only(np.array(chunk, dtype=np.intp))), strict=True))
    threads = decoding_threads()
    with ThreadPoolExecutor(threads) as pool:
        cuts = (
            pool.submit(cut_batch, batch, cells[units.rows[batch].tolist()]["image"], units)
            for batch in batches
        )
        ahead: deque[tuple[Condition, Future[Prepared]]] = deque()
        following = next(cuts, None)
        while following is not None:
            canvases, following = following.result(), next(cuts, None)
            for condition, absent in missing.items():
                here = {unit: canvas for unit, canvas in canvases.items() if absent[unit]}
                if not here:
                    continue
                ahead.append((condition, pool.submit(_change, here, condition, faces, units, contracts)))
                if len(ahead) > threads + 1:
                    ready, future = ahead.popleft()
                    yield ready, future.result()
        while ahead:
            ready, future = ahead.popleft()
            yield ready, future.result()


def _change(
    canvases: dict[int, Pixels | str],
    condition: Condition,
    faces: Mapping[int, Face | None],
    units: Units,
    contracts: Sequence[PixelContract],
) -> Prepared:
    """Return units, their pictures prepared for each contract, what was achieved on each, and failures."""
    members, changed, achieved, broken = [], [], [], {}
    for unit, canvas in canvases.items():
        try:
            if isinstance(canvas, str):
                raise PacoError(canvas)
            name = str(units.labels["unit_id"].iloc[unit])
            found = perturb(
                condition.name, condition.level, canvas, key=name, face=faces[unit], seed=condition.seed
            )
        except PacoError as error:
            broken[condition, unit] = str(error)
            continue
        members.append(unit)
        changed.append(found.image)
        achieved.append(found.achieved)
    pictures = {
        contract: batch_of([resize(image, contract) for image in changed], contract)
        for contract in contracts
        if changed
    }
    return members, pictures, np.array(achieved, dtype=np.float32), broken
