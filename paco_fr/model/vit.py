"""The vision transformer that is pretrained (timm's) and the light one that decodes."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from paco_fr.config import DecoderConfig, EncoderConfig


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


def encode(vit: VisionTransformer, patches: Tensor, cells: Tensor) -> Tensor:
    """Return the tokens (B, V, C) of patches (B, V, 3P²) that lie at ``cells`` (B, V).

    Nothing of any other place is embedded, so no pixel of a hidden patch enters any block.
    """
    return attend(vit, embed(vit, patches), cells)


def embed(vit: VisionTransformer, patches: Tensor) -> Tensor:
    """Return the embeddings (B, V, C) of patches (B, V, 3P²), without positions."""
    kernel = cast(nn.Conv2d, vit.patch_embed.proj)
    weight = kernel.weight.permute(0, 2, 3, 1).flatten(1)  # in the order of patchify
    return F.linear(patches, weight, kernel.bias)


def attend(vit: VisionTransformer, embedded: Tensor, cells: Tensor) -> Tensor:
    """Return the tokens (B, V, C) of embedded patches or mask tokens (B, V, C) that lie at ``cells`` (B, V)."""
    tokens = embedded + F.embedding(cells, cast(Tensor, vit.pos_embed)[0])
    for block in vit.blocks:
        tokens = block(tokens)
    encoded: Tensor = vit.norm(tokens)
    return encoded


class Decoder(nn.Module):
    """Predicts hidden patches, or other ``values`` of hidden places, from encoder tokens; thrown away after pretraining."""

    def __init__(self, config: DecoderConfig, encoder: EncoderConfig, values: int | None = None) -> None:
        super().__init__()
        self.embed = nn.Linear(encoder.dim, config.dim)
        self.positions = nn.Parameter(torch.zeros(1, encoder.cells, config.dim))
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, qkv_bias=True) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.pixels = nn.Linear(config.dim, values or encoder.patch**2 * 3)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, tokens: Tensor, cells: Tensor) -> Tensor:
        """Return states (B, T, dim) of decoder tokens (B, T, dim) without positions, which lie at ``cells`` (B, T)."""
        states = tokens + F.embedding(cells, self.positions[0])
        for block in self.blocks:
            states = block(states)
        return states

    def head(self, states: Tensor) -> Tensor:
        """Return patches (B, M, 3P²), or other values, of states (B, M, dim)."""
        patches: Tensor = self.pixels(self.norm(states))
        return patches
