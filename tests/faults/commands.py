"""Commands in children of a process that has everything imported: killed, limited, and what they leave compared."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image

from paco_fr.checkpoint import SHIPPED
from paco_fr.faces.records import features
from tasks.task import MANIFEST
from tests.fixtures import child

SETTINGS = {
    "encoder.size": 32, "encoder.dim": 24, "encoder.heads": 2, "encoder.depth": 1, "data.crops": {"whole": 1.0},
    "decoder.dim": 24, "decoder.heads": 2, "codebook.tokens": 8,
    "optimiser.batch": 8, "optimiser.presentations": 96, "run.save_seconds": 0,
}  # fmt: skip
OUT = "out"
"""Name of the folder of results, in a folder of its own for each call."""

PICTURES = 24
CLOCK = (
    "images_per_second",
    "waiting",
    "host_gb",
    "seconds",
    "timings",
    "digest",
    "checksum",
    "command",
    "cost",
)
"""Fields that say when, how fast or where something was made."""


@dataclass(frozen=True)
class Command:
    """A command of the program, the calls that it takes, and what it leaves.

    Attributes:
        name: for the record.
        calls: words of each call, one after the other; ``{out}`` and ``{data}`` are filled in.
        products: globs below ``out`` of what is compared.
        again: words that a call gets when it is repeated after a kill.
        before: calls that come first.
        outside: folders that must be there.

    """

    name: str
    calls: tuple[tuple[str, ...], ...]
    products: tuple[str, ...]
    again: tuple[str, ...] = ()
    before: tuple[tuple[str, ...], ...] = field(default=())
    outside: tuple[str, ...] = ()


def _set(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}"))


EVALUATE = (
    "evaluate", "constant", "pixels", "--folder", "classes={data}/classes", "--out", "{out}",
)  # fmt: skip
ROWS = ("rows/*",)
COMMANDS = (
    Command("evaluate", (EVALUATE,), ROWS),
    Command("overwrite", ((*EVALUATE, "--overwrite", "always"),), ROWS, before=(EVALUATE,)),
    Command("pack", (("data", "pack", "{data}/faces", "{out}", "--workers", "1", *_set(
        {name: value for name, value in SETTINGS.items() if name.startswith(("encoder", "data"))})),),
        ("shard-*.arrow", "manifest.json")),
    Command("align", (("data", "align", "{data}/photos.parquet", "{out}", "--workers", "1"),),
            ("faces/*.parquet", "report.parquet")),
    Command("pretrain", (("pretrain", "--data", "{data}/faces", "--out", "{out}", *_set(SETTINGS)),),
            ("model.safetensors", "metrics.jsonl", "codebook.npz", "reconstruction.npz"), again=("--resume",)),
    Command("fine-tune", (("evaluate", "random:tiny", "--folder", "classes={data}/classes",
                           "--protocol", "fine-tune", "--epochs", "2", "--seeds", "1", "--out", "{out}"),), ROWS),
    Command("ablate", (("ablate", "--vary", "codebook.candidates=1,2", "--tasks", "expression/rafdb", "--data-root",
                        "{data}/mimic", "--out", "{out}", *_set({**SETTINGS, "data.source": "{data}/faces"})),),
            ("rows/*", "cells/*/*/model.safetensors", "ablation.csv")),
    Command("embed", (("embed", "pixels", "{data}/faces", "--out", "{out}/features.parquet"),), ("features.parquet",),
            outside=("{out}",)),
    Command("export", (("export", str(SHIPPED / "paco-tiny"), "--to", "timm", "--out", "{out}"),),
            ("model.safetensors", "config.json", "README.md")),
    Command("report", (("report", "{data}/run", "--out", "{out}", "--format", "md", "--format", "csv", "--format", "latex",
                        "--format", "archive"),), ("*.*", "archive/**/*")),
)  # fmt: skip
"""Commands that write, by name."""


def make_data(folder: Path) -> None:
    """Write small pictures: a folder of faces, one of classes, and photographs with five points."""
    rng = np.random.default_rng(0)
    cells, points = [], []
    for index in range(PICTURES):
        picture = np.kron(rng.integers(0, 256, (5, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        for place in (f"faces/{index:02d}.png", f"classes/{'ab'[index % 2]}/{index:02d}.png"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / place)
        stream = io.BytesIO()
        Image.fromarray(np.kron(picture, np.ones((5, 5, 1), np.uint8))).save(stream, format="PNG")
        cells.append({"bytes": stream.getvalue(), "path": None})
        points.append([[70.0, 80.0], [130.0, 80.0], [100.0, 110.0], [75.0, 140.0], [125.0, 140.0]])
    names = [f"{index:02d}" for index in range(PICTURES)]
    columns = {
        "image": cells, "image_id": names, "group": names, "landmarks": points, "scheme": ["five"] * PICTURES,
        "box": [[50.0, 50.0, 150.0, 160.0]] * PICTURES,
    }  # fmt: skip
    Dataset.from_dict(columns, features=features(columns)).to_parquet(str(folder / "photos.parquet"))


def make_inputs(folder: Path) -> None:
    """Write what some commands read that others write: a miniature of a benchmark, and measured rows."""
    for words in (("data", "mimic", "expression/rafdb", "{data}/mimic", "--faces", "24"),
                  ("evaluate", "constant", "pixels", "--folder", "classes={data}/classes", "--out", "{data}/run")):  # fmt: skip
        ended = call(filled(words, folder), folder / "cache", folder)
        if ended.status:
            raise RuntimeError(ended.said)
    for manifest in (folder / "mimic").rglob(
        MANIFEST
    ):  # rows of what says that it is a miniature are in no table
        manifest.unlink()


@dataclass(frozen=True)
class Ended:
    """How a child ended: its status, negative for a signal, what it said, and after how many seconds."""

    status: int
    said: str
    seconds: float


def call(
    words: Sequence[str], cache: Path, where: Path, *, seconds: float | None = None, largest: int = 0
) -> Ended:
    """Run a command to its end, or until it is killed after so many seconds; see :func:`tests.fixtures.child.start`."""
    began = time.monotonic()
    started = child.start(words, where, environment={"PACO_CACHE": str(cache)}, largest=largest)
    return Ended(*started.ended(seconds), time.monotonic() - began)


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[bool]:
    """Make a folder a file system of so many bytes; yield whether that could be done, which takes root on Linux."""
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
        if sys.platform == "linux" and os.geteuid() == 0
        else False
    )
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.contextmanager
def filling(disk: Path, left: int) -> Iterator[None]:
    """Leave so many bytes on a file system until the block ends."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        found = os.statvfs(disk)
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - left))
    try:
        yield
    finally:
        filler.unlink()


def filled(words: Sequence[str], data: Path) -> list[str]:
    """Return the words of a call with its folders; results have one name, as rows and cards repeat it."""
    return [word.replace("{out}", OUT).replace("{data}", str(data)) for word in words]


def products(command: Command, out: Path) -> dict[str, Any]:
    """Return what a command left, by name, without what says when and how fast."""
    return {
        str(path.relative_to(out)): _content(path)
        for glob in command.products
        for path in sorted(out.glob(glob))
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".damaged"
    }


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        return [_timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".csv":  # of an ablation, which tells the seconds of each line, too
        return [
            line for line in path.read_text(encoding="utf-8").splitlines() if "cost/pretraining" not in line
        ]
    if path.suffix == ".npz":  # an archive says when it was written
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in CLOCK}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names under which two sets of products are not the same."""
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            yield f"{name} is {'missing' if name in one else 'left over'}"
        elif one[name] != other[name]:
            yield f"{name} differs"
