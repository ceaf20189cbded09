"""Structured masking: which patches are hidden (paper: tied to face regions; the rule is our choice).

Regions are drawn in random order and hidden whole while they fit into a share of the budget; the rest of
the budget is drawn at random over the remaining cells. ``random`` and ``block`` are the ends of the same
switch. Every strategy hides exactly the same number of patches. (Nearest public recipe: FSFM, CVPR 2025,
arXiv 2412.12032, section 3.1, region masking.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.config import MaskingConfig

Cells = npt.NDArray[np.int64]


def draw_hidden(config: MaskingConfig, hidden: int, regions: Cells, rng: np.random.Generator) -> Cells:
    """Return the sorted indices of exactly ``hidden`` patches.

    Args:
        config: strategy and share of whole regions.
        hidden: number of patches to hide, from ``PretrainConfig.hidden_cells``.
        regions: region of each of the N cells, shape (N,), see :mod:`paco_fr.model.regions`.
        rng: generator of this (seed, epoch, sample).

    """
    if config.strategy == "region":
        start = _whole_regions(regions, budget=config.region_share * hidden, rng=rng)
    elif config.strategy == "block":
        start = _blocks(round(len(regions) ** 0.5), hidden, rng)
    else:
        start = np.zeros(len(regions), dtype=bool)
    return _exactly(hidden, start, rng)


def _whole_regions(regions: Cells, budget: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    sizes = np.bincount(regions)
    whole = np.zeros(len(sizes), dtype=bool)
    covered = 0
    for region in rng.permutation(np.flatnonzero(sizes)):
        if covered + sizes[region] <= budget:
            whole[region] = True
            covered += sizes[region]
    hidden: npt.NDArray[np.bool_] = whole[regions]
    return hidden


def _blocks(grid: int, hidden: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    covered = np.zeros((grid, grid), dtype=bool)
    while covered.sum() < hidden:
        height, width = rng.integers(1, max(2, grid // 2 + 1), size=2)
        top, left = rng.integers(0, grid - height + 1), rng.integers(0, grid - width + 1)
        covered[top : top + height, left : left + width] = True
    return covered.ravel()


def _exactly(hidden: int, covered: npt.NDArray[np.bool_], rng: np.random.Generator) -> Cells:
    """Trim or fill at random, keeping as much of ``covered`` as the count allows."""
    keep_first = rng.random(len(covered)) + np.where(covered, 0.0, 1.0)
    return np.sort(np.argsort(keep_first, kind="stable")[:hidden])
