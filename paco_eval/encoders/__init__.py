"""Encoders by name: ``SCHEME:REST`` picks an adapter, which loads the weights and renames the outputs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from paco_fr.errors import unknown_name

if TYPE_CHECKING:
    from paco_fr.encoder import Encoder

ADAPTERS: dict[str, tuple[str, str]] = {
    "paco": ("paco_eval.encoders.paco", "paco:FOLDER  a checkpoint that `pretrain` wrote, any objective"),
    "timm": ("paco_eval.encoders.timm", "timm:NAME  a timm model with its pretrained weights"),
    "random": ("paco_eval.encoders.random", "random:RECIPE_OR_TIMM[@SEED]  the same architecture, untrained"),
    "pixels": (
        "paco_eval.encoders.baselines",
        "pixels  16 x 16 and 32 x 32 RGB values, a floor for learning",
    ),
    "constant": ("paco_eval.encoders.baselines", "constant  nothing at all, the floor of every task"),
}
"""Scheme -> (module with ``load(name) -> Encoder``, how to write it)."""


def load_encoder(name: str) -> Encoder:
    """Return the encoder that a name stands for, in evaluation mode; shipped ones go by their bare names.

    Raises:
        PacoError: unknown scheme (with the nearest known), or what the adapter cannot load.

    """
    from paco_fr.checkpoint import shipped

    scheme = "paco" if name in shipped() else name.partition(":")[0]
    if scheme not in ADAPTERS:
        raise unknown_name("encoder", scheme, [*ADAPTERS, *shipped()])
    encoder: Encoder = import_module(ADAPTERS[scheme][0]).load(name)
    return encoder
