"""Few-shot draws, nearest neighbours, and how they show in rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler, normalize

from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import few_shot
from paco_eval.evaluation.protocols import NotApplicableError, Protocol, Shots, apart
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.probes.solvers import load_solver
from paco_eval.probes.solvers.heatmap import STRENGTHS
from paco_eval.rows.store import load_rows
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tests.claims.reference import reference
from tests.paco_eval.conftest import blob_task, small_pixels, under
from tests.paco_eval.finetune.test_train import small_encoder

PEOPLE = {"people": 60}


def loaded(kind="pose", **options):
    return Data.load(blob_task(kind, reader_options={**PEOPLE, **options}), None)


def parts(data):
    split = data.views["all"][1]
    return split.score[0].fit.indices, split.select[0].held.indices, split.score[0].held.indices


WRITTEN = (
    "frozen",
    "frozen, chosen on recognition/lfw, crop box",
    "frozen, fitted on a, b 0123456789abcdef, limit 60",
    "frozen, crop whole, limit 60, bfloat16",
    "knn, limit 3",
    "heatmap, float16",
    "few-shot 1%",
    "few-shot 0.7%, crop arcface",
    "few-shot 5 per class, limit 100",
    "fine-tune 30 epochs",
    "fine-tune 2 epochs, farl head, crop whole",
    "fine-tune 3 epochs, arcface, fitted on people 0123456789abcdef",
    "sensitivity flip, frozen, chosen on recognition/lfw, limit 60",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_protocol_is_read_and_written_as_rows_have_it(text):
    protocol = Protocol.parse(text)
    assert str(protocol) == text and Protocol.parse(str(protocol)) == protocol


def test_every_protocol_of_the_reference_rows_is_read_and_written():
    texts = {stored.row.protocol for stored in reference()[0]}
    assert texts and {str(Protocol.parse(text)) for text in texts} == texts


@pytest.mark.parametrize(
    "text", ["", "linear", "few-shot 0%", "knn 3 epochs", "frozen 1%", "few-shot 1% 10%", "frozen,"]
)
def test_what_is_no_protocol_of_this_version_is_refused(text):
    with pytest.raises(PacoError):
        Protocol.parse(text)
    assert apart(text) == (text, "")


def test_what_a_protocol_says_is_asked_for_by_options_that_say_the_same():
    for text in WRITTEN:
        protocol = Protocol.parse(text)
        given = dict(pairwise(protocol.options()))
        asked = Protocol.asked(
            given.get("--protocol", "frozen"), shots=given.get("--shots", "1%").split(","),
            epochs=int(given.get("--epochs", 0)), margin=given.get("--margin", ""), head=given.get("--head", "linear"),
            crop=given.get("--crop", ""), limit=int(given["--limit"]) if "--limit" in given else None,
        )  # fmt: skip
        elsewhere = {name: getattr(protocol, name) for name in ("people", "lender", "precision", "varied")}
        assert replace(asked, **elsewhere) == protocol


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("50%", 0.5), ("1%", 0.01)])
def test_a_share_is_of_whole_groups_and_leaves_the_scored_part(text, share):
    data = loaded()
    fit, validation, test = parts(data)
    few = few_shot(data, Shots.parse(text), 0)
    few_fit, few_validation, few_test = parts(few)
    groups = data.views["all"][0].labels["group"].to_numpy()
    assert (
        np.array_equal(test, few_test) and set(few_fit) < set(fit) and set(few_validation) < set(validation)
    )
    for drawn, whole in ((few_fit, fit), (few_validation, validation)):
        assert not set(groups[drawn]) & set(groups[np.setdiff1d(whole, drawn)])  # no group is cut
        assert share * len(whole) <= len(drawn) <= share * len(whole) + 3  # up to one group of three more
    assert (str(few.protocol), few.probe_seed) == (f"few-shot {text}", 0)


def test_draws_differ_by_seed_repeat_and_grow():
    data = loaded()
    small, again, other = (parts(few_shot(data, Shots.parse("20%"), seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(small, again) and not np.array_equal(small, other)
    assert set(small) < set(parts(few_shot(data, Shots.parse("40%"), 0))[0])


def test_so_many_of_each_class():
    data = loaded("classification")
    few = few_shot(data, Shots.parse("4"), 0)
    codes = data.views["all"][0].labels["expression"].to_numpy()
    for drawn in parts(few)[:2]:
        assert dict(zip(*np.unique(codes[drawn], return_counts=True), strict=True)) == {0: 4, 1: 4}
    assert str(few.protocol) == "few-shot 4 per class"


@pytest.mark.parametrize("text", ["0%", "100%", "0", "-3", "half", "5.5", "%"])
def test_shots_that_mean_nothing_are_refused(text):
    with pytest.raises(PacoError, match="percentage below 100"):
        Shots.parse(text)


def test_what_a_protocol_does_not_apply_to_is_said():
    with pytest.raises(NotApplicableError, match="no classes"):
        under(loaded("pose"), "few-shot", shots=("5",), seeds=1)
    with pytest.raises(NotApplicableError, match="compares embeddings"):
        under(loaded("verification"), "knn")
    whole = Data.load(blob_task("verification", split="test_only"), None)
    with pytest.raises(NotApplicableError, match="fits no head"):
        under(whole, "few-shot")


def test_rows_of_few_shot_and_neighbours_stand_apart(tmp_path):
    task, said = blob_task("pose", reader_options=PEOPLE), []
    for protocol in ("frozen", "few-shot", "knn"):
        failed = evaluate_all(
            [small_pixels()], [task, blob_task("verification", split="test_only")][: 1 + (protocol != "frozen")],
            Protocol.asked(protocol, shots=("10%",), seeds=3), out=tmp_path, say=said.append,
        )  # fmt: skip
        assert not failed
    rows = [stored.row for stored in load_rows([tmp_path]).rows]
    assert sorted((row.protocol, row.probe_seed) for row in rows if row.probe_seed is None) == [
        ("frozen", None), ("knn", None)]  # fmt: skip
    few = [row for row in rows if row.protocol == "few-shot 10%"]
    assert sorted(row.probe_seed for row in few) == [0, 1, 2]
    whole = next(row for row in rows if row.protocol == "frozen")
    assert all(row.main.value > whole.main.value for row in few)  # fewer pictures, larger error
    assert len({row.main.value for row in few}) == 3 and {row.n_scored for row in rows} == {whole.n_scored}
    assert sum(line.startswith("Left out verification/blobs") for line in said) == 2
    assert any("few-shot 10%, draw 2" in line for line in said)


@pytest.mark.parametrize("kind", ["pose", "classification", "landmarks"])
def test_neighbours_beat_the_constant(kind, tmp_path):
    task = blob_task(kind, reader_options=PEOPLE)
    evaluate_all([small_pixels(), Constant()], [task], Protocol("knn"), out=tmp_path, say=lambda _: None)
    rows = {stored.row.encoder: stored.row for stored in load_rows([tmp_path]).rows}
    better = 1 if rows["pixels"].main.higher_is_better else -1
    assert better * rows["pixels"].main.value > better * rows["constant"].main.value
    assert rows["pixels"].chosen["strength"] in (100.0, 50.0, 20.0, 10.0, 5.0, 1.0)


def test_heat_maps_beat_the_constant_and_the_row_says_so(tmp_path):
    task, said = blob_task("landmarks", reader_options=PEOPLE), []
    tasks = [task, blob_task("pose")]
    assert (
        evaluate_all([Pixels(), Constant()], tasks, Protocol("heatmap"), out=tmp_path, say=said.append) == []
    )
    rows = {stored.row.encoder: stored.row for stored in load_rows([tmp_path]).rows}
    assert rows["pixels"].protocol == "heatmap" and rows["pixels"].command.endswith("--protocol heatmap")
    assert rows["pixels"].main.value < 0.7 * rows["constant"].main.value
    assert rows["pixels"].chosen["reduction"] == "tokens" and rows["pixels"].chosen["strength"] in STRENGTHS
    assert any(line.startswith("Left out pose/blobs: it has no points") for line in said)


def test_heat_maps_and_linear_heads_both_read_points_off_frozen_tokens(tmp_path):
    """Of an untrained transformer, whose tokens still say where they are."""
    task, encoder, errors = blob_task("landmarks", reader_options=PEOPLE), small_encoder(), {}
    for protocol in ("frozen", "heatmap"):
        assert not evaluate_all([encoder], [task], Protocol(protocol), out=tmp_path, say=lambda _: None)
    assert not evaluate_all([Constant()], [task], out=tmp_path, say=lambda _: None)
    for stored in load_rows([tmp_path]).rows:
        errors[stored.row.encoder, stored.row.protocol] = stored.row.main.value
    assert max(errors["narrow", "frozen"], errors["narrow", "heatmap"]) < 0.5 * errors["constant", "frozen"]


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_neighbours_equal_those_of_scikit_learn(neighbours):
    rng = generator("knn")
    x, new = rng.normal(size=(90, 6)), rng.normal(size=(40, 6))
    codes, numbers = rng.integers(0, 4, 90), rng.normal(size=(90, 2))
    scale = StandardScaler().fit(x)
    near, far = normalize(scale.transform(x)), normalize(scale.transform(new))

    def weights(distances):  # of unit vectors, d^2 = 2 - 2 cosine
        return np.exp((1 - distances**2 / 2) / 0.07)

    fit = load_solver("knn")
    shares = fit(x, codes).outputs(new, neighbours)
    theirs = KNeighborsClassifier(neighbours, weights=weights).fit(near, codes).predict_proba(far)
    np.testing.assert_allclose(shares, theirs, atol=1e-9)
    means = fit(x, numbers).outputs(new, neighbours)
    theirs = KNeighborsRegressor(neighbours, weights=weights).fit(near, numbers).predict(far)
    np.testing.assert_allclose(means, theirs, atol=1e-9)
    path = fit(x, codes)
    at = path.strengths.index(neighbours)
    np.testing.assert_array_equal(list(path.all_outputs(new))[at], shares)


def test_neighbours_refuse_what_is_broken():
    with pytest.raises(PacoError, match="not finite in row 1"):
        load_solver("knn")([[1.0], [np.nan]], [0, 1])
    with pytest.raises(PacoError, match="3 targets for 2 units"):
        load_solver("knn")([[1.0], [2.0]], [0, 1, 1])
