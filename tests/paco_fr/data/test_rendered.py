from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load_file

from paco_fr.data.crops import crop_pool
from paco_fr.data.open import open_faces
from paco_fr.data.pack import pack
from paco_fr.data.shards import open_shard, read_manifest
from paco_fr.data.sources import load_source
from paco_fr.faces.decode import read_image
from paco_fr.train.pretrain import pretrain
from paco_fr.utils.errors import PacoError
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
    assert list(drawn.anchors) == list(cut.anchors) and len(drawn.images) == 6
    for one, other in zip(drawn.images, cut.images, strict=True):
        # The middle: beyond its photograph a cut crop is black, a drawn one goes on.
        shapes = [
            image[16:48, 16:48].astype(float).reshape(16, 2, 16, 2, 3).mean((1, 3)) for image in (one, other)
        ]
        assert np.corrcoef(shapes[0].ravel(), shapes[1].ravel())[0, 1] > 0.97
    assert read_image(faces[0]["image"]).shape == (128, 128, 3)


def test_cutting_is_told_once_even_where_nobody_sees_a_bar(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    config = small_config(data={"source": SOURCE, "crops": {"aligned": 1.0}})
    crop_pool(config, workers=1, progress=True)
    assert capsys.readouterr().err.startswith(f"Cutting 6 crops into {tmp_path}")
    crop_pool(config, workers=1, progress=True)
    assert capsys.readouterr().err == ""


def test_any_number_of_processes_draws_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("paco_fr.data.crops.SMALLEST", 4)
    config = small_config(data={"source": SOURCE, "crops": {"aligned": 1.0}})
    pools = []
    for workers in (1, 2):
        monkeypatch.setenv("PACO_CACHE", str(tmp_path / str(workers)))
        pools.append(crop_pool(config, workers=workers))
    assert [len(pool.manifest.shards) for pool in pools] == [2, 2] and pools[0].blocks == (6,)
    assert np.array_equal(*(np.stack(list(pool.images)) for pool in pools))


def test_packed_synthetic_faces_are_those_that_a_run_on_the_source_sees(tmp_path, monkeypatch):
    """Five of the six faces, in shards of two: equal crops, equal kinds, and weights equal to the bit."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    source = "synthetic:n=5,images_per_identity=2,seed=5"
    crops = {"aligned": 0.5, "box": 0.5}
    on = {
        where: small_config(
            objective="mae",
            data={"source": where, "crops": crops},
            optimiser={"batch": 8, "presentations": 32},
        )
        for where in (source, str(tmp_path / "packed"))
    }
    monkeypatch.setattr(
        "paco_fr.data.sources.load_source", lambda _: pytest.fail("photographs were rendered")
    )
    manifest = pack(source, tmp_path / "packed", on[source], shard_size=2)
    assert manifest.settings.records == manifest.count == 5
    pool, packed = (open_faces(config) for config in on.values())
    assert packed.blocks == (2, 2, 1) and list(packed.anchors) == list(pool.anchors)
    assert set(packed.kinds) == {"arcface", "box"}
    assert all((packed.images[index] == pool.images[index]).all() for index in range(5))
    truth = load_source(source)
    rows = open_shard(tmp_path / "packed" / "shard-00001.arrow")
    assert rows["image_id"].to_pylist() == truth["image_id"][2:4]
    assert rows["group"].to_pylist() == truth["group"][2:4]
    a, b = (
        load_file(pretrain(config, tmp_path / name) / "model.safetensors")
        for name, config in zip("ab", on.values(), strict=True)
    )
    assert all((a[name] == b[name]).all() for name in a)


def test_a_pack_of_synthetic_faces_goes_on_where_it_stopped_and_mixes_no_renderers(tmp_path, monkeypatch):
    import paco_fr.data.pack as packing

    config, folder = small_config(data={"source": SOURCE, "crops": {"aligned": 1.0}}), tmp_path / "packed"
    whole = pack(SOURCE, tmp_path / "whole", config, shard_size=2)
    real, made = packing.make_shard, []

    def stop_at_second(context, job):
        made.append(job[0])
        if len(made) == 2:
            raise KeyboardInterrupt
        return real(context, job)

    monkeypatch.setattr(packing, "make_shard", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        pack(SOURCE, folder, config, shard_size=2)
    with monkeypatch.context() as patch:
        patch.setattr(packing, "RENDERER_VERSION", packing.RENDERER_VERSION + 1)
        with pytest.raises(
            PacoError, match=r"packed with renderer \d+, not \d+\. One folder holds one setting"
        ):
            pack(SOURCE, folder, config, shard_size=2)
    assert pack(SOURCE, folder, config, shard_size=2).fingerprint == whole.fingerprint
    assert made == [0, 1, 1, 2] and read_manifest(folder).settings.renderer > 0
    (folder / "settings.json").write_text("{}")
    with pytest.raises(PacoError, match=r"settings\.json.* does not say how"):
        pack(SOURCE, folder, config, shard_size=2)
