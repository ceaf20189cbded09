"""The one table: who stands where, what may be claimed, and how it is written."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from paco_eval.analysis.names import encoder_titles, metric_title, names_of
from paco_eval.analysis.robustness import sweeps
from paco_eval.analysis.significance import MetricOf, metrics_of_tasks
from paco_eval.report.charts.leaders import to_svg
from paco_eval.report.leaderboard.board import Leaderboard
from paco_eval.report.leaderboard.layout import leaderboards
from paco_eval.report.leaderboard.selection import Asked
from paco_eval.report.leaderboard.writers import to_csv, to_json, to_latex, to_markdown, to_text
from paco_eval.rows.schema import Definition, Metric
from paco_eval.rows.store import Stored, items_path, load_rows
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_rows import TASKS, make_row, write_run
from tests.paco_eval.analysis.test_robustness import write_sweep

POSE, LANDMARKS, EXPRESSION = TASKS[2], TASKS[3], TASKS[5]
WIDE = 200


def scored(encoder: str, value: float, half: float = 0.1, made=POSE, **changed) -> Stored:
    metric = Metric(
        value=value, low=value - half, high=value + half, higher_is_better=made.higher, unit=made.unit
    )
    row, _ = make_row(encoder, made, **{"metrics": {made.main: metric}, "pretrain_seed": None, **changed})
    return Stored(row, Path("nowhere.json"))


def only(*rows: Stored, metric_of: MetricOf | None = None, replicates: int = 1000, **asked) -> Leaderboard:
    (board,) = leaderboards(rows, Asked(**asked), metric_of=metric_of, replicates=replicates)
    return board


def test_encoders_stand_by_their_mean_rank_over_what_all_have():
    """Against scipy's ranks of the values, errors and accuracies each in their own direction."""
    pose, accuracy = [5.0, 7.0, 6.0, 9.0], [50.0, 70.0, 40.0, 20.0]
    rows = [scored(f"e{i}", value) for i, value in enumerate(pose)]
    rows += [scored(f"e{i}", value, made=EXPRESSION) for i, value in enumerate(accuracy)]
    rows += [scored("e3", 1.0, made=LANDMARKS)]
    board = only(*rows)
    expected = (rankdata(pose) + rankdata([-a for a in accuracy])) / 2
    assert {entry.name: entry.rank for entry in board.entries} == {f"e{i}": expected[i] for i in range(4)}
    assert [entry.rank for entry in board.entries] == sorted(expected)
    assert [head.title for head in board.heads] == ["pose", "landmarks", "expression"]
    assert [head.ranked for head in board.heads] == [True, False, True]


def test_bold_is_what_the_sentence_calls_ahead_and_nothing_else():
    """One in the lead whose interval touches another's was bold in some tables and not said to lead in any."""
    clear = only(scored("a", 5), scored("b", 6), scored("c", 7))
    assert clear.claims[0].sentence == "pose: a is ahead of all 2 others, b next, by 1.00°."
    close = only(scored("a", 5), scored("b", 5.1), scored("c", 7))
    assert close.claims[0].sentence == "pose: a leads; b cannot be told from it."
    seed = only(scored("a", 5, pretrain_seed=0), scored("b", 6))
    assert "observed in one training" in seed.claims[0].sentence
    alone = only(scored("a", 5))
    assert alone.claims[0].sentence == "pose: a alone was measured."
    for board, bold in ((clear, ["a"]), (close, []), (seed, []), (alone, [])):
        told = [claim.leader for claim in board.claims if "is ahead of" in claim.sentence]
        shown = [entry.name for entry in board.entries for score in entry.scores if score.ahead]
        assert shown == told == bold
        assert [line.split(" | ")[0][2:] for line in to_markdown(board).splitlines() if "**" in line] == bold


def test_a_lead_is_corrected_over_the_scores_of_the_table(tmp_path):
    """Paired over people, against a difference and a p-value computed here from the same items."""
    run = write_run(tmp_path / "run", ["mae-tiny", "pixels", "constant"], [POSE])
    rows = load_rows(run).rows
    defined = [
        Stored(
            s.row.model_copy(update={"definition": Definition(kind="pose"), "pretrain_seed": None}), s.path
        )
        for s in rows
    ]
    read = {s.row.encoder: s.items() for s in rows}
    board = only(*defined, metric_of=metrics_of_tasks([]), baseline="pixels")
    (entry,) = [entry for entry in board.entries if entry.name == "mae-tiny"]
    people = read["mae-tiny"].group
    paired = (read["mae-tiny"].error - read["pixels"].error).to_numpy()
    rng, names = np.random.default_rng(0), people.unique()
    members = [np.flatnonzero(people == name) for name in names]
    draws = [
        paired[np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])].mean()
        for _ in range(2000)
    ]
    delta = entry.scores[0].delta
    assert delta.value == pytest.approx(paired.mean())
    width = delta.high - delta.low
    assert [delta.low, delta.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.15 * width)
    assert entry.scores[0].ahead and entry.scores[0].beyond


def test_items_that_cannot_be_read_are_said_and_not_called_paired(tmp_path):
    """Of a damaged archive the table said that it was paired, and claimed other things."""
    run = write_run(tmp_path / "run", ["mae-tiny", "pixels"], [POSE])
    known = metrics_of_tasks([])
    defined = [
        Stored(s.row.model_copy(update={"definition": Definition(kind="pose")}), s.path)
        for s in load_rows(run).rows
    ]
    assert not any("not paired" in sentence for sentence in only(*defined, metric_of=known).definitions)
    items_path(defined[0].path).unlink()
    told = [sentence for sentence in only(*defined, metric_of=known).definitions if "not paired" in sentence]
    assert len(told) == 1 and items_path(defined[0].path).name in told[0]


def test_encoders_are_named_by_methods_with_commas_seeds_and_globs_of_what_is_derived():
    parts = "paco/parts, masking.strategy=region"
    rows = [
        *(scored(f"paco:runs/{seed}", 5 + seed, method="paco/x", pretrain_seed=seed) for seed in (0, 1)),
        scored("paco:cells/region", 6, method=parts, pretrain_seed=0),
        scored("pixels", 7),
    ]
    assert {entry.label for entry in only(*rows, encoders=f"{parts},pixels").entries} == {
        "paco:cells/region",
        "pixels",
    }
    assert {entry.scores[0].value for entry in only(*rows, encoders="paco/x").entries} == {5.5}
    assert {entry.scores[0].value for entry in only(*rows, encoders="paco:runs/1").entries} == {6}
    with pytest.raises(PacoError, match=r"Baseline 'p.' means 3 encoders: .*Name one"):
        only(*rows, baseline="p*")
    (kept,) = only(*rows, encoders="paco/x", baseline="pixels").entries[1:]
    assert kept.baseline, "what others are held against is shown"
    alike = [scored(f"random:tiny{end}", 5, method="random:tiny") for end in ("", "@1")]
    board = only(*alike, baseline="random:tiny")
    assert [entry.label for entry in board.entries if entry.baseline] == ["random:tiny"], "its own name first"


def test_a_picture_of_the_table_draws_intervals_that_end_at_zero():
    svg = to_svg(only(scored("a", 0.0, half=0.0), scored("b", 5, half=5.0)))
    assert all(float(start) >= 132 for start in re.findall(r'd="M([\d.]+),[\d.]+H', svg))
    long = to_svg(
        only(scored("paco/parts, codebook.content=raw", 5), scored("paco/parts, codebook.scope=shared", 6))
    )
    assert len(set(re.findall(r'text-anchor="end"[^>]*>([^<]*…[^<]*)<', long))) == 2


def test_other_pictures_are_neither_ranked_nor_claimed():
    board = only(scored("a", 5), scored("b", 6), scored("c", 1, data_fingerprint="f" * 16))
    values = {entry.name: entry.scores[0] for entry in board.entries}
    assert values["c"].rank is None and not values["c"].ahead
    assert values["c"].notes == ("other images than the rest of the column",)
    assert board.claims[0].leader == "a"
    assert any("pictures" in sentence for sentence in board.definitions), "what all lost is said once"


def test_many_tasks_become_families_with_mean_ranks_and_still_a_sentence_each():
    made = [f"pose/set{i}" for i in range(7)]
    rows = [
        scored(name, 5 + at, task=task, family="pose") for task in made for at, name in enumerate(("a", "b"))
    ]
    rows += [scored(name, 50, made=EXPRESSION) for name in ("a", "b")]
    board = only(*rows)
    assert [head.title for head in board.heads] == ["pose", "expression"]
    assert board.heads[0].metric == "mean rank over 7 tasks"
    assert [entry.scores[0].value for entry in board.entries] == [1.0, 2.0]
    assert len(board.claims) == 8
    assert len(only(*rows, columns="tasks").heads) == 8


def test_tasks_encoders_and_names_are_chosen_and_typos_get_near_names():
    rows = [
        scored("paco:runs/a", 5, method="paco/x", alias="Mine"),
        scored("pixels", 6),
        scored("constant", 7),
    ]
    board = only(*rows, encoders="Mine,pixels", names={"pixels": "raw pixels"}, baseline="raw pixels")
    assert [entry.name for entry in board.entries] == ["Mine", "raw pixels"]
    assert [entry.baseline for entry in board.entries] == [False, True]
    assert board.entries[0].encoder == "paco:runs/a"
    assert [entry.own for entry in only(*rows).entries] == [True, False, False]
    for wrong in ({"encoders": "pixel"}, {"tasks": "pose/synthetik"}, {"baseline": "pixel"}):
        with pytest.raises(PacoError, match=r"pose/synthetic|pixels"):
            leaderboards(rows, Asked(**wrong))
    assert names_of(["a=b,c@x=y=z"]) == {"a": "b", "c@x=y": "z"}
    with pytest.raises(PacoError, match="ENCODER=NAME"):
        names_of(["a"])


def test_encoders_have_short_names_no_two_alike():
    rows = {
        "paco:runs/a": [scored("paco:runs/a", 5, method="paco/tiny").row],
        "paco:runs/b": [scored("paco:runs/b", 5, method="paco/tiny").row],
        "timm:vit_base": [scored("timm:vit_base", 5).row],
        "random:tiny": [scored("random:tiny", 5).row],
    }
    titles = encoder_titles(rows)
    assert [*titles.values()] == ["paco/tiny (a)", "paco/tiny (b)", "vit_base", "untrained tiny"]


@pytest.mark.parametrize(
    ("name", "unit", "title"),
    [
        ("tar@far=1e-2", "%", "TAR at FAR 1 %"),
        ("tar@far=1e-4", "%", "TAR at FAR 0.01 %"),
        ("nme_box", "%", "NME, % of box"),
        ("mae", "deg", "angle error, degrees"),
        ("mae_years", "years", "age error, years"),
        ("somebody_elses", "%", "somebody elses, %"),
    ],
)
def test_metrics_have_the_names_of_people(name, unit, title):
    assert metric_title(name, unit) == title


def test_every_metric_of_every_task_has_words_and_no_underscores():
    from tasks.kinds import load_kind
    from tasks.registry import all_tasks

    for task in all_tasks().values():
        for metric in load_kind(task.kind).metrics(task):
            title = metric_title(metric.name, metric.unit)
            assert not re.search(r"[_@]|=", title), (metric.name, title)


BOARD = only(
    *(
        scored(name, value, made=made, n_scored=240 - (name == "b"))
        for made in (POSE, LANDMARKS, EXPRESSION)
        for name, value in (("a_&_%", 5.0), ("b", 5.05), ("c" * 60, 9.0))
    ),
    own=["b"],
    baseline="b",
)


@pytest.mark.parametrize("width", [40, 60, 80, 100, WIDE])
def test_the_terminal_table_fits_the_width_and_loses_no_score(width):
    """Tables in the terminal held tags and ran off the screen."""
    text = to_text(BOARD, width)
    assert max(map(len, text.splitlines())) <= width
    assert "<" not in text
    for entry in BOARD.entries:
        for head, score in zip(BOARD.heads, entry.scores, strict=True):
            assert head.number(score.value) in text
    assert "› b" in text and all(
        claim.sentence.replace(" ", "") in "".join(text.split()) for claim in BOARD.claims
    )


def test_emphasis_takes_no_place_in_the_terminal():
    board = only(scored("a", 5), scored("b", 6))
    plain, bold = to_text(board, WIDE), to_text(board, WIDE, lambda text: f"\033[1m{text}\033[0m")
    assert bold != plain and re.sub(r"\033\[\d+m", "", bold) == plain


def test_latex_can_be_input_and_has_short_captions():
    r"""It was a whole document, whose caption was a paragraph."""
    text = to_latex(BOARD)
    assert r"\documentclass" not in text and r"\begin{document}" not in text
    for name in ("table", "tabular", "minipage"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert text.count("{") == text.count("}")
    (caption,) = re.findall(r"\\caption\{(.*)\}\n", text)
    assert len(caption) < 120
    assert "S[table-format=1.2]" in text and r"a\_\&\_\%" in text
    (form,) = re.findall(r"\\begin\{tabular\}\{(.*)\}\n", text)
    places = len(
        re.findall(r"S\[|(?<![a-z\\])[lr]\b", re.sub(r"@\{\\,\}", " ", re.sub(r"=\d\.\d\]", "]", form)))
    )
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert body and {len(re.split(r"(?<!\\)&", line)) for line in body} == {places}


def test_csv_and_json_hold_every_number_and_the_rows_behind_it():
    lines = list(csv.DictReader(io.StringIO(to_csv([BOARD]))))
    (told,) = json.loads(to_json([BOARD]))
    assert len(lines) == 9 and told["baseline"] == "b"
    for line in lines:
        (entry,) = [entry for entry in told["encoders"] if entry["name"] == line["name"]]
        score = entry["scores"][line["task"]]
        assert float(line["value"]) == score["value"] and line["keys"] == " ".join(score["keys"]) != ""


def test_derived_tasks_show_what_is_lost_and_only_where_they_are_asked_for(tmp_path):
    for name, lost in (("paco-tiny", 1.0), ("mae-tiny", 3.0)):
        write_sweep(tmp_path, name, {"boxes": lost, "hand": lost}, seed=0)
    rows = load_rows(tmp_path).rows
    plain = [scored("paco-tiny", 5), scored("mae-tiny", 6)]
    assert [head.title for head in only(*plain, *rows).heads] == ["pose"]
    assert [head.title for head in only(*plain, *rows, tasks="*").heads] == ["pose"], "as in evaluate --tasks"
    board = only(*plain, *rows, tasks="perturbed-occlusion/*", metric_of=metrics_of_tasks([]), replicates=50)
    (head,) = board.heads
    assert (head.metric, head.higher_is_better) == ("rise of angle error, degrees", False)
    expected = {sweep.clean.encoder: sweep.mean_drop for sweep in sweeps(rows)}
    assert {entry.encoder: entry.scores[0].value for entry in board.entries} == pytest.approx(expected)
    assert all(entry.scores[0].low < entry.scores[0].value < entry.scores[0].high for entry in board.entries)
