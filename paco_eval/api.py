"""The evaluation from Python: any encoder or plain module, a frame of results back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
from torch import Tensor, nn

from paco_eval.encoders import load_encoder
from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders._identity import identified
from paco_eval.encoders.timm import TimmEncoder, class_token_trained, contract_of
from paco_eval.evaluation.protocols import SEEDS, SHOTS, Protocol
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.features.processes import use_device
from paco_eval.finetune.margin import MarginName
from paco_eval.finetune.model import EPOCHS, TunedHead
from paco_eval.rows.store import load_results
from paco_fr.checkpoint import weight_hash
from paco_fr.contracts import Encoder, PixelContract
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.registry import select
from tasks.task import Task

Evaluated = str | nn.Module | Encoder


def evaluate(
    encoder: Evaluated | Sequence[Evaluated],
    tasks: str | Sequence[str | Task] = "*",
    *,
    pixels: PixelContract | None = None,
    name: str = "",
    out: str | Path = "paco-results",
    data_root: str | Path | None = None,
    limit: int | None = None,
    protocol: str = "frozen",
    shots: Sequence[str] = SHOTS,
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
    train_identities: str | Path | None = None,
    margin: MarginName = "cosface",
    head: TunedHead = "linear",
    crop: str = "",
    overwrite: str = "missing",
    trust: bool = False,
    allow_random: bool = False,
) -> pd.DataFrame:
    """Measure encoders on tasks and return the results of ``out`` for them, one line a metric.

    Args:
        encoder: a name (``timm:...``), an object with the protocol of :class:`paco_fr.contracts.Encoder`, or a
            plain module; or several of these. A module takes prepared pictures (B, 3, S, S) and gives (B, D),
            (B, N, D) or (B, C, H, W); it is put into evaluation mode and restored afterwards.
        tasks: names, globs, or tasks.
        pixels: how a plain module wants its pictures; not needed for timm's, which say it themselves.
        name: what a plain module is called in rows, by default its class and the hash of its weights.
        out: folder of rows; what is there already is not measured again.
        data_root: folder of data sets.
        limit: at most so many pictures of each part.
        protocol: see :mod:`paco_eval.evaluation.protocols`.
        shots: for few-shot.
        seeds: draws for few-shot, trainings for fine-tune.
        epochs: for fine-tune.
        train_identities: folder of people to fit or fine-tune on, for recognition sets without a train part.
        margin: loss of fine-tune on people.
        head: of fine-tune: ``linear``, or ``farl`` for landmarks and parsing after FaRL's recipe.
        crop: name of a crop in place of those of the tasks; rows say so.
        overwrite: ``never``, ``missing`` or ``always``.
        trust: whether code that comes with an encoder may run.
        allow_random: go on with features that depend on chance or on the batch; rows say so.

    Raises:
        PacoError: as on the command line; a task that failed is an error after the others ran.
        MissingDataError: a task named outright has no data.

    """
    asked = Protocol.asked(
        protocol, shots=shots, seeds=seeds, epochs=epochs, margin=margin, head=head, crop=crop, limit=limit
    )
    use_device("auto")
    several: list[Evaluated] = (
        list(encoder) if isinstance(encoder, (list, tuple)) else [cast(Evaluated, encoder)]
    )
    root = Path(data_root) if data_root is not None else None
    modules = [(one, one.training, _grads(one)) for one in several if isinstance(one, nn.Module)]
    measured: dict[str, dict[str, Any]] = {}
    try:
        loaded = [as_encoder(one, pixels, name, trust=trust) for one in several]
        failed = evaluate_all(
            loaded, _tasks(tasks, root), asked, out=Path(out), data_root=root, overwrite=overwrite,
            train_identities=None if train_identities is None else Path(train_identities), allow_random=allow_random,
            asked=measured,
            say=lambda _: None,
        )  # fmt: skip
    finally:
        for module, training, grads in modules:
            module.train(training)
            for parameter, wanted in zip(module.parameters(), grads, strict=True):
                parameter.requires_grad_(wanted)
    if failed:
        raise PacoError("\n".join(failed))
    frame = load_results(out)
    own = {(one.name, one.weight_hash) for one in loaded}
    now = {(fields["task"], fields["encoder"], fields["protocol"]) for fields in measured.values()}
    kept = [
        (row.encoder, row.weight_hash) in own
        and (row.key in measured or (row.task, row.encoder, row.protocol) not in now)  # else of former data
        for row in frame.itertuples()
    ]
    return frame[kept].reset_index(drop=True)


def _grads(module: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in module.parameters()]


def _tasks(tasks: str | Sequence[str | Task], root: Path | None) -> list[Task]:
    given = [tasks] if isinstance(tasks, str) else list(tasks)
    chosen = [task for task in given if isinstance(task, Task)]
    patterns = ",".join(task for task in given if isinstance(task, str))
    for task, named in select(patterns) if patterns else []:
        if not task.missing(root):
            chosen.append(task)
        elif named:
            raise MissingDataError(
                f"{task.name}: no data under {root or 'data_root (not given)'}. {task.obtain}"
            )
    if not chosen:
        raise PacoError(f"None of the tasks {patterns} has data. See `paco-eval list datasets`.")
    return chosen


def as_encoder(
    found: Evaluated, pixels: PixelContract | None = None, name: str = "", *, trust: bool = False
) -> Encoder:
    """Return a name, an encoder or a plain module as an encoder.

    Raises:
        PacoError: a module without a pixel contract, or something else altogether.

    """
    if isinstance(found, str):
        return load_encoder(found, trust=trust)
    if not isinstance(found, nn.Module):
        if isinstance(found, Encoder):
            return identified(found)
        raise PacoError(
            f"A {type(found).__name__} is no encoder: give a name, a torch module, or an Encoder."
        )
    found.eval()
    digest = weight_hash(found)
    given, name = name, name or f"module:{type(found).__name__}"
    if hasattr(found, "pretrained_cfg") and hasattr(found, "forward_intermediates"):
        contract = pixels or contract_of(found)
        made: Encoder = TimmEncoder(name, found, contract, has_global=class_token_trained(found))
        return _titled(identified(made, foreign=True), given)
    if pixels is None:
        raise PacoError(
            f"How does {type(found).__name__} want its pictures? Give pixels=paco_eval.PixelContract(size=..., ...)."
        )
    device = next((parameter.device for parameter in found.parameters()), None)

    def function(images: Tensor) -> Tensor:
        output: Tensor = found(images.to(device) if device is not None else images)
        return output

    parameters = sum(parameter.numel() for parameter in found.parameters())
    facts: dict[str, Any] = {"pixels_checked": check_contract(name, pixels, found)}
    made = FunctionEncoder(name, function, pixels, digest, parameters, facts=facts)
    return _titled(identified(made), given)


def _titled(encoder: Encoder, given: str) -> Encoder:
    """Return a module under its class and what it computes, where it was given no name."""
    if not given:
        encoder.name = f"{encoder.name}-{encoder.weight_hash[:6]}"
    return encoder
