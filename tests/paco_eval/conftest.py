"""A small task on pictures that the tests draw: how bright and how red is a blob, and where is it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import variants
from paco_fr.contracts import CropContract
from paco_fr.faces import records
from paco_fr.faces.decode import encode_png
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.random import generator
from tasks.task import Task

SIDE = 48


def under(data: Data, name: str, **asked: Any) -> list[Data]:
    """Return what a protocol measures of data that were loaded without it."""
    protocol = Protocol.asked(name, **asked).on(data.task, data.protocol.people)
    return variants(replace(data, protocol=protocol))


def blob_records(
    data_root: Path | None = None, *, people: int = 20, pictures: int = 3, broken: int = 0
) -> Dataset:
    """Return pictures of a blob whose place and colour tell the angles, points, expression and person."""
    rows: dict[str, list[Any]] = {name: [] for name in (
        "image", "image_id", "group", "identity", "box", "landmarks", "visible", "scheme", "rotation", "yaw",
        "pitch", "roll", "expression", "split")}  # fmt: skip
    grid = np.arange(SIDE)
    for person in range(people):
        hue = generator("blob", person).uniform(0.2, 0.9, 3)
        for picture in range(pictures):
            rng = generator("blob", person, picture)
            x, y = rng.uniform(14, 34, 2)
            yaw, pitch, roll = (x - 24) * 2, (24 - y), 0.0
            blob = np.exp(-((grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2) / 60)
            pixels = (255 * (0.6 * hue + 0.3 * blob[..., None])).astype(np.uint8)
            points = [[x, y], [x - 5, y], [x + 5, y], [x, y + 5]]
            rows["image"].append({"bytes": encode_png(pixels), "path": None})
            rows["image_id"].append(f"{person}-{picture}")
            rows["group"].append(f"p{person}")
            rows["identity"].append(f"p{person}")
            rows["box"].append([4.0, 4.0, 43.0, 43.0])
            rows["landmarks"].append(points)
            rows["visible"].append([True, True, picture % 2 == 0, True])
            rows["scheme"].append("test4")
            rows["rotation"].append(rotation_from_angles(yaw, pitch, roll).tolist())
            for name, angle in (("yaw", yaw), ("pitch", pitch), ("roll", roll)):
                rows[name].append(angle)
            rows["expression"].append(int(x > 24))
            rows["split"].append(
                "train" if person < 0.6 * people else "validation" if person < 0.7 * people else "test"
            )
    for number in range(broken):
        rows["image"][-1 - number] = {"bytes": rows["image"][-1 - number]["bytes"][:80], "path": None}
    return Dataset.from_dict(rows, features=records.features(rows))


def blob_task(kind: str, **changes: Any) -> Task:
    main = {"pose": "mae", "landmarks": "nme_box", "classification": "accuracy", "verification": "auc"}[kind]
    options = {"verification": {"impostors": 200}, "landmarks": {"visibility": True}}.get(kind, {})
    fields = {
        "name": f"{kind}/blobs", "version": 1, "kind": kind, "reader": "tests.paco_eval.conftest:blob_records",
        "crop": CropContract("box", canvas=SIDE), "main_metric": main, "licence": "made here", "obtain": "nothing",
        "data_kind": "synthetic", "options": options,
    }  # fmt: skip
    return Task(**{**fields, **changes})


def small_pixels() -> Pixels:
    """Return pixels at 4 x 4, to measure in less time than at 16 x 16 and 32 x 32, where the score does not matter."""
    return Pixels(blocks=("4x4",), default_block="4x4")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache of its own."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute with one thread, in what modules share as well: the machines that test are small, and rows say it."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def nothing_ships(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the shipped weights out of pages: running them on faces takes seconds, and one test does it."""
    with pytest.MonkeyPatch.context() as patch:
        contents = import_module("paco_eval.report.page.contents")  # paco_eval.report is a function, too
        patch.setattr(contents, "SHIPPED", tmp_path_factory.mktemp("none"))
        yield
