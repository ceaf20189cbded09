"""The conformance suites of tasks, result row included, and of encoders.

:mod:`tasks.testing` says what is checked of a task, :func:`check_encoder` what of an encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import PartialState
from pydantic import ValidationError
from torch import Tensor, nn

from paco_eval.encoders._contract_check import check_contract
from paco_eval.features.forward import reference_pictures
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


PICTURES = 3
CLOSE = 1e-3
"""Largest difference between features of a picture alone and in a batch, relative to their spread."""


def check_encoder(encoder: Encoder) -> None:
    """Check that an encoder keeps :class:`paco_fr.contracts.Encoder`, on a few drawn pictures.

    - what it declares hangs together, and its pixel contract fits the weights as far as they can tell;
    - tokens are (B, N, D), finite and the same whichever blocks are asked with them; every declared
      reduction can be had;
    - the same pictures give the same tokens twice, and a picture's tokens do not depend on its batch;
    - its modules are in evaluation mode and on one device, pictures on any device are taken;
    - pictures are not written to, they matter, and no gradient is kept.

    Raises:
        ConformanceError: it breaks rules; all of them are named.

    """
    problems = list(_declared(encoder))
    if not problems:
        images = prepare(reference_pictures(encoder.pixels.size, PICTURES), encoder.pixels)
        problems = [*_mode(encoder), *_tokens(encoder, images)]
    if problems:
        raise ConformanceError(f"{encoder.name}: " + f"\n{encoder.name}: ".join(problems))


def _declared(encoder: Encoder) -> Iterator[str]:
    if not encoder.blocks or len(set(encoder.blocks)) < len(encoder.blocks):
        yield f"blocks {tuple(encoder.blocks)} must be one or more different names"
    if encoder.default_block not in encoder.blocks:
        yield f"default_block '{encoder.default_block}' is none of its blocks {tuple(encoder.blocks)}"
    unknown = [name for name in encoder.reductions if name not in REDUCTIONS]
    if unknown or not encoder.reductions:
        yield f"reductions {tuple(encoder.reductions)} must be some of {', '.join(REDUCTIONS)}"
    if len(encoder.weight_hash) != 16 or set(encoder.weight_hash) - set("0123456789abcdef"):
        yield f"weight_hash '{encoder.weight_hash}' is not sixteen hex digits"
    try:
        check_contract("pixels", encoder.pixels, getattr(encoder, "model", None))
    except PacoError as error:
        yield str(error)


def _mode(encoder: Encoder) -> Iterator[str]:
    modules = [value for value in vars(encoder).values() if isinstance(value, nn.Module)]
    parts = [part for module in modules for part in module.modules()]
    training = [type(part).__name__ for part in parts if part.training]
    if training:
        yield f"{len(training)} of its modules are in training mode, the first a {training[0]}: call eval()"
    devices = {str(tensor.device) for module in modules for tensor in module.state_dict().values()}
    if len(devices) > 1:
        yield f"its weights are spread over {', '.join(sorted(devices))}"


def _tokens(encoder: Encoder, images: Tensor) -> Iterator[str]:
    before = images.clone()
    try:
        found = encoder.tokens(images, encoder.blocks)
    except Exception as error:  # whatever someone else's encoder raises
        yield f"tokens() fails on pictures {tuple(images.shape)} of its own contract: {type(error).__name__}: {error}"
        return
    if not torch.equal(images, before):
        yield "tokens() writes to the pictures that it is given"
        images = before.clone()
    if set(found) != set(encoder.blocks):
        yield f"tokens() returns blocks {sorted(found)} for {list(encoder.blocks)}"
        return
    shapes = [problem for block, tokens in found.items() for problem in _shapes(encoder, block, tokens)]
    yield from shapes
    if shapes:
        return
    again, mirrored = encoder.tokens(images, encoder.blocks), encoder.tokens(images.flip(-1), encoder.blocks)
    alone = encoder.tokens(images[:1], encoder.blocks)
    device = PartialState().device
    moved = encoder.tokens(images.to(device), encoder.blocks)
    for block, tokens in found.items():
        if not torch.equal(again[block].patches, tokens.patches):
            yield f"block {block}: the same pictures give other tokens the second time"
        if _apart(alone[block].patches[0], tokens.patches[0]):
            yield f"block {block}: a picture alone gives other tokens than in a batch"
        if _apart(moved[block].patches, tokens.patches):
            yield f"block {block}: pictures on {device} give other tokens than the same on the CPU"
        single = encoder.tokens(images, [block])[block].patches
        if _apart(single, tokens.patches):
            yield f"block {block}: asked alone it gives other tokens than among all blocks"
    if encoder.parameters and all(
        not _apart(mirrored[block].patches, found[block].patches) for block in found
    ):
        yield "mirrored pictures give the same tokens in the same places: the pictures do not matter"


def _shapes(encoder: Encoder, block: str, tokens: Tokens) -> Iterator[str]:
    patches, pooled = tokens.patches, tokens.pooled
    if patches.ndim != 3 or len(patches) != PICTURES:
        yield f"block {block}: patches are {tuple(patches.shape)}, expected ({PICTURES}, N, D)"
        return
    if pooled is not None and (pooled.ndim != 2 or len(pooled) != PICTURES):
        yield f"block {block}: the global token is {tuple(pooled.shape)}, expected ({PICTURES}, D)"
        return
    if not torch.isfinite(patches).all():
        yield f"block {block}: patches are not finite"
    if patches.requires_grad or (pooled is not None and pooled.requires_grad):
        yield f"block {block}: a gradient is kept; compute under torch.inference_mode()"
    for reduction in encoder.reductions:
        try:
            reduce(tokens, reduction)
        except PacoError as error:
            yield f"block {block}: reduction '{reduction}' is declared and cannot be had: {error}"


def _apart(one: Tensor, other: Tensor) -> bool:
    one, other = one.float().cpu(), other.float().cpu()
    return one.shape != other.shape or bool(
        (one - other).abs().max() > CLOSE * max(float(one.std(correction=0)), 1e-6)
    )
