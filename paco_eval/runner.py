"""Encoders x tasks: features once, heads fitted, a row written for each as it comes."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from datasets import Dataset

from paco_eval.encoders import load_encoder
from paco_eval.extraction import Features, extract
from paco_eval.protocol import Choice, choose, score
from paco_eval.rows import Interval, Row, row_key, write_row
from paco_eval.rows import Metric as RowMetric
from paco_eval.samples import save_samples
from paco_eval.statistics import bootstrap
from paco_fr.encoder import Encoder
from paco_fr.errors import PacoError
from paco_fr.files import owned_folder
from paco_fr.records import fingerprint
from tasks import splits
from tasks.kinds import load_kind
from tasks.task import Task, resolve
from tasks.units import Units, units_of

Say = Callable[[str], None]

REPLICATES = 1000
"""Bootstrap replicates behind the intervals of a row."""


def evaluate_all(
    encoders: Sequence[str],
    tasks: Sequence[Task],
    *,
    out: Path,
    data_root: Path | None = None,
    overwrite: str = "missing",
    limit: int | None = None,
    say: Say = print,
) -> int:
    """Evaluate every encoder on every task and return how many cells failed.

    A failed cell is reported and the others go on; rows already written stay. Encoders are loaded first,
    so that a wrong name stops the call before anything is computed.
    """
    loaded = [load_encoder(name) for name in encoders]
    state = PartialState()
    failed = 0
    with owned_folder(out) if state.is_main_process else nullcontext():
        for task in tasks:
            try:
                data = Data.load(task, data_root, limit)
                measure = _measure(task)
            except PacoError as error:
                say(f"{task.name}: {error}")
                failed += len(loaded)
                continue
            for encoder in loaded:
                try:
                    rows = measure(encoder, data, out=out, overwrite=overwrite, say=say)
                except PacoError as error:
                    say(f"{task.name}  {encoder.name}: {error}")
                    failed += 1
                    continue
                for row in rows:
                    say(_line(row))
    return failed


def _measure(task: Task) -> Callable[..., list[Row]]:
    """Return what evaluates one encoder on the task."""
    if task.sweep is None:
        return evaluate_cell
    from paco_eval.sweep import evaluate_sweep  # it is built from this module's parts

    return evaluate_sweep


@dataclass(frozen=True)
class Data:
    """A task's pictures and roles, read once for all encoders.

    Attributes:
        task: the declaration.
        views: view name ("all" is the main one) -> its units and split.
        fingerprint: hash of the records.
        protocol: name of the protocol with what departs from the task's own.

    """

    task: Task
    views: dict[str, tuple[Units, splits.Split]]
    fingerprint: str
    protocol: str

    @classmethod
    def load(cls, task: Task, data_root: Path | None, limit: int | None = None) -> Data:
        """Read the records of a task, cut units and give out roles."""
        records: Dataset = resolve(task.reader)(data_root, **task.reader_options)
        if limit is not None:
            records = _limited(records, limit)
        units = units_of(records, task.crop)
        member = _views(units.labels, task)
        views = {name: units.only(np.flatnonzero(member == name)) for name in ("all", *task.views)}
        return cls(
            task,
            {name: (part, _split(task, part.labels)) for name, part in views.items()},
            fingerprint(records),
            "frozen" if limit is None else f"frozen, limit {limit}",
        )


def evaluate_cell(
    encoder: Encoder, data: Data, *, out: Path, overwrite: str = "missing", say: Say = print
) -> list[Row]:
    """Measure one encoder on one task and write a row for each view; return the new rows.

    Raises:
        PacoError: the task's crop is not the one the encoder requires, rows exist under ``never``, or
            whatever extraction and fitting meet.

    """
    task = data.task
    if encoder.required_crop is not None and encoder.required_crop != task.crop:
        raise PacoError(f"needs the crop {encoder.required_crop}, the task cuts {task.crop}.")
    identities = {view: identity_of(encoder, data, view) for view in data.views}
    present = [
        view for view, fields in identities.items() if (out / "rows" / f"{row_key(fields)}.json").exists()
    ]
    if present and overwrite == "never":
        raise PacoError("rows are already there and --overwrite is never.")
    if len(present) == len(identities) and overwrite == "missing":
        say(f"{task.name}  {encoder.name}: already measured")
        return []
    choice: Choice | None = None
    rows = []
    for view, (units, split) in data.views.items():
        features = extract(encoder, units, task.reductions, progress=True)
        if not PartialState().is_main_process:
            continue
        started = time.monotonic()
        if choice is None:  # the main view comes first
            seen = np.unique(
                np.concatenate([part.indices for fold in split.select for part in (fold.fit, fold.held)])
            )
            choice = choose(task, hidden(features, seen), units.labels, split.select)
        chose = time.monotonic()
        items = score(task, features.layers, units.labels, split.score, choice)
        held = np.concatenate([fold.held.indices for fold in split.score])
        failed = sum(unit in features.failures for unit in held.tolist())
        row = row_of(encoder, data, identities[view], choice, items, split, len(held), failed,
                   {"extract": features.seconds, "choose": chose - started, "score": time.monotonic() - chose})  # fmt: skip
        path = write_row(out / "rows", row, items)
        if task.kind == "landmarks":
            save_samples(path.with_name(f"{path.stem}.samples.npz"), items, units)
        rows.append(row.model_copy(update={"key": path.stem}))
    return rows


def hidden(features: Features, seen: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Return copies of the feature tables in which units outside ``seen`` are blank: choosing cannot peek."""
    copies = {}
    for layer, table in features.layers.items():
        blank = np.full_like(table, np.nan)
        blank[seen] = table[seen]
        copies[layer] = blank
    return copies


def _split(task: Task, labels: pd.DataFrame) -> splits.Split:
    if task.split == "official":
        return splits.from_column(labels["split"], labels["group"])
    make = splits.subject_folds if task.split == "subject_folds" else splits.selection_only
    return make((labels["split"] == "validation").to_numpy(), labels["group"])


def _views(labels: pd.DataFrame, task: Task) -> np.ndarray:
    """Return the view that each unit belongs to: one of ``task.views`` among its subsets, else "all"."""
    if not task.views:
        return np.full(len(labels), "all", dtype=object)
    own = [next((view for view in task.views if view in set(cell)), "all") for cell in labels["subsets"]]
    return np.array(own, dtype=object)


def _limited(records: Dataset, limit: int) -> Dataset:
    """Return at most ``limit`` records of each part, in their order."""
    part = pd.Series(records["split"][:])
    return records.select(np.flatnonzero(part.groupby(part).cumcount() < limit))


def identity_of(encoder: Encoder, data: Data, view: str) -> dict[str, Any]:
    """Return the fields of a row that say which measurement it is."""
    facts = getattr(encoder, "facts", {})
    return {
        "task": data.task.name,
        "task_version": data.task.version,
        "encoder": encoder.name,
        "weight_hash": encoder.weight_hash,
        "pixel_hash": encoder.pixels.hash,
        "crop_hash": data.task.crop.hash,
        "protocol": data.protocol,
        "split": "test",
        "subset": view,
        "level": None,
        "data_fingerprint": data.fingerprint,
        "pretrain_seed": facts.get("pretrain_seed"),
        "probe_seed": None,
        "split_seed": None,
    }


def row_of(
    encoder: Encoder, data: Data, identity: dict[str, Any], choice: Choice, items: pd.DataFrame,
    split: splits.Split, expected: int, failed: int, timings: dict[str, float], **also: str | float | None,
) -> Row:  # fmt: skip
    """Return the row of these items; ``also`` joins what the row says was chosen."""
    task, facts = data.task, getattr(encoder, "facts", {})
    kind = load_kind(task.kind)
    groups = "group" if "group_a" not in items else "identity"
    metrics = {}
    for metric in kind.metrics(task):
        value, low, high = bootstrap(metric, items, replicates=REPLICATES)
        metrics[metric.name] = RowMetric(
            value=_finite(value), low=_finite(low), high=_finite(high),
            higher_is_better=metric.higher_is_better, unit=metric.unit,
        )  # fmt: skip
    units = (
        items["group"].nunique()
        if "group" in items
        else pd.unique(items[["group_a", "group_b"]].to_numpy().ravel()).size
    )
    return Row(
        **identity,
        family=task.family,
        method=_method(encoder, facts),
        data_kind=task.data_kind,
        chosen={"block": choice.layer[0], "reduction": choice.layer[1], "strength": choice.strength,
                "split": split.note, "split_hash": split.list_hash, **also},
        val_score=_finite(choice.score),
        metrics=metrics,
        main_metric=task.main_metric,
        interval=Interval(method="bootstrap percentile", unit=groups, n_units=int(units), replicates=REPLICATES),
        n_expected=expected,
        n_scored=expected - failed,
        cost={"parameters": float(encoder.parameters)},
        timings={name: round(seconds, 3) for name, seconds in timings.items()},
        licences={"data": task.licence, "weights": str(facts.get("licence", "unknown"))},
        versions=_versions(),
        commit=_commit(),
        hardware={"machine": platform.machine(), "device": str(PartialState().device), "threads": str(torch.get_num_threads())},
        command=f"paco-eval evaluate {encoder.name} --tasks {task.name}",
        repro="retrain" if encoder.name.startswith("paco:") else "evaluate",
    )  # fmt: skip


def _method(encoder: Encoder, facts: dict[str, Any]) -> str:
    """Return the encoder without its seed: what several seeds of one recipe have in common."""
    return str(facts.get("method") or encoder.name.partition("@")[0])


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _line(row: Row) -> str:
    main = row.main
    interval = f" [{main.low:.4g}, {main.high:.4g}]" if main.low is not None else ""
    shown = "undefined" if main.value is None else f"{main.value:.4g}"
    subset = "" if row.subset == "all" else f" ({row.subset}{f' {row.level}' if row.level else ''})"
    return f"{row.task}{subset}  {row.encoder}: {row.main_metric} {shown}{interval}"


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in ("paco-fr", "torch", "timm", "numpy", "scipy", "scikit-learn", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "source"
    return {**found, "python": platform.python_version()}


@cache
def _commit() -> str:
    """Return the commit of a source checkout, marked where files differ from it; "unknown" for an install."""
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True, timeout=10
        )
        if tracked.returncode:
            return "unknown"
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")
