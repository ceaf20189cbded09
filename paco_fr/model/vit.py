"""The vision transformer that is pretrained (timm's) and the light one that decodes."""

from __future__ import annotations

from typing import cast

import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from paco_fr.config import DecoderConfig, EncoderConfig
from paco_fr.model.patches import take


def build_encoder(config: EncoderConfig) -> VisionTransformer:
    """Return timm's ViT without class token or head: pretraining gives it no loss of its own."""
    return VisionTransformer(
        img_size=config.size,
        patch_size=config.patch,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.heads,
        num_classes=0,
        class_token=False,
        global_pool="",
    )


def encode(vit: VisionTransformer, images: Tensor, cells: Tensor | None = None) -> Tensor:
    """Return the tokens (B, V, C) of the patches at ``cells`` (B, V), or of all N patches.

    Hidden patches are dropped after the position embedding, so no pixel of theirs enters any block.
    """
    return encode_embedded(vit, vit.patch_embed(images), cells)


def encode_embedded(vit: VisionTransformer, embedded: Tensor, cells: Tensor | None = None) -> Tensor:
    """Return the tokens of embedded patches (B, N, C), some of which may be mask tokens in place of patches."""
    tokens = embedded + cast(Tensor, vit.pos_embed)
    if cells is not None:
        tokens = take(tokens, cells)
    for block in vit.blocks:
        tokens = block(tokens)
    encoded: Tensor = vit.norm(tokens)
    return encoded


class Decoder(nn.Module):
    """Predicts every patch from encoder tokens; thrown away after pretraining."""

    def __init__(self, config: DecoderConfig, encoder: EncoderConfig) -> None:
        super().__init__()
        self.embed = nn.Linear(encoder.dim, config.dim)
        self.positions = nn.Parameter(torch.zeros(1, encoder.cells, config.dim))
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, qkv_bias=True) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.pixels = nn.Linear(config.dim, encoder.patch**2 * 3)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return patches (B, N, 3P²) of decoder tokens (B, N, dim) without positions."""
        tokens = tokens + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        patches: Tensor = self.pixels(self.norm(tokens))
        return patches
