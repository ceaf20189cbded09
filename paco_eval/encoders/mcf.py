"""MCF's encoder (Wang et al., ACM MM 2023): the online encoder of its pretraining checkpoint, or that alone."""

from __future__ import annotations

from pathlib import Path

from paco_eval.encoders._hub import weight_file
from paco_eval.encoders._options import VIT_OPTIONS, split_options
from paco_eval.encoders._weights import read_tensors, sorted_out
from paco_eval.encoders.mae import DECODER, ENCODER
from paco_eval.encoders.timm import TimmEncoder, from_tensors

ONLINE = "online_encoder."
SPARE = (*DECODER, "online_encoder.fc.", "target_encoder.", "predictor.", "perceptual_loss.")


def load(name: str) -> TimmEncoder:
    """Return ``mcf:FILE[?OPTIONS]``; its class token is the global token (the contrastive loss trained it)."""
    file, options = split_options(name, VIT_OPTIONS)
    file = weight_file("mcf", file)
    found = read_tensors(Path(file), ("patch_embed.proj.weight", ONLINE + "patch_embed.proj.weight"))
    whole = any(key.startswith(ONLINE) for key in found)
    wanted = tuple(ONLINE + part for part in ENCODER) if whole else ENCODER
    spare = SPARE if whole else DECODER
    own = sorted_out(found, wanted=wanted, spare=spare, where=file, layout="a checkpoint of MCF as published")
    tensors = {key.removeprefix(ONLINE): tensor for key, tensor in own.items()}
    objective = "masked image modelling and contrast"
    return from_tensors(
        name, options, tensors, file, has_global=True, objective=objective, interpolation="bilinear"
    )
