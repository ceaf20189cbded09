"""Features of a user's own pictures as a table."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from paco_eval.features.extract import extract
from paco_eval.features.forward import precision_of
from paco_fr.contracts import CROPS, CropContract, Encoder
from paco_fr.data.sources import load_source
from paco_fr.faces import records
from paco_fr.faces.crop import crop_of
from paco_fr.faces.listing import as_text
from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.files import atomic_file, write_text
from tasks.units import units_of


@dataclass(frozen=True)
class Embedding:
    """Features of n pictures in one layer.

    Attributes:
        features: (n, D) float32, NaN for pictures that could not be read.
        ids: names of the pictures.
        failures: name -> why it could not be read.
        about: encoder, hashes, block, reduction and crop.

    """

    features: npt.NDArray[np.float32]
    ids: list[str]
    failures: dict[str, str]
    about: dict[str, str]


def embed(
    encoder: Encoder,
    pictures: list[str],
    *,
    block: str = "",
    reduction: str = "",
    crop: str = "",
    progress: bool = False,
) -> Embedding:
    """Return the features of pictures.

    Args:
        encoder: any encoder.
        pictures: image files, or a single SOURCE of :mod:`paco_fr.data.sources` (a folder, a parquet file).
        block: one of the encoder's blocks, by default its own choice.
        reduction: one of the encoder's reductions, by default ``global`` where it has one, else its first.
        crop: name of a crop, by default the one that the encoder requires, else ``whole``. All but ``whole``
            need boxes or landmarks, as `data align` writes them.
        progress: whether to show a bar.

    Raises:
        PacoError: unknown block, reduction or crop, records without what the crop needs, or not one readable
            picture.

    """
    block = block or encoder.default_block
    if block not in encoder.blocks:
        raise unknown_name(f"block of {encoder.name}", block, encoder.blocks)
    reduction = reduction or ("global" if "global" in encoder.reductions else encoder.reductions[0])
    if reduction not in encoder.reductions:
        raise unknown_name(f"reduction of {encoder.name}", reduction, encoder.reductions)
    contract = _crop(encoder, crop)
    found = _records(pictures)
    narrow = copy.copy(encoder)
    narrow.blocks, narrow.reductions = (block,), (reduction,)
    units = units_of(found, contract)
    features = extract(narrow, units, narrow.reductions, progress=progress)
    ids = units.labels["unit_id"].astype(str).tolist()
    about = {
        "encoder": encoder.name, "weight_hash": encoder.weight_hash, "pixel_hash": encoder.pixels.hash,
        "crop": repr(contract), "block": block, "reduction": reduction, "precision": precision_of(encoder),
    }  # fmt: skip
    failures = {ids[unit]: reason for unit, reason in sorted(features.failures.items())}
    return Embedding(features.layers[block, reduction], ids, failures, about)


def _crop(encoder: Encoder, name: str) -> CropContract:
    """Return the named crop on a canvas large enough for the encoder's pictures."""
    crop = crop_of(name) if name else encoder.required_crop or CROPS["whole"]
    return replace(crop, canvas=max(crop.canvas, encoder.pixels.size))


def _records(pictures: list[str]) -> Dataset:
    if len(pictures) == 1 and not Path(pictures[0]).is_file():
        return load_source(pictures[0])
    if len(pictures) == 1 and pictures[0].endswith(".parquet"):
        return load_source(pictures[0])
    absent = [name for name in pictures if not Path(name).is_file()]
    if absent:
        raise PacoError(
            f"{as_text(absent[0])} is no file ({len(absent)} of {len(pictures)}). Name files, or one folder."
        )
    names = [as_text(name) for name in pictures]
    columns = {"image": names, "image_id": names, "group": names}
    return records.check(Dataset.from_dict(columns, features=records.features(columns)), "IMAGES")


def write_embedding(found: Embedding, path: Path) -> list[Path]:
    """Write features as ``.parquet`` (image_id, features, failure) or ``.npy`` with the ids beside; return the files.

    In parquet an unreadable picture has null features and the reason; in npy its row is NaN. What the features
    are of stands in the parquet file's metadata under ``paco_eval``.

    Raises:
        PacoError: another suffix.

    """
    if path.suffix == ".parquet":
        rows = [
            None if name in found.failures else row
            for name, row in zip(found.ids, found.features, strict=True)
        ]
        table = pa.table(
            {
                "image_id": found.ids,
                "features": pa.array(rows, type=pa.list_(pa.float32())),
                "failure": [found.failures.get(name, "") for name in found.ids],
            }
        ).replace_schema_metadata({f"paco_eval.{key}": value for key, value in found.about.items()})
        with atomic_file(path) as temporary:
            pq.write_table(table, temporary)
        return [path]
    if path.suffix == ".npy":
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, found.features, allow_pickle=False)
        names = path.with_suffix(".ids.txt")
        write_text(names, "\n".join(found.ids) + "\n")
        return [path, names]
    raise PacoError(f"{path}: features are written as .parquet or .npy.")
