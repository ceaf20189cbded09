"""Encoders for those who do not have this package: a folder for timm, a file for onnxruntime.

Both carry the pixel contract and a model card, and both are read back and held against the encoder before
the call returns. For those who do have it: a checkpoint in half precision, small enough to ship.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from paco_fr.checkpoint import (
    SHIPPED,
    check_card,
    check_encoder_hash,
    check_weights,
    encoder_of,
    load_encoder,
    load_weights,
    raw_card,
    signed,
    weight_hash,
)
from paco_fr.config import EncoderConfig
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file, file_checksum, never_onto, writable_folder, write_text
from paco_fr.utils.random import generator

TOLERANCE = 1e-4
"""Largest absolute difference of features that onnxruntime may show."""

Scores = Callable[[str, str], str]
"""Gives the card's words on scores, as Markdown, for a hash of weights and a hash of a pixel contract. It raises
PacoError where it has none for them, before anything is written. None: the card says that nothing was measured."""


def export_timm(checkpoint: Path, out: Path, scores: Scores | None = None) -> Path:
    """Write a folder that ``timm.create_model("local-dir:OUT", pretrained=True)`` loads strictly; return it.

    The features of ``model.forward_features(images)`` are the patch tokens (B, N, D) of the checkpoint.
    """
    never_onto(out, checkpoint)
    import timm

    encoder, card, config = load_encoder(checkpoint)
    measured = _scores(scores, encoder, config, checkpoint)
    card = without_places(card)
    writable_folder(out)
    pixels = config.pixels
    arguments = _arguments(config)
    values = {
        "architecture": "vit_base_patch16_224",  # any ViT: model_args overrides all its sizes
        "num_classes": 0,
        "num_features": config.dim,
        "global_pool": "",
        "model_args": arguments,
        "pretrained_cfg": {
            "tag": f"{card['objective']}_{card['config']['name']}",
            "input_size": [3, pixels.size, pixels.size],
            "fixed_input_size": True,
            "interpolation": pixels.interpolation,
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(pixels.mean),
            "std": list(pixels.std),
            "num_classes": 0,
            "pool_size": None,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
            "license": card.get("licence", "unknown"),
        },
    }
    tensors = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    with atomic_file(out / "model.safetensors") as path:
        save_file(tensors, path, metadata={"format": "pt"})
    write_text(out / "config.json", json.dumps(values, indent=2) + "\n")
    write_text(out / "README.md", model_card(card, config, _timm_use(out), measured))
    loaded: Any = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    images = _probe(config)
    with torch.no_grad():
        if not torch.equal(loaded.forward_features(images), encoder.forward_features(images)):
            raise PacoError(
                f"{out}: timm's features differ from those of {checkpoint}. Report this with timm's version."
            )
    return out


def export_onnx(checkpoint: Path, out: Path, scores: Scores | None = None) -> Path:
    """Write ``encoder.onnx`` and its card into a folder, held against onnxruntime; return the folder.

    Input ``images`` (B, 3, S, S) prepared pictures, output ``tokens`` (B, N, D).
    """
    never_onto(out, checkpoint)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise PacoError(f"Exporting to ONNX needs {error.name}: pip install 'paco-eval[onnx]'.") from error
    encoder, card, config = load_encoder(checkpoint)
    measured = _scores(scores, encoder, config, checkpoint)
    card = without_places(card)
    writable_folder(out)
    images, path = _probe(config), out / "encoder.onnx"
    with atomic_file(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the tracer warns of the size checks of timm, which hold for any batch
            torch.onnx.export(
                _Features(encoder),
                (images,),
                str(temporary),
                input_names=["images"],
                output_names=["tokens"],
                dynamic_axes={"images": {0: "batch"}, "tokens": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
        model = onnx.load(str(temporary))
        contract = {"pixels": json.dumps(_contract(config)), "card": json.dumps(card)}
        for key, value in contract.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        for batch in (images, images[:1]):
            with torch.no_grad():
                expected = encoder.forward_features(batch).numpy()
            found = session.run(["tokens"], {"images": batch.numpy()})[0]
            worst = float(np.abs(found - expected).max())
            if worst > TOLERANCE:
                raise PacoError(
                    f"{path}: features differ by {worst:.1e}, more than {TOLERANCE:g}. Nothing was written."
                )
    write_text(out / "README.md", model_card(card, config, _onnx_use(), measured))
    return out


def export_half(checkpoint: Path, out: Path, scores: Scores | None = None) -> Path:
    """Write the checkpoint in half precision, with its card, and return the folder.

    It loads as ``paco:OUT`` like any other, at half the size; a folder below ``paco_fr/weights`` is shipped with
    the package and loads by its bare name. Its features are those of the rounded weights, so it has a hash,
    and rows, of its own.

    Raises:
        PacoError: a weight is too large for half precision.

    """
    never_onto(out, checkpoint)
    card = raw_card(checkpoint)
    tensors = load_weights(checkpoint / "model.safetensors")
    halved = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    lost = [name for name, tensor in halved.items() if not torch.isfinite(tensor).all()]
    if lost:
        raise PacoError(f"{checkpoint}: '{lost[0]}' does not fit half precision. Nothing was written.")
    check_card(card, checkpoint)
    check_weights(checkpoint, card)
    check_encoder_hash(encoder_of(card, tensors, str(checkpoint))[0], card, checkpoint)
    encoder, config = encoder_of(card, halved, str(checkpoint))
    card = {**without_places(card), "weights": "fp16", "encoder_hash": weight_hash(encoder)}
    measured = _scores(scores, encoder, config, out)
    writable_folder(out)
    with atomic_file(out / "model.safetensors") as path:
        save_file(halved, path)
        written = file_checksum(path)
    write_text(out / "README.md", model_card(card, config, f"`paco-eval evaluate {_called(out)}`", measured))
    write_text(out / "card.json", signed(card, written))  # last: a folder with a card is complete
    return out


def export_whole(checkpoint: Path, out: Path) -> Path:
    """Write a checkpoint as it is, its card without the places of this machine, and return the folder.

    It loads as ``paco:OUT``; its hash, and so its rows, are those of the original.
    """
    never_onto(out, checkpoint)
    card, weights = raw_card(checkpoint), checkpoint / "model.safetensors"
    check_card(card, checkpoint)
    check_weights(checkpoint, card)
    writable_folder(out)
    with atomic_file(out / "model.safetensors") as path:
        path.write_bytes(weights.read_bytes())
        written = file_checksum(path)
    write_text(out / "card.json", signed(without_places(card), written))
    return out


class _Features(torch.nn.Module):
    """The patch tokens of an encoder, as its only output."""

    def __init__(self, encoder: VisionTransformer) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.encoder.forward_features(images)
        return tokens


def _scores(
    scores: Scores | None, encoder: VisionTransformer, config: EncoderConfig, measurable: Path
) -> str:
    """Return the card's words on scores; ``measurable`` is the checkpoint folder whose weights these are."""
    if scores is not None:
        return scores(weight_hash(encoder), config.pixels.hash)
    return (
        "Not measured for this card. Measure with\n"
        f"`paco-eval evaluate {_called(measurable)} pixels constant --out RUN`, which stores every number with its setting, "
        "and\nexport again with `--scores RUN`."
    )


def _called(folder: Path) -> str:
    """Return what ``evaluate`` calls the encoder of a folder: shipped ones by the bare name."""
    return folder.name if folder.resolve().parent == SHIPPED.resolve() else f"paco:{folder.name}"


_PLACE = re.compile(
    r"""\A((?:\w{2,}:)?)(?:~|[A-Za-z]:)?/(?!/).*/|(?<![\w/.])(?:~|[A-Za-z]:)?/(?!/)(?:[^/\s,;'"]+/)*"""
)
"""The folders of an absolute path, whose last part stays; not those of an address or a relative path."""


def without_places(card: dict[str, Any]) -> dict[str, Any]:
    """Return a card for others: of absolute paths the last part alone, and no names of pictures that were skipped."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return _PLACE.sub(lambda found: found[1] or "", value) if isinstance(value, str) else value

    kept = {key: value for key, value in card.items() if key != "skipped"}
    if isinstance(skipped := card.get("skipped"), list):
        kept.setdefault("skipped_count", len(skipped))
    told: dict[str, Any] = plain(kept)
    return told


def model_card(card: dict[str, Any], config: EncoderConfig, use: str, scores: str) -> str:
    """Return the README of an exported encoder: pixels, data, recipe, licence, scores, use and limits."""
    pixels, trained = config.pixels, card["config"]
    data = trained["data"]
    crops = ", ".join(f"{share:.0%} {kind}" for kind, share in data["crops"].items())
    recipe = "\n".join(
        f"| {section}.{key} | {value} |"
        for section, values in trained.items()
        if isinstance(values, dict) and section != "run"
        for key, value in values.items()
    )
    return f"""# {card["objective"]} {trained["name"]}: a face encoder

A vision transformer of {config.depth} blocks of {config.dim}, patch {config.patch}, pretrained without labels by the objective
`{card["objective"]}` (encoder hash {card["encoder_hash"]}). It gives patch tokens in row-major order, no class token: pool
them by their mean or on a 4 x 4 grid.

## Pixels

{pixels.channels}, {pixels.size} x {pixels.size}, {pixels.interpolation}, scaled to {pixels.value_range[0]:g}..{pixels.value_range[1]:g}, mean {list(pixels.mean)}, std {list(pixels.std)}.
It was trained on these crops of faces: {crops}; five-point template `{data["template"]}`, jitter {data["jitter"]:.0%}.

## Use

{use}

## Data

{card.get("pictures", "unknown"):,} pictures of `{data["source"]}` (fingerprint {card.get("data_fingerprint", "unknown")}), shown {card.get("presentations", 0):,} times;
{card.get("skipped_count", 0)} could not be used.

## Licence

Weights: {card.get("licence", "unknown")}. Whoever trained on pictures with conditions of their own passes those on as well.

## Scores

{scores}

## Limits of use

- Made for research on representations. It identifies nobody by itself, and it is not fit for identifying people, for
  surveillance, or for decisions about them.
- Faces unlike those of its data (age, skin, light, pose, occlusion, cameras) are represented less well, and how much
  less is unknown until it is measured on pictures of the intended use.
- Crops other than those above shift the features; so do other resizing filters.

## Recipe

Seed {card.get("pretrain_seed", trained["seed"])}, torch {card.get("torch", "unknown")}, {card.get("processes", 1)} process(es) on {card.get("device", "unknown")}, {card.get("seconds", 0):,} s.

| field | value |
| --- | --- |
{recipe}
"""  # noqa: E501


def _arguments(config: EncoderConfig) -> dict[str, Any]:
    return {
        "img_size": config.size,
        "patch_size": config.patch,
        "embed_dim": config.dim,
        "depth": config.depth,
        "num_heads": config.heads,
        "class_token": False,
        "global_pool": "",
    }


def _contract(config: EncoderConfig) -> dict[str, Any]:
    return asdict(config.pixels)


def _probe(config: EncoderConfig) -> Tensor:
    size = config.size
    return torch.from_numpy(generator("export", 0).normal(size=(3, 3, size, size)).astype(np.float32))


def _timm_use(out: Path) -> str:
    return f"""```python
import timm
model = timm.create_model("local-dir:{out.name}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
tokens = model.forward_features(transform(image)[None])  # (1, N, D)
```"""


def _onnx_use() -> str:
    return """```python
import onnxruntime
session = onnxruntime.InferenceSession("encoder.onnx")
tokens = session.run(["tokens"], {"images": images})[0]  # (B, N, D) of prepared pictures (B, 3, S, S) float32
```

The pixel contract stands in the file's metadata too, under `pixels`."""
