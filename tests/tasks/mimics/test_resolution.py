"""Pictures reach an encoder with the detail that its input can hold, whatever canvas the task names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from datasets import Dataset

from paco_eval.encoders.baselines import Constant
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.record import identity_of, resolution_of
from paco_eval.features.extract import extract
from paco_fr.contracts import PixelContract
from paco_fr.faces.crop import crop_image, crop_transform
from paco_fr.faces.decode import encode_png, read_image
from paco_fr.faces.records import features
from tasks.kinds import landmarks
from tasks.readers.landmarks.wflw import read_wflw
from tasks.registry import all_tasks

LARGER = 8


def fine_faces(data_root: Path, **options: str) -> Dataset:
    """Return WFLW's miniature on photographs eight times as large, all of fine grain."""
    rows = read_wflw(data_root, **options).remove_columns("image").to_list()
    kept = [row for split in ("train", "test") for row in [r for r in rows if r["split"] == split][:6]]
    rng = np.random.default_rng(0)
    for row in kept:
        picture = rng.integers(0, 256, (128 * LARGER, 128 * LARGER, 3), dtype=np.uint8)
        row["image"] = {"bytes": encode_png(picture), "path": None}
        row["box"] = [LARGER * value for value in row["box"]]
        row["landmarks"] = [[LARGER * x, LARGER * y] for x, y in row["landmarks"]]
    columns = {name: [row[name] for row in kept] for name in kept[0]}
    return Dataset.from_dict(columns, features=features(columns))


@dataclass
class Seeing(Constant):
    """Keeps what it is shown."""

    name: str = "seeing"
    weight_hash: str = "seeing"
    pixels: PixelContract = field(default_factory=lambda: PixelContract(448, (0, 0, 0), (1, 1, 1)))
    shown: list = field(default_factory=list)

    def tokens(self, images, blocks):
        self.shown += list(images.permute(0, 2, 3, 1).numpy())
        return super().tokens(images, blocks)


def energy(picture: np.ndarray) -> float:
    """What changes from a pixel to the next but one and is gone in between: the finest detail."""
    inner = picture[8:-8, 8:-8].astype(float)
    return float(np.square(inner[:, 2:] - 2 * inner[:, 1:-1] + inner[:, :-2]).mean())


def test_a_large_input_is_cut_from_the_photograph(miniatures: Path, tmp_path: Path, monkeypatch) -> None:
    """A canvas of 224 was blown up to 448, so that 32 % of the fine energy of a direct crop was left."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    task = replace(all_tasks()["landmarks/wflw"], reader=f"{__name__}:fine_faces")
    data, encoder = Data.load(task, miniatures), Seeing()
    own = data.seen_by(encoder)
    units = own.views["all"][0]
    extract(encoder, units, task.reductions)
    assert len(encoder.shown) == len(units) == 12
    kept, blown = [], []
    for unit, shown in enumerate(encoder.shown):
        box = units.labels["box"].iloc[unit]
        picture = read_image(units.records[int(units.rows[unit])]["image"])
        direct = crop_image(picture, crop_transform(replace(task.crop, canvas=448), box=box), 448)
        kept.append(energy(255 * shown) / energy(direct))
        small = crop_image(picture, crop_transform(task.crop, box=box), 224)
        enlarged = crop_image(small, np.array([[2, 0, 0.5], [0, 2, 0.5]]), 448)
        blown.append(energy(enlarged) / energy(direct))
    assert min(kept) > 0.99 and max(kept) < 1.01
    assert max(blown) < 0.4  # what the test must tell apart

    # The row says so, in words and in its identity; labels lie where they lay.
    words = resolution_of(encoder, units)
    assert words.endswith("canvas 448 px, input 448 px") and words.startswith("source side ")
    side = float(words.split()[2])
    wide = np.ptp(np.array(units.labels["box"].tolist()).reshape(-1, 2, 2), axis=1).max(axis=1)
    assert abs(side - 1.25 * np.median(wide)) < 1
    small, large = identity_of(encoder, data, "all"), identity_of(encoder, own, "all")
    assert small["crop_hash"] == task.crop.hash != large["crop_hash"]
    np.testing.assert_allclose(
        landmarks.targets(units.labels, task), landmarks.targets(data.views["all"][0].labels, task), atol=1e-9
    )


def test_a_small_input_costs_what_it_cost(miniatures: Path) -> None:
    """Encoders of 64 pixels must neither cut larger canvases nor look at their pictures again."""
    data = Data.load(all_tasks()["landmarks/wflw"], miniatures)
    small = Seeing(pixels=PixelContract(64))
    assert data.seen_by(small) is data
    assert data.at(448).at(224).task.crop == data.task.crop
