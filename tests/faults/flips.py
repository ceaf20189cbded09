"""One bit of a stored file turned over: what is read then is the same, or made again, or refused in words."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from paco_eval.features import cache
from paco_eval.features.cache import Address
from paco_eval.probes.choice_cache import chosen_once, remembered
from paco_eval.probes.probe import Choice
from paco_eval.rows.archive import Archive, write_archive
from paco_eval.rows.store import find_row, load_rows, read_items, whole_row, write_row
from paco_fr.checkpoint import load_encoder, load_objective
from paco_fr.config import parse_config
from paco_fr.data import align
from paco_fr.data.pack import pack
from paco_fr.data.shards import open_packed
from paco_fr.data.sources import load_source
from paco_fr.faces import contents
from paco_fr.faces.contents import contents_of
from paco_fr.faces.records import digests_of_parts
from paco_fr.synthetic import dataset as drawn
from paco_fr.synthetic.spec import FaceSpec
from paco_fr.train.pretrain import pretrain
from paco_fr.train.resume import load_state, save_state
from paco_fr.utils.errors import PacoError
from tasks.readers.parsing.celebamask import _whole
from tests.fixtures.made_rows import make_row


@dataclass(frozen=True)
class Kind:
    """A kind of stored file.

    Attributes:
        name: for the record.
        files: that hold it.
        read: returns what is read, None where it was put aside to be made again; raises PacoError where refused.
        same: whether what is read is what was written.

    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], Any]
    same: Callable[[Any], bool]


def kinds(folder: Path, data: Path) -> list[Kind]:
    """Store one of everything below a folder, with small pictures from ``data``; ``PACO_CACHE`` lies below it, too."""
    return [
        *_features(), _choice(folder), *_row(folder), *_checkpoint(folder, data), _state(folder), *_pack(folder, data),
        _drawn(), _mask(folder), _identity(), _hashes(data), _archive(folder), *_aligned(folder, data),
    ]  # fmt: skip


def flip(kind: Kind, rng: np.random.Generator) -> str:
    """Turn one bit of one file over, read, put everything back, and return what came out.

    Returns:
        ``same``, ``made again``, ``refused``, or anything else: a finding.

    """
    before = {path: path.read_bytes() for path in kind.files}
    path = kind.files[int(rng.integers(len(kind.files)))]
    spoilt = bytearray(before[path])
    bit = int(rng.integers(len(spoilt) * 8))
    spoilt[bit // 8] ^= 1 << bit % 8
    path.write_bytes(spoilt)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            found = kind.read()
        if found is None:
            return "made again"
        return "same" if kind.same(found) else f"another value: bit {bit} of {path.name}"
    except PacoError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: bit {bit} of {path.name}"
    finally:
        for place, content in before.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def _features() -> list[Kind]:
    address = Address("weights", 1, "pixels", 112, "4", "mean")
    rng = np.random.default_rng(1)
    keys, values = rng.integers(0, 256, (20, 16), dtype=np.uint8), rng.normal(size=(20, 8)).astype(np.float32)
    cache.store(address, keys, values)

    def read() -> Any:
        found, known = cache.find(address, keys)
        return found if known.all() else None

    files = tuple(address.folder.glob("*.safetensors"))
    return [Kind("features", files, read, lambda found: bool(np.array_equal(found, values)))]


def _choice(folder: Path) -> Kind:
    path, choice = folder / "0123456789abcdef.json", Choice(("4", "mean"), 0.125, 87.5)
    chosen_once(path, lambda: choice)
    return Kind("choice", (path,), lambda: remembered(path), lambda found: found == choice)


def _row(folder: Path) -> list[Kind]:
    row, items = make_row()
    path = write_row(folder / "rows", row, items, beside={"samples.npz": b"faces" * 100})
    (own,), (samples,) = path.parent.glob("*.items.parquet"), path.parent.glob("*.samples.npz")
    written = find_row(path).row

    def read() -> Any:
        found = whole_row(path)
        return None if found is None else (found, read_items(path))

    def same(found: tuple[Any, pd.DataFrame]) -> bool:
        return bool(found[0] == written and found[1].equals(items))

    return [
        Kind("row", (path,), read, same),
        Kind("items", (own,), read, same),
        Kind("samples", (samples,), read, same),
    ]


SMALL: dict[str, Any] = {
    "encoder": {"size": 32, "patch": 8, "dim": 24, "depth": 1, "heads": 2},
    "decoder": {"dim": 24, "depth": 1, "heads": 2}, "belief": {"dim": 24, "depth": 1, "heads": 2},
    "codebook": {"tokens": 8, "candidates": 4}, "optimiser": {"batch": 8, "presentations": 16},
}  # fmt: skip


def _config(data: Path) -> Any:
    return parse_config({**SMALL, "data": {"source": str(data / "faces"), "crops": {"whole": 1.0}}}, "faults")


def _checkpoint(folder: Path, data: Path) -> list[Kind]:
    out = pretrain(_config(data), folder / "run")
    (known, card, _), (objective, _) = load_encoder(out), load_objective(out)

    def same(found: Any) -> bool:
        (encoder, said, _), (whole, _) = found
        pairs = [(encoder, known), (whole, objective)]
        return bool(said == card) and all(
            torch.equal(one, two)
            for a, b in pairs
            for one, two in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
        )

    def read() -> Any:
        return load_encoder(out), load_objective(out)

    return [
        Kind("weights", (out / "model.safetensors",), read, same),
        Kind("card", (out / "card.json",), read, same),
    ]


def _state(folder: Path) -> Kind:
    config = parse_config(SMALL, "faults")
    out = folder / "unfinished"
    out.mkdir()
    weights = torch.arange(1000.0)
    save_state(
        out, {"step": 3, "config": config.model_dump_json(), "model": {"a": weights}, "data": {}}, keep=2
    )

    def same(found: Any) -> bool:
        return bool(torch.equal(found["model"]["a"], weights)) and found["step"] == 3

    return Kind("state", tuple(out.glob("state-*")), lambda: load_state(out, config, lambda _: None), same)


def _pack(folder: Path, data: Path) -> list[Kind]:
    config, out = _config(data), folder / "packed"
    pack(str(data / "faces"), out, config, shard_size=12)
    config = config.model_copy(update={"data": config.data.model_copy(update={"source": str(out)})})

    def read() -> Any:
        found = open_packed(out, config, check_sums=True)
        return np.stack([found.images[at] for at in range(len(found.images))]), found.manifest

    pictures, manifest = read()

    def same(found: Any) -> bool:
        return bool(np.array_equal(found[0], pictures)) and found[1] == manifest

    return [
        Kind("shard", tuple(out.glob("shard-*.arrow")), read, same),
        Kind("manifest", (out / "manifest.json",), read, same),
        Kind("record of verified shards", (out / ".verified.json",), read, same),
    ]


def _drawn() -> Kind:
    spec = FaceSpec(identities=1, images_per_identity=2, seed=0)
    records = drawn.stored_records(spec)
    (folder,) = drawn.cache_folder("faces").iterdir()
    pictures = [row["image"] for row in records]

    def read() -> Any:
        try:
            drawn._check_sums(folder)
        except PacoError:
            return None  # drawn again
        return [row["image"] for row in drawn.load_from_disk(str(folder))]

    files = tuple(path for path in sorted(folder.iterdir()) if path.is_file())
    return Kind("drawn faces", files, read, lambda found: bool(found == pictures))


def _mask(folder: Path) -> Kind:
    from paco_fr.faces.decode import encode_png, read_image

    path, mask = folder / "mask.png", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    path.write_bytes(encode_png(mask))
    known = read_image(path)

    def read() -> Any:
        return read_image(path) if _whole(path) else None

    return Kind("mask", (path,), read, lambda found: bool(np.array_equal(found, known)))


def _identity() -> Kind:
    from paco_eval.encoders import _identity as identity

    path = cache.cache_folder("identities") / "faults.json"
    content = {"networks": [{"weight_hash": "a" * 16, "probe": {"block 1 patches (4, 8)": [0.5, -0.25]}}]}
    identity._write(path, content)
    return Kind(
        "networks", (path,), lambda: identity._read(path) or None, lambda found: bool(found == content)
    )


def _hashes(data: Path) -> Kind:
    """Hashes of files: damaged ones are never believed, and the files are read again."""
    paths = sorted((data / "faces").glob("*.png"))
    time.sleep(0.1)  # files of this very moment are not remembered
    known = contents_of(paths)
    return Kind(
        "hashes of files", (contents._file(),), lambda: contents_of(paths), lambda found: bool(found == known)
    )


def _archive(folder: Path) -> Kind:
    stored = load_rows(folder / "rows").rows
    files = write_archive(folder / "archive", stored)

    def read() -> Any:
        archive = Archive(folder / "archive")
        return [(row, archive.items(row)) for row in archive.rows]

    known = read()

    def same(found: Any) -> bool:
        return all(a == c and b.equals(d) for (a, b), (c, d) in zip(found, known, strict=True))

    return Kind("archive", tuple(files), read, same)


def _aligned(folder: Path, data: Path) -> list[Kind]:
    out = folder / "aligned"
    align.align(str(data / "photos.parquet"), out, align.Rules())
    (inputs,) = digests_of_parts(load_source(str(data / "photos.parquet")), align.PART)
    part, noted = (align._faces(out, 0), align._report(out, 0)), align._inputs_path(out, 0)

    def read() -> Any:
        return True if align._done(out, 0, inputs) else None

    return [Kind("aligned faces", part, read, bool), Kind("note of aligned faces", (noted,), read, bool)]
