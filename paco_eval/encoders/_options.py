"""Options in the name of an encoder: ``onnx:FILE?crop=arcface&channels=BGR&range=-1,1``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from paco_fr.contracts import CropContract, PixelContract
from paco_fr.faces.crop import crop_of
from paco_fr.utils.errors import PacoError, quoted, unknown_name

PIXELS = ("size", "channels", "range", "mean", "std", "interpolation")
"""Options that state a pixel contract, together or over one that is known."""
NETWORK = ("heads", "act", "eps", "global")
"""Options that state what a file of weights cannot tell about its network."""
VIT_OPTIONS = (*PIXELS, *NETWORK, "grid")
"""Options of the adapters that build a transformer from tensors alone."""
LARGEST = 4096
"""Pixels of a side of a picture at most."""
ACTIVATIONS = ("gelu", "quick_gelu", "gelu_tanh", "relu", "silu")


@dataclass(frozen=True)
class Network:
    """What the user states about a network; None leaves it to the adapter.

    Attributes:
        heads: of attention; tensors of 3 and of 12 heads have the same shapes.
        act: activation of the perceptrons, one of :data:`ACTIVATIONS`.
        eps: of the layer norms.
        has_global: whether a loss trained the class token, which then is the global token.

    """

    heads: int | None = None
    act: str | None = None
    eps: float | None = None
    has_global: bool | None = None

    @property
    def changed(self) -> dict[str, Any]:
        """What changes the outputs of given tensors, and so belongs to the identity of the encoder."""
        stated = {"heads": self.heads, "act": self.act, "eps": self.eps}
        return {key: value for key, value in stated.items() if value is not None}


NOTHING = Network()


def grid_option(name: str, options: Mapping[str, str]) -> tuple[int, int] | None:
    """Return rows and columns of patches that ``grid=ROWSxCOLUMNS`` states."""
    if "grid" not in options:
        return None
    parts = options["grid"].split("x")
    if len(parts) != 2 or not all(
        part.isascii() and part.isdigit() and 0 < int(part) < 10_000 for part in parts
    ):
        raise PacoError(
            f"{name}: grid is ROWSxCOLUMNS of patches, e.g. grid=28x7, not {quoted(options['grid'])}."
        )
    return int(parts[0]), int(parts[1])


def network_options(name: str, options: Mapping[str, str]) -> Network:
    """Return what the options state about the network.

    Raises:
        PacoError: a value cannot be read.

    """
    heads, eps, token, act = (options.get(key) for key in ("heads", "eps", "global", "act"))
    if act is not None and act not in ACTIVATIONS:
        raise unknown_name("activation", act, ACTIVATIONS)
    if token not in (None, "yes", "no"):
        raise PacoError(f"{name}: global is yes or no, not {quoted(token)}.")
    if heads is not None and (not (heads.isascii() and heads.isdigit()) or not 1 <= int(heads) <= 1024):
        raise PacoError(f"{name}: heads must be a positive whole number, not {quoted(heads)}.")
    try:
        small = None if eps is None else float(eps)
    except ValueError:
        small = -1.0
    if small is not None and not 0 < small < 1:
        raise PacoError(f"{name}: eps must be a small positive number such as 1e-6, not {quoted(eps)}.")
    return Network(
        None if heads is None else int(heads), act, small, None if token is None else token == "yes"
    )


def stated(options: Mapping[str, str]) -> str:
    """Return what the user stated about a network and its pictures, as rows show it; empty for nothing."""
    return ", ".join(f"{key}={options[key]}" for key in (*NETWORK, *PIXELS, "grid") if key in options)


def over(name: str, options: Mapping[str, str], known: PixelContract) -> PixelContract:
    """Return the contract of the weights, at the size they were built for, with what the options state beside it."""
    return pixel_contract(name, {key: value for key, value in options.items() if key != "size"}, known)


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
        if key in options:
            raise PacoError(f"{name}: option '{key}' stands there twice.")
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
            fields["size"] = size_option(name, options)
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
    if len(values) != count or not all(abs(value) < 1e6 for value in values):  # false for NaN, too
        raise ValueError(f"{quoted(text)} is not {count} numbers")
    return values


def crop_option(options: Mapping[str, str], known: CropContract | None = None) -> CropContract | None:
    """Return the crop that an option names, perhaps with settings, else the known one."""
    if "crop" not in options:
        return known
    return crop_of(options["crop"])


def size_option(name: str, options: Mapping[str, str]) -> int | None:
    """Return the side of the pictures that an option asks for."""
    if "size" not in options:
        return None
    text = options["size"]
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= LARGEST):
        raise PacoError(f"{name}: size must be a positive whole number of pixels, at most {LARGEST}.")
    return int(text)
