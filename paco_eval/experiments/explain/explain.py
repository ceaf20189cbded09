"""Why is my number low? One row, looked at from every side on which a mistake usually lies.

The encoder is measured again on a part of the task, as declared and with one thing changed at a time: the order of
colours, the range of pixels, how closely faces are cut, whether the mirrored picture is added; labels mirrored, points
moved by a pixel, train and test exchanged. What is then better by more than chance (a paired bootstrap over the scored
groups) is a finding, and the findings are told by how much of the distance to a perfect score they bring back. Beside
them: raw pixels and the same network untrained, what was chosen and how flat that choice was, what failed, and the
worst faces.

A finding says what explains the number, not that the declaration is wrong: a change that helps may help for another
reason. Nothing of it enters a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.protocols import Protocol
from paco_eval.experiments.explain.checks import CHECKS, ideal
from paco_eval.experiments.explain.explanation import Explanation, Finding, Layered
from paco_eval.experiments.explain.look import Look, coarse, look_at
from paco_eval.experiments.repro import encoder_of, task_of
from paco_eval.probes.probe import Choice, choose
from paco_eval.rows.schema import Row
from paco_eval.rows.store import find_row
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError
from paco_fr.utils.progress import tracked
from tasks.kinds import PEOPLE_KINDS, load_kind
from tasks.splits import Split
from tasks.task import Task

LIMIT = 300
"""Pictures of each part that are looked at by default."""
FLAT = 0.05
"""Share of that distance within which choices count as alike."""
WORST = 12
"""Items that are shown."""


def explain_row(
    place: str | Path,
    known: Mapping[str, Task],
    *,
    encoder: Encoder | None = None,
    encoder_from: str | None = None,
    data_root: Path | None = None,
    limit: int = LIMIT,
    out: Path | None = None,
    trust: bool = False,
) -> Explanation:
    """Return why the number of a row may be what it is.

    Args:
        place: file of the row, or ``FOLDER#KEY`` of an archive.
        known: tasks by name.
        encoder: in place of the one that the row names.
        encoder_from: ``FILE:CLASS`` that gives it.
        data_root: folder of the data sets.
        limit: at most so many pictures of each part are looked at.
        out: folder for a sheet of the worst faces; none without it.
        trust: whether code that comes with an encoder may run.

    Raises:
        MissingDataError: the task's data is not under ``data_root``.
        PacoError: the row cannot be read, its task is derived or not known here, it is of a protocol or kind that is
            not explained, or the encoder cannot be had.

    """
    stored = find_row(place)
    row = stored.row
    protocol = Protocol.parse(row.protocol)
    if row.task in known and (sweep := known[row.task].sweep) is not None:
        raise PacoError(f"{row.task} is a derived task. Explain the row of {sweep.base} instead.")
    task = task_of(stored.path, row, known, data_root)
    if protocol.name != "frozen" or load_kind(task.kind).HEAD in ("diagnostics", "token_ridge"):
        raise PacoError(f"{stored.path}: only frozen features with one head a picture are explained.")
    own = encoder or encoder_of(stored.path, row, encoder_from=encoder_from, trust=trust)
    asked = replace(
        Protocol(crop=protocol.crop), limit=limit if protocol.limit is None else min(limit, protocol.limit)
    )
    data = Data.load(task, data_root, asked)
    found = diagnose(own, data, row)
    if out is None:
        return found
    return replace(found, files=sheet_of_worst(found.worst, data, out))


def diagnose(encoder: Encoder, data: Data, row: Row) -> Explanation:
    """Return what is found out about an encoder on data that are loaded, for a row of it."""
    look = look_at(encoder, data)
    metric = look.metric
    changed: dict[str, float] = {}
    findings: list[Finding] = []
    for check in tracked(CHECKS, "explaining", len(CHECKS), "checks"):
        for finding, values in check(encoder, look):
            changed |= values
            findings += [finding] if finding is not None else []
    findings.sort(key=lambda finding: -finding.gain)
    layers = _layers(look)
    at_best = layers[0].score if layers else math.nan
    slack = FLAT * abs(ideal(metric) - at_best) if layers else 0.0
    return Explanation(
        row=row,
        metric=metric.name,
        value=look.value,
        pictures=data.protocol.limit or 0,
        beside=_beside(encoder, data),
        layers=layers,
        flat=sum(abs(layer.score - at_best) <= slack for layer in layers),
        changed=changed,
        findings=findings,
        worst=_worst(look.items),
    )


def _beside(encoder: Encoder, data: Data) -> dict[str, float]:
    """Return what others make of the same part: raw pixels, a constant, and the same network untrained."""
    scheme, _, rest = encoder.name.partition(":")
    named = {"pixels": "pixels", "constant": "constant"}
    if scheme == "timm" and "?" not in rest:
        named["untrained"] = f"random:{rest}"
    elif not rest and encoder.parameters:
        named["untrained"] = f"random:{encoder.name}"
    found = {}
    for title, name in named.items():
        if name == encoder.name:
            continue
        try:
            found[title] = look_at(load_encoder(name), data).value
        except PacoError:  # no such network untrained, or nothing to choose
            continue
    return found


def _layers(look: Look) -> list[Layered]:
    """Return the score of every layer on validation, the best first."""
    units, split = look.data.views["all"]
    if not isinstance(split, Split):
        return []
    found: list[Choice] = [
        choose(look.data.task, {layer: table}, units.labels, split.select, coarse(look.data.task))
        for layer, table in look.features.layers.items()
    ]
    sign = 1 if look.metric.higher_is_better else -1
    found.sort(key=lambda choice: -sign * choice.score if np.isfinite(choice.score) else math.inf)
    return [Layered(*choice.layer, choice.strength, choice.score) for choice in found]


def _worst(items: pd.DataFrame) -> pd.DataFrame:
    """Return the worst items: largest errors, of pairs the least alike of one person and the most alike of two."""
    if "error" in items:
        return items.sort_values("error", ascending=False, kind="stable").head(WORST).reset_index(drop=True)
    if {"score", "truth"} <= set(items.columns):
        same = items["truth"].astype(bool)
        genuine = items[same].sort_values("score", kind="stable").head(WORST // 2)
        impostor = items[~same].sort_values("score", ascending=False, kind="stable")
        return pd.concat([genuine, impostor.head(WORST - len(genuine))], ignore_index=True)
    return items.head(0)


def sheet_of_worst(worst: pd.DataFrame, data: Data, out: Path) -> list[Path]:
    """Write the worst items as faces into ``out/worst.png`` and return it; nothing where no face can be read."""
    from paco_eval.report.inspect.contact import contact_sheet

    units = data.views["all"][0]
    place = {name: unit for unit, name in enumerate(units.labels["unit_id"])}
    rows: list[tuple[list[int], str]] = []
    for item in worst.to_dict("records"):
        sides = [place[name] for name in _names(item, data.task) if name in place]
        score = item.get("error", item.get("score"))
        rows.append((sides, f"{item['id']}  {score:.3g}" if score is not None else str(item["id"])))
    return contact_sheet(rows, units, out / "worst.png")


def _names(item: Mapping[Any, Any], task: Task) -> list[str]:
    if task.kind in PEOPLE_KINDS:
        return [str(item[side]) for side in ("id_a", "id_b") if side in item]
    return [str(item["id"])]
