"""Tables say what was measured, keep unlike things apart and are bold only where that is earned."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from paco_eval.report.leaderboard.layout import ahead_of, leaderboards
from paco_eval.report.tables.formats import escape_latex, to_csv, to_latex, to_markdown
from paco_eval.report.tables.table import Cell, Line, Table, family_tables, place_of
from paco_eval.rows.schema import Metric
from paco_eval.rows.store import Stored, load_rows
from tests.fixtures.made_rows import TASKS, make_row, write_run

POSE = TASKS[2]


def scored(value: float, half: float | None = 0.1, encoder: str = "a", **changed: object) -> Stored:
    ends = {} if half is None else {"low": value - half, "high": value + half}
    metric = Metric(value=value, higher_is_better=False, unit="deg", **ends)
    row, _ = make_row(encoder, POSE, **{"metrics": {"mae": metric}, "n_expected": 240, **changed})
    return Stored(row, Path("nowhere.json"))


def only(*rows: Stored, **options: bool) -> Table:
    (table,) = family_tables(rows, ahead=ahead_of(leaderboards(rows)), **options)
    return table


def best(table: Table) -> list[str]:
    return [line.label for line in table.lines for cell in line.cells if cell and cell.best]


def test_bold_needs_distance_from_every_other() -> None:
    assert best(only(scored(5, encoder="a"), scored(6, encoder="b"), scored(7, encoder="c"))) == ["a"]
    assert best(only(scored(5, encoder="a"), scored(5.1, encoder="b"), scored(7, encoder="c"))) == []
    assert best(only(scored(5, None, encoder="a"), scored(6, encoder="b"))) == []
    assert best(only(scored(5))) == []


def test_bold_follows_the_direction_of_the_metric() -> None:
    rows = [scored(5, encoder="a"), scored(9, encoder="b")]
    turned = [
        Stored(
            s.row.model_copy(
                update={"metrics": {"mae": s.row.main.model_copy(update={"higher_is_better": True})}}
            ),
            s.path,
        )
        for s in rows
    ]
    assert best(only(*rows)) == ["a"] and best(only(*turned)) == ["b"]


def test_unlike_rows_never_share_a_column() -> None:
    table = only(scored(5), scored(6, encoder="b", task_version=2), scored(7, encoder="c", level=3))
    assert [column.place for column in table.columns] == [
        "synthetic v1",
        "synthetic v1, level 3",
        "synthetic v2",
    ]
    assert all(sum(cell is not None for cell in line.cells) == 1 for line in table.lines)
    frozen, tuned = family_tables([scored(5, protocol="frozen"), scored(3, protocol="fine-tune")])
    assert {frozen.protocol, tuned.protocol} == {"frozen", "fine-tune"}


def test_other_crops_and_images_are_flagged_and_never_ranked() -> None:
    table = only(
        scored(5, encoder="a", crop_hash="other"), scored(8, encoder="b"), scored(9, encoder="c"),
        scored(9.5, encoder="d", data_fingerprint="other"),
    )  # fmt: skip
    assert best(table) == []
    flags = {line.label: line.cells[0].flags for line in table.lines if line.cells[0]}
    assert "face crop" in flags["a"][0] and "other images" in flags["d"][0] and flags["b"] == ()
    assert len(table.notes) == 2


def test_miniatures_stand_apart_or_not_at_all() -> None:
    rows = [scored(5), scored(1, encoder="b", data_kind="mimic")]
    assert len(family_tables(rows)) == 1
    real, mimic = family_tables(rows, include_mimic=True)
    assert [line.label for line in real.lines] == ["a"]
    assert [line.label for line in mimic.lines] == ["b"] and "MINIATURES" in mimic.title


def test_a_number_of_which_too_much_failed_is_struck_through_with_the_reason_in_every_format() -> None:
    """Failures were counted in pictures alone, and a number of which half had failed looked like any other."""
    half = {"item": "pair", "n_items": 14, "n_items_failed": 7}
    table = only(scored(5, encoder="a", **half), scored(6, encoder="b"), scored(9, encoder="c"))
    said = (
        "struck through, as more than 5 % failed: 7 of 14 pairs (50 %) failed and count as the worst outcome"
    )
    assert [line.cells[0].struck for line in table.lines if line.cells[0]] == [True, False, False]
    assert best(table) == ["b"]
    assert "~~5.00~~" in to_markdown(table) and said in to_markdown(table)
    assert r"\rlap{\rule" in to_latex(table) and escape_latex(said) in to_latex(table)
    line = pd.read_csv(io.StringIO(to_csv([table]))).iloc[0]
    assert line["struck"] and said in line["flags"] and (line["n_items_failed"], line["item"]) == (7, "pair")
    few = only(scored(5, n_expected=241), scored(6, encoder="b"))
    assert not any(cell.struck for line in few.lines for cell in line.cells if cell)
    assert "1 of 241 pictures (0.415 %) failed" in to_markdown(few)
    assert said in to_markdown(only(scored(5, **half))), (
        "a reason that all share stands beside the number, too"
    )


def test_parts_of_official_sets_and_weak_numbers_bear_a_mark() -> None:
    part = scored(5, data_kind="partial", chosen={"missing": "test 24 of 3068"})
    assert "a part of the official set, test 24 of 3068" in to_markdown(only(part, scored(6, encoder="b")))
    weak = Metric(value=5, higher_is_better=False, unit="deg", warning="rests on 3 of them")
    table = only(scored(5, metrics={"mae": weak}), scored(6, encoder="b"))
    assert "rests on 3 of them" in to_markdown(table)


def test_seeds_are_pooled_by_method_and_one_seed_reads_observed() -> None:
    def seed(number: int, value: float, method: str) -> Stored:
        name = f"paco:runs/{method}{number}"
        return scored(value, encoder=name, method=method, pretrain_seed=number, weight_hash=name)

    table = only(
        *(seed(i, 5 + i, "paco/tiny") for i in range(3)), seed(0, 4, "mae/tiny"), scored(9, encoder="pixels")
    )
    notes = {line.label: line.note for line in table.lines}
    assert notes == {"paco:runs/mae/tiny0": "1 seed, observed", "paco/tiny": "mean of 3 seeds", "pixels": ""}
    cell = table.lines[0].cells[0]
    assert cell and table.lines[0].label == "paco/tiny"
    assert (cell.value, cell.low, cell.high) == pytest.approx((6, 4.9, 7.1)) and len(cell.rows) == 3


def test_baselines_stand_last() -> None:
    names = ["constant", "random:vit@0", "zeta", "pixels", "alpha"]
    table = only(*(scored(5 + i, encoder=name) for i, name in enumerate(names)))
    assert [line.label for line in table.lines] == ["alpha", "zeta", "random:vit@0", "pixels", "constant"]


def test_undefined_and_failures() -> None:
    undefined = {"mae": Metric(value=None, higher_is_better=False, unit="deg")}
    table = only(
        scored(5, n_expected=300, n_scored=300), scored(6, encoder="b", metrics=undefined, n_expected=300)
    )  # fmt: skip
    assert "60 of 300 pictures (20 %) failed" in table.notes[0]
    assert "| –<sup>a</sup> |" in to_markdown(table)


def test_what_all_cells_share_is_said_once() -> None:
    table = only(scored(5, n_expected=245), scored(6, encoder="b", n_expected=245))
    assert table.notes == [] and "synthetic v1: 5 of 245 pictures (2.04 %) failed" in table.caption


def test_digits_and_headings(tables: list[Table]) -> None:
    said = {
        column.heading: column.number(0.98765) for table in tables for column in table.main_only().columns
    }
    assert said == {
        "accuracy, % ↑": "1.0", "NME, % of ocular ↓": "0.99", "NME, % of box ↓": "0.99", "angle error, degrees ↓": "0.99",
        "AUC ↑": "0.988",
    }  # fmt: skip
    assert tables[0].columns[0].number(None) == "–"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    return family_tables(load_rows(write_run(tmp_path_factory.mktemp("run"))).rows)


def test_a_table_for_each_family(tables: list[Table]) -> None:
    assert [table.family for table in tables] == ["recognition", "pose", "landmarks", "expression"]
    landmarks = tables[2]
    assert [(c.place, c.main) for c in landmarks.columns] == [
        ("london v1", True), ("london v1", False), ("synthetic v1", True), ("synthetic v1", False),
    ]  # fmt: skip
    assert len(landmarks.main_only().columns) == 2


def test_benchmarks_stand_before_what_is_derived_and_diagnostics_last() -> None:
    families = ["codebook", "occlusion/pose", "attributes", "face", "pose", "perturbed-blur/codebook"]
    ordered = sorted(families, key=lambda family: place_of((family, "frozen", False)))
    assert ordered == ["pose", "attributes", "face", "occlusion/pose", "codebook", "perturbed-blur/codebook"]


def test_caption_states_protocol_count_and_interval(tables: list[Table]) -> None:
    for words in (
        "Protocol: frozen",
        "london pictures n = 242",
        "Intervals: 95 %, bootstrap percentile over identity, 1000",
    ):
        assert words in tables[2].caption


def test_markdown_is_a_well_formed_pipe_table(tables: list[Table]) -> None:
    lines = [line for line in to_markdown(tables[1].main_only()).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {3} and len(lines) == 2 + 5
    assert "angle error, degrees ↓" in lines[0]


def test_wide_tables_are_cut() -> None:
    wide = only(*(scored(5, level=level) for level in range(25)))
    parts = wide.parts(10)
    assert [len(part.columns) for part in parts] == [10, 10, 5]
    assert [column for part in parts for column in part.columns] == list(wide.columns)


def test_hostile_names_stay_text() -> None:
    table = only(scored(5, encoder="<script>|x_y*"), scored(6, encoder="b & \\input{x} 100%"))
    assert "&lt;script>\\|x\\_y\\*" in to_markdown(table)
    assert r"b \& \textbackslash{}input\{x\} 100\%" in to_latex(table)


def test_csv_is_tidy_and_complete(tables: list[Table]) -> None:
    frame = pd.read_csv(io.StringIO(to_csv(tables)))
    assert len(frame) == 5 * 6 * 2
    assert set(frame.keys()) >= {"value", "low", "high", "task_version", "n_scored", "n_expected", "keys"}
    assert frame.value.notna().all() and (frame["keys"].str.len() == 16).all()


def test_latex_escapes() -> None:
    assert escape_latex("a_b 5 % ↑ 名") == r"a\_b 5 \% $\uparrow$ ?"


def inputting(text: str) -> str:
    r"""Return a document of what is written for ``\input``."""
    packages = r"\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs,siunitx,graphicx}"
    return rf"\documentclass{{article}}{packages}\begin{{document}}{text}\end{{document}}"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX engine on this machine")
def test_latex_compiles(tables: list[Table], tmp_path: Path) -> None:
    negative = Table("d", "p", False, (tables[0].columns[0],), (Line("x", "", (Cell(-1, -2, -0.5),)),), "−")
    hostile = only(scored(5, encoder="#$%&_{}~^\\<>|–°²名"), scored(6, encoder="b"))
    (tmp_path / "t.tex").write_text(inputting("".join(map(to_latex, [*tables, hostile, negative]))))
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
