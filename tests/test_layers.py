"""The order of the layers: an import goes to the right, never to the left, and none goes round in a circle.

Read from the source with ``ast``: imports at the top, in functions and under ``TYPE_CHECKING`` alike. A string
that names a file or something in it (``"tasks.readers.parsing.lapa:read_lapa"``) is imported later and counts, too.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

PACKAGES = "paco_eval > tasks > paco_fr"

ORDER = {
    "paco_eval": "__main__ > cli > api > experiments > report > evaluation > analysis, probes, finetune, testing > "
    "rows, features, encoders",
    "tasks": "data_check > mimics, user_tasks, testing > registry > families, derived > kinds, readers > "
    "units, splits, lists > task, metrics, perturbations",
    "paco_fr": "train, export > checkpoint, data > baselines > model, synthetic > faces, config > "
    "contracts, utils, recipes",
}
"""Rooms of a package, floor by floor from the top. A room is a folder or a file directly in the package; rooms of
one floor do not know each other. ``CONTRIBUTING.md`` quotes these lines."""

SIBLINGS = ("paco_eval/encoders", "paco_eval/cli", "tasks/families/*", "tasks/readers/*")
"""Folders of files that are all alike, one an encoder, a command, a benchmark, a dataset: they may hold any number."""

MOST_FILES = 10
"""In any other folder, besides its ``__init__.py``."""

NAME = re.compile(r"\w+(\.\w+)+(:\w+)?")
"""A string that may name a module, or something in it."""


class Arrow(NamedTuple):
    """One module names another."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


@cache
def modules_of(root: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """Return the file of every module by its dotted name."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def arrows_of(root: Path, packages: tuple[str, ...]) -> list[Arrow]:
    """Return every import of one of their modules by another, and every string that names one."""
    modules = modules_of(root, packages)
    found = set()
    for name, path in modules.items():
        for line, dotted in _named(ast.parse(path.read_text(encoding="utf-8")), name, path):
            target = _module(dotted, modules)
            if target is not None and target != name:
                found.add(Arrow(name, target, line))
    return sorted(found)


def _named(tree: ast.AST, module: str, path: Path) -> Iterator[tuple[int, str]]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
            yield node.lineno, "=" + node.value.partition(":")[0]


def _module(dotted: str, modules: Mapping[str, Path]) -> str | None:
    """Return the module that a name lies in; a string (``=`` in front) has to name a file letter by letter."""
    if dotted.startswith("="):
        path = modules.get(dotted[1:])
        return None if path is None or path.name == "__init__.py" else dotted[1:]
    while dotted and dotted not in modules:
        dotted = dotted.rpartition(".")[0]
    return dotted or None


def floors_of(order: str) -> dict[str, int]:
    """Return the floor of every part of a line ``a > b, c > d``; the ground is 0."""
    lines = reversed(order.split(" > "))
    return {part.strip(): floor for floor, line in enumerate(lines) for part in line.split(",")}


def upward(root: Path, packages: str, order: Mapping[str, str]) -> list[str]:
    """Return the imports that do not go down, and the rooms that have no floor."""
    modules = modules_of(root, tuple(order))
    package_floor = floors_of(packages)
    floors = {}
    for package, line in order.items():
        floors[package, ""] = len(line)  # the package itself stands above its rooms
        floors |= {(package, room): floor for room, floor in floors_of(line).items()}
    problems = [f"{name} has no floor" for name in modules if _room(name) not in floors]
    for arrow in arrows_of(root, tuple(order)):
        above, below = _room(arrow.source), _room(arrow.target)
        if above[0] != below[0]:
            down = package_floor[above[0]] > package_floor[below[0]]
        else:
            down = above == below or floors.get(above, -1) > floors.get(below, -1)
        if not down:
            problems.append(str(arrow))
    return problems


def _room(module: str) -> tuple[str, str]:
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def circles(root: Path, packages: Mapping[str, str]) -> list[str]:
    """Return the imports that close a circle, between modules, between folders, between modules and folders.

    In every folder, what is directly in it is compared, a folder in it standing for all that it holds.
    """
    modules = modules_of(root, tuple(packages))
    inside: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for arrow in arrows_of(root, tuple(packages)):
        source, target = (_path(name, modules) for name in (arrow.source, arrow.target))
        depth = next(i for i, (a, b) in enumerate(zip(source, target, strict=False)) if a != b)
        if depth:
            inside[".".join(source[:depth])][source[depth]].add(target[depth])
    return [
        f"in {folder}: {' -> '.join(circle)}"
        for folder, arrows in sorted(inside.items())
        if (circle := _circle(arrows))
    ]


def _path(module: str, modules: Mapping[str, Path]) -> list[str]:
    return module.split(".") + ["__init__"] * (modules[module].name == "__init__.py")


def _circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return one circle of a graph, or nothing."""
    done: set[str] = set()

    def follow(node: str, way: list[str]) -> list[str]:
        if node in way:
            round_ = way[way.index(node) :]
            first = round_.index(min(round_))
            return [*round_[first:], *round_[:first], round_[first]]
        if node in done:
            return []
        for target in sorted(arrows.get(node, ())):
            if found := follow(target, [*way, node]):
                return found
        done.add(node)
        return []

    return next(filter(None, (follow(node, []) for node in sorted(arrows))), [])


def test_every_import_goes_down():
    assert upward(ROOT, PACKAGES, ORDER) == []


def test_no_import_goes_round_in_a_circle():
    assert circles(ROOT, ORDER) == []


def test_every_room_of_the_order_is_there():
    for package, order in ORDER.items():
        for room in floors_of(order):
            assert (ROOT / package / room).is_dir() or (ROOT / package / f"{room}.py").exists(), room


def test_the_order_is_the_one_that_newcomers_read():
    quoted = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for line in (PACKAGES, *ORDER.values()):
        assert re.search(re.escape(line).replace(r"\ ", r"\s+"), quoted), line


def test_few_files_stand_directly_in_a_package():
    assert len(list((ROOT / "paco_eval").glob("*.py"))) <= 3
    assert len(list((ROOT / "paco_fr").glob("*.py"))) <= 5


def folders() -> list[Path]:
    """Return every folder with Python in it."""
    return sorted({path.parent for package in ORDER for path in (ROOT / package).rglob("*.py")})


def test_no_folder_but_those_of_siblings_holds_more_than_ten_files():
    crowded = {
        str(folder.relative_to(ROOT)): count
        for folder in folders()
        if not any(folder.relative_to(ROOT).match(pattern) for pattern in SIBLINGS)
        and (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > MOST_FILES
    }
    assert crowded == {}


def test_every_folder_says_in_a_line_what_it_holds():
    """Where nothing else stands in ``__init__.py``, the docstring is that line."""
    for folder in folders():
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        tree = ast.parse(text)
        assert ast.get_docstring(tree), folder
        if len(tree.body) == 1:
            assert len(text.splitlines()) == 1, folder
        assert not _only_hands_on(tree), folder


def _only_hands_on(tree: ast.Module) -> bool:
    rest = tree.body[1:]
    listed = [n for n in rest if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]
    return bool(rest) and len(listed) + sum(isinstance(n, ast.Import | ast.ImportFrom) for n in rest) == len(
        rest
    )


def test_families_hold_declarations_only():
    for path in (ROOT / "tasks" / "families").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), path


# The same functions on a made tree, in which each kind of wrong arrow is drawn once.

MADE = {"house": "attic > hall, study > cellar", "garden": "tree"}
SOUND = {
    "house/__init__.py": '"""A house."""',
    "house/attic.py": "from house.hall import door\nfrom garden import tree",
    "house/hall/__init__.py": "",
    "house/hall/door.py": "import house.cellar",
    "house/hall/lamp.py": "from . import door",
    "house/study.py": "",
    "house/cellar.py": "",
    "garden/__init__.py": "",
    "garden/tree.py": '"""Seen from house.attic: a sentence is no name."""',
}


def make(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return folder


def test_a_sound_tree_has_no_wrong_arrow(tmp_path):
    make(tmp_path, SOUND)
    assert upward(tmp_path, "house > garden", MADE) == []
    assert circles(tmp_path, MADE) == []


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("house/cellar.py", "from house.attic import roof", "house.cellar:1 imports house.attic"),
        ("house/cellar.py", "def f():\n    import house.hall.door", "house.cellar:2 imports house.hall.door"),
        (
            "house/cellar.py",
            "if TYPE_CHECKING:\n    from . import attic",
            "house.cellar:2 imports house.attic",
        ),
        ("house/cellar.py", 'ROOF = "house.attic:roof"', "house.cellar:1 imports house.attic"),
        ("house/cellar.py", "from house import attic", "house.cellar:1 imports house.attic"),
        ("house/cellar.py", "import house", "house.cellar:1 imports house"),
        ("house/hall/door.py", "from ..study import desk", "house.hall.door:1 imports house.study"),
        ("garden/tree.py", "import house.cellar", "garden.tree:1 imports house.cellar"),
        ("house/shed.py", "", "house.shed has no floor"),
    ],
)
def test_an_arrow_drawn_back_up_is_found(tmp_path, file, text, problem):
    make(tmp_path, SOUND | {file: text})
    assert upward(tmp_path, "house > garden", MADE) == [problem]


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        (
            {"house/hall/door.py": "def f():\n    from house.hall.lamp import light"},
            "in house.hall: door -> lamp -> door",
        ),
        (
            {"house/cellar.py": "import house.hall.door"},
            "in house: cellar -> hall -> cellar",
        ),
        (  # no circle between modules, but one between the folder and the file beside it
            {"house/cellar.py": "import house.hall.lamp", "house/hall/lamp.py": ""},
            "in house: cellar -> hall -> cellar",
        ),
    ],
)
def test_a_circle_is_found(tmp_path, files, circle):
    make(tmp_path, SOUND | files)
    assert circles(tmp_path, MADE) == [circle]
