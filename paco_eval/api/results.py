"""What was measured, with the one table of it and comparisons of it; shown as a table in notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, cast

import pandas as pd

from paco_eval.analysis.columns import line_order
from paco_eval.analysis.compare import Comparison, compare
from paco_eval.analysis.significance import registered_metrics
from paco_eval.report.leaderboard.board import Leaderboard
from paco_eval.report.leaderboard.layout import leaderboards
from paco_eval.report.leaderboard.selection import Asked, Columns, titles_of
from paco_eval.report.leaderboard.writers import written
from paco_eval.rows.store import Stored, load_results, load_rows


@dataclass(frozen=True)
class Results:
    """The results of a call of ``evaluate``, or of folders of rows.

    Attributes:
        out: folder of the rows.
        encoders: names with hashes of weights that the results are of; empty for all.
        asked: identifying fields of what was asked for, by key; empty for all.
        names: what tables call encoders.
        baseline: that the table shows differences to; empty for none.

    """

    out: Path
    encoders: tuple[tuple[str, str], ...] = ()
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    names: Mapping[str, str] = field(default_factory=dict)
    baseline: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """One line per row and metric of these encoders, see :func:`paco_eval.rows.store.results_frame`."""
        frame = load_results(self.out)
        if not self.encoders:
            return frame
        now = {(fields["task"], fields["encoder"], fields["protocol"]) for fields in self.asked.values()}
        kept = [
            (row.encoder, row.weight_hash) in self.encoders
            and (
                row.key in self.asked or (row.task, row.encoder, row.protocol) not in now
            )  # else of former data
            for row in frame.itertuples()
        ]
        return frame[kept].reset_index(drop=True)

    @property
    def rows(self) -> list[Stored]:
        """All rows of the folder on the tasks and under the protocols that were asked for, of other encoders, too."""
        found = load_rows(self.out).rows
        asked = {(fields["task"], fields["protocol"]) for fields in self.asked.values()}
        return [s for s in found if not asked or (s.row.task, s.row.protocol) in asked]

    def leaderboards(
        self, *, baseline: str | None = None, columns: str = "auto", include_mimic: bool = True
    ) -> list[Leaderboard]:
        """Return the one table of each protocol as a value, see :mod:`paco_eval.report.leaderboard.layout`."""
        rows = self.rows
        asked_for = [name for name, _ in self.encoders]
        own = tuple(name for name in asked_for if line_order(name)[0] == 0) if asked_for else None
        tasks = ",".join(sorted({stored.row.task for stored in rows})) if self.asked else ""
        known = {stored.row.encoder for stored in rows}
        names = {name: shown for name, shown in self.names.items() if name in known}
        asked = Asked(
            tasks, "", self.baseline if baseline is None else baseline, names, own, cast(Columns, columns)
        )
        return leaderboards(rows, asked, metric_of=registered_metrics(), include_mimic=include_mimic)

    def table(
        self, style: str = "text", *, baseline: str | None = None, columns: str = "auto", width: int = 100,
        cost: bool = True,
    ) -> str:  # fmt: skip
        """Return the one table as ``text``, ``md``, ``latex``, ``csv`` or ``json``.

        Args:
            style: one of these.
            baseline: encoder that differences are shown to; by default that of the call, if any.
            columns: ``tasks``, ``families`` or ``auto``.
            width: of the text.
            cost: whether parameters, operations and rate are shown.

        """
        return written(self.leaderboards(baseline=baseline, columns=columns), style, width=width, cost=cost)

    def compare(self, baseline: str = "pixels") -> Comparison:
        """Return the differences of all encoders to one, see :func:`paco_eval.analysis.compare.compare`."""
        rows = self.rows
        return differences(rows, baseline, titles_of(rows, {}))

    def _repr_html_(self) -> str:
        """Return the one table for notebooks."""
        return "".join(_html(board) for board in self.leaderboards())


def differences(rows: Sequence[Stored], baseline: str, titles: Mapping[str, str]) -> Comparison:
    """Return the differences of all encoders to a baseline by the name or the title of its line."""
    labels = {title: label for label, title in titles.items()}
    return compare(rows, labels.get(baseline, baseline), metric_of=registered_metrics())


def _html(board: Leaderboard) -> str:
    heads = "".join(
        f"<th>{escape(head.title)}<br><small>{escape(head.metric)} {head.arrow}</small></th>"
        for head in board.heads
    )
    lines = []
    for entry in board.entries:
        cells = []
        for head, score in zip(board.heads, entry.scores, strict=True):
            if score is None:
                cells.append("<td></td>")
                continue
            value = escape(head.number(score.value))
            value = f"<b>{value}</b>" if score.ahead else value
            known = score.low is not None
            ends = f" <small>[{head.number(score.low)}, {head.number(score.high)}]</small>" if known else ""
            gap = f" ({head.number(score.delta.value, signed=True)})" if score.delta is not None else ""
            cells.append(f"<td>{value}{ends}{gap}</td>")
        rank = "–" if entry.rank is None else f"{entry.rank:.2f}"
        mark = "› " if entry.own else ""
        lines.append(
            f'<tr><th title="{escape(entry.encoder)}">{mark}{escape(entry.name)}</th><td>{rank}</td>{"".join(cells)}</tr>'
        )
    said = "".join(f"<li>{escape(claim.sentence)}</li>" for claim in board.claims)
    table = (
        f"<table><thead><tr><th></th><th>rank</th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
    return f"{table}<ul>{said}</ul>"
