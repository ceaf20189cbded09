"""The report holds every number once, survives bad input and works in a browser without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from paco_eval.analysis.significance import registered_metrics
from paco_eval.report.build import build_report
from paco_eval.report.charts.panels import Lines
from paco_eval.report.charts.scores import few_shot_charts
from paco_eval.report.charts.sweeps import overview_charts, sweep_charts
from paco_eval.report.leaderboard.layout import leaderboards
from paco_eval.report.leaderboard.selection import Asked
from paco_eval.report.tables.robustness import over_levels
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.artefacts import load_arrays, save_arrays
from paco_eval.rows.store import items_path, load_rows, write_row
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_artefacts import write_pretraining
from tests.fixtures.made_rows import QUALITY, TASKS, make_row, write_run
from tests.paco_eval.analysis.test_robustness import POSE, write_sweep
from tests.paco_eval.report.conftest import Built


def test_all_files_and_no_problem(built: Built) -> None:
    names = {"report.html", "table.md", "table.csv", "table.tex", "tables.md", "results.csv", "tables.tex"}
    assert {path.name for path in built.report.files} == names
    assert built.report.problems == []


def test_every_number_is_in_csv_page_and_markdown(built: Built) -> None:
    frame = pd.read_csv(built.out / "results.csv")
    assert len(frame) == 2 * (4 * len(QUALITY) + 1)
    markdown = (built.out / "tables.md").read_text()
    for stored in load_rows(built.run).rows:
        digits = 1 if stored.row.main.unit else 3
        value = f"{stored.row.main.value:.{digits}f}"
        assert value in built.html and value[:-1] in markdown
        assert f'"{stored.row.key}"' in built.html


def test_sections_are_there(built: Built) -> None:
    for words in (
        "What can be claimed", "Who leads?", "Where does it break?", "How sure is it?", "On the same faces",
        "Inside the checkpoints", "Pose, frozen", "The codebook on the face", "total loss", "Reconstruction",
        "Licences", "Apache-2.0", "2 of 242 pictures (0.826 %) failed", "paco-eval evaluate pixels",
        "not told by the items",
    ):  # fmt: skip
        assert words in built.html, words
    assert built.html.count("The codebook on the face</h4>") == 1, "MAE has none"


def test_the_answer_comes_first(built: Built) -> None:
    """Before the first table stood five counts; the first number was the 40th thing on the page."""
    text = re.sub(r"<style>.*?</style>", "", built.html, flags=re.DOTALL)
    table = text.index('<table class="board"')
    first = text[text.index("<main") : table]
    assert "<svg" not in first and "<table" not in first and len(re.sub(r"<[^>]+>", "", first).split()) < 60
    names = ("table", "claims", "leads", "breaks", "sure", "faces", "inside", "all")
    order = [text.index(f'<section id="{name}"') for name in names]
    assert order == sorted(order)
    assert built.html.index('<table class="board"') < 60_000, "a browser can paint it from the first 60 kB"
    assert "data:image" not in text[:table], "no picture stands before it"


def test_claims_are_plain_sentences(built: Built) -> None:
    (board, *_) = leaderboards(load_rows(built.run).rows, metric_of=registered_metrics(), replicates=50)
    for claim in board.claims:
        assert str(escape(claim.sentence.split(":")[0])) in built.html
    block = built.html[built.html.index('<ul class="claims">') :]
    assert block[: block.index("</ul>")].count("<li>") == len(board.claims) == 4


def test_hostile_text_stays_text(built: Built) -> None:
    assert "<script>alert" not in built.html and "<img src=x" not in built.html
    assert "&lt;script&gt;alert" in built.html
    scripts = re.findall(r"<script[^>]*>", built.html)
    assert scripts == ['<script type="application/json" id="data">', "<script>"]


def test_page_asks_nothing_of_the_network(built: Built) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]+)"', built.html)
    assert {a.split(":")[0] if not a.startswith("#") else "#" for a in addresses} <= {"#", "data"}
    assert "default-src 'none'" in built.html and "@import" not in built.html


class Outline(HTMLParser):
    """Collects what accessibility needs: headings, ids, labelled figures, header cells."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.unlabelled = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        self.unlabelled += tag == "svg" and not (found.get("aria-label") or found.get("aria-hidden"))
        self.unlabelled += tag == "th" and "scope" not in found


def test_outline_for_screen_readers(built: Built) -> None:
    outline = Outline()
    outline.feed(built.html)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert outline.unlabelled == 0


def test_figures_as_files(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels", "constant"], tasks=[TASKS[2]])
    files = build_report(run, tmp_path / "out", formats=["figures"]).files
    assert {path.name for path in files} == {
        f"pose-synthetic-synthetic-v1-dots.{kind}" for kind in ("png", "svg", "pdf")
    }


def test_everything_shows_only_the_tasks_and_encoders_asked_for(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", encoders=["pixels", "constant", "paco-tiny"], tasks=[TASKS[2], TASKS[3]]
    )
    asked = Asked(tasks="pose/*", encoders="pixels,paco-tiny", names={"constant": "nothing"})
    files = build_report(run, tmp_path / "out", formats=["figures", "csv", "md", "html"], table=asked).files
    figures = {path.name for path in files if path.parent.name == "figures"}
    assert figures and all(name.startswith("pose-") for name in figures)
    for name in ("results.csv", "tables.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "paco-tiny" in text and "constant" not in text and "landmarks" not in text.lower()
    with pytest.raises(PacoError, match="Unknown measured task 'lips/"):
        build_report(run, tmp_path / "out", formats=["figures"], table=Asked(tasks="lips/*"))


def test_what_is_shown_alone_keeps_its_numbers_names_and_baseline(tmp_path: Path) -> None:
    """Of a table without constant relative drops were gone, and a method with seeds elsewhere lost its name."""
    for seed in (0, 1):
        write_sweep(tmp_path, f"paco:{seed}", {"boxes": 1.0, "hand": 3.0}, seed=seed, method="paco/tiny")
    write_sweep(tmp_path, "constant", {}, clean=20.0)
    write_row(tmp_path / "rows", *make_row("paco:0", TASKS[0], method="paco/tiny", pretrain_seed=0))
    drops = {}
    for encoders in ("", "paco/tiny"):
        asked = Asked(tasks="perturbed-occlusion/*", encoders=encoders)
        build_report(tmp_path, tmp_path / "out", formats=["md"], table=asked)
        text = (tmp_path / "out" / "tables.md").read_text()
        drops[encoders] = next(line for line in text.splitlines() if line.startswith("| paco/tiny"))
        assert ("\n| constant" in text) == (not encoders)
    assert drops[""] == drops["paco/tiny"] and "–" not in drops[""]
    asked = Asked(tasks="recognition/*", names={"paco/tiny": "Ours"}, baseline="paco/tiny")
    build_report(tmp_path, tmp_path / "out", formats=["md", "html"], table=asked)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Ours" in (tmp_path / "out" / "tables.md").read_text()
    drawn = page[page.index('id="leads"') : page.index('id="all"')]
    assert "Ours" in drawn and "paco/tiny" not in drawn and "paco:0" not in drawn
    told = Asked(tasks="perturbed-occlusion/*", encoders="paco/tiny", baseline="constant")
    build_report(tmp_path, tmp_path / "out", formats=["md"], table=told)
    assert "constant" in (tmp_path / "out" / "tables.md").read_text(), "what is held against is shown"


def test_published_numbers_are_of_the_tasks_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels"], tasks=[TASKS[2]])
    build_report(run, tmp_path / "out", formats=["md"], published=True, table=Asked(tasks="pose/*"))
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "published" in text and "wflw" not in text.lower()


def test_cost_and_verification_are_drawn(tmp_path: Path, names_only: None) -> None:
    for encoder, parameters in (("a", 1e5), ("b", 1e6), ("c", 1e7)):
        write_row(tmp_path / "rows", *make_row(encoder, TASKS[0], cost={"parameters": parameters}))
    names = {path.name for path in build_report(tmp_path, tmp_path / "out", formats=["figures"]).files}
    assert {"recognition-synthetic-cost.png", "recognition-synthetic-roc.svg"} <= names


def few_shot_run(folder: Path, protocols: Sequence[str]) -> Path:
    for protocol in protocols:
        for encoder in ("paco-tiny", "pixels"):
            write_row(folder / "rows", *make_row(encoder, TASKS[5], protocol=protocol))
    return folder


def test_few_shot_rows_become_curves_up_to_all_items(tmp_path: Path) -> None:
    protocols = ["few-shot 1%", "few-shot 10%", "few-shot 5 per class", "few-shot 1%, limit 9", "frozen"]
    rows = load_rows(few_shot_run(tmp_path, protocols)).rows
    drawn = few_shot_charts(family_tables(rows))
    assert {title: [d.name for d in found] for title, found in drawn.items()} == {
        "Expression, few-shot 1%": ["expression/synthetic-few-shot-share"],
        "Expression, few-shot 5 per class": ["expression/synthetic-few-shot-per-class"],
    }, "a limit makes another protocol, which here has one point only"
    (panel,) = drawn["Expression, few-shot 1%"][0].panels
    assert isinstance(panel, Lines) and [name for _, name in panel.ticks] == ["1 %", "10 %", "all"]
    at_all = {s.row.encoder: s.row.main.value for s in rows if s.row.protocol == "frozen"}
    assert {curve.label: curve.y[-1] for curve in panel.curves} == at_all


def test_no_figure_takes_the_name_of_another(tmp_path: Path, names_only: None) -> None:
    run = few_shot_run(tmp_path / "run", ["few-shot 1%", "frozen"])
    write_row(run / "rows", *make_row("pixels", TASKS[5], data_kind="mimic", data_fingerprint="0" * 16))
    report = build_report(run, tmp_path / "out", formats=["html", "figures"], include_mimic=True)
    figures = [path for path in report.files if path.suffix == ".svg"]
    assert len(figures) == len(set(figures)) == 7
    assert {path.stem for path in figures if "confusion" in path.stem} == {
        "expression-synthetic-confusion", "expression-synthetic-confusion-few-shot-1",
        "expression-synthetic-confusion-frozen-mimic",
    }  # fmt: skip
    outline = Outline()
    outline.feed((tmp_path / "out" / "report.html").read_text())
    assert len(outline.ids) == len(set(outline.ids))


def test_no_few_shot_rows_no_curve(tmp_path: Path) -> None:
    assert few_shot_charts(family_tables(load_rows(few_shot_run(tmp_path, ["frozen"])).rows)) == {}


def test_runs_of_one_objective_share_a_training_figure(tmp_path: Path, names_only: None) -> None:
    for seed in (0, 1):
        folder = write_pretraining(tmp_path, f"paco-{seed}")
        (folder / "card.json").write_text(json.dumps({"objective": "paco"}))
    write_pretraining(tmp_path, "mae-0", codebook=False)
    names = {path.stem for path in build_report(tmp_path, tmp_path / "out", formats=["figures"]).files}
    assert "paco-training" in names and not any(name.startswith("mae-0-training") for name in names)


def test_the_codebook_of_an_encoder_at_hand_is_shown(tmp_path: Path) -> None:
    elsewhere = write_pretraining(tmp_path / "elsewhere")
    for encoder in (f"paco:{elsewhere}", "paco:not/here"):
        write_row(tmp_path / "run" / "rows", *make_row(encoder, TASKS[2]))
    report = build_report(tmp_path / "run", tmp_path / "out", formats=["html"])
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("The codebook on the face</h4>") == 1 and report.problems == []


def test_levels_become_curves_with_the_clean_point_and_maps_of_yaw(tmp_path: Path, names_only: None) -> None:
    for seed in (0, 1):
        lost = {"boxes": 1.0 + seed, "hand": 3.0}
        write_sweep(tmp_path, f"paco:{seed}", lost, seed=seed, method="paco/tiny")
    write_sweep(tmp_path, "constant", {}, clean=20.0)
    (table,) = family_tables(load_rows(tmp_path).rows)
    problems: list[str] = []
    drawn = {chart.name: chart for chart in sweep_charts(table, problems.append)}
    task = "perturbed-occlusion/pose/synthetic"
    maps = {f"{task}-paco/tiny-{angle}-by-level" for angle in ("yaw", "pitch")}
    assert set(drawn) == {f"{task}-levels", *maps} and not problems
    assert drawn[f"{task}-paco/tiny-pitch-by-level"].panels[0].xlabel.startswith("true pitch")
    mean, boxes, hand = drawn[f"{task}-levels"].panels
    assert [panel.title for panel in (mean, boxes, hand)] == ["mean of kinds", "boxes", "hand"]
    ours = {panel.title: next(c for c in panel.curves if c.label == "paco/tiny") for panel in (mean, boxes)}
    assert ours["mean of kinds"].y == pytest.approx([5.0, 7.25, 9.5])
    assert ours["boxes"].y == pytest.approx([5.0, 6.5, 8.0])
    (overview,) = (chart for found in overview_charts([table]).values() for chart in found)
    assert overview.name == "robustness-perturbed" and overview.notes == (("paco/tiny", "2 seeds"),)
    (panel,) = overview.panels
    band = next(curve for curve in panel.curves if curve.label == "paco/tiny")
    assert band.high[1] - band.low[1] > 0, "the seeds differ"
    assert panel.title == "occlusion · pose/synthetic"
    assert [name for _, name in panel.ticks] == ["clean", "1\n10 %", "2\n20 %"]
    report = build_report(tmp_path, tmp_path / "out", formats=["html", "csv", "figures"])
    assert {path.stem for path in report.files} >= {"robustness-perturbed"} and not report.problems
    page = (tmp_path / "out" / "report.html").read_text()
    assert "worst kind" in page and "hand 4.50" in page
    breaks = page[page.index('id="breaks-occlusion"') : page.index('id="faces"')]
    assert "pose/synthetic, painted" in breaks and "Not measured. Add --tasks" in breaks
    outline = Outline()
    outline.feed(page)
    assert {link[1:] for link in outline.links} <= set(outline.ids), "nothing leads to what one encoder lacks"
    condensed = over_levels(table)
    worst = next(i for i, column in enumerate(condensed.columns) if column.subset == "worst kind")
    assert {line.label: line.cells[worst].printed for line in condensed.lines} == {
        "paco/tiny": "hand 4.50",
        "constant": "none",
    }
    assert ",hand,2," in (tmp_path / "out" / "results.csv").read_text(), (
        "every cell is in the file of numbers"
    )


def test_tables_of_papers_have_the_curves_of_all_families_beside_them(
    tmp_path: Path, names_only: None
) -> None:
    write_sweep(tmp_path, "timm:a", {"boxes": 1.0, "hand": 3.0})
    report = build_report(tmp_path, tmp_path / "out", formats=["html", "figures"], style="paper")
    written = [path for path in report.files if path.stem == "robustness-perturbed"]
    assert {path.suffix for path in written} >= {".pdf", ".png"}
    assert "robustness-perturbed" in (tmp_path / "out" / "report.html").read_text()
    assert not report.problems


def test_curves_stand_by_factor_and_task_and_never_mix_what_is_drawn_and_painted(tmp_path: Path) -> None:
    points = replace(POSE, task="perturbed-illumination/landmarks/synthetic", main="nme_box", unit="%")
    photographs = replace(points, task="occlusion/landmarks/london", main="nme_ocular")
    chosen = replace(POSE, task="occlusion/recognition/london", main="auc", unit="", higher=True)
    for made, changed in (
        (POSE, {}),
        (points, {}),
        (photographs, {}),
        (chosen, {"clean": 0.2, "protocol": "frozen, chosen on recognition/synthetic"}),
        (replace(POSE, task="occlusion/pose/synthetic"), {"source": "rendered"}),
    ):
        lost = {} if made is chosen else {"boxes": 1.0}
        write_sweep(tmp_path, "timm:a", lost, kinds=("boxes",), made=made, width=0.1, **changed)
    tables = family_tables(load_rows(tmp_path).rows)
    drawn = {chart.name: chart.panels for found in overview_charts(tables).values() for chart in found}
    assert set(drawn) == {"robustness-rendered", "robustness-perturbed"}
    (rendered,) = drawn["robustness-rendered"]
    assert rendered.title == "occlusion · pose/synthetic"
    names = [panel.title if panel else "" for panel in drawn["robustness-perturbed"]]
    assert names == [
        "occlusion · recognition/london chosen on recognition/synthetic",
        "occlusion · pose/synthetic",
        "occlusion · landmarks/london",
        "",
        "",
        "",
        "",
        "illumination · landmarks/synthetic",
    ]
    lit = drawn["robustness-perturbed"][-1]
    assert [name for _, name in lit.ticks] == ["clean", "1", "2"], "light hides nothing"


def test_mimics_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels"], tasks=[TASKS[2]])
    write_row(run / "rows", *make_row("paco-tiny", TASKS[2], data_kind="mimic"))
    report = build_report(run, tmp_path / "out", formats=["html"])
    assert "1 rows of miniatures" in report.problems[0]
    assert "MINIATURES" not in (tmp_path / "out" / "report.html").read_text()
    build_report(run, tmp_path / "out", formats=["html"], include_mimic=True)
    assert "MINIATURES" in (tmp_path / "out" / "report.html").read_text()


def test_bad_input_is_told_and_the_rest_comes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels", "constant"], tasks=[TASKS[2], TASKS[3]])
    pretraining = write_pretraining(run)
    (pretraining / "card.json").write_text("{")
    (pretraining / "metrics.jsonl").write_text("nonsense\n\n{}")
    (pretraining / "codebook.npz").write_bytes(b"PK\x03\x04 broken")
    np.savez(pretraining / "reconstruction.npz", original=np.zeros((2, 4, 4, 3), np.uint8))
    (run / "rows" / ("0" * 16 + ".json")).write_text("{")
    broken = next(stored.path for stored in load_rows(run).rows if stored.row.task == "pose/synthetic")
    items_path(broken).write_text("")
    report = build_report([run, tmp_path / "absent"], tmp_path / "out", formats=["html"])
    said = "\n".join(report.problems)
    for words in (
        "no readable row", "absent: no rows", "not the items", "not a readable card", "line 1: is not JSON",
        "no array 'corrupted'", "not a readable array file",
    ):  # fmt: skip
        assert words in said, words
    html = (tmp_path / "out" / "report.html").read_text()
    assert "Left out" in html and "Landmarks, frozen" in html and "No faces were kept" in html


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(PacoError, match="Nothing to report"):
        build_report(tmp_path, tmp_path / "out")
    with pytest.raises(PacoError, match="Unknown format docx"):
        build_report(tmp_path, tmp_path / "out", formats=["docx"])  # type: ignore[list-item]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["pixels"], tasks=[TASKS[2]])
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PacoError, match="Cannot write the report"):
        build_report(run, tmp_path / "out", formats=["csv"])


def test_pretraining_alone_makes_a_report(tmp_path: Path) -> None:
    write_pretraining(tmp_path / "run")
    report = build_report(tmp_path / "run", tmp_path / "out", formats=["html"])
    assert "no rows" in report.problems[0]
    assert "The codebook on the face" in (tmp_path / "out" / "report.html").read_text()


def test_arrays_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, names=np.array([{"a": 1}], dtype=object))
    with pytest.raises(PacoError, match="holds object, not plain values"):
        load_arrays(path, "samples")
    assert load_arrays(tmp_path / "absent.npz", "samples") is None
    with pytest.raises(PacoError, match="expected 5 axes"):
        save_arrays(path, "codebook", tokens=np.zeros((4, 4), np.uint8), usage=np.zeros((4, 4)))


def test_sources_tell_where_a_number_comes_from(built: Built) -> None:
    text = re.search(r'id="data">(.*?)</script>', built.html, re.DOTALL).group(1)  # type: ignore[union-attr]
    sources = json.loads(text)["sources"]
    stored = next(s for s in load_rows(built.run).rows if s.row.encoder == "paco-tiny")
    heading, facts = sources[stored.row.key]
    told = {name: value for name, value, _ in facts}
    assert heading == "paco-tiny" and told["chosen"] == "block 3, pooling grid4, ridge 10"
    assert told["interval"] == "95 %, bootstrap percentile over 40 × identity, 1000 replicates"
    assert told["scored"] == "242 pictures, 2 of 242 pictures (0.826 %) failed, synthetic data"
    assert told["weights"] == stored.row.weight_hash
