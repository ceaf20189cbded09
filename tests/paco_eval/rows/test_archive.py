"""An archive opens as the rows that were packed, and says which of its files is not what was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from paco_eval.analysis.compare import compare
from paco_eval.analysis.robustness import replicated_drops, sweeps
from paco_eval.cli import main
from paco_eval.experiments.repro import seeds_beside
from paco_eval.report.build import build_report
from paco_eval.rows.archive import BESIDE, MANIFEST, write_archive
from paco_eval.rows.schema import Metric, Row
from paco_eval.rows.store import Stored, find_row, load_rows, write_row
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_rows import TASKS, make_row, write_run
from tests.paco_eval.analysis.test_compare import METRIC_OF, write_all
from tests.paco_eval.analysis.test_robustness import POSE, write_sweep

VERIFICATION = TASKS[0]
ODD = {"data": "", "weights": "null"}


def packed(run: Path) -> Path:
    """Pack the rows of a run and return the archive."""
    write_archive(run / "archive", load_rows(run / "rows").rows)
    return run / "archive"


def opened(archive: Path) -> dict[str, Stored]:
    rows, problems = load_rows(archive)
    assert not problems
    return {stored.row.key: stored for stored in rows}


def fields(row: Row) -> dict[str, object]:
    """Return the fields of a row that an archive keeps, in the digits that it keeps."""

    def rounded(value: object) -> object:
        if isinstance(value, dict):
            return {name: rounded(each) for name, each in value.items()}
        return float(f"{value:.8g}") if isinstance(value, float) else value

    content = row.model_dump(exclude={"digest", "items_sha256"})
    return {name: rounded(value) for name, value in content.items()}


def test_rows_and_items_come_back(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=(0, 1))
    back = opened(packed(run))
    rows = load_rows(run / "rows").rows
    assert len(rows) > 50 and {stored.row.key for stored in rows} == set(back)
    for stored in rows:
        found = back[stored.row.key]
        assert fields(found.row) == fields(stored.row)
        ours, theirs = found.items(), stored.items()
        assert set(ours) == set(theirs) and found.path.name == f"archive#{stored.row.key}"
        for name in set(theirs) - {"score"}:
            pd.testing.assert_series_equal(ours[name], theirs[name], check_dtype=False, rtol=1e-6)


def test_scores_of_pairs_keep_their_order_and_with_folds_their_values(tmp_path: Path) -> None:
    row, items = make_row("pixels", VERIFICATION)
    items = items.assign(id_a=items["id"], id_b=items["id"])
    items.loc[3, "score"] = np.nan
    items.loc[4, "score"] = items.loc[5, "score"]
    folded = row.model_copy(update={"encoder": "constant"})
    folded = Row(**folded.model_dump(by_alias=True, exclude={"key"}))
    write_row(tmp_path / "rows", row, items)
    write_row(tmp_path / "rows", folded, items.assign(fold=0))
    back = opened(packed(tmp_path))
    order = back[row.key].items()["score"]
    assert order.rank().equals(items["score"].rank()) and np.isnan(order[3])
    assert np.allclose(back[folded.key].items()["score"], items["score"], equal_nan=True)


def test_cells_are_lines_of_a_table_and_sweeps_as_before(tmp_path: Path) -> None:
    write_sweep(tmp_path, "paco-tiny", {"boxes": 1.0, "hand": 3.0})
    write_sweep(tmp_path, "mae-tiny", {"boxes": 2.0, "hand": 4.0}, width=0.0)
    write_sweep(tmp_path, "constant", {}, clean=11.0)
    rows = load_rows(tmp_path / "rows").rows
    archive = packed(tmp_path)
    table = pd.read_csv(archive / "cells" / "pose.csv")
    assert len(table) == 12 and len((archive / "rows.jsonl").read_text().splitlines()) == 3
    assert (
        list(table.columns[:4]) == ["task", "encoder", "subset", "level"]
        and table["task"].is_monotonic_increasing
    )
    back = opened(archive)
    for stored in rows:
        assert fields(back[stored.row.key].row) == fields(stored.row)
    before, after = sweeps(rows), sweeps(back.values())
    drops = [replicated_drops(found[1:2], found[2:3]).interval() for found in (before, after)]
    assert tuple(drops[1]) == pytest.approx(tuple(drops[0]), rel=1e-5)


def test_a_cell_unlike_its_clean_row_is_written_whole_and_odd_words_survive(tmp_path: Path) -> None:
    write_sweep(tmp_path, "paco-tiny", {"boxes": 1.0, "hand": 3.0})
    word = Metric(value=None, higher_is_better=False, unit="deg")
    chosen = {"source": "perturbed", "achieved": None}
    for level, changed in enumerate(
        (
            {"data_fingerprint": "1234567890123456", "chosen": chosen},
            {"data_fingerprint": "12e4", "chosen": {**chosen, "achieved": 'a, "b"'}, "licences": ODD},
            {"chosen": {**chosen, "more": True}},
            {"chosen": chosen, "metrics": {"mae": word}, "interval": None},
        ),
        start=3,
    ):  # fmt: skip
        _, items = make_row("paco-tiny", POSE)
        metrics = {"mae": Metric(value=5.0, low=None, high=None, higher_is_better=False, unit="deg")}
        row, _ = make_row("paco-tiny", POSE, subset="boxes", level=level, **{"metrics": metrics, **changed})
        write_row(tmp_path / "rows", row, items)
    rows = load_rows(tmp_path / "rows").rows
    back = opened(packed(tmp_path))
    assert len((tmp_path / "archive" / "rows.jsonl").read_text().splitlines()) == 3
    for stored in rows:
        assert fields(back[stored.row.key].row) == fields(stored.row)


def test_cells_keep_what_their_main_metric_reads(tmp_path: Path) -> None:
    for level in (0, 1):
        row, items = make_row("pixels", POSE, subset="clean" if not level else "boxes", level=level)
        points = [[[1.0, 2.0]]] * len(items)
        items = items.assign(
            error_yaw=items["error"] + level, yaw_pred=1.0, nme_visible=items["error"], prediction=points
        )
        write_row(tmp_path / "rows", row, items)
    for stored in opened(packed(tmp_path)).values():
        kept = set(stored.items())
        assert {"error", "yaw_true", "nme_visible"} <= kept and not {"prediction", "yaw_pred"} & kept
        assert "geodesic" not in kept
        assert ("error_yaw" in kept) == (stored.row.level == 0), (
            "equal to the main error where nothing was added"
        )
    assert "error_yaw" in BESIDE


def test_comparisons_and_tables_are_the_same(tmp_path: Path) -> None:
    run = write_all(tmp_path / "run")
    archive = packed(run)
    both = [
        compare(load_rows(place).rows, "mae", metric_of=METRIC_OF, replicates=200)
        for place in (run / "rows", archive)
    ]
    for before, after in zip(both[0].differences, both[1].differences, strict=True):
        assert (before.encoder, before.column, before.verdict) == (after.encoder, after.column, after.verdict)
        assert before.interval == pytest.approx(after.interval, rel=1e-5)
        assert before.p_value == after.p_value
    texts = []
    for place in (run / "rows", archive):
        build_report(place, tmp_path / "out", formats=["md", "html"], metric_of=METRIC_OF)
        texts.append((tmp_path / "out" / "tables.md").read_text())
    assert texts[0] == texts[1] and "paco" in texts[0]


@pytest.mark.parametrize("name", ["rows.jsonl", "encoders.json", "cells/pose.csv"])
def test_a_damaged_text_is_named(tmp_path: Path, name: str) -> None:
    write_sweep(tmp_path, "paco-tiny", {"boxes": 1.0})
    file = packed(tmp_path) / name
    file.write_text(file.read_text().replace("paco", "mae", 1))
    rows, problems = load_rows(tmp_path / "archive")
    assert not rows and len(problems) == 1 and f"{file}: not what the archive was written with" in problems[0]
    file.unlink()
    assert f"{file}: a part of an archive that cannot be read" in load_rows(tmp_path / "archive").problems[0]


def test_damaged_items_are_named_when_they_are_asked_for(tmp_path: Path) -> None:
    write_sweep(tmp_path, "paco-tiny", {"boxes": 1.0})
    file = packed(tmp_path) / "items" / "pose.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    stored = load_rows(tmp_path / "archive").rows[0]
    with pytest.raises(PacoError, match=r"items/pose\.parquet: not what the archive was written with"):
        stored.items()


def test_a_manifest_that_is_none_or_newer_is_told(tmp_path: Path) -> None:
    write_sweep(tmp_path, "paco-tiny", {"boxes": 1.0})
    manifest = packed(tmp_path) / MANIFEST
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"format": 99}))
    assert (
        "archive format 99, this version reads up to 1. Upgrade."
        in load_rows(tmp_path / "archive").problems[0]
    )
    manifest.write_text("{}")
    assert f"{manifest}: no part of an archive" in load_rows(tmp_path / "archive").problems[0]


def test_archives_and_folders_merge(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", ["paco-tiny", "pixels"], TASKS[2:4])
    second = write_run(tmp_path / "b", ["mae-tiny", "pixels"], TASKS[2:4])
    both = load_rows([packed(first), packed(second)])
    assert len(both.rows) == 6 and not both.problems
    mixed = load_rows([packed(first), second / "rows"])
    assert {s.row.key for s in mixed.rows} == {s.row.key for s in both.rows} and not mixed.problems
    again = write_archive(tmp_path / "c", both.rows)
    assert set(opened(tmp_path / "c")) == {s.row.key for s in both.rows} and len(again) == 5
    row, items = make_row("pixels", TASKS[2])
    other = row.main.model_copy(update={"value": row.main.value + 0.01})
    write_row(
        tmp_path / "d", row.model_copy(update={"metrics": {**row.metrics, row.main_metric: other}}), items
    )
    told = load_rows([tmp_path / "c", tmp_path / "d"])
    assert (
        len(told.rows) == 6 and len(told.problems) == 1 and f"{tmp_path / 'c'}#{row.key}" in told.problems[0]
    )


def test_an_archive_replaces_the_one_that_it_was_read_from(tmp_path: Path) -> None:
    archive = packed(write_run(tmp_path, ["paco-tiny", "pixels"]))
    before = {file: file.read_bytes() for file in archive.rglob("*") if file.is_file()}
    write_archive(archive, load_rows(archive).rows)
    assert before == {file: file.read_bytes() for file in archive.rglob("*") if file.is_file()}
    write_archive(archive, [stored for stored in load_rows(archive).rows if stored.row.family == "pose"])
    assert [file.name for file in (archive / "items").iterdir()] == ["pose.parquet"]


def test_a_row_is_found_by_its_key(tmp_path: Path) -> None:
    archive = packed(write_run(tmp_path, ["paco-tiny"], TASKS[2:3], seeds=(0, 1, 2)))
    key = load_rows(archive).rows[0].row.key
    found = find_row(f"{archive}#{key}")
    assert found.row.key == key and len(found.items()) and str(found.path) == f"{archive}#{key}"
    assert {row.pretrain_seed for row in seeds_beside(found)} == {0, 1, 2}
    with pytest.raises(PacoError, match="no row has the key '0123'"):
        find_row(f"{archive}#0123")
    with pytest.raises(PacoError, match="no readable row"):
        find_row(tmp_path / "nothing.json")


def test_the_command_writes_one(tmp_path: Path) -> None:
    run = write_run(tmp_path, ["paco-tiny", "pixels"], TASKS[2:3])
    done = CliRunner().invoke(main, ["report", str(run), "--format", "archive"])
    assert done.exit_code == 0 and str(run / "report" / "archive" / MANIFEST) in done.output
    assert not (run / "report" / "report.html").exists() and len(opened(run / "report" / "archive")) == 2
    assert len(load_rows(run).rows) == 2 and not load_rows(run).problems
