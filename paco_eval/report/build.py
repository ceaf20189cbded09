"""Building a report: rows and artefacts in, Markdown, CSV, LaTeX, figures and one HTML page out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from paco_eval.analysis.columns import methods_with_seeds
from paco_eval.analysis.compare import Comparison
from paco_eval.analysis.robustness import CONSTANT
from paco_eval.analysis.significance import MetricOf, registered_metrics, seed_intervals
from paco_eval.report.charts.leaders import to_svg
from paco_eval.report.charts.panels import Chart, relabelled, slug
from paco_eval.report.leaderboard.board import Leaderboard
from paco_eval.report.leaderboard.layout import ahead_of, leaderboards, titled
from paco_eval.report.leaderboard.selection import Asked, is_named, shown_of, titles_of
from paco_eval.report.leaderboard.writers import ENDINGS, LATEX_NEEDS, written
from paco_eval.report.page.contents import collect
from paco_eval.report.page.render import render
from paco_eval.report.plots.draw import draw
from paco_eval.report.plots.style import looks, save
from paco_eval.report.tables.comparison import comparison_tables
from paco_eval.report.tables.formats import to_csv, to_latex, to_markdown
from paco_eval.report.tables.presets import preset_tables
from paco_eval.report.tables.published import beside_measured, load_published, published_apart
from paco_eval.report.tables.robustness import over_levels
from paco_eval.report.tables.table import Table, family_tables
from paco_eval.rows.archive import write_archive
from paco_eval.rows.artefacts import checkpoints, pretrainings
from paco_eval.rows.store import Stored, load_rows
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import write_text, writing
from paco_fr.utils.progress import tracked

Format = Literal["html", "text", "md", "csv", "latex", "json", "svg", "figures", "archive"]
Style = Literal["families", "paper"]

DEFAULT_FORMATS: tuple[Format, ...] = ("html", "md", "csv", "latex")


class Report(NamedTuple):
    """Files that were written, and a sentence for each thing that had to be left out."""

    files: list[Path]
    problems: list[str]


def build_report(
    run_folders: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    formats: Sequence[Format] = DEFAULT_FORMATS,
    include_mimic: bool = False,
    metric_of: MetricOf | None = None,
    table: Asked | None = None,
    published: bool = False,
    style: Style = "families",
    comparison: Comparison | None = None,
    title: str = "Face encoders, measured",
    replicates: int = 1000,
) -> Report:
    r"""Write a report as asked: ``report.html``; the one table as ``table.md``, ``.tex``, ``.csv``, ``.json``, ``.txt``;
    all other numbers as ``tables.md``, ``tables.tex`` (both TeX files are for ``\input``) and ``results.csv``;
    ``figures/``; ``archive/``.

    Args:
        run_folders: folders with ``rows/`` and perhaps ``pretrain/``, see
            :mod:`paco_eval.rows.artefacts`, or archives, see :mod:`paco_eval.rows.archive`.
        out: folder to write into; made if it is not there.
        formats: which of the files.
        include_mimic: whether rows of miniatures get tables of their own.
        metric_of: definitions, with which differences and means over seeds are resampled; by default those that rows
            carry and those of the registered tasks.
        table: which tasks and encoders everything but ``archive/`` shows, and how the one table does.
        published: whether numbers from the literature stand below measured ones of the same column.
        style: a table per family with all tasks, or the columns that papers print
            (:mod:`paco_eval.report.tables.presets`).
        comparison: from :func:`paco_eval.analysis.compare.compare`; its tables come first.
        title: heading of the page.
        replicates: bootstrap replicates of what the one table claims.

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
    asked = table or Asked()
    rows = shown_of(loaded.rows, asked)
    runs = [] if asked.encoders else [run for folder in folders for run in pretrainings(folder)]
    runs += checkpoints((stored.row.encoder for stored in rows), runs)
    if not loaded.rows and not runs:
        raise PacoError("Nothing to report. " + " ".join(problems))
    archived = write_archive(Path(out) / "archive", loaded.rows) if "archive" in formats else []
    if set(formats) == {"archive"}:
        return Report(archived, problems)
    metric_of = metric_of or registered_metrics()
    boards = leaderboards(
        loaded.rows, asked, metric_of=metric_of, include_mimic=include_mimic, replicates=replicates
    )
    # What a line is and is called, and what drops are held against, does not depend on what else is shown.
    several, called = methods_with_seeds(loaded.rows), titles_of(loaded.rows, asked.names)
    references = [s for s in loaded.rows if s.row.encoder == CONSTANT and s.row.level is not None]
    intervals, ahead = seed_intervals(metric_of), ahead_of(boards)
    if style == "paper":
        tables = preset_tables(rows, intervals=intervals, ahead=ahead, several=several, references=references)
    else:
        tables = family_tables(
            rows, intervals=intervals, ahead=ahead, include_mimic=include_mimic, several=several
        )
    if published:
        tables = _with_literature(tables, asked.tasks)
    if comparison is not None:
        tables = [*comparison_tables(comparison), *tables]
        problems += comparison.problems
    shown = [_over_levels(table, references, problems) for table in tables]
    narrow = [titled(part, called) for table in shown for part in table.main_only().parts()]
    texts = _texts(formats, boards, asked.cost, narrow, [titled(table, called) for table in tables])
    charts: list[Chart] = []
    titles: Mapping[str, str] = {}
    if {"html", "figures"} & set(formats):
        page = "html" in formats
        contents = collect(
            rows, boards, tables, shown, runs, metric_of, problems, named=called, several=several, page=page
        )
        charts, titles = contents.charts, contents.titles
        if page:
            texts["report.html"] = render(contents, title)
    files = _write(Path(out), texts, charts if "figures" in formats else [], titles)
    return Report([*archived, *files], problems)


def _with_literature(tables: Sequence[Table], tasks: str) -> list[Table]:
    """Return tables with published numbers of the tasks below measured ones, and those that nothing stands beside."""
    literature = load_published()
    if tasks:
        literature = literature[[is_named(task, tasks) for task in literature.task]]
    return [*(beside_measured(table, literature) for table in tables), *published_apart(literature)]


def _texts(
    formats: Sequence[Format],
    boards: Sequence[Leaderboard],
    cost: bool,
    narrow: Sequence[Table],
    whole: Sequence[Table],
) -> dict[str, str]:
    """Return what is written as text, by the name of its file: the one table, and all other numbers.

    Args:
        formats: as asked.
        boards: the one table, of every protocol.
        cost: whether it shows what an encoder costs.
        narrow: the other tables, main metrics alone and as wide as a page.
        whole: the other tables with all metrics and cells.

    """
    texts = {
        f"table.{ENDINGS[name]}": written(boards, name, cost=cost) for name in formats if name in ENDINGS
    }
    if "svg" in formats and boards:
        texts["table.svg"] = to_svg(boards[0])
    if "md" in formats:
        texts["tables.md"] = "\n".join(map(to_markdown, narrow))
    if "csv" in formats:
        texts["results.csv"] = to_csv(whole)
    if "latex" in formats:
        texts["tables.tex"] = "\n".join([LATEX_NEEDS, *map(to_latex, narrow)])
    return texts


def _over_levels(table: Table, references: Sequence[Stored], problems: list[str]) -> Table:
    """Return what is shown of a table: of derived tasks what was lost, instead of every kind and level."""
    try:
        return over_levels(table, references)
    except PacoError as error:
        problems.append(str(error))
        return table


def _write(
    out: Path, texts: dict[str, str], charts: Sequence[Chart], titles: Mapping[str, str]
) -> list[Path]:
    written: list[Path] = []
    look = looks(titles.values())
    with writing(f"the report to {out}", "Choose another folder."):
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            written.append(write_text(out / name, text))
        for chart in tracked(charts, "drawing figures", unit="figure"):
            figure = draw(relabelled(chart, titles), look)
            written += save(figure, out / "figures" / slug(chart.name))
    return written
