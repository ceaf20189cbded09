"""Angle and geodesic errors against SciPy's rotations, and at the wrap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from paco_fr.faces.rotation import rotation_from_angles
from tasks.kinds import pose
from tasks.metrics.pose import angle_error, geodesic_error, without_offset
from tasks.registry import all_tasks

angles = st.floats(-720, 720, allow_nan=False)


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        (179, -179, 2),
        (-351, 9, 0),
        (0, 180, 180),
        (0, 170, 170),
        (90, -90, 180),
        (10, 370, 0),
        (-99, 99, 162),
    ],
)
def test_only_whole_turns_are_forgiven(predicted, true, expected):
    assert angle_error(predicted, true) == pytest.approx(expected, abs=1e-9)


@given(angles, angles)
def test_angle_error_against_complex_numbers(a, b):
    expected = abs(np.degrees(np.angle(np.exp(1j * np.radians(a)) / np.exp(1j * np.radians(b)))))
    assert angle_error(a, b) == pytest.approx(expected, abs=1e-6)
    assert angle_error(a, b) == angle_error(b, a)


@given(st.integers(0, 2**32 - 1))
def test_geodesic_error_against_scipy(seed):
    a, b = (Rotation.random(20, rng=seed + i) for i in range(2))
    found = geodesic_error(a.as_matrix(), b.as_matrix())
    np.testing.assert_allclose(found, np.degrees((a * b.inv()).magnitude()), atol=1e-5)
    np.testing.assert_array_equal(found, geodesic_error(b.as_matrix(), a.as_matrix()))
    assert not geodesic_error(a.as_matrix(), a.as_matrix()).any()


@pytest.mark.parametrize("angle", [1e-6, 0.01, 90, 179.999, 180])
def test_geodesic_error_is_exact_near_the_ends(angle):
    turned = Rotation.from_euler("y", angle, degrees=True).as_matrix()
    assert geodesic_error(turned, np.eye(3)) == pytest.approx(angle, rel=1e-6, abs=1e-9)


def recordings(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true and predicted yaw, pitch, roll (n, 3), of which each of three recordings is off by a constant."""
    rng = np.random.default_rng(seed)
    recording = rng.integers(0, 3, count)
    true = rng.uniform(-60, 60, (count, 3))
    off = Rotation.from_rotvec(rng.normal(0, 0.1, (3, 3)))[recording]
    noise = Rotation.from_rotvec(rng.normal(0, 0.04, (count, 3)))
    turned = Rotation.from_matrix(rotation_from_angles(*true.T)) * off * noise
    roll, yaw, pitch = turned.as_euler("ZYX", degrees=True).T
    return true, np.stack([yaw, -pitch, roll], axis=-1), recording


def published(true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return errors of yaw, pitch, roll and the geodesic one of one recording as Cobo et al. align it.

    Their rotations are Rx(pitch) Ry(yaw) Rz(roll), their mean turn is taken from the left; it is found by search here.
    """
    truths, guesses = (Rotation.from_euler("XYZ", a[:, [1, 0, 2]], degrees=True) for a in (true, predicted))
    turns = guesses * truths.inv()

    def spread(vector: np.ndarray) -> float:
        return float(((Rotation.from_rotvec(vector).inv() * turns).magnitude() ** 2).sum())

    mean = Rotation.from_rotvec(minimize(spread, np.zeros(3), method="Powell", options={"xtol": 1e-9}).x)
    aligned = mean.inv() * guesses
    errors = np.abs(aligned.as_euler("XYZ", degrees=True)[:, [1, 0, 2]] - true)
    return errors, np.degrees((aligned * truths.inv()).magnitude())


@pytest.mark.parametrize("seed", range(3))
def test_aligned_errors_are_the_published_ones_recording_by_recording(seed):
    true, predicted, recording = recordings(seed)
    labels = pd.DataFrame(true, columns=list(pose.ANGLES)).assign(group=[f"BIWI/{r:02d}" for r in recording])
    labels["unit_id"] = [str(n) for n in range(len(labels))]
    outputs = rotation_from_angles(*predicted.T)[:, :, :2].transpose(0, 2, 1).reshape(-1, 6)
    outputs[7] = np.nan
    found = pose.items(outputs, labels, all_tasks()["pose/biwi"])
    for one in range(3):
        own = (recording == one) & (np.arange(len(true)) != 7)
        errors, turns = published(true[own], predicted[own])
        columns = [f"error_{angle}_aligned" for angle in pose.ANGLES]
        np.testing.assert_allclose(found.loc[own, columns], errors, atol=1e-4)
        np.testing.assert_allclose(found.loc[own, "error_aligned"], errors.mean(axis=1), atol=1e-4)
        np.testing.assert_allclose(found.loc[own, "geodesic_aligned"], turns, atol=1e-4)
    assert found["error_aligned"].mean() < 0.6 * found["error"].mean()
    failed = found.loc[7]
    assert failed["error_aligned"] == failed["error"] and failed["geodesic_aligned"] == 180


def test_a_constant_turn_of_the_heads_axes_is_no_aligned_error_and_far_turns_do_not_pull_it():
    true = Rotation.random(40, rng=1)
    group = np.repeat(["a", "b"], 20)
    off = Rotation.from_rotvec(np.outer(np.where(group == "a", 5, -20), [0, 1, 0]), degrees=True)
    counted = np.arange(40) != 3
    turned = (true * off).as_matrix()
    turned[3] = np.eye(3)  # gave nothing
    turned[25] = (true[25] * Rotation.from_euler("y", 120, degrees=True)).as_matrix()
    left = geodesic_error(without_offset(turned, true.as_matrix(), group, counted), true.as_matrix())
    assert np.delete(left, [3, 25]).max() < 1e-5
    assert left[25] == pytest.approx(140)


def test_a_recording_with_nothing_to_go_by_is_left_as_it_is():
    true = Rotation.random(4, rng=2).as_matrix()
    turned = Rotation.random(4, rng=3).as_matrix()
    same = without_offset(turned, true, ["a"] * 4, np.zeros(4, dtype=bool))
    np.testing.assert_allclose(same, turned, atol=1e-12)
    assert without_offset(turned[:0], true[:0], [], np.zeros(0, dtype=bool)).shape == (0, 3, 3)


def test_only_the_set_whose_recordings_are_known_has_aligned_columns():
    with_them = {
        name for name, task in all_tasks().items() if any("aligned" in m.name for m in pose.metrics(task))
    }
    assert "pose/biwi" in with_them and "pose/biwi@mtcnn" not in with_them
    assert all("biwi" in name for name in with_them)
