"""FaRL's image tower (Zheng et al., CVPR 2022): a CLIP ViT, read from the published state dict.

Left unread are the text tower, the head of masked image modelling and the projection into the space shared
with text: as in CLIP's own probes (Radford et al. 2021), features are those before the projection.
"""

from __future__ import annotations

from pathlib import Path

from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from paco_eval.encoders._hub import weight_file
from paco_eval.encoders._options import VIT_OPTIONS, split_options
from paco_eval.encoders._weights import read_tensors, sorted_out
from paco_eval.encoders.timm import TimmEncoder, from_tensors

TOWER = (
    "visual.conv1.", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre.", "visual.ln_post.",
    "visual.transformer.",
)  # fmt: skip
SPARE = (
    "visual.proj", "visual.lm_transformer.", "visual.ln_lm.", "visual.lm_head.", "visual.mask_token",
    "transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection", "logit_scale",
    "input_resolution", "context_length", "vocab_size",
)  # fmt: skip


def load(name: str) -> TimmEncoder:
    """Return ``farl:FILE[?OPTIONS]``; its class token is the global token (the contrastive loss trained it)."""
    file, options = split_options(name, VIT_OPTIONS)
    file = weight_file("farl", file)
    tensors = sorted_out(
        read_tensors(Path(file), ("visual.conv1.weight",)),
        wanted=TOWER,
        spare=SPARE,
        where=file,
        layout="a published state of FaRL or CLIP",
    )
    objective = "image-text contrast and masked image modelling"
    return from_tensors(
        name, options, tensors, file, clip=True, has_global=True, objective=objective, mean=OPENAI_CLIP_MEAN, std=OPENAI_CLIP_STD
    )  # fmt: skip
