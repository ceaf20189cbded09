"""Operations of an encoder, against a count by hand."""

from __future__ import annotations

from collections.abc import Callable

import torch

from paco_eval.encoders import load_encoder
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.features.forward import flops_of
from paco_fr.contracts import PixelContract


def test_a_small_transformer_against_a_count_by_hand() -> None:
    size, patch, dim, depth = 64, 8, 96, 4  # of the recipe "tiny"
    patches = (size // patch) ** 2
    encoder = load_encoder("random:tiny@0")
    model = encoder.model  # type: ignore[attr-defined]
    tokens = patches + model.num_prefix_tokens
    hidden = model.blocks[0].mlp.fc1.out_features
    embed = patches * dim * 3 * patch * patch
    attention = tokens * dim * 3 * dim + 2 * tokens * tokens * dim + tokens * dim * dim
    mlp = 2 * tokens * dim * hidden
    assert flops_of(encoder) == 2 * (embed + depth * (attention + mlp))


def test_what_computes_nothing_costs_nothing() -> None:
    assert flops_of(load_encoder("pixels")) == flops_of(load_encoder("constant")) == 0


def test_attention_counts_alike_however_it_is_fused() -> None:
    """The same block by plain products, by one fused call, and by the module whose fast path hides everything."""
    tokens, dim = 16, 32
    products = 4 * tokens * dim * dim + 2 * tokens * tokens * dim
    for attend in (plain_attention, torch.nn.functional.scaled_dot_product_attention, None):
        encoder = FunctionEncoder(
            "attention", Attention(dim, attend).eval(), PixelContract(size=16), "0" * 16, 0
        )
        assert flops_of(encoder) == 2 * products


def plain_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1) @ value


class Attention(torch.nn.Module):
    """Self-attention of two heads over pixels in groups; its projections are ``MultiheadAttention``'s."""

    def __init__(self, dim: int, attend: Callable[..., torch.Tensor] | None) -> None:
        super().__init__()
        self.attend, self.dim = attend, dim
        self.whole = torch.nn.MultiheadAttention(dim, 2, batch_first=True)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        tokens = pictures.flatten(1)[:, : 16 * self.dim].reshape(len(pictures), 16, self.dim)
        if self.attend is None:
            attended: torch.Tensor = self.whole(tokens, tokens, tokens, need_weights=False)[0]
            return attended
        parts = torch.nn.functional.linear(tokens, self.whole.in_proj_weight, self.whole.in_proj_bias)
        query, key, value = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in parts.chunk(3, -1))
        mixed = self.attend(query, key, value).transpose(1, 2).flatten(2)
        projected: torch.Tensor = self.whole.out_proj(mixed)
        return projected
