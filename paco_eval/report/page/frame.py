"""What the page of a report and the pages of the leaderboard are made in: templates, and the one script that may run."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def environment_of(folder: str) -> Environment:
    """Return the templates of a folder of ``paco_eval.report``, with its script ``FOLDER.js`` and that script's hash.

    All text from data is escaped, and a script that came in with it would be refused by the browser as well.
    """
    environment = Environment(
        loader=PackageLoader("paco_eval.report", folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    script = text_of(folder, f"{folder}.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals.update(script=Markup(script), script_hash=f"sha256-{digest}")
    return environment


def text_of(folder: str, name: str) -> str:
    """Return the text of a file of a folder of ``paco_eval.report``."""
    return (files("paco_eval.report") / folder / name).read_text(encoding="utf-8")
