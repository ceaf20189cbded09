"""Fine-tuning: it learns, resumes exactly, spreads over processes, and its score is that of the last epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

import paco_eval.finetune.train as finetune
from paco_eval.encoders.baselines import Pixels
from paco_eval.encoders.timm import TimmEncoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.finetuned import parts_of
from paco_eval.evaluation.protocols import NotApplicableError, Protocol
from paco_eval.evaluation.runner import evaluate_all, measure
from paco_eval.finetune.data import Part
from paco_eval.finetune.model import Settings, Targets, Tuned, learning_rate, parameter_groups
from paco_eval.probes.scorer import held_of
from paco_eval.rows.store import read_items
from paco_fr.contracts import PixelContract
from paco_fr.faces.decode import encode_png
from paco_fr.faces.records import COLUMNS
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks.derived import derived_tasks
from tasks.user_tasks import own_task
from tests.fixtures.child import in_processes
from tests.paco_eval.conftest import blob_records, blob_task, under

QUICK = Settings(epochs=4, batch=18, rate=1e-2)


def small_encoder():
    """Return a transformer of two blocks on 32 pixels, so that a training takes a second."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(
            "vit_tiny_patch16_224",
            img_size=32,
            patch_size=8,
            depth=2,
            embed_dim=32,
            num_heads=2,
            num_classes=0,
        )
    return TimmEncoder("narrow", model, PixelContract(32), facts={"objective": "untrained"})


def tuned(data):
    return under(data, "fine-tune", seeds=1, epochs=QUICK.epochs)[0]


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize(("kind", "floor"), [("pose", 6.0), ("classification", 60.0)])
def test_it_learns_and_the_last_epoch_is_the_score(kind, floor, tmp_path):
    encoder, data = small_encoder(), tuned(Data.load(blob_task(kind, reader_options={"people": 40}), None))
    before = encoder.weight_hash, next(encoder.model.parameters()).clone()
    settings = replace(QUICK, epochs=12)
    (row,) = measure(encoder, data, settings=settings, out=tmp_path, say=quiet)
    better = 1 if row.main.higher_is_better else -1
    assert better * row.main.value > better * floor
    assert row.chosen["strength"] == "last of 12 epochs" and row.probe_seed == 0
    best = row.chosen["best_on_test"]
    assert better * best >= better * row.main.value - 1e-9
    assert better * best >= better * row.chosen["best_on_validation"]
    assert 1 <= row.chosen["best_on_validation_epoch"] <= 12
    assert torch.equal(next(encoder.model.parameters()), before[1]) and encoder.weight_hash == before[0]
    assert not (tmp_path / "fine-tune").exists() or not list((tmp_path / "fine-tune").iterdir())
    assert measure(encoder, data, settings=settings, out=tmp_path, say=quiet) == []


def test_a_killed_training_goes_on_to_the_same_row(tmp_path, monkeypatch):
    encoder, data = small_encoder(), tuned(Data.load(blob_task("pose"), None))
    (whole,) = measure(encoder, data, settings=QUICK, out=tmp_path / "whole", say=quiet)
    keep, kept = finetune._keep, []

    def killed(*state):
        keep(*state)
        kept.append(len(state[-1]))
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "_keep", killed)
    with pytest.raises(KeyboardInterrupt):
        measure(encoder, data, settings=QUICK, out=tmp_path / "torn", say=quiet)
    monkeypatch.setattr(finetune, "_keep", keep)
    said: list[str] = []
    (resumed,) = measure(encoder, data, settings=QUICK, out=tmp_path / "torn", say=said.append)
    assert any("goes on after epoch 2" in line for line in said)
    assert resumed.metrics == whole.metrics
    assert {**resumed.chosen} == {**whole.chosen}


def test_unreadable_pictures_count_and_are_not_trained_on(tmp_path):
    task = blob_task("pose", reader_options={"broken": 2})
    (row,) = measure(small_encoder(), tuned(Data.load(task, None)), settings=QUICK, out=tmp_path, say=quiet)
    assert (row.n_expected, row.n_scored) == (18, 16)
    items = read_items(tmp_path / "rows" / f"{row.key}.json")
    assert (items["failure"] != "").sum() == 2


def test_the_rate_rises_falls_and_decays_towards_the_first_layers():
    settings = Settings(epochs=1, batch=256, rate=1.0)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert (
        rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == pytest.approx(1.0) and rates[-1] < 1e-3
    )
    assert learning_rate(replace(settings, batch=64), 9, 100) == pytest.approx(0.25)
    model = Tuned(small_encoder(), "mean", lambda width: torch.nn.Linear(width, 3))
    scale = {
        id(parameter): (group["lr_scale"], group["weight_decay"])
        for group in parameter_groups(model, settings)
        for parameter in group["params"]
    }
    assert len(scale) == len(list(model.parameters()))
    backbone = model.backbone
    assert scale[id(model.head.weight)] == (1.0, 0.05) and scale[id(model.head.bias)] == (1.0, 0.0)
    ladder = [scale[id(part)][0] for part in (
        backbone.patch_embed.proj.weight, backbone.blocks[0].attn.qkv.weight, backbone.blocks[1].attn.qkv.weight)]  # fmt: skip
    assert ladder[0] < ladder[1] < ladder[2] and ladder[1] / ladder[2] == pytest.approx(0.75)
    assert scale[id(backbone.blocks[0].norm1.weight)][1] == 0.0


def test_only_kinds_whose_truth_allows_it_are_mirrored():
    for kind, mirrored in (("pose", False), ("landmarks", False), ("classification", True)):
        data = Data.load(blob_task(kind), None)
        run = finetune.Training(small_encoder(), parts_of(data)[0], QUICK, 0, "mean")
        ramp = torch.linspace(-1, 1, 32).expand(40, 3, 32, 32)
        changed = run._augmented(ramp, list(range(40)), 0)
        assert not torch.equal(changed, ramp)
        falling = (changed[:, :, :, -1].mean((1, 2)) < changed[:, :, :, 0].mean((1, 2))).any()
        assert bool(falling) == mirrored
        assert torch.equal(changed, run._augmented(ramp, list(range(40)), 0))
        assert not torch.equal(changed, run._augmented(ramp, list(range(40)), 1))


def test_targets_are_scaled_on_the_fitted_units_alone_and_come_back():
    data = Data.load(blob_task("pose"), None)
    units, split = data.views["all"]
    fit = split.score[0].fit.indices
    targets = Targets.of(data.task, units, fit)
    torch.testing.assert_close(targets.values[fit].mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    from tasks.kinds import load_kind

    np.testing.assert_allclose(
        targets.answers(targets.values), load_kind("pose").targets(units.labels, data.task), atol=1e-5
    )


def people_of(path, people):
    """Write four pictures of each person: the tint is the person's, the waves over it are anyone's."""
    y, x = np.mgrid[:32, :32]
    for person in people:
        tint = generator("tint", person).uniform(-0.15, 0.15, 3)
        for shot in range(4):
            rng = generator("waves", person, shot)
            across, down, phase = rng.uniform(-1, 1, 3)
            waves = rng.uniform(0.1, 0.35) * np.sin(across * x + down * y + 3 * phase)
            file = path / f"p{person:02d}/{shot}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_png((255 * (0.5 + tint + waves[..., None])).round().astype(np.uint8)))
    return path


@pytest.mark.parametrize(("margin", "epochs"), [("cosface", 8), ("arcface", 12)])
def test_a_set_without_people_to_fit_is_compared_after_training_on_others(margin, epochs, tmp_path):
    task = own_task(f"recognition={people_of(tmp_path / 'scored', range(12))}")
    known = people_of(tmp_path / "known", range(20, 60))
    data, encoder = Data.load(task, None, train_identities=known), small_encoder()
    (variant,) = under(data, "fine-tune", seeds=1, epochs=epochs, margin=margin)
    (parts,) = parts_of(variant)
    people = parts.fit.units.labels["group"]
    trained, watched = (set(people.iloc[part.indices]) for part in (parts.fit, parts.validation))
    assert len(trained) == 36 and len(watched) == 4 and not trained & watched
    (raw,) = measure(encoder, Data.load(task, None), out=tmp_path / "out", say=quiet)
    settings = Settings(epochs=epochs, batch=8, rate=0.16, average=0.9, margin=margin)
    (row,) = measure(encoder, variant, settings=settings, out=tmp_path / "out", say=quiet)
    assert row.protocol.startswith(f"fine-tune {epochs} epochs, {margin}, fitted on known ")
    assert row.command.endswith(f"--protocol fine-tune --epochs {epochs} --margin {margin}")
    assert row.chosen["split"].endswith("trained on known, 4 of 40 people set aside")
    assert row.main.value > raw.main.value + 0.01, (row.main.value, raw.main.value)
    assert row.n_expected == row.n_scored == 48 and 1 <= row.chosen["best_on_validation_epoch"] <= epochs
    items = read_items(tmp_path / "out/rows" / f"{row.key}.json")
    assert items["truth"].sum() == 72  # six pairs of each person


def sorted_records(data_root=None):
    """Return the blobs with a mark on every second person of the test part, and a few people of another view."""
    found = blob_records(people=24).remove_columns("split")
    people = [int(group[1:]) for group in found["group"]]
    marks = [["odd"] if person % 2 else ["control"] if person % 4 == 0 else [] for person in people]
    parts = ["train" if person < 4 else "validation" if person < 20 else "test" for person in people]
    for name, column in (("subsets", marks), ("split", parts)):
        found = found.add_column(name, column, feature=COLUMNS[name])
    return found


def test_every_fold_is_trained_for_and_every_subset_has_its_row(tmp_path):
    task = blob_task(
        "pose",
        reader="tests.paco_eval.finetune.test_train:sorted_records",
        split="subject_folds",
        subsets=("odd",),
    )
    data = tuned(Data.load(task, None))
    units, split = data.views["all"]
    folds, person = parts_of(data), units.labels["group"].to_numpy()
    assert len(folds) == 5
    for fold in folds:
        trained, watched, scored = (
            set(person[part.indices]) for part in (fold.fit, fold.validation, fold.test)
        )
        assert trained | watched | scored == set(person) and not (
            trained & watched or trained & scored or watched & scored
        )
    settings = replace(QUICK, epochs=2)
    whole, odd = measure(small_encoder(), data, settings=settings, out=tmp_path, say=quiet)
    assert (whole.subset, whole.n_expected, odd.subset, odd.n_expected) == ("all", 24, "odd", 12)
    items = read_items(tmp_path / "rows" / f"{whole.key}.json")
    assert sorted(items["id"]) == sorted(units.labels["unit_id"].iloc[held_of(split)])
    assert whole.chosen["split"].endswith("5 trainings, one a fold")
    assert "best_on_test" in whole.chosen and "best_on_test" not in odd.chosen
    half = items[items["subset:odd"].eq(True)]
    assert odd.main.value == pytest.approx(Part(task, units, held_of(split)).metric.value(half))
    assert measure(small_encoder(), data, settings=settings, out=tmp_path, say=quiet) == []


def test_recognition_trains_on_the_tasks_own_people_in_every_view(tmp_path):
    task = blob_task("verification", reader="tests.paco_eval.finetune.test_train:sorted_records", split="selection_only",
                     views=("control",))  # fmt: skip
    data, encoder = tuned(Data.load(task, None)), small_encoder()
    rows = measure(encoder, data, settings=replace(QUICK, epochs=2), out=tmp_path, say=quiet)
    assert [row.subset for row in rows] == ["all", "control"]
    assert rows[0].protocol.startswith("fine-tune 4 epochs, cosface") and all(
        row.main.value >= 0 for row in rows
    )
    assert all("best_on_validation" in row.chosen for row in rows)
    few = blob_task("verification", split="selection_only")
    with pytest.raises(PacoError, match="1 person to fit on"):
        measure(encoder, tuned(Data.load(few, None)), settings=QUICK, out=tmp_path / "few", say=quiet)


def test_what_cannot_be_fine_tuned_is_said(tmp_path):
    data = tuned(Data.load(blob_task("pose"), None))
    with pytest.raises(PacoError, match="cannot be fine-tuned"):
        measure(Pixels(), data, settings=QUICK, out=tmp_path, say=quiet)
    (swept,) = [
        task for name, task in derived_tasks([blob_task("pose")]).items() if name.startswith("quality")
    ]
    with pytest.raises(NotApplicableError, match="fine-tune on pose/blobs"):
        parts_of(tuned(Data.load(swept, None)))
    diagnosed = replace(data, task=replace(data.task, kind="codebook"))
    with pytest.raises(NotApplicableError, match="no head for codebook; measure it frozen"):
        parts_of(diagnosed)
    with pytest.raises(PacoError, match="not finite"):
        measure(small_encoder(), data, settings=replace(QUICK, rate=float("inf")), out=tmp_path, say=quiet)
    alone = own_task(f"recognition={people_of(tmp_path / 'alone', range(3))}")
    with pytest.raises(NotApplicableError, match="--train-identities"):
        tuned(Data.load(alone, None))
    said: list[str] = []
    failed = evaluate_all(
        [small_encoder()], [swept], Protocol("fine-tune", seeds=1, epochs=1), out=tmp_path, say=said.append
    )
    assert not failed and said[0].startswith("Left out quality/pose/blobs")


SPREAD = """
from pathlib import Path
from paco_eval.evaluation.runner import measure
from paco_eval.evaluation.data import Data
from paco_eval.features.processes import use_device
from tests.paco_eval.conftest import blob_task
from tests.paco_eval.finetune.test_train import QUICK, small_encoder, tuned
use_device("auto")
data = tuned(Data.load(blob_task("pose", reader_options={"broken": 1}), None))
for row in measure(small_encoder(), data, settings=QUICK, out=Path(OUT), say=lambda _: None):
    print(row.main.value)
"""


def test_one_and_two_processes_train_the_same(tmp_path):
    data = tuned(Data.load(blob_task("pose", reader_options={"broken": 1}), None))
    (alone,) = measure(small_encoder(), data, settings=QUICK, out=tmp_path / "alone", say=quiet)
    said = in_processes(2, SPREAD.replace("OUT", repr(str(tmp_path / "two"))))
    assert float(said.splitlines()[-1]) == pytest.approx(alone.main.value, rel=1e-3)
