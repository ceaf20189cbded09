"""One forward pass, every feature: encode, reduce, and keep by picture.

Pictures come prepared (:mod:`paco_eval.features.batches`) while the model computes. Under several processes each extracts
its own part of what the cache lacks; afterwards all read the same files, so features and scores do not depend on
their number.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor
from tqdm import tqdm

from paco_eval.features.batches import BATCH, batches_of, prepared_batches
from paco_eval.features.cache import Address, Keys, find, keep_to_limit, store
from paco_eval.features.cache_locks import keeping
from paco_eval.features.forward import Forward, precision_of
from paco_eval.features.processes import together
from paco_fr.contracts import Encoder, Tokens
from paco_fr.faces.decode import ImageError, read_bytes
from paco_fr.utils.errors import PacoError, unknown_name
from tasks.kinds.shared.labels import finite_rows
from tasks.units import Units

CHUNK = 2048
"""Units whose features are stored at once: what a killed run loses at most."""
MAX_BYTES = 8 * 2**30
"""Features of one task and encoder that are stored at most; only tokens come near it."""

Layer = tuple[str, str]
"""(block, reduction)."""
Addresses = dict[tuple[Layer, bool], Address]
"""Of every layer, of the crops and of the mirrored ones."""
REDUCTIONS = ("mean", "grid4", "global", "flat", "tokens")
"""Ways to summarise the tokens of a picture."""


@dataclass(frozen=True)
class Features:
    """Features of n units.

    Attributes:
        layers: (block, reduction) -> (n, D) float32, (n, N, D) of tokens; rows of failed units are NaN.
        failures: unit number -> why it could not be read.
        forward_passes: pictures that went through the encoder now, not found in the cache.
        seconds: time spent on them.

    """

    layers: dict[Layer, npt.NDArray[np.float32]]
    failures: dict[int, str]
    forward_passes: int
    seconds: float

    @property
    def images_per_s(self) -> float | None:
        """Pictures encoded a second, decoding included; None where fewer than a batch had to be encoded."""
        return self.forward_passes / self.seconds if self.forward_passes >= BATCH else None

    def spread(self, places: npt.NDArray[np.intp], count: int) -> Features:
        """Return features of ``count`` units, of which these are the ones at ``places``; the others are NaN."""
        layers = {}
        for layer, own in self.layers.items():
            layers[layer] = np.full((count, *own.shape[1:]), np.nan, dtype=np.float32)
            layers[layer][places] = own
        failures = {int(places[unit]): reason for unit, reason in self.failures.items()}
        return Features(layers, failures, self.forward_passes, self.seconds)


def reduce(tokens: Tokens, reduction: str) -> Tensor:
    """Return (B, D') features: ``mean``, ``grid4`` (4 x 4 pooled, 16 D), ``global``, ``flat``; ``tokens`` (B, N, D)."""
    patches = tokens.patches
    if reduction == "tokens":
        return patches
    if reduction == "mean":
        return patches.mean(1)
    if reduction == "flat":
        return patches.flatten(1)
    if reduction == "global":
        if tokens.pooled is None:
            raise PacoError("This encoder has no global token; use mean or grid4.")
        return tokens.pooled
    if reduction == "grid4":
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise PacoError(f"grid4 needs a square grid of tokens, got {patches.shape[1]}.")
        grid = patches.transpose(1, 2).unflatten(2, (side, side))  # type: ignore[no-untyped-call]
        return F.adaptive_avg_pool2d(grid, min(4, side)).flatten(1)
    raise unknown_name("reduction", reduction, REDUCTIONS)


def layers_of(encoder: Encoder, reductions: Sequence[str]) -> list[Layer]:
    """Return what validation may choose from: the encoder's blocks by the reductions both sides know.

    A task that takes ``tokens`` takes nothing else. The baselines without weights stay its floor, whatever they give.

    Raises:
        PacoError: nothing in common, or an encoder without patch tokens is asked for them.

    """
    if "tokens" in reductions:
        if encoder.parameters and tuple(encoder.reductions) == ("flat",):
            raise PacoError(
                f"{encoder.name} gives one vector for a picture and has no patch tokens, which heads on single tokens "
                "need. Leave it out, or choose a task or protocol that takes mean or global features."
            )
        return [(block, "tokens") for block in encoder.blocks]
    own = [name for name in encoder.reductions if name in reductions or name == "flat"]
    if not own:
        raise PacoError(
            f"{encoder.name} offers {', '.join(encoder.reductions)}, the task takes {', '.join(reductions)}."
        )
    return [(block, reduction) for block in encoder.blocks for reduction in own]


@keeping()
def extract(
    encoder: Encoder,
    units: Units,
    reductions: Sequence[str],
    *,
    flip: str = "none",
    progress: bool = False,
    only: Layer | None = None,
) -> Features:
    """Return the features of all units, from the cache where they are known.

    Args:
        encoder: what turns pictures into tokens.
        units: the crops.
        reductions: summaries of tokens that the task takes.
        flip: ``sum`` adds the features of each mirrored crop to those of the crop; both are cached.
        progress: whether to show a bar.
        only: the one layer that is wanted, where that is known; by default all.

    Raises:
        PacoError: a feature is not finite (the picture and the layer are named).

    """
    started = time.monotonic()
    layers = [only] if only is not None else layers_of(encoder, reductions)
    sides = _sides(flip)
    addresses = _addresses(encoder, units, layers, sides)
    keys, failures = unit_keys(units)
    missing = _missing(keys, failures, addresses)
    state = PartialState()
    # One process says what is missing: others may look when some of it has been stored already.
    (wanted,) = broadcast_object_list([missing.tolist()])
    with state.split_between_processes(wanted) as own:
        parts = together(
            lambda: _encode(encoder, units, own, keys, addresses, progress and state.is_main_process), state
        )
    failures |= {unit: reason for part in parts for unit, reason in part.items()}
    failures = _spread(failures, keys)
    found = {}
    for layer in layers:
        tables = [find(addresses[layer, side], keys)[0] for side in sides]
        features, mirrored = tables[0], tables[-1]
        if features is None or mirrored is None:
            raise PacoError(
                f"Not one of {len(units)} pictures could be read. First: {next(iter(failures.values()))}"
            )
        if flip == "sum":
            features += mirrored
        features[list(failures)] = np.nan
        found[layer] = features
    if wanted:
        keep_to_limit()
    return Features(found, failures, len(wanted), time.monotonic() - started)


def missing_keys(
    encoder: Encoder, units: Units, reductions: Sequence[str], *, flip: str = "none"
) -> set[tuple[object, ...]]:
    """Return what identifies each picture that :func:`extract` would send through the encoder."""
    layers = layers_of(encoder, reductions)
    keys, failures = unit_keys(units)
    missing = _missing(keys, failures, _addresses(encoder, units, layers, _sides(flip)))
    return {(units.canvas, tuple(layers), flip, keys[unit].tobytes()) for unit in missing.tolist()}


def _sides(flip: str) -> tuple[bool, ...]:
    """Return whether each picture is encoded as it is, or also mirrored."""
    return (False, True) if flip == "sum" else (False,)


def _addresses(encoder: Encoder, units: Units, layers: list[Layer], sides: tuple[bool, ...]) -> Addresses:
    return {
        (layer, side): address_of(encoder, units.canvas, layer, side) for layer in layers for side in sides
    }


def _missing(keys: Keys, failures: dict[int, str], addresses: Addresses) -> npt.NDArray[np.intp]:
    """Return the readable units, one of each picture, that an address lacks."""
    readable = np.array([unit for unit in range(len(keys)) if unit not in failures], dtype=np.intp)
    known = np.ones(len(readable), dtype=bool)
    for address in addresses.values():
        known &= find(address, keys[readable])[1]
    return _first_of_each(keys, readable[~known])


def address_of(encoder: Encoder, canvas: int, layer: Layer, flip: bool = False) -> Address:
    """Return where features of clean pictures, or of their mirror images, are kept."""
    return Address(
        encoder.weight_hash, encoder.adapter_version, encoder.pixels.hash, canvas, *layer, flip=flip,
        dtype=precision_of(encoder),
    )  # fmt: skip


def unit_keys(units: Units) -> tuple[Keys, dict[int, str]]:
    """Return the key (n, 16) of each unit, content and transform, and the units without readable content."""
    keys = np.zeros((len(units), 16), dtype=np.uint8)
    failures: dict[int, str] = {}
    cells = units.records.select_columns(["image"])
    content: dict[int, bytes] = {}
    for unit, row in enumerate(units.rows.tolist()):
        if row not in content:
            try:
                content[row] = hashlib.sha256(read_bytes(cells[row]["image"])).digest()
            except ImageError as error:
                failures[unit] = str(error)
                continue
        digest = hashlib.sha256(content[row] + units.transforms[unit].tobytes()).digest()
        keys[unit] = np.frombuffer(digest[:16], dtype=np.uint8)
    return keys, failures


def _first_of_each(keys: Keys, candidates: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the candidates without repetitions of a key: a picture is encoded once."""
    if not len(candidates):
        return candidates
    _, first = np.unique(keys[candidates], axis=0, return_index=True)
    return candidates[np.sort(first)]


def _encode(
    encoder: Encoder, units: Units, own: list[int], keys: Keys, addresses: Addresses, progress: bool
) -> dict[int, str]:
    """Encode the units in ``own``, store their features, and return those that failed."""
    failures: dict[int, str] = {}
    blocks = list(dict.fromkeys(block for (block, _), _ in addresses))
    sides = list(dict.fromkeys(side for _, side in addresses))
    forward = Forward(encoder, BATCH)
    with tqdm(total=len(own), desc=encoder.name[-40:], unit="img", disable=not progress or not own) as bar:
        for start in range(0, len(own), CHUNK):
            chunk = own[start : start + CHUNK]
            done: list[int] = []
            parts: dict[tuple[Layer, bool], list[npt.NDArray[np.float32]]] = {key: [] for key in addresses}
            for members, pictures, broken in prepared_batches(units, batches_of(chunk), encoder.pixels):
                failures |= broken
                bar.update(len(members) + len(broken))
                if not members:
                    continue
                both = {side: forward(pictures.flip(-1) if side else pictures, blocks) for side in sides}
                for layer, side in addresses:
                    values = reduce(both[side][layer[0]], layer[1]).float().cpu().numpy()
                    check_finite(values, members, units, layer, encoder)
                    parts[layer, side].append(values)
                if not done:
                    _affordable([found[0] for found in parts.values()], len(units), encoder)
                done += members
            for key, address in addresses.items():
                if done:
                    store(address, keys[done], np.concatenate(parts[key]))
    return failures


def _affordable(first: list[npt.NDArray[np.float32]], units: int, encoder: Encoder) -> None:
    """Refuse features that would not fit into memory, given the first batch of every layer."""
    size = sum(values[0].nbytes for values in first) * units
    if size > MAX_BYTES:
        raise PacoError(
            f"{encoder.name}: features of {units} pictures from {len(first)} layers take {size / 2**30:.0f} GiB, "
            f"more than {MAX_BYTES / 2**30:.0f}. Evaluate fewer pictures with --limit."
        )


def check_finite(
    values: npt.NDArray[np.float32], members: list[int], units: Units, layer: Layer, encoder: Encoder
) -> None:
    """Refuse features (n, ...) that are not finite, naming picture and layer."""
    bad = np.flatnonzero(~finite_rows(values))
    if len(bad):
        name = units.labels["unit_id"].iloc[members[int(bad[0])]]
        raise PacoError(
            f"{encoder.name}: features of block {layer[0]} ({layer[1]}) are not finite for picture {name}."
        )


def _spread(failures: dict[int, str], keys: Keys) -> dict[int, str]:
    """Return the failures of all units that show a picture which failed once."""
    by_key = {keys[unit].tobytes(): reason for unit, reason in failures.items() if keys[unit].any()}
    same = {unit: by_key[key.tobytes()] for unit, key in enumerate(keys) if key.tobytes() in by_key}
    return {**failures, **same}
