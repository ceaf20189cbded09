"""The pictures of ORL."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.recognition.orl import read_orl


def test_orl(tmp_path: Path) -> None:
    for name in ("s2/1.pgm", "s10/2.pgm", "s2/10.pgm", "s2/notes.txt", "sx/1.pgm"):
        path = tmp_path / "orl_faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P5 2 2 255\n\x00\x01\x02\x03")
    records = read_orl(tmp_path)
    assert records["image_id"][:] == ["s2/1", "s2/10", "s10/2"]
    assert read_image(records[0]["image"])[..., 0].tolist() == [[0, 1], [2, 3]]
    with pytest.raises(MissingDataError, match="AT&T"):
        read_orl(tmp_path / "s2")
    with pytest.raises(PacoError, match=r"no pictures named sX/Y\.pgm"):
        read_orl(tmp_path, ".")


def test_genuine_orl(data_root: Path) -> None:
    records = read_orl(data_root)
    assert set(Counter(records["identity"][:]).values()) == {10}
    assert read_image(records[0]["image"]).shape == (112, 92, 3)
