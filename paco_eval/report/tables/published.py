"""Numbers from the literature: read, checked, and set beside measured ones without ranking them together."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pandas as pd

from paco_eval.analysis.columns import Column
from paco_eval.report.tables.table import Cell, Line, Table
from paco_fr.utils.errors import PacoError, one_line
from paco_fr.utils.untrusted import read_text

SETTING = ("encoder", "pretraining_data", "input_size", "protocol", "epoch_rule")
"""What has to be equal for two numbers to be comparable."""

COLUMNS = (
    "method",
    *SETTING,
    "task",
    "variant",
    "subset",
    "metric",
    "value",
    "evidence",
    "source",
    "picture",
)

PLAIN, APART = "plain", ("unknown", "other")
"""Variant of a task's own protocol; those of lines whose source does not tell, or whose protocol no variant here is."""

EVIDENCE = {
    "V": "read in the paper's own text or tables",
    "C": "read in the official code, configs or logs",
    "L": "from a secondary list, which can mix settings",
    "I": "inferred",
}

LAPA = (
    "skin", "left_eyebrow", "right_eyebrow", "left_eye", "right_eye", "nose", "upper_lip", "inner_mouth", "lower_lip",
    "hair",
)  # fmt: skip
"""Parts of a face that LaPa's F1 is given for."""

METRICS: dict[str, tuple[str, bool]] = {
    "nme": ("%", False),
    "nme_interocular": ("%", False),
    "nme_diag": ("%", False),
    "nme_box": ("%", False),
    "fr10": ("%", False),
    "fr10_grid1001": ("%", False),
    "auc_box7": ("%", True),
    "auc_box7_grid702": ("%", True),
    "auc10": ("%", True),
    "auc10_grid1001": ("%", True),
    "mean_f1": ("%", True),
    "accuracy": ("%", True),
    "accuracy_10fold": ("%", True),
    "accuracy_10fold_grid": ("%", True),
    "pixel_accuracy": ("%", True),
    "mean_accuracy": ("%", True),
    "visibility_recall": ("%", True),
    "skin_accuracy": ("%", True),
    "auc_percent": ("%", True),
    "hter": ("%", False),
    "tar_nearest@far=1e-4": ("%", True),
    "ccc": ("", True),
    "rmse": ("", False),
    "mae": ("deg", False),
    "mae_yaw": ("deg", False),
    "mae_pitch": ("deg", False),
    "mae_roll": ("deg", False),
    **{f"mae{angle}_lenient180": ("deg", False) for angle in ("", "_yaw", "_pitch", "_roll")},
    "mae_years": ("years", False),
    **{f"f1_{part}": ("%", True) for part in LAPA},
}
"""Unit and whether higher is better, of every metric in the file."""


FILE = "published.csv"
"""Of a folder of published numbers."""


def load_published(path: str | Path | None = None) -> pd.DataFrame:
    """Return published numbers, all columns as text as printed, and ``number`` as float.

    Args:
        path: a file of the same layout; the one that comes with the package if left out.

    Raises:
        PacoError: names the line and what is wrong with it.

    """
    where = str(path or f"results/published/{FILE}")
    try:
        own = files("results") / "published" / FILE
        text = read_text(path) if path else own.read_text(encoding="utf-8")
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except PacoError:
        raise
    except (OSError, ModuleNotFoundError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise PacoError(f"{where}: published numbers cannot be read ({one_line(error)}).") from error
    if tuple(frame.columns) != COLUMNS:
        raise PacoError(
            f"{where}: columns are {one_line(', '.join(frame.columns))}; expected {', '.join(COLUMNS)}."
        )
    for line, entry in enumerate(frame.to_dict("records"), 2):
        wrong = _wrong({str(name): str(value) for name, value in entry.items()})
        if wrong:
            raise PacoError(f"{where}: line {line}: {one_line(wrong)}.")
    repeated = frame.duplicated([name for name in COLUMNS if name != "value"])
    if repeated.any():
        raise PacoError(f"{where}: line {int(repeated.to_numpy().argmax()) + 2} repeats an earlier one.")
    return frame.assign(number=frame.value.astype(float))


def _wrong(entry: dict[str, str]) -> str:
    empty = [name for name, value in entry.items() if not value.strip()]
    if empty:
        return f"{', '.join(empty)} is empty; write 'unknown' where the source does not say"
    if entry["evidence"] not in EVIDENCE:
        return f"evidence '{entry['evidence']}' is not one of {', '.join(EVIDENCE)}"
    if entry["metric"] not in METRICS:
        return f"metric '{entry['metric']}' is not known; see paco_eval/report/tables/published.py"
    if "/" not in entry["task"]:
        return f"task '{entry['task']}' is not family/dataset"
    try:
        value = float(entry["value"])
    except ValueError:
        return f"value '{entry['value']}' is not a number"
    unit, higher = METRICS[entry["metric"]]
    most = {"%": 100.0, "": 1.0, "deg": 180.0}.get(unit, 200.0)
    if not 0 <= value <= most:
        return f"{entry['metric']} {value:g} is impossible ({'share' if higher else 'error'} up to {most:g})"
    return ""


def beside_measured(table: Table, published: pd.DataFrame) -> Table:
    """Return the table with a line per published setting that has a number for one of its columns.

    Such lines are of kind ``published``: they stand below, in their own style, and are never ranked or
    bold, because their setting is not that of the measured ones. A line stands under the variant of the task that it
    was measured by, and nowhere if none here is that; see :func:`published_apart`.
    """
    lines = _lines(table.columns, published)
    return replace(table, lines=(*table.lines, *lines)) if lines else table


def _lines(columns: tuple[Column, ...], published: pd.DataFrame) -> list[Line]:
    wanted = {(column.task, column.subset, column.metric) for column in columns if column.level < 0}
    published = published.assign(task=measured_as(published))
    keys = list(zip(published.task, published.subset, published.metric, strict=True))
    found = published[[key in wanted for key in keys]]
    lines = []
    for setting, entries in found.groupby(["method", *SETTING], sort=False):
        cells = {(e["task"], e["subset"], e["metric"]): _cell(e) for e in entries.to_dict("records")}
        row = tuple(
            cells.get((c.task, c.subset, c.metric)) if c.level < 0 else None for c in columns
        )  # fmt: skip
        method, *rest = map(str, setting)
        lines.append(Line(method, _note(rest), row, kind="published"))
    return lines


def measured_as(published: pd.DataFrame) -> list[str]:
    """Return the name of the task or variant that each line was measured by; empty where it is none of ours."""
    said = zip(published.task, published.variant, strict=True)
    return [
        "" if variant in APART else task if variant == PLAIN else f"{task}@{variant}"
        for task, variant in said
    ]


def published_apart(published: pd.DataFrame) -> list[Table]:
    """Return tables, one a family, of the lines that were measured by no variant here or by one that nobody tells."""
    apart = published[published.variant.isin(APART)]
    tables = []
    for family, entries in apart.groupby(apart.task.str.rpartition("/")[0], sort=False):
        heads = dict.fromkeys(zip(entries.task, entries.subset, entries.metric, strict=True))
        columns = tuple(
            Column(task, 0, "test", subset, -1, order, metric, *METRICS[metric], main=True)
            for order, (task, subset, metric) in enumerate(heads)
        )
        lines = _lines(columns, entries.assign(variant=PLAIN))
        caption = (
            "Published numbers whose protocol is no variant here, or is not told by their source: not to be read beside "
            "measured ones."
        )
        tables.append(
            Table(str(family), "published, measured otherwise", False, columns, tuple(lines), caption)
        )
    return tables


def _cell(entry: dict) -> Cell:
    where = entry["source"] if entry["picture"] == "none" else f"{entry['source']}, {entry['picture']}"
    origin = f"evidence {entry['evidence']}, {EVIDENCE[entry['evidence']]}: {where}"
    return Cell(float(entry["value"]), printed=str(entry["value"]), origin=origin)


def _note(setting: Iterable[str]) -> str:
    encoder, data, size, protocol, rule = setting
    said = [
        encoder, data, f"{size} px" if size != "unknown" else "input unknown",
        protocol if protocol != "unknown" else "protocol unknown",
        f"epoch: {rule}" if rule != "unknown" else "epoch rule unknown",
    ]  # fmt: skip
    return "published; " + ", ".join(part for part in said if part != "unknown")
