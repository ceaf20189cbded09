"""``paco-eval cache``."""

from __future__ import annotations

import time

import click


@click.group("cache")
def command() -> None:
    """List what the cache holds, or make room (folder: $PACO_CACHE or ~/.cache/paco-eval).

    It holds features, drawn faces, crops for pretraining, painted masks and what validation decided.
    """


@command.command("list")
def list_entries() -> None:
    """Print a line for each entry, the longest unused first."""
    from paco_eval.features.cache import KINDS, entries

    found = entries(KINDS)
    for entry in found:
        address = entry.address
        what = "  ".join(
            f"{key} {address[key]}"
            for key in ("weight_hash", "block", "reduction", "dtype", "perturbation")
            if key in address
        )
        if entry.kind != "features":
            what = f"{KINDS[entry.kind]}  {entry.folder.name}"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        pictures = f"{entry.pictures:,} pictures" if entry.kind == "features" else ""
        click.echo(
            f"{_shown(entry.size):>9}  {entry.kind:8}  {pictures:>18}  {used}  {what or entry.folder.name}"
        )
    click.echo(f"{_shown(sum(entry.size for entry in found)):>9}  in {len(found)} entries")


@command.command("prune")
@click.option(
    "--to", "limit", default="0", show_default=True, help="Size to shrink to, such as 20GB or 500MB."
)
@click.option(
    "--unused", type=click.IntRange(min=0), metavar="DAYS", help="Remove whatever was not used for so long."
)
def prune_entries(limit: str, unused: int | None) -> None:
    """Remove entries, the longest unused first; they are made again when needed.

    With --unused alone only those go; otherwise the cache shrinks to --to (by default it is emptied).
    """
    from paco_eval.features.cache import KINDS, entries, prune, size_of

    size = size_of(limit)
    since = 0.0
    if unused is not None:
        since = time.time() - unused * 86_400
        size = size or 1 << 62
    removed = prune(entries(KINDS), size, since)
    click.echo(f"Removed {len(removed)} entries, {_shown(sum(entry.size for entry in removed))}.")
    left = sum(entry.size for entry in entries(KINDS))
    if unused is None and left > size:
        click.echo(f"{_shown(left)} stay: a running process uses them.")


def _shown(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
