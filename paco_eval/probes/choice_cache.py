"""Choices on disk: what validation decided once is not decided again for the tasks derived from a task.

The key of a choice holds everything that it depends on: weights, adapter, contracts and precision of the
encoder; the declaration of the task without what its derived ones add; the records; who is fitted on and
who is looked at; and the code that chooses with the versions of its libraries. A choice that cannot be read,
or does not fit its checksum, is put aside and made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import paco_eval.probes.solvers
import tasks.kinds
import tasks.metrics
from paco_eval.features.forward import precision_of, probe_hash
from paco_eval.features.layers import layers_of
from paco_eval.probes.probe import Choice
from paco_fr.contracts import Encoder, content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import cache_folder, checksum, put_aside, write_text
from paco_fr.utils.untrusted import read_json
from tasks.splits import Fold, Validation
from tasks.task import Task

DECIDING = ("kind", "crop", "main_metric", "split", "choice_from", "flip", "views", "reductions", "head")
"""Fields of a task, beside its options, that a choice depends on: not those that say where its data lie, which count by
their contents, nor those in which a derived task differs from the task that it derives from."""


def choice_path(
    encoder: Encoder, task: Task, fingerprint: str, folds: Sequence[Fold[Validation]], rule: str = ""
) -> Path:
    """Return where the choice of this encoder for this task lies.

    Args:
        encoder: its weights, not its name, decide.
        task: bound to its data, a derived one or its base.
        fingerprint: hash of the records.
        folds: for choosing.
        rule: what else limits the choice.

    """
    parts = [part.indices for fold in folds for part in (fold.fit, fold.held)]
    key = {
        "encoder": [
            encoder.weight_hash,
            encoder.adapter_version,
            encoder.pixels.hash,
            precision_of(encoder),
            probe_hash(encoder),
        ],
        "layers": layers_of(encoder, task.reductions),
        "task": _declared(task),
        "records": fingerprint,
        "folds": [hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() for indices in parts],
        "rule": rule,
        "code": _code(),
    }
    return cache_folder("choices") / f"{content_hash(key)}.json"


def remembered(path: Path) -> Choice | None:
    """Return the choice in a file; None where there is none, or it was put aside because it is damaged."""
    if not path.exists():
        return None
    try:
        content = read_json(path)
        block, reduction = content["layer"]
        made = Choice((block, reduction), content["strength"], content["score"])
        if content["checksum"] != _checksum(path, made):
            raise PacoError("its content does not fit its checksum")
    except (PacoError, ValueError, TypeError, KeyError) as error:
        if path.exists():
            put_aside(path, error)
        return None
    return made


def chosen_once(path: Path, choose: Callable[[], Choice]) -> Choice:
    """Return the choice in a file; make it and keep it where there is none. JSON keeps every bit of a number."""
    known = remembered(path)
    if known is not None:
        return known
    made = choose()
    write_text(path, json.dumps({**asdict(made), "checksum": _checksum(path, made)}))
    return made


def _checksum(path: Path, choice: Choice) -> str:
    """Return the checksum of a choice under the name of its key."""
    return checksum(path.stem, json.dumps(asdict(choice)))


def _declared(task: Task) -> dict[str, Any]:
    """Return what a task shares with those derived from it, in plain values."""
    base, number = (
        (task.name, task.version) if task.sweep is None else (task.sweep.base, task.sweep.base_version)
    )
    options = {
        name: getattr(value, "hash", None) or repr(value)
        for name, value in task.options.items()
        if name != "declared_as"  # as it was written, with a path
    }
    plain = {name: repr(getattr(task, name)) for name in DECIDING}
    return {**plain, "options": options, "base": [base, number]}


@cache
def _code() -> list[str]:
    """Return hashes of the code that fits, scores and chooses, and the versions of what it computes with."""
    files = [Path(__file__).with_name("probe.py")]
    for package in (paco_eval.probes.solvers, tasks.kinds, tasks.metrics):
        files += sorted(Path(str(package.__file__)).parent.rglob("*.py"))
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return [*hashes, *(version(name) for name in ("numpy", "scipy", "torch"))]
