"""Options in the name of an encoder: ``onnx:FILE?crop=arcface&channels=BGR&range=-1,1``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from paco_fr.contracts import CROPS, CropContract, PixelContract
from paco_fr.utils.errors import PacoError, unknown_name

PIXELS = ("size", "channels", "range", "mean", "std", "interpolation")
"""Options that state a pixel contract, together or over one that is known."""


def split_options(name: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return what stands between the scheme and the first ``?``, and the options after it.

    Raises:
        PacoError: nothing is named, or an option is unknown or without a value.

    """
    scheme, _, rest = name.partition(":")
    what, _, query = rest.partition("?")
    if not what:
        raise PacoError(f"{name}: nothing follows '{scheme}:'. See `paco-eval list encoders`.")
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, separator, value = part.partition("=")
        if key not in known:
            raise unknown_name(f"option of {scheme}:", key, known)
        if not separator or not value:
            raise PacoError(f"{name}: option '{key}' needs a value, {key}=VALUE.")
        options[key] = value
    return what, options


def pixel_contract(
    name: str, options: Mapping[str, str], known: PixelContract | None = None
) -> PixelContract:
    """Return the known contract with what the options state; without a known one they must state the essentials.

    ``range`` alone means mean 0 and std 1 in that range, as recognisers are fed.

    Raises:
        PacoError: an essential is missing or a value cannot be read.

    """
    if known is None:
        lacking = [key for key in ("size", "channels", "range") if key not in options]
        if lacking:
            raise PacoError(
                f"{name}: nothing tells how to prepare its pictures. Give {', '.join(lacking)}, for example "
                f"{name.partition('?')[0]}?size=112&channels=RGB&range=-1,1."
            )
        known = PixelContract(1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    fields: dict[str, Any] = {}
    try:
        if "size" in options:
            fields["size"] = int(options["size"])
        if "range" in options:
            low, high = _numbers(options["range"], 2)
            fields |= {"value_range": (low, high), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
        fields |= {key: _numbers(options[key], 3) for key in ("mean", "std") if key in options}
    except ValueError as error:
        raise PacoError(f"{name}: {error}. Numbers are separated by commas, e.g. range=0,255.") from error
    for key, allowed in (("channels", ("RGB", "BGR")), ("interpolation", ("bilinear", "bicubic"))):
        if key in options:
            if options[key] not in allowed:
                raise PacoError(f"{name}: {key} is {' or '.join(allowed)}, not {options[key]}.")
            fields[key] = options[key]
    contract = replace(known, **fields)
    if contract.size < 1 or min(contract.std) <= 0 or contract.value_range[0] >= contract.value_range[1]:
        raise PacoError(f"{name}: size and std must be positive and the range rising, got {contract}.")
    return contract


def _numbers(text: str, count: int) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if len(values) != count:
        raise ValueError(f"'{text}' is not {count} numbers")
    return values


def crop_option(options: Mapping[str, str], known: CropContract | None = None) -> CropContract | None:
    """Return the crop that an option names, else the known one."""
    if "crop" not in options:
        return known
    if options["crop"] not in CROPS:
        raise unknown_name("crop", options["crop"], CROPS)
    return CROPS[options["crop"]]


def size_option(name: str, options: dict[str, str]) -> int | None:
    """Return the side of the pictures that an option asks for."""
    if "size" not in options:
        return None
    if not options["size"].isdigit() or not int(options["size"]):
        raise PacoError(f"{name}: size must be a positive whole number of pixels.")
    return int(options["size"])
