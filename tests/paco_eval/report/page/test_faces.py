"""What is said of faces, class maps, attributes, templates and searches on the page, from rows and their samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paco_eval.report.charts.scores import Items
from paco_eval.report.page.faces import Pictures, hue, matrices, paint
from paco_eval.rows.artefacts import save_arrays
from paco_eval.rows.schema import Definition
from paco_eval.rows.store import load_rows, write_row
from tests.fixtures.made_artefacts import write_samples
from tests.fixtures.made_rows import TASKS, make_row


def matrix(
    run: Path, kind: str, columns: dict[str, Any], samples: dict[str, Any], *, classes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what the page gets of one row with these items and pictures."""
    row, _ = make_row(
        "paco-tiny", TASKS[2], definition=Definition(kind=kind, options={"classes": list(classes)})
    )
    path = write_row(run / "rows", row, pd.DataFrame({"failure": "", "group": "g"} | columns))
    write_samples(path, **samples)
    problems: list[str] = []
    (stored,) = load_rows(run).rows
    (found,) = matrices([("paco-tiny", stored)], Items(), Pictures(), problems.append)
    assert problems == [] and found["kind"] == kind
    return found


def test_attributes_are_named_where_they_are_wrong(tmp_path: Path) -> None:
    columns = {
        "id": ["a", "b"],
        "error": [0.5, 0.0],
        "truth": [[1, 0], [1, 1]],
        "prediction": [[0, 0], [1, 1]],
    }
    found = matrix(
        tmp_path,
        "multilabel",
        columns,
        {"names": ["b", "a"], "roles": ["shared", "worst"]},
        classes=("Bald", "Big_Nose"),
    )
    assert found["bare"] and [column["t"] for column in found["columns"]] == ["Bald, Big Nose"]
    right, worst = found["rows"][0]["cells"]
    assert (right["t"], right["s"]) == ("all right", "")
    assert (worst["t"], worst["s"]) == ("1 of 2 wrong", "no Bald")


def test_class_maps_are_painted_over_the_face(tmp_path: Path) -> None:
    masks = np.zeros((1, 2, 4, 4), np.uint8)
    masks[0, 1, 2:] = 1
    columns = {"id": ["a"], "error": [0.25], "confusion": [[8, 0, 4, 4]]}
    run = tmp_path / "run"
    found = matrix(
        run, "segmentation", columns, {"names": ["a"], "roles": ["shared"]}, classes=("none", "skin")
    )
    assert "img" not in found["rows"][0]["cells"][0] and "keys" not in found  # none were kept
    (samples,) = (run / "rows").glob("*.samples.npz")
    kept = dict(np.load(samples))
    save_arrays(samples, "samples", **kept, masks=masks)
    (stored,) = load_rows(run).rows
    (found,) = matrices([("paco-tiny", stored)], Items(), Pictures(), lambda text: None)
    (cell,), (column,) = found["rows"][0]["cells"], found["columns"]
    assert cell["t"] == "25.0 % wrong" and cell["img"] != column["img"]
    assert [name for name, _ in found["keys"]] == ["skin"]


def test_paint_covers_what_is_no_background() -> None:
    picture, mask = np.full((8, 8, 3), 100, np.uint8), np.zeros((4, 4), np.uint8)
    mask[:2] = 3
    painted = paint(picture, mask)
    assert (painted[4:] == 100).all()
    np.testing.assert_allclose(painted[0, 0], 0.4 * 100 + 0.6 * np.array(hue(3)), atol=0.6)
    assert len({hue(code) for code in range(19)}) == 19


def test_a_search_says_whom_it_takes_and_where_the_person_stands(tmp_path: Path) -> None:
    columns = {
        "id": ["p", "q"], "truth": ["ann", "ben"], "prediction": ["ben", "ben"], "mated": True,
        "above": [5, 0], "equal": [1, 0], "mate_score": [0.1, 0.9],
    }  # fmt: skip
    samples = {
        "names": ["p", "b", "a", "q", "b"], "roles": ["pair"] * 5, "items": ["p", "p", "p", "q", "q"],
        "sides": [0, 1, 2, 0, 1],
    }  # fmt: skip
    (shown,) = matrix(tmp_path, "identification", columns, samples)["sets"]
    assert [len(column["sides"]) for column in shown["columns"]] == [3, 2]
    assert [column["heads"] for column in shown["columns"]] == [
        ["searched", "taken for", "itself"],
        ["searched", "found"],
    ]
    wrong, right = shown["rows"][0]["cells"]
    assert (wrong["t"], wrong["ok"], wrong["s"]) == ("takes ben", False, "itself at place 7")
    assert (right["t"], right["ok"], right["s"]) == ("found", True, "")


def test_templates_are_held_against_pairs_of_two_people(tmp_path: Path) -> None:
    units = np.eye(4)[[0, 0, 1, 2]]
    columns = {
        "id": ["1", "2", "3", "4"], "group": ["x", "x", "y", "z"], "pictures": 1, "embedding": list(units),
    }  # fmt: skip
    samples = {
        "names": ["a", "b", "c", "d"],
        "roles": ["pair"] * 4,
        "items": ["1 2", "1 2", "3 4", "3 4"],
        "sides": [0, 1] * 2,
    }
    (shown,) = matrix(tmp_path, "templates", columns, samples)["sets"]
    same, other = shown["rows"][0]["cells"]
    assert [column["t"] for column in shown["columns"]] == ["one person", "two people"]
    assert (same["t"], same["ok"], same["v"]) == ("accepted", True, 100.0)
    assert (other["t"], other["ok"], other["v"]) == ("rejected", True, 0.0)
