"""Rows are made, not measured: errors are 5 degrees clean, and grow by what each encoder loses a level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paco_eval.analysis.robustness import (
    YAW_EDGES,
    angle_by_level,
    by_angle,
    item_angles,
    metric_of,
    replicated_drops,
    summary,
    sweeps,
)
from paco_eval.report.charts.sweeps import heat_map
from paco_eval.rows.schema import Metric
from paco_eval.rows.store import Stored, load_rows, write_row
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_rows import Made, make_row

POSE = Made("perturbed-occlusion/pose/synthetic", "mae", "deg", False, 21.0, 5.4)
N = 120


def write_sweep(
    folder,
    encoder,
    lost,
    *,
    clean=5.0,
    kinds=("boxes", "hand"),
    seed=0,
    source="perturbed",
    width=0.5,
    made=POSE,
    **changed,
):
    """Write rows whose error grows by ``lost[kind]`` a level."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 0.3, N)
    yaw = np.random.default_rng(9).uniform(-75, 75, N)
    for kind, level in [("clean", 0), *((kind, level) for kind in kinds for level in (1, 2))]:
        error = clean + base - base.mean() + lost.get(kind, 0.0) * level
        items = pd.DataFrame({
            "id": [f"{i:04d}" for i in range(N)], "group": [f"p{i // 4:03d}" for i in range(N)], "failure": "",
            "error": error, "yaw_true": yaw, "pitch_true": yaw / 3,
        })  # fmt: skip
        value = float(error.mean())
        main = Metric(
            value=value, low=value - width, high=value + width, higher_is_better=made.higher, unit=made.unit
        )
        row, _ = make_row(
            encoder, made, subset=kind, level=level, metrics={made.main: main}, pretrain_seed=seed,
            chosen={"source": source, "achieved": None if level == 0 else level / 10},
            **changed,
        )  # fmt: skip
        write_row(folder / "rows", row, items)


def load(folder) -> list:
    return sweeps(load_rows(folder).rows)


def test_drops_and_the_worst_kind(tmp_path):
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0, "hand": 3.0})
    write_sweep(tmp_path, "constant", {}, clean=11.0)
    constant, ours = load(tmp_path)
    table = summary([constant, ours]).set_index("encoder")
    line = table.loc["timm:a"]
    assert line["drop"] == pytest.approx(3.0) and line["mean"] == pytest.approx(8.0)
    assert line["relative_drop"] == pytest.approx(3.0 / 6.0)
    assert (line["worst_kind"], line["worst_drop"]) == ("hand", pytest.approx(4.5))
    assert np.isnan(table.loc["constant", "relative_drop"])


@pytest.mark.parametrize("clean", [10.6, 11.3, 13.0])
def test_where_nothing_was_known_no_relative_drop_is_shown(clean, tmp_path):
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0}, clean=clean)
    write_sweep(tmp_path, "constant", {}, clean=11.0)
    table = summary(load(tmp_path)).set_index("encoder")
    assert np.isnan(table.loc["timm:a", "relative_drop"]) and "constant" in table.loc["timm:a", "note"]


def test_without_a_constant_there_is_no_relative_drop(tmp_path):
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0})
    assert "no score of constant" in summary(load(tmp_path))["note"][0]


def test_drops_are_compared_in_pairs(tmp_path):
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0, "hand": 1.0})
    write_sweep(tmp_path, "timm:b", {"boxes": 2.0, "hand": 4.0}, clean=7.0)
    ours, other = load(tmp_path)
    difference = replicated_drops([ours], [other], replicates=200).interval()
    assert difference.value == pytest.approx(1.5 - 4.5)
    assert difference.low == pytest.approx(-3.0) and difference.high == pytest.approx(
        -3.0
    )  # everybody loses alike
    back = replicated_drops([other], [ours], replicates=200).interval()
    assert back.value == pytest.approx(3.0)
    assert replicated_drops([ours], [ours], replicates=50).interval() == pytest.approx((0.0, 0.0, 0.0))


def test_seeds_are_drawn_too(tmp_path):
    for seed, lost in enumerate((0.5, 1.0, 1.5)):
        write_sweep(tmp_path, "paco-tiny", {"boxes": lost}, kinds=("boxes",), seed=seed)
        write_sweep(tmp_path, "mae-tiny", {"boxes": lost + 1}, kinds=("boxes",), seed=seed)
    found = load(tmp_path)
    ours = [sweep for sweep in found if sweep.clean.encoder == "paco-tiny"]
    others = [sweep for sweep in found if sweep.clean.encoder == "mae-tiny"]
    difference = replicated_drops(ours, others, replicates=400).interval()
    assert difference.value == pytest.approx(-1.5)
    assert difference.low < -1.7 and difference.high > -1.3


def test_what_cannot_be_compared_is_refused(tmp_path):
    write_sweep(tmp_path / "a", "timm:a", {"boxes": 1.0})
    write_sweep(tmp_path / "b", "timm:b", {"scarf": 1.0}, kinds=("scarf",))
    (ours,), (other,) = load(tmp_path / "a"), load(tmp_path / "b")
    with pytest.raises(PacoError, match="share no kind"):
        replicated_drops([ours], [other])
    with pytest.raises(PacoError, match="both sides"):
        replicated_drops([ours], [])
    write_sweep(tmp_path / "c", "timm:c", {"boxes": 1.0}, source="rendered")
    with pytest.raises(PacoError, match="rendered and perturbed"):
        load([tmp_path / "a", tmp_path / "c"])


def test_an_incomplete_sweep_is_left_out(tmp_path):
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0})
    kept = [stored for stored in load_rows(tmp_path).rows if stored.row.level != 0]
    assert sweeps(kept) == [] and all(isinstance(each, Stored) for each in kept)


def test_scores_against_angles(tmp_path):
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0, "hand": 3.0})
    (sweep,) = load(tmp_path)
    items, metric = sweep.cells["clean", 0].items(), metric_of(sweep.clean)
    bins = by_angle(items, metric, "yaw", YAW_EDGES)
    assert len(bins) == 10 and bins["n"].sum() == N
    yaw = items["yaw_true"].to_numpy()
    inside = (yaw >= -75) & (yaw < -60)
    expected = items["error"][inside].mean() if inside.sum() >= 10 else np.nan
    assert bins["value"][0] == pytest.approx(expected, nan_ok=True)
    levels, values = angle_by_level(sweep, edges=(-75, -25, 25, 75))
    assert levels == (0, 1, 2) and values.shape == (3, 3)
    assert np.diff(values, axis=0) == pytest.approx(2.0)
    panel = heat_map(
        values,
        levels=levels,
        edges=(-75, -25, 25, 75),
        head="t",
        xlabel="x",
        ylabel="y",
        higher_is_better=False,
    )
    assert panel.rows[0] == "clean" and panel.shades.max() == 1.0 and panel.shades.shape == values.shape
    assert panel.shades.argmax() == np.argmax(values), "the darker, the worse"


def test_a_pair_stands_at_the_more_turned_of_its_pictures():
    pairs = pd.DataFrame({"yaw_a": [10.0, -60.0], "yaw_b": [-20.0, 30.0]})
    assert item_angles(pairs, "yaw").tolist() == [-20.0, -60.0]
    with pytest.raises(PacoError, match="pitch"):
        item_angles(pairs, "pitch")
