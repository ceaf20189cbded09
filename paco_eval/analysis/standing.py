"""Where encoders stand on one score: who leads, whom the leader is surely ahead of, and what may be said of it.

An encoder is *ahead* where its difference from every other keeps its sign under resampling of people, pretraining
seeds included where there are several, and the largest of these p-values stays below 0.05 after Holm's correction over
all scores of the table. With one training a side the lead is *observed*: another seed might turn it round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.names import listed
from paco_eval.analysis.statistics import ALPHA, Drawn, holm

Standing = Literal["ahead", "observed", "leads", "alone"]

INTERVALS_APART = 0.006
"""p-value of two estimates whose 95 % intervals just touch: z = 1.96 √2."""


@dataclass(frozen=True)
class Side:
    """One encoder on one score.

    Attributes:
        label: its line in tables.
        name: what it is called.
        value: mean over seeds.
        low: lower end of its interval, None if there is none.
        high: upper end.
        seeds: pretraining seeds; two where nothing was pretrained, which has no luck to rule out.

    """

    label: str
    name: str
    value: float
    low: float | None
    high: float | None
    seeds: int


@dataclass(frozen=True)
class Claim:
    """What may be said of one score.

    Attributes:
        task: the score is of.
        standing: of the leader.
        leader: its name.
        label: its line in tables.
        sentence: that says it.

    """

    task: str
    standing: Standing
    leader: str
    label: str
    sentence: str

    @property
    def ahead(self) -> bool:
        """Whether the leader is ahead of all others; nothing else is printed bold."""
        return self.standing == "ahead"


@dataclass(frozen=True)
class Lead:
    """The best encoder of one score against each of the others, before correction.

    Attributes:
        leader: place of the best one.
        others: places of the others, best first.
        gaps: leader less other, with the interval; NaN ends where it is not known.
        p_values: of no difference, likewise.

    """

    leader: int
    others: tuple[int, ...]
    gaps: tuple[Interval, ...]
    p_values: tuple[float, ...]

    @property
    def p_value(self) -> float:
        """That the leader is not ahead of all others: the largest of the p-values, 1 where one is not known."""
        return max((1.0 if math.isnan(p) else p for p in self.p_values), default=1.0)


def lead(sides: Sequence[Side], higher_is_better: bool, drawn: Drawn | None) -> Lead:
    """Return the best side against each of the others.

    Args:
        sides: with defined values.
        higher_is_better: direction.
        drawn: all sides under the same draws, in their order; None to judge by intervals that do not touch.

    """
    sign = -1.0 if higher_is_better else 1.0
    order = sorted(range(len(sides)), key=lambda at: sign * sides[at].value)
    leader, others = order[0], tuple(order[1:])
    gaps, p_values = [], []
    for other in others:
        if drawn is not None:
            gap, p_value = drawn.less(leader, other).tested()
        else:
            gap = Interval(sides[leader].value - sides[other].value, math.nan, math.nan)
            p_value = INTERVALS_APART if _apart(sides[leader], sides[other]) else 1.0
        gaps.append(gap)
        p_values.append(p_value)
    return Lead(leader, others, tuple(gaps), tuple(p_values))


def _apart(a: Side, b: Side) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.high < b.low or b.high < a.low


@dataclass(frozen=True)
class Scored:
    """What a claim is about: the task, its title, the sides, how differences are written.

    ``aside`` are names of encoders that cannot be held against the others: other pictures, another crop, undefined.
    """

    task: str
    title: str
    sides: Sequence[Side]
    lead: Lead
    unit: str
    decimals: int
    aside: tuple[str, ...] = ()


def claims(scores: Sequence[Scored]) -> list[Claim]:
    """Return what may be said of each score, corrected over all of them."""
    several = [scored for scored in scores if scored.lead.others]
    adjusted = dict(
        zip(map(id, several), holm([each.lead.p_value for each in several]).tolist(), strict=True)
    )
    return [_claim(scored, adjusted.get(id(scored), math.nan)) for scored in scores]


def _claim(scored: Scored, p_value: float) -> Claim:
    lead, sides = scored.lead, scored.sides
    leader = sides[lead.leader]
    if not lead.others:
        alone = "alone was measured" if not scored.aside else "alone can be compared"
        sentence = f"{scored.title}: {leader.name} {alone}."
        return Claim(scored.task, "alone", leader.name, leader.label, sentence)
    tied = [
        sides[other].name
        for other, p in zip(lead.others, lead.p_values, strict=True)
        if not p < ALPHA  # NaN is not known, so it is not told apart
    ]
    standing: Standing
    gap = _gap(scored)
    second = sides[lead.others[0]].name
    if tied:
        sentence = f"{scored.title}: {leader.name} leads; {listed(tied)} cannot be told from it."
        return Claim(scored.task, "leads", leader.name, leader.label, sentence)
    whom = second if len(sides) == 2 else f"all {len(sides) - 1} others, {second} next,"
    if min(leader.seeds, *(sides[other].seeds for other in lead.others)) < 2:
        standing, verb = "observed", "leads"
        rest = ", observed in one training each; another seed might turn it round"
    elif scored.aside:
        standing, verb, rest = "leads", "leads", f"; {listed(scored.aside)} cannot be compared"
    elif not p_value < ALPHA:
        standing, verb, rest = (
            "leads",
            "leads",
            ", which does not survive correction over the scores of this table",
        )
    else:
        standing, verb, rest = "ahead", "is ahead of", ""
    return Claim(
        scored.task,
        standing,
        leader.name,
        leader.label,
        f"{scored.title}: {leader.name} {verb} {whom} {gap}{rest}.",
    )


def _gap(scored: Scored) -> str:
    value, low, high = scored.lead.gaps[0]
    ends = sorted(abs(end) for end in (low, high)) if not math.isnan(low) else []
    shown = f"by {abs(value):.{scored.decimals}f}{scored.unit}"
    return shown + (f" [{', '.join(f'{end:.{scored.decimals}f}' for end in ends)}]" if ends else "")
