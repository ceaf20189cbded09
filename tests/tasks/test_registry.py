"""Finding tasks by name, glob and tag, from files and other packages, importing nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import tasks
from paco_fr.contracts import CROPS
from paco_fr.utils.errors import PacoError
from tasks import registry
from tasks.registry import all_tasks, select, tasks_from
from tasks.task import FromData, Task, resolve

ROOT = Path(tasks.__file__).parent
DECLARATIONS = sorted(path for path in ROOT.glob("families/*/*.py") if path.name != "__init__.py")
MOST_LINES = 40


def declare(name: str, **changes: object) -> Task:
    fields = {
        "kind": "pose",
        "reader": "m:f",
        "crop": CROPS["box"],
        "main_metric": "mae",
        "licence": "",
        "obtain": "",
    }
    return Task(name, 1, **(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_declarations_are_short_and_named_by_their_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    named = {name.replace("/300w", "/ibug300w").replace("-", "_"): task for name, task in all_tasks().items()}
    task = named[f"{path.parent.name}/{path.stem}"]  # a module may not begin with a digit nor hold a dash
    assert callable(resolve(task.reader))
    for value in task.options.values():
        if isinstance(value, FromData):
            assert callable(resolve(value.reader))
    assert task.licence
    assert task.obtain
    assert "\n" not in task.obtain
    assert "def " not in text


def test_no_declaration_imports_anything_heavy() -> None:
    heavy = ("torch", "numpy", "pandas", "scipy", "sklearn", "datasets", "PIL", "pyarrow", "pydantic")
    code = (
        "import sys; from tasks.registry import all_tasks; names = list(all_tasks());"
        f"print(len(names), [name for name in {heavy!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    count, found = run.stdout.strip().split(" ", 1)
    assert int(count) >= len(DECLARATIONS)
    assert found == "[]"


def test_choices_come_from_tasks_that_have_a_validation_part() -> None:
    for task in all_tasks().values():
        if task.choice_from:
            assert task.split == "test_only"
            assert all_tasks()[task.choice_from].split != "test_only"


def test_globs_tags_and_names() -> None:
    extra = [
        declare("occlusion/pose/biwi", tags=("occlusion", "real")),
        declare("pose/mine", tags=("light",)),
    ]
    assert [task.name for task, _ in select("pose/m*", extra)] == ["pose/mine"]
    assert [(task.name, named) for task, named in select("pose/mine,occlusion/*/mine", extra)] == [
        ("occlusion/pose/mine", False),
        ("pose/mine", True),
    ]
    tagged = [task for task, _ in select("tag:occ*", extra)]
    assert "occlusion/pose/biwi" in {task.name for task in tagged}
    assert all(any(tag.startswith("occ") for tag in task.tags) for task in tagged)
    assert {"recognition/lfw", "occlusion/pose/biwi"} <= {task.name for task, _ in select("tag:real", extra)}
    assert select("tag:light,pose/mine", extra)[0][1]  # named outright, whatever else means it
    assert extra[0].family == "occlusion/pose"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("recognition/lwf", "Unknown task 'recognition/lwf'. Did you mean recognition/lfw"),
        ("recogniton/*", "Unknown task 'recogniton/.*recognition/"),
        ("tag:synthtic", "Unknown tag 'tag:synthtic'. Did you mean tag:synthetic"),
    ],
)
def test_near_names_are_suggested(pattern: str, message: str) -> None:
    with pytest.raises(PacoError, match=message):
        select(pattern)


def test_tasks_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    head = "from tasks.task import Task\nfrom paco_fr.contracts import CROPS\n"
    line = "Task('pose/{}', 1, 'pose', 'm:f', CROPS['box'], 'mae', 'own', 'here')\n"
    path.write_text(head + "TASK = " + line.format("a") + "OTHER = " + line.format("b") + "AGAIN = TASK\n")
    found = tasks_from(path)
    assert [task.name for task in found] == ["pose/a", "pose/b"]
    assert "pose/a" in all_tasks(found)
    with pytest.raises(PacoError, match="Two tasks are called 'recognition/lfw'"):
        all_tasks([declare("recognition/lfw")])


def test_a_file_of_tasks_may_hold_its_reader(tmp_path: Path) -> None:
    """Its reader was not found (ModuleNotFoundError), and shipped tasks that it imports counted as declared by it."""
    text = (
        "from tasks.task import Task\nfrom paco_fr.contracts import CROPS\n"
        "from tasks.families.recognition.lfw import TASK as SHIPPED\n\n"
        "def read(data_root):\n    return 'mine'\n\n"
        "TASK = Task('pose/a', 1, 'pose', '{}:read', CROPS['box'], 'mae', 'own', 'here')\n"
    )
    path = tmp_path / "held_here.py"
    path.write_text(text.format("held_here"))
    [task] = tasks_from(path)
    assert task.name == "pose/a"
    assert resolve(task.reader)(None) == "mine"
    path.write_text(text.format("held_here").replace("mine", "changed"))
    assert resolve(tasks_from(path)[0].reader)(None) == "changed"
    taken = tmp_path / "json.py"
    taken.write_text(text.format("json"))
    with pytest.raises(PacoError, match=r"'json' is the name of another module.*Rename the file"):
        tasks_from(taken)
    assert resolve("json:loads")("1") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "declares no tasks.task.Task"),
        ("import os\n\nraise ValueError('odd')\n", "line 3: ValueError: odd"),
        ("def f(:\n", "SyntaxError"),
        ("import not_there_at_all\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_files_that_declare_nothing(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(PacoError, match=message):
        tasks_from(path)
    with pytest.raises(PacoError, match="no such Python file"):
        tasks_from(tmp_path / "absent.py")


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Give a module that another package is said to register as a task."""
    path = tmp_path / "another_package_task.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    registered = EntryPoint("theirs", "another_package_task:TASK", "paco_eval.tasks")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [registered] if group == "paco_eval.tasks" else []
    )
    registry._declared.cache_clear()
    yield path
    registry._declared.cache_clear()
    sys.modules.pop("another_package_task", None)


def test_entry_points(entry: Path) -> None:
    entry.write_text(
        "from tasks.task import Task\nfrom paco_fr.contracts import CROPS\n"
        "TASK = Task('pose/theirs', 1, 'pose', 'm:f', CROPS['box'], 'mae', 'own', 'here')\n"
    )
    assert all_tasks()["pose/theirs"].kind == "pose"
    assert [task.name for task, _ in select("pose/thei*")] == ["pose/theirs"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TASK = 5\n", "'theirs' of an unknown package .* is a int"),
        ("1 / 0\n", "'theirs' .* cannot be loaded"),
    ],
)
def test_broken_entry_points_are_named(entry: Path, text: str, message: str) -> None:
    entry.write_text(text)
    with pytest.raises(PacoError, match=message):
        all_tasks()
