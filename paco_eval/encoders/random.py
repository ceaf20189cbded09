"""Untrained encoders: what the architecture alone is worth."""

from __future__ import annotations

import torch
from torch import nn

from paco_eval.encoders import timm as timm_adapter
from paco_eval.encoders.timm import TimmEncoder
from paco_fr.checkpoint import SHIPPED, raw_card, shipped
from paco_fr.config import load_recipe, parse_config, recipes
from paco_fr.model.vit import build_encoder
from paco_fr.utils.errors import PacoError


def load(name: str) -> TimmEncoder:
    """Return ``random:RECIPE_OR_TIMM[@SEED]``: fresh weights of that seed (default 0); also of a shipped encoder."""
    what, _, seed = name.removeprefix("random:").partition("@")
    if seed and not seed.isdigit():
        raise PacoError(f"{name}: the seed after @ must be a non-negative whole number.")
    with torch.random.fork_rng():
        torch.manual_seed(int(seed or 0))
        if what in shipped():
            own = parse_config({"encoder": raw_card(SHIPPED / what)["config"]["encoder"]}, name).encoder
            model: nn.Module = build_encoder(own)
            pixels = own.pixels
        elif what in recipes():
            config = load_recipe(what)
            model = build_encoder(config.encoder)
            pixels = config.encoder.pixels
        else:
            model, pixels = timm_adapter.build(what, pretrained=False)
    return TimmEncoder(name, model, pixels, facts={"objective": "untrained", "pretrain_seed": int(seed or 0)})
