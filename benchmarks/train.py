"""Speed of pretraining, side by side in one run: the loop against its own modules, packed faces against files.

    python -m benchmarks.train                             all of it, three minutes on two CPU cores
    python -m benchmarks.train --memory 10000              host memory over so many steps of the loop
    python -m benchmarks.train --recipe base-2m --set optimiser.batch=256 --pictures 4096 --rounds 2
                                                                 on a GPU: ViT-B/16, 224 px, bf16, compiled

``loop``: images/s of :func:`paco_fr.train.pretrain.pretrain` itself (order, masks, flips, optimiser, codebook, checks, log)
on packed faces, as its own log says them, against forward and backward of the same modules on one batch in memory,
in the same precision, compiled alike. Wanted: 0.85 of it on a CPU, 0.9 on a GPU. ``waiting`` is the share of time
in which the loop had no batch, at most which a GPU idles for data; wanted on a GPU: under 0.05. ``mfu`` is the share of
the GPU's peak that the work of a picture (:func:`paco_fr.train.dry_run.flops_per_picture`) makes up. Where blocks are compiled,
timm's whole encoder, compiled, all tokens, forward and backward, stands beside the objectives.

``reader``: images/s of packed faces through the run's own feed, masks and all, against torchvision's
``ImageFolder`` and ``DataLoader`` on the same pictures as JPEG files, both at 224 px, with equal workers, a random
flip and normalisation to float. Wanted: three times as many from raw uint8; the figure from JPEG shards stands beside it.

Measurements of a pair alternate, so that whatever else the machine does meets both; medians over rounds are shown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from paco_fr.config import PretrainConfig, load_recipe, set_fields
from paco_fr.data.open import open_faces
from paco_fr.data.pack import pack
from paco_fr.model.vit import build_encoder
from paco_fr.train.batches import Views, feed, prepared
from paco_fr.train.dry_run import flops_per_picture
from paco_fr.train.pretrain import LOG_EVERY_STEPS, choose_attention, fresh_model, pretrain
from paco_fr.utils.random import generator

OBJECTIVES = ("paco", "mae", "simmim")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PEAKS = {"H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}
"""Dense bf16 FLOP/s of GPUs by a part of their names, from NVIDIA's data sheets; the first that fits counts."""


def write_faces(folder: Path, count: int, size: int) -> None:
    """Write smooth, face-sized JPEG files: blobs of colour with a little noise, about as large as photographs."""
    (folder / "all").mkdir(parents=True)
    grid = np.arange(size) / size
    for index in range(count):
        rng = generator("benchmark faces", index)
        picture = np.zeros((size, size, 3))
        for _ in range(6):
            x, y, width = rng.uniform(0, 1, 3)
            blob = np.exp(-((grid[None] - x) ** 2 + (grid[:, None] - y) ** 2) / (0.01 + 0.1 * width))
            picture += blob[..., None] * rng.uniform(-1, 1, 3)
        picture = 128 + 60 * picture + rng.normal(0, 6, picture.shape)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(
            folder / "all" / f"{index:05d}.jpg", quality=95
        )


def rate(run: Callable[[], int]) -> float:
    """Return images/s of one call."""
    started = time.perf_counter()
    pictures = run()
    return pictures / (time.perf_counter() - started)


def alternately(runs: dict[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Return the median images/s of each, measured in turn."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(rate(run))
    return {name: statistics.median(values) for name, values in found.items()}


def loop(config: PretrainConfig, out: Path, steps: int) -> list[dict[str, Any]]:
    """Run the training loop for so many steps and return the lines of its log."""
    changed = {"presentations": steps * config.optimiser.batch}
    config = config.model_copy(update={"optimiser": config.optimiser.model_copy(update=changed)})
    pretrain(config, out)
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def bare(config: PretrainConfig) -> Callable[[int], int]:
    """Return forward and backward of an objective on one batch in memory, taking a number of steps."""
    views = Views(open_faces(config), config)
    model = fresh_model(config, views, DEVICE).train()
    first = 10 * len(views.pool.images)  # past incubation, as most of a run is
    held = prepared(views.raw(range(first, first + config.optimiser.batch))[0].to(DEVICE), config)
    return _passes(config, lambda: model(held).loss, model)


def whole_encoder(config: PretrainConfig) -> Callable[[int], int]:
    """Return forward and backward of timm's encoder on all patches of one batch, compiled."""
    encoder = build_encoder(config.encoder).to(DEVICE).train()
    encoder.compile()
    size = config.encoder.size
    images = torch.randn(config.optimiser.batch, 3, size, size, device=DEVICE)
    return _passes(config, lambda: encoder.forward_features(images).float().square().mean(), encoder)


def _passes(
    config: PretrainConfig, loss: Callable[[], torch.Tensor], model: torch.nn.Module
) -> Callable[[int], int]:
    half = config.optimiser.precision == "bf16"
    choose_attention(model, DEVICE, config)

    def run(steps: int) -> int:
        for _ in range(steps):
            with torch.autocast(DEVICE.type, torch.bfloat16, half):
                value = loss()
            value.backward()
            model.zero_grad(set_to_none=True)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return steps * config.optimiser.batch

    run(2)  # compiles, and makes room
    return run


def training(config: PretrainConfig, work: Path, rounds: int) -> dict[str, float | None]:
    """Return what the loop of one objective makes of its modules' speed."""
    torch.compiler.reset()
    alone = bare(config)
    found: dict[str, list[float]] = {"bare": [], "loop": [], "ratio": [], "waiting": []}
    for number in range(rounds):
        found["bare"].append(rate(lambda: alone(LOG_EVERY_STEPS)))
        line = loop(config, work / f"{config.objective}-{number}", 3 * LOG_EVERY_STEPS)[-1]
        found["loop"].append(line["images_per_second"])
        found["ratio"].append(found["loop"][-1] / found["bare"][-1])
        found["waiting"].append(line["waiting"])
    medians = {name: round(statistics.median(values), 4) for name, values in found.items()}
    return {**medians, "mfu": mfu(config, flops_per_picture(config) * medians["loop"])}


def mfu(config: PretrainConfig, flops: float) -> float | None:
    """Return the share of this GPU's peak that FLOP/s make up; None where the peak is not known."""
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else ""
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    return round(flops / peak, 4) if peak and config.optimiser.precision == "bf16" else None


def compiled(config: PretrainConfig) -> dict[str, float | None]:
    """Return images/s of timm's whole encoder, and its share of the peak."""
    torch.compiler.reset()
    encoder, run = config.encoder, whole_encoder(config)
    speed = statistics.median(rate(lambda: run(LOG_EVERY_STEPS)) for _ in range(3))
    block = 24 * encoder.cells * encoder.dim**2 + 4 * encoder.cells**2 * encoder.dim
    return {"images_per_second": round(speed, 1), "mfu": mfu(config, 3.0 * encoder.depth * block * speed)}


def memory(config: PretrainConfig, work: Path, steps: int) -> dict[str, Any]:
    """Return the megabytes that the process holds at ten moments of a run, and how many it gained from the second on."""
    lines = loop(config, work / f"{config.objective}-memory", steps)
    part = max(1, len(lines) // 10)
    held = {line["step"]: round(1000 * line["host_gb"], 1) for line in lines[part - 1 :: part]}
    values = list(held.values())
    return {"host MB at step": held, "gained": round(values[-1] - values[min(1, len(values) - 1)], 1)}


def reader(folder: Path, packed: dict[str, Path], size: int, workers: int) -> dict[str, Callable[[], int]]:
    """Return one epoch through each way of reading, pictures ending as normalised floats."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    own = {"encoder.size": size, "encoder.patch": 16, "optimiser.batch": 64, "run.workers": workers}
    contract = load_recipe("tiny", own).encoder.pixels
    steps = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(contract.mean, contract.std),
        ]
    )
    loader = DataLoader(
        datasets.ImageFolder(str(folder), steps), batch_size=64, shuffle=True, num_workers=workers
    )

    def epoch(path: Path) -> Callable[[], int]:
        config = load_recipe("tiny", {**on(path), **own})
        views = Views(open_faces(config), config)
        count = len(views.pool.images)

        def run() -> int:
            for raw, _ in feed(
                views, range(count // 64), lambda step: range(step * 64, step * 64 + 64), False
            ):
                prepared(raw, config)
            return count // 64 * 64

        return run

    return {
        "ImageFolder": lambda: sum(len(images) for images, _ in loader),
        **{f"packed {name}": epoch(path) for name, path in packed.items()},
    }


def on(source: Path) -> dict[str, Any]:
    """Return the fields that let a recipe train on whole pictures of a folder."""
    return {"data.source": str(source), "data.crops": {"whole": 1.0}, "data.jitter": 0.0}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="tiny", help="of the loop")
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--objective", choices=OBJECTIVES, action="append", help="default: all three")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="of both readers")
    parser.add_argument(
        "--memory", type=int, default=0, metavar="STEPS", help="watch host memory over so many steps"
    )
    parser.add_argument("--only", choices=["loop", "reader"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu"
    found: dict[str, object] = {"torch": torch.__version__, "device": device, "threads": 1}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_faces(work / "files", chosen.pictures, 224)
        if chosen.only != "reader":
            own = set_fields(chosen.pairs)
            pack(
                str(work / "files"), work / "faces", load_recipe(chosen.recipe, {**own, **on(work / "files")})
            )
            for objective in chosen.objective or OBJECTIVES:
                config = load_recipe(chosen.recipe, {**own, **on(work / "faces"), "objective": objective})
                found[objective] = (
                    memory(config, work, chosen.memory)
                    if chosen.memory
                    else training(config, work, chosen.rounds)
                )
            if not chosen.memory and (config.run.compile == "on" or DEVICE.type == "cuda"):
                found["timm encoder, compiled"] = compiled(config)
        if not chosen.memory and chosen.only != "loop":
            large = load_recipe("tiny", {**on(work / "files"), "encoder.size": 224})
            packed = {"raw": work / "raw", "jpeg": work / "jpeg"}
            for encoding, folder in packed.items():
                pack(str(work / "files"), folder, large, encoding=encoding, shard_size=128)
            speeds = alternately(reader(work / "files", packed, 224, chosen.workers), chosen.rounds)
            base = speeds["ImageFolder"]
            found[f"reader, 224 px, {chosen.workers} workers"] = {
                name: {"images_per_second": round(value, 1), "ratio": round(value / base, 2)}
                for name, value in speeds.items()
            }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
