"""Faces for pretraining behind one interface, wherever they live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from paco_fr.config import PretrainConfig


class Images(Protocol):
    """Crops by number, e.g. an array (n, S, S, 3) uint8 RGB. A crop that cannot be read raises PacoError."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, index: int, /) -> npt.NDArray[np.uint8]:
        """Return one crop (S, S, 3)."""
        ...


class Faces(Protocol):
    """What a run is shown: packed shards (:mod:`paco_fr.data.shards`), or arrays in memory.

    Attributes:
        images: the crops.
        anchors: for each crop the name of its region map, see :data:`paco_fr.model.regions.ANCHORS`.
        kinds: the names that occur in ``anchors``.
        blocks: how many consecutive crops are stored together, for the order in which they are shown.
        fingerprint: hash of the source and the way it was cut.
        skipped: what could not be read or cut, one line each.

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


@dataclass(frozen=True)
class FacesInMemory:
    """Crops that are at hand, as :class:`Faces`."""

    images: Images
    anchors: tuple[str, ...]
    fingerprint: str
    skipped: tuple[str, ...] = ()

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The anchors that occur."""
        return tuple(sorted(set(self.anchors)))

    @property
    def blocks(self) -> tuple[int, ...]:
        """One: they are read anywhere at equal cost."""
        return (len(self.images),)


def open_faces(config: PretrainConfig, *, progress: bool = False) -> Faces:
    """Return the faces that ``data.source`` names, cut as the configuration says.

    A packed folder is read where it lies; every other source is packed into the cache once.
    """
    packed = packed_faces(config, check_sums=config.run.verify, progress=progress)
    if packed is not None:
        return packed
    from paco_fr.data.crops import crop_pool  # what cuts and draws is heavy

    return crop_pool(config, progress=progress)


def packed_faces(config: PretrainConfig, *, check_sums: bool = False, progress: bool = False) -> Faces | None:
    """Return the faces of a packed folder, or None where ``data.source`` is something else."""
    from paco_fr.data.shards import is_packed, open_packed

    if not is_packed(config.data.source):
        return None
    folder = Path(config.data.source).expanduser()
    return open_packed(folder, config, check_sums=check_sums, progress=progress)
