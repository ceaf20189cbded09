from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError

import pytest
from click.testing import CliRunner

from paco_eval.cli import doctor, main
from paco_eval.cli.doctor import Finding
from paco_fr import __version__


@pytest.fixture(autouse=True)
def no_libraries(monkeypatch):
    """Stand in for what takes seconds to load."""
    monkeypatch.setattr(
        doctor, "detectors", lambda: iter([Finding("detector", "w.pth", "absent", "/w.pth", "x")])
    )


def test_it_tells_versions_device_cache_data_and_detector_as_json(tmp_path, monkeypatch):
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(main, ["doctor", "--format", "json", "--data-root", str(tmp_path)])
    found = json.loads(done.stdout)
    assert {one["part"] for one in found} == {"package", "device", "cache", "data", "detector"}
    named = {one["name"]: one for one in found}
    assert named["paco-eval"]["found"].startswith(__version__)
    assert named["landmarks/wflw"]["state"] == "absent" and named["landmarks/wflw"]["remedy"]
    assert named[str(tmp_path / "cache")]["state"] == "ok" and not (tmp_path / "cache").exists()
    assert done.exit_code == any(one["state"] == "problem" for one in found)


def test_a_library_that_breaks_is_one_finding_and_hides_no_other(monkeypatch, tmp_path):
    """An ImportError of torch took the whole command with it, when it was needed most."""

    def broken():
        raise ImportError("libcudart.so.12\nnot found")
        yield

    monkeypatch.setattr(doctor, "devices", broken)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert "ImportError: libcudart.so.12 not found" in done.stdout and str(tmp_path) in done.stdout


def test_a_requirement_below_its_bound_or_absent_is_a_problem(monkeypatch):
    here = {"numpy": "1.26", "click": "8.1.7"}

    def version(name):
        if name not in here:
            raise PackageNotFoundError(name)
        return here[name]

    lines = ["numpy>=2.0", "click>=8.1", "scipy>=1.14", 'wandb>=0.19; extra == "wandb"']
    monkeypatch.setattr(doctor, "requires", lambda _name: lines)
    monkeypatch.setattr(doctor, "version", version)
    found = {one.name: one for one in doctor.packages()}
    states = {name: found[name].state for name in ("numpy", "click", "scipy", "wandb")}
    assert states == {"numpy": "problem", "click": "ok", "scipy": "problem", "wandb": "absent"}
    assert found["numpy"].remedy == "pip install 'numpy>=2.0'"


def test_a_cache_that_cannot_be_written_is_a_problem(monkeypatch, tmp_path):
    def refused(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refused)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    (found,) = doctor.cache()
    assert found.state == "problem" and "Read-only" in found.found and "PACO_CACHE" in found.remedy


def test_a_cache_that_is_a_file_is_a_problem(monkeypatch, tmp_path):
    place = tmp_path / "file"
    place.touch()
    for named in (place, place / "below"):
        monkeypatch.setenv("PACO_CACHE", str(named))
        (found,) = doctor.cache()
        assert found.state == "problem" and f"{place} is no folder" in found.found and found.remedy


@pytest.mark.parametrize("named", ["file", "nowhere"])
def test_a_data_root_that_is_none_is_told_beside_all_else(monkeypatch, tmp_path, named):
    """The command ended at its option, with nothing else said."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("PACO_DATA", str(tmp_path / named))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1 and "is no folder" in done.stdout and "PACO_DATA" in done.stdout
    other = CliRunner().invoke(main, ["list", "tasks"])
    assert "PACO_DATA" in other.output


def test_an_empty_name_of_the_data_root_is_none(monkeypatch):
    monkeypatch.setenv("PACO_DATA", "")
    assert "none named" in CliRunner().invoke(main, ["doctor"]).stdout
