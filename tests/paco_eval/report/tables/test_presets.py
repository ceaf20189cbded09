"""Paper-style tables: columns as papers print them, robustness over levels, ablations beside their recipe."""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
from pathlib import Path

import pytest

from paco_eval.report.build import build_report
from paco_eval.report.tables.presets import PRESETS, preset_tables
from paco_eval.report.tables.table import Table
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored, load_rows, write_row
from tasks.kinds import load_kind
from tasks.registry import all_tasks
from tests.fixtures.made_rows import QUALITY, TASKS, Made, make_row
from tests.paco_eval.report.tables.test_table import inputting

PDFLATEX = shutil.which("pdflatex")


def tables_of(*rows: Row) -> dict[str, Table]:
    return {table.family: table for table in preset_tables([Stored(row, Path("x")) for row in rows])}


def test_presets_arrange_columns_as_papers_do(tmp_path: Path) -> None:
    wflw = Made("landmarks/wflw", "nme_interocular", "%", False, 12.0, 3.5)
    w300 = Made("landmarks/300w", "nme_interocular", "%", False, 8.0, 2.5)
    for encoder in ("paco-tiny", "pixels"):
        for made, subsets in ((w300, ("all", "common", "challenge")), (wflw, ("blur", "all", "pose"))):
            for subset in subsets:
                write_row(tmp_path / "rows", *make_row(encoder, made, subset=subset))
        write_row(
            tmp_path / "rows",
            *make_row(
                encoder, Made("occlusion/pose/synthetic", "mae", "deg", False, 20, 9), subset="hand", level=2
            ),
        )
    alignment, robustness = preset_tables(load_rows(tmp_path).rows)
    assert alignment.title == "Alignment, frozen"
    assert [(column.task, column.subset) for column in alignment.columns] == [
        ("landmarks/wflw", "all"), ("landmarks/wflw", "pose"), ("landmarks/wflw", "blur"),
        ("landmarks/300w", "common"), ("landmarks/300w", "challenge"), ("landmarks/300w", "all"),
    ]  # fmt: skip
    assert [column.place for column in robustness.columns] == [
        "synthetic v1, hand", "wflw v1, pose", "wflw v1, blur",
    ]  # fmt: skip
    build_report(tmp_path, tmp_path / "out", formats=["latex", "html"], style="paper", published=True)
    assert "FaRL" in (tmp_path / "out" / "tables.tex").read_text()


def test_no_rows_no_tables() -> None:
    assert preset_tables([]) == []
    assert {"alignment", "parsing", "recognition", "pose", "expression", "attributes", "robustness", "ablation",
            "codebook health"} == set(PRESETS)  # fmt: skip


def test_presets_name_tasks_subsets_and_metrics_that_exist() -> None:
    known = all_tasks()
    for name, wanted in PRESETS.items():
        for want in wanted:
            if "*" in want.task:
                continue
            task = known[want.task]
            metrics = {metric.name for metric in load_kind(task.kind).metrics(task)}
            assert fnmatch.filter(("all", *task.subsets), want.subset), f"{name}: {want}"
            assert want.metric in ("", "*", *metrics), f"{name}: {want}"


OCCLUDED = Made("occlusion/landmarks/synthetic", "nme_box", "%", False, 30.0, 6.0)


def occluded(encoder: str, subset: str, level: int, value: float) -> Row:
    row, _ = make_row(encoder, OCCLUDED, subset=subset, level=level)
    metric = row.main.model_copy(update={"value": value, "low": value - 1, "high": value + 1})
    return row.model_copy(update={"metrics": {**row.metrics, row.main_metric: metric}})


def test_robustness_is_clean_first_and_each_kind_over_its_levels() -> None:
    cells = [("clean", 0, 8.0), ("blob", 1, 9.0), ("blob", 2, 12.0), ("scarf", 1, 10.0), ("scarf", 2, 20.0)]
    rows = [occluded("paco-tiny", *cell) for cell in cells] + [
        occluded("pixels", *cell) for cell in cells[:4]
    ]
    table = tables_of(*rows)["robustness"]
    assert [(column.subset, column.metric) for column in table.columns] == [
        ("clean", "nme_box"), ("mean of kinds", "nme_box"), ("mean of kinds", "drop"),
        ("mean of kinds", "relative_drop"), ("worst kind", "drop"), ("blob", "nme_box"), ("scarf", "nme_box"),
    ]  # fmt: skip
    mine, pixels = table.lines
    assert [cell.value for cell in mine.cells if cell] == [8.0, 12.75, 4.75, None, 7.0, 10.5, 15.0]
    assert mine.cells[0] and mine.cells[0].low == 7.0, "the clean score keeps its interval"
    assert mine.cells[4] and mine.cells[4].printed == "scarf 7.00"
    assert mine.cells[5] and mine.cells[5].low is None and len(mine.cells[5].rows) == 2
    assert pixels.cells[5] and pixels.cells[6] is None, "no mean over some of the levels"
    assert pixels.cells[1:5] == (None,) * 4, "nor over some of the kinds"
    assert table.notes == ["no relative drop: no score of constant to compare with"]
    assert "mean over levels 1, 2" in table.caption


def test_the_relative_drop_is_of_what_there_was_to_lose() -> None:
    cells = [("clean", 0, 8.0), ("blob", 1, 10.0), ("blob", 2, 12.0)]
    rows = [occluded("paco-tiny", *cell) for cell in cells] + [
        occluded("constant", kind, level, 20.0) for kind, level, _ in cells
    ]
    mine, constant = tables_of(*rows)["robustness"].lines
    assert mine.cells[3] and mine.cells[3].value == pytest.approx(100 * 3 / 12)
    assert constant.cells[3] and constant.cells[3].value is None
    assert constant.cells[3].flags == ("no relative drop: clean score within the interval of constant",)


def test_an_ablation_shows_variants_beside_their_recipe() -> None:
    def variant(method: str, seed: int) -> Row:
        return make_row(f"paco:{method}/{seed}", TASKS[2], method=method, pretrain_seed=seed)[0]

    methods = ("paco/tiny", "paco/tiny masking.ratio=0.5", "mae/tiny")
    rows = [variant(method, seed) for method in methods for seed in (0, 1)]
    table = tables_of(*rows, make_row("pixels", TASKS[2])[0])["ablation"]
    assert [(line.label, line.note) for line in table.lines] == [
        ("paco/tiny", "mean of 2 seeds"), ("paco/tiny masking.ratio=0.5", "mean of 2 seeds"),
    ]  # fmt: skip
    assert "ablation" not in tables_of(*(variant("paco/tiny", seed) for seed in (0, 1)))


def test_codebook_health_has_all_its_metrics() -> None:
    made = Made("codebook/synthetic", "tokens_used", "%", True, 0.0, 80.0)
    table = tables_of(make_row("paco-tiny", made)[0])["codebook health"]
    assert [column.metric for column in table.columns] == ["tokens_used", "failure_rate"]


@pytest.mark.skipif(not PDFLATEX, reason="no TeX engine on this machine")
def test_paper_style_compiles(tmp_path: Path) -> None:
    for encoder in ("paco-tiny", "random:tiny_b@0", *list(QUALITY)[:2]):
        for made in (*TASKS, Made("landmarks/wflw", "nme_interocular", "%", False, 12.0, 3.5)):
            write_row(tmp_path / "rows", *make_row(encoder, made))
        row = occluded(encoder, "scarf", 1, 9.0)
        write_row(tmp_path / "rows", row, make_row(encoder, OCCLUDED)[1])
    build_report(tmp_path, tmp_path, formats=["latex"], style="paper", published=True)
    (tmp_path / "paper.tex").write_text(inputting(r"\input{table}\input{tables}"))
    done = subprocess.run(
        [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "paper.tex"], cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
