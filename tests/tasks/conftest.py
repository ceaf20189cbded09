"""Miniatures of all benchmarks, written once for the tests of readers, passports and scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.mimics import WRITERS, mimic
from tasks.registry import all_tasks

FACES = 16


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a data root with the miniature of every benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACO_CACHE", str(tmp_path_factory.mktemp("cache")))
        root = tmp_path_factory.mktemp("miniatures")
        known = all_tasks()
        for name in WRITERS:
            mimic(known[name], root, FACES)
        yield root


@pytest.fixture
def copied(miniatures: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies the data of one task into a root of its own, to be damaged."""

    def copy(name: str) -> Path:
        for folder in {Path(file).parts[0] for file in all_tasks()[name].files}:
            shutil.copytree(miniatures / folder, tmp_path / folder)
        return tmp_path

    return copy
