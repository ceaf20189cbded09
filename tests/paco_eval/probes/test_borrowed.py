"""Sets that are scored as a whole: where block, pooling and whitening come from, and mirrored features."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from paco_eval.encoders import load_encoder
from paco_eval.evaluation import data as inputs
from paco_eval.evaluation import record as recording
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.dry_run import passes_of
from paco_eval.evaluation.frozen import lent
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import measure
from paco_eval.features.extract import extract
from paco_eval.probes.borrowed import RAW, borrowed_choice
from paco_eval.probes.probe import choose
from paco_eval.rows.store import read_items, read_row
from paco_fr.contracts import CROPS
from paco_fr.faces.decode import encode_png
from paco_fr.faces.records import features
from paco_fr.utils.errors import PacoError
from tasks.readers import records as reading
from tasks.splits import ScoredOnly, test_only
from tasks.task import Task
from tasks.units import units_of
from tasks.user_tasks import own_task


def person(name: int, shot: int) -> np.ndarray:
    """Return a picture whose lower half tells who it is and whose upper half is noise."""
    rng = np.random.default_rng([name, 1])
    picture = np.random.default_rng([name, shot, 2]).integers(0, 255, (32, 32, 3))
    picture[16:] = 127 + np.kron(rng.integers(-10, 10, (4, 8, 3)), np.ones((4, 4, 1), dtype=int))
    return picture.astype(np.uint8)


def folder_of(path: Path, people: range, shots: int = 3) -> Path:
    for name in people:
        for shot in range(shots):
            file = path / f"p{name:02d}/{shot}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_png(person(name, shot)))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(recording, "bootstrap_all", partial(recording.bootstrap_all, replicates=20))


def lender(data_root: Path | None) -> Dataset:
    """Return people with all three parts."""
    rows = [(part, 50 + 10 * at + n, shot) for at, part in enumerate(("train", "validation", "test"))
            for n in range(5) for shot in range(3)]  # fmt: skip
    columns = {
        "image": [{"bytes": encode_png(person(who, shot)), "path": None} for _, who, shot in rows],
        "image_id": [f"{who}-{shot}" for _, who, shot in rows],
        "group": [str(who) for _, who, _ in rows],
        "identity": [str(who) for _, who, _ in rows],
        "split": [part for part, _, _ in rows],
    }
    return Dataset.from_dict(columns, features=features(columns))


LENDER = Task("recognition/lender", 1, "verification", "a:b", CROPS["whole"], "auc", "own", "here")


def test_flip_adds_the_mirrored_picture_and_caches_both(tmp_path: Path) -> None:
    task = own_task(f"recognition={folder_of(tmp_path / 'a', range(3))}")
    data, encoder = Data.load(task, None), load_encoder("pixels")
    units, _ = data.views["all"]
    plain = extract(encoder, units, task.reductions)
    assert plain.forward_passes == 9
    both = extract(encoder, units, task.reductions, flip="sum")
    again = extract(encoder, units, task.reductions, flip="sum")
    assert (both.forward_passes, again.forward_passes) == (9, 0)  # the plain side was there, the other not
    for layer, table in plain.layers.items():
        side = round((table.shape[1] / 3) ** 0.5)
        mirrored = table.reshape(-1, side, side, 3)[:, :, ::-1].reshape(len(table), -1)
        np.testing.assert_allclose(both.layers[layer], table + mirrored, atol=1e-5)
        np.testing.assert_array_equal(again.layers[layer], both.layers[layer])


def test_default_choice_is_the_encoders_own(tmp_path: Path) -> None:
    task = own_task(f"recognition={folder_of(tmp_path / 'a', range(4))}")
    encoder = load_encoder("pixels")
    (row,) = measure(encoder, Data.load(task, None), out=tmp_path / "out")
    assert row.chosen["block"] == encoder.default_block
    assert row.chosen["strength"] == "raw"
    assert row.chosen["split"] == "test only; block and pooling: the encoder's default"
    assert row.val_score is None
    assert (row.n_expected, row.n_scored, row.data_kind) == (12, 12, "user")
    assert f"--folder recognition={tmp_path}" in row.command
    stored = read_row(tmp_path / "out/rows" / f"{row.key}.json")
    assert len(read_items(tmp_path / "out/rows" / f"{row.key}.json", stored)) == 12 * 11 // 2


@pytest.fixture
def borrowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Return a task of 12 pictures that is scored as a whole, with a lender of 45."""
    folder, real = folder_of(tmp_path / "a", range(4)), reading.resolve
    monkeypatch.setattr(reading, "resolve", lambda name: lender if name == LENDER.reader else real(name))
    monkeypatch.setattr(inputs, "all_tasks", lambda: {LENDER.name: LENDER})
    return own_task(f"recognition={folder},choice_from={LENDER.name}")


def test_what_decides_nothing_is_not_looked_at(borrowing: Task, tmp_path: Path) -> None:
    """An encoder of one block and pooling sent thousands of other people's pictures through to choose one of one."""
    data, encoder = Data.load(borrowing, None), load_encoder("constant")
    assert passes_of(encoder, data, set()) == 12
    (row,) = measure(encoder, data, out=tmp_path / "out")
    assert row.chosen["split"] == "test only; block and pooling: the encoder has no others"
    assert (row.chosen["block"], row.chosen["reduction"], row.val_score) == ("none", "flat", None)
    assert "_lender" not in data.__dict__  # its pictures were not even read


def test_a_dry_run_counts_the_pictures_of_the_lender(borrowing: Task, tmp_path: Path) -> None:
    """A plan left out what is sent through for the choice alone."""
    data, encoder = Data.load(borrowing, None), load_encoder("pixels")
    assert passes_of(encoder, data, set()) == 12 + 45
    measure(encoder, data, out=tmp_path / "out")
    assert passes_of(encoder, data, set()) == 0


def test_borrowed_choice_names_its_lender(borrowing: Task, tmp_path: Path) -> None:
    folder, task = tmp_path / "a", borrowing
    (row,) = measure(load_encoder("pixels"), Data.load(task, None), out=tmp_path / "out")
    assert row.chosen["split"] == "test only; block and pooling by validation of recognition/lender"
    assert row.chosen["strength"] == "raw"
    assert row.val_score is not None
    near = own_task(f"recognition={folder},choice_from=recognition/lendr")
    with pytest.raises(PacoError, match="Did you mean recognition/lender"):
        measure(load_encoder("pixels"), Data.load(near, None), out=tmp_path / "out")
    assert row.protocol == "frozen, chosen on recognition/lender"


def test_a_choice_is_lent_as_its_lender_makes_it_whitened(borrowing: Task, tmp_path: Path) -> None:
    """Raw embeddings tell people apart hardly better than chance: pooling was drawn by lot, and Yale B with it."""
    data, encoder = Data.load(borrowing, None), load_encoder("pixels")
    lending, units, split, _ = lent(encoder, data)
    tables = extract(encoder, units, lending.reductions, flip=lending.flip).layers
    own = choose(lending, tables, units.labels, split.select)
    found = borrowed_choice(encoder, lending, units, split)
    assert (found.layer, found.score, found.strength) == (own.layer, own.score, RAW) and own.strength != RAW


def test_train_identities_fit_whitening_on_other_people(tmp_path: Path) -> None:
    task = own_task(f"recognition={folder_of(tmp_path / 'a', range(10))}")
    known = folder_of(tmp_path / "known", range(20, 50))
    encoder = load_encoder("pixels")
    (raw,) = measure(encoder, Data.load(task, None), out=tmp_path / "out")
    data = Data.load(task, None, train_identities=known)
    (row,) = measure(encoder, data, out=tmp_path / "out")
    assert row.key != raw.key
    assert row.protocol.startswith("frozen, fitted on known ")
    assert row.chosen["strength"] != "raw"
    assert row.main.value > raw.main.value  # the noisy half is whitened away
    with pytest.raises(PacoError, match=r"'p00' \(2 in all\) is also scored"):
        Data.load(task, None, train_identities=folder_of(tmp_path / "shared", range(2)))
    with pytest.raises(PacoError, match="no task of recognition"):
        inputs.TrainPeople.read(known, replace(task, kind="pose"))


def test_a_failed_picture_is_counted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", range(4))
    (folder / "p00/0.png").write_bytes(b"no picture")
    task = own_task(f"recognition={folder}")
    (row,) = measure(load_encoder("pixels"), Data.load(task, None), out=tmp_path / "out")
    assert (row.n_expected, row.n_scored) == (12, 11)


def test_limit_cuts_lists_down(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", range(4))
    lines = [f"p{n:02d}/0.png,p{n:02d}/1.png,1\np{n:02d}/0.png,p{(n + 1) % 4:02d}/1.png,0" for n in range(4)]
    (folder / "list.csv").write_text("first,second,same\n" + "\n".join(lines) + "\n")
    task = own_task(f"recognition={folder},pairs=list.csv")
    data = Data.load(task, None, Protocol(limit=3))
    assert len(data.task.options["pair_list"]) == 2
    assert data.fingerprint != Data.load(task, None).fingerprint
    assert str(data.protocol) == "frozen, limit 3"


def test_scored_only_role() -> None:
    found = test_only(["a", "b"])
    assert isinstance(found, ScoredOnly)
    assert found.list_hash != test_only(["a", "c"]).list_hash
    with pytest.raises(PacoError, match="nothing to score"):
        test_only([])
    units = units_of(lender(None), CROPS["whole"])
    assert len(units) == 45
