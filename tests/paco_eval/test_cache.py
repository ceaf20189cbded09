from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from paco_eval.cache import Address, find, store


@pytest.fixture
def address(tmp_path, monkeypatch) -> Address:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    return Address("weights", 1, "pixels", 112, "4", "mean")


def keys_of(*numbers: int) -> np.ndarray:
    return np.array([[number] * 16 for number in numbers], dtype=np.uint8)


def test_what_was_stored_is_found_by_key_in_any_order(address):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    store(address, keys_of(1, 2), values[:2])
    store(address, keys_of(3, 4), values[2:])
    found, known = find(address, keys_of(4, 9, 1, 4))
    assert known.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(found[[0, 2, 3]], values[[3, 0, 3]])
    assert np.isnan(found[1]).all()


def test_every_field_of_the_address_keeps_features_apart(address):
    store(address, keys_of(1), np.ones((1, 2), dtype=np.float32))
    changes = {"weight_hash": "other", "adapter_version": 2, "pixel_hash": "other", "canvas": 96, "block": "3",
               "reduction": "grid4", "perturbation": "blur", "flip": True, "dtype": "bfloat16"}  # fmt: skip
    assert set(changes) == set(vars(address))
    for field, value in changes.items():
        assert find(replace(address, **{field: value}), keys_of(1))[0] is None


def test_storing_twice_leaves_one_part_and_nothing_half_made(address):
    for _ in range(2):
        store(address, keys_of(1, 2), np.ones((2, 2), dtype=np.float32))
    assert len(list(address.folder.iterdir())) == 1


WRITER = """
import numpy as np, sys
from paco_eval.cache import Address, store
address = Address("weights", 1, "pixels", 112, "4", "mean")
rng = np.random.default_rng(int(sys.argv[1]))
while True:
    keys = rng.integers(0, 256, (50, 16), dtype=np.uint8)
    store(address, keys, np.repeat(keys[:, :1].astype(np.float32), 2000, 1))
"""


def test_killed_writers_spoil_nothing(address, tmp_path):
    """Two writers are killed at work; every part that stands is whole."""
    environment = {**os.environ, "PACO_CACHE": str(tmp_path), "PYTHONPATH": "."}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(seed)], env=environment) for seed in range(2)
    ]
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(address.folder.glob("*.safetensors"))) < 20:
        time.sleep(0.05)
    for writer in writers:
        writer.kill()
        writer.wait()
    from safetensors import safe_open

    parts = list(address.folder.glob("[0-9a-f]*.safetensors"))
    assert len(parts) >= 20
    for part in parts:
        with safe_open(part, framework="np") as file:
            keys, features = file.get_tensor("keys"), file.get_tensor("features")
        np.testing.assert_array_equal(features[:, 0], keys[:, 0])
