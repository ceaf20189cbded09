"""What the model is shown of each face: order, flips, light, masks and incubation, drawn from (seed, epoch, sample).

Batches come in the order of the steps, prepared ahead of time by processes of their own where asked for.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from paco_fr.config import PretrainConfig
from paco_fr.data.light import relight
from paco_fr.data.open import Faces
from paco_fr.faces.pixels import prepare
from paco_fr.model.masking import draw_hidden
from paco_fr.model.objective import Batch
from paco_fr.model.regions import region_map
from paco_fr.train.signals import SIGNALS
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator

Raw = tuple[Batch, list[str]]
"""A batch as :meth:`Views.raw` gives it, and what could not be read."""

AHEAD = 4
"""Batches that each worker holds ready: the bound of what waits in memory."""

TRIES = 64
"""Pictures in a row that may be unreadable before a run gives up, whatever their share."""


@dataclass(frozen=True)
class Views:
    """Batches of a pool of crops, by position in the run.

    Positions count pictures over the whole run: epoch ``p // n`` shows every one of the n crops once, in an
    order of its own. A batch is a range of positions, so restarts and any number of processes agree.
    """

    pool: Faces
    config: PretrainConfig

    def at(self, positions: range) -> Batch:
        """Return the pictures shown at these positions, prepared for the encoder."""
        return prepared(self.raw(positions)[0], self.config)

    def raw(self, positions: range) -> Raw:
        """Return the pictures at these positions as uint8 (B, S, S, 3), and what could not be read.

        A crop that cannot be read is replaced by the next readable one in the order of its epoch.
        """
        size = len(self.pool.images)
        config = self.config
        maps = {kind: _region_map(kind, config.encoder.grid) for kind in self.pool.kinds}
        side = config.encoder.size
        images = np.empty((len(positions), side, side, 3), dtype=np.uint8)
        hidden, shown, regions = [], [], []
        broken: list[str] = []
        for row, position in zip(images, positions, strict=True):
            epoch, place = divmod(position, size)
            order = epoch_order(config.seed, epoch, self.pool.blocks, config.data.shuffle_buffer)
            sample, image = self._readable(order, place, broken)
            rng = generator("view", config.seed, epoch, sample)
            if config.data.flip and rng.random() < 0.5:
                cv2.flip(image, 1, dst=row)
            else:
                row[:] = image
            if config.data.light > 0:
                row[:] = relight(row, config.data.light, generator("light", config.seed, epoch, sample))
            region = maps[self.pool.anchors[sample]]
            cells = draw_hidden(config.masking, config.hidden_cells, region, rng)
            hidden.append(cells)
            regions.append(region)
            shown.append(rng.random(len(cells)) < shown_share(config, position / size))
        mask = np.stack(hidden)
        batch = Batch(
            images=torch.from_numpy(images),
            hidden=torch.from_numpy(mask),
            visible=torch.from_numpy(_others(mask, config.encoder.cells)),
            regions=torch.from_numpy(np.stack(regions)),
            shown=torch.from_numpy(np.stack(shown)) if np.any(shown) else None,
        )
        return batch, broken

    def _readable(
        self, order: npt.NDArray[np.int64], place: int, broken: list[str]
    ) -> tuple[int, npt.NDArray[np.uint8]]:
        for tried in range(min(len(order), TRIES)):
            sample = int(order[(place + tried) % len(order)])
            try:
                return sample, self.pool.images[sample]
            except PacoError as error:
                broken.append(str(error))
        raise PacoError(
            f"{self.config.data.source}: {TRIES} pictures in a row cannot be read. Last: {broken[-1]}"
        )


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, blocks: tuple[int, ...], buffer: int) -> npt.NDArray[np.int64]:
    """Return the order (n,) in which one epoch shows the samples, every one of them once.

    Args:
        seed: of the run.
        epoch: number of the epoch.
        blocks: numbers of consecutive samples that are stored together, n in all.
        buffer: samples among which is shuffled at once. Where all n fit, the order is one permutation of
            them; else blocks come in random order, as many at a time as fit (at least one), and the samples
            of those blocks are permuted: reading stays within a few shards, memory within the buffer.

    """
    rng = generator("order", seed, epoch)
    size = sum(blocks)
    if size <= buffer or len(blocks) == 1:
        return rng.permutation(size)
    starts = np.cumsum([0, *blocks[:-1]])
    order: list[npt.NDArray[np.int64]] = []
    window: list[npt.NDArray[np.int64]] = []
    held = 0
    for block in rng.permutation(len(blocks)):
        if window and held + blocks[block] > buffer:
            order.append(rng.permutation(np.concatenate(window)))
            window, held = [], 0
        window.append(np.arange(starts[block], starts[block] + blocks[block]))
        held += blocks[block]
    return np.concatenate([*order, rng.permutation(np.concatenate(window))])


@lru_cache
def _region_map(kind: str, grid: int) -> npt.NDArray[np.int64]:
    return region_map(kind, grid)


def shown_share(config: PretrainConfig, epoch: float) -> float:
    """Return the share of hidden patches whose pixels incubation lets through at a moment of the run.

    It fades from 1 to 0; the leak ablation never takes the pixels away.
    """
    length = config.belief.incubation_epochs
    if config.belief.sees == "pixels":
        return 1.0
    return max(0.0, 1.0 - epoch / length) if length > 0 else 0.0


def prepared(batch: Batch, config: PretrainConfig) -> Batch:
    """Return a raw batch with its pictures prepared, on the device where it is."""
    return replace(batch, images=prepare(batch.images, config.encoder.pixels))


def _others(cells: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """Return the sorted cells (B, total - M) that are not among ``cells`` (B, M)."""
    free = np.ones((len(cells), total), dtype=bool)
    np.put_along_axis(free, cells, False, axis=1)
    return np.nonzero(free)[1].reshape(len(cells), -1)


def share(step: int, config: PretrainConfig, processes: int, rank: int) -> range:
    """Return one process's contiguous part of the positions of a step."""
    part = config.optimiser.batch // processes
    return range(
        step * config.optimiser.batch + rank * part, step * config.optimiser.batch + (rank + 1) * part
    )


def feed(views: Views, steps: range, positions: Callable[[int], range], pin: bool) -> Iterator[Raw]:
    """Give the raw batch of each step, equal for any number of ``run.workers``.

    Args:
        views: the pictures.
        steps: steps to come.
        positions: the positions that this process shows at a step.
        pin: whether batches should lie in page-locked memory, for a GPU.

    """
    batches = _Steps(views, steps, positions)
    workers = views.config.run.workers
    loader = DataLoader(
        batches,
        batch_size=None,
        shuffle=False,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        worker_init_fn=_begin if workers else None,
        multiprocessing_context="fork" if workers else None,  # no other way leaves the caller's script alone
        pin_memory=pin,
    )
    yield from loader


@dataclass(frozen=True)
class _Steps(Dataset[Raw]):
    views: Views
    steps: range
    positions: Callable[[int], range]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Raw:
        return self.views.raw(self.positions(self.steps[index]))


def _begin(worker: int) -> None:
    """Leave the cores to the other workers, and signals to the trainer, which ends its workers itself."""
    torch.set_num_threads(1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
