"""Building a report: rows and artefacts in, Markdown, CSV, LaTeX, figures and one HTML page out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from paco_eval.analysis.compare import Comparison
from paco_eval.analysis.significance import BY_INTERVALS, Judge
from paco_eval.report.figures import (
    Drawn,
    few_shot_figures,
    pretraining_figures,
    sample_figures,
    table_figures,
    training_figures,
)
from paco_eval.report.page import Contents, render, slug
from paco_eval.report.plots.style import looks, save
from paco_eval.report.robustness_figures import overview_figures, sweep_figures
from paco_eval.report.tables.comparison import comparison_tables
from paco_eval.report.tables.formats import latex_document, to_csv, to_markdown
from paco_eval.report.tables.presets import ROBUSTNESS, preset_tables
from paco_eval.report.tables.published import beside_measured, load_published
from paco_eval.report.tables.robustness import over_levels
from paco_eval.report.tables.table import Table, family_tables
from paco_eval.rows.archive import write_archive
from paco_eval.rows.artefacts import checkpoints, pretrainings
from paco_eval.rows.store import Stored, load_rows
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import write_text, writing

Format = Literal["html", "md", "csv", "latex", "figures", "archive"]
Style = Literal["families", "paper"]


class Report(NamedTuple):
    """Files that were written, and a sentence for each thing that had to be left out."""

    files: list[Path]
    problems: list[str]


def build_report(
    run_folders: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    formats: Sequence[Format] = ("html", "md", "csv", "latex"),
    include_mimic: bool = False,
    judge: Judge = BY_INTERVALS,
    published: bool = False,
    style: Style = "families",
    comparison: Comparison | None = None,
    title: str = "Face encoders, measured",
) -> Report:
    """Write ``report.html``, ``tables.md``, ``results.csv``, ``tables.tex``, ``figures/`` and ``archive/`` as asked.

    Args:
        run_folders: folders with ``rows/`` and perhaps ``pretrain/``, see
            :mod:`paco_eval.rows.artefacts`, or archives, see :mod:`paco_eval.rows.archive`.
        out: folder to write into; made if it is not there.
        formats: which of the files.
        include_mimic: whether rows of miniatures get tables of their own.
        judge: decides what is printed bold, see :mod:`paco_eval.analysis.significance`.
        published: whether numbers from the literature stand below measured ones of the same column.
        style: a table per family with all tasks, or the columns that papers print
            (:mod:`paco_eval.report.tables.presets`).
        comparison: from :func:`paco_eval.analysis.compare.compare`; its tables come first.
        title: heading of the page.

    Raises:
        PacoError: there is neither a row nor a pretraining run, or ``out`` cannot be written.

    """
    folders = (
        [Path(run_folders)] if isinstance(run_folders, (str, Path)) else [Path(run) for run in run_folders]
    )
    unknown = set(formats) - set(get_args(Format))
    if unknown:
        raise PacoError(f"Unknown format {', '.join(sorted(unknown))}. Known: {', '.join(get_args(Format))}.")
    loaded = load_rows(folders)
    problems = list(loaded.problems)
    mimics = sum(stored.row.data_kind == "mimic" for stored in loaded.rows)
    if mimics and not include_mimic:
        problems.append(f"{mimics} rows of miniatures are left out; --include-mimic shows them apart.")
    runs = [run for folder in folders for run in pretrainings(folder)]
    runs += checkpoints((stored.row.encoder for stored in loaded.rows), runs)
    if not loaded.rows and not runs:
        raise PacoError("Nothing to report. " + " ".join(problems))
    archived = write_archive(Path(out) / "archive", loaded.rows) if "archive" in formats else []
    if set(formats) == {"archive"}:
        return Report(archived, problems)
    if style == "paper":
        tables = preset_tables(loaded.rows, judge=judge)
    else:
        tables = family_tables(loaded.rows, judge=judge, include_mimic=include_mimic)
    if published:
        literature = load_published()
        tables = [beside_measured(table, literature) for table in tables]
    if comparison is not None:
        tables = [*comparison_tables(comparison), *tables]
        problems += comparison.problems
    shown = [_over_levels(table, problems) for table in tables]
    narrow = [part for table in shown for part in table.main_only().parts()]
    texts: dict[str, str] = {}
    if "md" in formats:
        texts["tables.md"] = "\n".join(map(to_markdown, narrow))
    if "csv" in formats:
        texts["results.csv"] = to_csv(tables)
    if "latex" in formats:
        texts["tables.tex"] = latex_document(narrow)
    drawn: list[Drawn] = []
    if {"html", "figures"} & set(formats):
        contents = _contents(loaded.rows, tables, shown, runs, problems)
        drawn = [figure for _, figures in contents.tables for figure in figures]
        drawn += [*contents.training, *(f for _, _, figures in contents.pretrainings for f in figures)]
        if "html" in formats:
            texts["report.html"] = render(contents, title)
    written = _write(Path(out), texts, drawn if "figures" in formats else [])
    return Report([*archived, *written], problems)


def _over_levels(table: Table, problems: list[str]) -> Table:
    """Return what is shown of a table: of derived tasks what was lost, instead of every kind and level."""
    try:
        return over_levels(table)
    except PacoError as error:
        problems.append(str(error))
        return table


def _contents(
    rows: Sequence[Stored],
    tables: Sequence[Table],
    condensed: Sequence[Table],
    runs: Sequence[Any],
    problems: list[str],
) -> Contents:
    look = looks(line.label for table in tables for line in table.lines)
    together = [few_shot_figures(tables), overview_figures(tables)]
    swept = _preset_curves(rows, tables)
    taken: set[str] = set()
    shown = []
    for table, short in zip(tables, condensed, strict=True):
        figures = [
            *table_figures(table, look, problems.append),
            *sweep_figures(table, problems.append),
            *_samples(table, problems),
        ]
        named = [_named(drawn, table, taken) for drawn in figures]
        more = [drawn for found in (*together, swept) for drawn in found.get(table.title, [])]
        shown.append((short, [*more, *named]))
    trained = []
    for run in runs:
        try:
            card = run.card()
        except PacoError as error:
            problems.append(str(error))
            card = {}
        trained.append((run, card, list(pretraining_figures(run, problems.append))))
    return Contents(
        rows, shown, trained, list(training_figures(runs, problems.append)), _failures(rows), look, problems
    )


def _preset_curves(rows: Sequence[Stored], tables: Sequence[Table]) -> dict[str, list[Drawn]]:
    """Return the curves of sweeps for tables of papers, which hold no levels, under the titles of these."""
    places = {table.protocol: table.title for table in tables if table.family == ROBUSTNESS}
    levels = [stored for stored in rows if stored.row.level is not None] if places else []
    sweeps = family_tables(levels)
    protocols = {table.title: table.protocol for table in sweeps}
    drawn: dict[str, list[Drawn]] = defaultdict(list)
    for title, found in overview_figures(sweeps).items():
        drawn[places.get(protocols[title], "")] += found
    return drawn


def _named(drawn: Drawn, table: Table, taken: set[str]) -> Drawn:
    """Return the figure under a name of its own: one task may have tables of several protocols and presets."""
    plain = table.protocol == "frozen" and not table.mimic
    name = drawn.name if plain else f"{drawn.name}-{table.protocol}{'-mimic' if table.mimic else ''}"
    if slug(name) in taken:
        name = f"{name}-{table.family}"
    taken.add(slug(name))
    return replace(drawn, name=name)


def _samples(table: Table, problems: list[str]) -> list[Drawn]:
    if table.compared:
        return []
    stored = {s.row.key: s for line in table.lines for cell in line.cells if cell for s in cell.rows}
    return list(sample_figures(list(stored.values()), problems.append))


def _failures(rows: Sequence[Stored]) -> list[dict[str, Any]]:
    """Return a line per task and set of failures, with the encoders that met them."""
    found: dict[tuple[str, int, int, str], list[str]] = {}
    for stored in rows:
        row = stored.row
        lost, of, _ = row.failed
        if lost:
            case = (row.task, of, of - lost, _reasons(stored))
            found.setdefault(case, []).append(row.encoder)
    return [
        {
            "task": task,
            "expected": expected,
            "scored": scored,
            "reasons": reasons,
            "encoders": sorted(set(names)),
        }
        for (task, expected, scored, reasons), names in sorted(found.items())
    ]


def _reasons(stored: Stored) -> str:
    try:
        items = stored.items()
    except PacoError as error:
        return str(error)
    named = items.failure[items.failure.fillna("") != ""] if "failure" in items else items.id[:0]
    counted = (f"{reason} ({count})" for reason, count in named.value_counts().items())
    return "; ".join(counted) or "not told by the items"


def _write(out: Path, texts: dict[str, str], drawn: Sequence[Drawn]) -> list[Path]:
    written: list[Path] = []
    with writing(f"the report to {out}", "Choose another folder."):
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            written.append(write_text(out / name, text))
        for figure in drawn:
            written += save(figure.figure, out / "figures" / slug(figure.name))
    return written
