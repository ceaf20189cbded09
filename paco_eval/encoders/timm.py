"""Any timm model, with the preprocessing that belongs to its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from accelerate import PartialState
from timm.data.config import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._options import size_option, split_options
from paco_eval.encoders._weights import load_exactly, read_tensors
from paco_fr.checkpoint import weight_hash
from paco_fr.contracts import CropContract, PixelContract, Tokens
from paco_fr.utils.errors import PacoError, unknown_name

HUBS = ("hf-hub:", "local-dir:")
UNTRAINED_TOKEN = ("mae", "mim", "beit", "simmim")
"""Parts of a tag of weights whose objective looks at patches only, so that the class token learned nothing."""


@dataclass
class TimmEncoder:
    """A timm model whose intermediate features are the patch tokens. See :class:`paco_fr.contracts.Encoder`.

    Attributes:
        has_global: whether a loss trained the class token, which then is the global token.

    """

    name: str
    model: Any
    pixels: PixelContract
    has_global: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    reductions: Sequence[str] = ("mean", "grid4")
    required_crop: CropContract | None = None
    adapter_version: int = 1

    def __post_init__(self) -> None:
        """Freeze the model and read off it what the harness asks for."""
        self.device = PartialState().device
        self.facts["pixels_checked"] = check_contract(self.name, self.pixels, self.model)
        self.model.eval().requires_grad_(False).to(self.device)
        self.weight_hash = weight_hash(self.model)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        depth = len(self.model.feature_info)
        self.blocks: Sequence[str] = tuple(
            str(block) for block in sorted({depth // 2, (3 * depth) // 4, depth} - {0})
        )
        self.default_block = str(depth)
        if self.has_global:
            self.reductions = (*self.reductions, "global")

    @torch.inference_mode()
    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return tokens of blocks counted from 1, after the model's final norm."""
        indices = [int(block) - 1 for block in blocks]
        prefix = {"return_prefix_tokens": True} if self.has_global else {}
        maps = self.model.forward_intermediates(
            images.to(self.device), indices=indices, norm=True, intermediates_only=True, **prefix
        )
        found = {}
        for block, made in zip(blocks, maps, strict=True):
            feature_map, pooled = (made[0], made[1][:, 0]) if self.has_global else (made, None)
            found[block] = Tokens(feature_map.flatten(2).transpose(1, 2), pooled)
        return found


def build(name: str, *, pretrained: bool, size: int | None = None) -> tuple[nn.Module, PixelContract]:
    """Return a timm model and its pixel contract; say so where name or weights are not to be had.

    Args:
        name: of the model, or ``hf-hub:OWNER/MODEL`` or ``local-dir:FOLDER``.
        pretrained: whether to load weights.
        size: side of the pictures, by default that of the weights.

    """
    if not name.startswith(HUBS) and not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models())
    if name.startswith("local-dir:") and not Path(name.removeprefix("local-dir:")).is_dir():
        raise PacoError(f"timm:{name}: no such folder.")
    model = _create(name, pretrained, {"img_size": size} if size is not None else {})
    if not hasattr(model, "forward_intermediates"):
        raise PacoError(
            f"timm:{name} gives no intermediate features; choose a model with forward_intermediates."
        )
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", (1,))[0]
    if size is not None and size % patch:
        raise PacoError(
            f"timm:{name} cannot take pictures of {size} pixels: they must be a multiple of {patch}."
        )
    return model, contract_of(model, size)


def contract_of(model: nn.Module, size: int | None = None) -> PixelContract:
    """Return the pixel contract that a timm model carries with it, for pictures of another size if one is given."""
    config: dict[str, Any] = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    interpolation: Literal["bilinear", "bicubic"] = (
        "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    )
    built_for = getattr(
        getattr(model, "patch_embed", None), "img_size", None
    )  # may differ from the weights' own
    return PixelContract(
        size or (built_for[0] if built_for else config["input_size"][-1]),
        tuple(config["mean"]),
        tuple(config["std"]),
        interpolation=interpolation,
    )


def _create(name: str, pretrained: bool, sized: dict[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0, **sized)
    except TypeError:
        if not sized:
            raise
        return _create(name, pretrained, {})  # a convolutional network takes pictures of any size
    except (AssertionError, ValueError) as error:
        if not sized:
            raise
        raise PacoError(
            f"timm:{name} cannot take pictures of {sized['img_size']} pixels: {error}."
        ) from error
    except Exception as error:  # timm raises whatever its download backend raises
        raise PacoError(f"timm:{name} could not be loaded ({type(error).__name__}: {error}). "
                        "Its weights must be in the Hugging Face cache or the network reachable.") from error  # fmt: skip
    return model


def class_token_trained(model: nn.Module) -> bool:
    """Say whether the weights' objective trained the class token, by the pooling and the tag of the weights."""
    takes = signature(model.forward_intermediates).parameters  # type: ignore[arg-type]
    config = getattr(model, "pretrained_cfg", {})
    label = f"{config.get('architecture', '')}.{config.get('tag', '')}"
    return (
        "return_prefix_tokens" in takes
        and getattr(model, "cls_token", None) is not None
        and getattr(model, "global_pool", "") == "token"
        and not any(part in label for part in UNTRAINED_TOKEN)
    )


def load(name: str) -> TimmEncoder:
    """Return ``timm:NAME[?size=S&weights=FILE]``, with the weights of that name or those in the file."""
    what, options = split_options(name, ("size", "weights"))
    size = size_option(name, options)
    model, pixels = build(what, pretrained="weights" not in options, size=size)
    if "weights" in options:
        _fill(model, Path(options["weights"]))
    return TimmEncoder(name, model, pixels, has_global=class_token_trained(model))


def _fill(model: nn.Module, path: Path) -> None:
    """Load a file of weights for the whole architecture; its classifier, which is not needed, may be there."""
    tensors = read_tensors(path)
    if isinstance(model, VisionTransformer):
        tensors = checkpoint_filter_fn(tensors, model, antialias=False)
    classifier = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    heads = tuple(f"{head}." for head in ((classifier,) if isinstance(classifier, str) else classifier))
    load_exactly(
        model, {key: value for key, value in tensors.items() if not key.startswith(heads)}, str(path)
    )
