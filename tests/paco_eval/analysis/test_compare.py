"""Comparison against a baseline: paired, told apart from chance, and refused where it would be unfair."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from paco_eval.analysis.compare import Comparison, compare
from paco_eval.analysis.significance import MetricOf, metrics_of_tasks
from paco_eval.cli import main
from paco_eval.report.build import build_report
from paco_eval.report.tables.comparison import comparison_tables
from paco_eval.report.tables.formats import to_csv, to_latex, to_markdown
from paco_eval.rows.schema import Metric
from paco_eval.rows.store import Stored, items_path, load_rows, write_row
from paco_fr.contracts import CROPS, content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks.registry import all_tasks
from tasks.task import Task
from tests.fixtures.made_rows import TASKS, Made, make_row
from tests.paco_eval.analysis.test_robustness import write_sweep

POSE, LANDMARKS = TASKS[2], TASKS[3]
METRIC_OF: MetricOf = metrics_of_tasks(
    [
        Task("pose/synthetic", 1, "pose", "tests:none", CROPS["box"], "mae", licence="", obtain=""),
        Task(
            "landmarks/synthetic",
            1,
            "landmarks",
            "tests:none",
            CROPS["box"],
            "nme_box",
            licence="",
            obtain="",
        ),
    ]
)


def store(folder: Path, encoder: str, shift: float, made: Made = POSE, **changed: object) -> None:
    rng = generator("compare", 0)
    errors = (
        np.repeat(rng.gamma(3, 2, 40), 3)
        + generator("compare", 1, *encoder.encode()).normal(0, 0.2, 120)
        + shift
    )
    items = pd.DataFrame({"id": np.arange(120).astype(str), "group": np.repeat(np.arange(40), 3).astype(str)})
    value = float(errors.mean())
    metric = Metric(value=value, low=value - 1, high=value + 1, higher_is_better=False, unit=made.unit)
    fields = {"metrics": {made.main: metric}, "n_expected": 120, "n_scored": 120, **changed}
    row, _ = make_row(encoder, made, **fields)
    write_row(folder / "rows", row, items.assign(error=errors, nme_box=errors, failure=""))


def seeds(folder: Path, method: str, shift: float, made: Made = POSE) -> None:
    for seed in range(3):
        store(folder, f"{method}:{seed}", shift + 0.02 * seed, made, method=method, pretrain_seed=seed)


def write_all(folder: Path) -> Path:
    for made in (POSE, LANDMARKS):
        seeds(folder, "paco", 1.0, made)
        seeds(folder, "mae", 0.0, made)
        store(folder, "pixels", 4.0, made)
        store(folder, "simmim-tiny", 0.5, made, pretrain_seed=0)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that a test may add to."""
    return write_all(tmp_path)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    rows = load_rows(write_all(tmp_path_factory.mktemp("run"))).rows
    return compare(rows, "mae", metric_of=METRIC_OF, replicates=200)


def frame_of(comparison: Comparison) -> pd.DataFrame:
    """Return a line for each difference."""
    return pd.DataFrame(
        [
            {
                "encoder": d.encoder, "task": d.column.task, "value": d.value, "reference": d.reference,
                "difference": d.interval.value, "low": d.interval.low, "high": d.interval.high,
                "p_value": d.p_value, "p_adjusted": d.p_adjusted, "verdict": d.verdict,
            }
            for d in comparison.differences
        ]
    )  # fmt: skip


def test_differences_and_verdicts(comparison: Comparison) -> None:
    frame = frame_of(comparison).set_index(["encoder", "task"])
    assert comparison.problems == [] and len(frame) == 6
    assert frame.loc[("paco", "pose/synthetic"), "difference"] == pytest.approx(1.0, abs=0.1)
    assert dict(frame.verdict.groupby("encoder").first()) == {
        "paco": "worse", "pixels": "worse", "simmim-tiny": "observed",
    }  # fmt: skip
    assert (frame.low <= frame.difference).all() and (frame.difference <= frame.high).all()
    assert (frame.value - frame.reference - frame.difference).abs().max() < 1e-9


def test_families_are_won_and_lost_over_their_tasks(run: Path) -> None:
    hard = Made("pose/synthetic_hard", "mae", "deg", False, 9.0, 5.4)
    for encoder in ("paco", "mae"):
        seeds(run, encoder, 1.0 if encoder == "paco" else 0.0, hard)
    store(run, "pixels", 4.0, hard, subset="frontal")
    known = [Task(name, 1, "pose", "tests:none", CROPS["box"], "mae", licence="", obtain="") for name in (
        "pose/synthetic", "pose/synthetic_hard")]  # fmt: skip
    landmarks = METRIC_OF
    poses = metrics_of_tasks(known)
    found = compare(
        load_rows(run).rows, "mae", replicates=400,
        metric_of=lambda row, name: poses(row, name) or landmarks(row, name),
    ).families  # fmt: skip
    by_name = {(family.encoder, family.family): family for family in found}
    assert by_name["paco", "pose"].tasks == ("pose/synthetic", "pose/synthetic_hard")
    assert by_name["pixels", "pose"].tasks == ("pose/synthetic",), "subsets are no tasks of their own"
    assert {key: family.verdict for key, family in by_name.items()} == {
        ("paco", "landmarks"): "worse", ("paco", "pose"): "worse", ("pixels", "landmarks"): "worse",
        ("pixels", "pose"): "worse", ("simmim-tiny", "landmarks"): "observed", ("simmim-tiny", "pose"): "observed",
    }  # fmt: skip
    assert all(family.interval.value < 0 for family in found), "positive is better, these are errors above"


def test_the_other_way_round(run: Path) -> None:
    frame = frame_of(compare(load_rows(run).rows, "pixels", metric_of=METRIC_OF, replicates=200))
    assert set(frame[frame.encoder == "mae"].verdict) == {"better"}
    assert set(frame[frame.encoder == "simmim-tiny"].verdict) == {"observed"}, "one seed never reads better"


def test_summary_counts_ranks_and_costs(comparison: Comparison) -> None:
    summary = comparison.summary
    assert summary.loc["pixels", "worse"] == 2 and summary.loc["simmim-tiny", "observed"] == 2
    assert summary.loc["mae", ["better", "worse"]].isna().all()
    assert summary.mean_rank.to_dict() == {"mae": 1, "simmim-tiny": 2, "paco": 3, "pixels": 4}
    assert (summary.images_per_s == 950).all()


def test_unfair_comparisons_are_refused_by_name(run: Path) -> None:
    store(run, "farl:a", 0.0, crop_hash="another")
    store(run, "farl:b", 0.0, data_fingerprint="another")
    store(run, "farl:c", 0.0, task_version=2)
    store(run, "farl:d", 0.0, protocol="fine-tune")
    store(run, "farl:e", 0.0, data_kind="mimic")
    found = compare(load_rows(run).rows, "mae", metric_of=METRIC_OF, replicates=50)
    assert not any(d.encoder.startswith("farl") for d in found.differences)
    said = "\n".join(found.problems)
    for words in (
        "farl:a on pose/synthetic, synthetic v1, frozen: another face crop", "farl:b on pose/synthetic",
        "other images", "farl:c on pose/synthetic, synthetic v2",
        "farl:d on pose/synthetic, synthetic v1, fine-tune",
        "Mean rank: 4 of 4 scores are missing",
    ):  # fmt: skip
        assert words in said, words
    assert "farl:e" not in said, "a miniature is not there at all"
    assert comparison_tables(found)[0].lines, "the rest still comes"


def test_p_values_are_adjusted_over_the_claimable_differences_of_a_table(comparison: Comparison) -> None:
    frame = frame_of(comparison).set_index(["encoder", "task"])
    assert frame.loc["simmim-tiny"].p_adjusted.isna().all(), "what is only observed is no test"
    claimed = frame.dropna(subset="p_adjusted")
    assert len(claimed) == 4
    # All four lie at the floor of 200 replicates, 2 / 201: Holm multiplies the first by four, and all follow.
    np.testing.assert_allclose(claimed.p_value, 2 / 201)
    np.testing.assert_allclose(claimed.p_adjusted, 8 / 201)


def test_one_lucky_difference_among_many_is_no_claim(tmp_path: Path) -> None:
    """Twelve encoders that are equal to the baseline but for noise, and one of them a little off."""
    for name in ("pixels", *(f"timm:{i}" for i in range(12))):
        store(tmp_path, name, 0.05 if name == "timm:0" else 0.0)
    rows = load_rows(tmp_path).rows
    frame = frame_of(compare(rows, "pixels", metric_of=METRIC_OF))
    assert len(frame) == 12 and (frame.p_adjusted >= frame.p_value).all()
    assert ((frame.low > 0) | (frame.high < 0)).any(), "some intervals exclude zero by chance"
    assert (frame.verdict == "not distinguishable").all()
    few = compare(rows, "pixels", metric_of=METRIC_OF, replicates=50)
    assert any("12 differences need more than 50 replicates" in problem for problem in few.problems)
    assert "over the 12 differences" in to_markdown(comparison_tables(few)[-1])


def test_a_baseline_that_is_not_there(run: Path) -> None:
    with pytest.raises(PacoError, match="Did you mean pixels"):
        compare(load_rows(run).rows, "pixel", metric_of=METRIC_OF)


def test_a_metric_that_nobody_defines_is_told(run: Path) -> None:
    odd = Made("pose/synthetic", "mea", "deg", False, 21.0, 5.4)
    for encoder in ("pixels", "mae:0"):
        store(run, encoder, 1.0, odd, subset="odd", method="mae" if encoder == "mae:0" else "pixels")
    found = compare(load_rows(run).rows, "mae", metric_of=METRIC_OF, replicates=50)
    said = [problem for problem in found.problems if "no definition of its metric" in problem]
    assert len(said) == 1 and said[0].startswith("pixels on pose/synthetic, synthetic v1, odd")
    assert found.differences, "the rest still comes"


def test_all_bad_input_at_once_is_told_and_the_tables_still_come(run: Path) -> None:
    (run / "empty").mkdir()
    rows = load_rows(run).rows
    paths = [stored.path for stored in rows if stored.row.encoder.startswith("paco")]
    store(run / "again", "pixels", 0.0)  # disagrees with the run's own
    paths[0].write_text(paths[0].read_text()[:200])
    content = {name: value for name, value in json.loads(paths[1].read_text()).items() if name != "digest"}
    newer = {**content, "schema": 99}
    paths[1].write_text(json.dumps({**newer, "digest": content_hash(newer)}))
    items_path(paths[2]).write_bytes(b"")
    words = ["compare", run, run / "again", run / "empty", "--baseline", "pixel", "--out", run / "out"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2 and "Did you mean pixels" in done.output
    for told in ("no readable row", "row format 99", "disagrees with", "empty: no rows", "not the items"):
        assert told in done.output, told
    page = (run / "out" / "report.html").read_text()
    assert "Pose, frozen" in page and "Left out" in page and "Comparison with" not in page


def test_other_items_are_told(run: Path) -> None:
    row, items = make_row("timm:a", POSE, n_expected=120, n_scored=120)
    write_row(run / "rows", row, items.head(120).assign(error=1.0))
    found = compare(load_rows(run).rows, "mae", metric_of=METRIC_OF, replicates=50)
    assert any("timm:a" in problem and "units" in problem for problem in found.problems)


def test_tables_and_report(run: Path, comparison: Comparison) -> None:
    summary, families, differences = comparison_tables(comparison)
    assert [column.task for column in families.columns] == ["family/landmarks", "family/pose"]
    assert "observed" in to_markdown(families) and "landmarks: synthetic; pose: synthetic" in families.caption
    headings = [column.heading for column in summary.columns]
    assert headings[:3] == ["better ↑", "worse ↓", "not distinguishable"]
    text = to_markdown(differences)
    assert "worse" in text and "observed" in text and "paired difference" in text and "+3.9" in text
    assert "pose/synthetic v1" in text and "landmarks/synthetic v1" in text, "datasets of two families"
    assert r"\toprule" in to_latex(differences) and "worse" in to_csv([differences])
    report = build_report(run, run / "out", formats=["html", "md"], comparison=comparison)
    html = (run / "out" / "report.html").read_text()
    assert "Difference to mae, frozen" in html and "Comparison with mae" in html and report.problems == []
    sources = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))["sources"]  # type: ignore[union-attr]
    asked = {key for keys in re.findall(r'data-k="([^"]*)"', html) for key in keys.split(" ")}
    assert asked == set(sources), "every number that can be asked has an answer"


def test_stored_rows_are_what_is_compared(comparison: Comparison) -> None:
    assert all(isinstance(stored, Stored) for d in comparison.differences for stored in d.rows)
    assert {len(d.rows) for d in comparison.differences} == {6, 4}


def test_items_of_an_older_layout_are_told(run: Path) -> None:
    row, _ = make_row("timm:old", LANDMARKS, n=120, n_expected=120, n_scored=120)
    other = load_rows(run).rows[0].items()
    write_row(run / "rows", row, other[["id", "group"]].assign(failure=""))
    found = compare(load_rows(run).rows, "mae", metric_of=METRIC_OF, replicates=50)
    assert any("timm:old" in problem and "no column" in problem for problem in found.problems)


def test_sweeps_are_compared_by_their_drops(tmp_path: Path) -> None:
    for seed in (0, 1):
        for method, lost in (("paco/tiny", 1.0), ("mae/tiny", 3.0)):
            name = f"paco:{method}-{seed}"
            write_sweep(tmp_path, name, {"boxes": lost + seed / 4, "hand": lost}, seed=seed, method=method)
    write_sweep(tmp_path, "paco:once", {"boxes": 0.5, "hand": 0.5}, seed=3, method="simmim/tiny")
    write_sweep(tmp_path, "pixels", {"boxes": 2.0}, kinds=("boxes",))
    write_sweep(tmp_path, "constant", {}, clean=20.0)
    definitions = metrics_of_tasks(all_tasks().values())
    found = compare(load_rows(tmp_path).rows, "mae/tiny", metric_of=definitions, replicates=400)
    verdicts = {difference.encoder: difference for difference in found.differences}
    ours = verdicts["paco/tiny"]
    assert (ours.column.metric, ours.column.place, ours.verdict) == ("drop", "synthetic v1", "better")
    assert (ours.value, ours.reference) == pytest.approx((1.59375, 4.59375)) and len(ours.rows) == 20
    assert ours.interval.value == pytest.approx(-3.0)
    assert verdicts["paco:once"].verdict == "observed"
    assert "constant" not in verdicts, "it has nothing to lose"
    assert "pixels" not in verdicts and any("other kinds or levels" in line for line in found.problems)
    build_report(tmp_path, tmp_path / "out", formats=["md", "html"], comparison=found)
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "−3.00 better" in text and "drop (°) ↓" in text
    families = {family.encoder: family for family in found.families}
    assert families["paco/tiny"].interval.value > 0, "a smaller drop is better"
