"""Finding tasks by name or pattern: every ``tasks/<family>/<benchmark>.py`` that declares ``TASK``.

A benchmark is added by adding its file. Third parties add theirs by the entry point ``paco_eval.tasks``
(a :class:`Task`) or by ``--tasks-from FILE``.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import tasks
from paco_fr.errors import PacoError, unknown_name
from tasks.derived import NAMES, derived_tasks
from tasks.task import Task

SHARED = {"kinds", "metrics", "readers", "heads", "perturbations"}
"""Sub-packages of ``tasks`` that hold no declarations."""


@cache
def _declared() -> dict[str, Task]:
    found: dict[str, Task] = {}
    for family in pkgutil.iter_modules(tasks.__path__):
        if family.ispkg and family.name not in SHARED:
            package = import_module(f"tasks.{family.name}")
            for benchmark in pkgutil.iter_modules(package.__path__):
                _add(found, import_module(f"tasks.{family.name}.{benchmark.name}").TASK)
    for entry in entry_points(group="paco_eval.tasks"):
        _add(found, entry.load())
    return found


def _add(found: dict[str, Task], task: Task) -> None:
    if task.name in found:
        raise PacoError(f"Two tasks are called '{task.name}'. Rename one of them.")
    found[task.name] = task


def all_tasks(extra: Iterable[Task] = ()) -> dict[str, Task]:
    """Return every known task by name, in the order of names."""
    found = dict(_declared())
    for task in extra:
        _add(found, task)
    return dict(sorted(found.items()))


def derived(extra: Iterable[Task] = ()) -> dict[str, Task]:
    """Return every task that derives from a known one by name, see :mod:`tasks.derived`."""
    return dict(sorted(derived_tasks(all_tasks(extra).values()).items()))


def select(patterns: str, extra: Iterable[Task] = ()) -> list[tuple[Task, bool]]:
    """Return the tasks that comma-separated names or globs mean, each with whether it was named outright.

    Derived tasks are meant only where a pattern begins with their factor: ``occlusion/*``, not ``*``.

    Raises:
        PacoError: a name or pattern that nothing answers to, with the nearest names.

    """
    known = all_tasks(extra)
    swept = derived(extra)
    chosen: dict[str, bool] = {}
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        meant = swept if pattern.partition("/")[0] in NAMES else {}
        hits = [name for name in {**known, **meant} if fnmatchcase(name, pattern)]
        if not hits:
            raise unknown_name("task", pattern, {**known, **swept})
        for name in hits:
            chosen[name] = chosen.get(name, False) or name == pattern
    return [((known | swept)[name], named) for name, named in sorted(chosen.items())]


def tasks_from(path: Path) -> list[Task]:
    """Return the tasks that a user's own Python file declares, as ``TASK`` or any module-level Task."""
    spec = spec_from_file_location("paco_eval_user_tasks", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise PacoError(f"--tasks-from {path}: no such Python file.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = [value for value in vars(module).values() if isinstance(value, Task)]
    if not found:
        raise PacoError(f"--tasks-from {path}: declares no tasks.task.Task.")
    return found
