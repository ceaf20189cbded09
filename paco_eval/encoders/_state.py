"""Where the tensors of an encoder are in what a training script saved: wrappers, prefixes, things beside tensors.

Every adapter that reads weights goes through :func:`find_state`, whatever the file's format, so that a file and the
same file re-saved under another wrapper or prefix are one encoder.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor

WRAPPERS = (
    "state_dict_ema", "model_ema", "ema", "ema_model", "state_dict", "model_state", "model_state_dict", "teacher",
    "model", "net", "network", "encoder", "backbone", "module", "weights", "params", "student",
)  # fmt: skip
"""Keys under which training scripts put the tensors. Averaged weights come first, as timm takes them, and of a
teacher and its student the teacher, as its authors (DINO) do."""
PREFIXES = (
    "module.", "_orig_mod.", "model.", "encoder.", "backbone.", "net.", "network.", "vit.", "base_encoder.", "trunk.",
    "visual_encoder.", "image_encoder.", "vision_encoder.", "feature_extractor.", "teacher.", "student.",
    "visual.trunk.",
)  # fmt: skip
"""What wrappers of modules (DDP, torch.compile, Lightning, the classes of papers) put before the names of tensors."""
BESIDE = (
    "decoder.", "decoder_", "mask_token", "momentum_encoder.", "predictor.", "projector.", "projection_head.", "queue",
    "head.mlp.", "head.last_layer.",
)  # fmt: skip
"""Parts of a pretraining that stand beside the encoder and that an encoder does without (SimMIM, MoCo v3, DINO)."""
NESTED = 8
"""Wrappers within wrappers at most."""
LOOKED_AT = 500
"""Mappings within one that are looked into for tensors at most."""


def find_state(found: object, anchors: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the tensors of the network by name, out of their wrappers and without the prefixes of wrappers.

    Args:
        found: what was read from a file.
        anchors: names of which a network of the wanted layout has at least one; a prefix that these names have
            themselves is left. Without any, every known prefix that all tensors share is taken off.

    """
    for _ in range(NESTED):
        if not isinstance(found, Mapping):
            return {}
        inside = [key for key in WRAPPERS if isinstance(found.get(key), Mapping) and _holds(found[key])]
        if not inside:
            break
        found = found[inside[0]]
    else:
        return {}  # a state that holds itself has no end
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    wanted = set(anchors)
    while tensors and not wanted & set(tensors):
        inner = next(filter(None, (_without(tensors, prefix) for prefix in PREFIXES)), None)
        if inner is None:
            break
        tensors = inner
    return tensors


def _holds(found: object, seen: set[int] | None = None) -> bool:
    """Say whether there are tensors by name somewhere inside; each mapping is looked at once."""
    seen = set() if seen is None else seen
    if not isinstance(found, Mapping) or id(found) in seen or len(seen) > LOOKED_AT:
        return False
    seen.add(id(found))
    return any(isinstance(value, Tensor) or _holds(value, seen) for value in found.values())


def _without(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor] | None:
    """Return the tensors under a prefix if all others only served the pretraining."""
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not own or any(not name.startswith((prefix, *BESIDE)) for name in tensors):
        return None
    return own


class _Inert:
    """Stands for a thing beside tensors that is not needed; takes whatever it was made of and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


_PLAIN = {
    "builtins": ("int", "float", "bool", "str", "list", "dict", "tuple", "frozenset", "slice", "range"),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "numpy.dtypes": ("BoolDType", "Float16DType", "Float32DType", "Float64DType", "Int8DType", "Int16DType",
                     "Int32DType", "Int64DType", "UInt8DType", "UInt16DType", "UInt32DType", "UInt64DType", "StrDType"),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"),
    "pathlib._local": ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "types": ("SimpleNamespace",),
    "uuid": ("UUID",),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "torch.torch_version": ("TorchVersion",),
}  # fmt: skip
"""Plain values that scripts save beside tensors, by module: metrics, dates, paths. They are never made."""


def _plain_dict(*_: Any) -> dict[Any, Any]:
    return {}


def admitted() -> list[Any]:
    """Return what torch's own restricted unpickler is told to accept beside tensors; nothing of it does anything.

    It knows them by module and name. ``argparse.Namespace``, a bag of values, and sets, which torch 2.5 does not know,
    stay what they are; all else becomes an object without content.
    """
    stubs = [
        type(name, (_Inert,), {"__module__": module}) for module, names in _PLAIN.items() for name in names
    ]
    return [argparse.Namespace, set, *stubs, _named(_plain_dict, "collections", "defaultdict")]


def _named(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    def same(*arguments: Any) -> Any:
        return function(*arguments)

    same.__module__, same.__name__, same.__qualname__ = module, name, name
    return same
