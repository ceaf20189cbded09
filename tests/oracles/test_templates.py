"""IJB as insightface's ``eval_ijbc.py`` scores it, and its intervals against replicates that are written out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from paco_eval.analysis.bootstrap import bootstrap_all, resamples
from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_fr.faces.decode import encode_png
from tasks.registry import all_tasks
from tests.oracles.chain import metrics_of, scored, vectors

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
POINTS = "10.5 20 30 20 20 30 12 40 28 40"
SUBJECTS, EACH, PICTURES = 14, 4, 3
TEMPLATES = SUBJECTS * EACH


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data root with an IJB-C of 14 subjects, four templates each; the first is a gallery's, others probes."""
    monkeypatch.setattr("tasks.readers.recognition.ijb.COUNTS", {})
    rng, meta = np.random.default_rng(0), tmp_path / "IJBC/meta"
    meta.mkdir(parents=True)
    (tmp_path / "IJBC/loose_crop").mkdir()
    template = np.repeat(np.arange(TEMPLATES), PICTURES) + 100
    media = np.where(np.arange(len(template)) % 4 == 0, 1, np.arange(len(template)) % 3)
    scores = rng.uniform(0.4, 1, len(template)).round(4)
    lines = zip(template, media, scores, strict=True)
    both = [(f"{n}.jpg {t} {m}", f"{n}.jpg {POINTS} {s}") for n, (t, m, s) in enumerate(lines)]
    (meta / "ijbc_face_tid_mid.txt").write_text("\n".join(a for a, _ in both) + "\n")
    (meta / "ijbc_name_5pts_score.txt").write_text("\n".join(b for _, b in both) + "\n")
    sides = [(a + 100, b + 100, int(a // EACH == b // EACH)) for a in range(0, TEMPLATES, EACH) for b in range(TEMPLATES)
             if b % EACH]  # fmt: skip
    (meta / "ijbc_template_pair_label.txt").write_text("".join(f"{a} {b} {same}\n" for a, b, same in sides))
    for name, members in (
        ("gallery_G1", range(0, TEMPLATES // 2, EACH)),
        ("gallery_G2", range(TEMPLATES // 2, TEMPLATES, EACH)),
        ("probe_mixed", [t for t in range(TEMPLATES) if t % EACH]),
    ):
        rows = "".join(f"{t + 100},{t // EACH + 7000}\n" for t in members)
        (meta / f"ijbc_1N_{name}.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n" + rows)
    return tmp_path


EMBEDDINGS = vectors([f"{n}.jpg" for n in range(TEMPLATES * PICTURES)], width=16)
for number in range(TEMPLATES * PICTURES):
    lean = np.random.default_rng(number // (EACH * PICTURES)).normal(size=16)
    EMBEDDINGS[f"{number}.jpg"] = EMBEDDINGS[f"{number}.jpg"] + 0.9 * lean


def answers(labels):  # type: ignore[no-untyped-def]
    return np.stack([EMBEDDINGS[name] for name in labels["image_id"]])


def pooled(root: Path) -> dict[int, np.ndarray]:
    """Return the vector of each template from the files: media are means of weighted pictures, templates their sums."""
    found: dict[int, dict[int, list[np.ndarray]]] = {}
    meta = root / "IJBC/meta"
    for one, other in zip(
        (meta / "ijbc_face_tid_mid.txt").read_text().splitlines(),
        (meta / "ijbc_name_5pts_score.txt").read_text().splitlines(),
        strict=True,
    ):
        name, template, medium = one.split()
        weighted = EMBEDDINGS[name] * float(other.split()[-1])
        found.setdefault(int(template), {}).setdefault(int(medium), []).append(weighted)
    sums = {
        number: sum(np.mean(group, axis=0) for group in media.values()) for number, media in found.items()
    }
    return {number: total / np.linalg.norm(total) for number, total in sums.items()}


def compared(root: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the score, truth and both subjects of every listed pair."""
    unit, rows = pooled(root), (root / "IJBC/meta/ijbc_template_pair_label.txt").read_text().split()
    listed = np.array(rows, dtype=int).reshape(-1, 3)
    score = np.array([unit[a] @ unit[b] for a, b, _ in listed])
    return score, listed[:, 2] == 1, (listed[:, :2] - 100) // EACH


def test_rates_are_those_of_the_field(root: Path) -> None:
    """The field reads scikit-learn's curve, thinned as it comes, at the point nearest in FAR."""
    _, items, found = scored("recognition/ijbc", root, answers)
    score, truth, _ = compared(root)
    fpr, tpr, _ = roc_curve(truth, score)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)
    for far in FARS:
        _, at = min(zip(abs(fpr - far), range(len(fpr)), strict=True))
        name = f"{far:.0e}".replace("e-0", "e-")
        assert found[f"tar_nearest@far={name}"] == pytest.approx(100 * tpr[at], abs=1e-9)
        assert found[f"tar@far={name}"] == pytest.approx(
            100 * at_most(score, truth, np.ones(len(score)), far)
        )
    assert 20 < found["tar@far=1e-2"] < 95
    assert items["group"].nunique() == SUBJECTS


def at_most(score: np.ndarray, truth: np.ndarray, weight: np.ndarray, far: float) -> float:
    """Return the largest TAR of all thresholds whose FAR is at most ``far``."""
    genuine, impostor = weight[truth].sum(), weight[~truth].sum()
    best = 0.0
    for threshold in np.unique(score):
        accepted = weight * (score >= threshold)
        if accepted[~truth].sum() <= far * impostor * (1 + 1e-12):
            best = max(best, accepted[truth].sum() / genuine)
    return best


def test_intervals_draw_subjects_with_all_their_templates(root: Path) -> None:
    """Millions of pairs had no interval; each replicate is written out here, pair by pair."""
    task, items, _ = scored("recognition/ijbc", root, answers)
    known = {metric.name: metric for metric in metrics_of(task)}
    score, truth, subjects = compared(root)
    names = sorted(items["group"].unique())
    order = [names.index(f"subject {100 + EACH * subject}") for subject in range(SUBJECTS)]
    draws = np.concatenate(list(resamples(SUBJECTS, 40, 0)))
    for far, name in ((1e-1, "1e-1"), (1e-2, "1e-2")):
        expected = []
        for drawn in draws[:, order]:
            a, b = drawn[subjects].T
            weight = np.where(subjects[:, 0] == subjects[:, 1], a, a * b)
            expected.append(100 * at_most(score, truth, weight, far))
        found = known[f"tar@far={name}"].compute(items, draws)
        np.testing.assert_allclose(found, expected, atol=1e-9)
    interval = bootstrap_all([known["tar@far=1e-1"]], items, replicates=200)["tar@far=1e-1"]
    assert interval.low < interval.value < interval.high
    assert "rests on 5 of them" in known["tar@far=1e-2"].warning(items)


def test_a_row_says_that_subjects_are_drawn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACO_CACHE", str(root / "cache"))
    rng = np.random.default_rng(0)
    for name in EMBEDDINGS:
        (root / "IJBC/loose_crop" / name).write_bytes(
            encode_png(rng.integers(0, 255, (60, 60, 3)).astype(np.uint8))
        )
    task = replace(all_tasks()["recognition/ijbc"], choice_from="")
    (row,) = measure(Pixels(), Data.load(task, root), out=root / "out", say=lambda _: None)
    assert row.interval
    assert (row.interval.unit, row.interval.n_units) == ("subject with all its templates", SUBJECTS)
    assert "product of its two multiplicities (which widens it)" in row.interval.method
    rate = row.metrics["tar@far=1e-1"]
    assert rate.low is not None and rate.high is not None and rate.low < rate.high
    assert row.main.low is None and "no interval below 10" in row.main.warning


def test_templates_without_search_lists_are_linked_by_genuine_pairs(root: Path) -> None:
    for path in (root / "IJBC/meta").glob("*1N*"):
        path.unlink()
    _, items, _ = scored("recognition/ijbc", root, answers)
    assert items["group"].nunique() == SUBJECTS
    assert items.groupby("group").size().eq(EACH).all()


def test_searches_are_those_of_the_field(root: Path) -> None:
    """Rank 1 and 5 by sorting; TPIR above the n-th highest of all impostor scores, n a share of searches."""
    _, _, found = scored("recognition/ijbc_search", root, answers)
    unit = pooled(root)
    gallery = [t for t in range(TEMPLATES) if t % EACH == 0]
    probes = [t for t in range(TEMPLATES) if t % EACH]
    table = np.array([[unit[p + 100] @ unit[g + 100] for g in gallery] for p in probes])
    own = np.array([p // EACH for p in probes])
    ranked = np.argsort(-table, axis=1)
    assert found["rank1"] == pytest.approx(100 * np.mean(ranked[:, 0] == own))
    assert found["rank5"] == pytest.approx(100 * np.mean((ranked[:, :5] == own[:, None]).any(axis=1)))
    mate = table[np.arange(len(own)), own]
    table[np.arange(len(own)), own] = -2.0
    falling = np.sort(table.ravel())[::-1]
    for far, name in ((0.1, "1e-1"), (0.01, "1e-2")):
        threshold = falling[math.ceil(len(own) * far) - 1]
        assert found[f"tpir@fpir={name}"] == pytest.approx(100 * np.mean(mate > threshold))
    assert 20 < found["rank1"] < 99
