"""The conformance suites of tasks, result row included, and of encoders.

:mod:`tasks.testing` says what is checked of a task, :func:`check_encoder` what of an encoder.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import PartialState
from pydantic import ValidationError
from torch import nn

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._probe import Identity, probe_pictures, probed
from paco_eval.features.layers import REDUCTIONS, reduce
from paco_eval.rows.schema import Metric, Row, Unit
from paco_fr.contracts import Encoder, Tokens
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.testing import Checked, ConformanceError, inspect


def check_task(task: Task, data_root: str | Path | None = None) -> Checked:
    """Check a task as :func:`tasks.testing.check_task` does, and that rows of its numbers validate.

    Raises:
        MissingDataError: the data is not there.
        ConformanceError: the task breaks rules; all of them are named.

    """
    result = inspect(task, data_root)
    for view, values in result.scores.items():
        for column, what in enumerate(("perfect", "dealt", "failed")):
            try:
                row_of(result.task, view, {name: numbers[column] for name, numbers in values.items()})
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                result.problems.append(f"view '{view}': the row of {what} numbers: {where}: {first['msg']}")
    if result.problems:
        raise ConformanceError(f"{task.name}: " + f"\n{task.name}: ".join(result.problems))
    return result


def row_of(task: Task, view: str, values: dict[str, float]) -> Row:
    """Return a row of made-up numbers, all fields filled; raises where it does not validate."""
    directions = {metric.name: metric for metric in load_kind(task.kind).metrics(task)}
    metrics = {
        name: Metric(
            value=float(value) if np.isfinite(value) else None,
            higher_is_better=directions[name].higher_is_better,
            unit=cast(Unit, directions[name].unit),
        )
        for name, value in values.items()
    }
    return Row.model_validate(
        {
            "task": task.name,
            "task_version": task.version,
            "family": task.family,
            "encoder": "conformance",
            "method": "conformance",
            "weight_hash": "0" * 16,
            "pixel_hash": "0" * 16,
            "crop_hash": task.crop.hash,
            "protocol": "conformance",
            "subset": view,
            "data_fingerprint": "0" * 16,
            "data_kind": task.data_kind,
            "metrics": metrics,
            "main_metric": task.main_metric,
            "n_expected": 0,
            "n_scored": 0,
        }
    )


CLOSE = 1e-3
"""Largest difference between features of pictures on two devices, relative to their spread."""


def check_encoder(encoder: Encoder, *, strict: bool = True, allow_random: bool = False) -> None:
    """Check that an encoder keeps :class:`paco_fr.contracts.Encoder`, on the pictures of its probe.

    - what it declares hangs together, and its pixel contract fits the weights as far as they can tell;
    - tokens are (B, N, D) floating point numbers, finite and the same whichever blocks are asked with them; every
      declared reduction can be had;
    - the same pictures give the same tokens twice, and a picture's tokens do not depend on its batch;
    - pictures are not written to.

    Every evaluation asks that much. What spoils no score is asked here alone:

    - its modules are in evaluation mode and on one device, pictures on any device are taken;
    - the pictures matter, no gradient is kept, ``default_block`` is one of its blocks, and ``weight_hash`` a hash.

    Args:
        encoder: identified or not.
        strict: whether to ask what spoils no score, too.
        allow_random: whether tokens may depend on chance or on the batch.

    Raises:
        ConformanceError: it breaks rules; all of them are named. If it raises on the probe, in an evaluation that.

    """
    problems = list(_declared(encoder, strict))
    if not problems:
        identity: Identity = getattr(encoder, "identity", None) or probed(encoder)
        if identity.error is not None and not strict:
            raise identity.error
        problems = [*identity.problems, *(() if allow_random else identity.chance)]
        if identity.error is not None:
            problems = [f"tokens() fails on pictures of its own contract: {problems[0]}"]
        if not identity.problems:
            problems += _reductions(encoder, identity)
        if strict or (identity.chance and not allow_random):
            problems += _mode(encoder)
        if strict and not problems:
            problems += [f"block {block}: the pictures do not matter" for block in identity.constant
                         if encoder.parameters]  # fmt: skip
            problems += _kept(encoder)
    if problems:
        raise ConformanceError(f"{encoder.name}: " + f"\n{encoder.name}: ".join(problems))


def _declared(encoder: Encoder, strict: bool) -> Iterator[str]:
    if not encoder.blocks or len(set(encoder.blocks)) < len(encoder.blocks):
        yield f"blocks {tuple(encoder.blocks)} must be one or more different names"
    if strict and encoder.default_block not in encoder.blocks:
        yield f"default_block '{encoder.default_block}' is none of its blocks {tuple(encoder.blocks)}"
    unknown = [name for name in encoder.reductions if name not in REDUCTIONS]
    if unknown or not encoder.reductions:
        yield f"reductions {tuple(encoder.reductions)} must be some of {', '.join(REDUCTIONS)}"
    if strict and (len(encoder.weight_hash) != 16 or set(encoder.weight_hash) - set("0123456789abcdef")):
        yield f"weight_hash '{encoder.weight_hash}' is not sixteen hex digits"
    if not strict:
        return  # contract and weights were held together when it was loaded
    try:
        check_contract("pixels", encoder.pixels, getattr(encoder, "model", None))
    except PacoError as error:
        yield str(error)


def _mode(encoder: Encoder) -> Iterator[str]:
    own = getattr(getattr(encoder, "inner", encoder), "__dict__", {})
    modules = [value for value in own.values() if isinstance(value, nn.Module)]
    parts = [part for module in modules for part in module.modules()]
    training = [type(part).__name__ for part in parts if part.training]
    if training:
        yield f"{len(training)} of its modules are in training mode, the first a {training[0]}: call eval()"
    devices = {str(tensor.device) for module in modules for tensor in module.state_dict().values()}
    if len(devices) > 1:
        yield f"its weights are spread over {', '.join(sorted(devices))}"


def _reductions(encoder: Encoder, identity: Identity) -> Iterator[str]:
    """Yield the reductions that outputs of the shapes that the probe found do not give."""
    shapes = {told.partition(" (")[0]: ast.literal_eval(told[told.index("(") :]) for told in identity.shapes}
    for block in encoder.blocks:
        pooled = shapes.get(f"block {block} global")
        tokens = Tokens(
            torch.zeros(1, *shapes[f"block {block} patches"]),
            None if pooled is None else torch.zeros(1, *pooled),
        )
        for reduction in encoder.reductions:
            try:
                reduce(tokens, reduction)
            except PacoError as error:
                yield f"block {block}: reduction '{reduction}' is declared and cannot be had: {error}"


def _kept(encoder: Encoder) -> Iterator[str]:
    """Yield what is kept beside the tokens, and whether pictures on the device of a run give others."""
    images, device = prepare(probe_pictures(encoder.pixels.size)[:2], encoder.pixels), PartialState().device
    found, moved = encoder.tokens(images, encoder.blocks), encoder.tokens(images.to(device), encoder.blocks)
    for block, tokens in found.items():
        pooled = tokens.pooled
        if tokens.patches.requires_grad or (pooled is not None and pooled.requires_grad):
            yield f"block {block}: a gradient is kept; compute under torch.inference_mode()"
        one, other = tokens.patches.detach().float().cpu(), moved[block].patches.detach().float().cpu()
        if float((one - other).abs().max()) > CLOSE * max(float(one.std(correction=0)), 1e-6):
            yield f"block {block}: pictures on {device} give other tokens than the same on the CPU"
