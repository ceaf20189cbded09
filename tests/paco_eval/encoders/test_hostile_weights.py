"""Weight files that are none end in a line, at once."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from paco_eval.encoders._weights import read_tensors
from paco_fr.utils.errors import PacoError


def saved(value: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def cycle() -> dict:
    state: dict = {"weight": torch.zeros(2)}
    state["model"] = state
    return state


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("a/data/0", bytes(300_000_000))
    return file.getvalue()


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**32,)})
    return file.getvalue()


WHOLE = saved({"weight": torch.zeros(50)})
LEGACY = saved({"weight": torch.zeros(50)}, legacy=True)
BAD = {
    "text": b"this is a text\n" * 20,
    "a line": b"hello\n",
    "web page": b"<!DOCTYPE html><html>404</html>",
    "empty": b"",
    "half": WHOLE[: len(WHOLE) // 2],
    "without its middle": WHOLE[:200] + WHOLE[300:],
    "without its end": WHOLE[:-30],
    "half of an old file": LEGACY[: len(LEGACY) // 2],
    "a state in itself": saved(cycle()),
    "a bomb": bomb(),
    "an array": numpy_file(),
    "git's pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_weight_file_ends_in_a_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    """A text gave IndexError, a torn archive BadZipFile, a state that holds itself never ended."""
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    begun = time.perf_counter()
    with pytest.raises(PacoError, match=rf"weights\{suffix}") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert time.perf_counter() - begun < 10
