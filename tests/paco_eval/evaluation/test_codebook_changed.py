"""What a codebook sees in perturbed pictures, against a plain count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from paco_eval.analysis.robustness import sweeps
from paco_eval.encoders import load_encoder
from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.codebook import covered_places
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import evaluate_all, measure
from paco_eval.features.batches import resize
from paco_eval.features.perturbed import faces_of
from paco_eval.report.charts.sweeps import sweep_charts
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.schema import Row
from paco_eval.rows.store import load_rows, read_items
from paco_fr.checkpoint import load_objective
from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import read_image
from paco_fr.faces.pixels import prepare
from paco_fr.model.diagnostics import diagnose
from tasks.derived import derived_tasks
from tasks.kinds import stability
from tasks.perturbations.apply import perturb
from tasks.readers.synthetic.rendered import read_cell
from tasks.registry import all_tasks, derived
from tasks.testing import check_task
from tasks.units import units_of
from tests.fixtures.child import in_processes
from tests.paco_eval.conftest import blob_task
from tests.paco_eval.evaluation.test_codebook import checkpoint
from tests.paco_eval.evaluation.test_derived import swept as swept_heads


def swept(factor: str, kinds: tuple[str, ...], **options: int):
    base = replace(
        all_tasks()["codebook/synthetic"], name="codebook/blobs", reader="tests.paco_eval.evaluation.test_derived:face_records",
        reader_options=options, crop=blob_task("pose").crop,
    )  # fmt: skip
    task = derived_tasks([base])[f"{factor}/codebook/blobs"]
    return replace(task, sweep=replace(task.sweep, kinds=kinds, levels=(1, 5)))


def test_rows_say_what_a_plain_count_says(tmp_path):
    encoder = load_encoder(f"paco:{checkpoint(tmp_path / 'run')}")
    data = Data.load(swept("occlusion", ("boxes",)), None)
    rows = measure(encoder, data, out=tmp_path, say=print)
    assert [(row.subset, row.level) for row in rows] == [("clean", 0), ("boxes", 1), ("boxes", 5)]
    clean, _, severe = rows
    assert clean.main.value == 100 and clean.metrics["same_belief"].value == 100
    assert clean.metrics["same_token_covered"].value is None, "nothing is covered"
    units, model, config = data.views["all"][0], *load_objective(tmp_path / "run")
    held = np.flatnonzero(units.labels["split"] == "test")
    sides = {}
    for level in (0, 5):
        pictures = []
        for unit in held:
            canvas = crop_image(
                read_image(units.records[int(units.rows[unit])]["image"]),
                units.transforms[unit],
                units.canvas,
            )
            name, face = str(units.labels["unit_id"].iloc[unit]), faces_of(units)[unit]
            pictures.append(perturb("boxes", level, canvas, key=name, face=face).image)
        sides[level] = prepare(np.stack([resize(p, encoder.pixels) for p in pictures]), encoder.pixels)
    true, changed = diagnose(model, config, sides[0]), diagnose(model, config, sides[5], sides[0])
    assert torch.equal(true["hidden"], changed["hidden"])
    same = (true["nearest"] == changed["nearest"]).numpy()
    cover = covered_places(sides[0], sides[5], same.shape[1])
    assert 0 < cover.mean() < 1
    values = {name: metric.value for name, metric in severe.metrics.items()}
    assert values["same_token"] == pytest.approx(100 * same.mean())
    assert values["same_token_covered"] == pytest.approx(100 * same[cover].mean())
    assert values["same_token_uncovered"] == pytest.approx(100 * same[~cover].mean())
    agreed = (true["believed"] == changed["believed"]).double().mean().item()
    assert values["same_belief"] == pytest.approx(100 * agreed)
    assert severe.chosen["achieved"] == pytest.approx(0.5, abs=0.06)
    assert measure(encoder, data, out=tmp_path, say=print) == []


def test_covered_are_places_with_most_of_their_pixels_changed():
    clean = torch.zeros(1, 3, 8, 8)
    changed = clean.clone()
    changed[0, 1, :4, :4] = 1.0
    changed[0, 0, 4:, 4:6] = 1.0  # half of its place
    assert covered_places(clean, changed, 4).tolist() == [[True, False, False, False]]


def test_light_covers_nothing_and_sweeps_make_curves(tmp_path):
    run = checkpoint(tmp_path / "run")
    task = swept("illumination", ("gamma", "underexposure"), broken=2)
    said: list[str] = []
    assert evaluate_all([f"paco:{run}", Pixels()], [task], out=tmp_path, say=said.append) == []
    assert any("has no codebook" in line for line in said)
    stored = load_rows(tmp_path).rows
    (sweep,) = sweeps(stored)
    assert {each.row.metrics["same_token_covered"].value for each in stored} == {None}
    assert {(each.row.n_expected, each.row.n_scored) for each in stored} == {(18, 16)}
    assert sweep.value("clean", 0) == pytest.approx(100 * 16 / 18), "what cannot be read has changed"
    assert sweep.value("underexposure", 5) < sweep.value("underexposure", 1)
    items = read_items(sweep.cells["gamma", 5].path)
    assert (items.loc[items["failure"] != "", ["same_token", "same_belief"]] == 0).all(axis=None)
    (table,) = family_tables(stored)
    names = [figure.name for figure in sweep_charts(table, lambda problem: None)]
    assert names[0] == "illumination/codebook/blobs-levels"


def test_derived_codebook_tasks_are_painted_and_rendered():
    found = {name: task.sweep.source for name, task in derived().items() if task.kind == "stability"}
    painted = ("perturbed-occlusion", "perturbed-illumination", "quality")
    assert found == {
        **{f"{factor}/codebook/synthetic": "perturbed" for factor in painted},
        **{f"{factor}/codebook/synthetic": "rendered" for factor in ("occlusion", "illumination")},
    }


@pytest.mark.parametrize("factor", ["occlusion", "illumination"])
def test_faces_drawn_again_are_held_against_themselves(factor, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "paco_fr.synthetic.dataset.os.cpu_count", lambda: 1
    )  # a dozen faces need no processes
    base = all_tasks()["codebook/synthetic"]
    few = {**base.reader_options, "train": 1, "validation": 1, "test": 3, "images_per_identity": 2}
    base = replace(base, reader_options={**few, "photo_size": 64})
    task = derived_tasks([base])[f"{factor}/codebook/synthetic"]
    kind = {"occlusion": "surgical_mask", "illumination": "side"}[factor]
    task = replace(task, sweep=replace(task.sweep, kinds=(kind,), levels=(1, 5)))
    run = checkpoint(tmp_path / "run")
    encoder, data = load_encoder(f"paco:{run}"), Data.load(task, None)
    rows = measure(encoder, data, out=tmp_path, say=print)
    assert [(row.subset, row.level, row.n_expected) for row in rows] == [
        ("clean", 0, 6),
        (kind, 1, 6),
        (kind, 5, 6),
    ]
    assert {row.chosen["source"] for row in rows} == {"rendered"} and rows[2].chosen["perturbation"] is None
    items = [read_items(tmp_path / "rows" / f"{row.key}.json").set_index("id") for row in rows]
    assert (items[0]["same_token"] == 100).all() and (items[0]["same_belief"] == 100).all()
    units, (model, config) = data.views["all"][0], load_objective(tmp_path / "run")
    pictures = {}
    for name, source in {"clean": units, "changed": units_of(read_cell(task, kind, 5), task.crop)}.items():
        pictures[name] = {}
        for unit, key in enumerate(source.labels["unit_id"]):
            photo = read_image(source.records[int(source.rows[unit])]["image"])
            canvas = resize(crop_image(photo, source.transforms[unit], source.canvas), encoder.pixels)
            pictures[name][key] = prepare(canvas[None], encoder.pixels)
    for key, line in items[2].iterrows():
        before, after = pictures["clean"][key], pictures["changed"][key]
        true, changed = diagnose(model, config, before), diagnose(model, config, after, before)
        same = (true["nearest"] == changed["nearest"]).double().mean().item()
        assert line["same_token"] == pytest.approx(100 * same)
        covered = covered_places(before, after, true["nearest"].shape[1]).sum()
        assert line["covered"] == (covered if factor == "occlusion" else 0)
    if factor == "occlusion":
        assert (items[2]["achieved"] > items[1]["achieved"]).all() and items[2]["covered"].min() > 0
        assert items[2]["uncovered"].min() > 0, "the face is the same where nothing hides it"
    else:
        assert "achieved" not in items[2] or items[2]["achieved"].isna().all()


def test_the_kind_keeps_the_rules_of_all_kinds():
    checked = check_task(swept("occlusion", ("boxes",), people=20))
    assert checked.scores["all"]["same_token"][0] == 100.0
    with pytest.raises(NotImplementedError):
        stability.targets(None, None)


def measured(run: Path, out: Path) -> list[Row]:
    """Return rows of a stability sweep and of a sweep of a head."""
    encoder, rows = load_encoder(f"paco:{run}"), []
    for task in (swept("occlusion", ("boxes",)), swept_heads("quality", ("blur",))):
        rows += measure(encoder, Data.load(task, None), out=out, say=lambda _: None)
    return rows


IN_PROCESSES = """
import os
from pathlib import Path
from paco_eval.features.processes import use_device
from tests.paco_eval.evaluation.test_codebook_changed import measured
use_device("auto")
measured(Path(os.environ["RUN_FOLDER"]), Path(os.environ["OUT_FOLDER"]))
"""


def test_two_processes_measure_what_one_does(tmp_path):
    run, out = checkpoint(tmp_path / "run"), tmp_path / "two"
    alone = measured(run, tmp_path / "one")
    in_processes(
        2, IN_PROCESSES, RUN_FOLDER=str(run), OUT_FOLDER=str(out), PACO_CACHE=str(tmp_path / "cache")
    )
    shared = {each.row.key: each for each in load_rows(out).rows}
    assert len(alone) == len(shared) == 6
    for row in alone:
        other = shared[row.key]
        ours, theirs = (
            {name: found.metrics[name].value for name in row.metrics} for found in (row, other.row)
        )
        assert [name for name in ours if ours[name] is None] == [
            name for name in theirs if theirs[name] is None
        ]
        for name, value in ours.items():
            assert value is None or theirs[name] == pytest.approx(value, rel=1e-5)
        items = read_items(tmp_path / "one" / "rows" / f"{row.key}.json")
        pd.testing.assert_frame_equal(other.items(), items, rtol=1e-4, check_like=True)
