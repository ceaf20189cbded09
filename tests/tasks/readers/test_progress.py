"""What reading tells while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.records import fingerprint
from paco_fr.utils import progress
from tasks.readers.parsing.lapa import read_lapa
from tasks.units import units_of


def test_reading_label_files_and_pictures_tells_how_far_it_is(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred thousand label files, and the contents of as many pictures, were minutes without a word."""
    progress.configure(verbose=True)
    try:
        records = read_lapa(copied("parsing/lapa"))
        fingerprint(records)
        units_of(records, CROPS["whole"])
    finally:
        progress.configure()
    told = capsys.readouterr().err
    assert all(title in told for title in ("reading label files", "reading files", "placing crops"))
