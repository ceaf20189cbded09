"""MCF's encoder (Wang et al., ACM MM 2023): the online encoder of its pretraining checkpoint, or that alone."""

from __future__ import annotations

from pathlib import Path

from paco_eval.encoders._options import size_option, split_options
from paco_eval.encoders._weights import build_vit, read_tensors, sorted_out
from paco_eval.encoders.mae import DECODER, ENCODER
from paco_eval.encoders.timm import TimmEncoder
from paco_fr.contracts import PixelContract

ONLINE = "online_encoder."
SPARE = (*DECODER, "online_encoder.fc.", "target_encoder.", "predictor.", "perceptual_loss.")


def load(name: str) -> TimmEncoder:
    """Return ``mcf:FILE[?size=S]``; its class token is the global token (the contrastive loss trained it)."""
    file, options = split_options(name, ("size",))
    found = read_tensors(Path(file), ("patch_embed.proj.weight", ONLINE + "patch_embed.proj.weight"))
    whole = any(key.startswith(ONLINE) for key in found)
    wanted = tuple(ONLINE + part for part in ENCODER) if whole else ENCODER
    spare = SPARE if whole else DECODER
    own = sorted_out(found, wanted=wanted, spare=spare, where=file, layout="a checkpoint of MCF as published")
    tensors = {key.removeprefix(ONLINE): tensor for key, tensor in own.items()}
    model = build_vit(tensors, file, size=size_option(name, options))
    pixels = PixelContract(model.patch_embed.img_size[0], interpolation="bilinear")
    facts = {"objective": "masked image modelling and contrast"}
    return TimmEncoder(name, model, pixels, has_global=True, facts=facts)
