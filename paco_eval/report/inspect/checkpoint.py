"""What a checkpoint looks like at work on synthetic faces: masks, belief and codebook, for the eye."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from paco_eval.report.inspect.inpainting import Filled, fill
from paco_eval.report.plots.method import attention_sheet, nearest_tokens_sheet
from paco_eval.report.plots.pictures import Pictures, picture_rows
from paco_eval.report.plots.style import save
from paco_fr.checkpoint import load_objective
from paco_fr.config import PretrainConfig
from paco_fr.data.crops import crop_pool
from paco_fr.data.sources import load_source
from paco_fr.faces.pixels import prepare, unprepare
from paco_fr.model.diagnostics import belief_attention, masked_batch, nearest_tokens
from paco_fr.model.masking import draw_hidden
from paco_fr.model.objective import completed
from paco_fr.model.paco import PaCo
from paco_fr.model.patches import patchify, put, take, unpatchify
from paco_fr.model.regions import REGIONS, region_map
from paco_fr.train.sheets import codebook_pictures, repaired
from paco_fr.utils.random import generator

FACES = "synthetic:identities=8,images_per_identity=1,seed=2"
"""Faces that are shown: of none of the seeds that pretraining or a benchmark uses."""
PARTS = ("left eye", "right eye", "nose", "mouth", "left cheek", "forehead")
"""Face parts of which one patch each is looked at."""
TOKENS = 8
OCCLUDER = "surgical_mask"
"""What a mouth is hidden by."""


@dataclass(frozen=True)
class Views:
    """What a checkpoint makes of synthetic faces; all pictures uint8, n faces of side S, N places.

    Attributes:
        name: objective, recipe and seed.
        config: of the run.
        rows: named rows of pictures (n, S, S, 3): the faces, what is hidden of them, what is put there.
        looked: (n, N) where the belief looks for one hidden place; None without a belief.
        cells: (n,) that place.
        corrupted: (n, S, S, 3) with believed tokens in hidden places; None without a belief.
        filled: faces with an occluder as the belief fills them; None without a belief.
        codebook: tokens (N, K, P, P, 3) and their usage (N, K); None without one.

    """

    name: str
    config: PretrainConfig
    rows: dict[str, Pictures]
    looked: npt.NDArray[np.float32] | None = None
    cells: npt.NDArray[np.int64] | None = None
    corrupted: Pictures | None = None
    filled: Filled | None = None
    codebook: tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]] | None = None


@torch.no_grad()
def views_of(folder: Path, faces: int = 8) -> tuple[Views, Any, torch.Tensor]:
    """Return what there is to see of a run of this package, with its objective and the prepared faces.

    Raises:
        PacoError: it is no checkpoint, or damaged.

    """
    objective, trained = load_objective(folder)
    data = trained.data.model_copy(update={"source": FACES, "crops": {"aligned": 1.0}, "jitter": 0.0})
    config = trained.model_copy(update={"data": data})
    pool = crop_pool(config).images
    shown = np.stack([np.asarray(pool[place]) for place in range(min(faces, len(pool)))])
    images, patch, contract = (
        prepare(shown, config.encoder.pixels),
        config.encoder.patch,
        config.encoder.pixels,
    )
    batch = masked_batch(images, config)
    patches = patchify(images, patch)
    grey = put(patches, batch.hidden, patches.new_zeros(*batch.hidden.shape, patches.shape[-1]))
    rows = {"face": shown, "hidden": unprepare(unpatchify(grey, patch), contract)}
    name = f"{trained.objective}/{trained.name}, seed {trained.seed}"
    if trained.objective == "untrained":
        return Views(name, config, rows), objective, images
    output = objective(batch)
    corrupted = unprepare(unpatchify(completed(patches, batch, output), patch), contract)
    decoded = unprepare(unpatchify(repaired(config, batch, output), patch), contract)
    if trained.objective != "paco":
        return Views(name, config, rows | {"decoded": decoded}), objective, images
    cells = torch.tensor([_hidden_part(config, row.numpy(), at) for at, row in enumerate(batch.hidden)])
    looked = belief_attention(objective, batch)[torch.arange(len(cells)), cells].numpy()
    source = load_source(FACES)
    filled = fill(objective, config, source.select(range(min(faces, len(source)))), occluder=OCCLUDER)
    rows |= {"believed tokens": corrupted, "decoded": decoded}
    views = Views(
        name, config, rows, looked, cells.numpy(), corrupted, filled, codebook_pictures(objective, config)
    )  # fmt: skip
    return views, objective, images


def describe_checkpoint(folder: Path, out: Path) -> list[Path]:
    """Write what there is to see of a run of this package as PNG and SVG; return the files.

    Masks by strategy for any objective; where the belief looks and the nearest tokens for PaCo-FR.
    """
    views, model, images = views_of(folder)
    config, name = views.config, views.name
    files = [*save(picture_rows(_masks(config, images), title=f"{name} · masks by strategy"), out / "masks")]
    if views.looked is None or views.corrupted is None or views.cells is None or views.filled is None:
        return files
    figure = attention_sheet(
        views.rows["face"],
        views.corrupted,
        views.looked,
        views.cells,
        title=f"{name} · where the belief looks",
    )
    files += save(figure, out / "attention")
    title = f"{name} · covered patches as the belief fills them: {views.filled.right:.0f} % the true patch's token"
    files += save(picture_rows(views.filled.rows, title=title), out / "filled")
    files += save(_nearest(model, config, images[:1], name), out / "tokens")
    return files


def _masks(config: PretrainConfig, images: torch.Tensor) -> dict[str, np.ndarray]:
    """Return each picture under a mask of every strategy, hidden patches grey."""
    patches = patchify(images, config.encoder.patch)
    regions = region_map(config.data.template, config.encoder.grid)
    settings: dict[str, dict[str, Any]] = {
        "random": {"strategy": "random"},
        "block": {"strategy": "block"},
        "region": {"strategy": "region"},
        "whole regions": {"strategy": "region", "region_share": 1.0},
    }
    rows = {"original": unprepare(images, config.encoder.pixels)}
    for name, change in settings.items():
        masking = config.masking.model_copy(update=change)
        hidden = torch.from_numpy(
            np.stack([
                draw_hidden(masking, config.hidden_cells, regions, generator("shown masks", at))
                for at in range(len(images))
            ])
        )  # fmt: skip
        grey = put(patches, hidden, patches.new_zeros(*hidden.shape, patches.shape[-1]))
        rows[name] = unprepare(unpatchify(grey, config.encoder.patch), config.encoder.pixels)
    return rows


def _hidden_part(config: PretrainConfig, hidden: np.ndarray, number: int) -> int:
    """Return a hidden place, of the face part whose turn it is where one of that part is hidden."""
    regions = region_map(config.data.template, config.encoder.grid)
    turn = [*PARTS[number % len(PARTS) :], *PARTS[: number % len(PARTS)]]
    for part in turn:
        own = hidden[regions[hidden] == REGIONS.index(part)]
        if len(own):
            return int(own[len(own) // 2])
    return int(hidden[0])


def _nearest(model: PaCo, config: PretrainConfig, images: torch.Tensor, name: str) -> Figure:
    """Draw one patch of each face part with the tokens of its codebook that are nearest to it."""
    regions = region_map(config.data.template, config.encoder.grid)
    own = [np.flatnonzero(regions == REGIONS.index(part)) for part in PARTS]
    cells = torch.tensor([[int(found[len(found) // 2]) for found in own if len(found)]])
    batch = masked_batch(images, config)
    patch, contract = config.encoder.patch, config.encoder.pixels
    tokens, distances = nearest_tokens(model, batch, cells, min(TOKENS, config.codebook.tokens))
    true = take(patchify(images, patch), cells)

    def pictures(patches: torch.Tensor) -> np.ndarray:
        flat = patches.reshape(-1, 1, patches.shape[-1])
        return unprepare(unpatchify(flat, patch), contract).reshape(*patches.shape[:-1], patch, patch, 3)

    return nearest_tokens_sheet(
        unprepare(images, contract)[0], pictures(true)[0], pictures(tokens)[0], distances[0].numpy(),
        cells[0].numpy(), title=f"{name} · nearest tokens of a face's patches",
    )  # fmt: skip
