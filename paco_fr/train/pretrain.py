"""The pretraining loop: one page for every objective, through accelerate for devices and processes."""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from timm.models.vision_transformer import Block
from torch import Tensor

from paco_fr.baselines import build_objective
from paco_fr.checkpoint import load_into, read_card, save_checkpoint
from paco_fr.config import PretrainConfig
from paco_fr.data.open import open_faces
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.train.batches import Views, feed, prepared, share
from paco_fr.train.log import Log, Meter, alarms, check_trackers, postfix, progress_bar, start_trackers
from paco_fr.train.memory import keep_freed_memory
from paco_fr.train.resume import (
    last_kept,
    load_state,
    remove_states,
    same_data,
    same_run,
    save_state,
    state_files,
)
from paco_fr.train.schedule import build_optimiser, describe_schedule, learning_rate, step_count
from paco_fr.train.sheets import SHEETS_AT, save_pictures, save_sheet
from paco_fr.train.signals import Interrupted, stop_requests
from paco_fr.utils.distributed import highest, leave_group_at_exit, on_cpus, summed
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import owned_folder, remove_torn, write_text
from paco_fr.utils.progress import Bar
from paco_fr.utils.random import generator
from paco_fr.utils.types import Say

LOG_EVERY_STEPS = 20
CHECK_EVERY_STEPS = {"cpu": 1}
"""How often the processes agree on stopping, saving and whether all is finite; 10 on devices, whose queue of
work this empties. In between a loss that is not finite can spoil weights in memory, but no saved state."""

EMULATED = (
    "This processor has no AVX-512, so that half precision is imitated and many times slower than single precision. "
    "Stop, and set optimiser.precision=fp32."
)


def pretrain(
    config: PretrainConfig,
    out: Path,
    *,
    resume: bool = False,
    progress: bool = False,
    say: Say = lambda text: None,
    command: str = "the same call with resume=True",
) -> Path:
    """Train one objective and write its checkpoint folder ``out``; return ``out``.

    The result depends on the configuration alone: order, masks and flips come from (seed, epoch, sample).
    A resumed run continues at the exact next picture, and ends in the same bits on the same hardware.

    Args:
        config: what to train, on what and how.
        out: folder that this run owns while it lasts.
        resume: continue what is in ``out``; a finished run is left as it is.
        progress: show a bar.
        say: takes the few lines that a run has to tell.
        command: what continues this run, told when it is interrupted.

    Raises:
        PacoError: the folder holds another run, cannot be written, or the loss is not finite.
        Interrupted: SIGTERM or SIGINT; a state was saved.

    """
    check_trackers(config)
    AcceleratorState._reset_state()  # its precision is that of the process's first run; ours is the run's own
    accelerator = Accelerator(
        cpu=on_cpus(),
        mixed_precision="bf16" if config.optimiser.precision == "bf16" else "no",
        log_with=list(config.run.trackers) or None,
        project_dir=out,
    )
    leave_group_at_exit()
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    if config.optimiser.batch % (accelerator.num_processes * config.optimiser.accumulate):
        raise PacoError(
            f"optimiser.batch {config.optimiser.batch} is not divisible by {accelerator.num_processes} processes "
            f"x optimiser.accumulate {config.optimiser.accumulate}. Choose a multiple."
        )
    with owned_folder(out) if accelerator.is_main_process else nullcontext():
        if not resume and ((out / "card.json").exists() or state_files(out)):
            raise PacoError(
                f"{out} already holds a run. Add --resume to continue it or choose another --out."
            )
        if resume and (out / "card.json").exists():
            same_run(read_card(out)[1], config, out)
            return out
        if accelerator.is_main_process:
            remove_torn(out, out / "sheets")
        accelerator.wait_for_everyone()
        return _train(
            config,
            out,
            accelerator,
            resume,
            progress,
            say if accelerator.is_main_process else _nothing,
            command,
        )


@dataclass
class _Run:
    """What is trained, on which pictures, and how far it has come."""

    model: Any
    learner: Any
    optimiser: Any
    views: Views
    data: dict[str, Any]
    log: Log
    step: int
    seconds: float
    broken: dict[str, None]
    warned: dict[str, int] = field(default_factory=dict)


def _train(
    config: PretrainConfig,
    out: Path,
    accelerator: Accelerator,
    resume: bool,
    progress: bool,
    say: Say,
    command: str,
) -> Path:
    device, main, steps = accelerator.device, accelerator.is_main_process, step_count(config)
    run = _begin(config, out, accelerator, resume, progress and main, say)
    check_every = CHECK_EVERY_STEPS.get(device.type, 10)
    sheets_at = {max(1, round(share * steps)) for share in SHEETS_AT} - {steps}
    own = partial(share, config=config, processes=accelerator.num_processes, rank=accelerator.process_index)
    batches = feed(run.views, range(run.step, steps), own, pin=device.type == "cuda")
    started = saved = time.monotonic()
    meter = Meter(device)
    run.model.train()
    with stop_requests() as request, progress_bar(config, steps, run.step, progress and main) as bar:
        while run.step < steps:
            asked = time.monotonic()
            raw, unread = next(batches)
            meter.waited += time.monotonic() - asked
            output, norm = _advance(run, raw, config, accelerator)
            run.broken.update(dict.fromkeys(unread))
            meter.pictures += config.optimiser.batch
            bar.update(config.optimiser.batch)
            stop = due_now = 0.0
            if run.step % check_every == 0 or run.step == steps:
                due = main and time.monotonic() - saved > config.run.save_seconds
                bad = not (torch.isfinite(output.loss) and torch.isfinite(norm))
                failed, stop, due_now = highest([float(bad), float(request.number), float(due)], device)
                if failed:
                    raise PacoError(_not_finite(output, run.step, out))
            if _watched(run.step, steps):  # before a state is saved: it holds no line twice
                _tell(run, meter, bar, config, say)
                _count_broken(run.broken, run.step, config, device)
            if (stop or due_now) and run.step < steps:
                _save(run, out, config, main, started)
                saved = time.monotonic()
            if main and run.step in sheets_at:
                save_sheet(out / "sheets" / f"{run.step:09d}.npz", run.model, run.views)
            if stop and run.step < steps:
                raise Interrupted(
                    f"Stopped at step {run.step} of {steps}, saved. Continue: {command}", int(stop)
                )
    _save(run, out, config, main, started)
    seconds = run.seconds + time.monotonic() - started
    for tracker in accelerator.trackers:
        tracker.finish()
    model = accelerator.unwrap_model(run.learner, keep_fp32_wrapper=False)
    if main:
        _finish(out, model.cpu().eval(), run.views, seconds, tuple(run.broken), accelerator)
    accelerator.wait_for_everyone()
    return out


def _begin(
    config: PretrainConfig, out: Path, accelerator: Accelerator, resume: bool, progress: bool, say: Say
) -> _Run:
    """Return a run at its start, or where its last state left it."""
    device = accelerator.device
    with accelerator.main_process_first():
        views = Views(open_faces(config, progress=progress), config)
    model = fresh_model(config, views, device)
    optimiser = build_optimiser(config, model, device)
    state = load_state(out, config, say) if resume else None
    data = _data_of(views)
    if state:
        same_data(state.get("data"), data, out)
        load_into(model, state["model"], str(out))
        optimiser.load_state_dict(state["optimiser"])
    step, seconds = (state["step"], state["seconds"]) if state else (0, 0.0)
    log = Log(out / "metrics.jsonl", step, accelerator, state["log"] if state else None)
    learner, optimiser = accelerator.prepare(model, optimiser)
    start_trackers(config, accelerator)
    say(describe_schedule(config, accelerator.num_processes))
    half = config.optimiser.precision == "bf16"
    if half and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        say(EMULATED)
    if step:
        say(f"Continuing {out} at step {step} of {step_count(config)}.")
    broken: dict[str, None] = dict.fromkeys(state["broken"] if state else ())
    return _Run(model, learner, optimiser, views, data, log, step, seconds, broken)


def _watched(step: int, steps: int) -> bool:
    """Return whether a line of the log is due after so many steps."""
    return step % LOG_EVERY_STEPS == 0 or step == steps


def _advance(
    run: _Run, raw: Batch, config: PretrainConfig, accelerator: Accelerator
) -> tuple[Output, Tensor]:
    """Take the next step on a raw batch, log its numbers, and return its output and the gradient's norm."""
    watched = _watched(run.step + 1, step_count(config))
    batch = replace(prepared(raw.to(accelerator.device), config), watched=watched)
    rate = learning_rate(config, run.step, step_count(config))
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    output, norm = take_step(accelerator, run.learner, run.optimiser, batch, config)
    rng = generator("revive", config.seed, run.step)
    extra = run.model.after_step(batch, output, _epoch(run, run.step), rng)
    run.step += 1
    run.log.add({**output.terms, "gradient_norm": norm}, extra)
    return output, norm


def _epoch(run: _Run, step: int) -> float:
    """Return how many epochs of its pictures a run has seen before a step."""
    return step * run.views.config.optimiser.batch / len(run.views.pool.images)


def _tell(run: _Run, meter: Meter, bar: Bar, config: PretrainConfig, say: Say) -> None:
    """Write a line of the log about the steps since the last one, show it, and say what looks like a collapse."""
    measured, last = meter.measure(), run.step - 1
    epoch = _epoch(run, last)
    facts = {
        "step": run.step,
        "epoch": round(epoch, 4),
        "learning_rate": learning_rate(config, last, step_count(config)),
        "unreadable": len(run.broken),
    }
    means = run.log.write(facts, measured)
    bar.set_postfix_str(postfix(means, measured))
    for name, warning in alarms(means, config, epoch).items():
        if run.warned.setdefault(name, run.step) == run.step:
            say(f"Step {run.step}: {warning}")


def _save(run: _Run, out: Path, config: PretrainConfig, main: bool, started: float) -> None:
    """Save the state of a run; all processes take part, as each has its own open means."""
    parts = run.log.state()
    if main:
        state = {
            "model": run.model.state_dict(),
            "optimiser": run.optimiser.state_dict(),
            "log": parts,
            "step": run.step,
            "data": run.data,
            "seconds": run.seconds + time.monotonic() - started,
            "broken": list(run.broken),
            "config": config.model_dump_json(),
        }
        save_state(out, state, config.run.keep_states)


def fresh_model(config: PretrainConfig, views: Views, device: torch.device) -> Any:
    """Return an objective at the start of its training, on its device, its blocks compiled where that pays."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model: Any = build_objective(config)
    model.to(device)
    choose_attention(model, device, config)
    first = views.at(range(min(len(views.pool.images), 1024)))
    model.start(first.to(device), generator("codebook", config.seed))
    if config.run.compile == "on" or (config.run.compile == "auto" and device.type == "cuda"):
        if device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "cl"))):
            raise PacoError(
                "run.compile on needs a C++ compiler, and there is none. Install g++ or choose off."
            )
        for module in model.modules():  # in place, so that no parameter changes its name
            if isinstance(module, Block):
                module.compile()
    if device.type == "cuda" and config.optimiser.precision == "bf16":
        torch.set_float32_matmul_precision("high")
    return model


def take_step(
    accelerator: Accelerator, learner: Any, optimiser: Any, batch: Batch, config: PretrainConfig
) -> tuple[Output, Tensor]:
    """Take one optimiser step over this process's pictures; return its output and the gradient's norm."""
    parts = batch.parts(config.optimiser.accumulate)
    outputs = []
    for part in parts:
        waits = nullcontext() if part is parts[-1] else accelerator.no_sync(learner)
        with waits:
            outputs.append(learner(part))
            accelerator.backward(outputs[-1].loss / len(parts))
    norm = accelerator.clip_grad_norm_(learner.parameters(), config.optimiser.clip)
    optimiser.step()
    optimiser.zero_grad()
    return Output.joined(outputs), norm


def choose_attention(model: torch.nn.Module, device: torch.device, config: PretrainConfig) -> None:
    """Let attention be computed by plain products on a CPU in bf16, and by PyTorch's choice of kernels elsewhere.

    The fused kernel for CPUs takes its gradient in bf16 far slower than matrix units take the products (40 % of a
    step of the recipe tiny), and PyTorch's own plain one looks for places that may see nothing (a fifth).
    """
    if device.type == "cpu" and config.optimiser.precision == "bf16":
        for module in model.modules():
            if isinstance(module, Block):
                attention: Any = module.attn  # timm calls it final
                attention.fused_attn = False


def _finish(
    out: Path,
    model: Objective,
    views: Views,
    seconds: float,
    broken: tuple[str, ...],
    accelerator: Accelerator,
) -> None:
    """Write pictures, weights and card, in this order: a folder with a card is complete."""
    config, pool = views.config, views.pool
    save_pictures(out, model, views)
    facts = {
        "pretrain_seed": config.seed,
        "data_fingerprint": pool.fingerprint,
        "pictures": len(pool.images),
        "skipped": [*pool.skipped, *broken][:100],
        "skipped_count": len(pool.skipped) + len(broken),
        "presentations": step_count(config) * config.optimiser.batch,
        "seconds": round(seconds, 3),
        "processes": accelerator.num_processes,
        "device": str(accelerator.device),
        "torch": torch.__version__,
    }
    if pool.skipped or broken:
        write_text(out / "skipped.txt", "\n".join([*pool.skipped, *broken]) + "\n")
    save_checkpoint(out, cast(torch.nn.Module, model), config, facts)
    remove_states(out)


def _data_of(views: Views) -> dict[str, Any]:
    """Return what says which pictures a run learns from: the source, its crops, and their number."""
    pool = views.pool
    manifest = getattr(pool, "manifest", None)
    crops = pool.fingerprint if manifest is None else manifest.fingerprint
    return {"pictures": len(pool.images), "source": pool.fingerprint, "crops": crops}


def _count_broken(broken: dict[str, None], step: int, config: PretrainConfig, device: torch.device) -> None:
    """Stop a run in which too many pictures cannot be read; all processes call this."""
    count = int(summed(torch.tensor(float(len(broken)), device=device)))
    shown = step * config.optimiser.batch
    if count > config.data.max_broken * shown:
        raise PacoError(
            f"{count} of {shown} pictures could not be read, more than data.max_broken {config.data.max_broken:.0%}. "
            f"First: {next(iter(broken), 'in another process')}"
        )


def _not_finite(output: Output, step: int, out: Path) -> str:
    broken = [name for name, term in output.terms.items() if not torch.isfinite(term)]
    if not broken:
        broken = ["its gradient" if torch.isfinite(output.loss) else "the total"]
    return (
        f"The loss is not finite by step {step}: {', '.join(broken)}. {last_kept(out)}. "
        "Lower optimiser.learning_rate and start again in another --out."
    )


def _nothing(text: str) -> None:
    """Say nothing: another process does."""
