"""Checkpoints that this package wrote, whatever their objective."""

from __future__ import annotations

from pathlib import Path

from paco_eval.encoders.timm import TimmEncoder
from paco_fr.checkpoint import load_encoder


def load(name: str) -> TimmEncoder:
    """Return the encoder of ``paco:FOLDER``; its card says which objective trained it."""
    model, card, config = load_encoder(Path(name.removeprefix("paco:")))
    facts = {
        key: card[key] for key in ("objective", "pretrain_seed", "data_fingerprint", "licence") if key in card
    }
    facts["method"] = f"{config.objective}/{config.name}"
    return TimmEncoder(name, model, config.encoder.pixels, facts=facts)
