"""Several protocols of one benchmark under names of their own, each with its crop in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paco_fr.contracts import CropContract
from paco_fr.utils.errors import PacoError
from tasks.kinds import way_of
from tasks.mimics import WRITERS
from tasks.readers.records import records_of
from tasks.registry import all_tasks, derived, select, variants
from tasks.units import units_of

NAMES = [name for name in variants() if variants()[name].plain_name in WRITERS]


def test_variants_are_meant_only_by_name() -> None:
    """Two protocols of one set must not come into one table because somebody asked for a family."""
    assert "pose/aflw2000@landmarks" in variants()
    assert not any("@" in name for name in all_tasks())
    assert not any("@" in task.name for task, _ in select("pose/*,tag:real,occlusion/pose/*"))
    found = {task.name: named for task, named in select("pose/aflw2000@*,landmarks/wflw@box")}
    assert found == {
        "pose/aflw2000@fsanet": False,
        "pose/aflw2000@hopenet": False,
        "pose/aflw2000@landmarks": False,
        "landmarks/wflw@box": True,
    }
    with pytest.raises(PacoError, match="pose/aflw2000@landmarks"):
        select("pose/aflw2000@landmark")


def test_a_variant_differs_where_it_says_and_nowhere_else() -> None:
    plain, other = all_tasks()["landmarks/wflw"], variants()["landmarks/wflw@pipnet"]
    assert other.options == {**plain.options, "measured": "crop"}
    assert (other.family, other.version, other.subsets) == (plain.family, 1, plain.subsets)
    assert other.variants == {} and other.crop.rule == "stretched"
    assert derived()["occlusion/landmarks/wflw@pipnet"].crop == other.crop


def test_each_protocol_says_its_crop_in_words() -> None:
    """Rows had hashes of crops alone, so that nobody could tell one definition from another."""
    for name in NAMES:
        other, plain = variants()[name], all_tasks()[name.partition("@")[0]]
        assert way_of(other) != way_of(plain), name
        assert other.cut and plain.cut, name
    assert "k drawn of 0.2 to 0.4" in way_of(all_tasks()["pose/aflw2000"])
    assert "tanh warp beyond 0.2" in way_of(all_tasks()["parsing/lapa"])
    assert way_of(all_tasks()["recognition/lfw"]).endswith("picture and mirror image added")


@pytest.mark.parametrize("name", NAMES)
def test_miniatures_feed_every_variant(name: str, miniatures: Path) -> None:
    """Variants cut other pieces of the same photographs, with the same labels."""
    task, plain = variants()[name], all_tasks()[name.partition("@")[0]]
    pieces = []
    for one in (plain, task):
        records = records_of(one, miniatures)
        pieces.append(
            units_of(records.remove_columns("mask") if "mask" in records.column_names else records, one.crop)
        )
    ours, theirs = pieces
    if name.endswith("@mtcnn"):  # its own pictures, of nobody in particular
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(theirs.labels["yaw"], ours.labels["yaw"], atol=1e-4)
        return
    assert ours.labels["unit_id"].tolist() == theirs.labels["unit_id"].tolist()
    there = [units.at(224) for units in pieces]
    same = np.abs(there[0].transforms - there[1].transforms).max() < 1e-9
    assert not same or ours.warp != theirs.warp


def test_a_stretched_box_fills_the_canvas() -> None:
    """FaRL draws AFLW's boxes out to squares; a square around the box keeps the aspect and shows more."""
    from paco_fr.faces.crop import apply, crop_transform

    box = np.array([10.0, 20.0, 30.0, 100.0])
    transform = crop_transform(CropContract("stretched", canvas=64), box=box)
    np.testing.assert_allclose(apply(transform, box.reshape(2, 2)), [[-0.5, -0.5], [63.5, 63.5]])
    wide = crop_transform(CropContract("stretched", margin=0.5, canvas=64), box=box)
    np.testing.assert_allclose(apply(wide, [[0.0, -20.0], [40.0, 140.0]]), [[-0.5, -0.5], [63.5, 63.5]])


def test_crops_without_a_warp_keep_their_hash() -> None:
    """A new field of the contract must not make every stored row a stranger."""
    assert CropContract("box", margin=0.25).hash == "53ae6dd6d6516e8a"
    assert len({CropContract("template", template="farl", warp=warp).hash for warp in (0.0, 0.5, 0.8)}) == 3
