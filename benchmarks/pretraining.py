"""Speed of pretraining, side by side in one run: the loop against its own modules, packed faces against files.

    python benchmarks/pretraining.py                 all of it, two minutes on two CPU cores
    python benchmarks/pretraining.py --memory 10000  host memory over so many steps of the loop

``loop``: images/s of the whole loop (order, masks, flips, optimiser, codebook, log) on packed faces, divided by
images/s of forward and backward of the same modules on one batch in memory. ``reader``: images/s of packed raw
faces through the run's own feed, divided by those of torchvision's ``ImageFolder`` and ``DataLoader`` on the
same pictures as JPEG files, both at 224 px, with equal workers, a random flip and normalisation to float.
Measurements of a pair alternate, so that whatever else the machine does meets both; medians are shown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image

from paco_fr.config import PretrainConfig, load_recipe
from paco_fr.faces import open_faces
from paco_fr.feed import feed
from paco_fr.packing import pack
from paco_fr.pretrain import fresh_model, take_step
from paco_fr.progress import Log, host_memory
from paco_fr.randomness import generator
from paco_fr.schedule import build_optimiser, learning_rate
from paco_fr.views import Views, prepared


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


def training(config: PretrainConfig, out: Path) -> tuple[Callable[[int], int], Callable[[int], int]]:
    """Return the loop and the bare pass of one configuration, each taking a number of steps."""
    accelerator = Accelerator()
    views = Views(open_faces(config), config)
    model = fresh_model(config, views, accelerator.device)
    optimiser = build_optimiser(config, model, accelerator.device)
    learner, optimiser = accelerator.prepare(model.train(), optimiser)
    size, batch_size = len(views.pool.images), config.optimiser.batch
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out / "metrics.jsonl", 0, accelerator)
    held = prepared(views.raw(range(10 * size, 10 * size + batch_size))[0].to(accelerator.device), config)
    taken = [10 * size // batch_size]  # past incubation, as most of a run is

    def loop(steps: int) -> int:
        first = taken[0]
        batches = feed(
            views, range(first, first + steps), lambda s: range(s * batch_size, (s + 1) * batch_size), False
        )
        for step, (raw, _) in enumerate(batches, first):
            batch = prepared(raw.to(accelerator.device), config)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(config, 0, 1000)
            output, norm = take_step(accelerator, learner, optimiser, batch, config)
            extra = model.after_step(batch, output, step * batch_size / size, generator("revive", 0, step))
            log.add({**output.terms, "gradient_norm": norm}, extra)
            if step % 20 == 0:
                log.write({"step": step}, {})
        taken[0] += steps
        return steps * batch_size

    def bare(steps: int) -> int:
        for _ in range(steps):
            model(held).loss.backward()
            model.zero_grad(set_to_none=True)
        return steps * batch_size

    return loop, bare


def reader(folder: Path, packed: dict[str, Path], size: int, workers: int) -> dict[str, Callable[[], int]]:
    """Return one epoch through each way of reading, pictures ending as normalised floats."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    contract = load_recipe("tiny", {"encoder.size": size}).encoder.pixels
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
        config = config_of(path, size, 64, workers)
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


def config_of(source: Path, size: int, batch: int, workers: int = 0, **changes: object) -> PretrainConfig:
    """Return the tiny recipe on whole pictures of a folder."""
    values = {
        "data.source": str(source),
        "data.crops": {"whole": 1.0},
        "data.jitter": 0.0,
        "encoder.size": size,
    }
    return load_recipe("tiny", {**values, "optimiser.batch": batch, "run.workers": workers, **changes})


def memory(loop: Callable[[int], int], steps: int) -> Iterator[tuple[int, float]]:
    """Give the megabytes that this process holds, ten times over so many steps."""
    for part in range(10):
        loop(max(1, steps // 10))
        yield (part + 1) * max(1, steps // 10), host_memory() / 1e6


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps of the loop in a round")
    parser.add_argument("--workers", type=int, default=0, help="of both readers")
    parser.add_argument(
        "--memory", type=int, default=0, metavar="STEPS", help="watch host memory over so many steps"
    )
    parser.add_argument("--only", choices=["loop", "reader"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, object] = {"torch": torch.__version__, "threads": 1, "workers": chosen.workers}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_faces(work / "files", chosen.pictures, 224)
        small = config_of(work / "files", 64, 64)
        pack(str(work / "files"), work / "64", small, shard_size=128)
        for objective in () if chosen.only == "reader" else ("paco", "mae", "simmim"):
            config = config_of(work / "64", 64, 64, objective=objective)
            loop, bare = training(config, work / objective)
            if chosen.memory:
                found[f"{objective} host MB"] = {
                    step: round(held, 1) for step, held in memory(loop, chosen.memory)
                }
                continue
            speeds = alternately(
                {"bare": lambda b=bare: b(chosen.steps), "loop": lambda f=loop: f(chosen.steps)},
                chosen.rounds,
            )
            found[objective] = {
                **{k: round(v, 1) for k, v in speeds.items()},
                "ratio": round(speeds["loop"] / speeds["bare"], 3),
            }
        if not chosen.memory and chosen.only != "loop":
            large = config_of(work / "files", 224, 64)
            packed = {"raw": work / "raw", "jpeg": work / "jpeg"}
            for encoding, folder in packed.items():
                pack(str(work / "files"), folder, large, encoding=encoding, shard_size=128)
            speeds = alternately(reader(work / "files", packed, 224, chosen.workers), chosen.rounds)
            base = speeds["ImageFolder"]
            found["reader, 224 px"] = {
                name: {"images_per_second": round(value, 1), "ratio": round(value / base, 2)}
                for name, value in speeds.items()
            }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
