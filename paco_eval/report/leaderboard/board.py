"""The one table as values: columns, encoders, numbers; made in :mod:`paco_eval.report.leaderboard.layout`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.standing import Claim
from paco_eval.rows.store import Stored


def shortened(name: str, longest: int) -> str:
    """Return a name of at most so many letters: of a longer one the middle is left out, as ends tell methods apart."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


@dataclass(frozen=True)
class Head:
    """A column.

    Attributes:
        key: name of the task, or of the family.
        title: as it is headed.
        metric: in words, with its unit.
        higher_is_better: direction.
        unit: of the metric: ``%``, ``deg``, ``rank`` or empty.
        decimals: digits after the point.
        tasks: names of the tasks behind it.
        ranked: whether every encoder has it, so that it counts for the mean rank.

    """

    key: str
    title: str
    metric: str
    higher_is_better: bool
    unit: str
    decimals: int
    tasks: tuple[str, ...]
    ranked: bool

    @property
    def arrow(self) -> str:
        """Where better is."""
        return "↑" if self.higher_is_better else "↓"

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Return a value with its digits and a true minus sign; a dash for what is undefined."""
        if value is None or math.isnan(value):
            return "–"
        return f"{value:{'+' if signed else ''}.{self.decimals}f}".replace("-", "−")


@dataclass(frozen=True)
class Score:
    """A number of one encoder.

    Attributes:
        value: mean over pretraining seeds; None if undefined.
        low: lower end of its interval, None if there is none.
        high: upper end.
        rank: among the encoders of the column, 1 is best; None where it is not comparable.
        delta: less the baseline, with the interval of the paired difference; None without one.
        behind: how much worse than the best, positive is worse, with the interval of the paired difference; None of the
            best itself and where it is not comparable.
        ahead: of all others, which the claim of the column says; nothing else is bold.
        notes: sentences that must stand beside the number.
        struck: so much failed that the number says little.
        rows: it comes from, one for each seed; of a derived task those on clean pictures.

    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rank: float | None = None
    delta: Interval | None = None
    behind: Interval | None = None
    ahead: bool = False
    notes: tuple[str, ...] = ()
    struck: bool = False
    rows: tuple[Stored, ...] = ()

    @property
    def beyond(self) -> bool:
        """Whether the interval of the difference from the baseline leaves zero out."""
        return self.delta is not None and (self.delta.low > 0 or self.delta.high < 0)


@dataclass(frozen=True)
class Entry:
    """An encoder, or a method with its pretraining seeds.

    Attributes:
        label: its line in tables.
        name: as it is shown.
        encoder: as it was called, several with commas: for details.
        method: of its rows.
        rank: mean over the ranked columns; None where none is.
        scores: one a column, None where it was not measured.
        parameters: number of them, None where no row says.
        gflop: billions of operations a picture.
        images_per_s: pictures a second, where it was measured.
        own: the encoder one came with.
        baseline: that the others are held against.
        seeds: pretraining seeds; 0 where none is known.

    """

    label: str
    name: str
    encoder: str
    method: str
    rank: float | None
    scores: tuple[Score | None, ...]
    parameters: float | None = None
    gflop: float | None = None
    images_per_s: float | None = None
    own: bool = False
    baseline: bool = False
    seeds: int = 0


@dataclass(frozen=True)
class Leaderboard:
    """All encoders under one protocol.

    Attributes:
        protocol: of all rows.
        mimic: whether the data are miniatures.
        heads: the columns.
        entries: the encoders by mean rank, best first.
        claims: what may be said, one a task.
        definitions: sentences that say what the numbers are.
        part: what all tasks begin with where these have a table of their own: the factor of derived ones, the family of
            diagnostics. Empty of all others.

    """

    protocol: str
    mimic: bool
    heads: tuple[Head, ...]
    entries: tuple[Entry, ...]
    claims: tuple[Claim, ...]
    definitions: tuple[str, ...]
    part: str = ""

    @property
    def baseline(self) -> str:
        """Name of the encoder that deltas are against; empty without one."""
        return next((entry.name for entry in self.entries if entry.baseline), "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands beside numbers, each sentence once, in the order of their marks."""
        return tuple(
            dict.fromkeys(
                note for entry in self.entries for score in entry.scores if score for note in score.notes
            )
        )
