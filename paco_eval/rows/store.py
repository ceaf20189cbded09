"""Result rows: what was measured, on what, how, and how sure. The only source of a published number.

A row is ``KEY.json`` with its items beside it in ``KEY.items.parquet``. KEY hashes the fields in
:data:`IDENTIFYING`: two runs that should give the same number have the same key. ``digest`` hashes the
whole content, ``items_sha256`` the items file, so an edit by hand is noticed.

**Merging** runs of several machines is putting their folders side by side. Of rows with one key the first
in the order of the given paths (sorted within a folder) is kept; when they disagree in any metric by more
than a relative 1e-6, that is reported as a problem as well.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from paco_eval.rows.compact import completed, departing
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file

SCHEMA = 2
"""Number of the row format that this version writes."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda fields: {**fields, "schema": 2},  # 2 adds ``retrain``, which may be empty
}
"""For each older format a function that turns its fields into those of the next one."""

IDENTIFYING = (
    "task", "task_version", "encoder", "weight_hash", "pixel_hash", "crop_hash", "protocol", "split",
    "subset", "level", "data_fingerprint", "pretrain_seed", "probe_seed", "split_seed",
)  # fmt: skip
"""Fields that say which measurement a row is. The encoder's name is among them beside its weights, so
that what a user asked for under one name is never answered by a row under another."""

Unit = Literal["%", "deg", ""]
"""Of a metric: a share or an error in percent of a length; degrees; empty, a number from 0 to 1."""


def possible(unit: Unit, higher_is_better: bool) -> tuple[float, float]:
    """Return the least and the largest value that a metric can have."""
    if unit == "%":  # an error in percent of a length, as NME, may exceed 100; a share may not
        return 0.0, 100.0 if higher_is_better else math.inf
    return 0.0, {"deg": 180.0, "": 1.0}[unit]


_KEY_FILE = re.compile(r"[0-9a-f]{16}\.json")
_SLACK = 1e-9  # rounding of the last digit in a sum is no broken invariant


class Metric(BaseModel):
    """One number with its interval; ``None`` where it is undefined, which is not the same as zero."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float | None = Field(description="the estimate on all items; null if undefined")
    low: float | None = Field(default=None, description="lower end of the interval; null if there is none")
    high: float | None = Field(default=None, description="upper end of the interval")
    higher_is_better: bool = Field(description="direction")
    unit: Unit = Field(description="empty: a plain number from 0 to 1")

    @model_validator(mode="after")
    def _possible(self) -> Metric:
        if (self.low is None) != (self.high is None) or (self.value is None and self.low is not None):
            raise ValueError("an interval needs both ends and a value")
        if self.value is None:
            return self
        least, most = possible(self.unit, self.higher_is_better)
        if not least - _SLACK <= self.value <= most + _SLACK:
            raise ValueError(f"{self.value} is outside {least:g}..{most:g}, the range of '{self.unit}'")
        if self.low is not None and self.high is not None:
            # Where each replicate chooses anew (a threshold, the nearest face), a percentile interval may
            # miss the estimate by a little; by more than its own width it belongs to another number.
            slack = self.high - self.low + _SLACK
            if self.high < self.low or not self.low - slack <= self.value <= self.high + slack:
                raise ValueError(f"{self.value} does not belong to its interval {self.low}..{self.high}")
        return self


class Interval(BaseModel):
    """How the intervals of a row were made; captions state it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = Field(description="e.g. 'bootstrap percentile', with what was chosen anew in a replicate")
    unit: str = Field(description="what was resampled: identity, template, subject, image")
    n_units: int = Field(ge=0, description="how many of them")
    replicates: int = Field(ge=0, description="bootstrap replicates")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="share of replicates inside")


class Row(BaseModel):
    """One measurement. Leave out ``key``, ``items_sha256`` and ``digest``: they are filled in.

    Beyond the fields of the architecture it carries: ``interval``, without which no caption could say
    what an interval means; ``method``, which groups the seeds of one recipe; ``cost`` and ``licences``,
    because a row travels without its encoder and data; ``command``, ``repro`` and ``retrain``, to make it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    # ``schema`` is a name of pydantic's own, so the attribute has another.
    schema_version: int = Field(default=SCHEMA, alias="schema", ge=1, description="format of this file")
    key: str = Field(pattern=r"^[0-9a-f]{16}$", description="hash of the identifying fields")
    task: str = Field(description="family/dataset")
    task_version: int = Field(ge=1, description="raised with any change of the task's scores")
    family: str = Field(description="the task's name before the dataset; tables hold one family each")
    encoder: str = Field(description="as the user wrote it")
    method: str = Field(description="objective and recipe without the seed, e.g. paco/tiny")
    weight_hash: str = Field(description="of the encoder's weights")
    pixel_hash: str = Field(description="of the pixel contract: size, colours, interpolation")
    crop_hash: str = Field(description="of the face crop contract")
    protocol: str = Field(description="frozen, few-shot or fine-tune, with what distinguishes it")
    split: str = Field(default="test", description="the split that was scored")
    subset: str = Field(default="all", description="part of the split, e.g. occlusion")
    level: int | None = Field(default=None, description="severity of a perturbation; null if clean")
    data_fingerprint: str = Field(description="hash of the images and lists that were used")
    data_kind: Literal["official", "mimic", "synthetic", "user"] = Field(
        description="mimic: a miniature in the official layout, never shown among real numbers"
    )
    pretrain_seed: int | None = Field(default=None, description="null if unknown or not pretrained")
    probe_seed: int | None = Field(default=None, description="null if fitting has no randomness")
    split_seed: int | None = Field(default=None, description="null if the split is fixed")
    chosen: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="layer, pooling, regularisation as chosen on validation"
    )
    val_score: float | None = Field(default=None, description="main metric on validation at that choice")
    metrics: dict[str, Metric] = Field(min_length=1, description="every number of this measurement")
    main_metric: str = Field(description="the metric that stands for the task")
    interval: Interval | None = Field(default=None, description="null if no metric has an interval")
    n_expected: int = Field(ge=0, description="items that the protocol has")
    n_scored: int = Field(ge=0, description="items that were not failures")
    cost: dict[str, float] = Field(
        default_factory=dict, description="parameters, flops of one picture, images_per_s, as known"
    )
    timings: dict[str, float] = Field(
        default_factory=dict, description="seconds by phase; 'pretrain' where the card of the weights says"
    )
    licences: dict[str, str] = Field(default_factory=dict, description="terms of 'data' and 'weights'")
    versions: dict[str, str] = Field(default_factory=dict, description="of packages and adapter")
    commit: str = Field(default="unknown", description="of this package's source")
    hardware: dict[str, str] = Field(default_factory=dict, description="machine by part")
    command: str = Field(default="", description="makes this row again")
    repro: Literal["evaluate", "retrain"] = Field(
        default="evaluate", description="whether the weights are at hand or must be trained again"
    )
    retrain: str = Field(
        default="", description="trains the weights again; empty if they are at hand or nobody knows"
    )
    items_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="of KEY.items.parquet")
    digest: str = Field(default="", pattern=r"^([0-9a-f]{16})?$", description="hash of all other fields")

    @model_validator(mode="before")
    @classmethod
    def _fill_key(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "key" in data:
            return data
        defaults = {"split": "test", "subset": "all"}
        return {**data, "key": row_key({**defaults, **data})}

    @model_validator(mode="after")
    def _consistent(self) -> Row:
        if self.key != row_key(self.model_dump(include=set(IDENTIFYING))):
            raise ValueError("key does not fit the identifying fields; was the file edited?")
        if self.family != self.task.rpartition("/")[0]:
            raise ValueError(f"family '{self.family}' is not that of task '{self.task}'")
        if self.main_metric not in self.metrics:
            raise ValueError(f"main_metric '{self.main_metric}' is not among the metrics")
        if self.n_scored > self.n_expected:
            raise ValueError(f"n_scored {self.n_scored} exceeds n_expected {self.n_expected}")
        if self.interval is None and any(m.low is not None for m in self.metrics.values()):
            raise ValueError("a metric has an interval but 'interval' does not say how it was made")
        return self

    @property
    def main(self) -> Metric:
        """The metric that stands for the task."""
        return self.metrics[self.main_metric]


def row_key(fields: Mapping[str, Any]) -> str:
    """Return the key of a measurement from its identifying fields; absent ones count as None."""
    return content_hash({name: fields.get(name) for name in IDENTIFYING})


def row_schema() -> dict[str, Any]:
    """Return the JSON schema of a row file, as committed in ``paco_eval/rows/row.schema.json``."""
    schema = Row.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "paco-eval row"}


def _content(row: Row) -> dict[str, Any]:
    return row.model_dump(mode="json", by_alias=True)


def _digest(content: Mapping[str, Any]) -> str:
    return content_hash({name: value for name, value in content.items() if name != "digest"})


def plain_cells(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items with array cells, e.g. points (L, 2), as nested lists, which parquet can hold."""
    nested = {
        str(name): [cell.tolist() for cell in column]
        for name, column in items.items()
        if len(column) and isinstance(column.iloc[0], np.ndarray)
    }
    return items.assign(**nested)


def items_path(row_path: Path) -> Path:
    """Return where the items of a row file lie."""
    return row_path.with_name(f"{row_path.stem}.items.parquet")


REST = "items_with"
"""Entry of ``chosen``: key of the clean row whose items have the columns that a cell of a sweep leaves out."""


def write_row(folder: str | Path, row: Row, items: pd.DataFrame, *, clean: Path | None = None) -> Path:
    """Write ``KEY.items.parquet`` and then ``KEY.json`` into ``folder`` and return the row's path.

    A reader sees the old row or the new one, never half of one.

    Args:
        folder: made if it is not there.
        row: its ``items_sha256`` and ``digest`` are computed here.
        items: one line per scored unit with ``id`` and ``group`` (pairs: ``group_a`` and ``group_b``); no
            pictures.
        clean: file of a row on the same units in ``folder``; columns that its items have alike are left out here.

    """
    folder = Path(folder)
    groups = {"group_a", "group_b"} if "group_a" in items else {"group"}
    missing = ({"id"} | groups) - set(items.columns)
    if missing:
        raise PacoError(f"The items of {row.task} lack the column {', '.join(sorted(missing))}.")
    own = None if clean is None else departing(items, read_items(clean))
    if clean is not None and own is not None and len(own.columns):
        items, row = own, row.model_copy(update={"chosen": {**row.chosen, REST: clean.stem}})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{row.key}.json"
        with atomic_file(items_path(path)) as temporary:
            split = [name for name in items if own is items and items[name].dtype == np.float32]
            plain_cells(items).to_parquet(
                temporary, index=False, compression="zstd", write_statistics=False, store_schema=False,
                use_byte_stream_split=split, use_dictionary=[name for name in items if name not in split],
            )  # fmt: skip
            items_sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
        content = {**_content(row), "items_sha256": items_sha256}
        content["digest"] = _digest(content)
        Row.model_validate(content)
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise PacoError(f"{folder}: cannot write a row ({error.strerror}). Choose another --out.") from error
    return path


def read_row(path: str | Path) -> Row:
    """Return the row in a file, or raise :class:`PacoError` that says what is wrong with it."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PacoError(f"{path}: no readable row ({error}). Evaluate it again.") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise PacoError(f"{path}: not a row; it has no schema number.")
    if found < 1:
        raise PacoError(f"{path}: row format {found} does not exist. Evaluate it again.")
    if found > SCHEMA:
        raise PacoError(f"{path}: written in row format {found}, this version reads up to {SCHEMA}. Upgrade.")
    if content.get("digest") != _digest(content):
        raise PacoError(f"{path}: content does not fit its digest. Edited by hand? Evaluate it again.")
    try:
        for number in range(found, SCHEMA):
            content = UPGRADES[number](content)
        return Row.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        raise PacoError(f"{path}: {where}: {first['msg']}.") from error


def read_items(row_path: str | Path, row: Row | None = None) -> pd.DataFrame:
    """Return the items of a row file, checked against the hash that the row holds."""
    row_path = Path(row_path)
    row = row or read_row(row_path)
    path = items_path(row_path)
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != row.items_sha256:
            raise PacoError(f"{path}: not the items that its row was computed from. Evaluate it again.")
        items = pd.read_parquet(path)
        rest = row.chosen.get(REST)
        return items if rest is None else completed(items, read_items(row_path.with_name(f"{rest}.json")))
    except OSError as error:
        raise PacoError(f"{path}: items cannot be read ({error.strerror}). Evaluate it again.") from error


@dataclass(frozen=True)
class Stored:
    """A row and the file that it came from."""

    row: Row
    path: Path

    def items(self) -> pd.DataFrame:
        """Read the items beside the row; raises :class:`PacoError` if they do not fit."""
        return read_items(self.path, self.row)


class Loaded(NamedTuple):
    """Rows that can be trusted, and a sentence for each thing that cannot."""

    rows: list[Stored]
    problems: list[str]


def _row_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*.json") if _KEY_FILE.fullmatch(file.name))


def _same_numbers(a: Row, b: Row) -> bool:
    if a.metrics.keys() != b.metrics.keys():
        return False
    pairs = [(a.metrics[name].value, b.metrics[name].value) for name in a.metrics]
    return all(
        x == y or (x is not None and y is not None and math.isclose(x, y, rel_tol=1e-6)) for x, y in pairs
    )


def load_rows(paths: str | Path | Iterable[str | Path]) -> Loaded:
    """Read all rows under ``paths`` (row files, or folders searched through), merged as stated above.

    What cannot be read is told in ``problems`` and leaves the rest untouched.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    kept: dict[str, Stored] = {}
    problems: list[str] = []
    for path in map(Path, paths):
        files = _row_files(path)
        if not files:
            problems.append(f"{path}: no rows. Is it the --out folder of an evaluation?")
        for file in files:
            try:
                stored = Stored(read_row(file), file)
            except PacoError as error:
                problems.append(str(error))
                continue
            first = kept.setdefault(stored.row.key, stored)
            if not _same_numbers(first.row, stored.row):
                problems.append(
                    f"{file}: disagrees with {first.path} under the same key; the latter is used."
                )
    return Loaded(list(kept.values()), problems)


def results_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Return one line per row and metric: the row's plain fields, then metric, value, low, high, ..."""
    nested = {"metrics", "interval", "chosen", "cost", "timings", "licences", "versions", "hardware"}
    lines = []
    for row in rows:
        plain = row.model_dump(exclude=nested)
        for name, metric in row.metrics.items():
            lines.append({**plain, "metric": name, **metric.model_dump(), "main": name == row.main_metric})
    fields = [name for name in Row.model_fields if name not in nested]
    return pd.DataFrame(lines, columns=[*fields, "metric", *Metric.model_fields, "main"])


def load_results(paths: str | Path | Iterable[str | Path]) -> pd.DataFrame:
    """Return all results under ``paths`` as one long frame, see :func:`results_frame`.

    Rows that could not be used are named in a warning and in ``frame.attrs["problems"]``.
    """
    loaded = load_rows(paths)
    frame = results_frame(stored.row for stored in loaded.rows)
    frame.attrs["problems"] = loaded.problems
    for problem in loaded.problems:
        warnings.warn(problem, stacklevel=2)
    return frame
