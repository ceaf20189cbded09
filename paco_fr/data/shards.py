"""Packed faces: crops in Arrow shards with checksums, read anywhere without unpacking.

A packed folder holds ``manifest.json`` and ``shard-00000.arrow`` and so on, each an Arrow stream that
``datasets.Dataset.from_file`` opens too, with a row for every crop: ``image_id``, ``group``, ``anchor`` (the
name of its region map) and either ``pixels`` (size * size * 3 uint8 values, row-major RGB) or ``image`` (a JPEG
file). Shards are mapped, not loaded: what a run reads lies in the system's page cache, which it takes back
when it needs the room, and which all processes of a machine share.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paco_fr.config import PretrainConfig
from paco_fr.contracts import content_hash
from paco_fr.data.cut import Cutting
from paco_fr.faces.decode import ImageError, read_image
from paco_fr.utils.errors import FormatError, PacoError, one_line, quoted
from paco_fr.utils.files import first_difference, write_text
from paco_fr.utils.progress import tracked
from paco_fr.utils.untrusted import read_json, shaped

FORMAT = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"shard-[0-9]+\.arrow")
REMEDY = "It is not a manifest of packed faces. Pack again."
OPEN_SHARDS = 1024
"""Shards that a process keeps mapped at a time: what is read in any order should not be mapped again and again."""

Encoding = Literal["raw", "jpeg"]


@dataclass(frozen=True)
class Settings:
    """What every crop of a packed folder has in common; two folders with equal settings hold comparable crops.

    Attributes:
        source: the SOURCE that was packed, as the user wrote it.
        records: how many it held, 0 where it streamed.
        size: side of a crop in pixels.
        crops: share of each kind of crop.
        template: five-point template of aligned crops.
        jitter: largest relative shift and scale change.
        encoding: ``raw`` or ``jpeg``.
        quality: of JPEG, 0 for raw.
        shard_size: records of the source in a shard, some of which may have been skipped.
        renderer: version of the renderer that drew the crops, 0 where they were cut from pictures.

    """

    source: str
    records: int
    size: int
    crops: dict[str, float]
    template: str
    jitter: float
    encoding: Encoding
    quality: int
    shard_size: int
    renderer: int = 0

    @property
    def cutting(self) -> Cutting:
        """The fields that decide what a crop shows."""
        return Cutting(self.size, self.crops, self.template, self.jitter)


@dataclass(frozen=True)
class Shard:
    """One file of a packed folder: its name, rows, bytes, checksum, and the records that were skipped.

    ``inputs`` is a hash of the records that it was made of, empty where they streamed and of earlier versions.
    """

    file: str
    count: int
    bytes: int
    sha256: str
    anchors: dict[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    contract: str = ""
    inputs: str = ""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.file) is None:  # never a path that leads out of the folder
            raise ValueError(f"{quoted(self.file)} is no name of a shard")


@dataclass(frozen=True)
class Manifest:
    """The table of contents of a packed folder."""

    settings: Settings
    shards: tuple[Shard, ...]

    @property
    def count(self) -> int:
        """Crops in all shards."""
        return sum(shard.count for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits of the crops and how they were cut, whatever the folder is called."""
        return content_hash([asdict(self.settings.cutting), [shard.sha256 for shard in self.shards]])

    def as_json(self) -> str:
        """Return the JSON text of ``manifest.json``."""
        skipped = sum(len(shard.skipped) for shard in self.shards)
        facts = {"format": FORMAT, "count": self.count, "skipped": skipped, "fingerprint": self.fingerprint}
        values = {
            **facts,
            "settings": asdict(self.settings),
            "shards": [asdict(shard) for shard in self.shards],
        }
        return json.dumps({**values, "checksum": content_hash(values)}, indent=1) + "\n"


def is_packed(folder: str | Path) -> bool:
    """Tell whether a path is a folder that ``data pack`` finished."""
    return (Path(folder).expanduser() / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a packed folder, held against the files beside it.

    Raises:
        PacoError: it is damaged, of another format, or disagrees with itself or with the files.

    """
    path = folder / MANIFEST
    values = read_json(path, REMEDY)
    if (version := values.get("format")) != FORMAT:
        raise PacoError(
            f"{path} has format {quoted(version)}; this version reads format {FORMAT}. Pack again."
        )
    manifest = shaped(Manifest, values, path, REMEDY)
    told = {name: values.get(name) for name in ("count", "fingerprint")}
    for name, value in told.items():
        if value != getattr(manifest, name):
            raise PacoError(
                f"{path}: '{name}' says {one_line(value)}, its shards add up to {getattr(manifest, name)}. Pack again."
            )
    contract = manifest.settings.cutting.hash
    for shard in manifest.shards:
        if shard.contract != contract:
            raise PacoError(
                f"{folder / shard.file} was cut under crop contract {one_line(shard.contract)}, the manifest's is {contract}: "
                "shards of two settings lie in one folder. Pack each into a folder of its own."
            )
        size = (folder / shard.file).stat().st_size if (folder / shard.file).is_file() else None
        if size != shard.bytes:
            found = "is missing" if size is None else f"has {size} bytes, not {shard.bytes}"
            raise PacoError(
                f"{folder / shard.file} {found}. Run the same `data pack` again: it makes what is missing."
            )
    said = values.pop("checksum", None)  # earlier versions wrote none
    if said is not None and said != content_hash(values):
        raise PacoError(f"{path} does not fit its checksum: damaged, or edited by hand. {REMEDY}")
    if manifest.count == 0:
        raise PacoError(f"{folder}: not one usable picture was packed. Look at its skipped.txt.")
    return manifest


def verify(folder: Path, manifest: Manifest, *, progress: bool = False) -> None:
    """Hold every shard against its checksum; once is enough while size, times and inode of the file stay.

    Raises:
        PacoError: a shard's bytes are not those that were packed; the message names it.

    """
    damaged = unsound(folder, manifest.shards, progress=progress)
    for shard in manifest.shards:
        if (found := damaged.get(shard.file)) is None:
            continue
        raise PacoError(
            f"{folder / shard.file} is damaged: its sha256 is {found[:12]}..., the manifest says "
            f"{shard.sha256[:12]}... Run the same `data pack` again, which makes it anew."
        )


def unsound(folder: Path, shards: Sequence[Shard], *, progress: bool = False) -> dict[str, str]:
    """Return the files of shards that do not fit their checksums, with those that they have; what was verified is noted."""
    stamps = {shard.file: _stamp(folder / shard.file, shard) for shard in shards}
    record = folder / ".verified.json"
    known = _verified(record)
    todo = [shard for shard in shards if known.get(shard.file) != stamps[shard.file]]
    damaged = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # hashing runs outside the interpreter lock
        sums = pool.map(lambda shard: file_sha256(folder / shard.file), todo)
        for shard, found in tracked(
            zip(todo, sums, strict=True), "verifying shards", len(todo), shown=progress
        ):
            if found != shard.sha256:
                damaged[shard.file] = found
                del stamps[shard.file]
    if todo:
        try:
            write_text(record, json.dumps({"stamps": stamps, "checksum": content_hash(stamps)}))
        except (OSError, PacoError):
            return damaged  # a read-only folder is verified every time
    return damaged


def _verified(record: Path) -> dict[str, str]:
    """Return what was verified before; nothing where there is no record, or none that fits its own checksum."""
    try:
        content = read_json(record)
        stamps = content.get("stamps")
        if isinstance(stamps, dict) and content.get("checksum") == content_hash(stamps):
            return stamps
    except FormatError:
        return {}
    return {}


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path, shard: Shard) -> str:
    status = path.stat()
    return f"{shard.sha256} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


class PackedImages:
    """The crops of a packed folder by number, (S, S, 3) uint8 RGB; a raw one is a view into its shard."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.starts = np.cumsum([0, *(shard.count for shard in manifest.shards)])
        self._open: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        row = index - int(self.starts[number])
        rows, size = self._shard(number), self.manifest.settings.size
        if isinstance(rows, np.ndarray):
            crop: npt.NDArray[np.uint8] = rows[row]
            return crop
        name = f"{self.folder / self.manifest.shards[number].file}, row {row}"
        try:
            crop = read_image(rows[row].as_py())
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        if crop.shape != (size, size, 3):
            raise ImageError(
                f"{name}: {crop.shape[1]} x {crop.shape[0]} pixels, the manifest says {size}. Pack again."
            )
        return crop

    def __getstate__(self) -> dict[str, Any]:
        """Leave mapped shards behind: each process maps its own."""
        return {**self.__dict__, "_open": OrderedDict()}

    def _shard(self, number: int) -> Any:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        settings, shard = self.manifest.settings, self.manifest.shards[number]
        table = open_shard(self.folder / shard.file)
        if len(table) != shard.count:
            raise PacoError(
                f"{self.folder / shard.file} holds {len(table)} rows, the manifest says {shard.count}. Pack again."
            )
        if settings.encoding == "raw":
            pixels = table["pixels"].chunk(0).flatten().to_numpy(zero_copy_only=True)
            rows: Any = pixels.reshape(shard.count, settings.size, settings.size, 3)
        else:
            rows = table["image"].chunk(0).field("bytes")
        self._open[number] = rows
        while len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return rows


def open_shard(path: Path) -> pa.Table:
    """Return the rows of a shard, mapped into memory."""
    try:
        with pa.memory_map(str(path)) as file:  # the rows keep the mapping, not the file
            return pa.ipc.open_stream(file).read_all()
    except (OSError, pa.ArrowException) as error:
        raise PacoError(
            f"{path} cannot be opened ({error}). Delete it and run the same `data pack` again."
        ) from error


@dataclass(frozen=True)
class PackedFaces:
    """A packed folder as :class:`paco_fr.data.open.Faces`.

    Attributes:
        folder: of the shards.
        manifest: their table of contents.
        images: the crops.
        blocks: how many consecutive crops are stored together: those of each shard.
        fingerprint: hash of the crops and how they were cut.

    """

    folder: Path
    manifest: Manifest
    images: PackedImages
    blocks: tuple[int, ...]
    fingerprint: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """The anchors that occur."""
        return tuple(sorted({name for shard in self.manifest.shards for name in shard.anchors}))

    @property
    def skipped(self) -> Sequence[str]:
        """What could not be packed."""
        return [line for shard in self.manifest.shards for line in shard.skipped]

    @cached_property
    def anchors(self) -> Sequence[str]:
        """The anchor of each crop, a byte each in memory."""
        codes = [
            np.array(
                [
                    self.kinds.index(name)
                    for name in open_shard(self.folder / shard.file)["anchor"].to_pylist()
                ],
                np.uint8,
            )
            for shard in self.manifest.shards
        ]
        return _Names(np.concatenate(codes), self.kinds)


class _Names(Sequence[str]):
    """Many names out of a few, a byte each."""

    def __init__(self, codes: npt.NDArray[np.uint8], names: tuple[str, ...]) -> None:
        self.codes, self.names = codes, names

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: Any) -> Any:
        return self.names[self.codes[index]]


def open_packed(
    folder: Path, config: PretrainConfig, *, check_sums: bool, progress: bool = False
) -> PackedFaces:
    """Return the faces of a packed folder for a configuration that fits them.

    Raises:
        PacoError: the folder is damaged, or its crops are not those that the configuration asks for.

    """
    manifest = read_manifest(folder)
    if other := first_difference(asdict(manifest.settings.cutting), asdict(Cutting.of(config))):
        name, packed, wanted = other
        key = f"{'encoder' if name == 'size' else 'data'}.{name}"
        raise PacoError(
            f"{folder} was packed with {key} {packed}, this run asks for {wanted}. "
            f"Use the recipe it was packed with, or pack again with --set '{key}={json.dumps(wanted)}'."
        )
    if check_sums:
        verify(folder, manifest, progress=progress)
    blocks = tuple(shard.count for shard in manifest.shards)
    return PackedFaces(folder, manifest, PackedImages(folder, manifest), blocks, manifest.fingerprint)
