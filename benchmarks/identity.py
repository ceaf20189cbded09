"""What identity and checks cost: an encoder loaded, data known by their contents, cached features read, a row believed.

Each is timed with and without, in processor time, which other work on the machine disturbs least; the shares are of an
evaluation of 10,000 pictures by a ViT-S (whose forward pass is measured on a few and scaled) and of the same evaluation
with everything in the cache.

Run: python -m benchmarks.identity [--pictures 10000] [--model vit_small_patch16_224]
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import paco_eval.testing
from paco_eval.encoders import ADAPTERS, load_encoder
from paco_eval.encoders import timm as timm_adapter
from paco_eval.encoders._identity import identified
from paco_eval.encoders._probe import probe_pictures
from paco_eval.encoders.timm import TimmEncoder, contract_of
from paco_eval.evaluation import record, runner
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.features import cache
from paco_eval.features.cache import Address
from paco_fr.checkpoint import weight_hash
from paco_fr.contracts import Tokens
from paco_fr.faces import contents as seen
from paco_fr.faces.contents import contents_of
from paco_fr.faces.pixels import prepare
from paco_fr.utils.random import generator
from tasks.readers.user import folder
from tasks.user_tasks import own_task


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Return the least processor time of a call, without collections of garbage, which fall where they like."""
    times = []
    for _ in range(repeats):
        gc.collect()
        gc.disable()
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
        gc.enable()
    return min(times)


def loading(model: str, repeats: int) -> tuple[TimmEncoder, dict[str, float]]:
    """Return an encoder, and what it takes to build it, to hash its tensors and to show it the probe or remember it."""
    built = timm.create_model(model, num_classes=0).eval()
    pixels = contract_of(built)
    parts = {
        "network built": seconds(lambda: timm.create_model(model, num_classes=0), repeats),
        "tensors hashed": seconds(lambda: weight_hash(built), repeats),
    }
    began = time.process_time()
    encoder = identified(TimmEncoder(model, built, pixels))
    parts["probe, first time"] = time.process_time() - began - parts["tensors hashed"]
    parts["probe, remembered"] = seconds(lambda: identified(encoder), repeats) - parts["tensors hashed"]
    return encoder, parts  # type: ignore[return-value]


def reading(count: int, width: int, repeats: int) -> dict[str, float]:
    """Return what it takes to read features of so many pictures: unchecked, checked, and again in the same process."""
    address = Address("benchmark", 1, "pixels", 224, "12", "mean")
    keys = generator("benchmark keys", count).integers(0, 256, (count, 16), dtype=np.uint8)
    cache.store(address, keys, generator("values", count).normal(size=(count, width)).astype(np.float32))
    (path,) = address.folder.glob("*.safetensors")

    def plain() -> None:
        with safe_open(path, framework="np") as file:
            found, values = file.get_tensor("keys"), file.get_tensor("features")
        rows = {key.tobytes(): row for row, key in enumerate(found)}
        values[[rows[key.tobytes()] for key in keys]]

    def checked() -> None:
        cache._known.clear()
        cache.find(address, keys)

    return {
        "features unchecked": seconds(plain, repeats),
        "features, first reading": seconds(checked, repeats),
        "features, later readings": seconds(lambda: cache.find(address, keys), repeats),
    }


def contents(files: Path, count: int, repeats: int) -> dict[str, float]:
    """Return what it takes to know files by what they hold."""
    paths = [files / f"{number:06d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(number.to_bytes(4) * 12_500)
    time.sleep(0.2)  # files of this very moment are not remembered
    began = time.process_time()
    contents_of(paths)
    first = time.process_time() - began
    return {
        "contents, first time": first,
        "contents, remembered": seconds(lambda: contents_of(paths), repeats),
    }


def pictures(faces: Path, count: int) -> None:
    """Write small pictures into folders of two classes."""
    for number in range(count):
        level = generator("benchmark picture", number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        (place := faces / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(level).save(place / f"{number:06d}.bmp")
    time.sleep(0.2)


def warm(name: str, faces: Path, repeats: int) -> tuple[float, float]:
    """Return what it takes to score pictures again whose features are cached, and what checks add, medians of rounds.

    Unchecked, files are what they were when they were first looked at by their names, nobody asks whether train and
    test share pictures, features and rows are believed, and an encoder has the identity that it had. The encoder is
    loaded each time. Features are filled in by a stand-in for its forward pass.
    """
    task = own_task(f"classes={faces}")

    def evaluate() -> None:
        cache._known.clear()
        out = faces.with_name("out")
        assert not evaluate_all([name], [task], out=out, overwrite="always", say=lambda _: None)

    def averages(encoder: TimmEncoder, images: torch.Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        values = images.flatten(1).float()[:, : encoder.model.num_features]
        return {block: Tokens(values[:, None].expand(-1, 196, -1)) for block in blocks}

    told: Any = load_encoder(name)
    with patch.object(TimmEncoder, "tokens", averages):
        evaluate()
        known: dict[str, Any] = {}

        def believed(paths: Sequence[str | os.PathLike[str]], *, sized: bool) -> list[Any]:
            new = [os.fspath(path) for path in paths if os.fspath(path) not in known]
            known.update(zip(new, looked(new, sized=True), strict=True) if new else ())
            return [known[os.fspath(path)] for path in paths]

        def unchecked(path: Path, _: Address) -> Any:
            with safe_open(path, framework="np") as file:
                return file.get_tensor("keys"), file.get_tensor("features")

        def unidentified(_: str) -> Any:
            made = import_module(ADAPTERS[name.partition(":")[0]].module).load(name)
            made.identity, made.weight_hash = told.identity, told.weight_hash
            return made

        looked = seen._look
        stand_ins = (
            (seen, "_look", believed), (folder, "about_parts", lambda *_: None), (cache, "_read", unchecked),
            (runner, "load_encoder", unidentified), (timm_adapter, "weight_hash", lambda _: ""),
            (paco_eval.testing, "check_encoder", lambda *_, **__: None), (record, "whole_row", lambda _: None),
        )  # fmt: skip
        checked, plain = [], []
        for _ in range(repeats + 1):  # in turn, for the machine has other work at times
            checked.append(seconds(evaluate, 1))
            with ExitStack() as stack:
                for module, what, stand_in in stand_ins:
                    stack.enter_context(patch.object(module, what, stand_in))
                plain.append(seconds(evaluate, 1))
    return median(plain), median(more - less for more, less in zip(checked, plain, strict=True))


def main() -> None:
    """Print all parts, and their shares of an evaluation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--model", default="vit_small_patch16_224")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["PACO_CACHE"] = f"{name}/cache"
        encoder, parts = loading(options.model, options.repeats)
        images = prepare(probe_pictures(encoder.pixels.size), encoder.pixels)
        with torch.inference_mode():
            forward = seconds(lambda: encoder.tokens(images, encoder.blocks), options.repeats) / len(images)
        parts |= reading(options.pictures, encoder.model.num_features, options.repeats)
        (files := Path(name) / "files").mkdir()
        parts |= contents(files, options.pictures, options.repeats)
        weights = Path(name) / "weights.safetensors"
        save_file(encoder.model.state_dict(), weights)
        pictures(Path(name) / "faces", options.pictures)
        mean, std = (",".join(map(str, values)) for values in (encoder.pixels.mean, encoder.pixels.std))
        own = f"timm:{options.model}?weights={weights}&mean={mean}&std={std}"
        starts = {each: warm(each, Path(name) / "faces", options.repeats) for each in ("pixels", own)}
    for what, took in parts.items():
        print(f"{what:28}{took:9.3f} s")
    whole = forward * options.pictures
    layers = len(encoder.blocks) * len(encoder.reductions)
    first = parts["tensors hashed"] + parts["probe, first time"] + parts["contents, first time"]
    check = parts["features, first reading"] - parts["features unchecked"]
    print(f"forward passes of {options.pictures:,} pictures {whole:.0f} s")
    print(f"identity and checks: {100 * (first + layers * check) / (whole + first):.2f} % of an evaluation")
    for each, (plain, added) in starts.items():
        print(
            f"warm evaluation by {each.partition('?')[0]}: unchecked {plain:.3f} s, checks {added:.3f} s, "
            f"{100 * added / plain:.1f} %"
        )


if __name__ == "__main__":
    main()
