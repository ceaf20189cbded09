"""Encoders x tasks: features once, heads fitted, a row written for each as it comes."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from datasets import Dataset

from paco_eval import elsewhere
from paco_eval.encoders import load_encoder
from paco_eval.extraction import Features, extract
from paco_eval.protocol import Choice, choose, score
from paco_eval.rows import Interval, Row, Unit, row_key, write_row
from paco_eval.rows import Metric as RowMetric
from paco_eval.samples import save_samples
from paco_eval.statistics import bootstrap
from paco_fr.contracts import content_hash
from paco_fr.encoder import Encoder
from paco_fr.errors import PacoError, unknown_name
from paco_fr.files import owned_folder
from paco_fr.records import fingerprint
from tasks import splits
from tasks.kinds import load_kind
from tasks.lists import restrict
from tasks.registry import all_tasks
from tasks.task import DataKind, Task, bind, option_hashes, resolve
from tasks.units import Units, units_of, view_of_units

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
    train_identities: Path | None = None,
    say: Say = print,
) -> int:
    """Evaluate every encoder on every task and return how many cells failed.

    ``train_identities`` is a folder of people to fit whitening on, for recognition sets without a train part.

    A failed cell is reported and the others go on; rows already written stay. Encoders are loaded first,
    so that a wrong name stops the call before anything is computed.
    """
    loaded = [load_encoder(name) for name in encoders]
    state = PartialState()
    failed = 0
    with owned_folder(out) if state.is_main_process else nullcontext():
        for task in tasks:
            try:
                data = Data.load(task, data_root, limit, train_identities)
            except PacoError as error:
                say(f"{task.name}: {error}")
                failed += len(loaded)
                continue
            for encoder in loaded:
                try:
                    rows = evaluate_cell(encoder, data, out=out, overwrite=overwrite, say=say)
                except PacoError as error:
                    say(f"{task.name}  {encoder.name}: {error}")
                    failed += 1
                    continue
                for row in rows:
                    say(_line(row))
    return failed


@dataclass(frozen=True)
class Data:
    """A task's pictures and roles, read once for all encoders.

    Attributes:
        task: the declaration.
        views: view name ("all" is the main one) -> its units and split.
        fingerprint: hash of the records.
        protocol: name of the protocol with what departs from the task's own.
        data_kind: what the pictures are; a miniature says so by its manifest.
        root: folder of the data sets.
        people: what a set that is scored as a whole may be fitted on instead.

    """

    task: Task
    views: dict[str, tuple[Units, splits.Split | splits.ScoredOnly]]
    fingerprint: str
    protocol: str
    root: Path | None = None
    people: elsewhere.TrainPeople | None = None
    data_kind: str = "official"

    @classmethod
    def load(
        cls,
        task: Task,
        data_root: Path | None,
        limit: int | None = None,
        train_identities: Path | None = None,
    ) -> Data:
        """Read the records of a task, cut units and give out roles."""
        task = bind(task, data_root)
        records: Dataset = resolve(task.reader)(data_root, **task.reader_options)
        if limit is not None:
            records = _limited(records, limit)
        units = units_of(records, task.crop)
        if limit is not None:
            task = restrict(task, units.labels)
        people = None
        if train_identities is not None and task.split == "test_only":
            people = elsewhere.TrainPeople.read(train_identities, task)
            people.refuse_shared(units.labels)
        member = view_of_units(units.labels, task)
        views = {name: units.only(np.flatnonzero(member == name)) for name in ("all", *task.views)}
        return cls(
            task,
            {name: (part, splits.roles(task, part.labels)) for name, part in views.items()},
            _fingerprint(records, task),
            ", ".join(_protocol(task, limit, people)),
            data_root,
            people,
            task.kind_of_data(data_root),
        )

    @cached_property
    def lender(self) -> Data:
        """The task on whose validation part block and pooling are chosen, read once for all encoders."""
        known = all_tasks()
        if self.task.choice_from not in known:
            raise unknown_name(
                f"task, which {self.task.name} takes its choices from,", self.task.choice_from, known
            )
        return Data.load(known[self.task.choice_from], self.root)


def _protocol(task: Task, limit: int | None, people: elsewhere.TrainPeople | None) -> list[str]:
    """Return the name of the protocol and what else decides over the number, for the key of the row."""
    found = ["frozen"]
    if people is not None:
        found.append(f"fitted on {people.name} {people.fingerprint}")
    elif task.choice_from:
        found.append(f"chosen on {task.choice_from}")
    return found if limit is None else [*found, f"limit {limit}"]


def _fingerprint(records: Dataset, task: Task) -> str:
    """Return the hash of the records and of whatever lists came with them."""
    lists = option_hashes(task)
    return content_hash([fingerprint(records), lists]) if lists else fingerprint(records)


def evaluate_cell(
    encoder: Encoder, data: Data, *, out: Path, overwrite: str = "missing", say: Say = print
) -> list[Row]:
    """Measure one encoder on one task and write a row for each view and subset; return the new rows.

    Raises:
        PacoError: the task's crop is not the one the encoder requires, rows exist under ``never``, or
            whatever extraction and fitting meet.

    """
    task = data.task
    if encoder.required_crop is not None and encoder.required_crop != task.crop:
        raise PacoError(f"needs the crop {encoder.required_crop}, the task cuts {task.crop}.")
    identities = {part: _identity(encoder, data, part) for part in (*data.views, *_subsets(data))}
    present = [
        view for view, fields in identities.items() if (out / "rows" / f"{row_key(fields)}.json").exists()
    ]
    if present and overwrite == "never":
        raise PacoError("rows are already there and --overwrite is never.")
    if len(present) == len(identities) and overwrite == "missing":
        say(f"{task.name}  {encoder.name}: already measured")
        return []
    choice: Choice | None = None
    path, source = None, ""
    rows = []
    for view, (units, split) in data.views.items():
        features = extract(encoder, units, task.reductions, flip=task.flip, progress=True)
        if isinstance(split, splits.ScoredOnly):
            if choice is None:  # extracts too, so every process takes part
                choice, path, source = _choose_elsewhere(encoder, data)
            split = replace(split, note=f"{split.note}; {source}")
        if not PartialState().is_main_process:
            continue
        started = time.monotonic()
        if choice is None and isinstance(split, splits.Split):  # the main view comes first
            seen = np.unique(
                np.concatenate([part.indices for fold in split.select for part in (fold.fit, fold.held)])
            )
            choice = choose(task, _hide(features, seen), units.labels, split.select)
        assert choice is not None
        chose = time.monotonic()
        if isinstance(split, splits.ScoredOnly):
            items = elsewhere.score_elsewhere(task, features.layers, units.labels, split.test, choice, path)
        else:
            items = score(task, features.layers, units.labels, split.score, choice)
        timings = {"extract": features.seconds, "choose": chose - started, "score": time.monotonic() - chose}
        for part in (view, *(_subsets(data) if view == "all" else ())):
            held, members = _members(part, view, items, split)
            row = _row(encoder, data, identities[part], choice, members, features, split, held, timings)
            written = write_row(out / "rows", row, members)
            if task.kind == "landmarks" and part == view:
                save_samples(written.with_name(f"{written.stem}.samples.npz"), items, units)
            rows.append(row.model_copy(update={"key": written.stem}))
    return rows


def _held(split: splits.Split | splits.ScoredOnly) -> np.ndarray:
    """Return the units that are scored, in the order of their items."""
    if isinstance(split, splits.ScoredOnly):
        return split.test.indices
    return np.concatenate([fold.held.indices for fold in split.score])


def _subsets(data: Data) -> tuple[str, ...]:
    """Return the task's subsets that any scored unit belongs to."""
    units, split = data.views["all"]
    if not data.task.subsets:
        return ()
    found = {name for cell in units.labels["subsets"].iloc[_held(split)] for name in cell}
    return tuple(name for name in data.task.subsets if name in found)


def _members(
    part: str, view: str, items: pd.DataFrame, split: splits.Split | splits.ScoredOnly
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the held units and the items of a part: the whole view, or the items flagged for a subset."""
    held = _held(split)
    if part == view:
        return held, items
    flags = items[f"subset:{part}"].eq(True).to_numpy()  # a fold without the subset has no value
    return held[flags], items[flags].reset_index(drop=True)


def _choose_elsewhere(encoder: Encoder, data: Data) -> tuple[Choice, Any, str]:
    """Return block, pooling and perhaps a fitted whitening for a set that is scored as a whole, and whence."""
    if data.people is not None:
        choice, path = elsewhere.fitted_choice(encoder, data.task, data.people)
        return choice, path, f"chosen and fitted on {data.people.name}"
    if data.task.choice_from:
        units, split = data.lender.views["all"]
        if not isinstance(split, splits.Split):
            raise PacoError(
                f"{data.lender.task.name} has no validation part to choose on; see {data.task.name}."
            )
        choice = elsewhere.borrowed_choice(encoder, data.task, data.lender.task, units, split)
        return choice, None, f"block and pooling by validation of {data.lender.task.name}"
    return elsewhere.default_choice(encoder, data.task), None, "block and pooling: the encoder's default"


def _hide(features: Features, seen: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Return copies of the feature tables in which units outside ``seen`` are blank: choosing cannot peek."""
    hidden = {}
    for layer, table in features.layers.items():
        blank = np.full_like(table, np.nan)
        blank[seen] = table[seen]
        hidden[layer] = blank
    return hidden


def _limited(records: Dataset, limit: int) -> Dataset:
    """Return at most ``limit`` records of each part, in their order."""
    if "split" not in records.column_names:
        return records.select(range(min(limit, len(records))))
    part = pd.Series(records["split"][:])
    return records.select(np.flatnonzero(part.groupby(part).cumcount() < limit))


def _identity(encoder: Encoder, data: Data, view: str) -> dict[str, Any]:
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


def _row(
    encoder: Encoder, data: Data, identity: dict[str, Any], choice: Choice, items: pd.DataFrame,
    features: Features, split: splits.Split | splits.ScoredOnly, held: np.ndarray, timings: dict[str, float],
) -> Row:  # fmt: skip
    task, facts = data.task, getattr(encoder, "facts", {})
    kind = load_kind(task.kind)
    metrics = {}
    for metric in kind.metrics(task):
        value, low, high = bootstrap(metric, items, replicates=REPLICATES)
        metrics[metric.name] = RowMetric(
            value=_finite(value), low=_finite(low), high=_finite(high),
            higher_is_better=metric.higher_is_better, unit=cast(Unit, metric.unit),
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
        data_kind=cast(DataKind, data.data_kind),
        chosen={"block": choice.layer[0], "reduction": choice.layer[1], "strength": choice.strength,
                "split": split.note, "split_hash": split.list_hash, "excluded": data.views["all"][0].excluded},
        val_score=_finite(choice.score),
        metrics=metrics,
        main_metric=task.main_metric,
        interval=Interval(method="bootstrap percentile", unit=_resampled(items), n_units=int(units), replicates=REPLICATES),
        n_expected=len(held),
        n_scored=len(held) - sum(unit in features.failures for unit in held.tolist()),
        cost={"parameters": float(encoder.parameters)},
        timings={name: round(seconds, 3) for name, seconds in timings.items()},
        licences={"data": task.licence, "weights": str(facts.get("licence", "unknown"))},
        versions=_versions(),
        commit=_commit(),
        hardware={"machine": platform.machine(), "device": str(PartialState().device), "threads": str(torch.get_num_threads())},
        command=f"paco-eval evaluate {encoder.name} {task.options.get('declared_as', f'--tasks {task.name}')}",
        repro="retrain" if encoder.name.startswith("paco:") else "evaluate",
    )  # fmt: skip


def _resampled(items: pd.DataFrame) -> str:
    """Return what a replicate draws: of pairs the people, or the pairs where nobody is named."""
    if "group_a" not in items:
        return "group"
    return "pair" if (items["group_a"] == items["group_b"]).all() else "identity"


def _method(encoder: Encoder, facts: dict[str, Any]) -> str:
    """Return the encoder without its seed: what several seeds of one recipe have in common."""
    return str(facts.get("method") or encoder.name.partition("@")[0])


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _line(row: Row) -> str:
    main = row.main
    interval = f" [{main.low:.4g}, {main.high:.4g}]" if main.low is not None else ""
    shown = "undefined" if main.value is None else f"{main.value:.4g}"
    subset = "" if row.subset == "all" else f" ({row.subset})"
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
