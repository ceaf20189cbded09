"""The one table as text for a terminal, Markdown, LaTeX, CSV and JSON; see :mod:`paco_eval.report.leaderboard.layout`."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import pandas as pd

from paco_eval.analysis.bootstrap import finite
from paco_eval.analysis.names import listed
from paco_eval.report.leaderboard.board import Entry, Head, Leaderboard, Score, shortened
from paco_eval.report.tables.formats import escape_latex, plain_cells, to_pipe
from paco_eval.report.tables.table import letters

LONGEST_NAME = 34
"""Characters of an encoder's name in a terminal; of a longer one the middle is left out."""

NARROWEST, GAP = 40, "  "
COST = {"parameters": "params", "gflop": "GFLOP", "images_per_s": "pict/s"}
OWN, BASELINE = "›", "="
"""Marks of the encoder one came with, and of the baseline."""

Emphasis = Callable[[str], str]
Ends = Literal["both", "half", "none"]
"""How an interval is shown: both ends, half of its width, or not."""


# --- for a terminal -----------------------------------------------------------------------------------------------


def to_text(board: Leaderboard, width: int = 100, bold: Emphasis = str, *, cost: bool = True) -> str:
    """Return the table in plain columns that fit the width, below it what may be claimed and what the numbers are.

    Where the width does not suffice, intervals are shortened to half of their width, then costs are left out, then
    intervals beside differences, and at last the columns are put under each other.

    Args:
        board: to show.
        width: characters of a line; at least 40 are used.
        bold: prints what is ahead; it may add characters that take no place.
        cost: whether parameters, operations and rate are shown.

    """
    width = max(width, NARROWEST)
    lines = _fitted(board, width, bold, cost)
    told = [claim.sentence for claim in board.claims]
    marks = []
    if any(entry.own for entry in board.entries):
        marks.append(f"{OWN} what was asked for.")
    if board.baseline:
        marks.append(f"{BASELINE} baseline.")
    notes = [f"({mark}) {note}." for mark, note in _notes(board)]
    below = [*told, "", " ".join([*marks, *board.definitions]), *notes]
    for text in below:
        lines += textwrap.wrap(text, width, subsequent_indent="  ") or [""]
    title = f"{board.protocol}{', MINIATURES' if board.mimic else ''}, best mean rank first"
    return "\n".join([title[:width], "", *lines]) + "\n"


def _fitted(board: Leaderboard, width: int, bold: Emphasis, cost: bool) -> list[str]:
    places = range(len(board.heads))
    costs = [name for name in COST if cost and any(getattr(entry, name) for entry in board.entries)]
    ends: Ends
    tries: list[tuple[Ends, list[str]]] = [("both", costs), ("half", costs)]
    tries += [("half", costs[:most]) for most in range(len(costs) - 1, -1, -1)]
    tries += [("none", [])] if board.baseline else []
    for ends, kept in tries:
        block = _Block(board, places, ends, kept, width)
        if block.width <= width:
            return [*block.lines(bold), ""]
    alone = max(_Block(board, [place], "half", [], width).width for place in places)
    ends = "half" if alone <= width else "none"
    lines: list[str] = []
    for part in _parts(board, width, ends):
        lines += [*_Block(board, part, ends, [], width).lines(bold), ""]
    return lines


def _parts(board: Leaderboard, width: int, ends: Ends) -> Iterator[Sequence[int]]:
    """Yield the columns of each block, as many as fit."""
    part: list[int] = []
    for place in range(len(board.heads)):
        if part and _Block(board, [*part, place], ends, [], width).width > width:
            yield part
            part = []
        part.append(place)
    if part:
        yield part


class _Block:
    """Columns side by side, every cell a text with its place."""

    def __init__(
        self, board: Leaderboard, places: Sequence[int], ends: Ends, costs: Sequence[str], width: int
    ) -> None:
        self.board, self.places = board, list(places)
        names = [_name(entry, min(LONGEST_NAME, width // 3 - 2)) for entry in board.entries]
        ranks = ["–" if entry.rank is None else f"{entry.rank:.2f}" for entry in board.entries]
        columns = [
            [_cell(board, head, entry.scores[place], ends) for entry in board.entries]
            for place, head in ((place, board.heads[place]) for place in self.places)
        ]
        columns += [[_cost(name, getattr(entry, name)) for entry in board.entries] for name in costs]
        heads = [
            _head(
                [board.heads[place].title, f"{board.heads[place].metric} {board.heads[place].arrow}"], column
            )
            for place, column in zip(self.places, columns, strict=False)
        ]
        heads += [[COST[name]] for name in costs]
        self.columns = [names, ranks, *columns]
        self.heads = [[""], ["rank"], *heads]
        self.widths = [
            max(map(len, [*head, *column])) for head, column in zip(self.heads, self.columns, strict=True)
        ]

    @property
    def width(self) -> int:
        """Characters of a line."""
        return sum(self.widths) + len(GAP) * (len(self.widths) - 1)

    def lines(self, bold: Emphasis) -> list[str]:
        """Return the heads, a rule, and a line an encoder."""
        tall = max(map(len, self.heads))
        padded = [[*head, *[""] * (tall - len(head))] for head in self.heads]
        lines = [self._line([head[row] for head in padded]) for row in range(tall)]
        lines.append(GAP.join("─" * width for width in self.widths))
        for row, entry in enumerate(self.board.entries):
            cells = [column[row] for column in self.columns]
            ahead = [
                2 + at
                for at, place in enumerate(self.places)
                if (score := entry.scores[place]) is not None and score.ahead
            ]
            lines.append(self._line(cells, dict.fromkeys(ahead, bold)))
        return lines

    def _line(self, cells: Sequence[str], how: dict[int, Emphasis] | None = None) -> str:
        shown = []
        for at, (cell, width) in enumerate(zip(cells, self.widths, strict=True)):
            padded = cell.ljust(width) if at == 0 else cell.rjust(width)
            shown.append((how or {}).get(at, str)(padded))
        return GAP.join(shown).rstrip()


def _name(entry: Entry, longest: int) -> str:
    mark = OWN if entry.own else BASELINE if entry.baseline else " "
    return f"{mark} {shortened(entry.name, longest)}"


def _head(texts: Sequence[str], column: Sequence[str]) -> list[str]:
    room = max([12, *map(len, column)])
    return [line for text in texts for line in textwrap.wrap(text, room, break_long_words=False)]


def _cell(board: Leaderboard, head: Head, score: Score | None, ends: Ends) -> str:
    if score is None:
        return ""
    shown = f"×{head.number(score.value)}" if score.struck else head.number(score.value)
    if score.low is not None and score.high is not None and ends != "none":
        half = (score.high - score.low) / 2
        shown += f" ±{head.number(half)}" if ends == "half" else f" {_between(head, score.low, score.high)}"
    if score.delta is not None:
        shown += f" ({head.number(score.delta.value, signed=True)}{'*' * score.beyond})"
    return shown + "".join(f" {mark}" for mark in _marks(board, score))


def _between(head: Head, low: float, high: float) -> str:
    return f"[{head.number(low)}, {head.number(high)}]"


def _cost(name: str, value: float | None) -> str:
    """Return a cost in few digits: 0.5M parameters, 17.6 GFLOP, 430 pictures a second."""
    if not value:
        return "–" if value is None else "0"
    if name == "parameters":
        for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:.3g}{unit}"
        return f"{value:.0f}"
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _notes(board: Leaderboard) -> list[tuple[str, str]]:
    return [(letters(at), note) for at, note in enumerate(board.notes)]


def _marks(board: Leaderboard, score: Score) -> list[str]:
    return [letters(board.notes.index(note)) for note in score.notes]


# --- Markdown -----------------------------------------------------------------------------------------------------


def to_markdown(board: Leaderboard, *, cost: bool = True) -> str:
    """Return a pipe table, the claims as a list, and the definitions as a paragraph."""
    costs = [name for name in COST if cost and any(getattr(entry, name) for entry in board.entries)]
    long = {"parameters": "parameters", "gflop": "GFLOP", "images_per_s": "pictures/s"}
    heads = [f"{to_pipe(head.title)}: {to_pipe(head.metric)} {head.arrow}" for head in board.heads]
    lines = [_pipes(["encoder", "rank", *heads, *(long[name] for name in costs)])]
    lines.append(_pipes([":--", *["--:"] * (1 + len(heads) + len(costs))]))
    for entry in board.entries:
        cells = [
            _markdown_cell(board, head, score) for head, score in zip(board.heads, entry.scores, strict=True)
        ]
        rank = "–" if entry.rank is None else f"{entry.rank:.2f}"
        own = "› " if entry.own else ""
        cells += [_cost(name, getattr(entry, name)) for name in costs]
        lines.append(_pipes([f"{own}{to_pipe(entry.name)}", rank, *cells]))
    lines += ["", *(f"- {to_pipe(claim.sentence)}" for claim in board.claims), ""]
    warning = ["MINIATURES."] if board.mimic else []
    notes = [f"({mark}) {to_pipe(note)}." for mark, note in _notes(board)]
    lines.append(" ".join([*warning, *map(to_pipe, board.definitions), *notes]))
    return "\n".join(lines) + "\n"


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(board: Leaderboard, head: Head, score: Score | None) -> str:
    if score is None:
        return ""
    value = head.number(score.value)
    value = f"**{value}**" if score.ahead else f"~~{value}~~" if score.struck else value
    if score.low is not None and score.high is not None:
        value += f" <sub>{_between(head, score.low, score.high)}</sub>"
    if score.delta is not None:
        value += f" ({head.number(score.delta.value, signed=True)}{'*' * score.beyond}"
        known = not math.isnan(score.delta.low)
        value += f" <sub>{_between(head, score.delta.low, score.delta.high)}</sub>)" if known else ")"
    marks = ",".join(_marks(board, score))
    return f"{value}<sup>{marks}</sup>" if marks else value


# --- LaTeX --------------------------------------------------------------------------------------------------------

LATEX_NEEDS = r"% \usepackage{booktabs,siunitx,graphicx}"
"""First line of what is written for ``\\input``."""


def to_latex(board: Leaderboard, *, cost: bool = True) -> str:
    r"""Return a ``table`` environment to be ``\input``, with a short caption and the definitions as a footnote.

    The document needs the packages ``booktabs``, ``siunitx`` and ``graphicx``.
    """
    costs = [name for name in COST if cost and any(getattr(entry, name) for entry in board.entries)]
    deltas = [any(entry.scores[at] and entry.scores[at].delta for entry in board.entries) for at in range(len(board.heads))]  # type: ignore[union-attr]  # fmt: skip
    form, above, below = ["l", "S[table-format=2.2]"], [""], ["Encoder", "{Rank}"]
    above.append("")
    rules, start = [], 3
    for at, head in enumerate(board.heads):
        wide = 3 if deltas[at] else 2
        form.append(_form(head, [entry.scores[at] for entry in board.entries], deltas[at]))
        above.append(rf"\multicolumn{{{wide}}}{{c}}{{{escape_latex(head.title)}}}")
        arrow = r"$\uparrow$" if head.higher_is_better else r"$\downarrow$"
        below.append(rf"\multicolumn{{{wide}}}{{c}}{{{escape_latex(head.metric)} {arrow}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + wide - 1}}}")
        start += wide
    form += ["r"] * len(costs)
    above += [""] * len(costs)
    below += [{"parameters": "Params", "gflop": "GFLOP", "images_per_s": "Pict./s"}[name] for name in costs]
    body = [_latex_line(board, entry, deltas, costs) for entry in board.entries]
    about = "Protocol " + board.protocol if not board.mimic else f"MINIATURES, protocol {board.protocol}"
    notes = [rf"\textsuperscript{{{mark}}}~{escape_latex(note)}." for mark, note in _notes(board)]
    said = [claim.sentence for claim in board.claims]
    foot = " ".join([*map(escape_latex, [*said, *board.definitions]), *notes])
    return "\n".join(
        [
            LATEX_NEEDS,
            r"\begin{table}[tb]",
            r"\centering\small",
            rf"\caption{{Face encoders on {escape_latex(listed([head.title for head in board.heads]))}. {escape_latex(about)}.}}",
            rf"\label{{tab:{_slug(board)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{' '.join(form)}}}",
            r"\toprule",
            rf"{' & '.join(above)} \\",
            "".join(rules),
            rf"{' & '.join(below)} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\footnotesize {foot}\end{{minipage}}",
            r"\end{table}",
            "",
        ]
    )


def _form(head: Head, scores: Sequence[Score | None], delta: bool) -> str:
    whole = max(
        [1, *(len(f"{abs(score.value):.0f}") for score in scores if score and score.value is not None)]
    )
    columns = rf"S[table-format={whole}.{head.decimals}]@{{\,}}l"
    return columns + (r"@{\,}l" if delta else "")


def _latex_line(board: Leaderboard, entry: Entry, deltas: Sequence[bool], costs: Sequence[str]) -> str:
    name = rf"\textit{{{escape_latex(entry.name)}}}" if entry.own else escape_latex(entry.name)
    cells = [name, "{--}" if entry.rank is None else f"{entry.rank:.2f}"]
    for head, score, delta in zip(board.heads, entry.scores, deltas, strict=True):
        if score is None:
            cells += ["{}", *[""] * (1 + delta)]
            continue
        plain = "{--}" if score.value is None else f"{score.value:.{head.decimals}f}"
        if score.value is not None and score.ahead:
            plain = rf"{{\bfseries {plain}}}"
        if score.value is not None and score.struck:
            plain = rf"{{$\times$\,{plain}}}"
        known = score.low is not None and score.high is not None
        between = _between(head, float(score.low), float(score.high)) if known else ""  # type: ignore[arg-type]
        marks = ",".join(_marks(board, score))
        small = rf"{{\scriptsize {escape_latex(between)}}}" if between else ""
        cells += [plain, small + (rf"\textsuperscript{{{marks}}}" if marks else "")]
        if delta:
            gap = score.delta
            cells.append("" if gap is None else _latex_gap(head, score))
    cells += [escape_latex(_cost(cost, getattr(entry, cost))) for cost in costs]
    return rf"{' & '.join(cells)} \\"


def _latex_gap(head: Head, score: Score) -> str:
    shown = escape_latex(head.number(score.delta.value, signed=True)) if score.delta else ""
    return rf"{{\scriptsize ({shown}{'*' * score.beyond})}}"


def _slug(board: Leaderboard) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in board.protocol)


# --- for programs -------------------------------------------------------------------------------------------------


def to_records(board: Leaderboard) -> dict[str, Any]:
    """Return the table as JSON has it: columns, encoders with their scores, claims."""

    def score(found: Score | None) -> dict[str, Any] | None:
        if found is None:
            return None
        delta = found.delta
        return {
            "value": found.value, "low": found.low, "high": found.high, "rank": found.rank, "ahead": found.ahead,
            "struck": found.struck, "notes": list(found.notes), "keys": [stored.row.key for stored in found.rows],
            "delta": None if delta is None else {name: finite(end) for name, end in delta._asdict().items()},
        }  # fmt: skip

    return {
        "protocol": board.protocol,
        "miniatures": board.mimic,
        "baseline": board.baseline,
        "columns": [dataclasses.asdict(head) for head in board.heads],
        "encoders": [
            {
                **{field.name: getattr(entry, field.name) for field in dataclasses.fields(entry) if field.name != "scores"},
                "scores": {head.key: score(one) for head, one in zip(board.heads, entry.scores, strict=True)},
            }
            for entry in board.entries
        ],
        "claims": [dataclasses.asdict(claim) for claim in board.claims],
        "definitions": list(board.definitions),
    }  # fmt: skip


def to_json(boards: Sequence[Leaderboard]) -> str:
    """Return the tables of all protocols as a JSON list, see :func:`to_records`."""
    return json.dumps([to_records(board) for board in boards], indent=1, ensure_ascii=False) + "\n"


def to_frame(boards: Iterable[Leaderboard]) -> pd.DataFrame:
    """Return one line per encoder and column, with rank and cost beside."""
    lines = [
        {
            "protocol": board.protocol, "encoder": entry.encoder, "name": entry.name, "method": entry.method,
            "mean_rank": entry.rank, "task": head.key, "metric": head.metric, "higher_is_better": head.higher_is_better,
            "value": score.value, "low": score.low, "high": score.high, "rank": score.rank, "ahead": score.ahead,
            "delta": score.delta.value if score.delta else None,
            "delta_low": finite(score.delta.low) if score.delta else None,
            "delta_high": finite(score.delta.high) if score.delta else None, "baseline": board.baseline,
            "parameters": entry.parameters, "gflop": entry.gflop, "images_per_s": entry.images_per_s,
            "own": entry.own, "seeds": entry.seeds, "miniatures": board.mimic, "notes": "; ".join(score.notes),
            "keys": " ".join(stored.row.key for stored in score.rows),
        }
        for board in boards
        for entry in board.entries
        for head, score in zip(board.heads, entry.scores, strict=True)
        if score is not None
    ]  # fmt: skip
    return pd.DataFrame(lines)


def to_csv(boards: Iterable[Leaderboard]) -> str:
    """Return :func:`to_frame` as CSV in which no text begins a formula."""
    return plain_cells(to_frame(boards)).to_csv(index=False, lineterminator="\n")


ENDINGS = {"text": "txt", "md": "md", "latex": "tex", "csv": "csv", "json": "json"}
"""Format of the one table -> ending of its file."""


def written(
    boards: Sequence[Leaderboard], style: str, *, width: int = 100, bold: Emphasis = str, cost: bool = True
) -> str:
    """Return the tables of all protocols in one of :data:`ENDINGS`."""
    if style == "csv":
        return to_csv(boards)
    if style == "json":
        return to_json(boards)
    if style == "md":
        return "\n".join(to_markdown(board, cost=cost) for board in boards)
    if style == "latex":
        return "\n".join(to_latex(board, cost=cost) for board in boards)
    return "\n".join(to_text(board, width, bold, cost=cost) for board in boards)
