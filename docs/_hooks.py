"""What mkdocs does to a page before it reads it: files of the repository are included, and links to them named."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
INCLUDE = re.compile(r"^<!-- include (\S+) -->$", flags=re.M)
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return the text of a page with what it includes; what lies outside of the site is named, or linked to."""
    here = page.file.src_uri
    repository = (config.repo_url or "").rstrip("/")
    included = INCLUDE.sub(lambda found: _included(found[1], here), markdown)
    return LINK.sub(lambda found: _link(found[1], found[2], here, repository), included)


def on_page_content(html: str, **_: Any) -> str:
    """Return a page whose docstrings name objects without the role that Sphinx would read."""
    return ROLE.sub("", html)


def _included(name: str, here: str) -> str:
    """Return a file of the repository, its links as they are from the page."""
    text = (ROOT / name).read_text(encoding="utf-8")
    base = posixpath.relpath(".", posixpath.dirname(f"docs/{here}"))

    def moved(found: re.Match[str]) -> str:
        target = found[2]
        if target.startswith(("http", "#")):
            return found[0]
        return f"[{found[1]}]({base}/{target})"

    return LINK.sub(moved, text)


def _link(words: str, target: str, here: str, repository: str) -> str:
    """Return a link that holds on the site."""
    if target.startswith(("http", "#", "mailto:")):
        return f"[{words}]({target})"
    file, mark, place = target.partition("#")
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(here), file))
    if path.startswith("docs/"):
        inside = posixpath.relpath(path.removeprefix("docs/"), posixpath.dirname(here) or ".")
        return f"[{words}]({inside}{mark}{place})"
    if repository:
        return f"[{words}]({repository}/blob/main/{path})"
    return words if words.startswith("`") else f"{words} (`{path}`)"
