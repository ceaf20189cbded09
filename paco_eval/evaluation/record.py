"""From items to a row: the metrics with their intervals, and everything needed to measure them again."""

from __future__ import annotations

import platform
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState

from paco_eval.analysis.bootstrap import Interval, bootstrap_all, finite
from paco_eval.encoders._identity import network_of, probe_of
from paco_eval.evaluation.cells import drawn_fingerprint
from paco_eval.evaluation.data import Data
from paco_eval.features.forward import flops_of, precision_of
from paco_eval.probes.scorer import Decision
from paco_eval.rows.samples import OutputsOf
from paco_eval.rows.schema import Definition, Row, Unit, row_key
from paco_eval.rows.schema import Interval as RowInterval
from paco_eval.rows.schema import Metric as RowMetric
from paco_eval.rows.store import whole_row
from paco_fr import __version__
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Say
from tasks.derived import Cell
from tasks.kinds import PEOPLE_KINDS, load_kind, way_of
from tasks.metrics.metric import group_codes
from tasks.task import DataKind, Task, option_hashes
from tasks.units import Units

Part = str | Cell
"""Name of a view or of a subset, or the cell of a derived task."""
Asked = TypeVar("Asked", bound=Part)

REPLICATES = 1000
"""Bootstrap replicates behind the intervals of a row."""

UNDEFINING = ("expected", "declared_as")
"""Options that no metric reads: counts of a whole set, and the words that declared the task."""

ITEMS = {"verification": "pair", "templates": "template", "identification": "search"}
"""What a kind scores; the others score pictures."""


@dataclass(frozen=True)
class Measured:
    """What one part of a task came to: all that its row needs and that nobody knows but who measured it.

    Attributes:
        part: of the task.
        items: one line per scored unit.
        expected: units that the protocol has.
        failed: those of them that could not be read.
        decision: what was decided before.
        timings: seconds by phase.
        chosen: joins what the row says was chosen.
        images_per_s: rate of the encoder, where it was measured now.
        shown: the units, where a few faces of the row are kept for the report.
        outputs: what the head says of some of them, by number, for kinds whose items do not hold what was predicted.
        achieved: what a change achieved, by id of a picture, where the items cannot say it.

    """

    part: Part
    items: pd.DataFrame
    expected: int
    failed: int
    decision: Decision
    timings: Mapping[str, float]
    chosen: Mapping[str, str | float | None] = field(default_factory=dict)
    images_per_s: float | None = None
    shown: Units | None = None
    outputs: OutputsOf | None = None
    achieved: pd.Series | None = None


def identity_of(encoder: Encoder, data: Data, part: Part) -> dict[str, Any]:
    """Return the fields of a row that say which measurement it is; pictures that are drawn are named by their spec."""
    facts = getattr(encoder, "facts", {})
    subset, level = (part, None) if isinstance(part, str) else part
    return {
        "task": data.task.name,
        "task_version": data.task.version,
        "encoder": encoder.name,
        "weight_hash": encoder.weight_hash,
        "pixel_hash": encoder.pixels.hash,
        "crop_hash": data.task.crop.hash,
        "protocol": str(replace(data.protocol, precision=precision_of(encoder))),
        "split": "test",
        "subset": subset,
        "level": level,
        "data_fingerprint": data.fingerprint if isinstance(part, str) else drawn_fingerprint(data, part),
        "pretrain_seed": facts.get("pretrain_seed"),
        "probe_seed": data.probe_seed,
        "split_seed": None,
    }


def crop_clashes(encoder: Encoder, data: Data) -> bool:
    """Return whether the encoder requires another crop than the task's, and the user named none."""
    crop, needed = data.task.crop, encoder.required_crop
    return needed is not None and replace(needed, canvas=crop.canvas) != crop and not data.protocol.crop


def wanted_of(
    encoder: Encoder,
    data: Data,
    identities: Mapping[Asked, dict[str, Any]],
    out: Path,
    overwrite: str,
    say: Say,
) -> list[Asked]:
    """Return the parts of a task that are to be measured, given the rows that are already there, and whole.

    Raises:
        PacoError: the task's crop is not the one the encoder requires and the user named no other, or rows
            exist under ``never``.

    """
    task = data.task
    if crop_clashes(encoder, data):
        raise PacoError(
            f"needs the crop {encoder.required_crop}, the task cuts {task.crop}. Add --crop encoder, which cuts for each "
            "encoder as it needs, or another --crop; the row will say so too."
        )
    rows = out / "rows"
    absent = [
        part for part, fields in identities.items() if whole_row(rows / f"{row_key(fields)}.json") is None
    ]
    if len(absent) < len(identities) and overwrite == "never":
        raise PacoError("rows are already there and --overwrite is never.")
    if overwrite == "always":
        return list(identities)
    if not absent:
        say(f"{task.name}  {encoder.name}: already measured")
    return absent


def row_of(encoder: Encoder, data: Data, identity: Mapping[str, Any], measured: Measured) -> Row:
    """Return the row of what was measured."""
    items, choice = measured.items, measured.decision.choice
    main = data.views["all"]
    split = data.views.get(str(measured.part), main)[1]
    note = "; ".join(filter(None, (split.note, measured.decision.source)))
    task, facts = data.task, getattr(encoder, "facts", {})
    kind = load_kind(task.kind)
    known = kind.metrics(task)
    # Of a hundred cells of a sweep only the main metric is drawn with its interval.
    drawn = [metric for metric in known if not identity["level"] or metric.name == task.main_metric]
    intervals = bootstrap_all(drawn, items, replicates=REPLICATES)
    intervals |= {m.name: Interval(m.value(items), np.nan, np.nan) for m in known if m.name not in intervals}
    metrics = {
        metric.name: RowMetric(
            value=finite(intervals[metric.name].value),
            low=finite(intervals[metric.name].low),
            high=finite(intervals[metric.name].high),
            higher_is_better=metric.higher_is_better,
            unit=cast(Unit, metric.unit),
            warning=metric.warning(items) if len(items) else "",
        )
        for metric in known
    }
    _, groups = group_codes(items)
    return Row(
        **identity,
        family=task.family,
        method=_method(encoder, facts),
        data_kind=cast(DataKind, data.data_kind),
        chosen={"block": choice.layer[0], "reduction": choice.layer[1], "strength": choice.strength,
                "way": way_of(task), "resolution": resolution_of(encoder, main[0]),
                "split": note, "split_hash": split.list_hash, "excluded": main[0].excluded,
                **{f"{name}_hash": value for name, value in option_hashes(task).items()},
                **{f"encoder {name}": str(facts[name]) for name in ("stated", "assumed", "input") if facts.get(name)},
                **({"missing": data.missing} if data.missing else {}), **measured.chosen},
        val_score=finite(choice.score),
        metrics=metrics,
        main_metric=task.main_metric,
        definition=Definition(kind=task.kind, options=plain_options(task)),
        interval=RowInterval(method=_how(items, task), unit=_resampled(items, main[0].labels, task), n_units=len(groups),
                             replicates=REPLICATES),
        n_expected=measured.expected,
        n_scored=measured.expected - measured.failed,
        item=ITEMS.get(task.kind, "picture"),
        n_items=len(items),
        n_items_failed=int((items["failure"].fillna("") != "").sum()) if "failure" in items else 0,
        cost=_cost(encoder, measured.images_per_s),
        timings={name: round(seconds, 3) for name, seconds in {**measured.timings, **_training(facts)}.items()},
        licences={"data": task.licence, "weights": str(facts.get("licence", "unknown"))},
        versions=_versions(),
        commit=_commit(),
        hardware={"machine": platform.machine(), "device": str(PartialState().device), "threads": str(torch.get_num_threads())},
        command=_command(encoder, data),
        repro="retrain" if encoder.name.startswith("paco:") else "evaluate",
        retrain=str(facts.get("retrain", "")),
        network=network_of(encoder),
        probe=probe_of(encoder),
    )  # fmt: skip


def resolution_of(encoder: Encoder, units: Units) -> str:
    """Return how large a picture is on its way: in the photograph (median), on the canvas, at the encoder."""
    side = units.source_side
    source = f"source side {side:.0f} px (median), " if np.isfinite(side) else ""
    return f"{source}canvas {units.canvas} px, input {encoder.pixels.size} px"


def plain_options(task: Task) -> dict[str, Any]:
    """Return the options of a task as JSON has them; null for what was read from the data, such as a list of pairs."""
    return {name: _plain(value) for name, value in task.options.items() if name not in UNDEFINING}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (str, int, float, bool)) else None


def _resampled(items: pd.DataFrame, labels: pd.DataFrame, task: Task) -> str:
    """Return what a replicate draws: people where they are known or linked, else pairs, pictures or photographs."""
    if "people" in task.options:
        return str(task.options["people"])
    if "group_a" in items and (items["group_a"] == items["group_b"]).all():
        return "pair"
    if task.kind == "templates":
        return "subject with all its templates"
    names = labels["group"].astype(str)
    if task.kind in PEOPLE_KINDS or (
        "identity" in labels and (names == labels["identity"].astype(str)).all()
    ):
        return "person"
    return "picture" if (names == labels["image_id"].astype(str)).all() else "group of related pictures"


def _how(items: pd.DataFrame, task: Task) -> str:
    """Return how intervals are made; of pairs with what a pair of two groups counts as."""
    plain = "bootstrap percentile"
    if task.kind != "templates" and ("group_a" not in items or (items["group_a"] == items["group_b"]).all()):
        return plain
    return f"{plain}, a pair as often as the product of its two multiplicities (which widens it)"


def _cost(encoder: Encoder, images_per_s: float | None) -> dict[str, float]:
    """Return what an encoder costs; its rate only where it was measured now, features may come from the cache."""
    cost = {"parameters": float(encoder.parameters), "flops": _flops(encoder)}
    return cost if images_per_s is None else {**cost, "images_per_s": round(images_per_s, 1)}


_counted: dict[tuple[str, str], float] = {}


def _flops(encoder: Encoder) -> float:
    """Return the operations of an encoder, counted at its first row."""
    key = encoder.name, encoder.weight_hash
    if key not in _counted:
        _counted[key] = flops_of(encoder)
    return _counted[key]


def _training(facts: dict[str, Any]) -> dict[str, float]:
    """Return how long the weights were trained, where their card says."""
    seconds = facts.get("pretrain_seconds")
    return {} if seconds is None else {"pretrain": float(seconds)}


def _command(encoder: Encoder, data: Data) -> str:
    """Return the command of a row; data root, lists and own declarations are the user's to add."""
    words = ["paco-eval", "evaluate", encoder.name]
    declared = data.task.options.get("declared_as", f"--tasks {data.task.name}")
    protocol = replace(data.protocol, precision=precision_of(encoder))
    return " ".join([*map(shlex.quote, words), str(declared), *protocol.options()])


def _method(encoder: Encoder, facts: dict[str, Any]) -> str:
    """Return the encoder without its seed: what several seeds of one recipe have in common."""
    return str(facts.get("method") or encoder.name.partition("@")[0])


@cache
def _versions() -> dict[str, str]:
    found = {"paco-fr": __version__}  # what rows have called this package from the first
    for name in ("torch", "timm", "numpy", "scipy", "scikit-learn", "pillow"):
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
