"""Robustness read off stored rows: drops, the worst kind, and who drops less.

A *sweep* is what one encoder came to on one derived task: a clean row and one for each kind and level. A drop
is how much worse the main metric is than on the clean pictures of the same sweep, positive is worse; kinds
weigh alike, and so do levels within a kind. The relative drop divides it by what there was to lose, clean
less constant, and is not shown where the clean score lies within the interval of ``constant``: nothing was
known, so nothing could be lost. Rendered and perturbed pictures are different tasks and never meet in one
number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.analysis.bootstrap import coded, resamples
from paco_eval.analysis.columns import Column, column_of
from paco_eval.analysis.significance import defined
from paco_eval.analysis.statistics import Drawn, Replicates, aligned, joint_seed
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.derived import CLEAN
from tasks.kinds import load_kind
from tasks.metrics.metric import Metric
from tasks.registry import select

CONSTANT = "constant"
"""Encoder whose score is that of knowing nothing of a picture."""

YAW_EDGES = tuple(float(angle) for angle in range(-75, 76, 15))
PITCH_EDGES = tuple(float(angle) for angle in range(-30, 31, 10))
"""Bins in degrees, of half-open intervals; the last one is closed."""
LEAST_ITEMS = 10
"""Of a bin that has a value."""


@dataclass(frozen=True)
class Sweep:
    """The rows of one encoder on one derived task.

    Attributes:
        cells: (kind, level) -> stored row; the clean one is ("clean", 0).

    """

    cells: Mapping[tuple[str, int], Stored]

    @property
    def clean(self) -> Row:
        """The row on clean pictures."""
        return self.cells[CLEAN].row

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that were measured, in their order of name."""
        return tuple(sorted({kind for kind, level in self.cells if level > 0}))

    def value(self, kind: str, level: int) -> float:
        """Return the main metric of a cell, NaN where it is undefined."""
        value = self.cells[kind, level].row.main.value
        return float("nan") if value is None else value

    def kind_cells(self, kind: str) -> list[tuple[str, int]]:
        """Return the perturbed cells of a kind, mild ones first."""
        return sorted(cell for cell in self.cells if cell[0] == kind and cell[1] > 0)

    def drop(self, kind: str) -> float:
        """Return the mean drop of a kind over its levels."""
        sign = 1.0 if self.clean.main.higher_is_better else -1.0
        return sign * (
            self.value(*CLEAN) - float(np.mean([self.value(*cell) for cell in self.kind_cells(kind)]))
        )

    @property
    def mean_drop(self) -> float:
        """The mean drop over kinds."""
        return float(np.mean([self.drop(kind) for kind in self.kinds]))


Run = Stored | Sweep
"""One pretraining seed's row of a task, or all its rows of a derived task."""


def row_of(run: Run) -> Row:
    """Return the row that says what a run is of: of a sweep the clean one."""
    return run.clean if isinstance(run, Sweep) else run.row


def column_of_run(run: Run, drop: str) -> Column:
    """Return the column of a run's main number: of a sweep its mean drop, which is called ``drop``."""
    column = column_of(row_of(run))
    if not isinstance(run, Sweep):
        return column
    return replace(column, subset="all", level=-1, metric=drop, higher_is_better=False)


def mean_over(column: Column, runs: Sequence[Run]) -> float:
    """Return the mean of a column's number over runs, of sweeps that of their mean drops; NaN where one is undefined."""
    values = (
        run.mean_drop if isinstance(run, Sweep) else run.row.metrics[column.metric].value for run in runs
    )
    return fmean(math.nan if value is None else value for value in values)


def seeds_of(runs: Iterable[Run]) -> int:
    """Return the number of pretraining seeds, two where nothing was pretrained: that has no luck to rule out."""
    seeds = {row_of(run).pretrain_seed for run in runs}
    return 2 if seeds == {None} else len(seeds - {None})


def sweeps(stored: Iterable[Stored]) -> list[Sweep]:
    """Return the complete sweeps among stored rows, in the order of task and encoder.

    Rows without a level are not of a sweep. A sweep without its clean row, or with no other, is left out.

    Raises:
        PacoError: rendered and perturbed rows under one task.

    """
    found: dict[tuple, dict[tuple[str, int], Stored]] = {}
    for each in stored:
        row = each.row
        if row.level is None:
            continue
        key = (row.task, row.task_version, row.encoder, row.weight_hash, row.pixel_hash, row.crop_hash, row.protocol,
               row.chosen.get("source"), row.pretrain_seed, row.probe_seed)  # fmt: skip
        found.setdefault(key, {})[row.subset, row.level] = each
    complete = {key: cells for key, cells in found.items() if CLEAN in cells and len(cells) > 1}
    sources: dict[str, set] = {}
    for key in complete:
        sources.setdefault(key[0], set()).add(key[7])
    for task, kinds in sources.items():
        if len(kinds) > 1:
            raise PacoError(
                f"{task}: rendered and perturbed rows cannot stand in one curve; keep one of them."
            )
    return [Sweep(complete[key]) for key in sorted(complete, key=lambda key: tuple(map(str, key)))]


def summary(found: Sequence[Sweep], references: Sequence[Sweep] = ()) -> pd.DataFrame:
    """Return a line per sweep: clean score, mean score over kinds and levels, drop, relative drop, worst kind.

    ``relative_drop`` is NaN where it is not shown; ``note`` says why. It is held against ``constant``, which may be
    among the ``references`` alone.
    """
    constants = {
        _place(sweep): sweep.clean for sweep in (*found, *references) if sweep.clean.encoder == CONSTANT
    }
    lines = []
    for sweep in found:
        row, clean = sweep.clean, sweep.value(*CLEAN)
        drops = {kind: sweep.drop(kind) for kind in sweep.kinds}
        drop = sweep.mean_drop
        worst = max(drops, key=lambda kind: (drops[kind], kind))
        relative, note = _relative(drop, row, constants.get(_place(sweep)))
        sign = 1.0 if row.main.higher_is_better else -1.0
        lines.append({
            "task": row.task, "encoder": row.encoder, "method": row.method, "pretrain_seed": row.pretrain_seed,
            "metric": row.main_metric, "source": row.chosen.get("source"), "clean": clean, "mean": clean - sign * drop,
            "drop": drop, "relative_drop": relative, "worst_kind": worst, "worst_drop": drops[worst], "note": note,
        })  # fmt: skip
    return pd.DataFrame(lines)


def _place(sweep: Sweep) -> tuple:
    row = sweep.clean
    return row.task, row.task_version, row.crop_hash, row.protocol, row.data_fingerprint


def _relative(drop: float, clean: Row, constant: Row | None) -> tuple[float, str]:
    if constant is None or constant.main.value is None or clean.main.value is None:
        return float("nan"), "no score of constant to compare with"
    floor, value = constant.main, clean.main.value
    assert floor.value is not None
    room = (value - floor.value) * (1 if floor.higher_is_better else -1)
    low, high = (floor.value if end is None else end for end in (floor.low, floor.high))
    if low <= value <= high or room <= 0:
        return float("nan"), "clean score within the interval of constant"
    return drop / room, ""


def replicated_drops(
    ours: Sequence[Sweep],
    baseline: Sequence[Sweep],
    *,
    replicates: int = 1000,
    seed: int = 0,
    joint: bool = False,
) -> Replicates:
    """Return the mean drop of one encoder less that of another, under resampling.

    A replicate draws groups once for all tables of both sides, so the same people are clean and perturbed
    everywhere, and seeds of either side where there are several.

    Args:
        ours: sweeps of one encoder on one task, one for each pretraining seed.
        baseline: those of the other.
        replicates: number of bootstrap replicates.
        seed: draws them.
        joint: as in :func:`paco_eval.analysis.statistics.replicated`.

    Raises:
        PacoError: a side is empty, the tasks differ, no kind is shared, or tables are not of the same units.

    """
    if not ours or not baseline:
        raise PacoError("A comparison of drops needs sweeps on both sides.")
    return drawn_drops([ours, baseline], replicates=replicates, seed=seed, joint=joint).less(0, 1)


def drawn_drops(
    given: Sequence[Sequence[Sweep]], *, replicates: int = 1000, seed: int = 0, joint: bool = False
) -> Drawn:
    """Return the mean drop of every sweep of every side under the same draws, see :func:`replicated_drops`."""
    runs = [run for side in given for run in side]
    if len({(run.clean.task, run.clean.task_version, run.clean.chosen.get("source")) for run in runs}) > 1:
        raise PacoError("Drops are compared on one derived task of one version; these are several.")
    shared = sorted(set.intersection(*(set(run.kinds) for run in runs)))
    if not shared:
        raise PacoError("These sweeps share no kind, so their drops cannot be compared.")
    metric = metric_of(runs[0].clean)
    order = [_ordered(run, shared) for run in runs]
    if len({tuple(cells) for cells in order}) > 1:
        raise PacoError("These sweeps were measured at different levels; measure the missing ones.")
    items = [[run.cells[cell].items() for cell in cells] for run, cells in zip(runs, order, strict=True)]
    same = aligned([table for run in items for table in run])
    tables, groups = [coded(table)[0] for table in same], coded(same[0])[1]
    share = np.array([1.0, *(-1.0 / len(shared) / len(runs[0].kind_cells(kind)) for kind, _ in order[0][1:])])
    direction = 1.0 if metric.higher_is_better else -1.0
    shape = (len(runs), len(order[0]))
    value = np.array([metric.value(table) for table in tables]).reshape(shape) @ share * direction
    by_run = []
    for weights in resamples(groups, replicates, joint_seed(same[0], seed) if joint else seed):
        cells = np.stack([metric.compute(table, weights) for table in tables], axis=1).reshape(-1, *shape)
        by_run.append(cells @ share * direction)
    return Drawn(value, np.concatenate(by_run), tuple(map(len, given)), groups, seed)


def _ordered(run: Sweep, kinds: Sequence[str]) -> list[tuple[str, int]]:
    return [CLEAN, *(cell for kind in kinds for cell in run.kind_cells(kind))]


def metric_of(row: Row) -> Metric:
    """Return the main metric of a row.

    Raises:
        PacoError: the row has no definition of it, and its task is not known.

    """
    found = defined(row, row.main_metric)
    if found is not None:
        return found
    task = select(row.task)[0][0]
    for metric in load_kind(task.kind).metrics(task):
        if metric.name == row.main_metric:
            return metric
    raise PacoError(f"{row.task} has no metric '{row.main_metric}' now; evaluate again.")


def by_angle(items: pd.DataFrame, metric: Metric, angle: str, edges: Sequence[float]) -> pd.DataFrame:
    """Return the metric in bins of a true angle: low, high, n and value, NaN under ten items.

    Args:
        items: of any kind of task. A pair stands at the angle of the picture that is turned more.
        metric: what to compute.
        angle: ``yaw`` or ``pitch``.
        edges: of the bins in degrees, ascending.

    Raises:
        PacoError: the items do not know the angle.

    """
    at = item_angles(items, angle)
    lines = []
    for low, high in pairwise(edges):
        inside = (at >= low) & ((at < high) | ((high == edges[-1]) & (at == high)))
        part = items[inside]
        value = metric.value(part) if len(part) >= LEAST_ITEMS else float("nan")
        lines.append((low, high, len(part), value))
    return pd.DataFrame(lines, columns=["low", "high", "n", "value"])


def by_group(items: pd.DataFrame, metric: Metric, column: str) -> dict[str, float]:
    """Return the metric for each value of a column that has at least ten items, the most frequent value first."""
    counts = items[column].value_counts()
    return {
        str(name): metric.value(items[items[column] == name])
        for name, count in counts.items()
        if count >= LEAST_ITEMS
    }


def knows_angle(items: pd.DataFrame, angle: str) -> bool:
    """Say whether the items know their true angle, ``yaw`` or ``pitch``."""
    return bool({f"{angle}_true", angle} & set(items)) or {f"{angle}_a", f"{angle}_b"} <= set(items)


def item_angles(items: pd.DataFrame, angle: str) -> Array:
    """Return (n,) the true angle of every item in degrees."""
    for column in (f"{angle}_true", angle):
        if column in items:
            return items[column].to_numpy(dtype=np.float64)
    if not knows_angle(items, angle):
        raise PacoError(
            f"These items do not know their {angle}; measure a task whose faces have a true pose."
        )
    sides = [f"{angle}_a", f"{angle}_b"]
    both = items[sides].to_numpy(dtype=np.float64)
    return np.take_along_axis(both, np.abs(both).argmax(axis=1)[:, None], axis=1)[:, 0]


def angle_by_level(
    sweep: Sweep,
    angle: str = "yaw",
    edges: Sequence[float] = YAW_EDGES,
    kinds: Sequence[str] | None = None,
    read: Callable[[Stored], pd.DataFrame] = Stored.items,
) -> tuple[tuple[int, ...], npt.NDArray[np.float64]]:
    """Return the levels (L,), clean first, and the main metric (L, bins) by angle, averaged over kinds."""
    metric = metric_of(sweep.clean)
    chosen = tuple(kinds or sweep.kinds)
    levels = (0, *sorted({level for kind in chosen for _, level in sweep.kind_cells(kind)}))
    rows = []
    for level in levels:
        cells = [CLEAN] if level == 0 else [(kind, level) for kind in chosen if (kind, level) in sweep.cells]
        tables = [by_angle(read(sweep.cells[cell]), metric, angle, edges)["value"] for cell in cells]
        rows.append(np.mean([table.to_numpy(dtype=np.float64) for table in tables], axis=0))
    return levels, np.stack(rows)
