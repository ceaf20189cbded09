"""The pretraining loop: one page for every objective, through accelerate for devices and processes."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from tqdm import tqdm

from paco_fr.checkpoint import load_into, read_card, save_checkpoint
from paco_fr.config import PretrainConfig
from paco_fr.crops import CropPool, crop_pool
from paco_fr.distributed import averaged
from paco_fr.errors import PacoError
from paco_fr.files import atomic_file, owned_folder
from paco_fr.objectives import Batch, Output, build_objective
from paco_fr.pictures import save_pictures
from paco_fr.randomness import generator
from paco_fr.views import Views

SAVE_EVERY_SECONDS = 60.0
LOG_EVERY_STEPS = 20


def pretrain(config: PretrainConfig, out: Path, *, resume: bool = False, progress: bool = False) -> Path:
    """Train one objective and write its checkpoint folder ``out``; return ``out``.

    The result depends on the configuration alone: order, masks and flips come from (seed, epoch, sample).
    A resumed run continues at the exact next picture.

    Raises:
        PacoError: the folder holds another run, cannot be written, or the loss is not finite.

    """
    accelerator = Accelerator()
    with owned_folder(out) if accelerator.is_main_process else nullcontext():
        if not resume and any((out / name).exists() for name in ("card.json", "state.pt")):
            raise PacoError(
                f"{out} already holds a run. Add --resume to continue it or choose another --out."
            )
        if resume and (out / "card.json").exists():
            _same_run(read_card(out)[1], config, out)
            return out
        accelerator.wait_for_everyone()
        return _train(config, out, accelerator, resume, progress)


def _train(config: PretrainConfig, out: Path, accelerator: Accelerator, resume: bool, progress: bool) -> Path:
    with accelerator.main_process_first():
        pool = crop_pool(config, progress=progress and accelerator.is_main_process)
    views = Views(pool, config)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = build_objective(config)
    model.to(accelerator.device)
    first = views.at(range(min(len(pool.images), 1024)))
    model.start(first.images.to(accelerator.device), generator("codebook", config.seed))
    optimiser = torch.optim.AdamW(_parameter_groups(model, config), betas=config.optimiser.betas)
    steps = math.ceil(config.optimiser.presentations / config.optimiser.batch)
    step, seconds = _restore(out, model, optimiser, config) if resume else (0, 0.0)
    learner, optimiser = accelerator.prepare(model, optimiser)
    log = _Log(out / "metrics.jsonl", step, accelerator.is_main_process)
    saved = started = time.monotonic()
    bar = tqdm(total=steps * config.optimiser.batch, initial=step * config.optimiser.batch, unit="img",
               desc=f"{config.objective} {config.name}", disable=not (progress and accelerator.is_main_process))  # fmt: skip
    model.train()
    while step < steps:
        epoch = step * config.optimiser.batch / len(pool.images)
        batch = _to(views.at(_share(step, config.optimiser.batch, accelerator)), accelerator.device)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step, steps)
        output: Output = learner(batch)
        _finite(output, step)
        accelerator.backward(output.loss)
        accelerator.clip_grad_norm_(model.parameters(), config.optimiser.clip)
        optimiser.step()
        optimiser.zero_grad()
        extra = model.after_step(batch, output, epoch, generator("revive", config.seed, step))
        step += 1
        bar.update(config.optimiser.batch)
        log.add(output.terms, extra)
        if step % LOG_EVERY_STEPS == 0 or step == steps:
            terms = log.write(step, epoch, learning_rate(config, step - 1, steps))
            bar.set_postfix(
                {name: f"{terms[name]:.3f}" for name in ("reconstruction", "belief") if name in terms}
            )
        if time.monotonic() - saved > SAVE_EVERY_SECONDS and accelerator.is_main_process:
            _save_state(out, model, optimiser, config, step, seconds + time.monotonic() - started)
            saved = time.monotonic()
    bar.close()
    seconds += time.monotonic() - started
    if accelerator.is_main_process:
        save_pictures(out, model.eval(), views)
        facts = {
            "pretrain_seed": config.seed,
            "data_fingerprint": pool.fingerprint,
            "pictures": len(pool.images),
            "skipped": list(pool.skipped[:100]),
            "presentations": steps * config.optimiser.batch,
            "seconds": round(seconds, 1),
            "processes": accelerator.num_processes,
            "device": str(accelerator.device),
            "torch": torch.__version__,
        }
        save_checkpoint(out, model, config, facts)
        (out / "state.pt").unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return out


def learning_rate(config: PretrainConfig, step: int, steps: int) -> float:
    """Return the rate of one step: linear warm-up, then cosine to zero; scaled with the batch from 64."""
    peak = learning_rate_peak(config)
    warmup = config.optimiser.warmup * steps
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def learning_rate_peak(config: PretrainConfig) -> float:
    """Return the highest rate of a run: the recipe's at batch 64, scaled linearly."""
    return config.optimiser.learning_rate * config.optimiser.batch / 64


def _parameter_groups(model: torch.nn.Module, config: PretrainConfig) -> list[dict[str, Any]]:
    """Decay matrices only: not biases, norms, positions, mask tokens or the codebook, which are places."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        matrix = parameter.ndim == 2 or name.endswith("patch_embed.proj.weight")
        (decayed if matrix else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": config.optimiser.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def _share(step: int, batch: int, accelerator: Accelerator) -> range:
    """Return this process's contiguous part of the positions of one step."""
    world, rank = accelerator.num_processes, accelerator.process_index
    if batch % world:
        raise PacoError(f"optimiser.batch {batch} is not divisible by {world} processes.")
    part = batch // world
    return range(step * batch + rank * part, step * batch + (rank + 1) * part)


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(**{field.name: getattr(batch, field.name).to(device) for field in fields(Batch)})


def _finite(output: Output, step: int) -> None:
    if torch.isfinite(output.loss):
        return
    broken = [name for name, term in output.terms.items() if not torch.isfinite(term)]
    raise PacoError(
        f"The loss is not finite at step {step} ({', '.join(broken) or 'total'}). "
        "Lower optimiser.learning_rate; the last saved state is kept, --resume continues from it."
    )


def _same_run(found: PretrainConfig, wanted: PretrainConfig, out: Path) -> None:
    """Refuse to continue a run whose configuration differs, naming the first key that does."""
    a, b = found.model_dump(mode="json"), wanted.model_dump(mode="json")
    for section, value in a.items():
        if value != b[section]:
            keys = (
                [f"{section}.{key}" for key in value if value[key] != b[section][key]]
                if isinstance(value, dict)
                else [section]
            )
            raise PacoError(
                f"{out} was trained with another {keys[0]}. Use the same recipe or another --out."
            )


def _save_state(
    out: Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    config: PretrainConfig,
    step: int,
    seconds: float,
) -> None:
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
        "config": config.model_dump_json(),
    }
    with atomic_file(out / "state.pt") as path:
        torch.save(state, path)


def _restore(
    out: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer, config: PretrainConfig
) -> tuple[int, float]:
    path = out / "state.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    _same_run(PretrainConfig.model_validate_json(state["config"]), config, out)
    load_into(model, state["model"], str(path))
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["seconds"]


class _Log:
    """Means of the loss terms between log lines, appended to ``metrics.jsonl`` by the main process."""

    def __init__(self, path: Path, step: int, main: bool) -> None:
        self.path, self.main, self.sums = path, main, defaultdict[str, list[float]](list)
        if not main:
            return
        kept = (
            [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
            if step
            else []
        )
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def add(self, terms: dict[str, torch.Tensor], extra: dict[str, float]) -> None:
        for name, value in {**terms, **extra}.items():
            self.sums[name].append(float(value))

    def write(self, step: int, epoch: float, rate: float) -> dict[str, float]:
        """Return the means since the last line, over all processes."""
        names = sorted(self.sums)
        local = torch.tensor(
            [sum(self.sums[name]) / len(self.sums[name]) for name in names], dtype=torch.float64
        )
        means = dict(zip(names, averaged(local).tolist(), strict=True))
        self.sums.clear()
        if self.main:
            line = {"step": step, "epoch": round(epoch, 4), "learning_rate": rate, **means}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return means


def plan(config: PretrainConfig) -> str:
    """Build the objective, run two steps on noise of the right shape, and say what a run would be."""
    noise = _noise(config)
    pool = CropPool(noise, (config.data.template,) * len(noise), "noise", ())
    views = Views(pool, config)
    model = build_objective(config)
    optimiser = torch.optim.AdamW(_parameter_groups(model, config), betas=config.optimiser.betas)
    model.start(views.at(range(len(noise))).images, generator("codebook", config.seed))
    for step in range(2):
        started = time.monotonic()
        batch = views.at(range(step * config.optimiser.batch, (step + 1) * config.optimiser.batch))
        output = model(batch)
        _finite(output, step)
        output.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        model.after_step(batch, output, float(step), generator("revive", config.seed, step))
        rate = config.optimiser.batch / (time.monotonic() - started)
    steps = math.ceil(config.optimiser.presentations / config.optimiser.batch)
    parameters, encoder = (sum(p.numel() for p in part.parameters()) for part in (model, model.encoder))
    return "\n".join(
        [
            f"{config.objective} with recipe {config.name}, seed {config.seed}",
            f"encoder: {config.encoder.size} px, patch {config.encoder.patch}, {config.encoder.depth} blocks of "
            f"{config.encoder.dim}, {encoder / 1e6:.2f} M parameters ({parameters / 1e6:.2f} M with what is thrown away)",
            f"data: {config.data.source}; crops {config.data.crops}",
            f"masking: {config.masking.strategy}, {config.hidden_cells} of {config.encoder.cells} patches hidden",
            f"{steps} steps of {config.optimiser.batch}, peak learning rate {learning_rate_peak(config):.2g} "
            f"({config.optimiser.learning_rate:.2g} at batch 64, scaled linearly)",
            f"two steps on noise went through at {rate:.0f} images/s on this machine's CPU: "
            f"about {config.optimiser.presentations / rate / 60:.0f} minutes for {config.optimiser.presentations:,} pictures",
        ]
    )


def _noise(config: PretrainConfig) -> npt.NDArray[np.uint8]:
    count = max(config.optimiser.batch, config.codebook.tokens)
    size = config.encoder.size
    return generator("noise", 0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
