"""Published numbers are complete, possible, sourced, and never mixed up with measured ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from paco_eval.report.build import build_report
from paco_eval.report.tables.formats import to_latex, to_markdown
from paco_eval.report.tables.published import (
    APART,
    COLUMNS,
    METRICS,
    PLAIN,
    beside_measured,
    load_published,
    published_apart,
)
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.store import Stored, write_row
from paco_fr.utils.errors import PacoError
from tasks.kinds import load_kind
from tasks.registry import all_tasks, variants
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


def test_each_line_is_held_against_the_registered_variants() -> None:
    """Lines stood under a task of the same name whose crop, angles or thresholds were others than their source's."""
    known = all_tasks() | variants()
    frame = load_published()
    apart = frame.variant.isin(APART)
    assert set(frame.variant[~apart]) >= {PLAIN, "hopenet", "fsanet"}
    for entry in frame[~apart].to_dict("records"):
        name = entry["task"] + ("" if entry["variant"] == PLAIN else f"@{entry['variant']}")
        assert name in known, entry
        task = known[name]
        own = {m.name: (m.unit, m.higher_is_better) for m in load_kind(task.kind).metrics(task)}
        assert own.get(entry["metric"]) == METRICS[entry["metric"]], entry
        assert entry["subset"] in ("all", *task.subsets), entry
    # A task of that name may be here all the same; its numbers then stand apart from the line.
    assert (frame[apart].task == "landmarks/wflw").any() and (frame[~apart].task == "landmarks/wflw").any()
    assert (frame[frame.method == "6DRepNet"].set_index("task").variant["pose/biwi"] == "mtcnn").all()


def test_pictures_are_named_where_numbers_stand_in_them_alone() -> None:
    """A reader of the repository found no such number in its text."""
    frame = load_published()
    tables = frame[frame.source.str.contains("Faceptor|facexformer")]
    assert tables.picture.str.endswith(".png").all() and len(tables) > 20


def test_lines_without_a_variant_stand_in_tables_of_their_own() -> None:
    """Numbers of another protocol, or of none that anybody tells, looked as if they could be compared."""
    tables = published_apart(load_published())
    lines = {line.label for table in tables for line in table.lines}
    assert {"PaCo-FR", "MCF", "Bulat et al.", "FSFM", "FaceXFormer"} <= lines
    assert all(line.kind == "published" for table in tables for line in table.lines)
    cells = sum(cell is not None for table in tables for line in table.lines for cell in line.cells)
    assert cells == load_published().variant.isin(APART).sum()
    assert "not to be read beside measured ones" in to_markdown(tables[0])
    assert "PaCo-FR" in to_latex(tables[0])


def test_values_that_everyone_knows() -> None:
    said: dict[tuple[str, ...], set[str]] = {}
    for line in load_published().itertuples():
        said.setdefault((line.method, line.epoch_rule, line.task, line.subset, line.metric), set()).add(
            line.value
        )
    assert said["PaCo-FR", "unknown", "landmarks/wflw", "all", "nme_interocular"] == {"3.99"}
    assert said["FaRL", "best on test", "landmarks/300w", "all", "nme_interocular"] == {"2.93"}
    assert said["FaRL", "last", "landmarks/300w", "all", "nme_interocular"] == {"2.944"}
    assert said["6DRepNet", "unknown", "pose/aflw2000", "all", "mae_lenient180"] == {"3.97"}  # folded at 180
    assert said["FaRL", "best on test", "landmarks/aflw19", "all", "auc_box7_grid702"] == {"81.3"}
    key = "Faceptor", "unknown", "recognition/lfw_aligned", "all", "accuracy_10fold_grid"
    assert said[key] == {"99.40"}  # aligned pictures, thresholds 0.01 apart


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
    assert len(pose) == 3
    for fold in ("", "_lenient180"):
        mean = pose[[f"mae_{angle}{fold}" for angle in ("yaw", "pitch", "roll")]].mean(axis=1)
        assert (mean - pose[f"mae{fold}"]).abs().max() < 0.02
    wide = frame[frame.task == "landmarks/300w"].pivot_table(
        index=["method", "epoch_rule"], columns="subset", values="number"
    )
    whole = wide.dropna()
    expected = (554 * whole["common"] + 135 * whole["challenge"]) / 689
    assert len(whole) >= 4 and (expected - whole["all"]).abs().max() < 0.02


GOOD = [
    *(
        "m",
        "e",
        "d",
        "448",
        "frozen",
        "last",
        "pose/biwi",
        "plain",
        "all",
        "mae",
        "3.5",
        "V",
        "example.org/a",
        "none",
    ),
]


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
    assert kinds == ["measured"] + ["published"] * (len(kinds) - 1) and len(kinds) == 4
    assert not any(cell.best for line in both.lines for cell in line.cells if cell)
    paper = next(line for line in both.lines if line.label == "FaRL ep64")
    assert paper.cells[0] and paper.cells[0].printed == "3.88" and "FacePerceiver" in paper.cells[0].origin
    assert "448 px" in paper.note
    assert "*FaRL ep64*" in to_markdown(both) and r"\textit{FaRL ep64}" in to_latex(both)
    assert not any(line.label == "PaCo-FR" for line in both.lines)  # nobody tells how it was cut
    other = family_tables([Stored(make_row("paco-tiny")[0], Path("x"))])[0]
    assert beside_measured(other, load_published()) == other


def test_in_the_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels"], tasks=[WFLW])
    write_row(run / "rows", *make_row("paco-tiny", WFLW))
    build_report(run, tmp_path / "out", formats=["html"], published=True)
    html = (tmp_path / "out" / "report.html").read_text()
    assert '<tbody class="published">' in html and "evidence L, from a secondary list" in html
