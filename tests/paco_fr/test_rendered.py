from __future__ import annotations

import numpy as np

from paco_fr.crops import crop_pool
from paco_fr.images import read_image
from paco_fr.sources import load_source
from tests.paco_fr.conftest import small_config

SOURCE = "synthetic:identities=3,images_per_identity=2,seed=5"


def test_drawn_crops_show_what_cutting_the_photographs_shows(tmp_path, monkeypatch):
    """Same faces, same kinds of crop, same jitter: they agree up to sharpness and sensor noise."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    config = small_config(
        data={"source": SOURCE, "crops": {"aligned": 0.5, "box": 0.5}}, encoder={"size": 64}
    )
    drawn = crop_pool(config, workers=1)
    faces = load_source(SOURCE)
    faces.save_to_disk(str(tmp_path / "photos"))
    cut = crop_pool(
        small_config(
            **{
                **config.model_dump(),
                "data": {**config.data.model_dump(), "source": str(tmp_path / "photos")},
            }
        )
    )
    assert drawn.anchors == cut.anchors and len(drawn.images) == 6
    for one, other in zip(drawn.images, cut.images, strict=True):
        # The middle: beyond its photograph a cut crop is black, a drawn one goes on.
        shapes = [
            image[16:48, 16:48].astype(float).reshape(16, 2, 16, 2, 3).mean((1, 3)) for image in (one, other)
        ]
        assert np.corrcoef(shapes[0].ravel(), shapes[1].ravel())[0, 1] > 0.97
    assert read_image(faces[0]["image"]).shape == (128, 128, 3)


def test_any_number_of_processes_draws_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("paco_fr.rendered.CHUNK", 4)
    config = small_config(data={"source": SOURCE, "crops": {"aligned": 1.0}})
    pools = []
    for workers in (1, 2):
        monkeypatch.setenv("PACO_CACHE", str(tmp_path / str(workers)))
        pools.append(crop_pool(config, workers=workers))
    assert (pools[0].images == pools[1].images).all()
