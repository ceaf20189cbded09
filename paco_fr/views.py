"""What the model is shown of each face: order, flips, masks and incubation, drawn from (seed, epoch, sample)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paco_fr.config import PretrainConfig
from paco_fr.contracts import PixelContract
from paco_fr.crops import CropPool
from paco_fr.masking import draw_hidden
from paco_fr.objectives import Batch
from paco_fr.randomness import generator
from paco_fr.regions import region_map


@dataclass(frozen=True)
class Views:
    """Batches of a pool of crops, by position in the run.

    Positions count pictures over the whole run: epoch ``p // n`` shows every one of the n crops once, in an
    order of its own. A batch is a range of positions, so restarts and any number of processes agree.
    """

    pool: CropPool
    config: PretrainConfig

    def at(self, positions: range) -> Batch:
        """Return the pictures shown at these positions."""
        size = len(self.pool.images)
        config = self.config
        maps = {kind: region_map(kind, config.encoder.grid) for kind in set(self.pool.anchors)}
        images, hidden, shown, regions = [], [], [], []
        for position in positions:
            epoch, place = divmod(position, size)
            sample = int(epoch_order(config.seed, epoch, size)[place])
            rng = generator("view", config.seed, epoch, sample)
            image = self.pool.images[sample]
            if config.data.flip and rng.random() < 0.5:
                image = image[:, ::-1]
            region = maps[self.pool.anchors[sample]]
            cells = draw_hidden(config.masking, config.hidden_cells, region, rng)
            images.append(image)
            hidden.append(cells)
            regions.append(region)
            shown.append(rng.random(len(cells)) < shown_share(config, position / size))
        mask = np.stack(hidden)
        return Batch(
            images=prepare(np.stack(images), config.encoder.pixels),
            hidden=torch.from_numpy(mask),
            visible=torch.from_numpy(_others(mask, config.encoder.cells)),
            shown=torch.from_numpy(np.stack(shown)),
            regions=torch.from_numpy(np.stack(regions)),
        )


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, size: int) -> npt.NDArray[np.int64]:
    """Return the order (size,) in which one epoch shows the samples."""
    return generator("order", seed, epoch).permutation(size)


def shown_share(config: PretrainConfig, epoch: float) -> float:
    """Return the share of hidden patches whose pixels incubation lets through, fading from 1 to 0."""
    length = config.belief.incubation_epochs
    return max(0.0, 1.0 - epoch / length) if length > 0 else 0.0


def prepare(images: npt.NDArray[np.uint8], contract: PixelContract) -> Tensor:
    """Return float pictures (B, 3, S, S) under a pixel contract, of uint8 RGB (B, S, S, 3)."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    if contract.channels == "BGR":
        pixels = pixels.flip(1)
    low, high = contract.value_range
    pixels = pixels / 255 * (high - low) + low
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (contract.mean, contract.std))
    return (pixels - mean) / std


def unprepare(pixels: Tensor, contract: PixelContract) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB pictures (B, S, S, 3) of prepared ones; the inverse of :func:`prepare`, clipped."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (contract.mean, contract.std))
    low, high = contract.value_range
    shades = ((pixels * std + mean - low) / (high - low) * 255).round().clamp(0, 255)
    if contract.channels == "BGR":
        shades = shades.flip(1)
    return shades.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _others(cells: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """Return the sorted cells (B, total - M) that are not among ``cells`` (B, M)."""
    free = np.ones((len(cells), total), dtype=bool)
    np.put_along_axis(free, cells, False, axis=1)
    return np.nonzero(free)[1].reshape(len(cells), -1)
