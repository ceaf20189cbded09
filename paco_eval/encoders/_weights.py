"""Published weight files: read without running code, and named for what they are when they are something else."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from paco_fr.checkpoint import load_weights
from paco_fr.utils.errors import PacoError

WRAPPERS = ("state_dict", "model", "module", "teacher", "student")
"""Keys under which training scripts put the tensors."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or torch file by name, the prefix ``module.`` taken off.

    Torch files are read with ``weights_only=True``; ``argparse.Namespace`` alone is allowed beside tensors
    and plain values, because published MAE files hold their arguments.

    Raises:
        PacoError: no such file, damaged, a TorchScript archive, or with objects that would run code.

    """
    if not path.is_file():
        raise PacoError(f"No weight file {path}.")
    if path.suffix == ".safetensors":
        return load_weights(path)
    if _is_torchscript(path):
        raise PacoError(
            f"{path} is a TorchScript program, not a file of weights. Use torchscript:{path} with --trust."
        )
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PacoError(
            f"{path} holds more than tensors and plain values, or is damaged, and is not unpickled: "
            f"{_first_line(error)} Save its state_dict alone, best as safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PacoError(f"{path} cannot be read as torch weights: {_first_line(error)}") from error
    tensors = _unwrapped(found)
    if not tensors:
        raise PacoError(f"{path} holds no tensors by name. Give a state_dict.")
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]


def _unwrapped(found: object) -> dict[str, Tensor]:
    while isinstance(found, Mapping):
        tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
        inner = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            return tensors
        found = inner
    return {}


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
