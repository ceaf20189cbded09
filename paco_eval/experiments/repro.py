"""Measuring a stored row again: do the numbers come out the same, and what is different today?

The answer rests on numbers; the list of fields explains it. A number is *same* within a relative 1e-6, *within
interval* inside the interval that it is judged by, else *different*.

- A row of ``repro: evaluate`` answers by the worst of its metrics, each judged by the interval in the row:
  weights and data are at hand, so all of them must come back.
- A row of ``repro: retrain`` whose weights are still at hand answers likewise. Of weights trained again it answers by
  its main metric, judged by the seed interval: the 95 % prediction
  interval for one more seed, mean ± t(n-1) s √(1 + 1/n) over the rows of n ≥ 2 seeds of its method (Student's
  distribution; our choice). With one seed there is none, and the interval over people stands in for it.
- Another task version or crop is another score: *different*, whatever its value.
"""

from __future__ import annotations

import math
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from scipy.stats import t as student

from paco_eval.analysis.significance import Ends
from paco_eval.encoders import load_encoder
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.rows.schema import Metric, Row
from paco_eval.rows.store import Stored, find_row, load_rows
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import MissingDataError, PacoError
from paco_fr.utils.types import Say
from tasks.task import Task
from tasks.user_tasks import own_task

Answer = Literal["same", "within interval", "different"]
ORDER: tuple[Answer, ...] = ("same", "within interval", "different")
"""From best to worst."""

RELATIVE = 1e-6
"""Largest relative difference of two numbers that count as the same: the rounding of other libraries."""

REDEFINING = ("task_version", "crop_hash")
"""Fields that say what a score means."""

APART = {"key", "digest", "metrics", "timings", "command", "beside", "settings", "alias", "probe"}
"""Fields that are compared by others, or differ between any two runs."""


@dataclass(frozen=True)
class Number:
    """One metric then and now, with the ends of the interval that it was judged by."""

    name: str
    recorded: float | None
    measured: float | None
    low: float | None
    high: float | None
    answer: Answer


@dataclass(frozen=True)
class Reproduction:
    """What came of measuring a row again.

    Attributes:
        answer: of the whole row.
        recorded: the row as stored.
        numbers: the metrics, the main one first.
        fields: name -> (recorded, measured) of each field that differs; nested ones with a dot.
        judged_by: in words, what decided.

    """

    answer: Answer
    recorded: Row
    numbers: list[Number]
    fields: dict[str, tuple[Any, Any]]
    judged_by: str


def reproduce(
    place: str | Path,
    known: Mapping[str, Task],
    *,
    checkpoint: Path | None = None,
    encoder_from: str | None = None,
    trust: bool = False,
    data_root: Path | None = None,
    train_identities: Path | None = None,
    cached: bool = False,
    say: Say = print,
) -> Reproduction | None:
    """Measure a row again in a temporary folder and compare; None in processes other than the first.

    A row of a subset or of a level is measured with its whole task, of which it is a part.

    Args:
        place: the file of the row, or ``FOLDER#KEY`` of an archive; rows of other seeds are looked for beside it.
        known: tasks by name; one on own pictures is made again as the row says, if it is not among them.
        checkpoint: folder of weights trained again, for rows of ``repro: retrain`` whose weights are not at hand.
        encoder_from: ``FILE:CLASS`` that gives the encoder of a row that was measured from Python.
        trust: whether code that comes with an encoder may run.
        data_root: folder of the data sets.
        train_identities: the folder of people that the row was fitted on, if it was.
        cached: whether to trust features and rendered faces in the cache; else they are made anew.
        say: is told how the evaluation goes.

    Raises:
        MissingDataError: the task's data is not under ``data_root``.
        PacoError: the row cannot be read, its task or protocol is not known here, its weights have to be
            trained first (the message says how), or the evaluation fails.

    """
    stored = find_row(place)
    row, path = stored.row, stored.path
    task = task_of(path, row, known, data_root)
    protocol = protocol_of(path, row, train_identities)
    then = f"Then: paco-eval repro {path} --checkpoint FOLDER"
    encoder = encoder_of(path, row, checkpoint, encoder_from, trust=trust, then=then)
    state, said = PartialState(), [""]

    def tell(text: str) -> None:
        said.append(text)
        say(text)

    with tempfile.TemporaryDirectory() as own:
        out = Path(broadcast_object_list([own])[0])  # all processes evaluate into one folder
        with nullcontext() if cached else _empty_cache(out / "cache"):
            failed = evaluate_all(
                [encoder], [task], protocol, out=out,
                data_root=data_root, train_identities=train_identities if protocol.people else None, say=tell,
            )  # fmt: skip
        state.wait_for_everyone()
        found = [stored.row for stored in load_rows(out / "rows").rows] if state.is_main_process else []
        state.wait_for_everyone()
    if not state.is_main_process:
        return None
    if failed:
        raise PacoError(f"{path}: could not be measured again. {said[-1]}")
    measured = next((other for other in found if _place(other) == _place(row)), None)
    if measured is None:
        raise PacoError(f"{path}: {row.task} has no subset '{row.subset}' at level {row.level} any more.")
    return judge(row, measured, seeds_beside(stored))


def task_of(path: Path, row: Row, known: Mapping[str, Task], data_root: Path | None) -> Task:
    """Return the task of a row; one on own pictures is made again as the row says, if it is not among those known.

    Raises:
        MissingDataError: its data is not under ``data_root``.
        PacoError: it is not known here.

    """
    task = known.get(row.task) or _own_task(row)
    if task is None:
        raise PacoError(
            f"{path}: its task '{row.task}' is not known here; declare it with --folder or --tasks-from. "
            f"The row was made by: {row.command or 'an unknown command'}"
        )
    if absent := task.missing(data_root):
        where = data_root or "--data-root (not given)"
        raise MissingDataError(f"{row.task}: {', '.join(absent)} not under {where}. {task.obtain}")
    return task


def _own_task(row: Row) -> Task | None:
    """Return the task on own pictures that the command of a row declares; None where it declares none."""
    words = shlex.split(row.command)
    folders = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--folder"]
    made = (own_task(folder) for folder in folders)
    return next((task for task in made if task.name == row.task), None)


def encoder_of(
    path: Path,
    row: Row,
    checkpoint: Path | None = None,
    encoder_from: str | None = None,
    *,
    trust: bool = False,
    then: str = "",
) -> Encoder:
    """Return the encoder to measure a row again with: its own where it can be had, else what stands in for it.

    Args:
        path: of the row.
        row: what it holds.
        checkpoint: folder of weights trained again.
        encoder_from: ``FILE:CLASS`` that gives the encoder of a row that was measured from Python.
        trust: whether code that comes with an encoder may run.
        then: what to do once weights were trained again.

    Raises:
        PacoError: the weights are not at hand (the message says how they are trained or given), or what stands in
            for them is not needed.

    """
    if encoder_from is not None:
        loaded = load_encoder(f"file:{encoder_from}", trust=trust)
        loaded.name = row.encoder
        return loaded
    if row.repro == "evaluate" and checkpoint is not None:
        raise PacoError(f"{path}: '{row.encoder}' is not trained here; leave --checkpoint out.")
    if checkpoint is not None:
        return load_encoder(f"paco:{checkpoint}")
    if row.repro == "retrain":
        folder = row.encoder.removeprefix("paco:")
        if not Path(folder).is_dir():
            raise PacoError(f"{path}: {training(row)} {then}".rstrip())
        loaded = load_encoder(row.encoder)
        if row.weight_hash not in (loaded.weight_hash, getattr(loaded, "stated_hash", "")):
            raise PacoError(f"{path}: {folder} holds other weights now; {training(row)} {then}".rstrip())
        return loaded
    if row.encoder.startswith("module:"):
        raise PacoError(
            f"{path}: '{row.encoder}' was a module in Python. Give a class that makes it: --encoder-from FILE:CLASS --trust."
        )
    return load_encoder(row.encoder, trust=trust)


@contextmanager
def _empty_cache(folder: Path) -> Iterator[None]:
    before = os.environ.get("PACO_CACHE")
    os.environ["PACO_CACHE"] = str(folder)
    try:
        yield
    finally:
        del os.environ["PACO_CACHE"]
        if before is not None:
            os.environ["PACO_CACHE"] = before


def training(row: Row) -> str:
    """Return a sentence that says how the weights of a row are trained again, and for how long."""
    if not row.retrain:
        return f"the weights of '{row.encoder}' are not at hand, and the row does not say how to train them."
    seconds = row.timings.get("pretrain")
    took = "" if seconds is None else f" ({seconds / 3600:.2g} hours when the row was made)"
    return f"its weights are trained again by: {row.retrain}{took}."


def protocol_of(path: Path, row: Row, train_identities: Path | None) -> Protocol:
    """Return the protocol to measure a row under again, as many draws or trainings as lead to its own.

    Raises:
        PacoError: this version cannot measure it, or the people that the row was fitted on are missing.

    """
    refused = PacoError(f"{path}: protocol '{row.protocol}' cannot be measured again by this version.")
    try:
        protocol = Protocol.parse(row.protocol)
    except PacoError as error:
        raise refused from error
    if protocol.varied or protocol.precision != "float32":
        raise refused
    if protocol.people and train_identities is None:
        raise PacoError(f"{path}: was fitted on {protocol.people}; give that folder as --train-identities.")
    return replace(protocol, seeds=1 + (row.probe_seed or 0))


def _place(row: Row) -> tuple[Any, ...]:
    return row.task, row.split, row.subset, row.level, row.probe_seed


def seeds_beside(stored: Stored) -> list[Row]:
    """Return the rows in a row's folder that differ from it in pretraining seed only, itself among them."""
    alike = ("method", "task_version", "protocol", "crop_hash", "data_fingerprint")
    row, rows = stored.row, [other.row for other in load_rows(stored.folder).rows]
    return [
        other
        for other in rows
        if other.pretrain_seed is not None
        and _place(other) == _place(row)
        and all(getattr(other, name) == getattr(row, name) for name in alike)
    ]


def judge(recorded: Row, measured: Row, seeds: Sequence[Row] = ()) -> Reproduction:
    """Return the comparison of a row with itself measured again.

    Args:
        recorded: the stored row.
        measured: the row of today.
        seeds: rows of the same method, one for each pretraining seed, for ``repro: retrain``.

    """
    known = (measured.weight_hash, measured.stated_hash)
    retrained = recorded.repro == "retrain" and recorded.weight_hash not in known
    names = sorted(recorded.metrics, key=lambda name: name != recorded.main_metric)
    by_seeds = retrained and len({row.pretrain_seed for row in seeds}) > 1
    numbers = []
    for name in names:
        then, now = recorded.metrics[name], measured.metrics.get(name)
        ends = seed_interval(name, seeds) if by_seeds else (then.low, then.high)
        value = None if now is None else now.value
        numbers.append(Number(name, then.value, value, *ends, _answer(then, now, ends)))
    deciding = numbers[:1] if retrained else numbers
    answer = max((number.answer for number in deciding), key=ORDER.index)
    judged_by = "the worst of all metrics, by the intervals in the row"
    if retrained:
        unit = f"{len(seeds)} seeds beside the row" if by_seeds else "people in the row, as there is one seed"
        judged_by = f"the main metric, by the interval over {unit}"
    fields = changed_fields(recorded, measured)
    redefined = [name for name in REDEFINING if name in fields]
    if redefined:
        answer, judged_by = "different", f"another {' and '.join(redefined)}, so it is another score"
    return Reproduction(answer, recorded, numbers, fields, judged_by)


def _answer(then: Metric, now: Metric | None, ends: Ends) -> Answer:
    if now is None or (then.value is None) != (now.value is None):
        return "different"
    if then.value is None or now.value is None or math.isclose(then.value, now.value, rel_tol=RELATIVE):
        return "same"
    low, high = ends
    return (
        "within interval"
        if low is not None and high is not None and low <= now.value <= high
        else "different"
    )


def seed_interval(metric: str, seeds: Sequence[Row]) -> Ends:
    """Return the 95 % prediction interval of a metric for one more pretraining seed; None if undefined."""
    values = [row.metrics[metric].value for row in seeds if metric in row.metrics]
    found = np.array([value for value in values if value is not None])
    if len(found) < 2 or len(found) < len(seeds):
        return None, None
    half = student.ppf(0.975, len(found) - 1) * found.std(ddof=1) * math.sqrt(1 + 1 / len(found))
    return float(found.mean() - half), float(found.mean() + half)


def changed_fields(recorded: Row, measured: Row) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ: hashes, fingerprints, choices, versions, hardware, commit, ..."""
    then, now = (dict(_flat(row.model_dump(mode="json", by_alias=True))) for row in (recorded, measured))
    if not recorded.network:  # of an earlier version, whose weight_hash is what is called stated now
        now = {name: value for name, value in now.items() if not name.startswith("network.")}
        now["weight_hash"] = measured.stated_hash
    return {
        name: (then.get(name), now.get(name))
        for name in sorted({*then, *now})
        if not _alike(then.get(name), now.get(name))
    }


def _flat(fields: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if section or name not in APART:
            yield from (
                _flat(value, f"{section}{name}.") if isinstance(value, dict) else [(section + name, value)]
            )


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=RELATIVE)
    return bool(a == b)
