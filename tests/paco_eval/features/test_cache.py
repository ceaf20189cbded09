from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from paco_eval.features.cache import Address, entries, find, keep_to_limit, prune, size_of, store
from paco_eval.features.cache_locks import keeping
from paco_eval.rows.store import load_rows
from paco_fr.utils.errors import PacoError
from tests.fixtures.child import python


@pytest.fixture
def address(tmp_path, monkeypatch) -> Address:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    return Address("weights", 1, "pixels", 112, "4", "mean")


def keys_of(*numbers: int) -> np.ndarray:
    return np.array([[number] * 16 for number in numbers], dtype=np.uint8)


def test_what_was_stored_is_found_by_key_in_any_order(address):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    store(address, keys_of(1, 2), values[:2])
    store(address, keys_of(3, 4), values[2:])
    found, known = find(address, keys_of(4, 9, 1, 4))
    assert known.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(found[[0, 2, 3]], values[[3, 0, 3]])
    assert np.isnan(found[1]).all()


def test_every_field_of_the_address_keeps_features_apart(address):
    store(address, keys_of(1), np.ones((1, 2), dtype=np.float32))
    changes = {"weight_hash": "other", "adapter_version": 2, "pixel_hash": "other", "canvas": 96, "block": "3",
               "reduction": "grid4", "perturbation": "blur", "flip": True, "dtype": "bfloat16", "probe": "other"}  # fmt: skip
    assert set(changes) == set(vars(address))
    for field, value in changes.items():
        assert find(replace(address, **{field: value}), keys_of(1))[0] is None


def test_storing_twice_leaves_one_part_and_nothing_half_made(address):
    for _ in range(2):
        store(address, keys_of(1, 2), np.ones((2, 2), dtype=np.float32))
    assert len(list(address.folder.iterdir())) == 1


WRITER = """
import numpy as np, sys
from paco_eval.features.cache import Address, store
address = Address("weights", 1, "pixels", 112, "4", "mean")
rng = np.random.default_rng(int(sys.argv[1]))
while True:
    keys = rng.integers(0, 256, (50, 16), dtype=np.uint8)
    store(address, keys, np.repeat(keys[:, :1].astype(np.float32), 2000, 1))
"""


def test_killed_writers_spoil_nothing(address, tmp_path):
    """Two writers are killed at work; every part that stands is whole."""
    writers = [python(WRITER, seed) for seed in range(2)]
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(address.folder.glob("*.safetensors"))) < 20:
        time.sleep(0.05)
    for writer in writers:
        writer.kill()
        writer.process.join()
    from safetensors import safe_open

    parts = list(address.folder.glob("[0-9a-f]*.safetensors"))
    assert len(parts) >= 20
    for part in parts:
        with safe_open(part, framework="np") as file:
            keys, features = file.get_tensor("keys"), file.get_tensor("features")
        np.testing.assert_array_equal(features[:, 0], keys[:, 0])


def fill(address: Address, name: str, used: float, size: int = 1000) -> Address:
    """Store features of about ``size`` kilobytes under another block, last used at a time."""
    made = replace(address, block=name)
    store(made, keys_of(1), np.ones((1, size * 250), dtype=np.float32))
    os.utime(made.folder, (used, used))
    return made


def test_the_longest_unused_features_go_first_and_those_in_use_stay(address):
    old, older, new = (
        fill(address, name, used) for name, used in (("old", 200), ("older", 100), ("new", 300))
    )
    with keeping("2.5MB"):
        assert find(older, keys_of(1))[1].all()
        os.utime(older.folder, (100, 100))
        keep_to_limit()
        assert [one.folder.exists() for one in (older, old, new)] == [True, False, True]
        fill(address, "another", 400)
        keep_to_limit()
        assert [one.folder.exists() for one in (older, new)] == [True, False]
    keep_to_limit()  # outside there is no limit
    assert sum(entry.size for entry in entries()) < 2.5e6
    assert {entry.folder.name for entry in prune(entries(), 0)} >= {older.folder.name} and not entries()


def test_a_limit_may_come_from_the_environment_and_a_wrong_one_is_told(address, monkeypatch):
    monkeypatch.setenv("PACO_CACHE_LIMIT", "1kB")
    fill(address, "old", 100)
    with keeping():
        keep_to_limit()
    assert not entries()
    assert [size_of(text) for text in ("20GB", "1.5k", "7")] == [20_000_000_000, 1500, 7]
    with pytest.raises(PacoError, match="'much' is no size"), keeping("much"):
        keep_to_limit()


USER = """
import signal
from paco_eval.features.cache import find
from paco_eval.features.cache_locks import keeping
from tests.paco_eval.features.test_cache import address_of, keys_of
with keeping():
    assert find(address_of("used"), keys_of(1))[1].all()
    print("using")
    signal.pause()
"""


def address_of(block: str) -> Address:
    return Address("weights", 1, "pixels", 112, block, "mean")


def test_what_another_process_uses_stays_until_it_ends_or_dies(address, tmp_path):
    """Two evaluations share the cache; the one that makes room leaves the other its features."""
    for name in ("used", "unused"):
        fill(address, name, 100)
    other = python(USER)
    try:
        assert other.lines.readline() == "using\n"
        prune(entries(), 0)
        assert [entry.folder for entry in entries()] == [address_of("used").folder]
    finally:
        other.kill()
        other.process.join()
    prune(entries(), 0)
    assert not entries()


def test_an_evaluation_keeps_the_cache_to_its_limit_and_its_own_features(address, tmp_path):
    """Features of an earlier encoder go; the tasks that follow still find what the first one stored."""
    from paco_eval.evaluation.runner import evaluate_all
    from tests.paco_eval.conftest import blob_task

    fill(address, "old", 100)
    tasks = [blob_task("pose"), blob_task("landmarks")]
    with keeping("1kB"):
        assert evaluate_all(["pixels"], tasks, out=tmp_path / "out", say=lambda _: None) == []
    assert not address_of("old").folder.exists()
    rows = [stored.row for stored in load_rows([tmp_path / "out"]).rows]
    assert len(rows) == 2 and len(entries()) == 4  # its four blocks; they were in use to the end


def test_a_damaged_part_is_put_aside_and_never_served(address, capsys):
    """Flipped bits of stored features became scores; an emptied part made every cell fail, without its name."""
    values = np.arange(40, dtype=np.float32).reshape(4, 10)
    rng = np.random.default_rng(0)
    store(address, keys_of(1, 2, 3, 4), values)
    (part,) = address.folder.iterdir()
    whole = part.read_bytes()
    spoilt = [b"", whole[:-1], whole[: len(whole) // 2]]
    for bit in rng.integers(len(whole) * 8, size=60):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        spoilt.append(bytes(broken))
    for number, content in enumerate(spoilt):
        part.write_bytes(content)
        os.utime(part, (number, number))
        found, known = find(address, keys_of(1, 2, 3, 4))
        said = capsys.readouterr().err
        if known.all():
            np.testing.assert_array_equal(found, values)  # only a bit that nothing reads
        else:
            assert found is None and not known.any() and not part.exists()
            assert said.count("\n") == 1 and f"Damaged: {part}: " in said and "made again" in said
            store(address, keys_of(1, 2, 3, 4), values)
    assert find(address, keys_of(1, 2, 3, 4))[1].all()


def test_features_of_another_address_are_not_served_from_a_folder(address):
    other = replace(address, block="5")
    store(other, keys_of(1), np.ones((1, 2), dtype=np.float32))
    address.folder.mkdir(parents=True)
    (part,) = other.folder.iterdir()
    part.rename(address.folder / part.name)
    assert find(address, keys_of(1))[0] is None


def test_an_evaluation_over_a_damaged_cache_gives_what_it_gave(address, tmp_path):
    from paco_eval.evaluation.runner import evaluate_all
    from tests.paco_eval.conftest import blob_task

    scores = []
    for out in ("before", "after"):
        assert evaluate_all(["pixels"], [blob_task("pose")], out=tmp_path / out, say=lambda _: None) == []
        (stored,) = load_rows([tmp_path / out]).rows
        scores.append((stored.row.metrics, stored.row.items_sha256))
        for part in (tmp_path / "features").rglob("*.safetensors"):
            content = bytearray(part.read_bytes())
            content[-20:] = bytes(20)
            part.write_bytes(content)
        for choice in (tmp_path / "choices").glob("*.json"):
            choice.write_text("{")
    assert scores[0] == scores[1]
    assert list((tmp_path / "features").rglob("*.damaged"))


USERS = """
import sys, time
from paco_eval.features.cache_locks import alone, in_use, keeping
end = time.monotonic() + float(sys.argv[1])
rounds = 0
while time.monotonic() < end:
    with keeping():
        with alone():
            in_use()
    with alone():
        in_use()
    rounds += 1
print(rounds)
"""


def test_processes_that_come_and_go_do_not_trip_over_each_other(address, tmp_path):
    """Lists of users of the cache vanished between being seen and being opened or removed: FileNotFoundError."""
    for user in [python(USERS, 1.5) for _ in range(4)]:
        status, said = user.ended()
        assert status == 0 and int(said) > 0, said
    assert not list((tmp_path / "users").glob("*.list"))


def test_the_cache_is_listed_and_pruned_with_every_kind(address, tmp_path):
    """Faces, crops and masks were never listed nor pruned, nor what killed writers left there."""
    from click.testing import CliRunner

    from paco_eval.cli import main
    from paco_fr.utils.files import hold

    store(address, keys_of(1), np.ones((1, 2), dtype=np.float32))
    for kind, name in (
        ("faces", "a"),
        ("faces", "held"),
        ("packed", "b"),
        ("masks", "m.png"),
        ("choices", "c.json"),
    ):
        (tmp_path / kind).mkdir(exist_ok=True)
        if "." in name:
            (tmp_path / kind / name).write_text("x")
        else:
            (tmp_path / kind / name).mkdir()
            (tmp_path / kind / name / "part").write_text("x")
    torn = tmp_path / "masks" / ".x.png.999999999.tmp"
    torn.write_text("x")
    os.utime(torn, (1, 1))
    hold(tmp_path / "faces" / "held")
    said = CliRunner().invoke(main, ["cache", "list"]).output
    assert [said.count(f"  {kind} ") for kind in ("features", "faces", "packed", "masks", "choices")] == [
        1,
        2,
        1,
        1,
        1,
    ]
    assert not torn.exists()
    said = CliRunner().invoke(main, ["cache", "prune"]).output
    assert "Removed 5 entries" in said and "a running process uses them" in said
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "users"]
    assert left == [tmp_path / "faces" / "held" / "part"]


@pytest.mark.parametrize(("keys", "values", "said"), [
    (keys_of(1, 2), np.ones((3, 4), np.float32), r"float32 \(3, 4\), expected float32 \(2, ...\)"),
    (keys_of(1, 2), np.ones((1, 4), np.float32), r"expected float32 \(2, ...\)"),
    (keys_of(1, 2), np.ones((2, 3, 4), np.float32), "expected 2 dimensions of mean"),
    (keys_of(1, 2), np.ones(2, np.float32), "expected 2 dimensions of mean"),
    (keys_of(1, 2), np.ones((2, 4), np.float64), "float64"),
    (keys_of(1, 2).astype(np.int64), np.ones((2, 4), np.float32), "keys are int64"),
    (keys_of(1, 1), np.ones((2, 4), np.float32), "two of its features are of one picture"),
])  # fmt: skip
def test_features_of_another_count_rank_or_type_are_not_stored(address, keys, values, said):
    """One feature too many or too few was stored, and spoilt or misaligned every later reading."""
    with pytest.raises(PacoError, match=said):
        store(address, keys, values)
    assert find(address, keys_of(1, 2))[0] is None


def test_parts_of_another_width_are_put_aside(address, capfd):
    """The second width ended every evaluation of that encoder with an error of shapes, for ever."""
    store(address, keys_of(1), np.ones((1, 4), np.float32))
    store(address, keys_of(2), np.ones((1, 5), np.float32))
    found, known = find(address, keys_of(1, 2))
    assert known.sum() == 1 and found is not None
    assert "those beside it" in capfd.readouterr().err
    assert find(address, keys_of(1, 2))[1].tolist() == known.tolist()
