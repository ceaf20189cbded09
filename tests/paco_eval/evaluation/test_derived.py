from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

import paco_eval.features.batches as preparing
import paco_eval.features.fill as filling
import paco_eval.features.perturbed as perturbed
from paco_eval.analysis.robustness import summary, sweeps
from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.cells import changed_units
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import evaluate_all, measure
from paco_eval.features.extract import extract_perturbed
from paco_eval.features.perturbed import Condition
from paco_eval.rows.store import ACHIEVED, find_row, items_path, load_rows, read_items
from paco_fr.contracts import CROPS
from paco_fr.faces.records import COLUMNS
from paco_fr.utils.errors import PacoError
from tasks.derived import NAMES, RENDERED, derived_tasks
from tasks.registry import derived, select
from tasks.splits import ScoredOnly, Test
from tasks.task import Task
from tasks.units import units_of
from tests.paco_eval.conftest import blob_records, blob_task, small_pixels

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
    base = blob_task(kind, reader="tests.paco_eval.evaluation.test_derived:face_records", **changes)
    task = derived_tasks([base])[f"{factor}/{base.name}"]
    return replace(task, sweep=replace(task.sweep, kinds=kinds, levels=levels))


def test_a_sweep_writes_a_row_a_cell_and_its_clean_row_is_the_task(tmp_path):
    task = swept("occlusion", ("boxes", "hand"))
    data = Data.load(task, None)
    rows = measure(small_pixels(), data, out=tmp_path, say=quiet)
    assert [(row.subset, row.level) for row in rows] == [
        ("clean", 0),
        ("boxes", 1),
        ("boxes", 5),
        ("hand", 1),
        ("hand", 5),
    ]
    base = replace(task, name="pose/blobs", sweep=None)
    (plain,) = measure(small_pixels(), Data.load(base, None), out=tmp_path, say=quiet)
    assert rows[0].main.value == pytest.approx(plain.main.value, rel=1e-6), "in single precision"
    boxes = read_items(tmp_path / "rows" / f"{rows[2].key}.json")
    assert boxes["achieved"].to_numpy() == pytest.approx(0.5, abs=0.06)  # a canvas of 48 px is coarse
    assert rows[2].chosen["achieved"] == pytest.approx(boxes["achieved"].mean(), abs=1e-5)
    assert (
        rows[2].chosen["source"] == "perturbed" and rows[2].chosen["perturbation"] == "boxes.v1.level5.seed0"
    )
    assert measure(small_pixels(), data, out=tmp_path, say=quiet) == []
    with pytest.raises(PacoError, match="never"):
        measure(small_pixels(), data, out=tmp_path, overwrite="never", say=quiet)


@pytest.mark.parametrize("kind", ["landmarks", "classification", "verification"])
def test_other_kinds_of_task(kind, tmp_path):
    options = {"landmarks": {"normaliser": "box"}, "verification": {"impostors": 200}}.get(kind, {})
    task = swept("quality", ("blur",), kind=kind, options=options)
    rows = measure(small_pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert len(rows) == 3
    items = read_items(tmp_path / "rows" / f"{rows[2].key}.json")
    assert "prediction" not in items or kind != "landmarks"
    if kind == "verification":
        items = pd.read_parquet(find_row(tmp_path / "rows" / f"{rows[2].key}.json").beside(ACHIEVED))
        assert len(items) == 18 and items["id"].is_unique, "a line for each picture, not for each pair"
    assert rows[2].chosen["achieved"] == pytest.approx(items["achieved"].mean(), abs=1e-5)
    assert len(list((tmp_path / "rows").glob("*.achieved.parquet"))) == (2 if kind == "verification" else 0)


def labelled_records(data_root: Path | None = None) -> Dataset:
    """Return the blobs with two attributes: to the right, and turned down."""
    found = face_records()
    attributes = [
        [int(yaw > 0), int(pitch < 0)] for yaw, pitch in zip(found["yaw"], found["pitch"], strict=True)
    ]
    return found.add_column("attributes", attributes, feature=COLUMNS["attributes"])


def test_lists_of_labels_are_kept_with_every_cell(tmp_path):
    base = blob_task("pose", reader="tests.paco_eval.evaluation.test_derived:labelled_records")
    options = {"classes": ("right", "down")}
    base = replace(base, kind="multilabel", main_metric="mean_accuracy", options=options)
    task = derived_tasks([base])["quality/pose/blobs"]
    task = replace(task, sweep=replace(task.sweep, kinds=("noise",), levels=(1, 5)))
    rows = measure(Pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    clean, _, noisy = (read_items(tmp_path / "rows" / f"{row.key}.json") for row in rows)
    assert np.array_equal(np.stack(noisy["truth"]), np.stack(clean["truth"]))
    own = pd.read_parquet(items_path(tmp_path / "rows" / f"{rows[2].key}.json"))
    assert "truth" not in own and "prediction" in own, "what is as in the clean cell is kept there"
    right = (np.stack(noisy["truth"]) == np.stack(noisy["prediction"])).mean()
    assert rows[2].main.value == pytest.approx(100 * right) and right < 1


def test_each_picture_is_decoded_once_and_encoded_once_a_condition(tmp_path, monkeypatch):
    decoded, encoded = [], []
    read = preparing.read_image
    monkeypatch.setattr(preparing, "read_image", lambda source: decoded.append(1) or read(source))
    encoder = small_pixels()
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


def test_five_levels_of_eight_kinds_are_forty_one_passes(tmp_path, monkeypatch):
    """The set is encoded once clean and once for each of 40 conditions, and decoded once for all 41."""
    counted = {"decoded": [], "pictures": []}
    read = preparing.read_image
    monkeypatch.setattr(preparing, "read_image", lambda s: counted["decoded"].append(1) or read(s))
    monkeypatch.setattr(
        "paco_eval.evaluation.record._flops", lambda encoder: 0.0
    )  # counted on one picture more
    encoder = Pixels(blocks=("4x4",), default_block="4x4")
    monkeypatch.setattr(
        "paco_eval.testing.check_encoder", lambda *_, **__: None
    )  # the probe is a pass of its own
    tokens = encoder.tokens
    monkeypatch.setattr(
        encoder, "tokens", lambda x, blocks: counted["pictures"].append(len(x)) or tokens(x, blocks)
    )
    kinds = ("gamma", "underexposure", "overexposure", "low_light", "blur", "jpeg", "downsampling", "noise")
    task = swept("quality", kinds, (1, 2, 3, 4, 5), reader_options={"people": 5, "pictures": 2}, split="test_only",
                 kind="verification", options={"impostors": 10})  # fmt: skip
    data = Data.load(task, None)
    shown = len(data.views["all"][0])
    rows = measure(encoder, data, out=tmp_path, say=quiet)
    assert len(rows) == 41 and sum(counted["pictures"]) == 41 * shown
    assert len(counted["decoded"]) == shown
    assert len(measure(encoder, data, out=tmp_path, overwrite="always", say=quiet)) == 41
    assert sum(counted["pictures"]) == 41 * shown, "all of it was kept"
    assert rows[0].metrics["eer"].low is not None, "the clean cell"
    assert {name for name, metric in rows[1].metrics.items() if metric.low is not None} <= {task.main_metric}


@pytest.mark.parametrize(("encoders", "flip"), [(1, "sum"), (2, "none")])
def test_no_picture_of_a_sweep_is_decoded_a_second_time(encoders, flip, tmp_path, monkeypatch):
    """Neither for its clean features nor for another encoder; those that heads are fitted on, by each encoder."""
    decoded: dict[bytes, int] = {}
    read = preparing.read_image

    def counting(source):
        decoded[source["bytes"]] = decoded.get(source["bytes"], 0) + 1
        return read(source)

    monkeypatch.setattr(preparing, "read_image", counting)
    task = swept("quality", ("blur", "noise"), flip=flip)
    units = Data.load(task, None).views["all"][0]
    several = [small_pixels(), Constant()][:encoders]
    assert evaluate_all(several, [task], out=tmp_path / "swept", say=quiet) == []
    pictures = [units.records[int(row)]["image"]["bytes"] for row in units.rows]
    tested = (units.labels["split"] == "test").to_numpy()
    assert {decoded[picture] for picture, test in zip(pictures, tested, strict=True) if test} == {1}
    assert {decoded[picture] for picture, test in zip(pictures, tested, strict=True) if not test} == {
        encoders
    }
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "fresh"))
    plain = [replace(task, name="pose/blobs", sweep=None)]
    assert evaluate_all(several, plain, out=tmp_path / "plain", say=quiet) == []
    clean = {
        found.row.encoder: found.row.main.value
        for found in load_rows(tmp_path / "swept").rows
        if found.row.subset == "clean"
    }
    for found in load_rows(tmp_path / "plain").rows:
        assert clean[found.row.encoder] == pytest.approx(found.row.main.value, rel=1e-6)


def test_a_sweep_that_was_cut_short_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """What was stored before the end is not decoded or encoded again."""
    task = swept("quality", ("blur", "noise"), reader_options={"people": 300, "pictures": 2}, split="test_only",
                 kind="verification", options={"impostors": 50})  # fmt: skip
    data, decoded, stored = Data.load(task, None), [], []
    read, store = preparing.read_image, filling.store
    monkeypatch.setattr(filling, "HELD", 1)
    monkeypatch.setattr(preparing, "read_image", lambda source: decoded.append(1) or read(source))

    def dying(*given):
        if len(stored) == 12:
            raise KeyboardInterrupt
        stored.append(1)
        store(*given)

    monkeypatch.setattr(filling, "store", dying)
    with pytest.raises(KeyboardInterrupt):
        measure(Pixels(), data, out=tmp_path, say=quiet)
    before = len(decoded)
    monkeypatch.setattr(filling, "store", store)
    assert len(measure(Pixels(), data, out=tmp_path, say=quiet)) == 5
    assert 128 <= before < 600 and len(decoded) - before <= 600 - 64, (before, len(decoded))


def test_features_do_not_depend_on_the_order_of_units():
    units = units_of(face_records(), swept("quality", ("blur",)).crop)
    encoder, condition = small_pixels(), Condition("boxes", 3)
    layer = (encoder.blocks[0], "flat")
    order = np.random.default_rng(0).permutation(len(units))
    shuffled = extract_perturbed(encoder, units.only(order), layer, [condition])[condition]
    few = extract_perturbed(encoder, units.only(np.arange(5)), layer, [condition])[condition]
    assert np.array_equal(shuffled.features[np.argsort(order)][:5], few.features)


def test_broken_pictures_fail_under_every_condition(tmp_path):
    task = swept("illumination", ("gamma", "side_light"), reader_options={"broken": 2})
    rows = measure(small_pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert {(row.n_expected, row.n_scored) for row in rows} == {(18, 16)}


def astray_records(data_root: Path | None = None) -> Dataset:
    """Return faces of which the last one has its landmarks far outside the picture."""
    found = face_records()
    places = [FIVE] * (len(found) - 1) + [[[x + 900, y] for x, y in FIVE]]
    found = found.remove_columns("landmarks")
    return found.add_column("landmarks", places, feature=COLUMNS["landmarks"])


def test_a_face_outside_its_canvas_fails_where_it_is_needed_and_nowhere_else(tmp_path):
    base = blob_task("pose", reader="tests.paco_eval.evaluation.test_derived:astray_records")
    task = derived_tasks([base])["illumination/pose/blobs"]
    task = replace(task, sweep=replace(task.sweep, kinds=("gamma", "cast_shadow"), levels=(3,)))
    rows = measure(small_pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert {row.subset: row.n_scored for row in rows} == {"clean": 18, "gamma": 18, "cast_shadow": 17}
    items = read_items(tmp_path / "rows" / f"{rows[2].key}.json").set_index("id")
    assert items.loc["19-2", "failure"] and np.isnan(items.loc["19-2", "achieved"])


def test_without_landmarks_anchored_kinds_are_left_out_or_refused(tmp_path):
    base = blob_task("pose", reader="tests.paco_eval.evaluation.test_derived:pointless_records")
    found = derived_tasks([base])
    said: list[str] = []
    light = replace(
        found["illumination/pose/blobs"], sweep=replace(found["illumination/pose/blobs"].sweep, levels=(3,))
    )
    rows = measure(small_pixels(), Data.load(light, None), out=tmp_path, say=said.append)
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
    task = swept("quality", ("blur",), options={"pairs": "gallery_probe", "gallery": "g", "probe": "p"})
    labels = pd.DataFrame({"media": ["g", "p", "g", "p"]})
    split = ScoredOnly(Test(np.array([0, 1, 2])), "")
    assert changed_units(task, labels, split).tolist() == [1]


def test_rendered_cells_show_the_same_faces(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "paco_fr.synthetic.dataset.os.cpu_count", lambda: 1
    )  # a dozen faces need no processes
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
    rows = measure(small_pixels(), Data.load(task, None), out=tmp_path, say=quiet)
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
    assert measure(small_pixels(), Data.load(task, None), out=tmp_path, say=quiet) == []


def test_rows_make_a_summary(tmp_path):
    data = Data.load(swept("quality", ("blur", "noise")), None)
    for encoder in (small_pixels(), Constant()):
        measure(encoder, data, out=tmp_path, say=quiet)
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


def test_encoders_share_pictures_that_are_made_once(tmp_path, monkeypatch):
    task = swept("quality", ("blur", "noise"))
    encoders = [Pixels(blocks=("4x4", "8x8")), Constant()]
    for encoder in encoders:
        assert not evaluate_all([encoder], [task], out=tmp_path / "apart", say=quiet)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "fresh"))
    made = []
    change = perturbed.perturb
    monkeypatch.setattr(perturbed, "perturb", lambda *given, **more: made.append(1) or change(*given, **more))
    assert not evaluate_all(encoders, [task], out=tmp_path / "together", say=quiet)
    assert len(made) == 18 * 4, "pictures under four conditions, for both encoders at once"
    apart, together = (
        {found.row.key: found.row.metrics for found in load_rows(tmp_path / name).rows}
        for name in ("apart", "together")
    )
    assert apart == together and len(apart) == 10
    assert not evaluate_all(encoders, [task], out=tmp_path / "together", say=quiet), "all is there already"
    assert len(made) == 18 * 4


def test_an_encoder_that_fails_leaves_the_others_their_sweep(tmp_path):
    task, said = swept("quality", ("blur",)), []
    broken = Pixels(name="broken", weight_hash="broken", required_crop=CROPS["farl"])
    assert len(evaluate_all([broken, Constant()], [task], out=tmp_path, say=said.append)) == 1
    assert len(load_rows(tmp_path).rows) == 3
    assert "broken: needs the crop" in said[0]


def test_sweeps_of_rendered_faces_show_the_first_identities(tmp_path):
    task = swept("quality", ("blur",))
    few = replace(task, sweep=replace(task.sweep, identities=2))
    rows = measure(Constant(), Data.load(few, None), out=tmp_path, say=quiet)
    assert {(row.n_expected, row.n_scored) for row in rows} == {(6, 6)}
    for row in rows:
        assert set(read_items(tmp_path / "rows" / f"{row.key}.json")["group"]) == {"p14", "p15"}
    found = derived()
    assert (
        found["quality/pose/synthetic"].sweep.identities
        == found["occlusion/pose/synthetic"].sweep.identities
        == 40
    )
    assert found["quality/landmarks/wflw"].sweep.identities is None
