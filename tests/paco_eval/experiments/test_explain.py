"""Planted faults, one in each row: what explains the number is named, with its evidence; in a sound row nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from datasets import Dataset
from PIL import Image

import paco_eval
from paco_eval.cli import main
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.experiments.explain import explain as experiment
from paco_eval.experiments.explain.checks import zoomed
from paco_eval.experiments.explain.explain import explain_row
from paco_eval.rows.store import load_rows
from paco_fr.contracts import CropContract, PixelContract
from paco_fr.faces.decode import encode_png
from paco_fr.faces.records import features
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks.task import Task
from tests.paco_eval.experiments.test_repro import rewritten

SIDE = 48
HALF = (0.5, 0.5, 0.5)
SOUND = PixelContract(16, mean=HALF, std=HALF)
POINTS = np.array([[-6.0, -4.0], [6.0, -4.0], [0.0, 1.0], [-4.0, 6.0], [4.0, 6.0]])
"""Of a face about its centre: two pairs and a nose."""


def sees_red(images: torch.Tensor) -> torch.Tensor:
    """Where red is, by cells that saturate: what such weights make of other colours or ranges is worth nothing."""
    return F.adaptive_avg_pool2d(torch.tanh(2 * images[:, :1]), 8).flatten(1)


def read_spots(
    data_root: Path | None, *, plant: str = "", parts: tuple[int, int, int] = (90, 30, 60)
) -> Dataset:
    """Return pictures of a red spot whose place tells pose and points; green and blue tell nothing."""
    side = 3 * SIDE if plant == "uncut" else SIDE
    grid = np.arange(side)
    names = ("image", "image_id", "group", "landmarks", "rotation", "yaw", "pitch", "roll", "split")
    rows: dict[str, list[object]] = {name: [] for name in names}
    for number, split in enumerate(np.repeat(["train", "validation", "test"], parts).tolist()):
        rng = generator("spot", number)
        x, y, other_x, other_y = rng.uniform(side / 2 - 10, side / 2 + 10, 4)
        red, blue = (
            np.exp(-((grid[None] - at_x) ** 2 + (grid[:, None] - at_y) ** 2) / 60)
            for at_x, at_y in ((x, y), (other_x, other_y))
        )
        pixels = 50 + np.stack([150 * red, rng.uniform(0, 100, (side, side)), 150 * blue], axis=-1)
        if plant == "uncut":  # around the face something else goes on
            far = np.maximum(np.abs(grid[None] - side / 2), np.abs(grid[:, None] - side / 2)) > 30
            noise = np.kron(rng.uniform(0, 150, (9, 9)), np.ones((side // 9, side // 9)))
            pixels[..., 0] += np.where(far, noise, 0)
        yaw, pitch = 3 * (x - side / 2), 2 * (side / 2 - y)
        tested = split == "test"
        turned = -yaw if plant == "mirrored" and tested else yaw
        points = POINTS + [x, y] + (plant == "from one" and tested)
        if plant == "mirrored" and tested:
            points = points * [-1, 1] + [side - 1, 0]
            points = points[[1, 0, 2, 4, 3]]
        row = (
            {"bytes": encode_png(pixels.clip(0, 255).astype(np.uint8)), "path": None}, f"{number}", f"{number}",
            points.tolist(), rotation_from_angles(turned, pitch, 0.0).tolist(), turned, pitch, 0.0, split,
        )  # fmt: skip
        for name, value in zip(names, row, strict=True):
            rows[name].append(value)
    return Dataset.from_dict(rows, features=features(names))


def spots(kind: str, **options: object) -> Task:
    return Task(
        name=f"{kind}/spots", version=1, kind=kind, reader="tests.paco_eval.experiments.test_explain:read_spots",
        reader_options=options, crop=CropContract("whole", canvas=SIDE), reductions=("global",), licence="made here",
        main_metric={"pose": "mae", "landmarks": "nme_box"}[kind], obtain="nothing", data_kind="synthetic",
    )  # fmt: skip


def explained(tmp_path: Path, task: Task, pixels: PixelContract = SOUND, out: Path | None = None):
    encoder = FunctionEncoder("red", sees_red, pixels, f"red-{pixels.hash}", parameters=1)
    encoder.flops = 1.0  # known, so that nothing has to be loaded to count them
    (row,) = measure(encoder, Data.load(task, None), out=tmp_path, say=lambda _: None)
    place = tmp_path / "rows" / f"{row.key}.json"
    return explain_row(place, {task.name: task}, encoder=encoder, limit=200, out=out)


def test_in_a_sound_row_nothing_is_found_and_the_worst_faces_are_shown(tmp_path):
    found = explained(tmp_path, spots("landmarks"), out=tmp_path / "look")
    assert not {"channels", "range", "mirrored labels", "1-based points", "swapped split"} & {
        f.cause for f in found.findings
    }
    assert {"pixels", "constant"} <= found.beside.keys() and found.beside["constant"] > 3 * found.value
    assert found.layers and found.flat >= 1 and len(found.worst) == 12
    assert found.worst["error"].is_monotonic_decreasing
    (sheet,) = found.files
    assert Image.open(sheet).size[0] > 400
    text = "\n".join(found.lines())
    assert (
        "Likeliest" in text and "Chosen: block out" in text and "channels BGR" in text and str(sheet) in text
    )


PLANTED = {
    "channels": (spots("pose"), replace(SOUND, channels="BGR")),
    "range": (spots("pose"), PixelContract(16, (0, 0, 0), (1, 1, 1), value_range=(0, 255))),
    "uncut pictures": (spots("pose", plant="uncut"), SOUND),
    "mirrored labels": (spots("pose", plant="mirrored"), SOUND),
    "1-based points": (spots("landmarks", plant="from one"), SOUND),
    "swapped split": (spots("pose", parts=(12, 30, 150)), SOUND),
}


@pytest.mark.parametrize("cause", PLANTED)
def test_a_planted_fault_is_the_likeliest_cause(cause, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_beside", lambda encoder, data: {})
    found = explained(tmp_path, *PLANTED[cause])
    assert [finding.cause for finding in found.findings][:1] == [cause], found.changed
    first = found.findings[0]
    assert found.metric in first.evidence and first.sentence in found.likeliest and 0 < first.gain <= 1


def test_mirrored_points_are_named_too(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_beside", lambda encoder, data: {})
    found = explained(tmp_path, spots("landmarks", plant="mirrored"))
    assert found.findings[0].cause == "mirrored labels" and "labels mirrored" in found.findings[0].evidence


def test_a_closer_cut_shows_the_middle():
    data = Data.load(spots("pose"), None)
    (units, _), (closer, _) = data.views["all"], zoomed(data, 2.0).views["all"]
    middle = (SIDE - 1) / 2
    for one in (units, closer):
        assert one.transforms[0] @ [middle, middle, 1] == pytest.approx([middle, middle])
    assert np.linalg.det(closer.transforms[0, :, :2]) == pytest.approx(
        4 * np.linalg.det(units.transforms[0, :, :2])
    )
    assert np.array_equal(closer.labels["transform"][3], closer.transforms[3])


def test_what_cannot_be_explained_is_refused(tmp_path):
    task = spots("pose")
    encoder = FunctionEncoder("red", sees_red, SOUND, "red", parameters=1)
    encoder.flops = 1.0
    (row,) = measure(encoder, Data.load(task, None), out=tmp_path, say=lambda _: None)
    with pytest.raises(PacoError, match="not known here"):
        explain_row(tmp_path / "rows" / f"{row.key}.json", {}, encoder=encoder)


DECLARED = """
from tests.paco_eval.conftest import blob_task
TASK = blob_task("pose", files=("BLOBS/list.txt",), variants={"wide": {"reader_options": {"people": 12}}})
"""


@pytest.fixture(scope="module")
def of_variant(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the row of a floor on a variant whose data lie under ``PACO_DATA``, and the folder of all that it needs."""
    folder = tmp_path_factory.mktemp("variant")
    (folder / "mine.py").write_text(DECLARED)
    (folder / "data" / "BLOBS").mkdir(parents=True)
    (folder / "data" / "BLOBS" / "list.txt").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACO_CACHE", str(folder / "cache"))
        patch.setenv("PACO_DATA", str(folder / "data"))
        paco_eval.evaluate("constant", "pose/blobs@wide", tasks_from=folder / "mine.py", out=folder / "out")
    (stored,) = load_rows(folder / "out").rows
    return stored.path, folder


def test_rows_of_variants_are_explained_on_the_data_that_the_environment_names(
    of_variant: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were of tasks 'not known here', and Python looked for no data but under ``data_root``."""
    row, folder = of_variant
    monkeypatch.setenv("PACO_DATA", str(folder / "data"))
    found = paco_eval.explain(row, tasks_from=folder / "mine.py", limit=30)
    assert found.row.task == "pose/blobs@wide" and found.value == pytest.approx(found.row.main.value)
    words = ["explain", str(row), "--tasks-from", str(folder / "mine.py"), "--out", str(folder / "look")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0 and "pose/blobs@wide  constant: mae" in done.output, done.output


def test_of_a_derived_task_the_row_to_explain_is_named(of_variant: tuple[Path, Path], tmp_path: Path) -> None:
    row, folder = of_variant
    derived = rewritten(
        row, tmp_path, lambda _: {"task": "quality/pose/blobs@wide", "family": "quality/pose"}
    )
    said = "quality/pose/blobs@wide is a derived task. Explain the row of pose/blobs@wide instead"
    with pytest.raises(PacoError, match=said):
        paco_eval.explain(derived, tasks_from=folder / "mine.py", data_root=folder / "data")
    words = ["explain", str(derived), "--tasks-from", str(folder / "mine.py")]
    done = CliRunner().invoke(main, [*words, "--data-root", str(folder / "data")])
    assert done.exit_code == 2 and said in done.output
