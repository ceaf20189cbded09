"""Readers meet spoilt files: a few hundred here, what was once found always, and many with ``-m slow``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.harness import Target, attempt, fuzz, kept
from tests.fuzz.targets import all_targets

CASES = sorted((Path(__file__).parent / "cases").glob("*.case"))
SHORT = ("expression/rafdb", "landmarks/300w", "recognition/ijbb")
"""Benchmarks whose miniatures the short form makes."""


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Target]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield all_targets(tmp_path_factory.mktemp("fuzz"), SHORT)


def told(found: list) -> str:
    return "\n".join(f"{each.target} ({each.file}): {each.what}\n{each.told}" for each in found)


def test_spoilt_files_end_in_a_line(targets: list[Target]) -> None:
    """Of some hundred spoilt files none ends in another error, in over ten seconds or over a gigabyte."""
    outcome = fuzz(targets, seed=5, inputs=400)
    assert not outcome.findings, told(outcome.findings)
    counts = outcome.record(5)["outcomes"]
    assert (
        counts["read"] > 20 and counts["refused"] > 100
    )  # spoilt files are neither all read nor all refused


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_what_was_found_once_is_refused_now(targets: list[Target], path: Path) -> None:
    """Each case file ended in another error, took too long or took too much when it was found."""
    name, file, content = kept(path)
    target = next(each for each in targets if each.name == name)
    end, what, trace = attempt(target, file, content)
    assert end in ("read", "refused", "failed"), f"{what}\n{trace}"


def test_the_harness_finds_what_is_not_admitted() -> None:
    """A reader that raises another error, hangs or swells is a finding; one that refuses is none."""

    def hang(file: str, content: bytes) -> None:
        while True:
            pass

    def swell(file: str, content: bytes) -> None:
        bytearray(3_000_000_000)

    def wrong(file: str, content: bytes) -> None:
        raise KeyError(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.fuzz.harness.SECONDS", 0.5)
        for run, what in ((hang, "seconds"), (swell, "MemoryError"), (wrong, "KeyError")):
            target = Target("made up", lambda random: ("a", random.bytes(3)), run)
            outcome = fuzz([target], seed=0, inputs=2)
            assert [what in each.what for each in outcome.findings] == [True], outcome.findings


@pytest.mark.slow
def test_many_spoilt_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    outcome = fuzz(all_targets(tmp_path / "fuzz"), seed=6, inputs=20_000, deadline=None)
    assert not outcome.findings, told(outcome.findings)
