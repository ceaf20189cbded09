"""Batches in the order of the steps, prepared ahead of time by processes of their own where asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from paco_fr.config import PretrainConfig
from paco_fr.model.objective import Batch
from paco_fr.train.batches import Views
from paco_fr.train.signals import SIGNALS

Raw = tuple[Batch, list[str]]
"""A batch as :meth:`paco_fr.train.batches.Views.raw` gives it."""

AHEAD = 4
"""Batches that each worker holds ready: the bound of what waits in memory."""


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
