"""Family verdicts: standardised against an oracle, joint over the same people, never claimed from one seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.effect_size import FamilyDifference, mean_over_tasks, standardised
from paco_eval.analysis.statistics import Replicates, replicated
from paco_fr.utils.random import generator
from tasks.metrics.metric import Metric
from tasks.metrics.pose import METRICS

MAE: Metric = next(metric for metric in METRICS if metric.name == "mae")


def items(shift: float, *, scale: float = 1.0, people: str = "person", task: int = 0) -> pd.DataFrame:
    """Errors of 60 people with four pictures each; people differ in how hard they are, and in the shift."""
    rng = generator("families", task)
    person = np.repeat(np.arange(60), 4)
    hard, gains = rng.gamma(3, 2, 60)[person], rng.normal(shift, 0.5, 60)[person]
    errors = scale * (10 + hard + rng.normal(0, 0.3, 240) + gains * (shift != 0))
    return pd.DataFrame(
        {
            "id": [f"{task}-{i}" for i in range(240)],
            "group": [f"{people} {i}" for i in person],
            "error": errors,
        }
    )


def difference(ours: pd.DataFrame, other: pd.DataFrame, replicates: int = 4000) -> Replicates:
    return replicated(MAE, [ours], [other], replicates=replicates, joint=True)


def test_it_is_cohens_d_of_peoples_paired_differences() -> None:
    ours, other = items(-0.4), items(0.0)
    apart = (other["error"] - ours["error"]).groupby(ours["group"]).mean()
    found = standardised(difference(ours, other), higher_is_better=False)
    assert found.value == pytest.approx(apart.mean() / apart.std(ddof=0), rel=0.04)
    assert found.value > 0, "positive is better"


def test_units_do_not_matter_and_the_other_way_round_is_the_negative() -> None:
    plain = standardised(difference(items(-0.4), items(0.0)), False)
    scaled = standardised(difference(items(-0.4, scale=57.3), items(0.0, scale=57.3)), False)
    assert scaled.value == pytest.approx(plain.value) and np.allclose(scaled.drawn, plain.drawn)
    back = standardised(difference(items(0.0), items(-0.4)), False)
    assert back.value == pytest.approx(-plain.value)
    assert standardised(difference(items(-0.4), items(0.0)), True).value == pytest.approx(-plain.value)


def test_equal_encoders_differ_by_nothing() -> None:
    found = standardised(difference(items(0.0), items(0.0)), False)
    assert found.interval() == Interval(0.0, 0.0, 0.0) and found.tested()[1] == 1.0


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_tasks_over_the_same_people_are_drawn_together_and_others_are_not() -> None:
    one = standardised(difference(items(-0.4), items(0.0)), False)
    renamed = standardised(difference(items(-0.4, people="other"), items(0.0, people="other")), False)
    assert one.value == pytest.approx(renamed.value, rel=0.05), "the spread is of other draws"
    assert np.array_equal(one.drawn, standardised(difference(items(-0.4), items(0.0)), False).drawn)
    assert abs(np.corrcoef(one.drawn, renamed.drawn)[0, 1]) < 0.1
    together, apart = mean_over_tasks([one, one]).interval(), mean_over_tasks([one, renamed]).interval()
    assert width(together) == pytest.approx(width(one.interval()))
    assert width(apart) == pytest.approx(width(one.interval()) / np.sqrt(2), rel=0.1)


def test_luck_of_seeds_is_shared_by_the_tasks_of_a_family() -> None:
    """A lucky pretraining seed is lucky in all tasks: averaging tasks must not average it away."""

    def task(number: int) -> Replicates:
        runs = [items(shift, task=number) for shift in (-1.0, 0.001, 1.0)]
        drawn = replicated(MAE, runs, [items(0.0, task=number)], replicates=4000, joint=True)
        return standardised(drawn, False)

    parts = [task(number) for number in range(4)]
    assert width(mean_over_tasks(parts).interval()) > 0.8 * width(parts[0].interval())


def test_what_may_be_said() -> None:
    won = FamilyDifference("a", "frozen", "pose", ("pose/x",), Interval(0.3, 0.1, 0.5), 0.01, 3, 0.01)
    assert won.claimable and won.verdict == "better"
    lost = FamilyDifference("a", "frozen", "pose", ("pose/x",), Interval(-0.3, -0.5, -0.1), 0.01, 3, 0.01)
    assert lost.verdict == "worse"
    once = FamilyDifference("a", "frozen", "pose", ("pose/x",), Interval(0.3, 0.1, 0.5), 0.01, 1)
    assert not once.claimable and once.verdict == "observed"
    among_many = FamilyDifference("a", "frozen", "pose", ("pose/x",), Interval(0.3, 0.1, 0.5), 0.01, 3, 0.2)
    assert among_many.verdict == "not distinguishable"
