"""Rows survive writing, crashes and other people's editors; what cannot be trusted is said aloud."""

from __future__ import annotations

import json
import threading
from itertools import count
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from pydantic import ValidationError

from paco_eval.rows import schema
from paco_eval.rows import store as rows_module
from paco_eval.rows.schema import IDENTIFYING, Metric, row_key, row_schema
from paco_eval.rows.store import (
    SAMPLES,
    find_row,
    items_path,
    load_results,
    load_rows,
    read_items,
    read_row,
    whole_row,
    write_row,
)
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_rows import make_row, write_run

SCHEMA_FILE = Path(rows_module.__file__).parent / "row.schema.json"


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_and_sign(path: Path, **changes: object) -> None:
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**content, "digest": rows_module._digest(content)}))


def test_committed_schema_is_the_models() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == row_schema(), (
        "write json.dumps(row_schema(), indent=1) to paco_eval/rows/row.schema.json"
    )


def test_every_field_of_the_schema_is_documented() -> None:
    found = row_schema()
    for part in (found, *found["$defs"].values()):
        assert all("description" in field for field in part["properties"].values()), part["title"]


def test_round_trip_and_json_schema(tmp_path: Path) -> None:
    row, items = make_row()
    path = write_row(tmp_path / "rows", row, items)
    jsonschema.validate(json.loads(path.read_text()), json.loads(SCHEMA_FILE.read_text()))
    again = read_row(path)
    assert again.model_copy(update={"items_sha256": "", "digest": ""}) == row
    pd.testing.assert_frame_equal(read_items(path), items)
    named = f"{row.key}.{again.items_sha256[:8]}.items.parquet"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([named, f"{row.key}.json"])


def test_key_changes_with_each_identifying_field_and_with_no_other() -> None:
    row, _ = make_row()
    fields = row.model_dump(include=set(IDENTIFYING))
    assert row_key(fields) == row.key
    for name in IDENTIFYING:
        assert row_key({**fields, name: "another"}) != row.key, name
    assert make_row(commit="f" * 12, timings={"fit": 9.0})[0].key == row.key


def test_defaults_count_in_the_key() -> None:
    assert make_row()[0].key == make_row(split="test", subset="all")[0].key


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"value": 101.0, "unit": "%"}, "outside 0..100"),
        ({"value": -0.1, "unit": "deg"}, "outside 0..180"),
        ({"value": 1.01, "unit": ""}, "outside 0..1"),
        ({"value": 0.5, "low": 0.7, "high": 0.8, "unit": ""}, "does not belong to its interval"),
        ({"value": 0.5, "low": 0.6, "high": 0.4, "unit": ""}, "does not belong to its interval"),
        ({"value": 0.5, "low": 0.4, "unit": ""}, "both ends"),
        ({"value": None, "low": 0.4, "high": 0.5, "unit": ""}, "and a value"),
        ({"value": float("nan"), "unit": ""}, "finite"),
    ],
)
def test_impossible_metrics_are_refused(metric: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Metric(higher_is_better=True, **metric)


def test_an_error_in_percent_may_exceed_100() -> None:
    assert Metric(value=140.0, higher_is_better=False, unit="%").value == 140


def test_undefined_is_not_zero() -> None:
    assert Metric(value=None, higher_is_better=True, unit="").value is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"family": "landmarks"}, "family"),
        ({"main_metric": "auc"}, "main_metric"),
        ({"n_scored": 999}, "exceeds"),
        ({"interval": None}, "how it was made"),
        ({"key": "0" * 16}, "key does not fit"),
        ({"surprise": 1}, "Extra inputs"),
        ({"data_kind": "guess"}, "official"),
    ],
)
def test_inconsistent_rows_are_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make_row(**changed)


def test_items_need_id_and_group(tmp_path: Path) -> None:
    row, items = make_row()
    with pytest.raises(PacoError, match="lack the column group"):
        write_row(tmp_path, row, items.drop(columns="group"))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("a file stands where the folder should be")
    with pytest.raises(PacoError, match="Cannot write a row"):
        write_row(tmp_path / "rows", *make_row())


def test_a_row_stays_whole_when_its_writer_dies_between_items_and_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old row kept its file but lost its items to those of the row that was never written."""
    row, items = make_row()
    path = write_row(tmp_path, row, items, beside={SAMPLES: b"old"})
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(rows_module, "write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_row(tmp_path, row, items.assign(error=0.0), beside={SAMPLES: b"new"})
    monkeypatch.undo()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    pd.testing.assert_frame_equal(read_items(path), items)
    assert find_row(path).beside(SAMPLES).read_bytes() == b"old" and whole_row(path) is not None
    write_row(tmp_path, row, items, beside={SAMPLES: b"old"})
    assert sorted(tmp_path.iterdir()) == before, "the next write removes what the dead one left"


def test_a_reader_beside_a_writer_sees_one_row_or_the_other(tmp_path: Path) -> None:
    """Items and rows of two writes were mixed in nearly every read."""
    row, items = make_row()
    path = write_row(tmp_path, row, items)
    stop = threading.Event()

    def write() -> None:
        for number in count():
            write_row(
                tmp_path, row.model_copy(update={"n_scored": number % 2}), items.assign(error=number % 2)
            )
            if stop.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            assert read_items(path)["error"].nunique() > 0
            stored = find_row(path)
            assert set(stored.items()["error"]) <= {0, 1, *items["error"]}
    finally:
        stop.set()
        writer.join()
    assert (read_items(path)["error"] == read_row(path).n_scored).all()


@pytest.mark.parametrize("kind", ["json", "items.parquet", "samples.npz"])
def test_a_damaged_row_is_put_aside_and_is_to_be_measured_again(kind: str, tmp_path: Path, capsys) -> None:
    """Rows whose file, items or samples were cut, missing or of another row counted as "already measured"."""
    row, items = make_row()
    path = write_row(tmp_path, row, items, beside={SAMPLES: b"faces"})
    (part,) = tmp_path.glob(f"*{kind}")
    whole = part.read_bytes()
    for content in (b"", whole[:-2], bytes([whole[0] ^ 1]) + whole[1:]):
        part.write_bytes(content)
        assert whole_row(path) is None and not part.exists()
        assert part.with_name(f"{part.name}.damaged").read_bytes() == content
        assert capsys.readouterr().err.count("\n") == 1
        assert whole_row(path) is None, "and stays so until it is written again"
        capsys.readouterr()
        write_row(tmp_path, row, items, beside={SAMPLES: b"faces"})
        assert whole_row(path) is not None and part.read_bytes() == whole


def test_a_row_of_a_later_version_is_not_put_aside(tmp_path: Path) -> None:
    row, items = make_row()
    path = write_row(tmp_path, row, items)
    edit_and_sign(path, schema=schema.SCHEMA + 1)
    with pytest.raises(PacoError, match="Upgrade"):
        whole_row(path)
    assert path.exists()


def test_items_under_the_name_of_earlier_versions_are_read(tmp_path: Path) -> None:
    row, items = make_row()
    path = write_row(tmp_path, row, items)
    items_path(path).rename(path.with_name(f"{row.key}.items.parquet"))
    pd.testing.assert_frame_equal(read_items(path), items)
    assert whole_row(path) is not None
    write_row(tmp_path, row, items.assign(error=0.5))
    write_row(tmp_path, row, items.assign(error=0.25))
    assert not path.with_name(f"{row.key}.items.parquet").exists() and len(list(tmp_path.iterdir())) == 3


def test_bad_rows_are_told_and_the_rest_still_comes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", encoders=["paco-tiny"])
    files = sorted((run / "rows").glob("*.json"))
    assert len(files) == 6
    files[0].write_text(files[0].read_text()[:300])  # truncated
    edit(files[1], n_scored=3)  # by hand
    edit_and_sign(files[2], schema=99)  # from the future
    edit_and_sign(files[3], unknown_field=1)
    files[4].write_text("[]")
    loaded = load_rows(run)
    assert [stored.path for stored in loaded.rows] == [files[5]]
    said = "\n".join(loaded.problems)
    for words in ("no readable row", "does not fit its digest", "row format 99", "Extra inputs", "not a row"):
        assert words in said
    with pytest.warns(UserWarning, match="row format 99"):
        frame = load_results(run)
    assert len(frame) == 2 and len(frame.attrs["problems"]) == 5


def test_an_edit_of_an_identifying_field_cannot_be_signed_away(tmp_path: Path) -> None:
    path = write_row(tmp_path, *make_row())
    edit_and_sign(path, encoder="mine")
    with pytest.raises(PacoError, match="key does not fit"):
        read_row(path)


def test_old_formats_stay_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_row(tmp_path, *make_row())
    now = schema.SCHEMA
    for module in (schema, rows_module):
        monkeypatch.setattr(module, "SCHEMA", now + 1)
    monkeypatch.setitem(
        schema.UPGRADES, now, lambda fields: {**fields, "schema": now + 1, "commit": "upgraded"}
    )
    assert read_row(path).commit == "upgraded"


def test_rows_of_the_first_format_are_read(tmp_path: Path) -> None:
    path = write_row(tmp_path, *make_row())
    first = {name: value for name, value in json.loads(path.read_text()).items() if name != "retrain"}
    path.write_text(json.dumps(first))
    edit_and_sign(path, schema=1)
    row = read_row(path)
    assert row.schema_version == schema.SCHEMA and row.retrain == ""
    edit_and_sign(path, schema=0)
    with pytest.raises(PacoError, match="row format 0 does not exist"):
        read_row(path)


def test_merging(tmp_path: Path) -> None:
    row, items = make_row()
    write_row(tmp_path / "a", row, items)
    write_row(tmp_path / "b", row.model_copy(update={"commit": "other machine"}), items)
    loaded = load_rows([tmp_path / "a", tmp_path / "b"])
    assert [stored.row.commit for stored in loaded.rows] == [row.commit]
    assert loaded.problems == []
    other = row.metrics | {"mae": row.main.model_copy(update={"value": row.main.value + 0.01})}
    write_row(tmp_path / "b", row.model_copy(update={"metrics": other}), items)
    loaded = load_rows([tmp_path / "a", tmp_path / "b"])
    assert len(loaded.rows) == 1 and "disagrees" in loaded.problems[0]


def test_rows_come_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    """They came in that of their keys, so that a draw of seeds, and an interval, depended on what a hash came to."""
    for seed in (2, 0, 1):
        for draw in (1, 2, 0):
            write_row(tmp_path / str(9 - seed), *make_row(seed=seed, probe_seed=draw))
    found = [(stored.row.pretrain_seed, stored.row.probe_seed) for stored in load_rows(tmp_path).rows]
    assert found == [(seed, draw) for seed in range(3) for draw in range(3)]


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    loaded = load_rows([tmp_path, tmp_path / "absent"])
    assert loaded.rows == [] and len(loaded.problems) == 2
    with pytest.warns(UserWarning, match="no rows"):
        assert "metric" in load_results(tmp_path).columns


def test_removed_items_are_an_error(tmp_path: Path) -> None:
    path = write_row(tmp_path, *make_row())
    items_path(path).unlink()
    with pytest.raises(PacoError, match="cannot be read"):
        read_items(path)
