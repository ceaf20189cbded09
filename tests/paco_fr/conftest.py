"""Small batches and configurations for tests of the method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from paco_fr.config import PretrainConfig, parse_config
from paco_fr.data.open import FacesInMemory
from paco_fr.model.objective import Batch
from paco_fr.train.batches import Views
from paco_fr.utils.random import generator

SMALL: dict[str, Any] = {
    "encoder": {"size": 32, "patch": 8, "dim": 24, "depth": 2, "heads": 2},
    "decoder": {"dim": 24, "depth": 1, "heads": 2},
    "masking": {"strategy": "region"},
    "belief": {"incubation_epochs": 1.0},
    "codebook": {"tokens": 8, "candidates": 4, "content": "raw"},
    "loss": {"target": "pixels", "belief": 0.5, "spatial": 1.0},
    "data": {"crops": {"aligned": 1.0}},
    "optimiser": {"batch": 16, "presentations": 128, "learning_rate": 1e-3},
}
"""A model in which every part is at work, those too that the default leaves out."""


def small_config(**changes: Any) -> PretrainConfig:
    values = {key: dict(value) for key, value in SMALL.items()}
    for key, value in changes.items():
        if isinstance(value, dict):
            values[key] = {**values.get(key, {}), **value}
        else:
            values[key] = value
    return parse_config(values, "test")


def smooth_faces(count: int, size: int) -> np.ndarray:
    """Return pictures with structure that differs from one to the next: coloured blobs, uint8."""
    grid = np.arange(size) / size
    pictures = []
    for index in range(count):
        rng = generator("test faces", index)
        x, y, width = rng.uniform(0.2, 0.8, 3)
        blob = np.exp(-((grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2) / (0.05 + 0.1 * width))
        colour, ground = rng.uniform(0, 1, (2, 3))
        pictures.append(ground + blob[..., None] * (colour - ground))
    return (np.stack(pictures) * 255).astype(np.uint8)


def pool_of(config: PretrainConfig, count: int = 40) -> FacesInMemory:
    return FacesInMemory(smooth_faces(count, config.encoder.size), ("arcface",) * count, "test", ())


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a folder of small pictures, and keep the cache of this test to itself."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "faces"
    folder.mkdir()
    for index, picture in enumerate(smooth_faces(24, 40)):
        Image.fromarray(picture).save(folder / f"{index:03d}.png")
    return str(folder)


def config_on(source: str, **changes: Any) -> PretrainConfig:
    data = {"source": source, "crops": {"whole": 1.0}}
    return small_config(**{**changes, "data": {**data, **changes.get("data", {})}})


@pytest.fixture
def config() -> PretrainConfig:
    return small_config()


def batch_of(config: PretrainConfig, start: int = 10_000, count: int = 8) -> Batch:
    """Return a batch past incubation, unless ``start`` says otherwise."""
    return Views(pool_of(config), config).at(range(start, start + count))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
