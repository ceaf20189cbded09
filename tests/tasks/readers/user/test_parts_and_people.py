"""What a user's own folders mean, and what is said about them before a number is believed."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from paco_fr.data.align import Rules, align
from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import PacoError, PacoWarning
from tasks.readers.user.folder import part_of, read_classes
from tasks.readers.user.own import read_people
from tasks.readers.user.tables import read_angles, read_points
from tasks.task import bind, resolve
from tasks.user_tasks import own_task

CLASSES = ("neutral", "happy")


def pictures(root: Path, names: Iterable[str], side: int = 8) -> Path:
    """Write pictures of different content under the names."""
    random = np.random.default_rng(len(str(root)))
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(random.integers(0, 256, (side, side, 3), np.uint8)))
    return root


def parts(root: Path, *names: str, each: int = 2) -> Path:
    return pictures(
        root, [f"{part}/{kind}/{n}.png" for part in names for kind in CLASSES for n in range(each)]
    )


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("train", "training", "Train", "TRAIN_SET", "train split"), "train"),
        (("val", "valid", "Validation", "DEV", "val_set", "development"), "validation"),
        (("test", "Testing", "TEST", "testset"), "test"),
        (("angry", "retrain", "set", ""), None),
    ],
)
def test_parts_have_many_spellings(names: tuple[str, ...], meant: str | None) -> None:
    assert {part_of(name) for name in names} == {meant}


def test_parts_in_any_case_are_no_classes_and_none_is_dropped(tmp_path: Path) -> None:
    """``Train`` and ``Test`` became two classes, and ``val`` beside train and test was dropped without a word."""
    parts(tmp_path, "Training", "Val", "Test")
    task = own_task(f"classes={tmp_path}")
    assert task.options["classes"] == ("happy", "neutral")
    with pytest.warns(PacoWarning, match="4 test pictures; fewer than 30"):
        found = resolve(task.reader)(None, **task.reader_options)
    assert sorted(set(found["split"])) == ["test", "train", "validation"]
    assert len(found) == 12


@pytest.mark.parametrize(("extra", "named"), [("extra/happy/1.png", "extra"), ("loose.png", r"loose\.png")])
def test_what_lies_beside_parts_is_an_error(tmp_path: Path, extra: str, named: str) -> None:
    pictures(parts(tmp_path, "train", "test"), [extra])
    with pytest.raises(PacoError, match=f"{named} beside the parts test, train belong to no part"):
        own_task(f"classes={tmp_path}")
    with pytest.raises(PacoError, match="belong to no part"):
        read_classes(None, str(tmp_path), CLASSES)


def test_two_folders_of_one_part_are_an_error(tmp_path: Path) -> None:
    parts(tmp_path, "val", "validation", "test")
    with pytest.raises(PacoError, match="val and validation both mean the part validation"):
        own_task(f"classes={tmp_path}")


def test_system_folders_are_no_classes_and_no_people(tmp_path: Path) -> None:
    """``.ipynb_checkpoints`` and ``__MACOSX`` counted as a class and as a person."""
    pictures(
        tmp_path, [f"{kind}/{n}.png" for kind in (*CLASSES, ".ipynb_checkpoints", "__MACOSX") for n in "12"]
    )
    pictures(tmp_path, ["happy/._1.png"])
    assert own_task(f"classes={tmp_path}").options["classes"] == ("happy", "neutral")
    with pytest.warns(PacoWarning, match="3 hidden or left behind by a system"):
        assert read_people(None, str(tmp_path))["identity"][:] == ["happy"] * 2 + ["neutral"] * 2


def test_tables_spell_parts_in_any_way(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "t.csv").write_text("image,yaw,pitch,roll,split\na.png,1,2,3,Training\nb.png,1,2,3,VAL\n")
    assert read_angles(None, str(tmp_path / "t.csv"))["split"][:] == ["train", "validation"]


HEAD = "image,yaw,pitch,roll"


def test_columns_of_tables_are_read_in_any_case(tmp_path: Path) -> None:
    """``Group,Split`` were passed over: people and parts were drawn anew."""
    pictures(tmp_path, ["a.png", "b.png"])
    table = tmp_path / "t.csv"
    table.write_text("Image,Yaw,Pitch,ROLL,Group,Split\na.png,1,2,3,p1,train\nb.png,1,2,3, p1 ,train\n")
    found = read_angles(None, str(table))
    assert (found["group"][:], found["split"][:]) == (["p1", "p1"], ["train", "train"])
    table.write_text("image,X0,Y0,X1,Y1,Left,Top,Right,Bottom\na.png,1,1,2,2,0,0,5,5\n")
    assert read_points(None, str(table))["box"][:] == [[0, 0, 5, 5]]
    assert own_task(f"landmarks={table}").crop.rule == "box"
    table.write_text("image,Smiling,Split\na.png,1,test\n")
    assert own_task(f"attributes={table}").options["classes"] == ("Smiling",)


@pytest.mark.parametrize(
    ("read", "header", "told"),
    [
        (read_angles, f"{HEAD},group,Group", "'group' stands 2 times"),
        (read_angles, f"{HEAD},top,right,bottom", "'left' stands 0 times"),
        (read_points, "image,x0,y0,x1,y1,x2,y2,x2,y2", "'x2' stands 2 times"),
    ],
)
def test_columns_that_could_mean_two_things_are_refused(
    read: Callable[..., object], header: str, told: str, tmp_path: Path
) -> None:
    pictures(tmp_path, ["a.png"])
    (tmp_path / "t.csv").write_text(f"{header}\na.png{',1' * header.count(',')}\n")
    with pytest.raises(PacoError, match=told):
        read(None, str(tmp_path / "t.csv"))


def test_columns_that_nobody_reads_are_said(tmp_path: Path) -> None:
    pictures(tmp_path, [f"{n}.png" for n in range(40)])
    lines = "\n".join(f"{n}.png,1,2,3,test,p{n}" for n in range(40))
    (tmp_path / "t.csv").write_text(f"{HEAD},split,person\n{lines}\n")
    assert "t.csv: nobody reads its column 'person' (1 such)" in said(tmp_path / "t.csv", read_angles)


def said(root: Path, read: object = read_people) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read(None, str(root))  # type: ignore[operator]
    return "\n".join(str(warning.message) for warning in caught)


def test_the_same_picture_in_train_and_test_is_said(tmp_path: Path) -> None:
    parts(tmp_path, "train", "test", each=20)
    assert said(tmp_path, lambda _, root: read_classes(None, root, CLASSES)) == ""
    (tmp_path / "test/happy/copy.png").write_bytes((tmp_path / "train/happy/3.png").read_bytes())
    text = said(tmp_path, lambda _, root: read_classes(None, root, CLASSES))
    assert "1 test pictures are in train or validation, too" in text
    assert "test/happy/copy.png is train/happy/3.png" in text


def test_conditions_are_not_people(tmp_path: Path) -> None:
    """Two folders of conditions gave a number without a word."""
    ids = range(100, 120)
    pictures(tmp_path / "a", [f"neutral/{n}_03.png" for n in ids] + [f"smiling/{n}_08.png" for n in ids])
    assert "'neutral', 'smiling' count as 2 people, but hold pictures of the same names" in said(
        tmp_path / "a"
    )
    people = pictures(
        tmp_path / "b", [f"{who}/{who}_{n:04d}.png" for who in ("ann", "bob") for n in range(20)]
    )
    assert said(people) == ""
    numbered = pictures(tmp_path / "c", [f"{who}/{n}.png" for who in ("ann", "bob") for n in range(20)])
    assert said(numbered) == ""


def test_photographs_that_were_not_cut_are_said(tmp_path: Path) -> None:
    """Portraits that were not cut gave a number without a word."""
    pictures(tmp_path, [f"{who}/{who}_{n}.png" for who in ("ann", "bob") for n in range(3)], side=450)
    text = said(tmp_path)
    assert "look like photographs, not like faces" in text
    assert "data align FOLDER OUT" in text
    assert "6 test pictures; fewer than 30" in text


def test_parts_are_no_people(tmp_path: Path) -> None:
    parts(tmp_path, "train", "test")
    with pytest.raises(PacoError, match=r"train, test are parts, not people.*recognition=.*test"):
        read_people(None, str(tmp_path))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    names = [f"{who}/{who}_{n:04d}.png" for who in ("Ann", "Bob") for n in (1, 2, 3)]
    return pictures(tmp_path / "people", names)


PAIRS = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nBob\t1\t3\nAnn\t3\tBob\t2\n"


def test_pairs_are_taken_from_where_one_stands_in_each_format(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list was looked for beside the pictures only, and LFW's own ``pairs.txt`` and a ``.bin`` were refused."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "pairs.txt").write_text(PAIRS)
    (here / "list.csv").write_text("first,second,same\nAnn/Ann_0001.png,Ann/Ann_0002.png,1\n")
    cells = [(people / f"Ann/Ann_000{n}.png").read_bytes() for n in (1, 2, 3, 1)]
    (here / "mine.bin").write_bytes(pickle.dumps((cells, [True, False]), protocol=2))

    def listed(text: str) -> tuple[list[str], list[bool], list[int]]:
        task = own_task(text)
        found = bind(task, None).options["pair_list"]
        records = resolve(task.reader)(None, **task.reader_options)
        assert set(found.first) | set(found.second) <= set(records["image_id"])
        return found.first.tolist(), found.same.tolist(), found.fold.tolist()

    first = ["Ann/Ann_0001.png", "Ann/Ann_0001.png", "Bob/Bob_0001.png", "Ann/Ann_0003.png"]
    assert listed(f"recognition={people},pairs=pairs.txt") == (
        first,
        [True, False, True, False],
        [0, 0, 1, 1],
    )
    assert listed(f"recognition={people},pairs=list.csv")[0] == first[:1]
    for text in (f"recognition={people},pairs=mine.bin", "recognition=mine.bin"):
        assert listed(text)[1] == [True, False]
    (people / "beside.csv").write_text("first,second,same\nAnn/Ann_0001.png,Bob/Bob_0002.png,0\n")
    assert listed(f"recognition={people},pairs=beside.csv")[1] == [False]


def test_aligned_people_are_people(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aligning lost who is who, and no task read its output."""
    from paco_fr.data import align as module
    from paco_fr.faces.detector import Found

    points = np.random.default_rng(0).uniform(1, 7, (68, 2))
    face = Found(np.array([0.0, 0.0, 7.0, 7.0]), 1.0, points)
    monkeypatch.setattr(
        module, "judge", lambda image, row, rules, _: (module.Line(row["image_id"], "kept"), face, "ibug68")
    )
    out = tmp_path / "out [1]"
    assert align(str(people), out, Rules(canvas=32))["kept"] == 6
    task = own_task(f"recognition={out}")
    found = resolve(task.reader)(None, **task.reader_options)
    assert found["identity"][:] == ["Ann"] * 3 + ["Bob"] * 3 == found["group"][:]
    align(str(people / "Ann"), tmp_path / "loose", Rules(canvas=32))
    with pytest.raises(PacoError, match="do not say who they are"):
        read_people(None, str(tmp_path / "loose"))


def test_pipes_in_folders_of_people_are_passed_over(people: Path) -> None:
    os.mkfifo(people / "Ann/pipe.png")
    with pytest.warns(PacoWarning, match="1 pipes, sockets or devices"):
        assert len(read_people(None, str(people))) == 6
