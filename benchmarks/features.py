"""Extraction beside the bare forward pass of the same timm model, and ten tasks on one set beside one task.

Run: python -m benchmarks.features [--model vit_small_patch16_224] [--pictures 256] [--precision float32]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace

import numpy as np
import timm
import torch
from accelerate import PartialState
from datasets import Dataset

from paco_eval.encoders import load_encoder
from paco_eval.features.batches import BATCH
from paco_eval.features.extract import extract
from paco_eval.features.forward import PRECISIONS, reference_pictures, set_up
from paco_fr.contracts import CROPS
from paco_fr.faces import records
from paco_fr.faces.decode import encode_png
from tasks.units import Units, units_of


def pictures(count: int, side: int) -> Units:
    """Return units of different encoded pictures of a side in pixels."""
    base = reference_pictures(side, 8)
    cells = []
    for number in range(count):
        picture = base[number % 8].copy()
        picture[0, 0] = (number % 256, number // 256, 0)
        cells.append({"bytes": encode_png(picture), "path": None})
    names = [str(number) for number in range(count)]
    columns = {"image": cells, "image_id": names, "group": names}
    found = Dataset.from_dict(columns, features=records.features(columns))
    return units_of(found, replace(CROPS["whole"], canvas=side))


def waited(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_small_patch16_224")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    device = PartialState().device
    model = timm.create_model(options.model, num_classes=0).eval().to(device)
    encoder = set_up(load_encoder(f"random:{options.model}"), options.precision)
    units = pictures(options.pictures, encoder.pixels.size)
    tensors = torch.randn(BATCH, 3, encoder.pixels.size, encoder.pixels.size, device=device)
    bare, ours, ten = [], [], []
    for _ in range(options.repeats):  # in turns, so that a busy machine slows all alike
        with torch.inference_mode(), torch.autocast(device.type, PRECISIONS[options.precision],
                                                    enabled=options.precision != "float32"):  # fmt: skip
            started = waited(device)
            for at in range(0, options.pictures, BATCH):
                model.forward_features(tensors[: min(BATCH, options.pictures - at)])
            bare.append(waited(device) - started)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PACO_CACHE"] = folder
            started = waited(device)
            extract(encoder, units, ("mean", "grid4"))
            ours.append(waited(device) - started)
            for _ in range(9):
                extract(encoder, units, ("mean", "grid4"))
            ten.append(waited(device) - started)
    print(
        f"{options.model}, {options.pictures} pictures, {options.precision}, {device}, best of {options.repeats}"
    )
    for name, times in (("bare forward on tensors", bare), ("extraction, files to stored features", ours),
                        ("ten tasks on the same pictures", ten)):  # fmt: skip
        print(f"{name:38} {min(times):8.2f} s  {options.pictures / min(times):8.1f} pictures/s")
    print(f"extraction / bare {min(bare) / min(ours):.2f}   ten tasks / one {np.min(ten) / np.min(ours):.2f}")


if __name__ == "__main__":
    main()
