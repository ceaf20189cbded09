"""Every metric that a task reports is defined in ``docs/protocols.md``, whose worked examples come out as printed."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from tasks.kinds import KINDS, load_kind
from tasks.registry import all_tasks, derived, named_tasks

PAGE = (Path(__file__).parent.parent / "docs" / "protocols.md").read_text(encoding="utf-8")
EXAMPLES = "\n".join(re.findall(r"^```pycon\n(.*?)^```", PAGE, flags=re.S | re.M))


def test_every_metric_is_defined():
    tasks = [*all_tasks().values(), *derived().values()]
    names = {metric.name for task in tasks for metric in load_kind(task.kind).metrics(task)}
    general = {re.sub(r"(?<=[@=])\d.*", "x", name) for name in names}  # tar@far=1e-2 is defined as tar@far=x
    missing = {name for name in general if f"`{name}`" not in PAGE and not name.startswith("f1_")}
    assert not missing and "`f1_CLASS`" in PAGE


def test_worked_examples_come_out_as_printed():
    found: list[str] = []
    test = doctest.DocTestParser().get_doctest(EXAMPLES, {}, "protocols", "docs/protocols.md", 0)
    doctest.DocTestRunner(verbose=False).run(test, out=found.append)
    assert not found, "".join(found)


def test_every_kind_of_task_has_a_worked_example():
    shown = {named_tasks()[name].kind for name in re.findall(r'show\("([^"]+)"', EXAMPLES)}
    others = {
        "pose": "pose.geodesic_error(",
        "templates": "pooled(",
    }  # whose items are made by more than numbers
    assert shown | {kind for kind, call in others.items() if call in EXAMPLES} == set(KINDS)
