"""Lists of pairs, pooled templates and galleries against slow plain versions."""

import numpy as np
import pandas as pd
import pytest

from paco_fr.contracts import CROPS
from paco_fr.utils.errors import PacoError
from tasks.kinds import load_kind
from tasks.kinds.shared.embeddings import pair_products, pooled, scores_of_pairs
from tasks.kinds.templates import FARS, compare
from tasks.lists import PairList, SearchList, positions, restrict
from tasks.metrics.verification import falling, rates_at, tar_at_far, tar_nearest
from tasks.task import FromData, Task, bind, option_hashes

NO_FOLDS = np.empty(0, np.int64)


def declare(kind: str, main_metric: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], main_metric, "", "", options=options)


def values(task: Task, items: pd.DataFrame) -> dict[str, float]:
    return {metric.name: metric.value(items) for metric in load_kind(task.kind).metrics(task)}


# --- lists of pairs ----------------------------------------------------------------------------------


def listed(n: int = 40) -> tuple[pd.DataFrame, PairList]:
    """Return labels without identities, as of a .bin set, and pairs of consecutive pictures."""
    ids = np.array([f"{i:03d}" for i in range(2 * n)])
    labels = pd.DataFrame({"unit_id": ids, "group": [f"pair {i // 2}" for i in range(2 * n)]})
    same = np.arange(n) % 2 == 0
    return labels, PairList(ids[::2], ids[1::2], same, NO_FOLDS, "made")


def test_list_mode_follows_the_list():
    labels, pairs = listed()
    task, kind = (
        declare("verification", "accuracy_10fold", pairs="list", pair_list=pairs),
        load_kind("verification"),
    )
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(80, 6))
    items = kind.items(outputs, labels, task)
    unit = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    np.testing.assert_allclose(items["score"], (unit[::2] * unit[1::2]).sum(1))
    assert items["truth"].tolist() == pairs.same.tolist()
    assert items["fold"].tolist() == np.repeat(range(10), 4).tolist()
    order = rng.permutation(80)
    moved = kind.items(outputs[order], labels.iloc[order].reset_index(drop=True), task)
    pd.testing.assert_frame_equal(items, moved)
    perfect = values(task, kind.items(kind.perfect(labels, task), labels, task))
    assert perfect["accuracy_10fold"] == perfect["tar@far=1e-3"] == perfect["val_10fold@far=1e-3"] == 100.0
    outputs[0] = np.nan
    failed = kind.items(outputs, labels, task)
    assert (failed["failure"] != "").tolist() == [True] + [False] * 39
    assert np.isnan(failed["score"].iloc[0])


def test_official_folds_win_over_consecutive_ones():
    labels, pairs = listed(20)
    fold = np.arange(20) % 4
    task = declare("verification", "accuracy_10fold", pairs="list",
                   pair_list=PairList(pairs.first, pairs.second, pairs.same, fold, "made"))  # fmt: skip
    items = load_kind("verification").items(np.eye(40), labels, task)
    assert items["fold"].tolist() == fold.tolist()
    assert items["id"].iloc[1] == "002|003#1"


def test_a_limit_loses_no_pair_whose_pictures_are_there():
    """Names were cut to the width of the first column's, and their pairs lost."""
    labels = pd.DataFrame({"unit_id": ["amy/1.png", "amy/2.png", "christopher/1.png"]})
    first, second = np.array(["amy/1.png"] * 2), np.array(["amy/2.png", "christopher/1.png"])
    pairs = PairList(first, second, np.array([True, False]), NO_FOLDS, "made")
    left = restrict(declare("verification", "auc", pairs="list", pair_list=pairs), labels)
    assert left.options["pair_list"].hash == pairs.hash


def test_unbound_or_foreign_lists_are_errors():
    labels, pairs = listed()
    kind = load_kind("verification")
    with pytest.raises(PacoError, match="was not read"):
        kind.items(
            np.eye(80), labels, declare("verification", "auc", pairs="list", pair_list=FromData("a:b"))
        )
    task = declare("verification", "auc", pairs="list", pair_list=pairs)
    with pytest.raises(PacoError, match=r"made: '079'.*not among the 79"):
        kind.items(np.eye(79), labels.iloc[:79], task)
    left = restrict(task, labels.iloc[:7])
    assert len(left.options["pair_list"]) == 3
    with pytest.raises(PacoError, match="Raise the limit"):
        restrict(task, labels.iloc[:1])
    with pytest.raises(PacoError, match="lengths"):
        PairList(pairs.first, pairs.second[1:], pairs.same, NO_FOLDS, "made")
    other = PairList(pairs.first, pairs.second, ~pairs.same, NO_FOLDS, "elsewhere")
    assert option_hashes(task)["pair_list"] == pairs.hash != other.hash
    assert bind(task, None) is task


def test_positions():
    np.testing.assert_array_equal(positions(np.array([5, 3, 9]), np.array([9, 9, 5]), ""), [2, 2, 0])


# --- templates ---------------------------------------------------------------------------------------


def pictures(n: int = 300, templates: int = 23, dim: int = 7, seed: int = 0):
    rng = np.random.default_rng(seed)
    template = np.concatenate([np.arange(templates), rng.integers(0, templates, n - templates)]) * 10
    media = template * 3 + rng.integers(0, 4, n)
    return rng.normal(size=(n, dim)).astype(np.float32), template, media, rng.uniform(0.3, 1.0, n)


def plain_pooled(outputs, template, media, score):
    """Pool one template after the other, one medium after the other."""
    found = []
    for number in np.unique(template):
        total = np.zeros(outputs.shape[1])
        for medium in np.unique(media[template == number]):
            rows = np.flatnonzero((template == number) & (media == medium))
            total += np.mean(outputs[rows].astype(float) * score[rows, None], axis=0)
        if not np.isfinite(total).all():  # lost with any of its pictures
            total = np.zeros(outputs.shape[1])
        length = np.linalg.norm(total)
        found.append(total / length if length else total)
    return np.array(found)


@pytest.mark.parametrize("rows", [7, 8192])
def test_pooling_against_a_plain_loop(rows, monkeypatch):
    monkeypatch.setattr("tasks.kinds.shared.embeddings.ROWS", rows)
    outputs, template, media, score = pictures()
    outputs[[3, 50]] = np.nan
    outputs[template == 40] = np.nan
    found = pooled(outputs, template, media, score)
    assert found.numbers.tolist() == np.unique(template).tolist()
    np.testing.assert_allclose(found.units, plain_pooled(outputs, template, media, score), atol=1e-6)
    assert found.units.dtype == np.float32
    gone = {template[3], template[50], 40}
    assert (found.lost == np.isin(found.numbers, list(gone))).all()
    assert found.pictures.sum() == len(template)
    order = np.random.default_rng(1).permutation(len(template))
    moved = pooled(outputs[order], template[order], media[order], score[order])
    np.testing.assert_allclose(moved.units, found.units, atol=1e-6)


def test_long_lists_of_pairs_are_scored_alike(monkeypatch):
    units = np.random.default_rng(0).normal(size=(60, 5))
    first, second = np.random.default_rng(1).integers(0, 60, (2, 4000))
    expected = (units[first] * units[second]).sum(1)
    np.testing.assert_allclose(pair_products(units, first, second), expected, atol=1e-12)
    for rows in (1, 8192):  # blocks of one row, and all rows at once
        monkeypatch.setattr("tasks.kinds.shared.embeddings.ROWS", rows)
        np.testing.assert_allclose(scores_of_pairs(units, first, second), expected, atol=1e-12)


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("far", [1e-3, 0.02, 0.1, 0.37, 1.0])
def test_rates_agree_with_those_of_items(far, decimals):
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.3
    score = np.round(rng.normal(size=300) + truth, decimals)
    items = pd.DataFrame(
        {"group_a": "a", "group_b": np.arange(300).astype(str), "score": score, "truth": truth}
    )
    found = rates_at((far,), falling(score, items_codes(300), truth), np.ones((1, 301)))[:, 0, 0]
    assert found == pytest.approx([metric.value(items) for metric in (*tar_at_far(far), tar_nearest(far))])


def items_codes(n: int) -> np.ndarray:
    """Return the groups of pairs of one person with n others."""
    return np.stack([np.full(n, n), np.arange(n)], axis=1)


def test_rates_without_a_class_are_undefined():
    for truth in (True, False):
        pairs = falling(np.array([0.1, 0.9]), items_codes(2), np.full(2, truth))
        assert np.isnan(rates_at(FARS, pairs, np.ones((2, 3)))).all()


def ijb_labels():
    outputs, template, media, score = pictures()
    columns = {"template": template.astype(str), "media": media.astype(str), "detector_score": score}
    names = [f"{i}.jpg" for i in range(300)]
    return outputs, pd.DataFrame({"unit_id": names, "group": template.astype(str)} | columns)


def test_templates_kind():
    outputs, labels = ijb_labels()
    numbers = np.arange(23) * 10
    first, second = (side.ravel() for side in np.meshgrid(numbers, numbers))
    pairs = PairList(first, second, (first // 20) == (second // 20), NO_FOLDS, "made")
    task, kind = declare("templates", "tar@far=1e-4", pair_list=pairs), load_kind("templates")
    items = kind.items(outputs, labels, task)
    assert len(items) == 23
    unit = plain_pooled(
        outputs, *(labels[c].to_numpy().astype(float) for c in ("template", "media", "detector_score"))
    )
    expected = rates_at(FARS, compare(unit, numbers, pairs)[0], np.ones((1, 23)))[0, 0, -1]
    found = values(task, items)
    assert found["tar@far=1e-1"] == pytest.approx(expected)
    perfect = values(task, kind.items(kind.perfect(labels, task), labels, task))
    assert all(perfect[f"tar@far={far}"] == 100.0 for far in ("1e-6", "1e-4", "1e-1"))
    assert perfect["achieved_far@1e-4"] == perfect["collapsed"] == 0.0
    lost = kind.items(np.full(outputs.shape, np.nan), labels, task)
    assert (lost["failure"] != "").all()
    assert values(task, lost)["collapsed"] == 1.0
    with pytest.raises(PacoError, match="no column 'media'"):
        kind.items(outputs, labels.drop(columns="media"), task)


# --- identification ----------------------------------------------------------------------------------


def people(persons: int = 9, each: int = 5) -> pd.DataFrame:
    who = np.repeat(np.arange(persons), each)
    return pd.DataFrame(
        {
            "unit_id": [f"u{i:02d}" for i in range(persons * each)],
            "group": [f"s{p}" for p in who],
            "identity": [f"s{p}" for p in who],
            "media": np.tile(np.arange(1, each + 1), persons).astype(str),
        }
    )


def test_identification_against_argmax():
    labels = people()
    task, kind = declare("identification", "rank1", gallery_media=("1", "2")), load_kind("identification")
    outputs = np.random.default_rng(0).normal(size=(45, 6)) + np.repeat(np.eye(9, 6), 5, axis=0)
    items = kind.items(outputs, labels, task)
    unit = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    gallery = labels["media"].isin(["1", "2"]).to_numpy()
    table = (unit[~gallery] @ unit[gallery].T).reshape(27, 9, 2).max(axis=2)  # the best of two entries
    own = np.repeat(np.arange(9), 3)
    assert (items["prediction"] == [f"s{p}" for p in table.argmax(1)]).all()
    place = (table > table[np.arange(27), own][:, None]).sum(1)
    assert items["above"].tolist() == place.tolist()
    found = values(task, items)
    assert found["rank1"] == pytest.approx(100 * np.mean(place == 0))
    assert found["rank5"] == pytest.approx(100 * np.mean(place < 5))
    others = table.copy()
    others[np.arange(27), own] = -np.inf
    threshold = np.sort(others.ravel())[::-1][int(np.ceil(0.1 * 27)) - 1]
    assert found["tpir@fpir=1e-1"] == pytest.approx(100 * np.mean(table[np.arange(27), own] > threshold))
    assert "tpir_nonmated@fpir=1e-1" not in found


def test_search_in_blocks_is_the_same_search(monkeypatch):
    labels = people(20, 6)
    task, kind = (
        declare("identification", "rank1", gallery_media=("1",), unenrolled=0.3),
        load_kind("identification"),
    )
    outputs = np.random.default_rng(0).normal(size=(120, 4))
    whole = kind.items(outputs, labels, task)
    monkeypatch.setattr("tasks.kinds.identification.SEARCHES", 7)
    pd.testing.assert_frame_equal(kind.items(outputs, labels, task), whole)


def test_unenrolled_people_are_searched_in_vain():
    labels = people(20)
    task, kind = (
        declare("identification", "rank1", gallery_media=("1",), unenrolled=0.3),
        load_kind("identification"),
    )
    items = kind.items(kind.perfect(labels, task), labels, task)
    assert 0 < items["mated"].mean() < 1
    assert items["nonmated_score"].notna().tolist() == (~items["mated"]).tolist()
    perfect = values(task, items)
    assert perfect["tpir_nonmated@fpir=1e-2"] == perfect["rank1"] == 100.0
    assert perfect["achieved_fpir@1e-2"] == 0.0


def test_constant_embeddings_identify_by_chance_and_failures_nobody():
    labels = people()
    task, kind = declare("identification", "rank1", gallery_media=("1",)), load_kind("identification")
    found = values(task, kind.items(np.ones((45, 3)), labels, task))
    assert found["rank1"] == pytest.approx(100 / 9)
    assert found["rank5"] == pytest.approx(500 / 9)
    assert found["tpir@fpir=1e-1"] == 0.0
    few = labels[(labels["media"] == "1") | (labels["group"] == labels["group"].iloc[0])].reset_index(
        drop=True
    )
    items = kind.items(np.ones((len(few), 3)), few, task)  # one person alone is searched for
    assert values(task, items)["rank1"] == pytest.approx(kind.chance(items, task)) == pytest.approx(100 / 9)
    outputs = np.array(kind.perfect(labels, task), dtype=float)
    outputs[1] = np.nan  # a probe
    items = kind.items(outputs, labels, task)
    assert (items["failure"] != "").sum() == 1
    assert values(task, items)["rank1"] == pytest.approx(100 * 35 / 36)
    with pytest.raises(PacoError, match="0 gallery pictures"):
        kind.items(outputs, labels, declare("identification", "rank1", gallery_media=("9",)))


def test_two_galleries_of_templates():
    outputs, labels = ijb_labels()
    numbers = np.arange(23) * 10
    subject = (
        np.arange(23) % 12
    )  # templates 0-11 enrol, 12-22 search; subjects 0-5 in one gallery, 6-11 in the other
    which = (subject[:12] >= 6).astype(np.int64)
    listed = SearchList(numbers[:12], subject[:12], which, numbers[12:], subject[12:], "made")
    task, kind = declare("identification", "rank1", search_list=listed), load_kind("identification")
    items = kind.items(outputs, labels, task)
    assert len(items) == 11
    assert items["mated"].all()
    unit = pooled(
        outputs, *(labels[c].to_numpy().astype(float) for c in ("template", "media", "detector_score"))
    ).units
    table = (unit[12:] @ unit[:12].T).astype(float)
    for q in range(11):
        own = subject[12 + q]
        assert items["mate_score"].iloc[q] == pytest.approx(table[q, own], abs=1e-6)
        other = table[q, which != which[own]]  # the gallery without the subject
        assert items["nonmated_score"].iloc[q] == pytest.approx(other.max(), abs=1e-6)
    perfect = values(task, kind.items(kind.perfect(labels, task), labels, task))
    assert perfect["rank1"] == perfect["tpir@fpir=1e-2"] == perfect["tpir_nonmated@fpir=1e-2"] == 100.0
