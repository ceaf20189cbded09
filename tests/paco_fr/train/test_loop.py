"""How a run is carried out: precision, parts, workers, trackers, broken pictures, losses that are not finite."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import Block

from paco_fr.train.batches import Views, epoch_order, feed, share
from paco_fr.train.pretrain import fresh_model, pretrain
from paco_fr.train.resume import state_files
from paco_fr.train.schedule import describe_schedule
from paco_fr.utils.errors import PacoError
from tests.paco_fr.conftest import config_on, pool_of, small_config


def last(out):
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.mark.parametrize("objective", ["paco", "mae", "simmim", "data2vec"])
def test_bf16_learns_about_the_same(faces, tmp_path, objective):
    full = pretrain(config_on(faces, objective=objective), tmp_path / "full")
    half = pretrain(config_on(faces, objective=objective, optimiser={"precision": "bf16"}), tmp_path / "half")
    assert last(half)["reconstruction"] == pytest.approx(last(full)["reconstruction"], rel=0.02)
    assert all(tensor.dtype == torch.float32 for tensor in load_file(half / "model.safetensors").values())


@pytest.mark.parametrize("content", ["raw", "structure"])
def test_dead_tokens_are_revived_in_bf16(faces, tmp_path, content):
    config = config_on(
        faces,
        codebook={"content": content, "revive": "always", "revive_below": 1.0},
        optimiser={"precision": "bf16"},
    )
    assert last(pretrain(config, tmp_path / "run"))["revived"] > 0


@pytest.mark.slow
def test_compiled_blocks_change_rounding_only(faces, tmp_path):
    config = config_on(faces, objective="mae", optimiser={"presentations": 48})
    plain = pretrain(config, tmp_path / "plain")
    fast = pretrain(
        config.model_copy(update={"run": config.run.model_copy(update={"compile": "on"})}),
        tmp_path / "fast",
    )
    a, b = (load_file(out / "model.safetensors") for out in (plain, fast))
    assert a.keys() == b.keys() and all(torch.allclose(a[name], b[name], atol=1e-4) for name in a)


def test_compiling_without_a_compiler_is_refused(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("paco_fr.train.pretrain.shutil.which", lambda name: None)
    with pytest.raises(PacoError, match="needs a C\\+\\+ compiler"):
        pretrain(config_on(faces, run={"compile": "on"}), tmp_path / "run")


def test_workers_change_nothing(config):
    views = Views(pool_of(config), config)
    busy = Views(views.pool, small_config(run={"workers": 2}))
    for one, two in zip(
        *(feed(v, range(3, 9), lambda step: range(step * 4, step * 4 + 4), False) for v in (views, busy)),
        strict=True,
    ):
        assert all(
            torch.equal(getattr(one[0], name), getattr(two[0], name))
            for name in ("images", "hidden", "shown")
        )


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_shares_of_all_processes_are_the_batch(world):
    config = small_config(optimiser={"batch": 12})
    shown = [position for rank in range(world) for position in share(7, config, world, rank)]
    assert shown == list(range(84, 96))


def test_the_learning_rate_is_stated(faces, tmp_path):
    said: list[str] = []
    pretrain(
        config_on(faces, optimiser={"batch": 16, "presentations": 32}), tmp_path / "run", say=said.append
    )
    assert "2 steps of 16 pictures (1 process x 1 parts x 16)" in said[0] and "peak of 0.00025" in said[0]
    assert "(4 processes x 2 parts x 2)" in describe_schedule(
        small_config(optimiser={"batch": 16, "accumulate": 2}), 4
    )


@pytest.mark.parametrize(("capability", "told"), [("AVX2", True), ("AVX512", False)])
def test_half_precision_that_a_processor_only_imitates_is_told(
    faces, tmp_path, monkeypatch, capability, told
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    said: list[str] = []
    config = config_on(faces, optimiser={"batch": 16, "presentations": 16, "precision": "bf16"})
    pretrain(config, tmp_path / "run", say=said.append)
    assert any("optimiser.precision=fp32" in line for line in said) is told


def test_numbers_while_it_runs(faces, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    out = pretrain(config_on(faces), tmp_path / "run", progress=True)
    line = last(out)
    assert line["images_per_second"] > 0 and 0 <= line["waiting"] <= 1 and line["host_gb"] > 0
    assert {"gradient_norm", "perplexity", "tokens_used", "unreadable"} <= line.keys()
    assert "waits" in capfd.readouterr().err


def test_tensorboard_gets_the_same_numbers(faces, tmp_path, monkeypatch):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = config_on(faces, run={"trackers": ["tensorboard"]})
    out = pretrain(config, tmp_path / "run")
    events = event_accumulator.EventAccumulator(str(out / "paco_fr")).Reload()
    assert events.Scalars("reconstruction")[-1].value == pytest.approx(last(out)["reconstruction"])
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(PacoError, match=r"pip install 'paco-eval\[wandb\]'"):
        pretrain(config_on(faces, run={"trackers": ["wandb"]}), tmp_path / "other")


def test_a_loss_that_is_not_finite_names_its_term_and_keeps_the_last_state(faces, tmp_path, monkeypatch):
    real, calls = torch.nn.functional.mse_loss, []

    def broken(*call):
        calls.extend([1] * call[0].requires_grad)  # steps, not the sheets that are drawn on the way
        return real(*call) * (float("nan") if len(calls) > 4 else 1.0)

    monkeypatch.setattr("paco_fr.model.losses.spatial_loss", lambda a, b, regions: broken(a, b))
    out = tmp_path / "run"
    with pytest.raises(
        PacoError, match=r"by step 5: spatial\. The last good state, state-000000004\.pt, is kept"
    ):
        pretrain(config_on(faces, run={"save_seconds": 0.0}), out)
    state = torch.load(state_files(out)[-1], weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())


class Torn:
    """Crops of which every seventh cannot be read any more."""

    def __init__(self, images: np.ndarray, every: int) -> None:
        self.images, self.every = images, every

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        if index % self.every == 0:
            raise PacoError(f"crop {index} is torn")
        return self.images[index]


def test_pictures_that_tear_during_a_run_are_replaced_counted_and_stop_it_past_the_share(
    faces, tmp_path, monkeypatch
):
    from paco_fr.data.crops import crop_pool
    from paco_fr.data.open import FacesInMemory

    def torn(every):
        def open_faces(config, progress=False):
            pool = crop_pool(config)
            return FacesInMemory(Torn(pool.images, every), pool.anchors, pool.fingerprint, pool.skipped)

        return open_faces

    monkeypatch.setattr("paco_fr.train.pretrain.open_faces", torn(12))
    out = pretrain(config_on(faces), tmp_path / "run")
    card = json.loads((out / "card.json").read_text())
    assert card["skipped"] == ["crop 12 is torn", "crop 0 is torn"] or sorted(card["skipped"]) == [
        "crop 0 is torn",
        "crop 12 is torn",
    ]
    assert (out / "skipped.txt").read_text().count("torn") == card["skipped_count"] == 2
    monkeypatch.setattr("paco_fr.train.pretrain.open_faces", torn(2))
    with pytest.raises(
        PacoError, match=r"12 of 128 pictures could not be read, more than data\.max_broken 5%"
    ):
        pretrain(config_on(faces, data={"max_broken": 0.05}), tmp_path / "many")
    monkeypatch.setattr("paco_fr.train.pretrain.open_faces", torn(1))
    with pytest.raises(PacoError, match="in a row cannot be read"):
        pretrain(config_on(faces), tmp_path / "all")


@pytest.mark.parametrize("blocks", [(50,), (7, 1, 20, 5, 17), (3,) * 17])
def test_every_order_shows_everything_once_and_stays_within_its_buffer(blocks):
    total = sum(blocks)
    for epoch in range(3):
        order = epoch_order(0, epoch, blocks, 24)
        assert sorted(order.tolist()) == list(range(total))
        assert not (order == np.arange(total)).all()
    block_of = np.repeat(np.arange(len(blocks)), blocks)
    order = block_of[epoch_order(0, 0, blocks, 24)]
    for at in range(total):  # blocks that have begun and not ended never hold more than the buffer
        open_blocks = set(order[: at + 1]) & set(order[at:])
        assert len(open_blocks) == 1 or sum(blocks[b] for b in open_blocks) <= 24


def test_a_batch_that_does_not_divide_is_refused(faces, tmp_path):
    with pytest.raises(PacoError, match="not divisible by accumulate 3"):
        config_on(faces, optimiser={"batch": 16, "accumulate": 3})


@pytest.mark.parametrize(("precision", "fused"), [("bf16", False), ("fp32", True)])
def test_attention_in_bf16_on_a_cpu_is_computed_by_plain_products(precision, fused):
    given = small_config(optimiser={"precision": precision})
    model = fresh_model(given, Views(pool_of(given), given), torch.device("cpu"))
    kernels = [module.attn.fused_attn for module in model.modules() if isinstance(module, Block)]
    assert kernels and set(kernels) == {fused}
