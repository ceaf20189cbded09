"""What ``paco-eval quickstart`` left behind; ``.ci/run`` runs it once and names the folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paco_eval.experiments.quickstart import FIRST_LOOK, LEARNING, gains
from paco_eval.rows.store import load_rows, read_items
from paco_fr.checkpoint import shipped

FAMILIES = {"recognition", "pose", "landmarks", "expression"}
SWEPT = "occlusion/landmarks"
METHODS = {"paco/tiny", "random:tiny", "pixels", "constant", *shipped()}


@pytest.fixture(scope="module")
def run() -> Path:
    folder = os.environ.get("PACO_QUICKSTART")
    if not folder:
        pytest.skip("PACO_QUICKSTART does not name the output of `paco-eval quickstart --out FOLDER`")
    return Path(folder)


def test_every_encoder_was_measured_on_every_family(run):
    rows, problems = load_rows([run])
    assert not problems
    measured = {(stored.row.family, stored.row.method) for stored in rows}
    assert measured == {(family, method) for family in (*FAMILIES, SWEPT) for method in METHODS}
    assert all(stored.row.n_scored == stored.row.n_expected > 0 for stored in rows)
    assert all(stored.row.data_kind == "synthetic" for stored in rows)


def test_pixels_beat_the_constant_on_every_family(run):
    scores = {(s.row.family, s.row.method): s.row.main for s in load_rows([run])[0]}
    for family in FAMILIES:
        pixels, constant = scores[family, "pixels"], scores[family, "constant"]
        sign = 1 if pixels.higher_is_better else -1
        assert sign * pixels.value > sign * constant.value, family


def test_the_main_numbers_follow_from_the_items(run):
    for stored in load_rows([run])[0]:
        items = read_items(stored.path)
        if stored.row.family == "pose":
            assert items["error"].mean() == pytest.approx(stored.row.main.value, rel=1e-9)
        if stored.row.family == "expression":
            accuracy = 100 * (items["truth"] == items["prediction"]).mean()
            assert accuracy == pytest.approx(stored.row.main.value, rel=1e-9)


def test_shipped_encoders_lead_where_a_newcomer_looks_first(run):
    """The quickstart showed the method losing to raw pixels in every family."""
    scores = {(s.row.family, s.row.method): s.row.main for s in load_rows([run])[0] if s.row.level is None}
    for family in FAMILIES:
        shown, pixels = scores[family, "paco-tiny"], scores[family, "pixels"]
        sign = 1 if pixels.higher_is_better else -1
        if family != "recognition":
            assert sign * shown.value > sign * pixels.value, family


def test_the_short_training_went_down_and_what_it_changed_is_said(run):
    lines = [
        json.loads(line) for line in (run / "pretrain" / "paco" / "metrics.jsonl").read_text().splitlines()
    ]
    assert lines[-1]["reconstruction"] < 0.8 * lines[0]["reconstruction"]
    assert lines[-1]["token_error"] > lines[-1]["quantisation_error"], "hidden pixels leak into the belief"
    said = list(gains(run))
    assert len(said) == len(FAMILIES) and all("untrained" in line for line in said), said


def test_there_are_pictures_to_look_at(run):
    for name in (FIRST_LOOK, LEARNING):
        picture = np.asarray(Image.open(run / name))
        assert picture.shape[1] > 800 and picture.std() > 20, name


def test_the_report_shows_it_all(run):
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    for text in (
        "pose/synthetic",
        "recognition/synthetic",
        "reconstruction",
        "random:tiny",
        "constant",
    ):
        assert text in page
    assert len(page.encode()) < 3_000_000
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page
    assert (run / "report" / "tables.md").read_text(encoding="utf-8").count("|") > 20
    sheet = np.load(run / "pretrain" / "paco" / "reconstruction.npz")
    assert sheet["reconstructed"].std() > 10
