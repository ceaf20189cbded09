"""The commands that show rows as functions: ``compare`` and ``report``, with what they print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from paco_eval.analysis.compare import Comparison
from paco_eval.analysis.names import names_of
from paco_eval.analysis.significance import registered_metrics
from paco_eval.api.evaluate import silent
from paco_eval.api.results import differences
from paco_eval.report.charts.leaders import to_svg
from paco_eval.report.leaderboard.layout import leaderboards, titled
from paco_eval.report.leaderboard.selection import Asked, Columns, titles_of
from paco_eval.report.leaderboard.writers import ENDINGS, Emphasis, written
from paco_eval.report.tables.comparison import comparison_lines, comparison_records, comparison_tables
from paco_eval.report.tables.formats import to_markdown
from paco_eval.rows.store import Stored, load_rows
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Say

if TYPE_CHECKING:  # what draws takes seconds to import
    from paco_eval.report.build import Format, Report, Style

Place = str | Path
Names = Mapping[str, str] | Sequence[str]


def compare(
    runs: Place | Sequence[Place],
    *,
    baseline: str = "pixels",
    names: Names = (),
    published: bool = False,
    out: Place | None = None,
) -> Comparison:
    """Return the differences of all encoders to a baseline, and write a report of them where ``out`` is a folder.

    Args:
        runs: folders of rows or archives.
        baseline: an encoder, or a method with several seeds, by any of its names.
        names: what to call encoders.
        published: set numbers from the literature below measured ones of the report.
        out: folder of the report.

    Raises:
        PacoError: the baseline is not among the rows, or nothing could be compared; the report is written all the same.

    """
    found = compared(runs, baseline=baseline, names=names)
    if out is not None:
        found.write(out, published=published)
    return found.whole()


@dataclass(frozen=True)
class Compared:
    """What ``paco-eval compare`` prints and writes.

    Attributes:
        places: folders of rows or archives.
        rows: in them.
        baseline: as it was named.
        names: what to call encoders.
        titles: what the line of every encoder is called.
        comparison: with the baseline; None where it is not among the rows.
        problems: a sentence for each thing that was left out.
        wrong: why nothing was compared, if so.

    """

    places: Sequence[Path]
    rows: Sequence[Stored]
    baseline: str
    names: Mapping[str, str]
    titles: Mapping[str, str]
    comparison: Comparison | None
    problems: Sequence[str]
    wrong: PacoError | None

    def whole(self) -> Comparison:
        """Return the comparison.

        Raises:
            PacoError: nothing was compared.

        """
        if self.wrong is not None:
            raise self.wrong
        assert self.comparison is not None
        return self.comparison

    def text(self, style: str = "text", *, width: int = 100, bold: Emphasis = str) -> str:
        """Return the comparison as ``text`` (below the one table), ``md`` or ``json``; nothing where there is none."""
        if self.comparison is None:
            return ""
        if style == "json":
            return json.dumps(comparison_records(self.comparison, self.titles), indent=1, ensure_ascii=False)
        if style == "md":
            return "\n".join(
                to_markdown(titled(table, self.titles)) for table in comparison_tables(self.comparison)
            )
        boards = leaderboards(self.rows, self._asked, metric_of=registered_metrics())
        table = written(boards, "text", width=width, bold=bold)
        return "\n".join([table, *comparison_lines(self.comparison, self.titles)])

    def write(self, out: Place, *, published: bool = False) -> Report:
        """Write a report with the comparison first; without one where the baseline is not there."""
        from paco_eval.report.build import build_report

        return build_report(
            self.places, out, metric_of=registered_metrics(), published=published, table=self._asked,
            comparison=self.comparison,
            title=f"Compared with {self.baseline}" if self.comparison else "Face encoders, measured",
        )  # fmt: skip

    @property
    def _asked(self) -> Asked:
        return Asked(baseline=self.baseline if self.comparison else "", names=self.names)


def compared(runs: Place | Sequence[Place], *, baseline: str = "pixels", names: Names = ()) -> Compared:
    """Return what :func:`compare` comes to, whether or not anything could be compared."""
    places, given = _places(runs), _names(names)
    loaded = load_rows(places)
    titles = titles_of(loaded.rows, given)
    comparison, wrong, problems = None, None, list(loaded.problems)
    try:
        comparison = differences(loaded.rows, baseline, titles)
    except PacoError as error:  # a baseline that is not there: the tables still come
        wrong = error
    if comparison is not None:
        problems += comparison.problems
        if not comparison.differences:
            wrong = PacoError("; ".join(["Nothing could be compared", *problems]))
    return Compared(places, loaded.rows, baseline, given, titles, comparison, problems, wrong)


def report(
    runs: Place | Sequence[Place],
    *,
    format: Sequence[str] = (),
    tasks: str = "",
    encoders: str = "",
    baseline: str = "",
    names: Names = (),
    columns: str = "auto",
    cost: bool = True,
    style: str = "families",
    published: bool = False,
    include_mimic: bool = False,
    out: Place | None = None,
    say: Say = silent,
) -> list[Path]:
    """Write the one table, plots and a page to look at, and return the files.

    Args:
        runs: folders of rows or archives.
        format: which files, by default the page, Markdown, CSV and LaTeX.
        tasks: of the table: names or globs, separated by commas.
        encoders: likewise.
        baseline: that differences are shown to.
        names: what to call encoders.
        columns: ``tasks``, ``families`` or ``auto``.
        cost: whether the table shows parameters, operations and rate.
        style: ``families`` or ``paper``, of the tables with all numbers.
        published: set numbers from the literature below measured ones.
        include_mimic: show rows measured on miniatures, apart.
        out: folder, by default the first run's ``report``.
        say: is told what had to be left out.

    Raises:
        PacoError: a format, name or pattern that means nothing, no row, or a folder that cannot be written.

    """
    from paco_eval.report.build import DEFAULT_FORMATS, build_report

    places = _places(runs)
    asked = Asked(tasks, encoders, baseline, _names(names), None, cast(Columns, columns), cost)
    found = build_report(
        places, out or places[0] / "report", formats=cast("list[Format]", _formats(format)) or DEFAULT_FORMATS,
        include_mimic=include_mimic, metric_of=registered_metrics(), table=asked, published=published,
        style=cast("Style", style),
    )  # fmt: skip
    _note(found.problems, say)
    return found.files


def printed(
    runs: Place | Sequence[Place],
    format: Sequence[str] = ("text",),
    *,
    tasks: str = "",
    encoders: str = "",
    baseline: str = "",
    names: Names = (),
    columns: str = "auto",
    cost: bool = True,
    include_mimic: bool = False,
    width: int = 100,
    bold: Emphasis = str,
    say: Say = silent,
) -> list[str]:
    """Return the one table in each format, as ``paco-eval report --format`` prints it.

    Args:
        runs: folders of rows or archives.
        format: ``text``, ``md``, ``latex``, ``csv``, ``json`` or ``svg``; several give as many texts.
        tasks: names or globs, separated by commas.
        encoders: likewise.
        baseline: that differences are shown to.
        names: what to call encoders.
        columns: ``tasks``, ``families`` or ``auto``.
        cost: whether parameters, operations and rate are shown.
        include_mimic: show rows measured on miniatures, apart.
        width: of a line of text.
        bold: what makes text bold.
        say: is told what had to be left out.

    Raises:
        PacoError: a format, name or pattern that means nothing, or no row to show.

    """
    places, formats = _places(runs), _formats(format)
    if unknown := set(formats) - {*ENDINGS, "svg"}:
        raise PacoError(f"Not printed: {', '.join(sorted(unknown))}. Printed: {', '.join(ENDINGS)}, svg.")
    asked = Asked(tasks, encoders, baseline, _names(names), None, cast(Columns, columns), cost)
    loaded = load_rows(places)
    _note(loaded.problems, say)
    boards = leaderboards(loaded.rows, asked, metric_of=registered_metrics(), include_mimic=include_mimic)
    if not boards:
        raise PacoError(f"No table: no row under {', '.join(map(str, places))} is of a whole task.")
    return [
        to_svg(boards[0]) if one == "svg" else written(boards, one, width=width, bold=bold, cost=cost)
        for one in formats
    ]


def _note(problems: Sequence[str], say: Say) -> None:
    for problem in problems:
        say(f"Note: {problem}")


def _places(runs: Place | Sequence[Place]) -> list[Path]:
    return [Path(runs)] if isinstance(runs, (str, Path)) else [Path(run) for run in runs]


def _formats(format: Sequence[str]) -> list[str]:
    return [format] if isinstance(format, str) else list(format)


def _names(names: Names) -> dict[str, str]:
    return dict(names) if isinstance(names, Mapping) else names_of(names)
