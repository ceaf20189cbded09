"""``paco-eval doctor``: what an installation has, what it lacks, and what to do about it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

import click

from paco_eval.cli.options import any_data_root

DISTRIBUTION = "paco-eval"

State = Literal["ok", "absent", "problem"]
"""``absent``: something optional that is not here; ``problem``: something that a command will stumble over."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        part: package, device, cache, data or detector.
        name: of the thing.
        state: whether it is as it should be.
        found: in words.
        remedy: what to do; empty where nothing is to be done.

    """

    part: str
    name: str
    state: State
    found: str
    remedy: str = ""


def diagnosis(data_root: Path | None = None) -> list[Finding]:
    """Return what there is to know of this installation; nothing is fetched, and what fails becomes a finding."""
    parts: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("package", packages),
        ("device", devices),
        ("cache", cache),
        ("data", lambda: data(data_root)),
        ("detector", detectors),
    ]
    found = []
    for part, look in parts:
        try:
            found += list(look())
        except Exception as error:  # a broken library must not hide what else is wrong
            said = " ".join(str(error).split())[:200]
            found.append(Finding(part, part, "problem", f"{type(error).__name__}: {said}"))
    return found


def packages() -> Iterator[Finding]:
    """Yield this package, Python, and every requirement with whether its version is one that was asked for."""
    from packaging.requirements import Requirement

    from paco_fr import __version__

    yield Finding("package", DISTRIBUTION, "ok", f"{__version__} in {Path(__file__).parents[2]}")
    yield Finding("package", "python", "ok", f"{platform.python_version()} on {platform.platform()}")
    try:
        wanted = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:
        yield Finding("package", "requirements", "problem", "not known: run from source", "pip install .")
        return
    plain = [one for one in wanted if one.marker is None or "extra" not in str(one.marker)]
    extra = [one for one in wanted if one not in plain]
    for one in sorted(plain, key=lambda one: one.name):
        yield _requirement(one.name, one.specifier.contains, str(one), optional=False)
    seen: set[str] = {one.name for one in plain}
    for one in sorted(extra, key=lambda one: one.name):
        if one.name not in seen and one.name != DISTRIBUTION:
            seen.add(one.name)
            yield _requirement(one.name, one.specifier.contains, str(one).partition(";")[0], optional=True)


def _requirement(name: str, fits: Callable[[str], bool], wanted: str, *, optional: bool) -> Finding:
    remedy = f"pip install '{wanted.strip()}'"
    try:
        here = version(name)
    except PackageNotFoundError:
        return Finding("package", name, "absent" if optional else "problem", "not installed", remedy)
    if not fits(here):
        return Finding("package", name, "problem", f"{here}, wanted {wanted.strip()}", remedy)
    return Finding("package", name, "ok", here)


def devices() -> Iterator[Finding]:
    """Yield processors and GPUs."""
    import torch

    threads = os.environ.get("OMP_NUM_THREADS", f"{torch.get_num_threads()}")
    yield Finding("device", "cpu", "ok", f"{os.cpu_count()} cores, {threads} threads a process")
    if not torch.cuda.is_available():
        yield Finding("device", "cuda", "absent", f"no GPU that torch {torch.__version__} can use")
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        yield Finding("device", f"cuda:{index}", "ok", f"{about.name}, {about.total_memory / 1e9:.0f} GB")


def cache() -> Iterator[Finding]:
    """Yield whether the cache can be written and how much room there is."""
    from paco_fr.utils.files import cache_root

    folder = cache_root()
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        yield Finding("cache", str(folder), "problem", f"{above} is no folder", "Set PACO_CACHE.")
        return
    free = f"{shutil.disk_usage(above).free / 1e9:.1f} GB free"
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        yield Finding(
            "cache", str(folder), "problem", f"cannot be written: {error.strerror}", "Set PACO_CACHE."
        )
        return
    yield Finding("cache", str(folder), "ok", f"{'there' if above == folder else 'will be made'}, {free}")


def data(data_root: Path | None) -> Iterator[Finding]:
    """Yield the data root, and every task that needs files with whether they are there."""
    from tasks.registry import all_tasks

    if data_root is None:
        yield Finding("data", "data root", "absent", "none named", "Set PACO_DATA, or give --data-root.")
    elif not data_root.is_dir():
        yield Finding(
            "data", "data root", "problem", f"{data_root} is no folder", "Mend PACO_DATA or --data-root."
        )
    else:
        yield Finding("data", "data root", "ok", str(data_root))
    for task in all_tasks().values():
        if not task.files:
            continue
        missing = task.missing(data_root)
        words = f"missing {', '.join(missing)}" if missing else "found"
        yield Finding("data", task.name, "absent" if missing else "ok", words, task.obtain if missing else "")


def detectors() -> Iterator[Finding]:
    """Yield the weights that ``data align`` and photographs without points need."""
    from paco_fr.faces.detector import dlib_library, dlib_model, weight_files
    from paco_fr.utils.errors import PacoError

    for path, url in weight_files().items():
        there = path.is_file()
        remedy = "" if there else f"Fetched on first use from {url}; offline, put it there yourself."
        yield Finding("detector", path.name, "ok" if there else "absent", f"{path}", remedy)
    try:
        dlib_library()
        yield Finding("detector", "dlib", "ok", dlib_model("mmod_human_face_detector.dat"))
    except PacoError as error:
        yield Finding("detector", "dlib", "absent", str(error))


@click.command("doctor")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@any_data_root
def command(style: str, data_root: Path | None) -> None:
    """Show versions, devices, cache, data roots and detector weights, with a remedy for what is not in order.

    Nothing is fetched or changed. Exit status 1 where there is a problem.
    """
    found = diagnosis(data_root)
    if style == "json":
        click.echo(json.dumps([finding._asdict() for finding in found], indent=2, ensure_ascii=False))
    else:
        for line in lines_of(found):
            click.echo(line)
    if any(finding.state == "problem" for finding in found):
        raise SystemExit(1)


def lines_of(found: list[Finding]) -> list[str]:
    """Return findings as lines, parts under headings, problems once more at the end."""
    lines: list[str] = []
    width = max((len(finding.name) for finding in found if len(finding.name) < 40), default=0)
    for place, finding in enumerate(found):
        if not place or found[place - 1].part != finding.part:
            lines.append(finding.part)
        line = f"  {finding.state:8}{finding.name:{width}}  {finding.found}"
        lines.append(f"{line}  -> {finding.remedy}" if finding.remedy else line)
    problems = [finding for finding in found if finding.state == "problem"]
    lines.append(f"{len(problems)} problems" if len(problems) != 1 else "1 problem")
    return lines + [f"  {finding.name}: {finding.found}. {finding.remedy}".rstrip() for finding in problems]
