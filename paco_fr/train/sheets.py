"""What a run shows of itself: reconstruction sheets on the way and at its end, and its codebook, as plain arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paco_fr.config import PretrainConfig
from paco_fr.faces.pixels import unprepare
from paco_fr.model.objective import Batch, Objective, Output, completed
from paco_fr.model.patches import patchify, put, take, unpatchify
from paco_fr.train.batches import Views
from paco_fr.utils.files import atomic_file, writing

SHEETS_AT = (0.01, 0.1, 0.4)
"""Shares of a run after which a sheet is kept, beside the one at its end: most is learned early."""


def save_pictures(out: Path, objective: Objective, views: Views) -> None:
    """Write ``reconstruction.npz`` and, where there is one, ``codebook.npz``.

    The codebook holds, for every place, its tokens uint8 (N, K, P, P, 3) and their usage (N, K).
    """
    save_sheet(out / "reconstruction.npz", objective, views)
    found = codebook_pictures(objective, views.config)
    if found is not None:
        tokens, usage = found
        with atomic_file(out / "codebook.npz") as path, path.open("wb") as file:
            np.savez_compressed(file, tokens=tokens, usage=usage)


def codebook_pictures(objective: Objective, config: PretrainConfig) -> tuple[np.ndarray, np.ndarray] | None:
    """Return for every place its tokens uint8 (N, K, P, P, 3) and their usage (N, K); None without a codebook."""
    codebook = getattr(objective, "codebook", None)
    if codebook is None:
        return None
    patch = config.encoder.patch
    books = codebook.books(torch.arange(config.encoder.cells))
    S, K, _ = codebook.tokens.shape
    flat = codebook.tokens.detach().reshape(S * K, 1, patch * patch * 3)
    tokens = unprepare(unpatchify(flat, patch), config.encoder.pixels).reshape(S, K, patch, patch, 3)
    return tokens[books], codebook.usage[books].numpy()


@torch.no_grad()
def save_sheet(target: Path, objective: Objective, views: Views, count: int = 8) -> None:
    """Write a sheet of uint8 RGB pictures (count, S, S, 3): original, corrupted and reconstructed.

    Reconstructed are hidden patches from the decoder, the others as they were. The pictures are those at the
    end of the run, past incubation, whenever the sheet is made, so that sheets of one run can be compared.
    """
    config = views.config
    patch, contract = config.encoder.patch, config.encoder.pixels
    device = next(objective.parameters()).device
    end = max(len(views.pool.images), config.optimiser.presentations)
    batch = views.at(range(end, end + count)).to(device)
    training = objective.training
    output, patches = objective.eval()(batch), patchify(batch.images, patch)
    objective.train(training)
    sheet = {
        "original": unprepare(batch.images.cpu(), contract),
        "corrupted": unprepare(unpatchify(completed(patches, batch, output), patch).cpu(), contract),
        "reconstructed": unprepare(unpatchify(repaired(config, batch, output), patch).cpu(), contract),
    }
    with (
        writing(target, "Free some space and --resume."),
        atomic_file(target) as path,
        path.open("wb") as file,
    ):
        np.savez_compressed(file, **sheet)  # type: ignore[arg-type]


def repaired(config: PretrainConfig, batch: Batch, output: Output) -> Tensor:
    """Return the patches (B, N, 3P²) of prepared pictures, hidden ones from the decoder, the others as they were."""
    patches = patchify(batch.images, config.encoder.patch)
    predicted = output.predicted.float()
    if config.loss.target == "normalised":  # shown with the true contrast of each patch, as MAE does
        truth = take(patches, batch.hidden)
        deviation = torch.sqrt(truth.var(-1, keepdim=True, correction=0) + 1e-4)
        predicted = predicted * deviation + truth.mean(-1, keepdim=True)
    return put(patches, batch.hidden, predicted)
