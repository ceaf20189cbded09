"""Masked autoencoders in the layout of their authors (He et al., CVPR 2022), with or without the decoder."""

from __future__ import annotations

from pathlib import Path

from paco_eval.encoders._hub import weight_file
from paco_eval.encoders._options import VIT_OPTIONS, split_options
from paco_eval.encoders._weights import read_tensors, sorted_out
from paco_eval.encoders.timm import TimmEncoder, from_tensors

ENCODER = ("cls_token", "pos_embed", "patch_embed.", "blocks.", "norm.")
DECODER = ("mask_token", "decoder_")


def load(name: str) -> TimmEncoder:
    """Return ``mae:FILE[?OPTIONS]``; no loss trained the class token, so there is no global token."""
    file, options = split_options(name, VIT_OPTIONS)
    file = weight_file("mae", file)
    tensors = sorted_out(
        read_tensors(Path(file), ("patch_embed.proj.weight",)),
        wanted=ENCODER,
        spare=DECODER,
        where=file,
        layout="a pretrained MAE as published",
    )
    return from_tensors(name, options, tensors, file, objective="masked autoencoding")
