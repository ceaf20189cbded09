"""Published weight files and the vision transformers in them.

Files are read without running code, and named for what they are when they are something else. A transformer is built
from its tensors alone: its sizes are read off the shapes, and nothing may be left over.
"""

from __future__ import annotations

import mmap
import pickle
import pickletools
import re
import zipfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from paco_eval.encoders._state import admitted, find_state
from paco_fr.checkpoint import load_weights
from paco_fr.utils.errors import PacoError, in_a_line, one_line, quoted

UNPACKED = 20
"""How many times its size a file of weights may unpack to; torch does not pack at all."""
HEAD_WIDTH = 64
WIDE_HEADS = {1280: 16}
"""Heads of the published widths that are not split into heads of 64 (ViT-H)."""


def read_tensors(path: Path, anchors: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or torch file by name, see :func:`find_state`.

    Torch files are read with ``weights_only=True``: torch's restricted unpickler makes tensors and plain values, and
    what :func:`admitted` names beside them as things without content. Nothing of the file runs.

    Args:
        path: the file.
        anchors: names of which a network of the wanted layout has at least one.

    Raises:
        PacoError: no such file, damaged, a TorchScript archive, with objects that would run code, or without tensors.

    """
    if not path.is_file():
        raise PacoError(f"No weight file {path}.")
    tensors = find_state(load_weights(path) if path.suffix == ".safetensors" else _read_torch(path), anchors)
    if not tensors:
        raise PacoError(f"{path} holds no tensors by name. Give a state_dict.")
    return tensors


def _read_torch(path: Path) -> object:
    if _is_torchscript(path):
        raise PacoError(
            f"{path} is a TorchScript program, not a file of weights. Use torchscript:{path} with --trust."
        )
    if not zipfile.is_zipfile(path):
        _check_storages(path)
    try:
        with torch.serialization.safe_globals(admitted()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"an object of {one_line(named[1])}" if named else f"something else ({one_line(error)})"
        raise PacoError(
            f"{path} is not unpickled: beside tensors and plain values it holds {what}, and making such objects runs "
            "code, or it is damaged. Save its state_dict alone, best as safetensors."
        ) from error
    except Exception as error:  # a torn or made-up pickle fails in any way, deep within torch
        raise PacoError(
            f"{path} cannot be read as torch weights ({in_a_line(error)}). Copy or download it again."
        ) from error


def _is_torchscript(path: Path) -> bool:
    """Say whether a file is an archive with a program in it; one that unpacks to far more than it is, is refused."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PacoError(
            f"{path} is a damaged archive ({one_line(error)}). Copy or download it again."
        ) from error
    if unpacked > UNPACKED * path.stat().st_size + 1_000_000:
        raise PacoError(
            f"{path} unpacks to {unpacked:,} bytes, {UNPACKED} times its size. torch packs no weights."
        )
    return any(name.endswith("/constants.pkl") for name in names)


def _check_storages(path: Path) -> None:
    """Refuse a file of torch's old format that announces more than it has: torch makes room before it reads.

    Such a file begins with five pickles, which name its tensors, each by a tuple whose last number is their count of
    values; what follows are the values.
    """
    size, number = path.stat().st_size, 0
    if size == 0:
        raise PacoError(f"{path} is empty. Copy or download it again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            for _ in range(5):
                for operation, argument, _ in pickletools.genops(content):
                    if operation.name == "BINPERSID" and not 0 <= number <= size:
                        raise PacoError(
                            f"{path} announces a tensor of {quoted(number)} values and has {size} bytes. Download it again."
                        )
                    if isinstance(argument, int) and ("INT" in operation.name or "LONG" in operation.name):
                        number = argument
        except (ValueError, OverflowError, IndexError) as error:
            raise PacoError(
                f"{path} cannot be read as torch weights ({one_line(error)}). Copy or download it again."
            ) from error


def sorted_out(
    tensors: Mapping[str, Tensor], *, wanted: Collection[str], spare: Collection[str], where: str, layout: str
) -> dict[str, Tensor]:
    """Return the wanted tensors and refuse a file with others than wanted and spare ones.

    Args:
        tensors: by name.
        wanted: prefixes of the encoder's own names.
        spare: prefixes of parts of the pretraining that an encoder does without.
        where: the file, for errors.
        layout: what the file should be, for errors, e.g. "FaRL's published state".

    """
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(tuple(wanted))}
    strange = [name for name in tensors if name not in own and not name.startswith(tuple(spare))]
    if strange or not own:
        raise wrong_file(tensors, where, layout)
    return own


def wrong_file(tensors: Mapping[str, Tensor], where: str, layout: str) -> PacoError:
    """Return the error that names a file for what it is."""
    return PacoError(f"{where} is {what_it_is(tensors)}, not {layout}.")


def what_it_is(tensors: Mapping[str, Tensor]) -> str:
    """Say in words what kind of network a state dict belongs to, by the names in it."""
    names = list(tensors)

    def any_name(*parts: str) -> bool:
        return any(part in name for part in parts for name in names)

    def begins(*prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in names)

    if any_name("BboxHead", "bbox_head", "ClassHead", "LandmarkHead", "anchor"):
        return "a face detector, not an encoder"
    if any_name("decode_head", "ppm", "psp_modules", "seg_head", "fpns.", "fpn_convs"):
        return "a fine-tuned parser or landmark network (it has a dense head), not an encoder"
    if begins("exp_avg") or ({"state", "param_groups"} <= set(names)):
        return "the state of an optimiser"
    if begins("online_encoder."):
        return "a pretraining checkpoint of MCF (mcf:)"
    if begins("visual.layer1", "visual.attnpool"):
        return "a CLIP with a ResNet image tower"
    if begins("visual."):
        return "a CLIP or FaRL state with an image tower (farl:)"
    if any_name("token_embedding", "text_projection") or begins("transformer.resblocks"):
        return "a text tower without an image tower"
    if begins("patch_embed."):
        if "head.weight" in tensors or begins("fc_norm"):
            outputs = f" of {len(tensors['head.weight'])} outputs" if "head.weight" in tensors else ""
            return f"a fine-tuned classifier (it has a head{outputs}), not a pretrained encoder"
        return "a vision transformer in the layout of MAE or timm (mae: or timm:NAME?weights=FILE)"
    if begins("layer1.", "bn1.", "conv1."):
        return "a convolutional network of residual layers (perhaps timm:NAME?weights=FILE)"
    return f"in an unknown layout (its first names: {', '.join(names[:3])})"


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
