"""Published numbers are complete, possible, sourced, and never mixed up with measured ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from paco_eval.report.build import build_report
from paco_eval.report.tables.formats import to_latex, to_markdown
from paco_eval.report.tables.published import (
    COLUMNS,
    METRICS,
    beside_measured,
    load_published,
)
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.store import Stored, write_row
from paco_fr.utils.errors import PacoError
from tasks.kinds import load_kind
from tasks.registry import all_tasks
from tests.fixtures.made_rows import Made, make_row, write_run

WFLW = Made(
    "landmarks/wflw", "nme_interocular", "%", False, 12.0, 3.5, "official", "as agreed with its authors"
)


def test_the_file_is_valid_and_holds_who_it_should() -> None:
    frame = load_published()
    assert len(frame) == 140
    for method in (
        "PaCo-FR", "FaRL", "FaRL ep64", "MCF", "Bulat et al.", "FSFM", "LAFS", "Faceptor", "FaceXFormer",
        "6DRepNet", "HopeNet (a=2)", "FSA-Net",
    ):  # fmt: skip
        assert (frame.method == method).any(), method
    assert set(frame.evidence) <= {"V", "C", "L", "I"}
    assert frame.source.str.contains("[.]").all(), "sources are addresses, not numbers of a list"


def test_numbers_of_benchmarks_that_are_here_stand_under_their_metric_and_unit() -> None:
    known = all_tasks()
    frame = load_published()
    here = frame[frame.task.isin(list(known)) & ~frame.metric.isin(["visibility_recall", "skin_accuracy"])]
    assert here.task.nunique() > 10
    for task_name, subset, metric in sorted(set(zip(here.task, here.subset, here.metric, strict=True))):
        task = known[task_name]
        own = {m.name: (m.unit, m.higher_is_better) for m in load_kind(task.kind).metrics(task)}
        assert own.get(metric) == METRICS[metric], f"{task_name}: {metric}"
        assert subset in ("all", *task.subsets), f"{task_name}: {subset}"


def test_values_that_everyone_knows() -> None:
    frame = load_published().set_index(["method", "epoch_rule", "task", "subset", "metric"]).value
    assert frame["PaCo-FR", "unknown", "landmarks/wflw", "all", "nme_interocular"] == "3.99"
    assert frame["FaRL", "best on test", "landmarks/300w", "all", "nme_interocular"] == "2.93"
    assert frame["FaRL", "last", "landmarks/300w", "all", "nme_interocular"] == "2.944"
    assert frame["6DRepNet", "unknown", "pose/aflw2000", "all", "mae_lenient180"] == "3.97"  # folded at 180
    assert frame["FaRL", "best on test", "landmarks/aflw19", "all", "auc_box7_grid702"] == "81.3"
    key = "Faceptor", "unknown", "recognition/lfw_aligned", "all", "accuracy_10fold_grid"
    assert frame[key] == "99.40"  # aligned pictures, thresholds 0.01 apart


def test_numbers_stand_in_the_column_of_what_measured_them() -> None:
    """Folded angles stood under plain ones, aligned LFW under the folder, numbers of other papers' tables as their own."""
    frame = load_published()
    folded = frame[(frame.method == "6DRepNet") & frame.task.str.startswith("pose/")]
    assert len(folded) == 9 and folded.metric.str.endswith("_lenient180").all()
    assert not frame.metric.isin(["accuracy_10fold", "auc_box7"]).any()
    assert not (frame.task == "recognition/lfw").any()
    cited = frame[frame.method.isin(["HopeNet (a=2)", "FSA-Net"])]
    assert cited.protocol.str.contains("as cited by 6DRepNet").all()


def test_parts_and_wholes_agree() -> None:
    frame = load_published()
    pose = frame[frame.task == "pose/aflw2000"].pivot_table(index="method", columns="metric", values="number")
    for fold in ("", "_lenient180"):
        mean = pose[[f"mae_{angle}{fold}" for angle in ("yaw", "pitch", "roll")]].mean(axis=1)
        assert (mean - pose[f"mae{fold}"]).abs().max() < 0.02
    wide = frame[frame.task == "landmarks/300w"].pivot_table(
        index=["method", "epoch_rule"], columns="subset", values="number"
    )
    whole = wide.dropna()
    expected = (554 * whole["common"] + 135 * whole["challenge"]) / 689
    assert len(whole) >= 4 and (expected - whole["all"]).abs().max() < 0.02


GOOD = ["m", "e", "d", "448", "frozen", "last", "pose/biwi", "all", "mae", "3.5", "V", "example.org/a"]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("evidence", "AI", "evidence 'AI'"),
        ("value", "3,5", "not a number"),
        ("value", "999", "impossible"),
        ("metric", "mea", "metric 'mea'"),
        ("source", "", "source is empty"),
        ("task", "biwi", "not family/dataset"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, column: str, value: str, said: str) -> None:
    bad = [value if name == column else cell for name, cell in zip(COLUMNS, GOOD, strict=True)]
    path = tmp_path / "p.csv"
    path.write_text("\n".join([",".join(COLUMNS), ",".join(GOOD), ",".join(f'"{cell}"' for cell in bad)]))
    with pytest.raises(PacoError, match=f"line 3: .*{said}"):
        load_published(path)


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("method,value\nm,1\n")
    with pytest.raises(PacoError, match="expected method, encoder"):
        load_published(path)
    path.write_text("\n".join([",".join(COLUMNS), ",".join(GOOD), ",".join(GOOD)]))
    with pytest.raises(PacoError, match="line 3 repeats"):
        load_published(path)
    with pytest.raises(PacoError, match="cannot be read"):
        load_published(tmp_path / "absent.csv")


def test_beside_measured_ones_but_never_ranked() -> None:
    row, _ = make_row("paco-tiny", WFLW)
    (table,) = family_tables([Stored(row, Path("x"))])
    both = beside_measured(table, load_published())
    kinds = [line.kind for line in both.lines]
    assert kinds == ["measured"] + ["published"] * (len(kinds) - 1) and len(kinds) > 5
    assert not any(cell.best for line in both.lines for cell in line.cells if cell)
    paper = next(line for line in both.lines if line.label == "PaCo-FR")
    assert paper.cells[0] and paper.cells[0].printed == "3.99" and "wizwand" in paper.cells[0].origin
    assert "input unknown" in paper.note
    assert "*PaCo-FR*" in to_markdown(both) and r"\textit{PaCo-FR}" in to_latex(both)
    other = family_tables([Stored(make_row("paco-tiny")[0], Path("x"))])[0]
    assert beside_measured(other, load_published()) == other


def test_in_the_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels"], tasks=[WFLW])
    write_row(run / "rows", *make_row("paco-tiny", WFLW))
    build_report(run, tmp_path / "out", formats=["html"], published=True)
    html = (tmp_path / "out" / "report.html").read_text()
    assert '<tbody class="published">' in html and "evidence L, from a secondary list" in html
