"""A user's own folders and tables, from the text of --folder to rows."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.rows.store import read_row
from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.user.folder import drawn_part
from tasks.task import Task, resolve
from tasks.user_tasks import OWN, own_task


def spot(number: int) -> tuple[bytes, float, float]:
    """A dark picture with a bright spot, whose place is the truth."""
    random = np.random.default_rng(number)
    x, y = random.integers(8, 24, size=2)
    image = np.full((32, 32, 3), 20, np.uint8)
    image[y - 2 : y + 3, x - 2 : x + 3] = 250
    return encode_png(image), float(x), float(y)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = []
    for number in range(40):
        data, x, y = spot(number)
        (tmp_path / f"{number}.png").write_bytes(data)
        rows.append([f"{number}.png", x - 2, y - 2, x + 2, y + 2, x - 16, y - 16, 0])
    path = tmp_path / "faces.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["image", "x0", "y0", "x1", "y1", "yaw", "pitch", "roll"], *rows])
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(60):
        name = ("fear", "neutral")[number % 2]
        path = tmp_path / "mine" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(np.full((20, 20, 3), 60 + 100 * (number % 2) + number, np.uint8)))
    return tmp_path / "mine"


def score(task: Task, out: Path) -> float:
    [row] = measure(load_encoder("pixels"), Data.load(task, None), out=out, say=lambda _: None)
    assert row.data_kind == "user"
    assert read_row(out / "rows" / f"{row.key}.json").task == task.name
    assert row.main.value is not None
    return row.main.value


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))


def test_tables_are_learned(table: Path, tmp_path: Path) -> None:
    landmarks, pose = own_task(f"landmarks={table}"), own_task(f"pose={table},name=heads")
    assert (landmarks.name, pose.name) == ("landmarks/faces", "pose/heads")
    assert landmarks.options["declared_as"] == f"--folder landmarks={table}"
    assert score(landmarks, tmp_path / "out") < 200  # in percent of a box of 4 pixels
    assert score(pose, tmp_path / "out") < 5


@pytest.fixture
def attributes(table: Path) -> Path:
    """Which half of its picture a spot lies in, as a table of attributes."""
    path = table.with_name("halves.csv")
    lines = [f"{n}.png,{int(spot(n)[1] > 16)},{int(spot(n)[2] > 16)}" for n in range(40)]
    path.write_text("\n".join(["image,right,low", *lines]))
    return path


@pytest.fixture
def masks(table: Path) -> Path:
    """Where the spot is, as a table of masks."""
    path = table.with_name("masks.csv")
    for number in range(40):
        _, x, y = spot(number)
        mask = np.zeros((32, 32), np.uint8)
        mask[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = 1
        (table.parent / f"mask{number}.png").write_bytes(encode_png(mask))
    path.write_text("\n".join(["image,mask", *(f"{n}.png,mask{n}.png" for n in range(40))]))
    return path


def test_attributes_and_masks_are_learned(attributes: Path, masks: Path, tmp_path: Path) -> None:
    task = own_task(f"attributes={attributes}")
    assert (task.name, task.options["classes"]) == ("attributes/halves", ("right", "low"))
    assert score(task, tmp_path / "out") > 75
    task = own_task(f"parsing={masks},classes=background+spot,name=spots")
    assert (task.name, task.options["classes"]) == ("parsing/spots", ("background", "spot"))
    assert score(task, tmp_path / "out") > 30


def test_bad_attributes_and_masks(attributes: Path, masks: Path) -> None:
    task = own_task(f"attributes={attributes}")
    attributes.write_text(attributes.read_text().replace("\n3.png,", "\n3.png,2"))
    with pytest.raises(PacoError, match=r"halves\.csv, line 5: right is 2\d, expected 0 or 1"):
        resolve(task.reader)(None, **task.reader_options)
    with pytest.raises(PacoError, match="names no attributes"):
        attributes.write_text("image,split\n0.png,test\n")
        own_task(f"attributes={attributes}")
    for names in ("", ",classes=skin", ",classes=a+a", ",classes=a++b"):
        with pytest.raises(PacoError, match="name its classes in order"):
            own_task(f"parsing={masks}{names}")
    task = own_task(f"parsing={masks},classes=a+b")
    masks.write_text(masks.read_text().replace("mask3.png", "../mask3.png"))
    with pytest.raises(PacoError, match="leads out of its folder"):
        resolve(task.reader)(None, **task.reader_options)


def test_class_folders_are_learned(folder: Path, tmp_path: Path) -> None:
    assert score(own_task(f"expression={folder}"), tmp_path / "out") == 100
    other = own_task(f"classes={folder}")
    assert other.options["classes"] == ("fear", "neutral")
    assert score(other, tmp_path / "out") == 100


def test_parts_by_folder_by_column_or_by_hash(folder: Path, table: Path, tmp_path: Path) -> None:
    found = resolve("tasks.readers.user.folder:read_classes")(
        None, folder=str(folder), classes=("fear", "neutral")
    )
    assert found["split"][:] == [drawn_part(ident) for ident in found["image_id"]]
    assert {"train", "test"} == set(found["split"])
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "parts" / part / name).mkdir(parents=True)
            (tmp_path / "parts" / part / name / "1.png").write_bytes(spot(1)[0])
    task = own_task(f"classes={tmp_path / 'parts'}")
    found = resolve(task.reader)(None, **task.reader_options)
    assert found["image_id"][:] == ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"]
    assert found["split"][:] == ["train", "train", "test", "test"]
    lines = table.read_text().splitlines()
    parts = ["split", *(("train", "validation", "test")[n % 3] for n in range(40))]
    table.write_text("\n".join(f"{text},{part}" for text, part in zip(lines, parts, strict=True)))
    task = own_task(f"pose={table}")
    assert resolve(task.reader)(None, **task.reader_options)["split"][:4] == [
        "train",
        "validation",
        "test",
        "train",
    ]


def test_a_table_with_boxes_is_cropped_by_them(table: Path) -> None:
    lines = table.read_text().splitlines()
    table.write_text(
        "\n".join([lines[0] + ",left,top,right,bottom", *(text + ",1,2,30,31" for text in lines[1:])])
    )
    task = own_task(f"landmarks={table}")
    assert task.crop.rule == "box"
    assert resolve(task.reader)(None, **task.reader_options)[0]["box"] == [1, 2, 30, 31]
    assert own_task(f"pose={table}").crop.rule == "box"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("image,", "picture,", 1), "line 1: the column 'image' stands 0 times"),
        (lambda t: t.replace("yaw", "pitch", 1), "line 1: the column 'yaw' stands 0 times"),
        (lambda t: t.replace("\n1.png,", "\n1.png,7,"), "line 3: 9 columns, the first line names 8"),
        (lambda t: t.replace("\n2.png,", "\n../2.png,"), "leads out of its folder"),
        (lambda t: t.rstrip()[:-1] + "x", "line 41: .* is not made of numbers"),
        (lambda t: "", "line 1: the column 'image'"),
    ],
)
def test_bad_tables(change: object, message: str, table: Path) -> None:
    task = own_task(f"pose={table}")
    table.write_text(change(table.read_text()))  # type: ignore[operator]
    with pytest.raises(PacoError, match=message) as caught:
        resolve(task.reader)(None, **task.reader_options)
    assert "faces.csv" in str(caught.value)


def test_bad_declarations(tmp_path: Path, folder: Path, table: Path) -> None:
    for text, message in (
        ("pose", "is not FAMILY=PATH"),
        ("poes=x", "Did you mean pose"),
        (f"pose={table},nme=x", "Did you mean name"),
        (f"pose={folder}", "is not a file"),
        (f"classes={table}", "is not a folder. Unpack"),
        (f"classes={folder}/fear", "0 class folders"),
    ):
        with pytest.raises(PacoError, match=message):
            own_task(text)
    with pytest.raises(MissingDataError, match="absent does not exist"):
        own_task(f"pose={tmp_path}/absent")
    (folder / "fear").rename(folder / "feer")
    with pytest.raises(PacoError, match="Did you mean fear"):
        own_task(f"expression={folder}")
    assert {"classes", "expression", "landmarks", "pose"} <= set(OWN)
