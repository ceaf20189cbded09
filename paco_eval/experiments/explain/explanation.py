"""What was found out about a row, as values and as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from paco_eval.rows.schema import Row


@dataclass(frozen=True)
class Finding:
    """One thing that explains a number.

    Attributes:
        cause: its name.
        sentence: what it is and what to do.
        evidence: in numbers.
        gain: share of the distance to a perfect score that it explains.

    """

    cause: str
    sentence: str
    evidence: str
    gain: float

    def __str__(self) -> str:
        return f"{self.sentence} {self.evidence}"


@dataclass(frozen=True)
class Layered:
    """What validation said of one layer at its best strength."""

    block: str
    reduction: str
    strength: float | str
    score: float


@dataclass(frozen=True)
class Explanation:
    """What was found out about a row.

    Attributes:
        row: the row.
        metric: its main metric.
        value: of the part that was looked at, as declared.
        pictures: of each part that were looked at, at most.
        beside: the same part by others: ``pixels``, ``untrained``, ``constant``.
        layers: validation scores, the best first; empty where nothing is chosen on the task itself.
        flat: how many of them are as good as the best, all but.
        changed: value under each single change.
        findings: the likeliest cause first.
        worst: items, the worst first.
        files: pictures that were written.

    """

    row: Row
    metric: str
    value: float
    pictures: int
    beside: Mapping[str, float]
    layers: Sequence[Layered]
    flat: int
    changed: Mapping[str, float]
    findings: Sequence[Finding]
    worst: pd.DataFrame
    files: Sequence[Path] = ()

    @property
    def likeliest(self) -> str:
        """The likeliest cause, with its evidence, in a sentence or two."""
        if self.findings:
            return str(self.findings[0])
        lead = self.beside.get("pixels", math.nan)
        return (
            f"Nothing that was tried explains it: {self.metric} stays near {self.value:.4g} under every change"
            + (f", raw pixels have {lead:.4g}." if np.isfinite(lead) else ".")
            + " Then it is what the encoder learned, or the task is hard; look at the worst faces."
        )

    def lines(self) -> Iterator[str]:
        """Yield all of it as text."""
        yield f"{self.row.task}  {self.row.encoder}: {self.metric} {_told(self.row.main.value)} in the row"
        yield f"Looked at: {self.pictures} pictures of each part at most; as declared {_told(self.value)}"
        yield f"Likeliest: {self.likeliest}"
        for finding in self.findings[1:]:
            yield f"Also: {finding}"
        for title, found in (("Beside it", self.beside), ("With one change", self.changed)):
            if found:
                yield f"{title}: " + ", ".join(f"{name} {_told(value)}" for name, value in found.items())
        if self.layers:
            best = self.layers[0]
            yield (
                f"Chosen: block {best.block} ({best.reduction}), strength {best.strength}, {_told(best.score)} on validation; "
                f"{self.flat} of {len(self.layers)} layers are about as good"
            )
        if self.row.failures:
            yield f"Failures in the row: {self.row.failures}"
        if len(self.worst):
            names = [str(name) for name in self.worst["id"]]
            yield f"Worst: {', '.join(names)}"
        yield from (f"Look at {path}" for path in self.files)


def _told(value: float | None) -> str:
    return "undefined" if value is None or not np.isfinite(value) else f"{value:.4g}"
