"""Checkpoints that this package wrote, whatever their objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paco_eval.encoders.timm import TimmEncoder
from paco_eval.retraining import retrain_command
from paco_fr.checkpoint import load_encoder


def load(name: str) -> TimmEncoder:
    """Return the encoder of ``paco:FOLDER``; its card says which objective trained it."""
    model, card, config = load_encoder(Path(name.removeprefix("paco:")))
    facts: dict[str, Any] = {
        key: card[key] for key in ("objective", "pretrain_seed", "data_fingerprint", "licence") if key in card
    }
    facts["method"] = f"{config.objective}/{config.name}"
    facts["retrain"], facts["pretrain_seconds"] = retrain_command(config), card.get("seconds")
    return TimmEncoder(name, model, config.encoder.pixels, facts=facts)
