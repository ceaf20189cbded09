"""What a run tells while it lasts: ``metrics.jsonl``, the progress bar, accelerate's trackers, and alarms.

An alarm tells a collapse or a leak from a healthy codebook and belief.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from paco_fr.config import PretrainConfig
from paco_fr.utils.distributed import averaged
from paco_fr.utils.errors import FormatError, PacoError, quoted
from paco_fr.utils.files import write_text
from paco_fr.utils.progress import Bar, stage
from paco_fr.utils.untrusted import read_json_lines

SHOWN = {"reconstruction": "rec", "belief": "belief", "tokens_used": "used", "perplexity": "ppl"}
"""Terms in the progress bar, by their short names."""

# Thresholds of the alarms: what a first trial separated healthy runs from spoilt ones by (our choice).
LEAST_PERPLEXITY = 0.05
"""Effective number of believed tokens under this share of K: collapse."""
LEAST_BELIEVED = 0.10
"""Share of tokens that are ever believed under this: collapse."""
LEAST_SPREAD = 0.05
"""Standard deviation of the teacher's region relations under this: collapse of the features."""

AGAIN = "Remove the file: the run goes on without its earlier lines."

Sums = dict[str, list[float]]


class Log:
    """Means of the loss terms between log lines, appended to ``metrics.jsonl`` by the main process.

    Values stay on their device until a line is due, so that logging does not make a GPU wait.
    """

    def __init__(
        self, path: Path, step: int, accelerator: Accelerator, state: list[Sums] | None = None
    ) -> None:
        self.path, self.accelerator = path, accelerator
        self.values: dict[str, list[float | torch.Tensor]] = defaultdict(list)
        for name, values in _own_part(state or [], accelerator).items():
            self.values[name] = list(values)
        if accelerator.is_main_process:
            lines = read_json_lines(path, AGAIN) if step and path.exists() else []
            kept = [line for line in lines if _step(line, path) <= step]
            write_text(path, "".join(json.dumps(line) + "\n" for line in kept))

    def add(self, terms: dict[str, torch.Tensor], extra: dict[str, float | torch.Tensor]) -> None:
        """Take in the numbers of one step."""
        for name, value in {**terms, **extra}.items():
            self.values[name].append(value)

    def state(self) -> list[Sums]:
        """Return what the next line is to be made of, one entry a process; all processes call this."""
        own = {name: [float(value) for value in values] for name, values in self.values.items()}
        parts: list[Sums] = gather_object([own])
        return parts

    def write(self, facts: dict[str, Any], measured: dict[str, float]) -> dict[str, float]:
        """Append a line and return the means since the last one, over all processes."""
        names = sorted(self.values)
        local = torch.tensor(
            [sum(map(float, self.values[name])) / len(self.values[name]) for name in names],
            dtype=torch.float64,
            device=None if self.accelerator.device.type == "cpu" else self.accelerator.device,
        )
        means = dict(zip(names, averaged(local).tolist(), strict=True))
        self.values.clear()
        if self.accelerator.is_main_process:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**facts, **means, **measured}) + "\n")
        if self.accelerator.trackers:
            self.accelerator.log({**facts, **means, **measured}, step=facts["step"])
        return means


class Meter:
    """Speed, waiting and memory between log lines, as this process sees them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.restart()

    def restart(self) -> None:
        """Begin a new interval."""
        self.started, self.waited, self.pictures = time.monotonic(), 0.0, 0

    def measure(self) -> dict[str, float]:
        """Return images/s over all processes, the share of time spent waiting for data, and memory in GB."""
        elapsed = max(time.monotonic() - self.started, 1e-9)
        found = {
            "images_per_second": round(self.pictures / elapsed, 2),
            "waiting": round(self.waited / elapsed, 4),
            "host_gb": round(host_memory() / 1e9, 3),
        }
        if self.device.type == "cuda":
            found["gpu_gb"] = round(torch.cuda.max_memory_allocated(self.device) / 1e9, 3)
        self.restart()
        return found


def host_memory() -> int:
    """Return the bytes that this process itself holds, 0 where the system does not say.

    Pages of mapped files are not counted: they belong to the system, which takes them back when it needs to.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    kilobytes = [
        int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon:", "RssShmem:"))
    ]
    return 1024 * sum(kilobytes)


def postfix(means: dict[str, float], measured: dict[str, float]) -> str:
    """Return the numbers beside the progress bar, whose own are images/s and time left."""
    terms = [f"{short} {means[name]:.3f}" for name, short in SHOWN.items() if name in means]
    memory = measured.get("gpu_gb", measured["host_gb"])
    return ", ".join([*terms, f"waits {measured['waiting']:.0%}", f"{memory:.1f} GB"])


def progress_bar(config: PretrainConfig, steps: int, step: int, shown: bool) -> AbstractContextManager[Bar]:
    """Return the bar of a run; its unit is a picture, so that rate and time left read as such."""
    batch = config.optimiser.batch
    title = f"training {config.objective} {config.name}"
    return stage(title, steps * batch, "img", initial=step * batch, shown=shown)


def start_trackers(config: PretrainConfig, accelerator: Accelerator) -> None:
    """Start the trackers of a run; values appear under the names of ``metrics.jsonl``."""
    if config.run.trackers:
        flat = {
            f"{section}.{key}": value if isinstance(value, (int, float, str, bool)) else str(value)
            for section, values in config.model_dump(mode="json").items()
            if isinstance(values, dict)
            for key, value in values.items()
        }
        accelerator.init_trackers("paco_fr", {"name": config.name, "objective": config.objective, **flat})


def check_trackers(config: PretrainConfig) -> None:
    """Refuse a tracker that is not installed, before anything is trained."""
    for name in config.run.trackers:
        if find_spec(name) is None:
            raise PacoError(
                f"run.trackers names {name}, which is not installed: pip install 'paco-eval[{name}]'."
            )


def alarms(means: Mapping[str, float], config: PretrainConfig, epoch: float) -> dict[str, str]:
    """Return what is wrong by the means of the last steps: name of the alarm -> what it says.

    Nothing is said during incubation and the half epoch after it, in which running shares settle and hidden
    pixels are meant to be seen.
    """
    found = {}
    if means.get("spatial_spread", 1.0) < LEAST_SPREAD and config.loss.spatial_on == "features":
        found["features"] = (
            f"Collapse: the teacher's regions relate alike (spread {means['spatial_spread']:.3f} < {LEAST_SPREAD}). "
            "Lower loss.spatial or loss.teacher_rate, or set loss.spatial_on=pixels."
        )
    if means.get("teacher_spread", 1.0) < LEAST_SPREAD:
        found["teacher"] = (
            f"Collapse: the teacher sees the same at all places (spread {means['teacher_spread']:.3f} < {LEAST_SPREAD}). "
            "Lower optimiser.learning_rate or loss.teacher_rate."
        )
    if "belief_perplexity" not in means or epoch < config.belief.incubation_epochs + 0.5:
        return found
    share, chance = means["belief_perplexity"] / config.codebook.tokens, math.log(config.codebook.tokens)
    narrow = share < LEAST_PERPLEXITY or means["tokens_believed"] < LEAST_BELIEVED
    if narrow or means.get("belief", 0.0) > chance:
        found["collapse"] = (
            f"Collapse: the belief uses {means['belief_perplexity']:.1f} of {config.codebook.tokens} tokens "
            f"(perplexity), {means['tokens_believed']:.0%} ever; its cross-entropy is {means.get('belief', 0.0):.2f}, that "
            f"of chance {chance:.2f}. Raise loss.belief (now {config.loss.belief:g})."
        )
    if means["token_error"] < means["quantisation_error"]:
        found["leak"] = (
            f"Leak: chosen tokens are nearer to the hidden patches (error {means['token_error']:.3f}) than the nearest "
            f"token is ({means['quantisation_error']:.3f}): the belief sees hidden pixels"
            + (", as belief.sees=pixels asks for." if config.belief.sees == "pixels" else ".")
        )
    return found


def _own_part(state: list[Sums], accelerator: Accelerator) -> Sums:
    """Return this process's part of a saved log; after a change of their number, everyone's mean."""
    if len(state) == accelerator.num_processes:
        own: Sums = state[accelerator.process_index]
        return own
    if not state:
        return {}
    return {
        name: [sum(column) / len(column) for column in zip(*(part[name] for part in state), strict=True)]
        for name in state[0]
    }


def _step(line: dict[str, Any], path: Path) -> int:
    """Return the step of a line of the log."""
    step = line.get("step")
    if not isinstance(step, int):
        raise FormatError(path, None, f"a line's step is {quoted(step)}", AGAIN)
    return step
