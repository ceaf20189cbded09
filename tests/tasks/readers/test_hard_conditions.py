"""The sets for hard conditions: who is enrolled, who is searched, and what each subset holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.rows.store import read_items
from tasks.kinds import load_kind
from tasks.readers.expression.challenge import read_lists
from tasks.readers.pose.head_pose import yaw_bin
from tasks.readers.recognition.mfr2 import read_pairs
from tasks.readers.recognition.yale import subset_of_light
from tasks.registry import all_tasks
from tasks.task import bind
from tests.tasks.readers.damage import Copied, read

YALE_LIGHTS = [(0, e) for e in (0, 20, -20, 45, -35, 90)] + [
    (sign * azimuth, elevation)
    for sign, (azimuth, elevations) in product(
        (1, -1),
        {
            5: (10, -10), 10: (0, -20), 15: (20,), 20: (10, -10, -40), 25: (0,), 35: (15, 40, 65, -20), 50: (0, -40),
            60: (20, -20), 70: (0, 45, -35), 85: (20, -20), 95: (0,), 110: (15, 40, 65, -20), 120: (0,), 130: (20,),
        }.items(),
    )
    for elevation in elevations
]  # fmt: skip
"""The 64 lights of the set: azimuth and elevation in degrees."""


def test_the_lights_of_yale_fall_into_subsets_of_the_official_sizes() -> None:
    assert len(set(YALE_LIGHTS)) == 64
    sizes = Counter(subset_of_light(*light) for light in YALE_LIGHTS)
    assert sizes == {1: 7, 2: 12, 3: 12, 4: 14, 5: 19}


def test_yale_passes_over_what_is_no_part_of_the_protocol(copied: Copied) -> None:
    root = copied("recognition/yale")
    folder = root / "CroppedYale/yaleB11"
    (folder / "yaleB11_P00A+050E-40.pgm.bad").write_bytes(b"damaged")
    assert (folder / "yaleB11_P00_Ambient.pgm").exists()
    found = read("recognition/yale", root)
    assert Counter(found["media"])["subset1"] == 12
    assert not any("Ambient" in name or "050" in name for name in found["image_id"])


@pytest.mark.parametrize(("name", "sessions"), [("recognition/multipie1", 1), ("recognition/multipie2", 2)])
def test_multipie_enrols_one_frontal_picture_a_person(name: str, sessions: int, copied: Copied) -> None:
    found = read(name, copied(name)).to_pandas()
    gallery = found[found["media"] == "gallery"]
    assert gallery["group"].is_unique
    assert set(gallery["group"]) == set(found["group"])
    assert {tuple(cell) for cell in gallery["subsets"]} == {("view0",)}
    assert set(gallery["image_id"].str[4:6]) == {"01"}  # of the first session
    parts = found.groupby("group")["split"].agg(lambda column: set(column) - {"excluded"})
    assert Counter(next(iter(cell)) for cell in parts) == {"train": 8, "test": 4}
    assert found["image_id"].str[4:6].nunique() == sessions
    probes = found[(found["media"] == "probe") & (found["split"] == "test")]
    assert "view0" not in {subset for cell in probes["subsets"] for subset in cell}


def test_mfr2_has_both_kinds_of_pairs_in_every_fold(copied: Copied) -> None:
    pairs = read_pairs(copied("recognition/mfr2") / "mfr2/pairs.txt")
    assert Counter((pair.fold, pair.same) for pair in pairs) == {
        (f, s): 2 for f in range(10) for s in (True, False)
    }


def test_a_pair_that_mfr2_lists_twice_counts_twice(copied: Copied) -> None:
    """A copy of 848 lines of which two repeat was refused."""
    root = copied("recognition/mfr2")
    path = root / "mfr2/pairs.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[0]]) + "\n", encoding="utf-8")
    pairs = read_pairs(path)
    assert len(pairs) == len(lines) + 1
    assert pairs[-1][:3] == pairs[0][:3]
    task = bind(all_tasks()["recognition/mfr2"], root)
    labels = pd.DataFrame({"unit_id": sorted({name for pair in pairs for name in pair[:2]})})
    labels["group"] = labels["unit_id"].str.partition("/")[0]
    items = load_kind("verification").items(np.eye(len(labels)), labels, task)
    assert len(items) == len(pairs)
    assert not items["id"].duplicated().any()


@pytest.mark.parametrize(
    ("yaw", "subset"),
    [(0, "yaw0-30"), (-30, "yaw0-30"), (30.01, "yaw30-60"), (-60, "yaw30-60"), (90, "yaw60-90"), (-90.5, "")],
)
def test_bins_of_yaw(yaw: float, subset: str) -> None:
    assert yaw_bin(yaw) == ([subset] if subset else [])


def test_challenge_lists_count_names_once_and_change_the_hash(copied: Copied) -> None:
    root = copied("expression/rafdb_challenge")
    path = root / "Challenge-condition-FER-dataset/RAF_DB_dir/rafdb_occlusion_list.txt"
    lines = path.read_text().splitlines()
    assert lines[0] == lines[1]
    listed = read_lists(root, "rafdb")
    assert len(listed.members["occlusion"]) == len(lines) - 1
    faces = read("expression/rafdb_challenge", root)
    assert sum("occlusion" in cell for cell in faces["subsets"]) == len(lines) - 1
    path.write_text("\n".join(lines[2:]) + "\n")
    assert read_lists(root, "rafdb").hash != listed.hash


def test_rows_carry_the_hash_of_the_lists_and_subsets_their_own_items(copied: Copied, tmp_path: Path) -> None:
    root = copied("expression/ferplus_challenge")
    task = all_tasks()["expression/ferplus_challenge"]
    rows = measure(load_encoder("constant"), Data.load(task, root), out=tmp_path, say=lambda _: None)
    assert {row.chosen["lists_hash"] for row in rows} == {bind(task, root).options["lists"].hash}
    assert [row.subset for row in rows] == ["all", "occlusion", "pose30", "pose45"]


def test_rows_of_searches_by_subset(copied: Copied, tmp_path: Path) -> None:
    root = copied("recognition/yale")
    task = all_tasks()["recognition/yale"]
    data = Data.load(replace(task, choice_from=""), root)
    rows = {
        row.subset: row for row in measure(load_encoder("pixels"), data, out=tmp_path, say=lambda _: None)
    }
    items = {name: read_items(tmp_path / "rows" / f"{row.key}.json") for name, row in rows.items()}
    assert rows["all"].n_expected == 48  # the gallery counts: it was expected, too
    assert len(items["all"]) == 36
    for number in range(2, 6):
        assert rows[f"subset{number}"].n_expected == len(items[f"subset{number}"])
    found = np.concatenate([items[f"subset{number}"]["id"] for number in range(2, 6)])
    assert sorted(found) == sorted(items["all"]["id"])
