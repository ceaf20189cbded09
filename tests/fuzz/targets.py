"""Every reader and every stored format, with valid files that the product itself makes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import paco_eval
from paco_eval.encoders import onnx as onnx_encoder
from paco_eval.encoders._weights import read_tensors, what_it_is
from paco_eval.features import cache
from paco_eval.probes.choice_cache import remembered
from paco_eval.report.charts.training import read_metrics
from paco_eval.report.tables.published import load_published
from paco_eval.rows.archive import write_archive
from paco_eval.rows.artefacts import Pretraining, load_arrays, save_arrays
from paco_eval.rows.store import items_path, load_rows, read_items, results_frame
from paco_fr.baselines import build_objective
from paco_fr.checkpoint import load_encoder, load_weights, save_checkpoint
from paco_fr.config import load_recipe
from paco_fr.contracts import content_hash
from paco_fr.data.pack import pack
from paco_fr.data.points import with_points
from paco_fr.data.shards import open_packed, open_shard, read_manifest
from paco_fr.data.sources import load_source
from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import image_size, read_image
from paco_fr.train.resume import load_state, save_state
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import same_settings
from paco_fr.utils.untrusted import parse_json, read_json_lines, read_npy, read_npz
from tasks.mimics import WRITERS, manifest_counts, mimic
from tasks.readers.files import to_records
from tasks.readers.matlab import read_matlab
from tasks.readers.recognition.bins import read_bin
from tasks.readers.records import records_of
from tasks.readers.user.own import read_own_pairs
from tasks.readers.user.tables import read_angles, read_attributes, read_points
from tasks.registry import all_tasks
from tasks.task import Task, bind
from tasks.units import units_of
from tests.fuzz.harness import Target
from tests.fuzz.mutations import Random, spoilt, spoilt_archive, spoilt_json, spoilt_matlab
from tests.paco_fr.conftest import small_config, smooth_faces

Spoil = Callable[[bytes, Sequence[bytes], Random], bytes]

FACES = 12
"""Faces in each part of a miniature."""
CUT = 2
"""Faces of a data set that are cut out of their pictures."""
PICTURES = (".jpg", ".jpeg", ".png", ".pgm", ".bmp")
SLOW = {"landmarks/cofw": 0.01}
"""Weights of readers that start a process for each file."""


def all_targets(folder: Path, only: Sequence[str] = ()) -> list[Target]:
    """Return the targets; valid files and spoilt ones lie in the folder.

    Args:
        folder: empty.
        only: names of the benchmarks whose miniatures are made; all by default.

    """
    stored = Stored(folder / "stored")
    found = [*stored.targets(), *picture_targets(), *table_targets(folder / "tables")]
    found += benchmark_targets(folder / "data", only or tuple(WRITERS))
    return found


def of_file(
    name: str, path: Path, seeds: Sequence[bytes], read: Callable[[Path], object], spoil: Spoil = spoilt,
    weight: float = 1.0, repair: Callable[[bytes], bytes] = bytes,
) -> Target:  # fmt: skip
    """Return the target of a reader of one file, whose valid contents are known."""

    def draw(random: Random) -> tuple[str, bytes]:
        seed = seeds[int(random.integers(len(seeds)))]
        how = spoil if random.random() < 0.7 else spoilt
        return path.name, repair(how(seed, seeds, random))

    def run(file: str, content: bytes) -> object:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(path)

    return Target(name, draw, run, weight)


def by_json(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    return spoilt_json(data, random)


def by_archive(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    return spoilt_archive(data, random)


class Stored:
    """What the product keeps: rows, items, samples, choices, features, cards, states, weights, shards, archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = small_config()
        self.run = folder / "run"
        data = folder / "data"
        known = all_tasks()
        mimic(known["pose/aflw2000"], data, 24)
        paco_eval.evaluate(["constant", "pixels"], ["pose/aflw2000"], data_root=data, out=self.run, limit=24)
        torch.manual_seed(0)
        self.model = build_objective(self.config)
        save_checkpoint(
            folder / "checkpoint", self.model, self.config, {"pictures": 8, "skipped": ["a: damaged"]}
        )
        self.faces = folder / "faces"
        self.faces.mkdir()
        for number, picture in enumerate(smooth_faces(6, 40)):
            Image.fromarray(picture).save(self.faces / f"{number}.png")
        packing = small_config(data={"source": str(self.faces), "crops": {"whole": 1.0}})
        pack(str(self.faces), folder / "packed", packing)

    def targets(self) -> list[Target]:
        """Return the targets of all stored formats."""
        return [*self.rows(), *self.training(), *self.weights(), *self.cached()]

    def rows(self) -> list[Target]:
        row_path = sorted((self.run / "rows").glob("[0-9a-f]*.json"))[-1]
        row, items = row_path.read_bytes(), items_path(row_path).read_bytes()
        place = self.folder / "spoilt/rows" / row_path.name

        def digested(data: bytes) -> bytes:
            """Give a spoilt row the digest of its content, so that its fields are read."""
            with contextlib.suppress(Exception):
                content = json.loads(data)
                content["digest"] = content_hash(
                    {key: each for key, each in content.items() if key != "digest"}
                )
                return json.dumps(content).encode("utf-8", "surrogatepass")
            return data

        def read_rows(path: Path) -> object:
            items_path(path).write_bytes(items)
            loaded = load_rows([path])
            results_frame(stored.row for stored in loaded.rows)
            for stored in loaded.rows:
                stored.items()
            if loaded.problems:
                raise PacoError(loaded.problems[0])
            return None

        def with_items(path: Path) -> object:
            content = json.loads(row)
            import hashlib

            content["items_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            whole = path.with_name(f"{row_path.stem}.json")
            whole.write_bytes(digested(json.dumps(content).encode()))
            return read_items(whole)

        samples = self.folder / "samples.npz"
        save_arrays(
            samples, "samples", images=np.zeros((2, 8, 8, 3), np.uint8), ids=["a", "b"], roles=["shared", "worst"],
            items=["a", "b"], sides=[0, 0], masks=np.zeros((2, 2, 4, 4), np.uint8),
            transforms=np.zeros((2, 2, 3)), visible=np.ones((2, 5), bool),
        )  # fmt: skip
        book = self.folder / "codebook.npz"
        save_arrays(book, "codebook", tokens=np.zeros((4, 2, 3, 3, 3), np.uint8), usage=np.zeros((4, 2)))
        archived = self.folder / "archive"
        write_archive(archived, load_rows(self.run).rows)
        spoilt_place = self.folder / "spoilt"
        return [
            of_file("stored/row", place, [row], read_rows, by_json, 4, digested),
            of_file("stored/items", place.with_name(f"{row_path.stem}.items.parquet"), [items], with_items, weight=2),
            of_file("stored/samples", spoilt_place / "a.npz", [samples.read_bytes()],
                    lambda path: load_arrays(path, "samples"), by_archive, 2),
            of_file("stored/codebook", spoilt_place / "b.npz", [book.read_bytes()],
                    lambda path: load_arrays(path, "codebook"), by_archive, 1),
            of_folder("stored/archive", archived, read_archive, weight=2, mend=mend_archive),
            of_file("stored/published", spoilt_place / "published.csv", [published()], load_published),
        ]  # fmt: skip

    def training(self) -> list[Target]:
        spoilt_place = self.folder / "spoilt/run"
        card = (self.folder / "checkpoint/card.json").read_bytes()
        weights = (self.folder / "checkpoint/model.safetensors").read_bytes()
        state_folder = self.folder / "states"
        state_folder.mkdir()
        state = {
            "step": 4,
            "config": self.config.model_dump_json(),
            "model": self.model.state_dict(),
            "log": [],
        }
        save_state(state_folder, state, 1)
        state_path = next(state_folder.glob("state-*.pt"))
        lines = "".join(
            json.dumps({"step": n, "epoch": n / 4, "loss": 1 / (n + 1)}) + "\n" for n in range(12)
        )
        recipe = Path(paco_eval.__file__).parents[1] / "paco_fr/recipes"
        recipes = [path.read_bytes() for path in sorted(recipe.glob("*.toml"))]
        settings = json.dumps({"a": 1, "b": [1, 2], "c": {"d": 0.5}}).encode()

        def with_weights(path: Path) -> object:
            (path.parent / "model.safetensors").write_bytes(weights)
            Pretraining("run", path.parent).card()
            return load_encoder(path.parent)

        def of_state(path: Path) -> object:
            told: list[str] = []
            load_state(path.parent, self.config, told.append)
            return "failed" if told else None

        def log(path: Path) -> object:
            read_json_lines(path)
            return read_metrics(path)

        return [
            of_file("stored/card", spoilt_place / "card.json", [card], with_weights, by_json, 1),
            of_file("stored/state", self.folder / "spoilt/states" / state_path.name, [state_path.read_bytes()], of_state,
                    by_archive, 2),
            of_file("stored/log", spoilt_place / "metrics.jsonl", [lines.encode()], log, weight=2),
            of_file("recipe", spoilt_place / "recipe.toml", recipes, lambda path: load_recipe(str(path)), weight=3),
            of_file("stored/settings", self.folder / "spoilt/settings/settings.json", [settings],
                    lambda path: same_settings(path.parent, json.loads(settings), made="made", advice="Go."), by_json),
            of_folder("stored/packed", self.folder / "packed", read_packed, weight=2),
        ]  # fmt: skip

    def weights(self) -> list[Target]:
        tensors = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        kinds = [self._saved(tensors), self._saved({"model": tensors, "epoch": 3, "args": None})]
        legacy = [self._saved(tensors, legacy=True), self._saved({"state_dict": tensors}, legacy=True)]
        safe = (self.folder / "checkpoint/model.safetensors").read_bytes()
        place = self.folder / "spoilt/weights"

        def named(path: Path) -> str:
            return what_it_is(read_tensors(path))

        pixels = json.dumps(
            {"size": 112, "mean": [0.5] * 3, "std": [0.5] * 3, "value_range": [0.0, 1.0]}
        ).encode()
        return [
            of_file("weights/torch", place / "a.pth", kinds, named, by_archive, 3),
            of_file("weights/torch of old", place / "b.pth", legacy, named, weight=3),
            of_file("weights/safetensors", place / "c.safetensors", [safe], lambda path: load_weights(path), weight=4),
            of_file("weights/onnx", place / "e.onnx", networks(),
                    lambda path: onnx_encoder.load(f"onnx:{path}?channels=RGB&size=8&range=0,255"), weight=4),
            of_file("weights/metadata", place / "d.json", [pixels],
                    lambda path: parse_json(path.read_bytes(), path), by_json),
        ]  # fmt: skip

    @staticmethod
    def _saved(value: object, *, legacy: bool = False) -> bytes:
        file = io.BytesIO()
        torch.save(value, file, _use_new_zipfile_serialization=not legacy)
        return file.getvalue()

    def cached(self) -> list[Target]:
        keys = np.arange(64, dtype=np.uint8).reshape(4, 16)
        address = cache.Address("w", 1, "p", 8, "last", "mean")
        cache.store(address, keys, np.ones((4, 6), np.float32))
        part = next(address.folder.glob("*.safetensors"))

        def find(path: Path) -> object:
            cache.entries()
            return cache.find(address, keys)

        choices = sorted((Path(os.environ["PACO_CACHE"]) / "choices").glob("*.json"))

        def choice(path: Path) -> object:
            return remembered(path) or "failed"

        return [
            of_file("stored/features", part, [part.read_bytes()], find, weight=2),
            of_file("stored/choice", self.folder / "spoilt/choice.json", [path.read_bytes() for path in choices], choice,
                    by_json, 2),
        ]  # fmt: skip


def networks() -> list[bytes]:
    """Return small ONNX networks: normalised inside, of whole numbers with rows first, of two pictures at a time."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)

    def constant(name: str, value: Any) -> Any:
        return numpy_helper.from_array(np.asarray(value, np.float32), name)

    kernel = constant("kernel", random.normal(size=(4, 3, 3, 3)))
    scaled = [helper.make_node("Sub", ["x", "mean"], ["s"]), helper.make_node("Div", ["s", "std"], ["p"])]
    turned = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["c"], ["p"], perm=[0, 3, 1, 2]),
    ]
    layer = [
        helper.make_node("Conv", ["p", "kernel"], ["h"]),
        helper.make_node("GlobalAveragePool", ["h"], ["g"]),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    found = []
    for before, kind, shape in (
        (scaled, TensorProto.FLOAT, ["n", 3, 8, 8]),
        (turned, TensorProto.UINT8, ["n", 8, 8, 3]),
        (scaled, TensorProto.FLOAT, [2, 3, 8, 8]),
    ):
        pictures = [helper.make_tensor_value_info("x", kind, shape)]
        features = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 4])]
        weights = [constant("mean", 127.5), constant("std", 127.5), kernel]
        graph = helper.make_graph([*before, *layer], "net", pictures, features, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        found.append(model.SerializeToString())
    return found


def read_archive(folder: Path) -> object:
    loaded = load_rows([folder])
    for stored in loaded.rows[:3]:
        stored.items()
    if loaded.problems:
        raise PacoError(loaded.problems[0])
    return None


def mend_archive(folder: Path, file: str) -> None:
    """Give an archive the checksum of its spoilt file, so that its content is read."""
    import hashlib

    manifest = folder / "archive.json"
    if file != manifest.name:
        content = json.loads(manifest.read_text())
        content["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        manifest.write_text(json.dumps(content))


def read_packed(folder: Path) -> object:
    manifest = read_manifest(folder)
    for shard in manifest.shards:
        open_shard(folder / shard.file)
    return open_packed


def published() -> bytes:
    text = (Path(paco_eval.__file__).parents[1] / "results/published/published.csv").read_text().splitlines()
    return "\n".join(text[:12]).encode()


def of_folder(
    name: str, folder: Path, read: Callable[[Path], object], *, weight: float = 1.0,
    mend: Callable[[Path, str], None] | None = None, kinds: Sequence[str] = (),
) -> Target:  # fmt: skip
    """Return the target of a reader of a folder, of which one file is spoilt at a time."""
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (not kinds or path.suffix not in kinds) and not path.name.startswith(".")
    }

    def draw(random: Random) -> tuple[str, bytes]:
        file = list(contents)[int(random.integers(len(contents)))]
        data = contents[file]
        alike = [content for other, content in contents.items() if Path(other).suffix == Path(file).suffix]
        if file.endswith(".json") and random.random() < 0.6:
            return file, spoilt_json(data, random)
        if file.endswith(".mat") and random.random() < 0.6:
            return file, spoilt_matlab(data, alike, random)
        return file, spoilt(data, alike, random)

    def run(file: str, content: bytes) -> object:
        (folder / file).write_bytes(content)
        manifest = (folder / "archive.json").read_bytes() if mend is not None else b""
        try:
            if mend is not None:
                mend(folder, file)
            return read(folder)
        finally:
            if mend is not None:
                (folder / "archive.json").write_bytes(manifest)
            (folder / file).write_bytes(contents[file])

    return Target(name, draw, run, weight)


def benchmark_targets(root: Path, names: Sequence[str]) -> list[Target]:
    """Return a target for each benchmark with a miniature; one file of it is spoilt at a time."""
    known, found = all_tasks(), []
    for name in names:
        task = known[name]
        mimic(task, root, FACES)

        def read(folder: Path, task: Task = task) -> object:
            records = records_of(task, folder)
            manifest_counts(task, folder)
            return cut(records, bind(task, folder))

        own = root / "of" / name.replace("/", "-")
        for top in {Path(file).parts[0] for file in task.files}:
            _linked(root / top, own / top)
        found.append(of_folder(f"data/{name}", own, read, weight=SLOW.get(name, 0.15), kinds=PICTURES))
    return found


def _linked(source: Path, target: Path) -> None:
    """Copy a folder; pictures, which stay as they are, are shared."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in PICTURES:
                os.link(path, place)
            else:
                place.write_bytes(path.read_bytes())


def cut(records: Any, task: Task) -> object:
    """Cut the first faces out of their pictures; one that cannot be cut is a counted failure."""
    units = units_of(records.select(range(min(len(records), 12))), task.crop)
    failed = False
    for unit in range(min(CUT, len(units))):
        try:
            source = units.records[int(units.rows[unit])]["image"]
            crop_image(read_image(source), units.transforms[unit], units.canvas)
        except PacoError:
            failed = True
    return "failed" if failed else None


def picture_targets() -> list[Target]:
    """Return a target for each format of pictures."""
    picture, found = Image.fromarray(smooth_faces(1, 48)[0]), []
    kinds = {
        "jpeg": [{"quality": 80}, {"quality": 80, "progressive": True}, {"quality": 60, "exif": _turned()}],
        "png": [{}, {"compress_level": 0}], "webp": [{"quality": 80}, {"lossless": True}], "bmp": [{}], "ppm": [{}],
        "tiff": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"}], "gif": [{}],
    }  # fmt: skip
    for kind, ways in kinds.items():
        seeds = []
        for way in ways:
            for mode in ("RGB", "L"):
                file = io.BytesIO()
                picture.convert(mode).save(file, kind, **way)
                seeds.append(file.getvalue())

        def draw(random: Random, kind: str = kind, seeds: list[bytes] = seeds) -> tuple[str, bytes]:
            return f"a.{kind}", spoilt(seeds[int(random.integers(len(seeds)))], seeds, random)

        def run(file: str, content: bytes) -> object:
            image_size(content)
            pixels = read_image(content)
            crop_image(pixels, [[0.5, 0, 0], [0, 0.5, 0]], 16)
            return None

        found.append(Target(f"picture/{kind}", draw, run, 5.0))
    return found


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def table_targets(folder: Path) -> list[Target]:
    """Return targets of users' tables and lists, verification sets, Matlab files, arrays and parquet."""
    folder.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(smooth_faces(4, 32)[number]).save(folder / f"{number}.png")
    lines = range(4)
    points = "image,left,top,right,bottom,x0,y0,x1,y1,group\n" + "".join(
        f"{n}.png,1,2,{20 + n},30,5,6.5,{15 + n},8,g{n}\n" for n in lines
    )
    angles = "image,yaw,pitch,roll,split\n" + "".join(f"{n}.png,{n},-1.5,0,train\n" for n in lines)
    truths = "image,smiling,old\n" + "".join(f"{n}.png,1,{n % 2}\n" for n in lines)
    pairs = "first,second,same,fold\n" + "".join(f"{n}.png,{(n + 1) % 4}.png,{n % 2},{n}\n" for n in lines)
    png = io.BytesIO()
    Image.fromarray(smooth_faces(1, 16)[0]).save(png, "png")
    cells = (png.getvalue(), bytearray(png.getvalue()), np.frombuffer(png.getvalue(), np.uint8))
    bins = [
        pickle.dumps(([cell] * 4, same), protocol=protocol)
        for cell in cells
        for same in ([True, False], np.array([1.0, 0.0]))
        for protocol in (0, 2, 4, 5)
    ]
    matlab = []
    from scipy.io import savemat

    for packed in (False, True):
        file = io.BytesIO()
        content = {
            "a": np.arange(7.0)[None],
            "b": np.array([["x"], ["yz"]], dtype=object),
            "c": np.zeros((30, 40)),
        }
        savemat(file, content, do_compression=packed)
        matlab.append(file.getvalue())
    arrays = []
    for array in (np.arange(6.0), np.array("3"), np.ones((2, 3), np.uint8)):
        file = io.BytesIO()
        np.save(file, array)
        arrays.append(file.getvalue())
    both = io.BytesIO()
    np.savez_compressed(both, a=np.arange(6.0), b=np.zeros((2, 2), np.uint8))

    def spoilt_mat(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
        return spoilt_matlab(data, others, random)

    records = to_records([{"image": f"{n}.png", "image_id": f"{n}", "group": f"{n}"} for n in lines], "faces")

    def beside(path: Path) -> object:
        return with_points(records, path)

    def table(read: Callable[..., Any], *more: Any) -> Callable[[Path], object]:
        return lambda path: len(read(None, str(path), *more))

    return [
        of_file("table/points", folder / "points.csv", [points.encode()], table(read_points), weight=4),
        of_file("table/angles", folder / "angles.csv", [angles.encode()], table(read_angles), weight=4),
        of_file("table/attributes", folder / "truths.csv", [truths.encode()],
                table(read_attributes, ["smiling", "old"]), weight=4),
        of_file("table/pairs", folder / "pairs.csv", [pairs.encode()], lambda path: read_own_pairs(path, folder), weight=2),
        of_file("verification set", folder / "a.bin", bins, read_bin, weight=10),
        of_file("matlab 5", folder / "a.mat", matlab,
                lambda path: read_matlab(path, ["a", "b", "c"], "a Matlab 5 file", "Restore it."), spoilt_mat, 8),
        of_file("array", folder / "a.npy", arrays, lambda path: read_npy(path, kinds="biufUS"), weight=5),
        of_file("arrays", folder / "a.npz", [both.getvalue()], read_npz, by_archive, 2),
        of_file("points beside", folder / "beside/landmarks.parquet", [points_beside()], beside, weight=3),
        of_file("parquet", folder / "parquet/faces.parquet", [parquet()], lambda path: len(load_source(str(path))), weight=0.02),
    ]  # fmt: skip


def points_beside() -> bytes:
    import pandas as pd

    file = io.BytesIO()
    points = [np.arange(136.0).reshape(68, 2).tolist(), None]
    pd.DataFrame(
        {"image_id": ["0", "1"], "landmarks": points, "scheme": "ibug68", "by": "detector"}
    ).to_parquet(file)
    return file.getvalue()


def parquet() -> bytes:
    import pandas as pd

    png = io.BytesIO()
    Image.fromarray(smooth_faces(1, 16)[0]).save(png, "png")
    file = io.BytesIO()
    pd.DataFrame(
        {"image": [{"bytes": png.getvalue(), "path": None}] * 3, "identity": ["a", "b", "b"]}
    ).to_parquet(file)
    return file.getvalue()
