"""Operations of an encoder, against a count by hand."""

from __future__ import annotations

from paco_eval.encoders import load_encoder
from paco_eval.flops import flops_of


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
