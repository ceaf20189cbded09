"""Cost of a step of every objective against a step of MAE, same encoder, side by side in one run.

    python -m benchmarks.model                             tiny, half a minute on one core
    python -m benchmarks.model --recipe small --steps 30   on a GPU
    python -m benchmarks.model --set belief.place=two-pass

A step is forward, backward, AdamW and the update of codebook and teacher, on batches that lie ready in memory.
Objectives alternate within each round, so that whatever else the machine does meets all, and on a CPU the seconds
are those of the thread, without what others take; medians are shown.
The bar: a PaCo-FR step takes at most 1.15 steps of MAE. ``gflop_per_picture`` are counted by
:func:`paco_fr.train.dry_run.flops_per_picture`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator

from paco_fr.config import PretrainConfig, load_recipe, set_fields
from paco_fr.train.batches import Views
from paco_fr.train.dry_run import flops_per_picture, stand_in
from paco_fr.train.memory import keep_freed_memory
from paco_fr.train.pretrain import fresh_model, take_step
from paco_fr.train.schedule import build_optimiser
from paco_fr.utils.random import generator

OBJECTIVES = ("mae", "paco", "simmim", "data2vec")
PAST_INCUBATION = 10


def steps_of(config: PretrainConfig, accelerator: Accelerator) -> Callable[[int], float]:
    """Return a function that takes so many steps past incubation and gives their seconds."""
    device = accelerator.device
    views = Views(stand_in(config), config)
    model = fresh_model(config, views, device)
    optimiser = build_optimiser(config, model, device)
    learner, optimiser = accelerator.prepare(model.train(), optimiser)
    first, size = PAST_INCUBATION * len(views.pool.images), config.optimiser.batch
    batches = [views.at(range(first + at * size, first + (at + 1) * size)).to(device) for at in range(2)]

    def take(steps: int) -> float:
        clock = time.perf_counter if device.type == "cuda" else time.thread_time
        started = clock()
        for step in range(steps):
            batch = batches[step % len(batches)]
            output, _ = take_step(accelerator, learner, optimiser, batch, config)
            model.after_step(batch, output, float(PAST_INCUBATION), generator("revive", 0, step))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - started

    return take


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="tiny")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="of each objective in a round")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the loop does
    changes = set_fields(tuple(chosen.changes))
    configs = {name: load_recipe(chosen.recipe, {**changes, "objective": name}) for name in OBJECTIVES}
    bf16 = configs["paco"].optimiser.precision == "bf16"
    accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no")
    takers = {name: steps_of(config, accelerator) for name, config in configs.items()}
    for take in takers.values():
        take(2)
    seconds: dict[str, list[float]] = {name: [] for name in takers}
    for _ in range(chosen.rounds):
        for name, take in takers.items():
            seconds[name].append(take(chosen.steps) / chosen.steps)
    base = seconds["mae"]
    found = {
        name: {
            "milliseconds_per_step": round(1000 * np.median(times), 1),
            "steps_of_mae": round(np.median(np.divide(times, base)), 3),
            "images_per_second": round(configs[name].optimiser.batch / np.median(times), 1),
            "gflop_per_picture": round(flops_per_picture(configs[name]) / 1e9, 3),
        }
        for name, times in seconds.items()
    }
    about = {
        "device": str(accelerator.device),
        "torch": torch.__version__,
        "recipe": chosen.recipe,
        "set": changes,
    }
    print(json.dumps({**about, **found}, indent=1))


if __name__ == "__main__":
    main()
