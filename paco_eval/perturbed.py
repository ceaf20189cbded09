"""Features of perturbed canvases: each picture is decoded once, cut once, and changed in every way asked for.

What is kept is addressed like any feature, with the perturbation in the address; beside it lies what each
perturbation achieved on each picture (a hidden share, an angle), which belongs to no encoder.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor
from tqdm import tqdm

from paco_eval.cache import Address, Keys, find, keep_to_limit, store
from paco_eval.cache_use import keeping
from paco_eval.extraction import (
    BATCH,
    Layer,
    batch_of,
    check_finite,
    cut_batch,
    decoding_threads,
    reduce,
    resize,
    together,
    unit_keys,
)
from paco_eval.forward import Forward, precision_of
from paco_fr.alignment import apply
from paco_fr.contracts import PixelContract
from paco_fr.encoder import Encoder
from paco_fr.errors import PacoError
from paco_fr.images import Pixels
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


@dataclass(frozen=True)
class Outcome:
    """Features (n, D) under one condition, NaN where there are none, what was achieved (n,), and failures."""

    features: npt.NDArray[np.float32]
    achieved: npt.NDArray[np.float32]
    failures: dict[int, str]


def faces_of(units: Units) -> list[Face | None]:
    """Return the landmarks of every unit on its canvas, None where the records have none."""
    labels = units.labels
    if "landmarks" not in labels or "scheme" not in labels:
        return [None] * len(units)
    faces: list[Face | None] = []
    for points, scheme, transform in zip(
        labels["landmarks"], labels["scheme"], units.transforms, strict=True
    ):
        if points is None or scheme is None or not np.isfinite(transform).all():
            faces.append(None)
            continue
        photo = np.stack(list(points)).astype(np.float64)
        faces.append(Face(units.canvas, apply(transform, photo), str(scheme)))
    return faces


@dataclass(frozen=True, eq=False)
class Reader:
    """Who looks at the pictures: an encoder, the layer that is wanted of it, and whether mirrored ones are added."""

    encoder: Encoder
    layer: Layer
    summed: bool = False

    def address(self, units: Units, condition: Condition) -> Address:
        """Return where features lie; of a picture and its mirror image the sum is kept, not the two."""
        tag = f"{condition.tag}.summed" if self.summed else condition.tag
        return Address(
            self.encoder.weight_hash, self.encoder.adapter_version, self.encoder.pixels.hash, units.canvas, *self.layer,
            perturbation=tag, dtype=precision_of(self.encoder),
        )  # fmt: skip

    def features(self, pictures: Tensor) -> npt.NDArray[np.float32]:
        """Return features (B, D) of prepared pictures."""
        sides = (pictures, pictures.flip(-1)) if self.summed else (pictures,)
        block, reduction = self.layer
        told = [Forward(self.encoder, BATCH)(side, [block])[block] for side in sides]
        return np.asarray(sum(reduce(tokens, reduction).float().cpu().numpy() for tokens in told))


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
    keys, _ = _keys(units)
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
    keys, unreadable = _keys(units)
    missing = {
        condition: [_missing(reader, units, condition, keys, unreadable) for reader in readers]
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
    failed: dict[Condition, dict[int, str]] = {condition: dict(unreadable) for condition in conditions}
    for part in parts:
        for (condition, unit), reason in part.items():
            failed[condition][unit] = reason
    if len(need):
        keep_to_limit()
    return failed


def _fact_address(units: Units, condition: Condition) -> Address:
    return Address("none", 0, "none", units.canvas, "perturbation", "achieved", perturbation=condition.tag)


def _keys(units: Units) -> tuple[Keys, dict[int, str]]:
    """Return keys (n, 16) of content, crop, landmarks and the id that the draws depend on; and who is unreadable."""
    clean, unreadable = unit_keys(units)
    keys = np.zeros_like(clean)
    for unit, (face, name) in enumerate(zip(faces_of(units), units.labels["unit_id"], strict=True)):
        known = b"" if face is None else face.scheme.encode() + face.points.tobytes()
        digest = hashlib.sha256(clean[unit].tobytes() + str(name).encode() + known).digest()
        keys[unit] = np.frombuffer(digest[:16], dtype=np.uint8)
    return keys, unreadable


def _missing(
    reader: Reader, units: Units, condition: Condition, keys: Keys, unreadable: dict[int, str]
) -> npt.NDArray[np.bool_]:
    addresses = reader.address(units, condition), _fact_address(units, condition)
    absent = ~(find(addresses[0], keys)[1] & find(addresses[1], keys)[1])
    absent[list(unreadable)] = False
    return absent


def _outcome(
    reader: Reader, units: Units, keys: Keys, failures: dict[int, str], condition: Condition
) -> Outcome:
    features, _ = find(reader.address(units, condition), keys)
    achieved, _ = find(_fact_address(units, condition), keys)
    if features is None or achieved is None:
        first = next(iter(failures.values()), "there are none")
        raise PacoError(f"Not one of {len(keys)} pictures could be had under {condition.tag}. First: {first}")
    failed = list(failures)
    features[failed], achieved[failed] = np.nan, np.nan
    return Outcome(features, achieved[:, 0], failures)


Broken = dict[tuple[Condition, int], str]
Prepared = tuple[list[int], Mapping[PixelContract, Tensor], npt.NDArray[np.float32], Broken]
Missing = dict[Condition, list[npt.NDArray[np.bool_]]]
"""For each condition and reader which units it has not seen."""


def _encode(
    readers: Sequence[Reader], units: Units, own: list[int], keys: Keys, missing: Missing, progress: bool
) -> Broken:
    """Show the units in ``own`` to the readers that miss them, store, and return what failed."""
    failures: Broken = {}
    step = max(BATCH, HELD // max(1, len(missing) * len(readers)) // BATCH * BATCH)
    contracts = list(dict.fromkeys(reader.encoder.pixels for reader in readers))
    anyone = {condition: np.any(masks, axis=0) for condition, masks in missing.items()}
    total = int(sum(absent[own].sum() for absent in anyone.values()))
    title = readers[0].encoder.name[-40:] if len(readers) == 1 else f"{len(readers)} encoders"
    with tqdm(total=total, desc=title, unit="img", disable=not progress) as bar:
        for start in range(0, len(own), step):
            found: dict[Address, list[tuple[list[int], npt.NDArray[np.float32]]]] = {}
            for condition, prepared in prepared_under(contracts, units, own[start : start + step], anyone):
                members, pictures, achieved, broken = prepared
                failures |= broken
                bar.update(len(members) + len(broken))
                if not members:
                    continue
                found.setdefault(_fact_address(units, condition), []).append((members, achieved[:, None]))
                for reader, absent in zip(readers, missing[condition], strict=True):
                    new = np.flatnonzero(absent[members])
                    if not len(new):
                        continue
                    seen = [members[at] for at in new]
                    values = reader.features(pictures[reader.encoder.pixels][new])
                    check_finite(values, seen, units, reader.layer, reader.encoder)
                    found.setdefault(reader.address(units, condition), []).append((seen, values))
            for address, parts in found.items():
                done = [unit for seen, _ in parts for unit in seen]
                store(address, keys[done], np.concatenate([values for _, values in parts]))
    return failures


def prepared_under(
    contracts: Sequence[PixelContract], units: Units, chunk: list[int], missing: dict[Condition, npt.NDArray[np.bool_]]
) -> Iterator[tuple[Condition, Prepared]]:  # fmt: skip
    """Yield batches of pictures under each condition, in order, made a few ahead of the encoders."""
    batches = [chunk[at : at + BATCH] for at in range(0, len(chunk), BATCH)]
    cells, faces = units.records.select_columns(["image"]), faces_of(units)
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
    faces: Sequence[Face | None],
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
