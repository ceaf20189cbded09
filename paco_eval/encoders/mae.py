"""Masked autoencoders in the layout of their authors (He et al., CVPR 2022), with or without the decoder."""

from __future__ import annotations

from pathlib import Path

from paco_eval.encoders._options import size_option, split_options
from paco_eval.encoders._weights import build_vit, read_tensors, sorted_out
from paco_eval.encoders.timm import TimmEncoder
from paco_fr.contracts import PixelContract

ENCODER = ("cls_token", "pos_embed", "patch_embed.", "blocks.", "norm.")
DECODER = ("mask_token", "decoder_")


def load(name: str) -> TimmEncoder:
    """Return ``mae:FILE[?size=S]``; no loss trained the class token, so there is no global token."""
    file, options = split_options(name, ("size",))
    tensors = sorted_out(
        read_tensors(Path(file), ("patch_embed.proj.weight",)),
        wanted=ENCODER,
        spare=DECODER,
        where=file,
        layout="a pretrained MAE as published",
    )
    model = build_vit(tensors, file, size=size_option(name, options))
    facts = {"objective": "masked autoencoding"}
    return TimmEncoder(name, model, PixelContract(model.patch_embed.img_size[0]), facts=facts)
