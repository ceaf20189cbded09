"""A user's own folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.user.folder import read_people

PNG = encode_png(np.zeros((4, 4, 3), np.uint8))


def test_folders_give_labels(tmp_path: Path) -> None:
    for name in ("mine/ann/1.png", "mine/ann/far/2.png", "mine/bob/1.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    assert read_people(tmp_path, "mine")["identity"][:] == ["ann", "ann", "bob"]
    (tmp_path / "mine/loose.png").write_bytes(PNG)
    with pytest.raises(PacoError, match=r"loose\.png: lies beside the labelled"):
        read_people(tmp_path, "mine")
    with pytest.raises(MissingDataError, match="absent"):
        read_people(tmp_path, "absent")
