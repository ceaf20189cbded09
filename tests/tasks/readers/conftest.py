"""What tests of readers share: the folder of genuine label files, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def formats(data_root: Path) -> Path:
    folder = data_root / "annotation_formats"
    if not folder.is_dir():
        pytest.skip(f"no genuine label files: {folder} does not exist")
    return folder
