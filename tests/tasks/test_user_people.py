"""A user's own people, from a line of text."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import MissingDataError, PacoError, PacoWarning
from tasks.readers.user.own import read_own_pairs, read_pair_list, read_paired, read_people
from tasks.task import bind, resolve
from tasks.testing import check_task
from tasks.user_tasks import own_task


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for number, name in enumerate(("ann/1", "ann/2", "bob/1", "bob/2", "cy/1", "cy/2")):
        path = tmp_path / f"mine/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(np.full((8, 8, 3), 20 * number, np.uint8)))
    return tmp_path / "mine"


LIST = """first,second,same
ann/1.png,ann/2.png,1
ann/1.png,bob/1.png,0
bob/1.png,bob/2.png,1
bob/2.png,cy/1.png,0
"""


def test_folder_of_people(people: Path) -> None:
    task = own_task(f"recognition={people},name=ours")
    assert (task.name, task.data_kind, task.split, task.main_metric) == (
        "recognition/ours",
        "user",
        "test_only",
        "auc",
    )
    assert (
        resolve(task.reader)(None, **task.reader_options)["identity"][:]
        == ["ann"] * 2 + ["bob"] * 2 + ["cy"] * 2
    )
    check_task(task)


def test_the_first_picture_of_each_person_is_searched_for(people: Path) -> None:
    task = own_task(f"recognition={people},gallery=first,name=ours")
    assert (task.name, task.kind, task.main_metric) == ("recognition/ours_search", "identification", "rank1")
    records = resolve(task.reader)(None, **task.reader_options)
    assert records["media"][:] == ["gallery", "probe"] * 3
    check_task(task)
    for text in ("gallery=last", "gallery=first,pairs=list.csv"):
        with pytest.raises(PacoError, match="'gallery' is 'first' and stands without 'pairs'"):
            own_task(f"recognition={people},{text}")


def test_pair_list(people: Path) -> None:
    (people / "list.csv").write_text(LIST)
    task = own_task(f"recognition={people},pairs=list.csv,crop=whole,choice_from=recognition/synthetic")
    assert task.main_metric == "accuracy_10fold"
    assert task.choice_from == "recognition/synthetic"
    pairs = bind(task, None).options["pair_list"]
    assert pairs.same.tolist() == [True, False, True, False]
    assert read_paired(None, str(people), "list.csv")["group"][:] == ["ann", "ann", "bob", "bob", "cy"]
    check_task(task)
    (people / "list.csv").write_text("first,second,same,fold\na.png,b.png,1,0\na.png,c.png,0,3\n")
    assert read_pair_list(people, ".", "list.csv").fold.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recognition", "is not FAMILY=PATH"),
        ("recognition=", "is not FAMILY=PATH"),
        ("recogniton={}", "Did you mean recognition"),
        ("recognition={},pair=x", "Did you mean pairs"),
        ("recognition={},pairs=", "not one key=value"),
        ("recognition={},name=a,name=b", "not one key=value"),
        ("recognition={},crop=hole", "Did you mean whole"),
        ("recognition={}/absent", "does not exist. Name a folder"),
        ("recognition={}/ann/1.png", "is not a folder. Unpack"),
    ],
)
def test_calls_that_mean_nothing(people: Path, text: str, message: str) -> None:
    with pytest.raises(PacoError, match=message):
        own_task(text.format(people))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header is ''"),
        ("a,b\n", "line 1: the header is 'a,b'"),
        ("first,second,same\n", "lists no pairs"),
        ("first,second,same\na.png,b.png\n", "line 2: 2 columns, the header has 3"),
        ("first,second,same\na.png,b.png,yes\n", "line 2: same is 'yes'"),
        ("first,second,same,fold\na.png,b.png,1,-1\n", "line 2: fold is '-1'"),
        ("first,second,same\na.png,a.png,1\n", "line 2: a.png is paired with itself"),
        ("first,second,same\na.png,b.png,1\nb.png,a.png,1\n", "line 3: the pair stands already in line 2"),
        ("first,second,same\na.png,../b.png,1\n", "'../b.png' leads out of its folder"),
        ("first,second,same\n/etc/passwd,b.png,1\n", "'/etc/passwd' leads out of its folder"),
    ],
)
def test_bad_pair_lists(people: Path, text: str, message: str) -> None:
    (people / "list.csv").write_text(text)
    with pytest.raises(PacoError, match=message) as caught:
        read_own_pairs(people / "list.csv", people)
    assert "list.csv" in str(caught.value)


def test_missing_and_packed(people: Path) -> None:
    with pytest.raises(MissingDataError, match="Write the list"):
        read_paired(None, str(people), "absent.csv")
    packed = people.parent / "faces.zip"
    packed.write_bytes(b"PK")
    for folder in ("faces", "faces.zip"):
        with pytest.raises(MissingDataError, match=r"faces\.zip is a file.*Unpack"):
            read_people(people.parent, folder)


@pytest.mark.parametrize("folders", [True, False])
def test_people_are_whom_genuine_pairs_tie_together(folders: bool, tmp_path: Path) -> None:
    """Folders of cameras were five groups in place of forty people, and intervals half as wide."""
    names = [
        [f"cam{camera}{'/' if folders else '_'}{who:02d}.png" for camera in range(3)] for who in range(8)
    ]
    lines = [f"{a},{b},1" for one, two, three in names for a, b in ((one, two), (two, three))]
    lines += [f"{names[who][0]},{names[who - 1][1]},0" for who in range(8)]
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same", *lines]))
    with (
        pytest.warns(PacoWarning, match="16 genuine pairs join pictures of two folders")
        if folders
        else nullcontext()
    ):
        found = read_paired(None, str(tmp_path), "pairs.csv")
    groups = dict(zip(found["image_id"][:], found["group"][:], strict=True))
    assert len(set(groups.values())) == 8
    assert all(len({groups[name] for name in person}) == 1 for person in names)
