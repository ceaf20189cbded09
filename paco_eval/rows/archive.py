"""Many rows in few files: what a repository keeps of a thousand measurements, and opens as rows again.

========================= =============================================================================
``archive.json``          number of the format, and the sha256 of every other file; makes it an archive
``encoders.json``         what the rows of an encoder have alike: weights, seed, terms, versions, machine
``rows.jsonl``            a row a line, sorted by key, less what its encoder's entry says
``cells/FAMILY.csv``      the other cells of derived tasks: a line says what departs from the clean row
``items/FAMILY.parquet``  a column of items a line, kept once for all rows that have it
========================= =============================================================================

Numbers of the text files have eight digits, so that new measurements are a readable diff and still the same
within the 1e-6 by which rows are merged and measured again. Items are in single precision and without what only
drawings need; scores of pairs without folds are kept as their order, which is all that measures of such pairs read;
and cells of derived tasks keep what their main metric reads: their other metrics are numbers of the row alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paco_eval.rows.compact import REST, REST_SHA256, plain_cells
from paco_eval.rows.schema import IDENTIFYING, Row, upgraded
from paco_fr.utils.errors import FormatError, PacoError, in_a_line
from paco_fr.utils.files import atomic_file, writing
from paco_fr.utils.untrusted import parse_json, read_json

FORMAT = 1
"""Number of the format that this version writes."""

MANIFEST = "archive.json"

OF_ENCODER = (
    "method", "weight_hash", "pixel_hash", "pretrain_seed", "repro", "retrain", "licences", "versions", "hardware",
    "commit", "network", "probe",
)  # fmt: skip
"""Fields that a row has in common with others of its encoder; a row that departs has its own."""

DRAWN = ("yaw_pred", "pitch_pred", "roll_pred")
"""Columns that are left out as points are: only words under a face say them."""

BESIDE = (
    "error_yaw", "error_pitch", "error_roll", "error_lenient", "geodesic",
    "nme_interocular", "nme_interpupil", "nme_visible", "nme_hidden", "confidence",
)  # fmt: skip
"""Columns that a cell leaves out unless they are its main error: what only secondary metrics read."""

_OWN = ("key", "items_sha256", "digest")  # of one row alone
_LEADING = ("clean", "task", "encoder", "subset", "level")  # what a line of a table is about
_NUMBERS = ("value", "low", "high")


class Measured(Protocol):
    """A row with its items, wherever they lie."""

    @property
    def row(self) -> Row:
        """The row."""

    def items(self) -> pd.DataFrame:
        """Return its items."""


class Archive:
    """An opened archive: all rows, and the items of those that are asked for.

    Args:
        folder: that holds the archive.

    Raises:
        PacoError: a file is absent or not what was written; the message names it.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sums = _sums_of(folder)
        self._items: dict[str, _Items] = {}

    @cached_property
    def rows(self) -> list[Row]:
        """All rows, those of ``rows.jsonl`` first."""
        whole: dict[str, dict[str, Any]] = {}
        rows = []
        encoders = parse_json(self._read("encoders.json"), self.folder / "encoders.json")
        with _reading(self.folder / "rows.jsonl"):
            for line in self._read("rows.jsonl").decode().splitlines():
                fields = parse_json(line, self.folder / "rows.jsonl")
                fields = encoders[fields["encoder"]] | fields
                whole[fields["key"]] = fields
                rows.append(upgraded(fields))
        for name in sorted(name for name in self._sums if name.startswith("cells/")):
            with _reading(self.folder / name):
                lines = csv.DictReader(io.StringIO(self._read(name).decode(), newline=""))
                rows += [upgraded(_cell(whole[line["clean"]], line)) for line in lines]
        return rows

    def items(self, row: Row) -> pd.DataFrame:
        """Return the items of a row of this archive; a family's are read when the first are asked for."""
        name = f"items/{_family(row)}.parquet"
        if name not in self._items:
            with _reading(self.folder / name):
                self._items[name] = _Items(self._read(name))
        return self._items[name].of(row.key)

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        with _reading(path):
            found = path.read_bytes()
        if hashlib.sha256(found).hexdigest() != self._sums.get(name):
            raise PacoError(f"{path}: not what the archive was written with. Damaged, or edited by hand?")
        return found


def is_archive(folder: Path) -> bool:
    """Say whether a folder holds an archive."""
    return (folder / MANIFEST).is_file()


def write_archive(folder: str | Path, rows: Iterable[Measured]) -> list[Path]:
    """Write rows with their items as an archive and return its files; one that is there is replaced.

    Args:
        folder: made if it is not there.
        rows: from row files or other archives.

    """
    folder = Path(folder)
    found = sorted(rows, key=lambda each: each.row.key)
    contents = {each.row.key: _content(each.row) for each in found}
    columns: dict[str, _Columns] = defaultdict(_Columns)
    for each in found:
        columns[_family(each.row)].add(each.row, each.items())
    lines, cells = _apart(contents)
    encoders: dict[str, dict[str, Any]] = {}
    for fields in lines:
        encoders.setdefault(fields["encoder"], {name: fields[name] for name in OF_ENCODER})
    shortened = [_less(fields, encoders[fields["encoder"]]) for fields in lines]
    files = {
        "encoders.json": (json.dumps(encoders, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode(),
        "rows.jsonl": "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in shortened).encode(),
        **{f"cells/{family}.csv": _table(part) for family, part in cells.items()},
        **{f"items/{family}.parquet": part.written() for family, part in columns.items()},
    }
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    files[MANIFEST] = (json.dumps({"format": FORMAT, "files": sums}, indent=1) + "\n").encode()
    with writing(f"an archive to {folder}", "Choose another folder."):
        for name in sorted((_sums_of(folder) if is_archive(folder) else sums).keys() - sums.keys()):
            (folder / name).unlink(missing_ok=True)
        for name, data in files.items():
            with atomic_file(folder / name) as temporary:
                temporary.write_bytes(data)
    return [folder / name for name in sorted(files)]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a file that does not fit the format raises into a sentence with its name."""
    try:
        yield
    except OSError as error:
        raise PacoError(f"{path}: a part of an archive that cannot be read ({error.strerror}).") from error
    except PacoError:
        raise
    except Exception as error:  # what is missing or of another kind shows itself in a dozen ways
        raise PacoError(f"{path}: no part of an archive ({in_a_line(error)}).") from error


def _sums_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of an archive."""
    path = folder / MANIFEST
    with _reading(path):
        content = read_json(path)
        found, sums = int(content["format"]), dict(content["files"])
    if found > FORMAT:
        raise PacoError(f"{path}: archive format {found}, this version reads up to {FORMAT}. Upgrade.")
    return sums


def _family(row: Row) -> str:
    """Return the family of the task that a row's task may derive from."""
    return row.family.rpartition("/")[2]


def _content(row: Row) -> dict[str, Any]:
    """Return the fields of a row for text files: rounded, without the place of items that are not beside it."""
    content: dict[str, Any] = _rounded(
        row.model_dump(mode="json", by_alias=True, exclude={"digest", "beside"})
    )
    for name in (REST, REST_SHA256):
        content["chosen"].pop(name, None)
    return content


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.8g}") if isinstance(value, float) else value


def _less(fields: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in known or known[name] != value}


def _apart(
    contents: Mapping[str, dict[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, str]]]]:
    """Return the rows that are written whole, and by family the lines of cells that depart little from a clean row."""
    clean = {_sweep(fields): fields for fields in contents.values() if fields["level"] == 0}
    whole, cells = [], defaultdict(list)
    for fields in contents.values():
        base = clean.get(_sweep(fields)) if fields["level"] else None
        line = None if base is None else _departing(fields, base)
        if base is None or line is None:
            whole.append(fields)
            continue
        words = {name: str(fields[name]) for name in _LEADING[1:]}
        cells[fields["family"].rpartition("/")[2]].append({"clean": base["key"], **words, **line})
    return whole, cells


def _sweep(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the cells of one encoder on one derived task have alike."""
    return tuple(fields[name] for name in IDENTIFYING if name not in ("subset", "level", "data_fingerprint"))


def _departing(cell: Mapping[str, Any], clean: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the fields in which a cell is not its clean row, and all its metrics; None if they differ in kind."""
    ours, theirs = dict(_flat(cell)), dict(_flat(clean))
    if ours.keys() != theirs.keys() or _definitions(cell) != _definitions(clean):
        return None
    line = {name: _text(value) for name, value in ours.items() if value != theirs[name]}
    for name, metric in cell["metrics"].items():
        numbers = {f"metrics.{name}.{end}": metric[end] for end in _NUMBERS}
        line |= {place: "" if number is None else _text(number) for place, number in numbers.items()}
    return line


def _cell(clean: Mapping[str, Any], line: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a cell from those of its clean row and its line of the table."""
    fields = {name: dict(value) if isinstance(value, dict) else value for name, value in clean.items()}
    for name in _OWN:
        fields.pop(name, None)
    fields |= {"subset": line["subset"], "level": int(line["level"]), "metrics": {}}
    for name, metric in clean["metrics"].items():
        numbers = {end: line[f"metrics.{name}.{end}"] for end in _NUMBERS}
        fields["metrics"][name] = metric | {end: float(n) if n else None for end, n in numbers.items()}
    for name, text in line.items():
        if text and name not in _LEADING and not name.startswith("metrics."):
            section, _, entry = name.partition(".")
            (fields[section] if entry else fields)[entry or section] = _value(text)
    return fields


def _definitions(fields: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    return {name: (each["unit"], each["higher_is_better"]) for name, each in fields["metrics"].items()}


def _flat(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields that a line of a table may hold, nested ones with a dot."""
    for name, value in fields.items():
        if name in (*_OWN, *_LEADING, "metrics"):
            continue
        if isinstance(value, dict):
            yield from ((f"{name}.{entry}", each) for entry, each in value.items())
        else:
            yield name, value


def _text(value: Any) -> str:
    """Return a value as JSON, words without quotation marks where nothing else could be meant."""
    if isinstance(value, str) and value and _value(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _value(text: str) -> Any:
    try:
        return parse_json(text, "a cell of a table", expect=None)
    except FormatError:
        return text


def _table(lines: list[dict[str, str]]) -> bytes:
    """Return lines as sorted CSV, what a line lacks blank."""
    others = sorted({name for line in lines for name in line} - set(_LEADING), key=_order)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*_LEADING[1:], *others, "clean"], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(lines, key=lambda line: [line[name] for name in (*_LEADING[1:], "clean")]))
    return text.getvalue().encode()


def _order(name: str) -> tuple[bool, str, int]:
    place, _, end = name.rpartition(".")
    metric = name.startswith("metrics.")
    return (not metric, place, _NUMBERS.index(end)) if metric else (True, name, 0)


class _Columns:
    """Columns of items on their way to a file: each is kept once, under its names, with the rows that have it."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], pa.Array] = {}
        self.rows: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, row: Row, items: pd.DataFrame) -> None:
        """Take in the items of a row."""
        names: dict[str, list[str]] = defaultdict(list)
        values: dict[str, pa.Array] = {}
        for name, array in _kept(row, items):
            mark = _mark(array)
            names[mark].append(name)
            values[mark] = array
        for mark, alike in names.items():
            place = (" ".join(sorted(alike)), mark)
            self.values.setdefault(place, values[mark])
            self.rows[place].append(row.key)

    def written(self) -> bytes:
        """Return the file: names, rows, and a list under the name of its type."""
        places = sorted(self.values, key=lambda place: (place[0], self.rows[place]))
        table = {
            "names": pa.array([place[0].split(" ") for place in places], pa.list_(pa.string())),
            "rows": pa.array([self.rows[place] for place in places], pa.list_(pa.string())),
        }
        for kind in sorted({str(array.type) for array in self.values.values()}):
            own = [str(self.values[place].type) == kind for place in places]
            arrays = [self.values[place] for place, is_own in zip(places, own, strict=True) if is_own]
            lengths = [len(self.values[place]) * is_own for place, is_own in zip(places, own, strict=True)]
            offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
            absent = pa.array([not is_own for is_own in own])
            table[kind] = pa.ListArray.from_arrays(offsets, pa.concat_arrays(arrays), mask=absent)
        plain = [f"{kind}.list.element" for kind in table if kind != "float"]
        sink = io.BytesIO()
        pq.write_table(
            pa.table(table), sink, compression="zstd", compression_level=19, write_statistics=False,
            use_dictionary=plain, use_byte_stream_split=["float.list.element"] if "float" in table else False,
        )  # fmt: skip
        return sink.getvalue()


def _kept(row: Row, items: pd.DataFrame) -> Iterator[tuple[str, pa.Array]]:
    """Yield the columns of items that are kept, with their names."""
    main, items = items.get("error"), plain_cells(items)
    for name in map(str, items):
        column = items[name]
        beside = row.level is not None and name in BESIDE and (main is None or not column.equals(main))
        if beside or name in DRAWN:
            continue
        if name == "score" and "id_a" in items and "fold" not in items:
            order = pd.factorize(column, sort=True)[0]
            yield name, pa.array(order, mask=order < 0)
            continue
        array = pa.array(column, from_pandas=True)
        if pa.types.is_list(array.type) and pa.types.is_list(array.type.value_type):
            continue  # points
        if pa.types.is_float64(array.type):
            array = array.cast(pa.float32())
        yield name, array.cast(pa.string()) if pa.types.is_large_string(array.type) else array


def _mark(array: pa.Array) -> str:
    """Return a hash of the values of a column."""
    found = hashlib.sha256(str(array.type).encode())
    for buffer in array.buffers():
        found.update(b"-" if buffer is None else buffer)
    return found.hexdigest()


class _Items:
    """The items of a family, read."""

    def __init__(self, data: bytes) -> None:
        table = pq.read_table(pa.BufferReader(data))
        self.names = table.column("names").to_pylist()
        self.lists = {name: table.column(name).combine_chunks() for name in table.column_names[2:]}
        self.kinds = [""] * len(table)
        for kind, lists in self.lists.items():
            for place in np.flatnonzero(lists.is_valid().to_numpy(zero_copy_only=False)).tolist():
                self.kinds[place] = kind
        self._read: dict[int, npt.NDArray[Any]] = {}  # most columns are of many rows
        self.places: dict[str, list[int]] = defaultdict(list)
        for place, keys in enumerate(table.column("rows").to_pylist()):
            for key in keys:
                self.places[key].append(place)

    def of(self, key: str) -> pd.DataFrame:
        """Return the items of a row."""
        return pd.DataFrame(
            {name: self._values(place) for place in self.places[key] for name in self.names[place]}
        )

    def _values(self, place: int) -> npt.NDArray[Any]:
        if place not in self._read:
            self._read[place] = self.lists[self.kinds[place]][place].values.to_numpy(zero_copy_only=False)  # noqa: PD011
        return self._read[place]
