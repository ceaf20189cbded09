"""Ours beside what published scorers are described to do: angles, points, crops, the warp."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from paco_fr.faces.crop import crop_image, crop_transform, off_canvas, onto_canvas, template_points, warped
from paco_fr.faces.landmarks import whole_box_of
from paco_fr.faces.rotation import rotation_from_angles
from tasks.kinds import landmarks, pose
from tasks.metrics import landmarks as scores
from tasks.readers.landmarks.boxes import BOXES
from tasks.registry import all_tasks, variants
from tests.oracles import angles, crops, points

RNG = np.random.default_rng(5)


def scipy_rotation(triple: np.ndarray) -> np.ndarray:
    yaw, pitch, roll = triple
    return Rotation.from_euler("ZYX", [roll, yaw, -pitch], degrees=True).as_matrix()


def judged(true: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Return the items of stored angles (n, 3) and predicted rotations (n, 3, 3)."""
    labels = pd.DataFrame(true, columns=list(pose.ANGLES)).assign(unit_id=[str(n) for n in range(len(true))])
    labels["group"] = labels["unit_id"]
    outputs = predicted[:, :, :2].transpose(0, 2, 1).reshape(-1, 6)
    return pose.items(outputs, labels, all_tasks()["pose/aflw2000"])


def test_angles_beyond_ninety_are_scored_on_the_nearest_branch() -> None:
    """A true yaw of 95 was read back as 85 with pitch and roll turned over: an error of 10 scored as 120."""
    true = RNG.uniform(-99, 99, (300, 3))
    true[:100, 0] = RNG.uniform(90, 99, 100) * RNG.choice([-1, 1], 100)
    guess = true + RNG.normal(0, 12, true.shape)
    rotations = np.stack([scipy_rotation(triple) for triple in guess])
    found = judged(true, rotations)
    columns = [f"error_{name}" for name in pose.ANGLES]
    expected = np.array([angles.nearest(r, t) for r, t in zip(rotations, true, strict=True)])
    np.testing.assert_allclose(found[columns], expected, atol=1e-6)
    half = np.array([angles.folded(angles.read_back(r), t) for r, t in zip(rotations, true, strict=True)])
    np.testing.assert_allclose(found[[f"{name}_lenient" for name in columns]], half, atol=1e-6)
    between = [
        (Rotation.from_matrix(r) * Rotation.from_matrix(scipy_rotation(t)).inv()).magnitude()
        for r, t in zip(rotations, true, strict=True)
    ]
    np.testing.assert_allclose(found["geodesic"], np.degrees(between), atol=1e-6)
    one = judged(np.array([[95.0, 5, 3]]), scipy_rotation(np.array([85.0, 5, 3]))[None])
    assert one[columns].to_numpy()[0] == pytest.approx([10, 0, 0], abs=1e-6)
    assert one["geodesic"].iloc[0] == pytest.approx(10) and one["error"].iloc[0] == pytest.approx(10 / 3)


def test_a_head_that_looks_backwards_is_right_only_in_the_folded_column() -> None:
    back = judged(np.array([[0.0, 10, 0]]), scipy_rotation(np.array([0.0, -170, 0]))[None])
    assert back["error_pitch"].iloc[0] == pytest.approx(180) and back["error_lenient"].iloc[
        0
    ] == pytest.approx(0, abs=1e-6)
    names = [metric.name for metric in pose.metrics(all_tasks()["pose/aflw2000"])]
    assert {"mae", "geodesic", "mae_lenient180", "mae_yaw_lenient180"} <= set(names)


def test_rotations_are_scipys_and_the_oracles() -> None:
    for triple in RNG.uniform(-180, 180, (50, 3)):
        np.testing.assert_allclose(rotation_from_angles(*triple), scipy_rotation(triple), atol=1e-12)
        np.testing.assert_allclose(rotation_from_angles(*triple), angles.matrix(triple), atol=1e-12)


def test_farls_curve_and_rate() -> None:
    errors = RNG.gamma(4, 0.012, 400)
    table = pd.DataFrame({"error": 100 * errors, "group": range(len(errors))})
    for percent in (7.0, 10.0):
        area, rate = scores.farl_grid("error", "", percent)
        theirs = points.farl_curve(errors.tolist(), percent / 100)
        assert area.value(table) == pytest.approx(100 * theirs[0], abs=1e-6)
        assert rate.value(table) == pytest.approx(100 * theirs[1], abs=1e-9)


def faces(count: int, name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return labels of drawn faces, cut as a task or variant cuts them, and predictions in the photograph."""
    task = (all_tasks() | variants())[name]
    rows, wrong = [], []
    for n in range(count):
        true = RNG.uniform([40, 60], [140, 220], (98, 2))
        box = [true[:, 0].min() - 7, true[:, 1].min() - 3, true[:, 0].max() + 5, true[:, 1].max() + 11]
        cut = BOXES[task.reader_options.get("box", "supplied")](true, np.array(box), None).tolist()
        transform = crop_transform(task.crop, box=cut)
        rows.append({"unit_id": str(n), "group": str(n), "landmarks": true.tolist(), "box": cut, "transform": transform,
                     "canvas": task.crop.canvas})  # fmt: skip
        wrong.append(true + RNG.normal(0, 3, true.shape))
    return pd.DataFrame(rows), np.array(wrong)


def outputs_of(labels: pd.DataFrame, wrong: np.ndarray) -> np.ndarray:
    there = [
        onto_canvas(p, t, c) for p, t, c in zip(wrong, labels["transform"], labels["canvas"], strict=True)
    ]
    return ((np.array(there) + 0.5) / labels["canvas"].to_numpy()[:, None, None]).reshape(len(wrong), -1)


def test_points_in_the_photograph_and_on_pipnets_square() -> None:
    """A stretched square weighs the two directions differently, so one column cannot hold both."""
    for name in ("landmarks/wflw", "landmarks/wflw@pipnet"):
        labels, wrong = faces(20, name)
        task = (all_tasks() | variants())[name]
        found = landmarks.items(outputs_of(labels, wrong), labels, task)
        for n in range(len(labels)):
            true, guess = labels["landmarks"][n], wrong[n].tolist()
            if name.endswith("pipnet"):
                true, guess = (points.on_square(p, labels["box"][n]) for p in (true, guess))
            theirs = 100 * points.nme(guess, true, points.between(true, 60, 72))
            assert found["nme_interocular"].iloc[n] == pytest.approx(theirs, rel=1e-9)


def test_aflws_box_in_both_lengths() -> None:
    labels, wrong = faces(10, "landmarks/aflw19")
    found = landmarks.items(outputs_of(labels, wrong), labels, all_tasks()["landmarks/aflw19"])
    for n in range(len(labels)):
        diagonal, root = points.box_lengths(labels["box"][n])
        for column, length in (("nme_diag", diagonal), ("nme_box", root)):
            theirs = 100 * points.nme(wrong[n].tolist(), labels["landmarks"][n], length)
            assert found[column].iloc[n] == pytest.approx(theirs, rel=1e-9)


def test_hrnets_square() -> None:
    """WFLW was cut by a detector's box and a margin of a quarter; the field cuts 1.25 times the box of the points."""
    task = all_tasks()["landmarks/wflw"]
    for _ in range(20):
        face = RNG.uniform([40, 60], [140, 220], (98, 2))
        x, y, side = crops.hrnet(face.tolist())
        transform = crop_transform(task.crop, box=whole_box_of(face))
        half = task.crop.canvas / 2
        centre = [task.crop.canvas / 2 - 0.5] * 2
        np.testing.assert_allclose(onto_canvas([[x, y]], transform, task.crop.canvas), [centre], atol=1e-9)
        edge = onto_canvas([[x + side / 2, y]], transform, task.crop.canvas)[0, 0]
        assert edge == pytest.approx(centre[0] + half)


def test_farls_template_and_warp() -> None:
    """LaPa was cut by a box that left out hair; FaRL aligns it and warps it so that the whole picture is seen."""
    task = all_tasks()["parsing/lapa"]
    np.testing.assert_allclose(template_points("farl-corners", 512)[0], np.array([196, 226]) * 511 / 512)
    side = task.crop.canvas
    for u in np.linspace(-3, 3, 41):
        place = (u + 1) * side / 2 - 0.5
        ours = (warped([[place, place]], side, task.crop.warp)[0] + 0.5) * 2 / side - 1
        assert ours == pytest.approx([crops.farl_tanh(u)] * 2, abs=1e-12)
    five = np.array([[60, 80], [120, 84], [90, 110], [70, 150], [112, 152.0]])
    transform = crop_transform(task.crop, landmarks=five, scheme="five")
    photo = RNG.uniform([-40, -40], [240, 240], (60, 2))
    there = onto_canvas(photo, transform, side, task.crop.warp)
    assert (np.abs((there + 0.5) * 2 / side - 1) < 1).all()
    np.testing.assert_allclose(off_canvas(there, transform, side, task.crop.warp), photo, atol=1e-6)


def test_a_warped_canvas_shows_the_photograph_where_points_say() -> None:
    """What is drawn at a point of the photograph must lie on the canvas where that point goes."""
    photo = np.zeros((200, 200, 3), np.uint8)
    spots = np.array([[60, 80], [120, 84], [180, 20], [20, 185], [100, 150]])
    for number, (x, y) in enumerate(spots):
        photo[y - 3 : y + 4, x - 3 : x + 4, number % 3] = 255
    five = np.array([[60, 80], [120, 84], [90, 110], [70, 150], [112, 152.0]])
    contract = all_tasks()["parsing/lapa"].crop
    transform = crop_transform(contract, landmarks=five, scheme="five")
    canvas = crop_image(photo, transform, contract.canvas, warp=contract.warp)
    for number, place in enumerate(onto_canvas(spots, transform, contract.canvas, contract.warp)):
        seen = canvas[..., number % 3].astype(float)
        y, x = np.mgrid[: len(seen), : len(seen)]
        near = seen * (np.hypot(x - place[0], y - place[1]) < 40)
        middle = np.array([(x * near).sum(), (y * near).sum()]) / near.sum()
        assert np.abs(middle - place).max() < 1.5, number
