"""Encoders by name: ``SCHEME:REST`` picks an adapter, which loads the weights and renames the outputs.

Third parties add schemes by the entry point ``paco_eval.encoders``: a function ``load(name) -> Encoder``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from paco_fr.utils.errors import PacoError, unknown_name

if TYPE_CHECKING:
    from paco_fr.contracts import Encoder


class Adapter(NamedTuple):
    """Where a kind of encoder is loaded and what is told about it; nothing here imports anything heavy.

    Attributes:
        module: has ``load(name) -> Encoder``.
        usage: how the name is written.
        about: what it stands for.
        pixels: the pixel contract of such weights, or where it comes from.
        crop: the face crop that they cannot do without, or "the task's".
        runs_code: whether loading runs code from the file, so that it needs trust.

    """

    module: str
    usage: str
    about: str
    pixels: str
    crop: str = "the task's"
    runs_code: bool = False


GIVEN = "size=, channels=, range=, mean=, std="

ADAPTERS: dict[str, Adapter] = {
    "paco": Adapter(
        "paco_eval.encoders.paco",
        "paco:FOLDER",
        "a checkpoint that `pretrain` wrote, any objective; paco:hf:OWNER/NAME from the hub",
        "of its recipe",
    ),
    "timm": Adapter(
        "paco_eval.encoders.timm",
        "timm:NAME[?OPTIONS]",
        "a timm model with its weights; NAME may be hf-hub:OWNER/MODEL or local-dir:FOLDER; ?weights=FILE reads "
        "them from a file",
        "of its pretrained_cfg",
    ),
    "farl": Adapter(
        "paco_eval.encoders.farl",
        "farl:FILE[?OPTIONS]",
        "the image tower of FaRL or CLIP, as published; farl:ep16 and farl:ep64 are fetched",
        "RGB 224, CLIP mean and std",
    ),
    "mcf": Adapter(
        "paco_eval.encoders.mcf",
        "mcf:FILE[?OPTIONS]",
        "the encoder of MCF, as published",
        "RGB 224, ImageNet mean and std",
    ),
    "mae": Adapter(
        "paco_eval.encoders.mae",
        "mae:FILE[?OPTIONS]",
        "a masked autoencoder in the published layout; mae:base, large and huge are fetched",
        "RGB 224, ImageNet mean and std",
    ),
    "onnx": Adapter(
        "paco_eval.encoders.onnx",
        "onnx:FILE[?OPTIONS]",
        "a network for onnxruntime, e.g. a face recogniser",
        f"by file name, of our own export, or {GIVEN}",
        "by file name, or crop=",
    ),
    "torchscript": Adapter(
        "paco_eval.encoders.torchscript",
        "torchscript:FILE?OPTIONS",
        "a TorchScript file; needs --trust",
        GIVEN,
        "the task's, or crop=",
        runs_code=True,
    ),
    "dlib": Adapter(
        "paco_eval.encoders.dlib",
        "dlib",
        "dlib's face recogniser, 128 numbers; pip install 'paco-eval[dlib]'",
        "RGB 150, 0..255",
        "dlib's own chip",
    ),
    "file": Adapter(
        "paco_eval.encoders.outside",
        "file:FILE.py:CLASS",
        "an encoder class of your own, as --encoder-from; needs --trust",
        "of the class",
        "of the class",
        runs_code=True,
    ),
    "random": Adapter(
        "paco_eval.encoders.random",
        "random:RECIPE_OR_TIMM[@SEED]",
        "the same architecture, untrained",
        "of the architecture",
    ),
    "pixels": Adapter(
        "paco_eval.encoders.baselines",
        "pixels",
        "16 x 16 and 32 x 32 RGB values, a floor for learning",
        "RGB 32",
    ),
    "constant": Adapter(
        "paco_eval.encoders.baselines", "constant", "nothing at all, the floor of every task", "any"
    ),
}
"""The adapters of this package by scheme."""


def load_encoder(name: str, *, trust: bool = False) -> Encoder:
    """Return the encoder that a name stands for, in evaluation mode.

    Args:
        name: ``SCHEME:REST``, see :data:`ADAPTERS`, or the bare name of one that comes with the package;
            other schemes are looked up among entry points.
        trust: whether code that comes with an encoder may run.

    Raises:
        PacoError: unknown scheme (with the nearest known), code without trust, or what the adapter cannot
            load.

    """
    from paco_eval.encoders._identity import identified
    from paco_fr.checkpoint import shipped

    scheme, _, rest = name.partition(":")
    if name in shipped():
        scheme = "paco"
    if scheme in ADAPTERS:
        adapter = ADAPTERS[scheme]
        if adapter.runs_code and not trust:
            raise PacoError(
                f"{name} runs code that comes with the file. Read it, and add --trust (in Python trust=True) if you "
                "trust its author."
            )
        return identified(import_module(adapter.module).load(name))
    if rest:
        outside = import_module("paco_eval.encoders.outside")
        found: Encoder | None = outside.from_entry_point(name)
        if found is not None:
            return identified(found)
    raise unknown_name("encoder", scheme, [*ADAPTERS, *shipped()])
