"""Looks into a folder with one wheel and one sdist: size, what has to be there, what must not. Standard library only."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

LARGEST = 15_000_000
"""Bytes that a wheel may have."""

PACKAGES = {"paco_eval", "paco_fr", "tasks", "results"}

WANTED = (
    "paco_eval/py.typed", "paco_eval/rows/row.schema.json", "paco_eval/report/page/page.html",
    "paco_fr/recipes/tiny.toml", "paco_fr/weights/paco-tiny/model.safetensors", "paco_fr/weights/mae-tiny/card.json",
    "paco_fr/weights/simmim-tiny/card.json", "results/published/published.csv",
)  # fmt: skip
READ = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
    "SECURITY.md",
    "docs/index.md",
)
"""What a source distribution has to hold, too."""
UNWANTED = re.compile(r"(^|/)(tests|benchmarks|\.ci|\.github)/|__pycache__|results/reference")


def problems_of_wheel(path: Path) -> list[str]:
    """Return what is wrong with a wheel, a sentence each."""
    found = []
    if (size := path.stat().st_size) > LARGEST:
        found.append(f"{path.name} has {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}.")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(archive.read(about).decode())
    found += [f"{path.name} lacks {name}." for name in WANTED if name not in names]
    found += [f"{path.name} holds {name}." for name in names if UNWANTED.search(name)][:5]
    roots = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    found += [f"{path.name} puts {name} beside the packages." for name in sorted(roots - PACKAGES)]
    for field in (
        "Name",
        "Version",
        "Summary",
        "Author",
        "License-Expression",
        "Project-URL",
        "Requires-Python",
    ):
        if not fields.get(field):
            found.append(f"{path.name}: the metadata have no {field}.")
    if not fields.get_payload():
        found.append(f"{path.name}: the metadata have no description.")
    return found


def problems_of_sdist(path: Path) -> list[str]:
    """Return what is wrong with a source distribution, a sentence each."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    found = [f"{path.name} lacks {name}." for name in (*WANTED, *READ) if name not in names]
    return found + [f"{path.name} holds {name}." for name in sorted(names) if name.startswith("tests/")][:5]


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the distributions in a folder."""
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"{folder}: {len(wheels)} wheels and {len(sdists)} sdists instead of one of each."]
    found = problems_of_wheel(wheels[0]) + problems_of_sdist(sdists[0])
    versions = {wheels[0].name.split("-")[1], sdists[0].name.removesuffix(".tar.gz").split("-")[1]}
    return found + ([f"{folder}: two versions, {', '.join(sorted(versions))}."] if len(versions) > 1 else [])


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]))
    sys.stdout.write("\n".join(wrong or [f"{sys.argv[1]}: wheel and sdist are in order."]) + "\n")
    raise SystemExit(bool(wrong))
