"""The conformance suite: what every task owes, ours and third parties', checked in one call.

``check_task(task, data_root)`` reads the data, gives out roles and feeds the kind made-up predictions; no
encoder is needed. It checks that

- the declaration hangs together: kind, main metric, a version, at most one task of that name;
- no unit and no group is both fitted or chosen on and scored;
- a prediction that is never wrong scores the metric's best;
- right predictions dealt to the wrong units score chance, where the kind states what that is
  (``chance(items, task)``), and worse than perfect in any case;
- half-right predictions score what scikit-learn makes of them, where it knows the metric, and the order of units
  changes nothing;
- units without a finite output are counted, not dropped, and do not help;
- items have ids that occur once, groups and reasons of failure, and survive parquet;
- the records' own paths stay inside the data root.

``paco_eval.testing.check_task`` adds that a result row of the items validates.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.faces.records import check
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks import splits
from tasks.kinds import KINDS, Kind, load_kind
from tasks.metrics.metric import Metric
from tasks.readers.records import records_of
from tasks.task import Task, bind
from tasks.units import Units, units_of, view_of_units

DEALS = 8
"""How often right predictions are dealt to wrong units."""


class ConformanceError(PacoError):
    """A task breaks rules of the suite; the message has a line for each."""


@dataclass
class Checked:
    """What the suite made of a task.

    Attributes:
        task: bound to its data.
        items: view -> items of the perfect prediction.
        scores: view -> metric -> (perfect, mean of the dealt ones, all failed).
        problems: a line for each broken rule.

    """

    task: Task
    items: dict[str, pd.DataFrame] = field(default_factory=dict)
    scores: dict[str, dict[str, tuple[float, float, float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


Outputs = npt.NDArray[np.floating]


def check_task(task: Task, data_root: str | Path | None = None) -> Checked:
    """Check a task and return what was measured on the way.

    Raises:
        MissingDataError: the data is not there.
        ConformanceError: the task breaks rules; all of them are named.

    """
    result = inspect(task, data_root)
    if result.problems:
        raise ConformanceError(f"{task.name}: " + f"\n{task.name}: ".join(result.problems))
    return result


def inspect(task: Task, data_root: str | Path | None = None) -> Checked:
    """Return what :func:`check_task` finds, without raising for broken rules."""
    problems = list(_declaration(task))
    if problems:
        return Checked(task, problems=problems)
    root = None if data_root is None else Path(data_root)
    bound = bind(task, root)
    result = Checked(bound)
    records = check(records_of(task, root), task.name)
    units = units_of(records, task.crop)
    member = view_of_units(units.labels, task)
    for view in ("all", *task.views):
        part = units.only(np.flatnonzero(member == view))
        if not len(part):
            result.problems.append(f"view '{view}' has no units.")
            continue
        _check_view(bound, view, part, result)
    return result


def _declaration(task: Task) -> Iterator[str]:
    family, slash, dataset = task.name.rpartition("/")
    if not (family and slash and dataset) or task.name != task.name.lower() or " " in task.name:
        yield "its name is not family/dataset in small letters."
    if task.version < 1:
        yield f"its version is {task.version}, the first is 1."
    if task.kind not in KINDS:
        yield f"its kind '{task.kind}' is none of {', '.join(KINDS)}."
        return
    names = [metric.name for metric in load_kind(task.kind).metrics(task)]
    if task.main_metric not in names:
        yield f"its main metric '{task.main_metric}' is none of {', '.join(names)}."
    if len(set(names)) < len(names):
        yield "two of its metrics have one name."
    if not task.licence or not task.obtain:
        yield "it does not say under which licence its data is, or how to obtain it."
    for path in task.files:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            yield f"'{path}' is not a path below the data root."


def _check_view(task: Task, view: str, units: Units, result: Checked) -> None:
    def problem(text: str) -> None:
        result.problems.append(text if view == "all" else f"view '{view}': {text}")

    labels, kind = units.labels, load_kind(task.kind)
    if not labels["unit_id"].is_unique:
        problem(f"unit '{labels['unit_id'][labels['unit_id'].duplicated()].iloc[0]}' occurs twice.")
    parts = _scored_parts(task, labels, problem)
    metrics = {metric.name: metric for metric in kind.metrics(task)}
    main = metrics[task.main_metric]
    tables = [labels.iloc[part].reset_index(drop=True) for part in parts]
    right = [np.asarray(kind.perfect(table, task)) for table in tables]
    whole = _items(kind, task, right, tables)
    result.items[view] = whole
    for text in _item_problems(whole):
        problem(text)
    perfect = _values(metrics, whole)
    looked_at = kind.HEAD == "diagnostics"  # outputs hold the truth, too, and describe a set without a best
    for name, value in perfect.items():
        if looked_at and name != main.name:
            continue
        undefined_column = np.isnan(value) and name != main.name
        if not undefined_column and not np.isclose(value, metrics[name].best, atol=1e-6):
            problem(f"a perfect prediction scores {name} {value:g}, best is {metrics[name].best:g}.")
    dealt = [
        _values(metrics, _items(kind, task, [_deal(table, n) for table in right], tables))
        for n in range(DEALS)
    ]
    chance = {name: float(np.mean([deal[name] for deal in dealt])) for name in metrics}
    if not looked_at:
        for text in _chance_problems(kind, task, whole, main, [deal[main.name] for deal in dealt]):
            problem(text)
    for text in _half_right_problems(kind, task, metrics, right, tables):
        problem(text)
    lost = _items(kind, task, [np.full(table.shape, np.nan) for table in right], tables)
    failed = _values(metrics, lost)
    if len(lost) != len(whole):
        problem(
            f"without outputs {len(lost)} items are scored instead of {len(whole)}: failures are dropped."
        )
    if (lost["failure"] == "").any():
        problem("without outputs some items say nothing of a failure.")
    if not np.isfinite(failed[main.name]) and task.kind != "templates":
        problem(f"without outputs {main.name} is {failed[main.name]}; failures have to be scored.")
    elif _at_least(failed[main.name], perfect[main.name], main):
        problem(f"without outputs {main.name} is {failed[main.name]:g}, no worse than perfect.")
    result.scores[view] = {name: (perfect[name], chance[name], failed[name]) for name in metrics}


def _scored_parts(task: Task, labels: pd.DataFrame, problem: Any) -> list[npt.NDArray[np.intp]]:
    """Return the units of each scoring fold; report units and groups that play two parts."""
    found = splits.roles(task, labels)
    if isinstance(found, splits.ScoredOnly):
        return [found.test.indices]
    groups = labels["group"].to_numpy(dtype=str)
    scored = np.concatenate([fold.held.indices for fold in found.score])
    chosen = np.concatenate([part.indices for fold in found.select for part in (fold.fit, fold.held)])
    sides = [("chosen on and scored", chosen, scored)]
    sides += [("fitted on and scored", fold.fit.indices, fold.held.indices) for fold in found.score]
    for name, one, other in sides:
        if np.intersect1d(one, other).size:
            problem(f"a unit is {name}.")
        shared = np.intersect1d(groups[one], groups[other])
        if shared.size:
            problem(f"group '{shared[0]}' ({shared.size} in all) is {name}.")
    if len(np.unique(scored)) < len(scored):
        problem("a unit is scored twice.")
    return [fold.held.indices for fold in found.score]


def _items(kind: Kind, task: Task, outputs: list[Outputs], tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the items of all scoring folds under each other, as the runner makes them."""
    parts = [kind.items(output, table, task) for output, table in zip(outputs, tables, strict=True)]
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _values(metrics: dict[str, Metric], items: pd.DataFrame) -> dict[str, float]:
    return {name: metric.value(items) for name, metric in metrics.items()}


def _deal(outputs: Outputs, number: int) -> Outputs:
    return outputs[generator("conformance", number).permutation(len(outputs))]


def _at_least(value: float, other: float, metric: Metric) -> bool:
    return value >= other if metric.higher_is_better else value <= other


def _chance_problems(
    kind: Kind, task: Task, items: pd.DataFrame, main: Metric, dealt: list[float]
) -> Iterator[str]:
    """Compare the dealt predictions with perfection and with what the kind calls chance."""
    mean, spread = float(np.mean(dealt)), float(np.std(dealt, ddof=1))
    if np.isnan(mean) or _at_least(mean, main.best, main):
        yield f"right predictions of wrong units score {main.name} {mean:g}, no worse than perfect."
        return
    state = getattr(kind, "chance", None)
    expected = None if state is None else state(items, task)
    if expected is None:
        return
    slack = 5.0 * spread / np.sqrt(len(dealt)) + 0.02 * abs(main.best - expected)
    if abs(mean - expected) > slack:
        text = f"right predictions of wrong units score {main.name} {mean:g}"
        yield f"{text}, chance is {expected:g} +- {slack:g}."


def _half_right_problems(
    kind: Kind, task: Task, metrics: dict[str, Metric], right: list[Outputs], tables: list[pd.DataFrame]
) -> Iterator[str]:
    """Score half-right predictions in two orders of the units, and as scikit-learn does."""
    rng = generator("conformance order", 0)
    mixed, orders = [], []
    for table in right:
        wrong = rng.random(len(table)) < 0.5
        mixed.append(np.where(wrong.reshape(-1, *[1] * (table.ndim - 1)), _deal(table, 0), table))
        orders.append(rng.permutation(len(table)))
    items = _items(kind, task, mixed, tables)
    one = _values(metrics, items)
    for name, value in by_scikit_learn(task.kind, items).items():
        if name in one and not np.isclose(one[name], value, rtol=1e-9, atol=1e-9):
            yield f"half-right predictions score {name} {one[name]:g}, by scikit-learn {value:g}."
    moved = [table[order] for table, order in zip(mixed, orders, strict=True)]
    labels = [table.iloc[order].reset_index(drop=True) for table, order in zip(tables, orders, strict=True)]
    other = _values(metrics, _items(kind, task, moved, labels))
    for name, value in one.items():
        if not np.isclose(value, other[name], rtol=1e-9, atol=1e-9, equal_nan=True):
            yield f"the order of units changes {name} from {value:g} to {other[name]:g}."


def by_scikit_learn(kind: str, items: pd.DataFrame) -> dict[str, float]:
    """Return those metrics of items, all of them with an output, that scikit-learn defines as we do."""
    if kind not in ("classification", "multilabel", "verification"):
        return {}
    from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

    truth = np.stack(items["truth"].to_list())
    if kind == "verification":
        return {"auc": float(roc_auc_score(truth, items["score"]))} if len(np.unique(truth)) == 2 else {}
    said = np.stack(items["prediction"].to_list())
    if kind == "multilabel":
        return {"mean_accuracy": 100.0 * float(accuracy_score(truth.ravel(), said.ravel()))}
    over_present = {"labels": np.unique(truth), "average": "macro", "zero_division": 0.0}
    return {
        "accuracy": 100.0 * float(accuracy_score(truth, said)),
        "class_mean_accuracy": 100.0 * float(recall_score(truth, said, **over_present)),
        "macro_f1": 100.0 * float(f1_score(truth, said, **over_present)),
    }


def _item_problems(items: pd.DataFrame) -> Iterator[str]:
    groups = {"group_a", "group_b"} if "group_a" in items else {"group"}
    missing = ({"id", "failure"} | groups) - set(items.columns)
    if missing:
        yield f"items lack the column {', '.join(sorted(missing))}."
        return
    if not items["id"].is_unique:
        yield f"item '{items['id'][items['id'].duplicated()].iloc[0]}' occurs twice."
    if (items["failure"] != "").any():
        yield "a perfect prediction has items that failed."
    plain: dict[str, Any] = {
        str(name): [cell.tolist() for cell in column]
        for name, column in items.items()
        if len(column) and isinstance(column.iloc[0], np.ndarray)
    }
    try:
        items.assign(**plain).to_parquet(io.BytesIO())
    except (ValueError, TypeError) as error:
        yield f"items cannot be written as parquet ({error})."
