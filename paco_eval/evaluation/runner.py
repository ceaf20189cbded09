"""Encoders x tasks: features once, heads fitted, a row written for each as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from accelerate import PartialState

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.codebook import evaluate_diagnosis, evaluate_stability
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.derived import evaluate_sweep, share_pictures
from paco_eval.evaluation.finetuned import evaluate_finetuned
from paco_eval.evaluation.frozen import evaluate_cell
from paco_eval.evaluation.protocols import SEEDS, SHOTS, NotApplicableError, variants
from paco_eval.features.cache_locks import keeping
from paco_eval.finetune.margin import MarginName
from paco_eval.finetune.model import EPOCHS, Settings, TunedHead, recipe
from paco_eval.rows.schema import Row
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError, reason
from paco_fr.utils.files import owned_folder
from paco_fr.utils.types import Say
from tasks.kinds import load_kind
from tasks.task import Task

Measure = Callable[..., list[Row]]


def evaluate_all(
    encoders: Sequence[str | Encoder],
    tasks: Sequence[Task],
    *,
    out: Path,
    data_root: Path | None = None,
    overwrite: str = "missing",
    limit: int | None = None,
    train_identities: Path | None = None,
    protocol: str = "frozen",
    shots: Sequence[str] = SHOTS,
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
    margin: MarginName = "cosface",
    head: TunedHead = "linear",
    crop: str = "",
    cache_limit: str = "",
    wait: bool = False,
    say: Say = print,
) -> list[str]:
    """Evaluate every encoder on every task and return a line for each cell that failed.

    A failed cell is reported and the others go on; rows already written stay. That holds for errors that nobody
    foresaw, too, in an encoder or a task of someone else's say; their tracebacks go to ``out/errors.log``. Encoders
    are loaded first, so that a wrong name stops the call before anything is computed.

    Args:
        encoders: names, or encoders that are already loaded.
        tasks: what to measure them on.
        out: folder of rows, held by this run.
        data_root: folder of data sets.
        overwrite: ``never``, ``missing`` or ``always``.
        limit: at most so many pictures of each part.
        train_identities: a folder of people to fit whitening on, or to fine-tune on, for recognition sets
            without a train part.
        protocol: see :mod:`paco_eval.evaluation.protocols`; tasks that it does not apply to are said to be left out.
        shots: how much is fitted on, for few-shot.
        seeds: draws for few-shot, trainings for fine-tune.
        epochs: of fine-tune.
        margin: loss of fine-tune on people.
        head: of fine-tune: ``linear``, or ``farl`` for landmarks and parsing after FaRL's recipe.
        crop: name of a crop in place of those of the tasks; rows say so.
        cache_limit: size such as 20GB that the cache of features is kept to, by removing what was unused for
            longest; what this evaluation uses stays. By default ``PACO_CACHE_LIMIT``, empty for none.
        wait: until another run into ``out`` has ended, instead of refusing.
        say: takes lines for the user.

    """
    loaded = [load_encoder(one) if isinstance(one, str) else one for one in encoders]
    state = PartialState()
    failed: list[str] = []
    with keeping(cache_limit), owned_folder(out, wait=wait) if state.is_main_process else nullcontext():
        for task in tasks:
            try:
                data = Data.load(task, data_root, limit, train_identities, crop)
                measured = variants(protocol, data, shots, seeds, epochs, margin, head)
                measure = _measure_of(
                    task, protocol, replace(recipe(head, task.kind), epochs=epochs, margin=margin)
                )
            except NotApplicableError as error:
                say(f"Left out {error}")
                continue
            except Exception as error:
                why = reason(error, task.name, out)
                say(f"{task.name}: {why}")
                failed += [f"{task.name}  {encoder.name}: {why}" for encoder in loaded]
                continue
            if measure is evaluate_sweep:
                for variant in measured:
                    share_pictures(loaded, variant, out=out, overwrite=overwrite)
            for encoder, variant in product(loaded, measured):
                try:
                    rows = measure(encoder, variant, out=out, overwrite=overwrite, say=say)
                except NotApplicableError as error:
                    say(f"Left out {error}")
                    continue
                except Exception as error:
                    if (
                        protocol == "fine-tune"
                        and state.num_processes > 1
                        and not isinstance(error, PacoError)
                    ):
                        raise  # the others wait in the middle of a step; the launcher ends them
                    cell = f"{task.name}  {encoder.name}"
                    failed.append(f"{cell}: {reason(error, cell, out)}")
                    say(failed[-1])
                    continue
                for row in rows:
                    say(_line(row))
    return failed


def _measure_of(task: Task, protocol: str, settings: Settings) -> Measure:
    """Return what measures an encoder on a task: a head, a sweep, the encoder's own diagnostics, a training."""
    if protocol == "fine-tune":
        return partial(evaluate_finetuned, settings=settings)
    if load_kind(task.kind).HEAD == "diagnostics":
        return evaluate_diagnosis if task.sweep is None else evaluate_stability
    return evaluate_cell if task.sweep is None else evaluate_sweep


def _line(row: Row) -> str:
    main = row.main
    interval = f" [{main.low:.4g}, {main.high:.4g}]" if main.low is not None else ""
    shown = "undefined" if main.value is None else f"{main.value:.4g}"
    subset = "" if row.subset == "all" else f" ({row.subset}{f' {row.level}' if row.level else ''})"
    probe = "" if row.probe_seed is None else f"  {row.protocol}, draw {row.probe_seed}"
    return f"{row.task}{subset}{probe}  {row.encoder}: {row.main_metric} {shown}{interval}"
