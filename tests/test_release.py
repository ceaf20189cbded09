"""What a release promises about itself: one version, metadata that agree, a distribution that is looked into."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from paco_fr import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
spec = importlib.util.spec_from_file_location("check_distribution", ROOT / ".ci" / "check_distribution.py")
assert spec and spec.loader
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)


def test_the_version_stands_in_one_place_and_the_papers_agree():
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "paco_fr.__version__"}
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__ and cited["license"] == PROJECT["project"]["license"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, flags=re.M).group(1) == __version__


def test_the_workflow_tests_every_python_that_is_supported():
    flow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    named = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert flow["jobs"]["tests"]["strategy"]["matrix"]["python"] == named
    commands = [step["run"] for job in flow["jobs"].values() for step in job["steps"] if "run" in step]
    for script in re.findall(r"\.ci/\w+", " ".join(commands)):
        assert os.access(ROOT / script, os.X_OK), script
    for tool in ("mypy", "ruff check .", ".ci/run", ".ci/package", ".ci/lowest"):
        assert any(tool in command for command in commands), tool


def distributions(folder: Path, *, without: str = "", beside: str = "") -> Path:
    """Write a wheel and an sdist that hold what they have to, but for a file, or with one more."""
    names = [name for name in (*check.WANTED, beside) if name and name != without]
    fields = "Name: paco-eval\nVersion: 9\nSummary: a\nAuthor: b\nLicense-Expression: c\nProject-URL: d\n"
    with zipfile.ZipFile(folder / "paco_eval-9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("paco_eval-9.dist-info/METADATA", f"{fields}Requires-Python: >=3.11\n\nText.\n")
        for name in names:
            wheel.writestr(name, "")
    with tarfile.open(folder / "paco_eval-9.tar.gz", "w:gz") as sdist:
        for name in (*names, *check.READ):
            sdist.addfile(tarfile.TarInfo(f"paco_eval-9/{name}"), io.BytesIO())
    return folder


def test_a_distribution_with_everything_passes(tmp_path):
    assert check.problems(distributions(tmp_path)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"without": "results/published/published.csv"}, "lacks results/published/published.csv"),
        ({"without": "paco_fr/weights/paco-tiny/model.safetensors"}, "lacks paco_fr/weights"),
        ({"beside": "tests/test_release.py"}, "holds tests/test_release.py"),
        ({"beside": "stray.py"}, "puts stray.py beside the packages"),
    ],
)
def test_a_distribution_that_lacks_or_holds_too_much_is_refused(tmp_path, changed, said):
    assert any(said in problem for problem in check.problems(distributions(tmp_path, **changed)))


def test_a_wheel_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "LARGEST", 100)
    assert "more than" in check.problems(distributions(tmp_path))[0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_wheel_and_sdist_are_built_and_hold_what_they_should(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    assert check.problems(tmp_path) == []
