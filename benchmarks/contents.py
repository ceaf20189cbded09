"""What it takes to know many pictures by what they hold: the first time, and at every later start.

Writes pictures of noise of about fifty kilobytes, then lists and looks at them in processes of their own: once with
an empty memory, and again as a later start does. Beside it stands plain reading: every file opened and read, no more.

Run: python -m benchmarks.contents [--pictures 1000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paco_fr.data.sources import find_images
from paco_fr.faces.contents import contents_of, one_look, sizes_of
from paco_fr.utils.progress import tracked
from paco_fr.utils.random import generator

SIDE = 144
"""Pixels of a side: noise of this size makes a JPEG of fifty kilobytes."""
KINDS = 50
"""Pictures that are encoded; a comment with its number makes each file another."""
A_FOLDER = 1000


def write(folder: Path, count: int) -> None:
    """Write so many different JPEG files of noise; those that are there stay."""
    encoded = []
    for kind in range(KINDS):
        noise, file = generator("noise", kind).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8), io.BytesIO()
        Image.fromarray(noise).save(file, "JPEG", quality=95, subsampling=0)
        encoded.append(file.getvalue())
    for number in tracked(range(count), "writing pictures", count, "img"):
        path = folder / f"{number // A_FOLDER:04d}" / f"{number:07d}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            start, rest = encoded[number % KINDS][:2], encoded[number % KINDS][2:]
            path.write_bytes(start + b"\xff\xfe\x00\x06" + number.to_bytes(4) + rest)


def look(folder: Path) -> None:
    """Do what a start does with a folder: list it, know contents and sizes of its pictures."""
    paths = find_images(folder)
    with one_look():
        assert None not in contents_of(paths)
        assert None not in sizes_of(paths)


def read(folder: Path) -> None:
    """Read every file, and no more."""
    for path in find_images(folder):
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as cheap as reading can be
            file.read()


def alone(call: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Return the seconds and the processor seconds that a call takes in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (call, folder))


def _timed(call: Callable[[Path], Any], folder: Path) -> tuple[float, float]:
    began = time.perf_counter(), time.process_time()
    call(folder)
    return time.perf_counter() - began[0], time.process_time() - began[1]


def main() -> None:
    """Print how long reading, a first look and later ones take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="of pictures, kept; by default a temporary one")
    parser.add_argument("--starts", type=int, default=3, help="later ones; the quickest is shown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["PACO_CACHE"] = f"{name}/cache"
        folder = options.folder or Path(name) / "pictures"
        write(folder, options.pictures)
        size = sum(path.stat().st_size for path in find_images(folder))
        print(f"{options.pictures:,} pictures, {size / options.pictures / 1000:.1f} kB each")
        time.sleep(0.2)  # files of this very moment are not remembered
        print("plain reading   {:8.2f} s, {:8.2f} s of processor".format(*alone(read, folder)))
        print("first look      {:8.2f} s, {:8.2f} s of processor".format(*alone(look, folder)))
        later = min(alone(look, folder) for _ in range(options.starts))
        print("later starts    {:8.2f} s, {:8.2f} s of processor".format(*later))


if __name__ == "__main__":
    main()
