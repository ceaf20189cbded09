"""Features of perturbed canvases: each picture is decoded once, cut once, and changed in every way asked for.

What is kept is addressed like any feature, with the perturbation in the address; beside it lies what each
perturbation achieved on each picture (a hidden share, an angle), which belongs to no encoder.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
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
    decoding_threads,
    reduce,
    resize,
    together,
    unit_keys,
)
from paco_eval.forward import Forward, precision_of
from paco_fr.alignment import apply, crop_image
from paco_fr.encoder import Encoder
from paco_fr.errors import PacoError
from paco_fr.images import Pixels, read_image
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
    faces = faces_of(units)
    clean, unreadable = unit_keys(units)
    keys = _keys(clean, faces, units)
    summed = flip == "sum"
    wanted = {
        condition: (
            _feature_address(encoder, units, layer, condition, summed),
            _fact_address(units, condition),
        )
        for condition in conditions
    }
    # One process says what is missing: others may look when some of it has been stored already.
    (missing,) = broadcast_object_list(
        [{condition: _missing(addresses, keys, unreadable) for condition, addresses in wanted.items()}]
    )
    state = PartialState()
    need = np.flatnonzero(np.any(list(missing.values()), axis=0)) if missing else np.empty(0, dtype=np.intp)
    with state.split_between_processes(need.tolist()) as own:
        parts = together(
            lambda: _encode(
                encoder,
                units,
                layer,
                summed,
                faces,
                own,
                keys,
                wanted,
                missing,
                progress and state.is_main_process,
            ),
            state,
        )
    failed: dict[Condition, dict[int, str]] = {condition: dict(unreadable) for condition in conditions}
    for part in parts:
        for (condition, unit), reason in part.items():
            failed[condition][unit] = reason
    if len(need):
        keep_to_limit()
    return {
        condition: _outcome(addresses, keys, failed[condition], condition)
        for condition, addresses in wanted.items()
    }


def _feature_address(
    encoder: Encoder, units: Units, layer: Layer, condition: Condition, summed: bool
) -> Address:
    """Return where features lie; of a picture and its mirror image the sum is kept, not the two."""
    return Address(
        encoder.weight_hash, encoder.adapter_version, encoder.pixels.hash, units.canvas, *layer,
        perturbation=f"{condition.tag}.summed" if summed else condition.tag, dtype=precision_of(encoder),
    )  # fmt: skip


def _fact_address(units: Units, condition: Condition) -> Address:
    return Address("none", 0, "none", units.canvas, "perturbation", "achieved", perturbation=condition.tag)


def _keys(clean: Keys, faces: Sequence[Face | None], units: Units) -> Keys:
    """Return keys (n, 16) of content, crop, landmarks and the id that the draws depend on."""
    keys = np.zeros_like(clean)
    for unit, (face, name) in enumerate(zip(faces, units.labels["unit_id"], strict=True)):
        known = b"" if face is None else face.scheme.encode() + face.points.tobytes()
        digest = hashlib.sha256(clean[unit].tobytes() + str(name).encode() + known).digest()
        keys[unit] = np.frombuffer(digest[:16], dtype=np.uint8)
    return keys


def _missing(
    addresses: tuple[Address, Address], keys: Keys, unreadable: dict[int, str]
) -> npt.NDArray[np.bool_]:
    absent = ~(find(addresses[0], keys)[1] & find(addresses[1], keys)[1])
    absent[list(unreadable)] = False
    return absent


def _outcome(
    addresses: tuple[Address, Address], keys: Keys, failures: dict[int, str], condition: Condition
) -> Outcome:
    features, _ = find(addresses[0], keys)
    achieved, _ = find(addresses[1], keys)
    if features is None or achieved is None:
        first = next(iter(failures.values()), "there are none")
        raise PacoError(f"Not one of {len(keys)} pictures could be had under {condition.tag}. First: {first}")
    failed = list(failures)
    features[failed], achieved[failed] = np.nan, np.nan
    return Outcome(features, achieved[:, 0], failures)


Broken = dict[tuple[Condition, int], str]
Prepared = tuple[list[int], Tensor, npt.NDArray[np.float32], Broken]


def _encode(
    encoder: Encoder, units: Units, layer: Layer, summed: bool, faces: Sequence[Face | None], own: list[int], keys: Keys,
    wanted: dict[Condition, tuple[Address, Address]], missing: dict[Condition, npt.NDArray[np.bool_]], progress: bool,
) -> Broken:  # fmt: skip
    """Encode the units in ``own`` under the conditions that miss them, store, and return what failed."""
    failures: Broken = {}
    step = max(BATCH, HELD // max(1, len(wanted)) // BATCH * BATCH)
    total = int(sum(absent[own].sum() for absent in missing.values()))
    with tqdm(total=total, desc=encoder.name[-40:], unit="img", disable=not progress) as bar:
        for start in range(0, len(own), step):
            done: dict[Condition, list[int]] = {condition: [] for condition in wanted}
            parts: dict[Condition, list[npt.NDArray[np.float32]]] = {condition: [] for condition in wanted}
            facts: dict[Condition, list[npt.NDArray[np.float32]]] = {condition: [] for condition in wanted}
            for condition, prepared in prepared_under(
                encoder, units, faces, own[start : start + step], missing
            ):
                members, pictures, achieved, broken = prepared
                failures |= broken
                bar.update(len(members) + len(broken))
                if not members:
                    continue
                sides = (pictures, pictures.flip(-1)) if summed else (pictures,)
                values = np.sum([_reduced(encoder, side, layer) for side in sides], axis=0)
                check_finite(values, members, units, layer, encoder)
                parts[condition].append(values)
                facts[condition].append(achieved)
                done[condition] += members
            for condition, (features, fact) in wanted.items():
                if done[condition]:
                    store(features, keys[done[condition]], np.concatenate(parts[condition]))
                    store(fact, keys[done[condition]], np.concatenate(facts[condition])[:, None])
    return failures


def _reduced(encoder: Encoder, pictures: Tensor, layer: Layer) -> npt.NDArray[np.float32]:
    tokens = Forward(encoder, BATCH)(pictures, [layer[0]])[layer[0]]
    return reduce(tokens, layer[1]).float().cpu().numpy()


def prepared_under(
    encoder: Encoder, units: Units, faces: Sequence[Face | None], chunk: list[int],
    missing: dict[Condition, npt.NDArray[np.bool_]],
) -> Iterator[tuple[Condition, Prepared]]:  # fmt: skip
    """Yield batches of pictures under each condition, in order, made a few ahead of the encoder."""
    batches = [chunk[at : at + BATCH] for at in range(0, len(chunk), BATCH)]
    cells = units.records.select_columns(["image"])
    threads = decoding_threads()
    with ThreadPoolExecutor(threads) as pool:
        cuts = (
            pool.submit(_cut, batch, cells[units.rows[batch].tolist()]["image"], units) for batch in batches
        )
        ahead: deque[tuple[Condition, Future[Prepared]]] = deque()
        following = next(cuts, None)
        while following is not None:
            canvases, following = following.result(), next(cuts, None)
            for condition, absent in missing.items():
                here = {unit: canvas for unit, canvas in canvases.items() if absent[unit]}
                if not here:
                    continue
                ahead.append((condition, pool.submit(_change, here, condition, faces, units, encoder)))
                if len(ahead) > threads + 1:
                    ready, future = ahead.popleft()
                    yield ready, future.result()
        while ahead:
            ready, future = ahead.popleft()
            yield ready, future.result()


def _cut(batch: list[int], sources: list[dict], units: Units) -> dict[int, Pixels | str]:
    """Return the clean canvas of each unit, or why there is none."""
    canvases: dict[int, Pixels | str] = {}
    for unit, source in zip(batch, sources, strict=True):
        try:
            canvases[unit] = crop_image(read_image(source), units.transforms[unit], units.canvas)
        except PacoError as error:
            canvases[unit] = str(error)
    return canvases


def _change(
    canvases: dict[int, Pixels | str],
    condition: Condition,
    faces: Sequence[Face | None],
    units: Units,
    encoder: Encoder,
) -> Prepared:
    """Return units, their prepared pictures, what was achieved on each, and failures."""
    members, pictures, achieved, broken = [], [], [], {}
    for unit, canvas in canvases.items():
        try:
            if isinstance(canvas, str):
                raise PacoError(canvas)
            name = str(units.labels["unit_id"].iloc[unit])
            changed = perturb(
                condition.name, condition.level, canvas, key=name, face=faces[unit], seed=condition.seed
            )
        except PacoError as error:
            broken[condition, unit] = str(error)
            continue
        members.append(unit)
        pictures.append(resize(changed.image, encoder.pixels))
        achieved.append(changed.achieved)
    return members, batch_of(pictures, encoder.pixels), np.array(achieved, dtype=np.float32), broken
