"""Finding tasks by name or pattern: every ``tasks/families/<family>/<benchmark>.py`` that declares ``TASK``.

A benchmark is added by adding its file. Third parties add theirs by the entry point ``paco_eval.tasks``
(a :class:`Task`) or by ``--tasks-from FILE``. A task's variants, ``pose/aflw2000@landmarks``, are tasks as well, but are
meant only where a name or pattern says ``@``.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb

from paco_fr.utils.errors import PacoError, unknown_name
from tasks import families
from tasks.derived import NAMES, derived_tasks
from tasks.task import Task


@cache
def _declared() -> dict[str, Task]:
    found: dict[str, Task] = {}
    for family in pkgutil.iter_modules(families.__path__, "tasks.families."):
        for benchmark in pkgutil.iter_modules(import_module(family.name).__path__, f"{family.name}."):
            _add(found, import_module(benchmark.name).TASK)
    for entry in entry_points(group="paco_eval.tasks"):
        try:
            task = entry.load()
        except Exception as error:  # another package's code: name it instead of failing in its place
            raise PacoError(f"{_owner(entry)} cannot be loaded ({error}). Mend or uninstall it.") from error
        if not isinstance(task, Task):
            raise PacoError(f"{_owner(entry)} is a {type(task).__name__}, not a tasks.task.Task.")
        _add(found, task)
    return found


def _owner(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"The task '{entry.name}' of {package} ({entry.value})"


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


def variants(extra: Iterable[Task] = ()) -> dict[str, Task]:
    """Return every variant of a known task by name, ``family/dataset@variant``."""
    found = [task.variant(name) for task in all_tasks(extra).values() for name in task.variants]
    return dict(sorted((task.name, task) for task in found))


def derived(extra: Iterable[Task] = ()) -> dict[str, Task]:
    """Return every task that derives from a known one or from a variant by name, see :mod:`tasks.derived`."""
    extra = list(extra)
    known = [*all_tasks(extra).values(), *variants(extra).values()]
    return dict(sorted(derived_tasks(known).items()))


def named_tasks(extra: Iterable[Task] = ()) -> dict[str, Task]:
    """Return all that a name may mean: tasks, variants, and what derives from either."""
    extra = list(extra)
    return all_tasks(extra) | variants(extra) | derived(extra)


def select(patterns: str, extra: Iterable[Task] = ()) -> list[tuple[Task, bool]]:
    """Return the tasks that comma-separated names, globs or tags mean, each with whether it was named.

    ``tag:GLOB`` means every task with such a tag, e.g. ``tag:real`` or ``tag:occ*``. Derived tasks are meant
    only where a pattern begins with their factor: ``occlusion/*``, not ``*`` or a tag; variants only where it says
    ``@``: ``pose/*@*``.

    Raises:
        PacoError: a name, pattern or tag that nothing answers to, with the nearest.

    """
    extra = list(extra)
    known, others, swept = all_tasks(extra), variants(extra), derived(extra)
    tags = {f"tag:{tag}" for task in known.values() for tag in task.tags}
    chosen: dict[str, bool] = {}
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        by_tag = pattern.startswith("tag:")
        meant = known | others | swept if pattern.partition("/")[0] in NAMES else known | others
        hits = [
            name
            for name, task in meant.items()
            if ("@" in pattern or "@" not in name) and _answers(task, pattern, by_tag)
        ]
        if not hits:
            raise unknown_name(
                "tag" if by_tag else "task", pattern, tags if by_tag else known | others | swept
            )
        for name in hits:
            chosen[name] = chosen.get(name, False) or name == pattern
    everything = known | others | swept
    return [(everything[name], named) for name, named in sorted(chosen.items())]


def _answers(task: Task, pattern: str, by_tag: bool) -> bool:
    names = [f"tag:{tag}" for tag in task.tags] if by_tag else [task.name]
    return any(fnmatchcase(name, pattern) for name in names)


def tasks_from(path: Path) -> list[Task]:
    """Return the tasks that a user's own Python file declares, as ``TASK`` or any module-level Task.

    The file is a module under its own name, so that ``reader`` may name a function in it. Shipped tasks that it imports
    are not declared by it.
    """
    name = _module_name(path)
    spec = spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise PacoError(f"--tasks-from {path}: no such Python file.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's own file raises
        frames = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = frames[-1] if frames else None
        where = f"{path}" if line is None else f"{path}, line {line}"
        raise PacoError(f"--tasks-from {where}: {type(error).__name__}: {error}") from error
    _of_users.add(name)
    shipped = {id(task) for task in _declared().values()}
    declared = [
        value for value in vars(module).values() if isinstance(value, Task) and id(value) not in shipped
    ]
    found = list({task.name: task for task in declared}.values())
    if not found:
        raise PacoError(f"--tasks-from {path}: declares no tasks.task.Task.")
    if name != path.stem and any(task.reader.partition(":")[0] == path.stem for task in found):
        raise PacoError(
            f"--tasks-from {path}: '{path.stem}' is the name of another module, so no reader can be found by it. "
            "Rename the file."
        )
    return found


_of_users: set[str] = set()
"""Modules that were made of users' files."""


def _module_name(path: Path) -> str:
    """Return the name of the file, if no other module has it."""
    name = path.stem
    if name in _of_users:
        return name
    free = name.isidentifier() and name not in sys.modules
    if free:
        there = find_spec(name)
        free = there is None or (there.origin is not None and Path(there.origin).resolve() == path.resolve())
    return name if free else "paco_eval_user_tasks"
