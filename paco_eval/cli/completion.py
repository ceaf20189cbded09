"""What a shell offers after the Tab key: encoders and tasks by name. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

_PLACES = {"paco": "card.json", "farl": "", "mcf": "", "mae": "", "onnx": ".onnx", "torchscript": ""}
"""Schemes followed by a place on disk: what a folder holds that is meant, or how the file ends."""


def encoders(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer schemes and shipped names, then recipes behind ``random:`` and what lies on disk behind the others."""
    scheme, colon, rest = incomplete.partition(":")
    names = _behind(scheme, rest) if colon else _first()
    return [CompletionItem(name, help=about) for name, about in names if name.startswith(incomplete)]


def _first() -> Iterator[tuple[str, str]]:
    from paco_eval.encoders import ADAPTERS

    for scheme, adapter in ADAPTERS.items():
        yield (scheme if ":" not in adapter.usage else f"{scheme}:"), adapter.about
    for card in sorted(_package("weights").glob("*/card.json")):
        yield card.parent.name, "comes with this package"


def _behind(scheme: str, rest: str) -> Iterator[tuple[str, str]]:
    if scheme == "random":
        yield from ((f"random:{path.stem}", "") for path in sorted(_package("recipes").glob("*.toml")))
    if scheme not in _PLACES:
        return
    if scheme in ("farl", "mae", "mcf"):
        from paco_eval.encoders._hub import PUBLIC

        yield from ((f"{scheme}:{name}", public.licence) for name, public in PUBLIC[scheme].items())
    above, _, _ = rest.rpartition("/")
    folder, wanted = Path(above or ("/" if rest.startswith("/") else ".")), _PLACES[scheme]
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        shown = f"{scheme}:{above}{'/' if '/' in rest else ''}{path.name}"
        if path.name.startswith("."):
            continue
        if path.is_dir():
            whole = scheme == "paco" and (path / wanted).is_file()
            yield (shown, "a checkpoint") if whole else (f"{shown}/", "")
        elif scheme != "paco" and path.name.endswith(wanted):
            yield shown, ""


def tasks(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer tasks, families as globs, and derived tasks once their factor stands; of a list its last part."""
    from tasks.derived import NAMES
    from tasks.registry import all_tasks, derived, variants

    before, comma, last = incomplete.rpartition(",")
    known = all_tasks()
    names = [
        *known,
        *sorted({f"{name.rpartition('/')[0]}/*" for name in known}),
        *(f"{name}/" for name in NAMES),
    ]
    if last.partition("/")[0] in NAMES and "/" in last:
        names = [*derived(), f"{last.partition('/')[0]}/*"]
    elif "@" in last:
        names = [*variants()]
    return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]


def listed(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer what ``list WHAT`` tells all of."""
    offer = {"tasks": tasks, "datasets": tasks, "encoders": encoders}.get(context.params.get("what", ""))
    return offer(context, parameter, incomplete) if offer else []


def _package(folder: str) -> Path:
    return Path(__file__).parents[2] / "paco_fr" / folder  # not by import: that would bring in torch
