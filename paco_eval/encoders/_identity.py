"""An encoder is what it computes: its identity is its tensors, its structure and its outputs on a fixed probe.

Tensors do not tell networks apart: an activation, a pooling, a stride, an epsilon or the code of ``forward`` changes
every feature and no tensor. So each encoder, whoever wrote it, is shown the pictures of :mod:`paco_eval.encoders._probe`
in float32, and its ``weight_hash`` joins three things:

- what it **states**: the hash of its tensors, of its file with what lies beside that, or what somebody wrote;
- its **structure**: type and settings of torch's own modules, where it is made of such;
- the **probe**: shapes of its outputs, and some numbers of them in coarse classes (:data:`CLASS`).

**Float noise** must not rename a network. Numbers of one network on two machines, devices or numbers of threads differ
by far less than a class is wide, so they fall into the same one but for one network in about a hundred. What was seen is
therefore kept, under ``PACO_CACHE`` and in every row (``network``, ``probe``): of the same tensors and structure, numbers
within :data:`NOISE` of those are the same network and get its hash on whatever side of a class they fall; others are
another network, which gets a hash of its own even where all its classes are those of the first. So features, choices and
rows are shared by networks that compute the same, and by no others.

The probe is shown again only where something could have changed: for encoders that are files or built here, what it
told is remembered by tensors, structure, settings and the versions of what computes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from accelerate import PartialState
from torch import nn

from paco_eval.encoders._probe import NOISE, Identity, classes, probed
from paco_fr.contracts import Encoder, content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file, cache_folder
from paco_fr.utils.untrusted import read_json

VERSION = 2
"""Raised when the probe or its numbers change."""
CLASS = 0.1
"""Width of the classes that enter a hash."""


@dataclass(frozen=True)
class Network:
    """A network that was seen before.

    Attributes:
        weight_hash: that it got.
        stated: hash that it stated.
        structure: hash of its structure.
        pixels: hash of its pixel contract.
        probe: numbers of each output, by a name with its shape.

    """

    weight_hash: str
    stated: str
    structure: str
    pixels: str
    probe: Mapping[str, Sequence[float]]


class Identified:
    """Someone's encoder under the hash of what it computes; all else is its own."""

    def __init__(self, inner: Any, identity: Identity) -> None:
        self.inner, self.identity, self.weight_hash = inner, identity, identity.weight_hash

    def __getattr__(self, name: str) -> Any:
        """Return what the encoder has."""
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


def identified(encoder: Any, *, structure: str = "", own: bool = True) -> Encoder:
    """Return an encoder under the hash of what it computes, with what the probe told as its ``identity``.

    One that was identified before is looked at again: it may have been changed since.

    Args:
        encoder: loaded.
        structure: hash of the structure of a module that the encoder does not show.
        own: whether it was built by code of this package, so that its structure is all of it.

    """
    if isinstance(encoder, Identified):
        encoder = encoder.inner
    known: Identity | None = getattr(encoder, "__dict__", {}).get("identity")
    if known is not None:
        restate = getattr(encoder, "stated_hash", None)
        encoder.weight_hash = known.stated if restate is None else restate
        structure = structure or known.structure
    model = getattr(encoder, "model", None)
    if isinstance(model, nn.Module):
        structure = structure_of(model)
    told = replace(_remembered_probe(encoder) if own else probed(encoder), structure=structure)
    found = _named(told, _kept(encoder, told), encoder)
    if not type(encoder).__module__.startswith("paco_eval.encoders."):
        return Identified(encoder, found)
    encoder.identity, encoder.weight_hash = found, found.weight_hash
    return encoder  # type: ignore[no-any-return]


def looked_at(encoder: Encoder) -> Encoder:
    """Return an encoder as :func:`identified` does; one that was looked at as it is."""
    return encoder if hasattr(encoder, "identity") else identified(encoder)


def recognise(encoder: Any, seen: Iterable[Network]) -> None:
    """Give an identified encoder the hash under which rows know it; another than rows have of another network."""
    own: Identity | None = getattr(encoder, "identity", None)
    if own is None or not own.numbers:
        return
    alike = [
        one
        for one in seen
        if (one.stated, one.structure, one.pixels) == (own.stated, own.structure, encoder.pixels.hash)
    ]
    if alike:
        found = _named(own, alike, encoder)
        encoder.identity, encoder.weight_hash = found, found.weight_hash


def probe_of(encoder: Encoder) -> dict[str, list[float]]:
    """Return the numbers of each output on the probe, by a name with its shape, as rows hold them."""
    identity: Identity | None = getattr(encoder, "identity", None)
    return {} if identity is None else _by_output(identity)


def network_of(encoder: Encoder) -> dict[str, str]:
    """Return what a row says of an encoder's identity beside the probe."""
    identity: Identity | None = getattr(encoder, "identity", None)
    return {} if identity is None else {"stated": identity.stated, "structure": identity.structure}


def notes_of(encoder: Encoder, block: str) -> dict[str, str]:
    """Return what a row says of an encoder's features beside its choice of a block."""
    identity: Identity | None = getattr(encoder, "identity", None)
    if identity is None:
        return {}
    notes = {"random": "features depend on chance or on the batch"} if identity.chance else {}
    return notes | (
        {"constant": "features do not depend on the picture"} if block in identity.constant else {}
    )


def structure_of(model: nn.Module) -> str:
    """Return the hash of the settings of torch's own modules that compute something, as they print themselves.

    What other packages call their parts, and what does nothing in evaluation, differs between their versions.
    """
    parts = [
        [name, type(part).__qualname__, part.extra_repr()]
        for name, part in model.named_modules()
        if type(part).__module__.startswith("torch.nn.")
        and not isinstance(part, (nn.Identity, nn.Dropout, nn.Sequential, nn.ModuleList, nn.ModuleDict))
    ]
    return content_hash(parts)


def _named(told: Identity, alike: Sequence[Network], encoder: Any) -> Identity:
    """Return what the probe told under the hash of the network, see the head of this module.

    Args:
        told: by the probe.
        alike: networks of the same tensors and structure that were seen before.
        encoder: for its pixel contract and version.

    """
    kind = "unfit" if told.problems else "random" if told.chance else ""
    known = [VERSION, told.stated, told.structure, encoder.adapter_version, kind, told.shapes]
    coarse, fine = (content_hash([*known, classes(told.numbers, width)]) for width in (CLASS, NOISE))
    for one in alike:
        if _close(one.probe, _by_output(told)):
            return replace(told, weight_hash=one.weight_hash)
    taken = {one.weight_hash for one in alike}
    candidates = (coarse, fine, content_hash([*known, told.numbers]))
    return replace(told, weight_hash=next(name for name in candidates if name not in taken))


def _by_output(told: Identity) -> dict[str, list[float]]:
    each = len(told.numbers) // max(len(told.shapes), 1)
    parts = [list(told.numbers[at * each : (at + 1) * each]) for at in range(len(told.shapes))]
    return dict(zip(told.shapes, parts, strict=True))


def _close(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> bool:
    return one.keys() == other.keys() and all(
        len(one[name]) == len(other[name]) and np.all(np.abs(np.subtract(one[name], other[name])) <= NOISE)
        for name in one
    )


def _kept(encoder: Any, told: Identity) -> list[Network]:
    """Return the networks of the same tensors and structure that the cache knows; a new one is added."""
    about = (told.stated, told.structure, encoder.pixels.hash)
    address = content_hash([VERSION, *about, encoder.adapter_version, list(encoder.blocks)])
    path = cache_folder("identities") / f"{address}.json"
    with suppress(TypeError, KeyError, AttributeError):
        lines = _read(path).get("networks", [])
        alike = [Network(one["weight_hash"], *about, one["probe"]) for one in lines]
        found = _named(told, alike, encoder)
        if found.weight_hash not in {one.weight_hash for one in alike}:
            _write(
                path, {"networks": [*lines, {"weight_hash": found.weight_hash, "probe": _by_output(found)}]}
            )
        return alike
    return []


def _remembered_probe(encoder: Any) -> Identity:
    """Return what the probe tells, from the cache where nothing can have changed since."""
    made_of = _made_of(encoder)
    if made_of is None:
        return probed(encoder)
    path = cache_folder("identities") / f"probe-{content_hash(made_of)}.json"
    with suppress(TypeError, KeyError):
        content = _read(path)["identity"]
        fields: dict[str, Any] = {
            name: value if isinstance(value, str) else tuple(value) for name, value in content.items()
        }
        return Identity(**fields)
    told = probed(encoder)
    if not told.problems:
        _write(path, {"identity": {name: value for name, value in asdict(told).items() if name != "error"}})
    return told


def _made_of(encoder: Any) -> list[Any] | None:
    """Return all that the outputs of an encoder follow from; None where that is code which nobody can read off."""
    kind = type(encoder)
    if not kind.__module__.startswith("paco_eval.encoders.") or callable(vars(encoder).get("tokens")):
        return None
    model = getattr(encoder, "model", None)
    if kind.__name__ == "FunctionEncoder":
        if not encoder.name.startswith(("onnx:", "torchscript:")) and encoder.name != "dlib":
            return None  # a module from Python
    elif isinstance(model, nn.Module) and not all(
        type(part).__module__.startswith(("torch.nn.", "timm.")) for part in model.modules()
    ):
        return None
    structure = [] if not isinstance(model, nn.Module) else [
        [name, f"{type(part).__module__}.{type(part).__qualname__}", _settings(part)] for name, part in model.named_modules()
    ]  # fmt: skip
    hooked = isinstance(model, nn.Module) and any(
        part._forward_hooks or part._forward_pre_hooks or any(map(_from_elsewhere, vars(part).values()))
        for part in model.modules()
    )
    return None if hooked else [
        VERSION, kind.__qualname__, encoder.weight_hash, encoder.adapter_version, encoder.pixels.hash,
        list(encoder.blocks), getattr(encoder, "has_global", None), structure, str(PartialState().device.type),
        [_version(name) for name in ("torch", "timm", "onnxruntime")],
    ]  # fmt: skip


def _from_elsewhere(value: Any) -> bool:
    """Say whether an attribute is a function that neither torch nor timm put there."""
    return isinstance(value, (FunctionType, MethodType)) and not value.__module__.startswith(
        ("torch.", "timm.")
    )


def _settings(part: nn.Module) -> list[str]:
    """Return the plain settings of a module, which are no tensors."""
    plain = (bool, int, float, str, type(None))
    found = []
    for name, value in sorted(vars(part).items()):
        if isinstance(value, plain) or (
            isinstance(value, tuple) and all(isinstance(one, plain) for one in value)
        ):
            found.append(f"{name}={value!r}")
        elif callable(value) and not isinstance(value, nn.Module):
            found.append(f"{name}={getattr(value, '__qualname__', type(value).__qualname__)}")
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _read(path: Any) -> dict[str, Any]:
    """Return what lies in a file of the cache, nothing where that is not whole."""
    with suppress(PacoError, OSError, ValueError, TypeError, KeyError):
        content = read_json(path)
        if content["sum"] == _sum(content["content"]):
            found: dict[str, Any] = content["content"]
            return found
    return {}


def _write(path: Any, content: dict[str, Any]) -> None:
    with suppress(OSError), atomic_file(path) as temporary:  # what is not kept is found again
        temporary.write_text(json.dumps({"sum": _sum(content), "content": content}), encoding="utf-8")


def _sum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
