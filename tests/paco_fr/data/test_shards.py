"""Packed faces: nothing twice, nothing lost, nothing mixed, nothing damaged in silence."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image
from safetensors.torch import load_file

from paco_fr.data.crops import crop_pool
from paco_fr.data.open import open_faces
from paco_fr.data.pack import pack
from paco_fr.data.shards import _stamp, open_packed, read_manifest, verify
from paco_fr.faces.decode import encode_png
from paco_fr.train.batches import Views, share
from paco_fr.train.pretrain import pretrain
from paco_fr.train.resume import state_files
from paco_fr.utils.errors import PacoError
from tests.paco_fr.conftest import config_on, smooth_faces
from tests.paco_fr.train.test_resume import files_no_larger_than


@pytest.fixture
def packed(faces, tmp_path) -> Path:
    pack(faces, tmp_path / "packed", config_on(faces), shard_size=7)
    return tmp_path / "packed"


def test_packed_crops_are_those_of_the_pool_and_a_run_on_them_ends_in_the_same_bits(faces, packed, tmp_path):
    pool, opened = crop_pool(config_on(faces)), open_faces(config_on(str(packed)))
    assert opened.blocks == (7, 7, 7, 3) and list(opened.anchors) == list(pool.anchors)
    assert all((opened.images[index] == pool.images[index]).all() for index in range(24))
    one, two = (
        pretrain(config_on(source), tmp_path / name) for name, source in (("a", faces), ("b", str(packed)))
    )
    a, b = (load_file(out / "model.safetensors") for out in (one, two))
    assert all((a[name] == b[name]).all() for name in a)
    assert (
        json.loads((two / "card.json").read_text())["data_fingerprint"] == read_manifest(packed).fingerprint
    )


def test_datasets_reads_the_shards_too(faces, packed, tmp_path):
    rows = Dataset.from_file(str(packed / "shard-00001.arrow"))
    assert len(rows) == 7 and rows[0]["image_id"] == "007.png" and rows[0]["anchor"] == "whole"
    assert len(rows[0]["pixels"]) == 32 * 32 * 3
    pack(faces, tmp_path / "jpeg", config_on(faces), encoding="jpeg", shard_size=7)
    row = Dataset.from_file(str(tmp_path / "jpeg" / "shard-00000.arrow"))[0]
    assert row["image"]["bytes"][:2] == b"\xff\xd8"


def test_jpeg_is_close_and_smaller(faces, packed, tmp_path):
    jpeg = tmp_path / "jpeg"
    pack(faces, jpeg, config_on(faces), encoding="jpeg", quality=95)
    a, b = (open_faces(config_on(str(folder))).images for folder in (packed, jpeg))
    assert max(np.abs(a[i].astype(int) - b[i].astype(int)).mean() for i in range(24)) < 3
    assert read_manifest(jpeg).shards[0].bytes < 24 * 32 * 32 * 3


def test_any_number_of_workers_packs_the_same_bytes(faces, packed, tmp_path):
    pack(faces, tmp_path / "two", config_on(faces), shard_size=7, workers=2)
    assert [s.sha256 for s in read_manifest(packed).shards] == [
        s.sha256 for s in read_manifest(tmp_path / "two").shards
    ]


def test_an_interrupted_pack_goes_on_and_keeps_what_was_done(faces, packed, tmp_path, monkeypatch):
    import paco_fr.data.pack as packing

    out, real, made = tmp_path / "cut", packing.make_shard, []

    def stop_at_third(context, job):
        made.append(job[0])
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(context, job)

    monkeypatch.setattr(packing, "make_shard", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        pack(faces, out, config_on(faces), shard_size=7)
    with pytest.raises(PacoError, match=r"No such|not a manifest"):
        read_manifest(out)
    pack(faces, out, config_on(faces), shard_size=7)
    assert made == [0, 1, 2, 2, 3]
    assert read_manifest(out).fingerprint == read_manifest(packed).fingerprint
    made.clear()
    (out / "shard-00002.arrow").unlink()
    with pytest.raises(PacoError, match=r"shard-00002\.arrow is missing\. Run the same `data pack` again"):
        read_manifest(out)
    pack(faces, out, config_on(faces), shard_size=7)
    assert made == [2] and read_manifest(out).fingerprint == read_manifest(packed).fingerprint


@pytest.mark.parametrize(("world", "batch"), [(1, 5), (2, 6), (3, 9)])
def test_an_epoch_over_ranks_loses_and_repeats_nothing(packed, world, batch):
    """24 crops in shards of 7, 7, 7 and 3, buffers of 10, batches that straddle shards and epochs."""
    config = config_on(str(packed), data={"shuffle_buffer": 10, "flip": False}, optimiser={"batch": batch})
    views = Views(open_faces(config), config)
    shown = []
    for step in range(2 * 24 * batch):
        for rank in range(world):
            shown += list(share(step, config, world, rank))
        if len(shown) >= 48:
            break
    assert shown[:48] == list(range(48))
    pictures = [
        views.raw(range(position, position + 1))[0].images.numpy().tobytes() for position in range(48)
    ]
    for epoch in (pictures[:24], pictures[24:]):
        assert len(Counter(epoch)) == 24
    assert pictures[:24] != pictures[24:]


def test_training_on_shards_continues_at_the_exact_next_sample(packed, tmp_path):
    config = config_on(str(packed), data={"shuffle_buffer": 10}, run={"save_seconds": 0.0})
    whole = pretrain(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paco_fr.train.pretrain.LOG_EVERY_STEPS", 1)
        patch.setattr(
            "paco_fr.train.pretrain._count_broken", lambda broken, step, *_: 1 / 0 if step == 3 else None
        )
        with pytest.raises(ZeroDivisionError):
            pretrain(config, tmp_path / "cut")
    assert state_files(tmp_path / "cut")[-1].stem == "state-000000002"
    busy = config.model_copy(update={"run": config.run.model_copy(update={"workers": 2})})
    a, b = (
        load_file(out / "model.safetensors") for out in (whole, pretrain(busy, tmp_path / "cut", resume=True))
    )
    assert all((a[name] == b[name]).all() for name in a)


def test_a_flipped_byte_is_found_and_mended(faces, packed):
    path = packed / "shard-00002.arrow"
    config = config_on(str(packed))
    open_packed(packed, config, check_sums=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PacoError, match=r"shard-00002\.arrow is damaged: its sha256 is .* the manifest says"):
        open_packed(packed, config, check_sums=True)
    path.unlink()
    pack(faces, packed, config_on(faces), shard_size=7)
    verify(packed, read_manifest(packed))


def edited(folder: Path, change) -> None:
    values = json.loads((folder / "manifest.json").read_text())
    change(values)
    (folder / "manifest.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda v: v.update(count=25), "'count' says 25, its shards add up to 24"),
        (lambda v: v.update(fingerprint="0" * 16), "'fingerprint' says 0000"),
        (lambda v: v.update(format=9), "format 9"),
        (lambda v: v["shards"][1].update(contract="ab"), "shards of two settings lie in one folder"),
        (lambda v: v["shards"][1].update(bytes=5), "bytes, not 5"),
        (lambda v: v.pop("settings"), "not a manifest"),
    ],
)
def test_a_manifest_that_disagrees_is_refused(packed, change, named):
    edited(packed, change)
    with pytest.raises(PacoError, match=named):
        read_manifest(packed)


def test_settings_are_never_mixed(faces, packed):
    for other, named in (
        (config_on(faces, data={"crops": {"box": 1.0}}), "crops .* One folder holds one setting"),
        (config_on(faces, encoder={"size": 16}), "size 32, not 16"),
    ):
        with pytest.raises(PacoError, match=named):
            pack(faces, packed, other, shard_size=7)
    with pytest.raises(PacoError, match="encoding raw, not jpeg"):
        pack(faces, packed, config_on(faces), shard_size=7, encoding="jpeg")
    with pytest.raises(PacoError, match=r"packed with encoder\.size 32, this run asks for 16"):
        open_faces(config_on(str(packed), encoder={"size": 16}))
    with pytest.raises(
        PacoError, match=r"packed with data\.jitter 0\.05, this run asks for 0\.1.*--set 'data\.jitter=0\.1'"
    ):
        open_faces(config_on(str(packed), data={"jitter": 0.1}))


def test_broken_pictures_are_listed_and_too_many_stop_the_pack(faces, tmp_path):
    for index in (3, 9):
        (Path(faces) / f"{index:03d}.png").write_bytes(b"")
    out = tmp_path / "packed"
    manifest = pack(faces, out, config_on(faces), shard_size=7)
    assert manifest.count == 22 and (out / "skipped.txt").read_text().count("empty") == 2
    assert open_faces(config_on(str(out))).skipped[0].startswith("003.png")
    with pytest.raises(PacoError, match=r"2 of 24 faces cannot be used, more than data\.max_broken 5%"):
        pack(faces, tmp_path / "strict", config_on(faces, data={"max_broken": 0.05}), shard_size=7)
    for path in Path(faces).glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(PacoError, match="not one of 24 faces"):
        pack(faces, tmp_path / "none", config_on(faces))


def test_landmarks_outside_the_picture_or_the_crop_are_skipped_with_a_reason(tmp_path):
    picture = {"bytes": encode_png(smooth_faces(1, 100)[0]), "path": None}
    good = [[35.0, 40.0], [65.0, 40.0], [50.0, 55.0], [38.0, 75.0], [62.0, 75.0]]
    scaled = (np.array(good) * 4).tolist()
    twisted = [good[0], good[1], [50.0, 3.0], good[2], [99.0, 99.0]]
    from paco_fr.faces.records import features

    columns = {
        "image": [picture] * 12, "image_id": [f"{n}" for n in range(12)], "group": ["a"] * 12,
        "landmarks": [scaled, twisted] + [good] * 10, "scheme": ["five"] * 12,
    }  # fmt: skip
    Dataset.from_dict(columns, features=features(columns)).save_to_disk(str(tmp_path / "set"))
    config = config_on(
        str(tmp_path / "set"), data={"crops": {"aligned": 1.0}, "max_broken": 0.5, "template": "arcface"}
    )
    manifest = pack(str(tmp_path / "set"), tmp_path / "packed", config)
    reasons = manifest.shards[0].skipped
    assert "outside the picture of 100 x 100" in reasons[0]
    assert manifest.count >= 10


def test_no_space_and_no_permission(faces, tmp_path, monkeypatch):
    with (
        files_no_larger_than(30_000),
        pytest.raises(PacoError, match="Finished shards are kept: free some space"),
    ):
        pack(faces, tmp_path / "full", config_on(faces))
    pack(faces, tmp_path / "full", config_on(faces))
    (tmp_path / "file").write_text("")
    with pytest.raises(PacoError, match="Cannot write to"):
        pack(faces, tmp_path / "file" / "packed", config_on(faces))


def test_a_hub_set_streams_into_the_same_shards(faces, tmp_path, monkeypatch):
    """The loader reads OWNER/NAME from the working folder where there is one: the library's own offline way."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    rows = [{"bytes": path.read_bytes(), "path": None} for path in sorted(Path(faces).glob("*.png"))]
    Dataset.from_dict({"image": rows}).to_parquet(str(tmp_path / "owner" / "name" / "train.parquet"))
    config = config_on("hf:owner/name")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    opened, pool = open_faces(config), crop_pool(config_on(faces))
    assert len(opened.images) == 24 and all((opened.images[i] == pool.images[i]).all() for i in range(24))
    out = pretrain(config, tmp_path / "run")
    assert json.loads((out / "card.json").read_text())["pictures"] == 24


def test_memory_stays_flat_over_many_epochs(packed):
    from paco_fr.train.log import host_memory

    config = config_on(str(packed), data={"shuffle_buffer": 10})
    views = Views(open_faces(config), config)
    held = []
    for start in range(0, 24 * 120, 24):
        views.raw(range(start, start + 24))
        held.append(host_memory())
    assert held[-1] - held[len(held) // 2] < 2_000_000


def test_the_cache_heals_itself(faces, tmp_path):
    pool = crop_pool(config_on(faces))
    folder = pool.folder
    assert folder.parent == tmp_path / "cache" / "packed" and folder.name == pool.fingerprint
    assert pool.blocks == (24,) and pool.skipped == []
    path = folder / "shard-00000.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = crop_pool(config_on(faces))
    assert path.read_bytes() != bytes(data)
    assert np.array_equal(np.stack(list(again.images)), np.stack([pool.images[i] for i in range(24)]))


def test_pictures_mended_after_a_refused_pack_are_read_again(faces, tmp_path):
    broken = Path(faces) / "005.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-20] + bytes(20))
    strict = config_on(faces, data={"max_broken": 0.0})
    with pytest.raises(PacoError, match="1 of 24 faces cannot be used"):
        crop_pool(strict)
    broken.write_bytes(whole)  # the same name and size, so the same entry of the cache
    assert crop_pool(strict).manifest.count == 24


@pytest.mark.parametrize("remedy", ["mended", "removed"])
def test_a_pack_that_was_refused_goes_on_once_its_source_is_mended(remedy, tmp_path):
    """Mended pictures were refused as before; without the broken ones the folder was one of another count."""
    source = tmp_path / "faces"
    source.mkdir()
    for index, picture in enumerate(smooth_faces(20, 40)):
        Image.fromarray(picture).save(source / f"{index:02d}.png")
    broken = sorted(source.iterdir())[:5]
    kept = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"no picture")
    config = config_on(str(source))
    with pytest.raises(PacoError, match="Mend or remove them"):
        pack(str(source), tmp_path / "packed", config)
    for path, content in zip(broken, kept, strict=True):
        path.write_bytes(content) if remedy == "mended" else path.unlink()
    manifest = pack(str(source), tmp_path / "packed", config)
    assert manifest.count == (20 if remedy == "mended" else 15)
    assert manifest.fingerprint == pack(str(source), tmp_path / "anew", config).fingerprint


def test_a_finished_pack_of_pictures_that_changed_is_made_anew_where_they_did(faces, packed, capfd):
    """Pictures replaced under their names left a finished pack as it was, without a word."""
    before = {shard.file: shard.sha256 for shard in read_manifest(packed).shards}
    Image.fromarray(smooth_faces(3, 40)[2]).save(Path(faces) / "010.png")
    manifest = pack(faces, packed, config_on(faces), shard_size=7)
    changed = [shard.file for shard in manifest.shards if shard.sha256 != before[shard.file]]
    assert changed == ["shard-00001.arrow"]
    assert "1 of 4 shards" in (said := capfd.readouterr().err) and "packed anew" in said
    for path in sorted(Path(faces).iterdir())[-5:]:
        path.unlink()
    manifest = pack(faces, packed, config_on(faces), shard_size=7)
    assert manifest.count == 19 and manifest.settings.records == 19
    assert not (packed / "shard-00003.arrow").exists()
    assert (
        manifest.fingerprint
        == pack(faces, packed.with_name("anew"), config_on(faces), shard_size=7).fingerprint
    )


def test_the_same_pictures_by_any_path_are_packed_once_and_others_are_refused(
    faces, packed, tmp_path, monkeypatch
):
    """The source counted as it was written: by an absolute path a folder was packed "otherwise"."""
    before = [(packed / shard.file).stat().st_mtime_ns for shard in read_manifest(packed).shards]
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(faces, copy)
    monkeypatch.chdir(copy.parent)
    for source in ("copied", "./copied", str(copy)):
        manifest = pack(source, packed, config_on(faces), shard_size=7)
        assert [(packed / shard.file).stat().st_mtime_ns for shard in manifest.shards] == before
    for index, picture in enumerate(smooth_faces(24, 40)[::-1]):
        Image.fromarray(255 - picture).save(copy / f"{index:03d}.png")
    (other := tmp_path / "other").mkdir()
    for path in copy.iterdir():
        shutil.copy(path, other / f"new-{path.name}")
    with pytest.raises(PacoError, match="One folder holds one setting"):
        pack(str(other), packed, config_on(faces), shard_size=7)


def test_a_damaged_shard_is_made_again_by_the_same_call(faces, packed):
    """It had to be deleted by hand first."""
    before = read_manifest(packed).fingerprint
    path = packed / "shard-00002.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert pack(faces, packed, config_on(faces), shard_size=7).fingerprint == before
    verify(packed, read_manifest(packed))


def test_the_record_of_verified_shards_is_itself_checked(packed):
    """A record that says of a damaged shard that it was verified was believed."""
    verify(packed, read_manifest(packed))
    path, record = packed / "shard-00001.arrow", packed / ".verified.json"
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(PacoError, match="is damaged"):
        verify(packed, read_manifest(packed))
    noted = json.loads(record.read_text())
    shard = read_manifest(packed).shards[1]
    noted["stamps"][shard.file] = _stamp(path, shard)
    record.write_text(json.dumps(noted))
    with pytest.raises(PacoError, match="is damaged"):
        verify(packed, read_manifest(packed))
