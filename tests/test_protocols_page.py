"""Every metric that a task reports is defined in ``docs/protocols.md``."""

from __future__ import annotations

import re
from pathlib import Path

from tasks.kinds import load_kind
from tasks.registry import all_tasks, derived

PAGE = (Path(__file__).parent.parent / "docs" / "protocols.md").read_text(encoding="utf-8")


def test_every_metric_is_defined():
    tasks = [*all_tasks().values(), *derived().values()]
    names = {metric.name for task in tasks for metric in load_kind(task.kind).metrics(task)}
    general = {re.sub(r"(?<=[@=])\d.*", "x", name) for name in names}  # tar@far=1e-2 is defined as tar@far=x
    missing = {name for name in general if f"`{name}`" not in PAGE and not name.startswith("f1_")}
    assert not missing and "`f1_CLASS`" in PAGE
