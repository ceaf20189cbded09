"""Who wins a family: the mean over its tasks of the standardised paired difference from a baseline.

Metrics of one family have different units and spreads, so each task's difference, positive where it is better,
is divided by its standard deviation between people: that of its replicates over people, times the root of
their number. For a metric that is a mean over people this is Cohen's d of paired differences. Tasks weigh alike.
A family is won where the mean lies above zero beyond its interval, corrected for how many are asked after.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.statistics import Claim, Replicates, Verdict, verdict


@dataclass(frozen=True)
class FamilyDifference(Claim):
    """An encoder less the baseline over the tasks of one family.

    Attributes:
        encoder: line of a table.
        protocol: of both.
        family: first part of the names of its tasks; of derived tasks drops are compared.
        tasks: that were compared.
        interval: the mean standardised difference, positive is better, in standard deviations between people.
        p_value: of no difference; NaN if undefined.
        seeds: pretraining seeds on the side that has fewer, in the task that has fewest.
        p_adjusted: by Holm over the families of the protocol; NaN where nothing can be claimed.

    """

    encoder: str
    protocol: str
    family: str
    tasks: tuple[str, ...]
    interval: Interval
    p_value: float
    seeds: int
    p_adjusted: float = math.nan

    @property
    def verdict(self) -> Verdict:
        """What may be said; better is: the family is won."""
        return verdict(self.interval, True, self.seeds, self.p_adjusted)


def standardised(difference: Replicates, higher_is_better: bool) -> Replicates:
    """Return a difference in standard deviations between people, positive where it is better.

    No difference at all, in any replicate, stays none; where replicates are undefined, so is the result.
    """
    spread = float(np.std(difference.by_groups)) * math.sqrt(difference.groups)
    scale = (1.0 if higher_is_better else -1.0) / (spread if spread > 0 else 1.0)
    return Replicates(
        difference.value * scale, difference.drawn * scale, difference.by_groups * scale, difference.groups
    )


def mean_over_tasks(parts: Sequence[Replicates]) -> Replicates:
    """Return the mean of standardised differences, replicate by replicate; groups are those of the smallest task."""
    return Replicates(
        float(np.mean([part.value for part in parts])),
        np.mean([part.drawn for part in parts], axis=0),
        np.mean([part.by_groups for part in parts], axis=0),
        min(part.groups for part in parts),
    )
