"""Angle and geodesic errors against SciPy's rotations, and at the wrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tasks.metrics.pose import angle_error, geodesic_error

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
