"""Checkpoints in the published layouts with random weights, and their forward passes written out plainly."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WIDTH, DEPTH, PATCH, GRID, HEADS = 128, 4, 16, 4, 2
"""Narrower, shallower and on smaller pictures than ViT-B/16, which has 768, 12, 16, 14 and 12."""
State = dict[str, Tensor]


def drawn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator) * 0.1


def norm(prefix: str, width: int = WIDTH) -> State:
    return {f"{prefix}.weight": 1 + drawn(3, width), f"{prefix}.bias": drawn(4, width)}


def linear(prefix: str, out: int, into: int) -> State:
    return {f"{prefix}.weight": drawn(5, out, into), f"{prefix}.bias": drawn(6, out)}


def clip_blocks(prefix: str, depth: int, width: int) -> State:
    found: State = {}
    for number in range(depth):
        block = f"{prefix}.resblocks.{number}"
        found[f"{block}.attn.in_proj_weight"] = drawn(10 + number, 3 * width, width)
        found[f"{block}.attn.in_proj_bias"] = drawn(20 + number, 3 * width)
        found |= linear(f"{block}.attn.out_proj", width, width)
        found |= norm(f"{block}.ln_1", width) | norm(f"{block}.ln_2", width)
        found |= linear(f"{block}.mlp.c_fc", 4 * width, width) | linear(
            f"{block}.mlp.c_proj", width, 4 * width
        )
    return found


def text_state(width: int = 64) -> State:
    return {
        "positional_embedding": drawn(1, 77, width),
        "text_projection": drawn(2, width, 64),
        "logit_scale": torch.tensor(4.6),
        "token_embedding.weight": drawn(3, 100, width),
        **norm("ln_final", width),
        **clip_blocks("transformer", 2, width),
    }


def farl_state() -> State:
    """FaRL's: a CLIP with the head of masked image modelling in the image tower."""
    visual = {
        "conv1.weight": drawn(1, WIDTH, 3, PATCH, PATCH),
        "class_embedding": drawn(2, WIDTH),
        "positional_embedding": drawn(3, GRID**2 + 1, WIDTH),
        **norm("ln_pre"),
        **clip_blocks("transformer", DEPTH, WIDTH),
        **norm("ln_post"),
        "proj": drawn(4, WIDTH, 64),
        **clip_blocks("lm_transformer", 1, WIDTH),
        **norm("ln_lm"),
        **linear("lm_head", 50, WIDTH),
        "mask_token": drawn(5, WIDTH),
    }
    return text_state() | {f"visual.{name}": tensor for name, tensor in visual.items()}


def farl_forward(state: State, images: Tensor, positions: Tensor | None = None) -> list[Tensor]:
    """Return the tokens (B, 1 + N, D) of every block after ln_post."""
    own = {name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")}
    tokens = F.conv2d(images, own["conv1.weight"], stride=PATCH).flatten(2).transpose(1, 2)
    tokens = torch.cat([own["class_embedding"].expand(len(images), 1, -1), tokens], 1)
    tokens = plain_norm(
        tokens + (own["positional_embedding"] if positions is None else positions), own, "ln_pre", 1e-5
    )
    found = []
    for number in range(DEPTH):
        block = f"transformer.resblocks.{number}"
        inner = plain_norm(tokens, own, f"{block}.ln_1", 1e-5)
        tokens = tokens + attention(
            inner, own[f"{block}.attn.in_proj_weight"], own[f"{block}.attn.in_proj_bias"],
            own[f"{block}.attn.out_proj.weight"], own[f"{block}.attn.out_proj.bias"],
        )  # fmt: skip
        inner = apply(plain_norm(tokens, own, f"{block}.ln_2", 1e-5), own, f"{block}.mlp.c_fc")
        tokens = tokens + apply(inner * torch.sigmoid(1.702 * inner), own, f"{block}.mlp.c_proj")
        found.append(plain_norm(tokens, own, "ln_post", 1e-5))
    return found


def mae_state(*, decoder: bool = False, width: int = WIDTH) -> State:
    """MAE's: the encoder alone as released, or the whole pretraining model."""
    found = {
        "cls_token": drawn(1, 1, 1, width),
        "pos_embed": drawn(2, 1, GRID**2 + 1, width),
        "patch_embed.proj.weight": drawn(3, width, 3, PATCH, PATCH),
        "patch_embed.proj.bias": drawn(4, width),
        **mae_blocks("blocks", DEPTH, width),
        **norm("norm", width),
    }
    if decoder:
        found |= {
            "mask_token": drawn(5, 1, 1, 64),
            "decoder_pos_embed": drawn(6, 1, GRID**2 + 1, 64),
            **linear("decoder_embed", 64, width),
            **mae_blocks("decoder_blocks", 2, 64),
            **norm("decoder_norm", 64),
            **linear("decoder_pred", PATCH**2 * 3, 64),
        }
    return found


def mae_blocks(prefix: str, depth: int, width: int) -> State:
    found: State = {}
    for number in range(depth):
        block = f"{prefix}.{number}"
        found |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        found |= linear(f"{block}.attn.qkv", 3 * width, width) | linear(f"{block}.attn.proj", width, width)
        found |= linear(f"{block}.mlp.fc1", 4 * width, width) | linear(f"{block}.mlp.fc2", width, 4 * width)
    return found


def mcf_state() -> State:
    """MCF's pretraining model: an online and a momentum encoder, projectors, decoder, the perceptual network."""
    encoder, decoder = mae_state(), mae_state(decoder=True)
    projector = {
        "fc.0.weight": drawn(1, 32, WIDTH),
        "fc.1.weight": drawn(2, 32),
        "fc.1.running_mean": drawn(3, 32),
    }
    found = {f"online_encoder.{name}": value for name, value in (encoder | projector).items()}
    found |= {f"target_encoder.{name}": 2 * value for name, value in (encoder | projector).items()}
    found |= {name: value for name, value in decoder.items() if name not in encoder}
    return found | {
        "predictor.0.weight": drawn(4, 32, 32),
        "perceptual_loss.model.cls_token": drawn(5, 1, 1, 8),
    }


def mae_forward(state: State, images: Tensor) -> list[Tensor]:
    """Return the tokens (B, 1 + N, D) of every block after the norm."""
    tokens = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH)
    tokens = torch.cat([state["cls_token"].expand(len(images), 1, -1), tokens.flatten(2).transpose(1, 2)], 1)
    tokens = tokens + state["pos_embed"]
    found = []
    for number in range(DEPTH):
        block = f"blocks.{number}"
        inner = plain_norm(tokens, state, f"{block}.norm1", 1e-6)
        tokens = tokens + attention(
            inner, state[f"{block}.attn.qkv.weight"], state[f"{block}.attn.qkv.bias"],
            state[f"{block}.attn.proj.weight"], state[f"{block}.attn.proj.bias"],
        )  # fmt: skip
        inner = apply(plain_norm(tokens, state, f"{block}.norm2", 1e-6), state, f"{block}.mlp.fc1")
        tokens = tokens + apply(F.gelu(inner), state, f"{block}.mlp.fc2")
        found.append(plain_norm(tokens, state, "norm", 1e-6))
    return found


def plain_norm(tokens: Tensor, state: State, name: str, eps: float) -> Tensor:
    mean, variance = tokens.mean(-1, keepdim=True), tokens.var(-1, unbiased=False, keepdim=True)
    return (tokens - mean) / (variance + eps).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]


def apply(tokens: Tensor, state: State, name: str) -> Tensor:
    return tokens @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def attention(tokens: Tensor, into: Tensor, into_bias: Tensor, out: Tensor, out_bias: Tensor) -> Tensor:
    queries, keys, values = (
        part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (tokens @ into.T + into_bias).chunk(3, -1)
    )
    weights = (queries @ keys.transpose(-1, -2) / (tokens.shape[-1] // HEADS) ** 0.5).softmax(-1)
    return (weights @ values).transpose(1, 2).flatten(2) @ out.T + out_bias
