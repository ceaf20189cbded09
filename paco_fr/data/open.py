"""Faces for pretraining behind one interface, wherever they live."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from paco_fr.config import PretrainConfig
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import cache_folder


class Images(Protocol):
    """Crops by number, e.g. an array (n, S, S, 3) uint8 RGB. A crop that cannot be read raises PacoError."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, index: int, /) -> npt.NDArray[np.uint8]:
        """Return one crop (S, S, 3)."""
        ...


class Faces(Protocol):
    """What a run is shown: an array in memory (:mod:`paco_fr.data.crops`) or packed shards (:mod:`paco_fr.data.shards`).

    Attributes:
        images: the crops.
        anchors: for each crop the name of its region map, see :data:`paco_fr.model.regions.ANCHORS`.
        kinds: the names that occur in ``anchors``.
        blocks: how many consecutive crops are stored together, for the order in which they are shown.
        fingerprint: hash of the source and the way it was cut.
        skipped: what could not be read or cut, one line each.
        points: five points of each crop (n, 5, 2), x y in pixels, or None where none were kept.

    """

    @property
    def images(self) -> Images: ...  # noqa: D102
    @property
    def anchors(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def kinds(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def blocks(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def skipped(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def points(self) -> npt.NDArray[np.floating] | None: ...  # noqa: D102


def open_faces(config: PretrainConfig, *, progress: bool = False) -> Faces:
    """Return the faces that ``data.source`` names, cut as the configuration says.

    A packed folder is read where it lies. A data set of the hub is packed into the cache as it streams in,
    and then read like any other. Every other source is cut once into one array in the cache.
    """
    packed = packed_faces(config, check_sums=config.run.verify, progress=progress)
    if packed is None and config.data.source.startswith("hf:"):
        packed = _hub_faces(config, progress)
    if packed is not None:
        if config.masking.regions == "landmarks":
            raise PacoError(
                f"masking.regions=landmarks: packed faces such as {config.data.source} hold no landmarks. "
                "Give the source they were packed from, or set masking.regions=template."
            )
        return packed
    from paco_fr.data.crops import crop_pool

    return crop_pool(config, progress=progress)


def packed_faces(config: PretrainConfig, *, check_sums: bool = False, progress: bool = False) -> Faces | None:
    """Return the faces of a packed folder, or None where ``data.source`` is something else."""
    from paco_fr.data.shards import is_packed, open_packed

    if not is_packed(config.data.source):
        return None
    folder = Path(config.data.source).expanduser()
    return open_packed(folder, config, check_sums=check_sums, progress=progress)


def _hub_faces(config: PretrainConfig, progress: bool) -> Faces:
    from paco_fr.data.pack import pack
    from paco_fr.data.shards import MANIFEST, open_packed

    settings = config.data.model_dump(include={"source", "crops", "template", "jitter"})
    folder = cache_folder("packed") / content_hash({"size": config.encoder.size, **settings})
    if not (folder / MANIFEST).exists():
        pack(config.data.source, folder, config, workers=os.cpu_count() or 1, progress=progress)
    return open_packed(folder, config, check_sums=config.run.verify, progress=progress)
