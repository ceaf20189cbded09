from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from paco_fr.checkpoint import load_encoder, read_card
from paco_fr.config import load_recipe, recipes
from paco_fr.contracts import PixelContract
from paco_fr.data.crops import crop_pool, sample_source
from paco_fr.data.pack import pack
from paco_fr.faces.pixels import prepare, unprepare
from paco_fr.train.batches import Views, epoch_order, shown_share
from paco_fr.train.dry_run import flops_per_picture, plan
from paco_fr.train.pretrain import pretrain
from paco_fr.train.schedule import learning_rate
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import owned_folder
from tests.paco_fr.conftest import config_on, pool_of, smooth_faces


@pytest.mark.parametrize("objective", ["paco", "mae", "simmim"])
def test_a_run_leaves_a_checkpoint_that_loads(faces, tmp_path, objective):
    config = config_on(faces, objective=objective)
    out = pretrain(config, tmp_path / "run")
    encoder, card, stored = load_encoder(out)
    assert stored == config.encoder and card["objective"] == objective
    assert read_card(out) == (card, config)
    assert encoder.forward_features(torch.zeros(1, 3, 32, 32)).shape == (1, 16, 24)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 8 and np.isfinite(lines[-1]["reconstruction"])
    sheet = np.load(out / "reconstruction.npz")
    assert (
        sheet["original"].shape == sheet["corrupted"].shape == sheet["reconstructed"].shape == (8, 32, 32, 3)
    )
    assert (out / "codebook.npz").exists() == (objective == "paco")
    assert not list(out.glob("state-*"))


def test_equal_configurations_give_equal_weights_and_seeds_differ(faces, tmp_path):
    first, second = (pretrain(config_on(faces), tmp_path / name) for name in "ab")
    other = pretrain(config_on(faces, seed=1), tmp_path / "c")
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert read_card(first)[0]["encoder_hash"] != read_card(other)[0]["encoder_hash"]


def test_a_finished_run_is_kept_and_another_configuration_is_named(faces, tmp_path):
    out = pretrain(config_on(faces), tmp_path / "run")
    before = (out / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(PacoError, match="--resume"):
        pretrain(config_on(faces), out)
    assert pretrain(config_on(faces), out, resume=True) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(PacoError, match=r"masking\.ratio"):
        pretrain(config_on(faces, masking={"ratio": 0.5}), out, resume=True)


def test_two_runs_into_one_folder_and_a_folder_that_cannot_be_written(faces, tmp_path):
    with owned_folder(tmp_path / "run"), pytest.raises(PacoError, match="Another run"):
        pretrain(config_on(faces), tmp_path / "run")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PacoError, match="Cannot write"):
        pretrain(config_on(faces), tmp_path / "file" / "run")


def test_broken_pictures_are_counted_and_a_folder_of_nothing_else_is_an_error(faces, tmp_path):
    folder = Path(faces)
    (folder / "000.png").write_bytes(b"")
    (folder / "001.png").write_bytes((folder / "002.png").read_bytes()[:60])
    out = pretrain(config_on(faces), tmp_path / "run")
    card = read_card(out)[0]
    assert card["pictures"] == 22 and len(card["skipped"]) == 2
    for path in folder.glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(PacoError, match="not one of 24 faces"):
        pretrain(config_on(faces), tmp_path / "none")


def test_a_loss_that_is_not_finite_stops_with_its_name(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("paco_fr.model.losses.spatial_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(PacoError, match="spatial"):
        pretrain(config_on(faces), tmp_path / "run")


def test_a_checkpoint_of_another_recipe_is_named(faces, tmp_path):
    out = pretrain(config_on(faces), tmp_path / "run")
    card = json.loads((out / "card.json").read_text())
    for dim, said in ((12, r"has shape .* the recipe in its card needs"), (48, "of its card has at least")):
        card["config"]["encoder"]["dim"] = dim
        (out / "card.json").write_text(json.dumps(card))
        with pytest.raises(PacoError, match=said):
            load_encoder(out)
    (out / "card.json").write_text("{}")
    with pytest.raises(PacoError, match="not a checkpoint card"):
        load_encoder(out)
    with pytest.raises(PacoError, match=r"card\.json is missing"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"encoder.size": 60}, "not divisible"),
        ({"masking.ratio": 0.999}, "hides 64 of 64"),
        ({"codebook.candidates": 100}, "exceed"),
        ({"masking.rate": 0.5}, r"masking\.rate"),
        ({"objective": "simclr"}, "objective"),
        ({"data.crops": {"aligned": 0.5}}, "sum to 1"),
        ({"belief.place": "outside"}, "belief.place"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, named):
    with pytest.raises(PacoError, match=named):
        load_recipe("tiny", changes)


REDUCED = {
    "encoder.size": 32, "encoder.dim": 24, "encoder.heads": 2, "encoder.depth": 2, "encoder.patch": 8,
    "decoder.dim": 24, "decoder.heads": 2, "codebook.tokens": 8,
    "optimiser.batch": 8,
}  # fmt: skip


@pytest.mark.parametrize("name", recipes())
@pytest.mark.parametrize("objective", ["paco", "mae"])
def test_every_recipe_is_parsed_and_planned_at_reduced_size(name, objective):
    text = plan(load_recipe(name, {**REDUCED, "objective": objective}))
    for said in (f"{objective} with recipe {name}", "steps of 8 pictures", "learning rate", "16 bytes a parameter",
                 "then an evaluation (reconstruction", "images/s"):  # fmt: skip
        assert said in text
    full = load_recipe(name)
    assert flops_per_picture(full) > 0 and full.codebook.tokens <= 1024


def test_a_plan_on_packed_faces_shows_them(faces, tmp_path):
    pack(faces, tmp_path / "packed", config_on(faces), shard_size=7)
    assert "24 pictures packed" in plan(config_on(str(tmp_path / "packed")))
    with pytest.raises(PacoError, match=r"packed with data\.jitter"):
        plan(config_on(str(tmp_path / "packed"), data={"jitter": 0.2}))


def test_recipes_are_found_by_name_or_file(tmp_path):
    assert {"tiny", "small", "base-2m"} <= set(recipes())
    with pytest.raises(PacoError, match="Did you mean tiny"):
        load_recipe("tini")
    (tmp_path / "mine.toml").write_text('name = "mine"\n[masking]\nratio = 0.5\n')
    assert load_recipe(str(tmp_path / "mine.toml")).masking.ratio == 0.5
    (tmp_path / "mine.toml").write_text("name = ")
    with pytest.raises(PacoError, match="not valid TOML"):
        load_recipe(str(tmp_path / "mine.toml"))


def test_an_epoch_shows_everything_once_and_views_depend_on_positions_alone(config):
    assert sorted(epoch_order(0, 3, (50,), 10).tolist()) == list(range(50))
    views = Views(pool_of(config), config)
    together = views.at(range(30, 46))
    apart = [views.at(range(30, 38)), views.at(range(38, 46))]
    for field in ("images", "hidden", "visible", "shown", "regions"):
        assert torch.equal(getattr(together, field), torch.cat([getattr(part, field) for part in apart]))
    both = torch.cat([together.hidden, together.visible], 1).sort(1).values
    assert (both == torch.arange(config.encoder.cells)).all()


def test_incubation_fades_from_all_to_nothing_within_the_first_epoch(config):
    assert [shown_share(config, epoch) for epoch in (0.0, 0.5, 1.0, 7.0)] == [1.0, 0.5, 0.0, 0.0]
    views = Views(pool_of(config), config)
    assert views.at(range(4)).shown.float().mean() > 0.9
    assert 0.2 < views.at(range(16, 24)).shown.float().mean() < 0.8
    assert views.at(range(40, 80)).shown is None


def test_prepared_pictures_come_back():
    contract = load_recipe("tiny").encoder.pixels
    pictures = smooth_faces(3, 16)
    assert (unprepare(prepare(pictures, contract), contract) == pictures).all()


@pytest.mark.parametrize(
    "changes", [{}, {"channels": "BGR", "value_range": (0.0, 255.0)}, {"value_range": (-1, 1)}]
)
def test_preparing_is_scaling_centring_and_dividing_in_this_order(changes):
    contract = PixelContract(size=24, mean=(0.48, 0.45, 0.4), std=(0.23, 0.22, 0.21), **changes)
    pictures = smooth_faces(3, 24)
    shades = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    shades = shades.flip(1) if contract.channels == "BGR" else shades
    low, high = contract.value_range
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (contract.mean, contract.std))
    found = prepare(torch.from_numpy(pictures), contract)
    assert torch.equal(found, (shades / 255 * (high - low) + low - mean) / std)
    assert torch.equal(
        found, prepare(pictures[:, ::-1][:, ::-1], contract)
    )  # not contiguous, and left as it was


def test_the_rate_warms_up_and_falls_to_nothing(config):
    rates = [learning_rate(config, step, 100) for step in range(100)]
    peak = 1e-3 * 16 / 64
    assert max(rates) == pytest.approx(peak) and rates[0] < peak and rates[-1] < 0.01 * peak


def test_the_pool_is_the_same_for_any_number_of_workers(faces, tmp_path, monkeypatch):
    config = config_on(faces)
    monkeypatch.setattr("paco_fr.data.crops.SMALLEST", 7)
    pools = []
    for workers in (1, 2):
        monkeypatch.setenv("PACO_CACHE", str(tmp_path / f"cache{workers}"))
        pools.append(crop_pool(config, workers=workers))
    assert pools[0].fingerprint == pools[1].fingerprint
    assert np.array_equal(*(np.stack(list(pool.images)) for pool in pools))


def test_a_dry_run_refuses_what_the_run_would_refuse(faces, monkeypatch):
    """A dry run said that all is well where the run ended with "not one of the faces could be used"."""
    config = config_on(faces, data={"crops": {"aligned": 1.0}})
    texts = []
    for call in (lambda: plan(config), lambda: crop_pool(config, workers=1)):
        with pytest.raises(PacoError, match=r"not one of 24 faces could be used\. First: 000\.png") as caught:
            call()
        texts.append(str(caught.value).partition(": ")[2])
    assert texts[0] == texts[1]
    assert "a run would end: Source 'nowhere' does not exist" in plan(config_on("nowhere"))
    assert "24 of the 24 faces that were looked at can be used" in sample_source(config_on(faces))
    (Path(faces) / "broken.png").write_bytes(b"")
    assert "first that cannot: broken.png" in sample_source(config_on(faces, data={"max_broken": 0.5}))
    with pytest.raises(PacoError, match="1 of 25 faces cannot be used"):
        sample_source(config_on(faces, data={"max_broken": 0.0}))
