"""Rows in a folder: written, read, merged.

A row is ``KEY.json`` with its items beside it in ``KEY.HASH.items.parquet``, see :mod:`paco_eval.rows.schema`; or one
of an archive, see :mod:`paco_eval.rows.archive`. What lies beside a row is named by its hash and written before it, so
that a reader sees the old row or the new one, whole, whenever a writer is killed. What neither the row nor the one
before it refers to is removed by the next write of that key. Earlier versions named items ``KEY.items.parquet``.

**Merging** runs of several machines is putting their folders side by side. Of rows with one key the first
in the order of the given paths (sorted within a folder) is kept; when they disagree in any metric by more
than a relative 1e-6, that is reported as a problem as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import ValidationError

from paco_eval.rows.archive import Archive, is_archive
from paco_eval.rows.compact import REST, REST_SHA256, completed, departing, plain_cells
from paco_eval.rows.schema import SCHEMA, Metric, Row, upgraded
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError, one_line, quoted
from paco_fr.utils.files import atomic_file, put_aside, write_text, writing
from paco_fr.utils.progress import tracked
from paco_fr.utils.untrusted import ARRAYS, first_problem, parse_parquet, read_bounded, read_json

AGAIN = "Evaluate it again."
_BESIDE = re.compile(r"[0-9a-f]{16}\.([0-9a-f]{8}\.)?(items\.parquet|samples\.npz|achieved\.parquet)")
_KEY_FILE = re.compile(r"[0-9a-f]{16}\.json")


class NewerError(PacoError):
    """A row of a format that only later versions read."""


def _content(row: Row) -> dict[str, Any]:
    return row.model_dump(mode="json", by_alias=True)


def _digest(content: Mapping[str, Any]) -> str:
    return content_hash({name: value for name, value in content.items() if name != "digest"})


def is_whole(content: Mapping[str, Any]) -> bool:
    """Say whether the fields of a stored row fit their digest."""
    return bool(content.get("digest") == _digest(content))


ITEMS, SAMPLES, ACHIEVED = "items.parquet", "samples.npz", "achieved.parquet"
"""Kinds of files beside a row."""


def beside_path(row_path: Path, kind: str, sha256: str) -> Path:
    """Return where a file of a row lies that has a hash, or lay in earlier versions."""
    named = row_path.with_name(f"{row_path.stem}.{sha256[:8]}.{kind}")
    plain = row_path.with_name(f"{row_path.stem}.{kind}")
    return plain if plain.exists() and not named.exists() else named


def items_path(row_path: Path, row: Row | None = None) -> Path:
    """Return where the items of a row file lie; ``row`` is what it holds, where that is known."""
    return beside_path(row_path, ITEMS, (row or read_row(row_path)).items_sha256)


def write_row(
    folder: str | Path,
    row: Row,
    items: pd.DataFrame,
    *,
    clean: Path | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a row, before it what lies beside it, into ``folder`` and return the row's path.

    A reader sees the old row or the new one, never half of one.

    Args:
        folder: made if it is not there.
        row: its ``items_sha256``, ``beside`` and ``digest`` are computed here.
        items: one line per scored unit with ``id`` and ``group`` (pairs: ``group_a`` and ``group_b``); no
            pictures.
        clean: file of a row on the same units in ``folder``; columns that its items have alike are left out here.
        beside: contents of other files of this row, by kind.

    """
    folder = Path(folder)
    groups = {"group_a", "group_b"} if "group_a" in items else {"group"}
    missing = ({"id"} | groups) - set(items.columns)
    if missing:
        raise PacoError(f"The items of {row.task} lack the column {', '.join(sorted(missing))}.")
    split: list[str] = []
    if clean is not None:
        base = read_row(clean)
        own = departing(items, read_items(clean, base))
        if own is not None and len(own.columns):
            chosen = {**row.chosen, REST: clean.stem, REST_SHA256: base.items_sha256}
            items, row = own, row.model_copy(update={"chosen": chosen})
            split = [str(name) for name in items if items[name].dtype == np.float32]
    contents = {ITEMS: _parquet(items, split), **(beside or {})}
    sums = {kind: hashlib.sha256(data).hexdigest() for kind, data in contents.items()}
    content = {**_content(row), "items_sha256": sums.pop(ITEMS), "beside": sums}
    content["digest"] = _digest(content)
    written = Row.model_validate(content)
    path = folder / f"{row.key}.json"
    with writing(f"a row to {folder}", "Choose another --out."):
        folder.mkdir(parents=True, exist_ok=True)
        before = _files_of(path)
        own_files = _files_of(path, written, named=True)
        for kind, data in contents.items():
            with atomic_file(own_files[kind]) as temporary:
                temporary.write_bytes(data)
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        _remove_others(path, {*before.values(), *own_files.values()})
    return path


def _parquet(items: pd.DataFrame, split: list[str]) -> bytes:
    """Return items as a parquet file, in the columns of ``split`` byte by byte, which packs numbers better."""
    written = io.BytesIO()
    plain_cells(items).to_parquet(
        written, index=False, compression="zstd", write_statistics=False, store_schema=False,
        use_byte_stream_split=split, use_dictionary=[name for name in items if name not in split],
    )  # fmt: skip
    return written.getvalue()


def _files_of(path: Path, row: Row | None = None, *, named: bool = False) -> dict[str, Path]:
    """Return the files beside a row by kind; none where there is no row that can be read.

    Args:
        path: of the row.
        row: what it holds; by default what is there now.
        named: under their hashes, whether or not files under the names of earlier versions are there.

    """
    try:
        row = row or read_row(path)
    except PacoError:
        return {}
    sums = {ITEMS: row.items_sha256, **row.beside}
    if named:
        return {kind: path.with_name(f"{path.stem}.{own[:8]}.{kind}") for kind, own in sums.items()}
    return {kind: beside_path(path, kind, own) for kind, own in sums.items()}


def _remove_others(path: Path, kept: set[Path]) -> None:
    """Remove files of a key that no row refers to: a killed writer left them, or two writes went by since."""
    kept = kept | set(_files_of(path).values())  # another process may have written in between
    for other in path.parent.glob(f"{path.stem}.*"):
        if other not in kept and _BESIDE.fullmatch(other.name):
            other.unlink(missing_ok=True)


def whole_row(path: Path) -> Row | None:
    """Return the row in a file if it can be read, and all that lies beside it is what it was written with.

    What is damaged is put aside, and said; the row is then to be measured again, as if it were not there.

    Raises:
        PacoError: it was written by a later version of this package.

    """
    if not path.exists():
        return None
    try:
        row = read_row(path)
        if row.key != path.stem:
            raise PacoError(f"{path}: holds the row {row.key}, not that of its name.")
    except NewerError:
        raise
    except PacoError as error:
        put_aside(path, error)
        return None
    for kind, sha256 in {ITEMS: row.items_sha256, **row.beside}.items():
        beside = beside_path(path, kind, sha256)
        if not beside.exists():
            sys.stderr.write(f"Incomplete: {path}: {beside.name} is not there. Measured again.\n")
            return None
        if hashlib.sha256(beside.read_bytes()).hexdigest() != sha256:
            put_aside(beside, "not what its row was written with")
            return None
    rest = row.chosen.get(REST)
    if rest is not None:
        try:
            _clean_of(path, row)
        except PacoError as error:
            sys.stderr.write(f"Incomplete: {one_line(error, 500)} Measured again.\n")
            return None
    return row


def read_row(path: str | Path) -> Row:
    """Return the row in a file, or raise :class:`PacoError` that says what is wrong with it."""
    path = Path(path)
    content = read_json(path, "This is no readable row: evaluate it again.", expect=None)
    found = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise PacoError(f"{path}: not a row; it has no schema number.")
    if found < 1:
        raise PacoError(f"{path}: row format {found} does not exist. Evaluate it again.")
    if found > SCHEMA:
        raise NewerError(
            f"{path}: written in row format {found}, this version reads up to {SCHEMA}. Upgrade."
        )
    if content.get("digest") != _digest(content):
        raise PacoError(f"{path}: content does not fit its digest. Edited by hand? Evaluate it again.")
    try:
        return upgraded(content)
    except ValidationError as error:
        raise PacoError(f"{path}: {first_problem(error)}.") from error


def read_items(row_path: str | Path, row: Row | None = None) -> pd.DataFrame:
    """Return the items of a row file, checked against the hash that the row holds.

    Args:
        row_path: file of the row.
        row: what it held when it was read; by default it is read now, and once more where it is being written.

    """
    row_path = Path(row_path)
    known = row or read_row(row_path)
    try:
        return _read_items(row_path, known)
    except PacoError:
        now = read_row(row_path)
        if now.digest == known.digest:
            raise
        if row is not None:
            raise PacoError(f"{row_path}: was measured again since it was read. Read it again.") from None
        return read_items(row_path)


def _read_items(row_path: Path, row: Row) -> pd.DataFrame:
    path = items_path(row_path, row)
    content = read_bounded(path, ARRAYS, "Without them the items cannot be read: evaluate it again.")
    if hashlib.sha256(content).hexdigest() != row.items_sha256:
        raise PacoError(f"{path}: not the items that its row was computed from. {AGAIN}")
    items = parse_parquet(content, path, AGAIN)
    if row.chosen.get(REST) is None:
        return items
    clean_path, clean = _clean_of(row_path, row)
    return completed(items, read_items(clean_path, clean))


def _clean_of(row_path: Path, row: Row) -> tuple[Path, Row]:
    """Return the row whose items have the columns that a cell of a sweep leaves out, and its file."""
    rest = row.chosen[REST]
    if not isinstance(rest, str) or _KEY_FILE.fullmatch(f"{rest}.json") is None:
        raise PacoError(f"{row_path}: {REST} is {quoted(rest)}, which is no key of a row. {AGAIN}")
    clean_path = row_path.with_name(f"{rest}.json")
    clean = read_row(clean_path)
    if REST in clean.chosen:  # else two rows could name each other
        raise PacoError(f"{row_path}: its items continue those of {rest}, which are no whole ones. {AGAIN}")
    if row.chosen.get(REST_SHA256, clean.items_sha256) != clean.items_sha256:
        raise PacoError(f"{row_path}: its items continue those that {rest} had before. {AGAIN}")
    return clean_path, clean


@dataclass(frozen=True)
class Stored:
    """A row and where it lies.

    Attributes:
        row: what was measured.
        path: its file ``KEY.json``; in an archive ``FOLDER#KEY``, which no file is named.
        archive: that it lies in; None beside other rows.

    """

    row: Row
    path: Path
    archive: Archive | None = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """The folder of the row and those that were measured with it."""
        return self.path.parent if self.archive is None else self.archive.folder

    def items(self) -> pd.DataFrame:
        """Read the items of the row; raises :class:`PacoError` if they do not fit."""
        return read_items(self.path, self.row) if self.archive is None else self.archive.items(self.row)

    def beside(self, kind: str) -> Path | None:
        """Return another file of the row, None if it has none of that kind; raises if it is not the row's own."""
        if self.archive is not None:
            return None
        sha256 = self.row.beside.get(kind)
        if sha256 is None:  # of an earlier version
            plain = self.path.with_name(f"{self.row.key}.{kind}")
            return plain if plain.exists() else None
        path = beside_path(self.path, kind, sha256)
        if hashlib.sha256(read_bounded(path, ARRAYS, AGAIN)).hexdigest() != sha256:
            raise PacoError(f"{path}: not what its row was written with. {AGAIN}")
        return path


class Loaded(NamedTuple):
    """Rows that can be trusted, and a sentence for each thing that cannot."""

    rows: list[Stored]
    problems: list[str]


def _row_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*.json") if _KEY_FILE.fullmatch(file.name))


def _of_file(path: Path) -> list[Stored]:
    return [Stored(read_row(path), path)]


def _archived(folder: Path) -> list[Stored]:
    archive = Archive(folder)
    return [Stored(row, Path(f"{folder}#{row.key}"), archive) for row in archive.rows]


def find_row(place: str | Path) -> Stored:
    """Return the row in a file ``KEY.json``, or of an archive: ``FOLDER#KEY``.

    Raises:
        PacoError: it cannot be read, or the archive has no such row.

    """
    folder, _, key = str(place).rpartition("#")
    if not folder or not is_archive(Path(folder)):
        return Stored(read_row(place), Path(place))
    found = next((stored for stored in _archived(Path(folder)) if stored.row.key == key), None)
    if found is None:
        raise PacoError(f"{folder}: no row has the key '{key}'. Keys stand first in its rows.jsonl.")
    return found


def _same_numbers(a: Row, b: Row) -> bool:
    if a.metrics.keys() != b.metrics.keys():
        return False
    pairs = [(a.metrics[name].value, b.metrics[name].value) for name in a.metrics]
    return all(
        x == y or (x is not None and y is not None and math.isclose(x, y, rel_tol=1e-6)) for x, y in pairs
    )


def load_rows(paths: str | Path | Iterable[str | Path]) -> Loaded:
    """Read all rows under ``paths`` (row files, folders searched through, archives), merged as stated above.

    They are in the order of their seeds, so that no draw of seeds depends on where or under which key rows lie. What
    cannot be read is told in ``problems`` and leaves the rest untouched.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    kept: dict[str, Stored] = {}
    problems: list[str] = []
    for path in map(Path, paths):
        found: list[Stored] = []
        files = _row_files(path)
        if not files and not is_archive(path):
            problems.append(f"{path}: no rows. Is it the --out folder of an evaluation?")
        for read, places in ((_archived, [path] if is_archive(path) else []), (_of_file, files)):
            for place in tracked(places, "reading rows", unit="row"):
                try:
                    found += read(place)
                except PacoError as error:
                    problems.append(str(error))
        for stored in found:
            first = kept.setdefault(stored.row.key, stored)
            if not _same_numbers(first.row, stored.row):
                problems.append(
                    f"{stored.path}: disagrees with {first.path} under the same key; the latter is used."
                )
    return Loaded(sorted(kept.values(), key=_seeds), problems)


def _seeds(stored: Stored) -> tuple[int, ...]:
    return tuple(
        seed or 0 for seed in (stored.row.pretrain_seed, stored.row.probe_seed, stored.row.split_seed)
    )


def results_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Return one line per row and metric: the row's plain fields, then metric, value, low, high, ..."""
    nested = {"metrics", "interval", "chosen", "cost", "timings", "licences", "versions", "hardware", "definition",
              "settings"}  # fmt: skip
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
