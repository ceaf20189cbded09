"""Every genuine label file of a benchmark has its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tasks.readers.expression.ferplus import read_labels
from tasks.readers.landmarks.pts import read_pts
from tasks.readers.pose.aflw2000 import read_mat
from tasks.readers.recognition.lfw import read_pairs

READERS: dict[str, Callable[[Path], object]] = {
    "*.mat": read_mat,
    "*.pts": lambda path: read_pts(path, None),
    "label.csv": lambda path: read_labels(path, "train"),
    "pairs.txt": read_pairs,
}


def test_every_genuine_file_has_a_reader(formats: Path) -> None:
    of_no_benchmark = ("*.ljson", "*.xml", "*.npy", "fer2013new.csv")  # menpo's, dlib's, 3DDFA's, other votes
    files = [
        path
        for path in sorted(formats.rglob("*"))
        if path.is_file() and not any(path.match(pattern) for pattern in of_no_benchmark)
    ]
    assert len(files) >= 24
    for path in files:
        readers = [reader for pattern, reader in READERS.items() if path.match(pattern)]
        assert len(readers) == 1, path
        assert readers[0](path) is not None
