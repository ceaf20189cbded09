"""The documentation site and the notebooks: links hold, what is included is there, cells are Python."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "_hooks.py")
assert spec and spec.loader
hooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hooks)


def seen(text: str, page: str = "design.md", repository: str | None = None) -> str:
    """Return the text of a page as mkdocs gets it."""
    return hooks.on_page_markdown(
        text, SimpleNamespace(file=SimpleNamespace(src_uri=page)), SimpleNamespace(repo_url=repository)
    )


def test_links_out_of_the_site_name_the_file_and_links_within_it_stay():
    text = "[a](method.md#b) [c](../paco_fr/config.py) [`d`](../paco_fr/config.py) [e](https://f.org) ![g](h.png)"
    assert seen(text) == "[a](method.md#b) c (`paco_fr/config.py`) `d` [e](https://f.org) ![g](h.png)"
    assert "https://x.org/blob/main/paco_fr/config.py" in seen(text, repository="https://x.org/")


def test_links_of_an_included_page_hold_from_where_it_is_included():
    text = seen("<!-- include CONTRIBUTING.md -->", "howto/design.md")
    assert "The order of layers" in text and "<!--" not in text
    found = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert "../method.md" in found
    for target in found:
        assert (ROOT / "docs" / "howto" / target).resolve().is_file(), target


def test_names_in_docstrings_come_without_their_role():
    assert hooks.on_page_content("<p>see :mod:<code>a.b</code> or a:<code>c</code></p>") == (
        "<p>see <code>a.b</code> or a:<code>c</code></p>"
    )


def test_every_page_is_on_the_site_and_every_entry_of_it_is_a_page():
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.M)
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(listed) == pages


def test_what_the_reference_names_exists():
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), flags=re.M):
            path = ROOT / Path(*name.split("."))
            whole = path.with_suffix(".py")
            inside = path.parent.with_suffix(".py"), path.parent / "__init__.py"
            text = next((p.read_text(encoding="utf-8") for p in inside if p.is_file()), "")
            assert whole.is_file() or re.search(rf"^(def|class) {path.name}\b", text, flags=re.M), name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_python_whose_imports_are_there_without_outputs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code and all(not cell.get("outputs") for cell in cells)
    for node in ast.walk(ast.parse("\n".join(code))):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "search" / "search_index.json").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebooks_run(tmp_path):
    pytest.importorskip("nbmake")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=1200", "--timeout=1300", "-q", "notebooks"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
