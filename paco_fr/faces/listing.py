r"""Which files are pictures: one rule for every folder that is read.

- A picture is a **regular file** with a known suffix in any case (:data:`SUFFIXES`; ``.avif`` and ``.heic`` where
  Pillow can read them). Pipes, sockets and devices are never opened.
- Files and folders whose names begin with ``.``, and those that systems leave behind (:data:`LEFT_BEHIND`), do not
  count, nor does what lies in them.
- A **link** counts as what it leads to, if that lies below the folder that was named; one that leads out of it is an
  error, so that no list reaches files that nobody named, unless the variable ``PACO_LINKS`` is ``follow``: then links
  may lead anywhere. Broken links and circles are passed over.
- Names may hold any bytes. One that is not UTF-8 is written with ``\xNN`` for each such byte (:func:`as_text`) and
  found again by :func:`as_path`.

Whatever is passed over is counted, and said in one line.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from paco_fr.utils.errors import PacoError, advise, quoted

SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
    ".gif",
)  # fmt: skip
"""Suffixes of pictures that are always read."""

LEFT_BEHIND = frozenset({"__macosx", "@eadir", "lost+found", "thumbs.db", "desktop.ini", "$recycle.bin"})
"""Names in lower case that systems leave in folders, beside those that begin with a dot."""

LINKS = "PACO_LINKS"
"""Environment variable; ``follow`` lets links lead out of the folder that was named."""

SHOWN_REASONS = 6
"""Reasons that are said one by one."""

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


@cache
def optional_formats() -> dict[str, tuple[str, ...]]:
    """Return the formats that only some builds of Pillow read, with the suffixes of each; those that this one reads."""
    from PIL import features

    found: dict[str, tuple[str, ...]] = {}
    if "avif" in features.modules and features.check("avif"):  # older Pillows warn of a name they do not know
        found["AVIF"] = (".avif",)
    if find_spec("pillow_heif") is not None:
        from pillow_heif import register_heif_opener

        register_heif_opener()
        found["HEIF"] = (".heic", ".heif")
    return found


OTHER_PICTURES = (".avif", ".heic", ".heif")


def suffixes() -> tuple[str, ...]:
    """Return the suffixes of the pictures that can be read here, in lower case."""
    return SUFFIXES + tuple(suffix for some in optional_formats().values() for suffix in some)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name never counts."""
    return name.startswith(".") or name.lower() in LEFT_BEHIND


@dataclass
class Listing:
    """Files below a folder in order of their relative paths, and how many were passed over for which reason."""

    folder: Path
    paths: list[Path] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)

    def say(self) -> None:
        """Say in one line what was passed over, if anything was."""
        if self.passed:
            advise(f"{as_text(self.folder)}: passed over {self.passed_over()}.")

    def passed_over(self) -> str:
        """Return how many files were passed over for which reason, the most frequent ones first."""
        reasons = self.passed.most_common()
        listed = [f"{count} {reason}" for reason, count in reasons[:SHOWN_REASONS]]
        others = sum(count for _, count in reasons[SHOWN_REASONS:])
        return ", ".join(listed + ([f"{others} others"] if others else []))


def list_files(folder: Path, wanted: Collection[str] | None = None, *, deep: bool = True) -> Listing:
    """Return the regular files of a folder with one of the suffixes, by the rules of this module.

    Args:
        folder: is there.
        wanted: suffixes in lower case, by default those of pictures.
        deep: look into its folders, too.

    Raises:
        PacoError: a link leads out of the folder, or the folder cannot be read.

    """
    known = suffixes() if wanted is None else tuple(wanted)
    found = Listing(Path(folder))
    home, taken = os.path.realpath(folder), list[str]()
    for path, problem in _walk(str(folder), home, {home}, deep):
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a Path of every file costs more than the walk
        if problem == "hidden":
            if not suffix or suffix in known:
                found.passed["hidden or left behind by a system"] += 1
        elif problem:
            found.passed[problem] += 1
        elif suffix in known:
            taken.append(path)
        elif wanted is None and suffix in OTHER_PICTURES:
            found.passed[f"{suffix}, which Pillow cannot read here (pip install pillow-heif)"] += 1
        elif wanted is None:
            kind = quoted(suffix) if suffix else "no suffix"
            found.passed[f"files with {kind}, no picture's"] += 1
    found.paths = [Path(path) for path in sorted(taken)]  # all begin with the folder
    return found


def files_in(folder: Path, *wanted: str, deep: bool = False) -> list[Path]:
    """Return the files of a folder with one of the suffixes, in order of their names; say what was passed over."""
    found = list_files(folder, wanted or None, deep=deep)
    found.say()
    return found.paths


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder that count, in order of their names."""
    return sorted(path for path in Path(folder).iterdir() if not is_hidden(path.name) and path.is_dir())


def _walk(folder: str, home: str, above: set[str], deep: bool) -> Iterator[tuple[str, str]]:
    """Yield every file below a folder with why it does not count, "" if it does."""
    try:
        with os.scandir(folder) as entries:
            content = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise PacoError(
            f"{as_text(folder)}: cannot be read ({error.strerror}). Check its permissions."
        ) from error
    for entry in content:
        if is_hidden(entry.name):
            yield entry.path, "hidden"
            continue
        try:
            mode = entry.stat().st_mode  # of what a link leads to
        except OSError:
            yield entry.path, "links that lead nowhere"
            continue
        there = os.path.realpath(entry.path) if entry.is_symlink() else ""
        known = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        if there and known and not _below(there, home) and os.environ.get(LINKS) != "follow":
            raise PacoError(
                f"{as_text(entry.path)} links out of {as_text(home)}. Copy its target there, name that folder, or "
                f"set {LINKS}=follow."
            )
        if stat.S_ISDIR(mode):
            real = there or os.path.realpath(entry.path)
            if real in above:
                yield entry.path, "links that go round in a circle"
            elif deep:
                yield from _walk(entry.path, home, above | {real}, deep)
        else:
            yield entry.path, "" if known else "pipes, sockets or devices"


def _below(path: str, home: str) -> bool:
    return path == home or path.startswith(home.rstrip("/") + "/")


def as_text(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that can be stored and shown: bytes that are no UTF-8 as ``\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def as_path(text: str) -> str:
    """Return the path that :func:`as_text` wrote; one that is there letter by letter is meant so.

    The case of a suffix does not matter: lists of benchmarks say ``1.jpg`` where a copy has ``1.JPG``.
    """
    if os.path.lexists(text):
        return text
    if "\\x" in text:
        text = os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), os.fsencode(text)))
    stem, suffix = os.path.splitext(text)  # noqa: PTH122 - asked for every picture
    others = (stem + other for other in (suffix.upper(), suffix.lower()) if other != suffix)
    return next((other for other in others if os.path.lexists(other) and not os.path.lexists(text)), text)
