"""Split roles: disjoint by unit and by group, and a type checker that refuses the wrong order."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mypy import api

from paco_fr.utils.errors import PacoError
from tasks.splits import (
    Fold,
    Split,
    Test,
    Train,
    Validation,
    check,
    from_column,
    selection_only,
    subject_folds,
)


def people(n: int, each: int = 3) -> list[str]:
    return [f"person{i // each:03d}" for i in range(n * each)]


def assert_honest(split: Split, groups: list[str]) -> None:
    name = np.asarray(groups)
    scored = np.concatenate([fold.held.indices for fold in split.score])
    assert len(scored) == len(set(scored.tolist()))
    for fold in split.score:
        assert not set(name[fold.fit.indices]) & set(name[fold.held.indices])
    for fold in split.select:
        assert not set(name[fold.fit.indices]) & set(name[fold.held.indices])
        assert not (set(name[fold.fit.indices]) | set(name[fold.held.indices])) & set(name[scored])


def test_official_parts_are_kept():
    column = ["train", "test", "validation", "train"]
    split = from_column(column, ["a", "b", "c", "a"])
    assert split.select[0].fit.indices.tolist() == [0, 3]
    assert split.select[0].held.indices.tolist() == [2]
    assert split.score[0].fit.indices.tolist() == [0, 3]
    assert split.score[0].held.indices.tolist() == [1]
    assert "official" in split.note


def test_validation_is_carved_by_the_stated_rule():
    groups = people(60)
    split = from_column(["train"] * 150 + ["test"] * 30, groups)
    expected = [i for i in range(150) if int(hashlib.sha256(groups[i].encode()).hexdigest(), 16) % 10 == 0]
    assert split.select[0].held.indices.tolist() == expected
    assert "sha256" in split.note
    assert_honest(split, groups)


def test_a_tiny_train_part_still_gives_one_group_to_validation():
    groups = ["a", "b", "c"]
    assert all(int(hashlib.sha256(g.encode()).hexdigest(), 16) % 10 for g in groups)
    split = from_column(["train", "train", "test"], groups)
    assert len(split.select[0].held) == 1
    assert "smallest" in split.note


@pytest.mark.parametrize(
    ("column", "groups", "message"),
    [
        (["train", "val", "test"], "abc", "'val' is none of"),
        (["train", "train", "validation"], "abc", "no test part"),
        (["test", "test", "validation"], "abc", "no train part"),
        (["train", "test", "validation"], "aab", "Group 'a'"),
        (["train", "test", "validation"], "abb", "Group 'b'"),
        (["train", "test"], "ab", "too few groups"),
    ],
)
def test_bad_columns_are_named(column, groups, message):
    with pytest.raises(PacoError, match=message):
        from_column(column, list(groups))


def test_hash_tells_lists_apart():
    groups = ["a", "b", "c"]
    one = from_column(["train", "validation", "test"], groups)
    assert one.list_hash == from_column(["train", "validation", "test"], groups).list_hash
    assert one.list_hash != from_column(["validation", "train", "test"], groups).list_hash
    assert one.list_hash != from_column(["train", "validation", "test"], ["a", "b", "d"]).list_hash


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(2, 15), st.integers(2, 6), st.integers(0, 5))
def test_subject_folds(selection, scored, folds, seed):
    groups = people(selection + scored)
    mask = np.arange(len(groups)) < 3 * selection
    split = subject_folds(mask, groups, folds, seed)
    assert_honest(split, groups)
    held = np.concatenate([fold.held.indices for fold in split.score])
    assert sorted(held.tolist()) == np.flatnonzero(~mask).tolist()
    assert len(split.score) == min(folds, scored)
    for fold in split.score:
        assert set(np.flatnonzero(mask)) <= set(fold.fit.indices)
        assert len(fold.fit) + len(fold.held) == len(groups)
    assert split.list_hash == subject_folds(mask, groups, folds, seed).list_hash


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(1, 9), st.integers(2, 4))
def test_selection_only_never_fits_scored_people(selection, scored, folds):
    groups = people(selection + scored)
    mask = np.arange(len(groups)) < 3 * selection
    split = selection_only(mask, groups, folds)
    assert_honest(split, groups)
    (fold,) = split.score
    assert fold.fit.indices.tolist() == np.flatnonzero(mask).tolist()
    assert fold.held.indices.tolist() == np.flatnonzero(~mask).tolist()
    assert len(split.select) == min(folds, selection) >= 2


def test_one_selection_person_is_too_few():
    with pytest.raises(PacoError, match="at least 2"):
        selection_only([True, True, False, False], ["a", "a", "b", "b"])


def test_check_refuses_every_leak():
    def roles(*indices):
        return [np.array(i) for i in indices]

    fit, val, test = roles([0], [1], [2])
    good = [Fold(Train(fit), Validation(val))], [Fold(Train(fit), Test(test))]
    check(*good, groups=["a", "b", "c"], note="")
    with pytest.raises(PacoError, match="fitted and the held"):
        check(*good, groups=["a", "a", "c"], note="")
    with pytest.raises(PacoError, match="choosing and the scored"):
        check(*good, groups=["a", "c", "c"], note="")
    with pytest.raises(PacoError, match="scored twice"):
        check(good[0], good[1] * 2, groups=["a", "b", "c"], note="")
    with pytest.raises(PacoError, match="at least one"):
        check([], good[1], groups=["a", "b", "c"], note="")
    with pytest.raises(PacoError, match="also fitted on"):
        Fold(Train(np.array([0, 1])), Test(np.array([1])))
    with pytest.raises(PacoError, match="empty"):
        Fold(Train(np.array([0])), Test(np.array([], dtype=int)))


SNIPPET = """
from tasks.splits import Fold, Split, Test, Validation

def choose(folds: tuple[Fold[Validation], ...]) -> None: ...
def score(fold: Fold[Test]) -> None: ...

def run(split: Split) -> None:
    choose(split.select)
    score(split.score[0])
    choose(split.score)
    score(split.select[0])
    validation: Validation = split.score[0].held
    validation = split.score[0].fit
"""


def test_mypy_refuses_the_test_part_where_validation_is_needed(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    monkeypatch.chdir(root)
    monkeypatch.setenv("MYPYPATH", str(root))
    options = ["--config-file=", "--follow-imports=skip", f"--python-executable={sys.executable}"]
    out, err, _ = api.run(
        [*options, str(snippet), "tasks/splits.py"]
    )  # what numpy and pandas are is not asked
    assert not err, err
    lines = [
        int(line.split(":")[1])
        for line in out.splitlines()
        if f"{snippet.name}:" in line and ": error:" in line
    ]
    assert lines == [10, 11, 12, 13], out
