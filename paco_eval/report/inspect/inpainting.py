"""What a belief puts where a face is covered: the covered patches are hidden, and the belief completes the face."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch import Tensor

from paco_eval.evaluation.codebook import covered_places
from paco_eval.features.batches import resize
from paco_eval.features.perturbed import faces_of
from paco_fr.config import PretrainConfig
from paco_fr.data.cut import Cutting, training_crop
from paco_fr.faces.decode import read_image
from paco_fr.faces.pixels import prepare, unprepare
from paco_fr.model.diagnostics import masked_batch
from paco_fr.model.objective import completed
from paco_fr.model.paco import PaCo
from paco_fr.model.patches import patchify, put, unpatchify
from paco_fr.train.sheets import repaired
from paco_fr.utils.errors import PacoError
from tasks.perturbations.apply import perturb
from tasks.units import units_of

Pictures = npt.NDArray[np.uint8]


class Filled(NamedTuple):
    """Rows of pictures (n, S, S, 3) uint8 by name, and how often the belief chose the token of the true patch, in %."""

    rows: dict[str, Pictures]
    right: float


@torch.no_grad()
def fill(
    model: PaCo, config: PretrainConfig, records: Dataset, *, occluder: str = "surgical_mask", level: int = 3
) -> Filled:
    """Return faces clean, with an occluder, with the places that it touches hidden, and as the belief fills them.

    Args:
        model: in evaluation mode.
        config: of its run; faces are cut as its aligned crops.
        records: faces with landmarks.
        occluder: a perturbation that leaves every other pixel as it was.
        level: of the occluder.

    Raises:
        PacoError: no face can be cut and covered.

    """
    clean, covered = _pictures(config, records, occluder, level)
    patch, contract = config.encoder.patch, config.encoder.pixels
    hidden = covered_places(clean, covered, config.encoder.cells, share=0.0)
    rows: dict[str, list[Pictures]] = {"hidden": [], "believed tokens": [], "decoded": []}
    right: list[bool] = []
    for number, places in enumerate(hidden):  # one by one: occluders touch unlike numbers of places
        if not places.any() or places.all():
            raise PacoError(f"{occluder} at level {level} touches no place of face {number}, or all of them.")
        cells, others = (torch.from_numpy(np.flatnonzero(which))[None] for which in (places, ~places))
        batch = replace(
            masked_batch(covered[number : number + 1], config), hidden=cells, visible=others,
            shown=None,  # what lies there is the occluder, not the face
        )  # fmt: skip
        output, truth = model(batch), model(replace(batch, images=clean[number : number + 1]))
        patches = patchify(batch.images, patch)
        right += (output.believed == truth.assigned.gather(1, cells)).flatten().tolist()
        grey = put(patches, cells, torch.zeros(*cells.shape, patches.shape[-1]))
        for name, made in (
            ("hidden", grey),
            ("believed tokens", completed(patches, batch, output)),
            ("decoded", repaired(config, batch, output)),
        ):
            rows[name].append(unprepare(unpatchify(made, patch), contract))
    named = {"clean": unprepare(clean, contract), occluder.replace("_", " "): unprepare(covered, contract)}
    return Filled(
        named | {name: np.concatenate(parts) for name, parts in rows.items()}, 100.0 * float(np.mean(right))
    )


def _pictures(config: PretrainConfig, records: Dataset, occluder: str, level: int) -> tuple[Tensor, Tensor]:
    """Return prepared pictures (n, 3, S, S), clean and covered; faces that cannot be had are left out."""
    units = units_of(records, training_crop("aligned", Cutting.of(config)))
    clean, covered, why = [], [], "there are no faces"
    for unit, face in enumerate(faces_of(units)):
        try:
            image = read_image(units.records[int(units.rows[unit])]["image"])
            canvas = units.cut(image, unit)
            changed = perturb(occluder, level, canvas, key=str(units.labels["unit_id"].iloc[unit]), face=face)
        except PacoError as error:
            why = str(error)
            continue
        clean.append(resize(canvas, config.encoder.pixels))
        covered.append(resize(changed.image, config.encoder.pixels))
    if not clean:
        raise PacoError(f"No face can be covered with {occluder}: {why}")
    return prepare(np.stack(clean), config.encoder.pixels), prepare(np.stack(covered), config.encoder.pixels)
