"""Rows and the files beside them from a stranger: one bad file costs its row, and no time."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from paco_eval.rows.artefacts import load_arrays, save_arrays
from paco_eval.rows.compact import REST
from paco_eval.rows.store import load_rows, read_items, read_row, write_row
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_rows import make_row


def stored(folder: Path) -> Path:
    row, items = make_row()
    return write_row(folder, row, items)


BAD = {
    "deep": b"[" * 2_000 + b"]" * 2_000,
    "no text": b"\xff",
    "digits": b'{"schema": 1' + b"0" * 5_000 + b"}",
    "NUL": b'{"a\\u0000": 1}',
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_one_bad_file_leaves_the_other_rows(tmp_path: Path, content: bytes) -> None:
    """One file of nested brackets ended ``report`` for all rows with a RecursionError."""
    stored(tmp_path)
    (tmp_path / "0123456789abcdef.json").write_bytes(content)
    loaded = load_rows(tmp_path)
    assert len(loaded.rows) == 1 and len(loaded.problems) == 1
    assert "0123456789abcdef.json" in loaded.problems[0] and "\n" not in loaded.problems[0]


@pytest.mark.parametrize("rest", ["itself", "../../etc", 5])
def test_items_that_are_continued_by_themselves_end(tmp_path: Path, rest: object) -> None:
    """A row whose items name themselves as the rest, or a file elsewhere."""
    path = stored(tmp_path)
    content = json.loads(path.read_text())
    content["chosen"] = {**content["chosen"], REST: path.stem if rest == "itself" else rest}
    content["digest"] = content_hash({name: value for name, value in content.items() if name != "digest"})
    path.write_text(json.dumps(content))
    read_row(path)
    with pytest.raises(PacoError, match=path.stem):
        read_items(path)


def test_samples_do_not_inflate(tmp_path: Path) -> None:
    """``samples.npz`` of 3.4 MB inflated to 3.4 GB in ``report``; pictures have bounds, too."""
    path = tmp_path / "a.samples.npz"
    seen = np.ones((1, 5), bool)
    beside = {
        "ids": ["a"],
        "roles": ["shared"],
        "items": ["a"],
        "sides": [0],
        "transforms": np.zeros((1, 2, 3)),
        "visible": seen,
    }
    save_arrays(path, "samples", images=np.zeros((1, 8, 8, 3), np.uint8), **beside)
    assert load_arrays(path, "samples") is not None
    with pytest.raises(PacoError, match="holds pictures of"):
        save_arrays(path, "samples", images=np.zeros((1, 8, 3_000, 3), np.uint8), **beside)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(150_000_000))
    with pytest.raises(PacoError, match="unpacks to more than"):
        load_arrays(path, "samples")
