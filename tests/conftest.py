"""What all tests share: the folder of real photographs and genuine label files, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the data folder: ``PACO_DATA``, else ``../shared/data`` near the repository."""
    named = os.environ.get("PACO_DATA")
    candidates = [Path(named)] if named else [REPOSITORY / up / "shared/data" for up in ("..", "../..")]
    for folder in candidates:
        if folder.is_dir():
            return folder.resolve()
    pytest.skip(f"no real data: none of {', '.join(map(str, candidates))} exists (set PACO_DATA)")
