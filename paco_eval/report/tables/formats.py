"""Tables as Markdown, CSV and LaTeX. What a table says is decided in :mod:`paco_eval.report.tables.table`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pandas as pd

from paco_eval.analysis.columns import Column
from paco_eval.report.tables.table import Cell, Line, Table


def to_markdown(table: Table) -> str:
    """Return a heading, a pipe table and the notes; brackets hold intervals."""
    heads = [to_pipe(f"{table.place(column)}<br>{column.heading}") for column in table.columns]
    text = [f"### {to_pipe(table.title)}", "", _markdown_row(["encoder", *heads])]
    text.append(_markdown_row([":--", *("--:" for _ in heads)]))
    for line in table.lines:
        label = f"*{to_pipe(line.label)}*" if line.kind == "published" else to_pipe(line.label)
        note = f"<br><small>{to_pipe(line.note)}</small>" if line.note else ""
        cells = [
            _markdown_cell(table, column, cell)
            for column, cell in zip(table.columns, line.cells, strict=True)
        ]
        text.append(_markdown_row([label + note, *cells]))
    text += ["", to_pipe(table.caption), *(f"({mark}) {to_pipe(note)}." for mark, note in _footnotes(table))]
    return "\n".join(text) + "\n"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def to_pipe(text: str) -> str:
    """Neutralise what would end a cell, start a tag or a format."""
    for character in "\\`*_[]":
        text = text.replace(character, "\\" + character)
    text = text.replace("&", "&amp;").replace("<br>", "\0").replace("<", "&lt;").replace("\0", "<br>")
    return text.replace("|", "\\|").replace("\n", " ")


def _markdown_cell(table: Table, column: Column, cell: Cell | None) -> str:
    if cell is None:
        return ""
    value = cell.printed or column.number(cell.value)
    value = f"**{value}**" if cell.best else value
    value = f"~~{value}~~" if cell.struck else value
    marks = f"<sup>{','.join(table.marks(cell))}</sup>" if cell.flags else ""
    return f"{value}{marks}{_interval(column, cell)}"


def _interval(column: Column, cell: Cell) -> str:
    if cell.low is None:
        return ""
    return f" [{column.number(cell.low)}, {column.number(cell.high)}]"


def _footnotes(table: Table) -> list[tuple[str, str]]:
    shown = dict.fromkeys(
        (mark, flag)
        for line in table.lines
        for cell in line.cells
        if cell
        for mark, flag in zip(table.marks(cell), cell.flags, strict=True)
    )
    return list(shown)


def to_frame(tables: Iterable[Table]) -> pd.DataFrame:
    """Return one line per cell with everything a reader needs to use the number elsewhere."""
    lines: list[dict[str, Any]] = []
    for table in tables:
        for line in table.lines:
            for column, cell in zip(table.columns, line.cells, strict=True):
                if cell is not None:
                    lines.append(_record(table, line, column, cell))
    return pd.DataFrame(lines, columns=list(_RECORD))


_RECORD = (
    "family", "protocol", "kind", "encoder", "note", "task", "task_version", "split", "subset", "level",
    "metric", "unit", "higher_is_better", "main", "value", "printed", "low", "high", "best", "struck", "n_scored",
    "n_expected", "item", "n_items", "n_items_failed", "data_kind", "flags", "keys", "origin",
)  # fmt: skip


def _record(table: Table, line: Line, column: Column, cell: Cell) -> dict[str, Any]:
    rows = [stored.row for stored in cell.rows]
    return {
        "family": table.family,
        "protocol": table.protocol,
        "kind": line.kind,
        "encoder": line.label,
        "note": line.note,
        "task": column.task,
        "task_version": column.task_version,
        "split": column.split,
        "subset": column.subset,
        "level": None if column.level < 0 else column.level,
        "metric": column.metric,
        "unit": column.unit,
        "higher_is_better": column.higher_is_better,
        "main": column.main,
        "value": cell.value,
        "printed": cell.printed,
        "low": cell.low,
        "high": cell.high,
        "best": cell.best,
        "struck": cell.struck,
        "n_scored": rows[0].n_scored if rows else None,
        "n_expected": rows[0].n_expected if rows else None,
        "item": rows[0].item if rows else None,
        "n_items": rows[0].n_items if rows else None,
        "n_items_failed": rows[0].n_items_failed if rows else None,
        "data_kind": rows[0].data_kind if rows else None,
        "flags": "; ".join(cell.flags),
        "keys": " ".join(row.key for row in rows),
        "origin": cell.origin,
    }


def to_csv(tables: Iterable[Table]) -> str:
    """Return all cells of all tables as tidy CSV, see :func:`to_frame`."""
    return plain_cells(to_frame(tables)).to_csv(index=False, lineterminator="\n")


def plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text begins a formula where a spreadsheet opens it; numbers stay as they are.

    Text that begins with ``= + - @`` gets an apostrophe before it; tabs and ends of lines become blanks.
    """

    def plain(cell: object) -> object:
        if not isinstance(cell, str):
            return cell
        line = re.sub(r"[\t\r\n]", " ", cell)
        return f"'{line}" if line.lstrip()[:1] in ("=", "+", "-", "@") else line

    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    return frame.assign(**{str(name): frame[name].map(plain) for name in texts})


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--", "°": r"$^\circ$",
    "²": "$^2$", "·": r"$\cdot$", "±": r"$\pm$", "−": "$-$", "\n": " ",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Return text that LaTeX prints as it is; letters it cannot set without a package become '?'."""
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return escaped.encode("latin-1", "replace").decode("latin-1")


def to_latex(table: Table) -> str:
    r"""Return a ``table`` environment; the document needs the packages ``booktabs`` and ``graphicx``."""
    spans = [
        (place, len(list(group))) for place, group in groupby(table.place(column) for column in table.columns)
    ]
    places = " & ".join(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(place)}}}" for place, width in spans)
    rules, start = [], 2
    for _, width in spans:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    body: list[str] = []
    for kind, lines in groupby(table.lines, key=lambda line: line.kind):
        body += [r"\midrule"] + [_latex_line(table, line) for line in lines if line.kind == kind]
    caption = " ".join([f"{escape_latex(table.title)}. {escape_latex(table.caption)}", *_latex_notes(table)])
    # A wide table shrinks to the line instead of running off the page.
    wide = len(table.columns) > 5
    return "\n".join(
        [
            r"\begin{table}[tb]",
            r"\centering\small",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{_label(table)}}}",
            (r"\resizebox{\linewidth}{!}{" if wide else "")
            + rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\toprule",
            rf" & {places} \\",
            "".join(rules),
            rf"Encoder & {' & '.join(escape_latex(column.heading) for column in table.columns)} \\",
            *body,
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            r"\end{table}",
            "",
        ]
    )


def _latex_notes(table: Table) -> list[str]:
    return [rf"\textsuperscript{{{mark}}}~{escape_latex(note)}." for mark, note in _footnotes(table)]


def _label(table: Table) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{table.family}-{table.protocol}")


def _latex_line(table: Table, line: Line) -> str:
    label = escape_latex(line.label)
    label = rf"\textit{{{label}}}" if line.kind == "published" else label
    note = rf" {{\scriptsize {escape_latex(line.note)}}}" if line.note else ""
    cells = [_latex_cell(table, column, cell) for column, cell in zip(table.columns, line.cells, strict=True)]
    return rf"{label}{note} & {' & '.join(cells)} \\"


def _latex_cell(table: Table, column: Column, cell: Cell | None) -> str:
    if cell is None:
        return ""
    value = escape_latex(cell.printed or column.number(cell.value))
    value = rf"\textbf{{{value}}}" if cell.best else value
    value = (
        rf"{{\setbox0=\hbox{{{value}}}\rlap{{\rule[.5ex]{{\wd0}}{{.4pt}}}}\box0}}" if cell.struck else value
    )
    marks = rf"\textsuperscript{{{','.join(table.marks(cell))}}}" if cell.flags else ""
    interval = escape_latex(_interval(column, cell).strip())
    return value + marks + (rf" {{\scriptsize {interval}}}" if interval else "")
