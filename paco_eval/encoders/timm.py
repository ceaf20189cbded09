"""Any timm model, with the preprocessing that belongs to its weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from accelerate import PartialState
from timm.data.config import resolve_model_data_config
from timm.models import get_arch_pretrained_cfgs
from torch import Tensor, nn

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._options import (
    NETWORK,
    NOTHING,
    PIXELS,
    Network,
    grid_option,
    network_options,
    over,
    size_option,
    split_options,
    stated,
)
from paco_eval.encoders._state import BESIDE
from paco_eval.encoders._weights import build_vit, load_exactly, read_tensors, what_it_is
from paco_fr.checkpoint import weight_hash
from paco_fr.contracts import CropContract, PixelContract, Tokens, content_hash
from paco_fr.utils.errors import PacoError, in_a_line, one_line, unknown_name

HUBS = ("hf-hub:", "local-dir:")
UNTRAINED_TOKEN = ("mae", "mim", "beit", "simmim")
"""Parts of a tag of weights whose objective looks at patches only, so that the class token learned nothing."""


@dataclass
class TimmEncoder:
    """A timm model whose intermediate features are the patch tokens. See :class:`paco_fr.contracts.Encoder`.

    Attributes:
        has_global: whether a loss trained the class token, which then is the global token.
        network: what the user stated about the network; it joins the identity of the weights.

    """

    name: str
    model: Any
    pixels: PixelContract
    has_global: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    reductions: Sequence[str] = ("mean", "grid4")
    required_crop: CropContract | None = None
    adapter_version: int = 1
    network: Network = NOTHING

    def __post_init__(self) -> None:
        """Freeze the model and read off it what the harness asks for."""
        self.device = PartialState().device
        self.facts["pixels_checked"] = check_contract(self.name, self.pixels, self.model)
        self.model.eval().requires_grad_(False).to(self.device)
        self.weight_hash = self.stated_hash
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        depth = len(self.model.feature_info)
        self.blocks: Sequence[str] = tuple(
            str(block) for block in sorted({depth // 2, (3 * depth) // 4, depth} - {0})
        )
        self.default_block = str(depth)
        grid = getattr(getattr(self.model, "patch_embed", None), "grid_size", None) or (1, 1)
        if grid[0] != grid[1]:
            self.reductions = tuple(name for name in self.reductions if name != "grid4")
        if self.has_global:
            self.reductions = (*self.reductions, "global")

    @property
    def stated_hash(self) -> str:
        """Return the hash of the tensors as they are now, and of what the user stated about the network."""
        own = weight_hash(self.model)
        return content_hash([own, self.network.changed]) if self.network.changed else own

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


def build(
    name: str, *, pretrained: bool, size: int | None = None, network: Network = NOTHING
) -> tuple[nn.Module, PixelContract]:
    """Return a timm model and its pixel contract; say so where name or weights are not to be had.

    Args:
        name: of the model, or ``hf-hub:OWNER/MODEL`` or ``local-dir:FOLDER``.
        pretrained: whether to load weights.
        size: side of the pictures, by default that of the weights.
        network: heads, activation and eps in place of the model's own.

    """
    if not name.startswith(HUBS) and not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models())
    if name.startswith("local-dir:") and not Path(name.removeprefix("local-dir:")).is_dir():
        raise PacoError(f"timm:{name}: no such folder.")
    model = _create(name, pretrained, {"img_size": size} if size is not None else {}, _changes(network))
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


def _changes(network: Network) -> dict[str, Any]:
    """Return what the user stated as arguments of a timm model."""
    changes: dict[str, Any] = {"num_heads": network.heads, "act_layer": network.act}
    if network.eps is not None:
        changes["norm_layer"] = partial(nn.LayerNorm, eps=network.eps)
    return {key: value for key, value in changes.items() if value is not None}


def _create(name: str, pretrained: bool, sized: dict[str, Any], changes: dict[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0, **sized, **changes)
    except TypeError as error:
        if sized:
            return _create(
                name, pretrained, {}, changes
            )  # a convolutional network takes pictures of any size
        if changes:
            raise PacoError(f"timm:{name} takes no heads=, act= or eps= ({one_line(error)}).") from error
        raise
    except (AssertionError, ValueError) as error:
        if changes:
            raise PacoError(f"timm:{name} cannot be built as stated ({one_line(error)}).") from error
        if not sized:
            raise
        raise PacoError(
            f"timm:{name} cannot take pictures of {sized['img_size']} pixels: {one_line(error)}."
        ) from error
    except Exception as error:  # timm raises whatever its download backend raises
        raise PacoError(f"timm:{name} could not be loaded ({type(error).__name__}: {one_line(error)}). "
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
    """Return ``timm:NAME[?OPTIONS]``, with the weights of that name or those of ``weights=FILE``."""
    what, options = split_options(name, (*PIXELS, *NETWORK, "weights"))
    size, network = size_option(name, options), network_options(name, options)
    model, pixels = build(what, pretrained="weights" not in options, size=size, network=network)
    token = class_token_trained(model)
    facts: dict[str, Any] = {"stated": stated(options)}
    if "weights" in options:
        _ask_for_pixels(name, what, options)
        token = fill(model, Path(options["weights"]), f"timm:{what}", size, token and "." in what)
    if network.has_global is not None:
        token = _global(model, network.has_global, name)
    return TimmEncoder(
        name, model, over(name, options, pixels), has_global=token, facts=facts, network=network
    )


def from_tensors(
    name: str,
    options: dict[str, str],
    tensors: Mapping[str, Tensor],
    file: str,
    *,
    objective: str,
    clip: bool = False,
    has_global: bool = False,
    **pixels: Any,
) -> TimmEncoder:
    """Return the transformer in published tensors as an encoder; what the user states goes before what is known.

    Args:
        name: of the encoder, as it was written.
        options: those after the ``?``.
        tensors: in timm's or CLIP's layout, see :func:`build_vit`.
        file: where they come from.
        objective: what trained them.
        clip: whether they are in CLIP's layout.
        has_global: whether that trained the class token.
        pixels: fields of the pixel contract of such weights.

    """
    network = network_options(name, options)
    model, assumed = build_vit(
        tensors,
        file,
        clip=clip,
        size=size_option(name, options),
        network=network,
        grid=grid_option(name, options),
    )
    contract = over(name, options, PixelContract(model.patch_embed.img_size[0], **pixels))
    token = has_global and model.cls_token is not None
    if network.has_global is not None:
        token = _global(model, network.has_global, name)
    facts = {"objective": objective, "stated": stated(options), "assumed": assumed}
    return TimmEncoder(name, model, contract, has_global=token, facts=facts, network=network)


def _global(model: Any, wanted: bool, name: str) -> bool:
    """Return what the user said about the class token, if there is one."""
    takes = signature(model.forward_intermediates).parameters
    if wanted and (getattr(model, "cls_token", None) is None or "return_prefix_tokens" not in takes):
        raise PacoError(f"{name}: global=yes, but the network has no class token.")
    return wanted


def _ask_for_pixels(name: str, what: str, options: Mapping[str, str]) -> None:
    """Refuse a file of an architecture that was published with several means, unless they or the tag are named."""
    architecture, _, tag = what.partition(".")
    if tag or what.startswith(HUBS) or {"mean", "std", "range"} & set(options):
        return
    configs = get_arch_pretrained_cfgs(architecture)
    known = {full.partition(".")[2]: (config.mean, config.std) for full, config in configs.items()}
    if len(set(known.values())) > 1:
        listed = "; ".join(
            f"mean={','.join(f'{value:g}' for value in mean)}&std={','.join(f'{value:g}' for value in std)}"
            f" ({next(tag for tag, pair in known.items() if pair == (mean, std))})"
            for mean, std in sorted(set(known.values()))
        )
        raise PacoError(
            f"{name}: weights of {architecture} were published with several means, and a file does not say its own. "
            f"Add one of {listed}, or name the tag before the ?."
        )


SPARE = (*BESIDE, "lm_head.", "fc_norm_moco.", "dist_head.")
"""Names of parts in files of weights that served the pretraining alone."""
MOVABLE = ("pos_embed", "relative_position", "rel_pos")
"""Parts of names of tensors that depend on the size of the pictures, and that timm resizes."""


def fill(model: nn.Module, path: Path, what: str, size: int | None, token: bool) -> bool:
    """Load a file of weights for the whole architecture through timm's own filter; return whether it has a global token.

    Shapes are checked before the filter sees them: it would resize the patches of another network without a word.
    A classifier is not needed, but may be there; on a class token it says that a loss trained that token.

    Args:
        model: to fill.
        path: the file.
        what: the model in the words of the user, for errors.
        size: side of the pictures where the user states it; only then positions may be resized.
        token: whether the class token is known to be trained.

    """
    expected = model.state_dict()
    tensors = read_tensors(path, expected)
    _refuse_misfits(tensors, expected, path, what, resized=size is not None)
    classifier = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    heads = tuple(f"{head}." for head in ((classifier,) if isinstance(classifier, str) else classifier))

    def own(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        spare = tuple(part for part in SPARE if not any(name.startswith(part) for name in expected))
        return {name: tensor for name, tensor in found.items() if not name.startswith((*heads, *spare))}

    kept = own(tensors)
    if {name: value.shape for name, value in kept.items()} != {
        name: value.shape for name, value in expected.items()
    }:
        module = sys.modules[type(model).__module__]
        filters = (
            getattr(module, name, None)
            for name in ("checkpoint_filter_fn", "_filter_fn", "_checkpoint_filter_fn")
        )
        timms = next(filter(None, filters), None)
        if timms is not None:
            try:
                kept = own(timms(dict(tensors), model))
            except (
                Exception
            ) as error:  # it expects files of its own architecture and fails in any way on others
                raise PacoError(
                    f"{path} is {what_it_is(tensors)}; timm cannot make it weights of {what} ({in_a_line(error)})."
                ) from error
            shapes = {tuple(value.shape) for value in tensors.values()}
            for name, value in kept.items():
                if (
                    value.ndim == 4
                    and tuple(value.shape) not in shapes
                    and not any(part in name for part in MOVABLE)
                ):
                    raise PacoError(
                        f"{path} has no '{name}' of shape {tuple(value.shape)}, which {what} has: another patch?"
                    )
    load_exactly(model, kept, str(path))
    trained = "head.weight" in tensors and class_token_trained(model) and "mask_token" not in tensors
    return token or trained


def _refuse_misfits(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, what: str, *, resized: bool
) -> None:
    """Refuse tensors of the model's names and other shapes, but positions where another size was asked for."""
    for name in sorted(set(tensors) & set(expected)):
        found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if found == wanted or (found[-2:] == wanted and len(found) > len(wanted)):
            continue
        moves = (
            any(part in name for part in MOVABLE) and len(found) == len(wanted) and found[-1] == wanted[-1]
        )
        if moves and resized:
            continue
        flattened = len(found) != len(wanted) and tensors[name].numel() == expected[name].numel()
        if flattened:
            continue  # timm's filter reshapes linear layers that are convolutions in its own network
        hint = ""
        if moves:
            hint = " Its pictures had another size or window: add size=, or choose the model of that size."
        elif "patch_embed" in name and len(found) == 4 == len(wanted) and found[2:] != wanted[2:]:
            hint = f" It has patches of {found[2]} x {found[3]}, the model of {wanted[2]} x {wanted[3]}."
        elif "relative_position_bias_table" in name:
            hint = f" It has {found[-1]} heads there, the model {wanted[-1]}."
        raise PacoError(f"{path} has '{name}' of shape {found}, {what} needs {wanted}.{hint}")
