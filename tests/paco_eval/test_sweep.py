from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

import paco_eval.perturbed as perturbed
from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.inputs import Data
from paco_eval.perturbed import Condition, extract_perturbed
from paco_eval.robustness import summary, sweeps
from paco_eval.rows import load_rows, read_items
from paco_eval.runner import evaluate_all, evaluate_cell
from paco_eval.sweep import _probes, evaluate_sweep
from paco_fr.errors import PacoError
from paco_fr.records import COLUMNS
from tasks.derived import NAMES, RENDERED, derived_tasks
from tasks.registry import derived, select
from tasks.task import Task
from tasks.units import units_of
from tests.paco_eval.conftest import blob_records, blob_task

FIVE = [[16.0, 18.0], [31.0, 18.0], [24.0, 25.0], [18.0, 33.0], [30.0, 33.0]]


def quiet(_: str) -> None:
    pass


def face_records(data_root: Path | None = None, **options: int) -> Dataset:
    """Return the blobs with five points where a face would have them."""
    found = blob_records(data_root, **options).remove_columns(["landmarks", "visible", "scheme"])
    found = found.add_column("landmarks", [FIVE] * len(found), feature=COLUMNS["landmarks"])
    return found.add_column("scheme", ["five"] * len(found), feature=COLUMNS["scheme"])


def swept(
    factor: str, kinds: tuple[str, ...], levels: tuple[int, ...] = (1, 5), kind: str = "pose", **changes
) -> Task:
    base = blob_task(kind, reader="tests.paco_eval.test_sweep:face_records", **changes)
    task = derived_tasks([base])[f"{factor}/{base.name}"]
    return replace(task, sweep=replace(task.sweep, kinds=kinds, levels=levels))


def test_a_sweep_writes_a_row_a_cell_and_its_clean_row_is_the_task(tmp_path):
    task = swept("occlusion", ("boxes", "hand"))
    data = Data.load(task, None)
    rows = evaluate_sweep(Pixels(), data, out=tmp_path, say=quiet)
    assert [(row.subset, row.level) for row in rows] == [
        ("clean", 0),
        ("boxes", 1),
        ("boxes", 5),
        ("hand", 1),
        ("hand", 5),
    ]
    base = replace(task, name="pose/blobs", sweep=None)
    (plain,) = evaluate_cell(Pixels(), Data.load(base, None), out=tmp_path, say=quiet)
    assert rows[0].main.value == pytest.approx(plain.main.value, rel=1e-9)
    boxes = read_items(tmp_path / "rows" / f"{rows[2].key}.json")
    assert boxes["achieved"].to_numpy() == pytest.approx(0.5, abs=0.06)  # a canvas of 48 px is coarse
    assert rows[2].chosen["achieved"] == pytest.approx(boxes["achieved"].mean(), abs=1e-5)
    assert (
        rows[2].chosen["source"] == "perturbed" and rows[2].chosen["perturbation"] == "boxes.v1.level5.seed0"
    )
    assert evaluate_sweep(Pixels(), data, out=tmp_path, say=quiet) == []
    with pytest.raises(PacoError, match="never"):
        evaluate_sweep(Pixels(), data, out=tmp_path, overwrite="never", say=quiet)


@pytest.mark.parametrize("kind", ["landmarks", "classification", "verification"])
def test_other_kinds_of_task(kind, tmp_path):
    options = {"landmarks": {"normaliser": "box"}, "verification": {"impostors": 200}}.get(kind, {})
    task = swept("quality", ("blur",), kind=kind, options=options)
    rows = evaluate_sweep(Pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert len(rows) == 3
    items = read_items(tmp_path / "rows" / f"{rows[2].key}.json")
    assert {"achieved"} <= set(items) or {"achieved_a", "achieved_b"} <= set(items)


def test_each_picture_is_decoded_once_and_encoded_once_a_condition(tmp_path, monkeypatch):
    decoded, encoded = [], []
    read = perturbed.read_image
    monkeypatch.setattr(perturbed, "read_image", lambda source: decoded.append(1) or read(source))
    encoder = Pixels()
    tokens = encoder.tokens
    monkeypatch.setattr(
        encoder, "tokens", lambda pictures, blocks: encoded.append(len(pictures)) or tokens(pictures, blocks)
    )
    units = units_of(face_records(), swept("quality", ("blur",)).crop)
    conditions = [Condition(name, level) for name in ("blur", "noise", "boxes") for level in (1, 2, 3, 4, 5)]
    layer = (encoder.blocks[0], "flat")
    first = extract_perturbed(encoder, units, layer, conditions)
    assert len(decoded) == len(units) and sum(encoded) == len(units) * len(conditions)
    again = extract_perturbed(encoder, units, layer, conditions)
    assert len(decoded) == len(units) and sum(encoded) == len(units) * len(conditions)
    for condition in conditions:
        assert np.array_equal(first[condition].features, again[condition].features)
        assert np.array_equal(first[condition].achieved, again[condition].achieved)


def test_features_do_not_depend_on_the_order_of_units():
    units = units_of(face_records(), swept("quality", ("blur",)).crop)
    encoder, condition = Pixels(), Condition("boxes", 3)
    layer = (encoder.blocks[0], "flat")
    order = np.random.default_rng(0).permutation(len(units))
    shuffled = extract_perturbed(encoder, units.only(order), layer, [condition])[condition]
    few = extract_perturbed(encoder, units.only(np.arange(5)), layer, [condition])[condition]
    assert np.array_equal(shuffled.features[np.argsort(order)][:5], few.features)


def test_broken_pictures_fail_under_every_condition(tmp_path):
    task = swept("illumination", ("gamma", "side_light"), reader_options={"broken": 2})
    rows = evaluate_sweep(Pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert {(row.n_expected, row.n_scored) for row in rows} == {(18, 16)}


def test_without_landmarks_anchored_kinds_are_left_out_or_refused(tmp_path):
    base = blob_task("pose", reader="tests.paco_eval.test_sweep:pointless_records")
    found = derived_tasks([base])
    said: list[str] = []
    light = replace(
        found["illumination/pose/blobs"], sweep=replace(found["illumination/pose/blobs"].sweep, levels=(3,))
    )
    rows = evaluate_sweep(Pixels(), Data.load(light, None), out=tmp_path, say=said.append)
    assert {row.subset for row in rows} == {
        "clean",
        "gamma",
        "underexposure",
        "overexposure",
        "low_light",
        "colour_temperature",
    }
    assert any("side_light, top_light, cast_shadow" in line for line in said)
    assert evaluate_all(["pixels"], [found["occlusion/pose/blobs"]], out=tmp_path, say=said.append) != []
    assert "anchored to landmarks" in said[-1]


def pointless_records(data_root: Path | None = None) -> Dataset:
    return blob_records(data_root).remove_columns(["landmarks", "visible", "scheme"])


def test_a_gallery_stays_clean():
    import pandas as pd

    task = swept("quality", ("blur",), options={"pairs": "gallery_probe", "gallery": "g", "probe": "p"})
    assert _probes(task, pd.DataFrame({"media": ["g", "p", "g"]})).tolist() == [False, True, False]


def test_rendered_cells_show_the_same_faces(tmp_path, monkeypatch):
    monkeypatch.setattr("paco_fr.synthetic.store.os.cpu_count", lambda: 1)  # a dozen faces need no processes
    ((base, _),) = select("pose/synthetic")
    few = {
        **base.reader_options,
        "train": 6,
        "validation": 2,
        "test": 3,
        "images_per_identity": 2,
        "photo_size": 48,
    }
    base = replace(base, reader_options=few)
    task = derived_tasks([base])["occlusion/pose/synthetic"]
    task = replace(task, sweep=replace(task.sweep, kinds=("hand",), levels=(1, 5)))
    rows = evaluate_sweep(Pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert [(row.subset, row.level, row.n_expected) for row in rows] == [
        ("clean", 0, 6),
        ("hand", 1, 6),
        ("hand", 5, 6),
    ]
    assert len({row.data_fingerprint for row in rows}) == 3 and {row.chosen["source"] for row in rows} == {
        "rendered"
    }
    items = [read_items(tmp_path / "rows" / f"{row.key}.json").set_index("id").sort_index() for row in rows]
    for table in items[1:]:
        assert table.index.equals(items[0].index)
        assert table["yaw_true"].to_numpy() == pytest.approx(items[0]["yaw_true"].to_numpy())
    assert items[2]["achieved"].mean() > items[1]["achieved"].mean()
    assert evaluate_sweep(Pixels(), Data.load(task, None), out=tmp_path, say=quiet) == []


def test_rows_make_a_summary(tmp_path):
    data = Data.load(swept("quality", ("blur", "noise")), None)
    for encoder in (Pixels(), Constant()):
        evaluate_sweep(encoder, data, out=tmp_path, say=quiet)
    table = summary(sweeps(load_rows(tmp_path / "rows").rows)).set_index("encoder")
    assert table.loc["constant", "drop"] == 0 and np.isnan(table.loc["constant", "relative_drop"])
    assert table.loc["pixels", "worst_kind"] in ("blur", "noise")


def test_names_of_derived_tasks():
    found = derived()
    assert {name.partition("/")[0] for name in found} == set(NAMES)
    assert found["occlusion/pose/synthetic"].sweep.source == "rendered"
    assert found["perturbed-occlusion/pose/synthetic"].sweep.source == "perturbed"
    assert found["occlusion/landmarks/london"].sweep.source == "perturbed"
    assert found["occlusion/landmarks/london"].family == "occlusion/landmarks"
    assert not any(task.sweep for task, _ in select("*"))
    assert all(task.sweep for task, _ in select("occlusion/*"))
    assert [task.name for task, _ in select("occlusion/pose/*, quality/pose/synthetic")][
        -1
    ] == "quality/pose/synthetic"
    with pytest.raises(PacoError, match="occlusion/landmarks/london"):
        select("occlusion/landmarks/londn")


def test_rendered_kinds_are_those_that_pretraining_never_sees():
    from paco_fr.synthetic.spec import TEST_LIGHTS, TEST_OCCLUDERS

    assert set(RENDERED["occlusion"]) == set(TEST_OCCLUDERS) - {"glasses"}
    assert set(RENDERED["illumination"]) == set(TEST_LIGHTS)
