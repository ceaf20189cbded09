"""Checkpoints that this package wrote, whatever their objective, and the command that trains one again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paco_eval.encoders._hub import hub_checkpoint
from paco_eval.encoders.timm import TimmEncoder
from paco_fr.checkpoint import SHIPPED, load_encoder, load_objective, shipped
from paco_fr.config import PretrainConfig, load_recipe, recipes, without_removed
from paco_fr.model.diagnostics import diagnose


class PaCoEncoder(TimmEncoder):
    """The encoder of a PaCo-FR checkpoint, which can also say what its codebook and belief make of a picture."""

    @torch.inference_mode()
    def diagnostics(self, images: Tensor, masks_of: Tensor | None = None) -> Mapping[str, Tensor]:
        """Return tokens, belief and truth of prepared pictures, see :func:`paco_fr.model.diagnostics.diagnose`."""
        if not hasattr(self, "objective"):
            self.objective, self.config = load_objective(folder_of(self.name))
            self.objective.to(self.device)
        like = None if masks_of is None else masks_of.to(self.device)
        return diagnose(self.objective, self.config, images.to(self.device), like)


def folder_of(name: str) -> Path:
    """Return the folder of ``paco:FOLDER``, ``paco:hf:OWNER/NAME[@REVISION]`` or a checkpoint that comes along."""
    if name in shipped():
        return SHIPPED / name
    place = name.removeprefix("paco:")
    return hub_checkpoint(place.removeprefix("hf:")) if place.startswith("hf:") else Path(place)


def load(name: str) -> TimmEncoder:
    """Return the encoder of ``paco:FOLDER`` or of a shipped name; its card says which objective trained it."""
    model, card, config = load_encoder(folder_of(name))
    facts: dict[str, Any] = {
        key: card[key] for key in ("objective", "pretrain_seed", "data_fingerprint", "licence") if key in card
    }
    facts["method"] = name if name in shipped() else f"{card['objective']}/{card['config']['name']}"
    facts["retrain"], facts["pretrain_seconds"] = retrain_command(card["config"]), card.get("seconds")
    kind = PaCoEncoder if card["objective"] == "paco" else TimmEncoder
    return kind(name, model, config.pixels, facts=facts)


def retrain_command(config: PretrainConfig | Mapping[str, Any]) -> str:
    """Return the ``paco-eval pretrain`` command that gives this configuration, whatever wrote it down.

    It names the recipe that ships under the configuration's name (``tiny`` for a recipe of one's own) and sets
    every field that departs from it, but those that say only how a run is carried out. Of an earlier version's
    configuration, as its card has it, also those that this version will refuse.
    """
    values = config.model_dump(mode="json") if isinstance(config, PretrainConfig) else dict(config)
    recipe = values["name"] if values["name"] in recipes() else "tiny"
    base = load_recipe(recipe).model_dump(mode="json")
    words = ["paco-eval", "pretrain", "--recipe", recipe]
    words += ["--objective", values["objective"], "--seed", str(values["seed"])]
    wanted = {key: value for key, value in values.items() if key not in ("objective", "seed", "run")}
    for key, value in _departures(base, without_removed(wanted)):
        words += ["--set", f"{key}={json.dumps(value, separators=(',', ':'))}"]
    return shlex.join(words)


def _departures(base: dict[str, Any], wanted: dict[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in wanted.items():
        inner = base.get(name)  # none: a setting that was removed since
        if (
            isinstance(value, dict)
            and isinstance(inner, dict)
            and (not section or value.keys() == inner.keys())
        ):
            yield from _departures(inner, value, f"{section}{name}.")
        elif value != inner:
            yield f"{section}{name}", value
