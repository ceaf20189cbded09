"""Columns and lines: what the numbers under one heading have in common, and in which order lines stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from paco_eval.analysis.names import known_title
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored

BASELINES = ("random", "pixels", "constant")
"""Encoders that learned nothing; they stand at the foot of a table."""


@dataclass(frozen=True, order=True)
class Column:
    """What the numbers under one heading have in common; ``task_version`` is 0 where it is no one task's, as in sums."""

    task: str
    task_version: int
    split: str
    subset: str
    level: int
    order: int
    metric: str
    unit: str = field(compare=False)
    higher_is_better: bool | None = field(compare=False)
    main: bool = field(compare=False)

    @property
    def arrow(self) -> str:
        """Direction in which numbers get better; empty where there is none, as for a cost."""
        return {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]

    @property
    def place(self) -> str:
        """Dataset with version, and subset and level where they are not the plain ones."""
        version = f" v{self.task_version}" if self.task_version else ""
        parts = [self.task.rpartition("/")[2] + version]
        parts += [self.subset] if self.subset != "all" else []
        parts += [self.split] if self.split != "test" else []
        parts += [f"level {self.level}"] if self.level >= 0 else []
        return ", ".join(parts)

    @property
    def heading(self) -> str:
        """Metric as people write it, with direction and unit."""
        if known := known_title(self.metric):
            return known + self.arrow
        unit = {"": "", "rank": "", "deg": " (°)"}.get(self.unit, f" ({self.unit})")
        return f"{self.metric.replace('_', ' ')}{unit}{self.arrow}"

    @property
    def decimals(self) -> int:
        """Digits after the point: NME is read to a hundredth, accuracy to a tenth of a percent."""
        return {"": 3, "%": 1 if self.higher_is_better else 2}.get(self.unit, 2)

    def number(self, value: float | None) -> str:
        """Return a value with its digits and a true minus sign; a dash for what is undefined."""
        return "–" if value is None else f"{value:.{self.decimals}f}".replace("-", "−")


def line_order(label: str) -> tuple[int, str]:
    """Sort key of encoders: learned ones by name, then the untrained, pixels and the constant."""
    kind = label.partition(":")[0]
    return (BASELINES.index(kind) + 1 if kind in BASELINES else 0, label)


def line_label(row: Row, several: set[str]) -> str:
    """Return the line that a row belongs to: its method if that was pretrained with several seeds."""
    return row.method if row.method in several else row.encoder


def methods_with_seeds(rows: Iterable[Stored]) -> set[str]:
    """Return the methods of which there are rows of more than one pretraining seed."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for stored in rows:
        if stored.row.pretrain_seed is not None:
            seeds[stored.row.method].add(stored.row.pretrain_seed)
    return {method for method, found in seeds.items() if len(found) > 1}


def column_of(row: Row) -> Column:
    """Return the column of a row's main metric."""
    return columns_of(row)[0]


def columns_of(row: Row) -> list[Column]:
    """Return the columns of all metrics of a row, the main one first."""
    names = sorted(row.metrics, key=lambda name: (name != row.main_metric, list(row.metrics).index(name)))
    return [
        Column(
            row.task, row.task_version, row.split, row.subset, -1 if row.level is None else row.level,
            order, name, row.metrics[name].unit, row.metrics[name].higher_is_better, name == row.main_metric,
        )
        for order, name in enumerate(names)
    ]  # fmt: skip
