"""Counts of the recognition benchmarks: those that are published, and a copy held against them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import encode_png
from tasks.data_check import pairs_of, passport
from tasks.registry import all_tasks
from tasks.task import bind

PAIRS = {
    "lfw": 6_000, "lfw_aligned": 6_000, "cfp_fp": 7_000, "cfp_ff": 7_000, "agedb_30": 6_000, "calfw": 6_000,
    "cplfw": 6_000, "lfw_masked": 6_000, "mlfw": 6_000, "mfr2": 848, "ijbb": 8_010_270, "ijbc": 15_658_489,
}  # fmt: skip
PICTURES = {
    "ijbb": 227_630,
    "ijbb_search": 227_630,
    "ijbc": 469_375,
    "ijbc_search": 469_375,
    "orl": 400,
    "yale": 2_414,
}
TEMPLATES = {"ijbb": 12_115, "ijbb_search": 12_115, "ijbc": 23_124, "ijbc_search": 23_124}


UNCOUNTED = {"multipie1", "multipie2"}
"""No source tells how many pictures their settings have."""


def test_what_is_fitted_and_scored_is_counted_whole():
    """AffectNet-7 was official with 24 pictures to fit on."""
    for name, task in all_tasks().items():
        if task.data_kind != "official" or task.split != "official" or name.rpartition("/")[2] in UNCOUNTED:
            continue
        for found in (task, *(task.variant(key) for key in task.variants)):
            expected = set(found.options.get("expected", {}))
            assert "test" in expected or expected == {"total"}, name
            assert expected & {"total", "train"}, name


def test_every_list_of_pairs_declares_its_official_length():
    for name, task in all_tasks().items():
        family, _, short = name.rpartition("/")
        if family != "recognition" or task.data_kind != "official":
            continue
        expected = task.options.get("expected", {})
        for key, table in (("pairs", PAIRS), ("total", PICTURES), ("templates", TEMPLATES)):
            if short in table:
                assert expected[key] == table[short], (name, key)
        assert ("pair_list" in task.options) == (short in PAIRS)
        if "pairs" in expected and short not in ("mfr2", "ijbb", "ijbc"):
            assert expected["genuine"] * 2 == expected["pairs"]


@pytest.mark.parametrize(("genuine", "differences"), [(3000, {}), (3001, {"genuine": (3000, 3001)})])
def test_a_copy_is_held_against_pairs_and_genuine_pairs(genuine, differences, tmp_path: Path):
    picture = encode_png(np.zeros((112, 112, 3), np.uint8))
    (tmp_path / "verification").mkdir()
    same = [n < genuine for n in range(6000)]
    pictures = [picture + n.to_bytes(2, "big") for n in range(12_000)]
    (tmp_path / "verification/agedb_30.bin").write_bytes(pickle.dumps((pictures, same), 2))
    found = passport(all_tasks()["recognition/agedb_30"], tmp_path, decode=False)
    assert found.counts == {"total": 12_000, "pairs": 6_000, "genuine": genuine}
    assert found.differences == differences and found.sound == (not differences)
    assert bool(found.remedy) == bool(differences)


def test_pairs_are_counted_in_miniatures_too(miniatures: Path):
    task = all_tasks()["recognition/ijbc"]
    found = passport(task, miniatures, decode=False)
    listed = pairs_of(bind(task, miniatures))
    assert found.sound and {"pairs", "genuine"} == set(listed) and listed.items() <= found.counts.items()
    assert 0 < listed["genuine"] < listed["pairs"] and 0 < found.counts["templates"] < found.counts["total"]
