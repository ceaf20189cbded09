"""Checkpoints: weights in safetensors beside a JSON card that says how they came about.

A folder holds ``model.safetensors`` (the whole objective), ``card.json``, ``metrics.jsonl`` and, for the
report, ``reconstruction.npz``, ``sheets/STEP.npz`` and ``codebook.npz``. Nothing in it is a pickle, except ``state.pt`` of an
unfinished run, which is read with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paco_fr.config import EncoderConfig, PretrainConfig, parse_config
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError, one_line, quoted
from paco_fr.utils.files import atomic_file, file_checksum, write_text
from paco_fr.utils.untrusted import read_json

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

FORMAT = 1
SHIPPED = Path(__file__).parent / "weights"
"""Checkpoints that come with the package, one folder each; there may be none."""


DAMAGED_WEIGHTS = "damaged, or exchanged. Restore both files, or train again."


def shipped() -> list[str]:
    """Return the names of the encoders that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/card.json"))


def weight_hash(module: nn.Module) -> str:
    """Return sixteen hex digits of all parameters and buffers, names and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save_checkpoint(folder: Path, model: nn.Module, config: PretrainConfig, facts: dict[str, Any]) -> None:
    """Write weights and card; ``facts`` are further entries of the card, e.g. data fingerprint and seconds."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_file(folder / "model.safetensors") as path:
        save_file(tensors, path)
        written = file_checksum(path)
    card = {
        "format": FORMAT,
        "objective": config.objective,
        "config": config.model_dump(mode="json"),
        "config_hash": config.hash,
        "encoder_hash": weight_hash(model.get_submodule("encoder")),
        "licence": "Apache-2.0",
        **facts,
    }
    write_text(folder / "card.json", signed(card, written))


def signed(card: dict[str, Any], weights: str) -> str:
    """Return the text of a card with the checksums of the weights' file and of the card itself."""
    card = {name: value for name, value in card.items() if name != "checksum"} | {"weights_checksum": weights}
    return json.dumps({**card, "checksum": content_hash(card)}, indent=2) + "\n"


def read_card(folder: Path) -> tuple[dict[str, Any], PretrainConfig]:
    """Return the card of a checkpoint folder and the configuration in it."""
    card = raw_card(folder)
    check_card(card, folder)
    return card, parse_config(card["config"], str(folder / "card.json"))


def check_card(card: dict[str, Any], folder: Path) -> None:
    """Refuse a card that is not as it was written. Cards of earlier versions have no checksum."""
    said, rest = card.get("checksum"), {name: value for name, value in card.items() if name != "checksum"}
    signed_once = said is not None or "weights_checksum" in card
    if signed_once and said != content_hash(rest):
        raise PacoError(
            f"{folder / 'card.json'} does not fit its checksum: damaged, or edited by hand. Restore the original file."
        )


def raw_card(folder: Path) -> dict[str, Any]:
    """Return the card of a checkpoint folder; its configuration may be one that this version cannot train."""
    path = folder / "card.json"
    if not path.is_file():
        raise PacoError(
            f"No checkpoint in {folder}: card.json is missing. Give the folder that `pretrain` wrote."
        )
    card: dict[str, Any] = read_json(path, "It is not a checkpoint card.")
    config = card.get("config")
    if "format" not in card or not isinstance(config, dict) or not isinstance(config.get("encoder"), dict):
        raise PacoError(f"{path} is not a checkpoint card: it lacks format, config or the encoder in it.")
    if (version := card["format"]) != FORMAT:
        raise PacoError(f"{path} has format {quoted(version)}; this version reads format {FORMAT}.")
    return card


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or say that it is none."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:  # ValueError: a type that torch does not have
        raise PacoError(f"Cannot read weights from {path}: {one_line(error)}.") from error


def check_weights(folder: Path, card: dict[str, Any]) -> None:
    """Refuse a file of weights that is not the one its card was written for; cards of earlier versions do not say."""
    said, path = card.get("weights_checksum"), folder / "model.safetensors"
    if said is not None and said != file_checksum(path):
        raise PacoError(
            f"{path} is not the file that {folder / 'card.json'} was written for: {DAMAGED_WEIGHTS}"
        )


def checked_torch(path: Path, device: Any = "cpu") -> Any:
    """Return what a file of torch holds, after every part of it was held against its CRC, which torch does not do.

    Raises:
        PacoError: it is no such file, is cut, or one bit of it is another.

    """
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
        if broken is None:
            return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged zip or pickle fails in many ways
        raise PacoError(f"{path} cannot be read ({type(error).__name__})") from error
    raise PacoError(f"{path} cannot be read ({broken} does not fit its checksum)")


def load_into(module: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Fill a module with tensors that fit it exactly, or name the first that does not."""
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise PacoError(f"{where} lacks '{name}': it was written by another recipe or objective.")
        if tensors[name].shape != tensor.shape:
            found, wanted = tuple(tensors[name].shape), tuple(tensor.shape)
            raise PacoError(f"{where}: '{name}' has shape {found}, the recipe in its card needs {wanted}.")
    surplus = sorted(set(tensors) - set(expected))
    if surplus:
        raise PacoError(f"{where} holds '{surplus[0]}', which the recipe in its card does not know.")
    module.load_state_dict(tensors)


def _check_size(config: EncoderConfig, tensors: dict[str, Tensor], where: str) -> None:
    """Refuse a card whose encoder has more weights than its file before room is made for them."""
    least = config.depth * 12 * config.dim**2 + config.dim * (config.cells + 3 * config.patch**2)
    held = sum(tensor.numel() for tensor in tensors.values())
    if least > held:
        raise PacoError(f"{where} holds {held:,} weights, the encoder of its card has at least {least:,}.")


def load_objective(folder: Path) -> tuple[Any, PretrainConfig]:
    """Return the whole objective of a checkpoint folder, in evaluation mode, with its configuration."""
    card, config = read_card(folder)
    weights = folder / "model.safetensors"
    tensors = load_weights(weights)
    _check_size(config.encoder, tensors, str(weights))
    from paco_fr.baselines import build_objective  # timm takes seconds to load

    model = build_objective(config)
    load_into(model, tensors, str(weights))
    check_weights(folder, card)
    check_encoder_hash(model.get_submodule("encoder"), card, folder)
    return model.eval().requires_grad_(False), config


def load_encoder(folder: Path) -> tuple[VisionTransformer, dict[str, Any], EncoderConfig]:
    """Return the pretrained encoder of a checkpoint folder, in evaluation mode, with card and configuration.

    Raises:
        PacoError: weights or card cannot be read, or the weights are not those that the card was written for.

    """
    card = raw_card(folder)
    weights = folder / "model.safetensors"
    encoder, config = encoder_of(card, load_weights(weights), str(weights))
    check_card(card, folder)  # after all else: what does not fit at all is told by its name
    check_weights(folder, card)
    check_encoder_hash(encoder, card, folder)
    return encoder.eval().requires_grad_(False), card, config


def check_encoder_hash(encoder: nn.Module, card: dict[str, Any], folder: Path) -> None:
    """Refuse an encoder that is not the one that a card was written for."""
    said = card.get("encoder_hash")
    if said is not None and said != (found := weight_hash(encoder)):
        raise PacoError(
            f"{folder / 'model.safetensors'}: the encoder is {found}, {folder / 'card.json'} says {quoted(said)}: "
            f"{DAMAGED_WEIGHTS}"
        )


def encoder_of(
    card: dict[str, Any], tensors: dict[str, Tensor], where: str
) -> tuple[VisionTransformer, EncoderConfig]:
    """Return the encoder among the tensors of a whole objective, however that was trained."""
    config = parse_config({"encoder": card["config"]["encoder"]}, where).encoder
    own = {
        name.removeprefix("encoder."): tensor
        for name, tensor in tensors.items()
        if name.startswith("encoder.")
    }
    _check_size(config, own, where)
    from paco_fr.model.vit import build_encoder

    encoder = build_encoder(config)
    load_into(encoder, own, where)
    return encoder, config
