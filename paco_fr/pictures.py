"""What a trained objective can show: a reconstruction sheet and its codebook, as plain arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paco_fr.files import atomic_file
from paco_fr.objectives import Objective
from paco_fr.patches import patchify, put, take, unpatchify
from paco_fr.views import Views, unprepare


@torch.no_grad()
def save_pictures(out: Path, objective: Objective, views: Views, count: int = 8) -> None:
    """Write ``reconstruction.npz`` and, where there is a codebook, ``codebook.npz``.

    The sheet holds uint8 RGB pictures (count, S, S, 3): original, corrupted, and reconstructed (hidden
    patches from the decoder, the others as they were). The pictures are those at the end of the run, past
    incubation. The codebook holds tokens uint8 (N, K, P, P, 3) and their usage (N, K).
    """
    config = views.config
    patch, contract = config.encoder.patch, config.encoder.pixels
    end = max(len(views.pool.images), config.optimiser.presentations)
    batch = views.at(range(end, end + count))
    output = objective(batch)
    patches = patchify(batch.images, patch)
    predicted = output.predicted
    if config.loss.target == "normalised":  # shown with the true contrast of each patch, as MAE does
        deviation = torch.sqrt(patches.var(-1, keepdim=True) + 1e-4)
        predicted = predicted * deviation + patches.mean(-1, keepdim=True)
    repaired = put(patches, batch.hidden, take(predicted, batch.hidden))
    sheet = {
        "original": unprepare(batch.images, contract),
        "corrupted": unprepare(unpatchify(output.corrupted, patch), contract),
        "reconstructed": unprepare(unpatchify(repaired, patch), contract),
    }
    with atomic_file(out / "reconstruction.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, **sheet)  # type: ignore[arg-type]
    codebook = getattr(objective, "codebook", None)
    if codebook is not None:
        N, K, _ = codebook.tokens.shape
        flat = codebook.tokens.detach().reshape(N * K, 1, patch * patch * 3)
        tokens = unprepare(unpatchify(flat, patch), contract).reshape(N, K, patch, patch, 3)
        with atomic_file(out / "codebook.npz") as path, path.open("wb") as file:
            np.savez_compressed(file, tokens=tokens, usage=codebook.usage.numpy())
