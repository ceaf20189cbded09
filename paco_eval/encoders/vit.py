"""Vision transformers from tensors alone: their sizes are read off the shapes, and nothing may be left over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from paco_fr.utils.errors import PacoError

HEAD_WIDTH = 64
WIDE_HEADS = {1280: 16}
"""Heads of the published widths that are not split into heads of 64 (ViT-H)."""


def build_vit(
    tensors: Mapping[str, Tensor], where: str, *, clip: bool = False, size: int | None = None
) -> VisionTransformer:
    """Return the transformer that the tensors belong to, with its class token and without any head.

    Args:
        tensors: in the layout of timm and MAE (``patch_embed.proj.weight``, ``blocks.0...``) or, for
            ``clip``, of OpenAI's CLIP (``visual.conv1.weight``, ``visual.transformer.resblocks.0...``).
        where: the file, for errors.
        clip: CLIP's architecture: a norm before the blocks, quick GELU, eps 1e-5 (else 1e-6).
        size: side of the pictures in pixels, by default that of the weights; the position embedding is
            resized bicubically, as FaRL does.

    Raises:
        PacoError: a tensor is missing, surplus or of a shape that does not fit, or the size is no multiple of
            the patch.

    """
    patches = tensors["visual.conv1.weight" if clip else "patch_embed.proj.weight"]
    positions = tensors["visual.positional_embedding" if clip else "pos_embed"]
    dim, _, patch, _ = patches.shape
    own = round((positions.shape[-2] - 1) ** 0.5) * patch
    if size is not None and size % patch:
        raise PacoError(f"{where} cannot take pictures of {size} pixels: they must be a multiple of {patch}.")
    marker, depth_at = ("resblocks", 3) if clip else ("blocks", 1)
    blocks = {int(name.split(".")[depth_at]) for name in tensors if f"{marker}." in name}
    wide = tensors[
        "visual.transformer.resblocks.0.mlp.c_fc.weight" if clip else "blocks.0.mlp.fc1.weight"
    ].shape[0]
    model = VisionTransformer(
        img_size=size or own,
        patch_size=patch,
        embed_dim=dim,
        depth=len(blocks),
        num_heads=WIDE_HEADS.get(dim, max(1, dim // HEAD_WIDTH)),
        mlp_ratio=wide / dim,
        num_classes=0,
        norm_layer=partial(nn.LayerNorm, eps=1e-5 if clip else 1e-6),
        pre_norm=clip,
        act_layer="quick_gelu" if clip else None,
    )
    renamed = checkpoint_filter_fn(dict(tensors), model, antialias=False)
    load_exactly(model, {name: tensor.float() for name, tensor in renamed.items()}, where)
    return model


def load_exactly(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Fill a model with tensors, or say which are missing, surplus or of another shape."""
    expected = model.state_dict()
    missing, surplus = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    problems = [f"lacks {', '.join(missing[:3])} ({len(missing)} in all)"] if missing else []
    if surplus:
        problems.append(
            f"holds {', '.join(surplus[:3])} that the model does not know ({len(surplus)} in all)"
        )
    for name in sorted(set(expected) & set(tensors)):
        if expected[name].shape != tensors[name].shape:
            found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
            problems.append(f"has '{name}' of shape {found}, the model needs {wanted}")
            break
    if problems:
        raise PacoError(f"{where} {'; '.join(problems)}.")
    model.load_state_dict(dict(tensors))
