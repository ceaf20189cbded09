from __future__ import annotations

import numpy as np
import pytest

from paco_fr.faces.rotation import angles_from_rotation
from tasks.metrics.pose import geodesic_error
from tasks.perturbations.apply import Face, perturb
from tasks.perturbations.exposure import light_of, photo_electrons
from tasks.perturbations.head import mean_points
from tasks.perturbations.hull import convex_mask
from tasks.perturbations.linear import TO_LINEAR, mean_luminance, to_linear, to_srgb
from tasks.perturbations.shading import direction, light_ratio


def test_srgb_there_and_back_is_exact():
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_srgb(to_linear(codes)), codes)
    assert np.array_equal(to_srgb(np.array([-1.0, 2.0, 0.0, 1.0])), [0, 255, 0, 255])


def test_srgb_by_its_definition():
    """IEC 61966-2-1: 0.5 encodes as 188 (0.7354), 18 % grey as 118; the curve is linear near black."""
    assert to_srgb(np.array([0.5]))[0] == 188 and to_srgb(np.array([0.18]))[0] == 118
    assert TO_LINEAR[10] == pytest.approx(10 / 255 / 12.92)
    light = np.linspace(0, 1, 2001)
    exact = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(to_srgb(light).astype(float) - exact).max() < 0.52


def test_mean_luminance_by_hand():
    image = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 0, 0]]], dtype=np.uint8)
    assert mean_luminance(image) == pytest.approx(0.25)


@pytest.mark.parametrize(("light", "white"), [(0.5, 2500.0), (0.5, 60.0), (0.2, 20.0), (0.0, 100.0)])
def test_sensor_noise_has_the_mean_and_variance_of_theory(light, white):
    counted = photo_electrons(np.full((400, 400), light, np.float32), white, 3.0, np.random.default_rng(1))
    mean, variance = light * white, light * white + 9.0
    assert counted.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance) / 400)
    assert counted.var() == pytest.approx(variance, rel=0.03)


def test_additive_noise_has_its_deviation():
    grey = np.full((112, 112, 3), 128, np.uint8)
    grey[0, 0] = (127, 128, 129)  # a colour picture: its channels get noise of their own
    result = perturb("noise", 2, grey, key=0)
    assert result.achieved == pytest.approx(12.0, rel=0.02)
    channels = np.corrcoef(result.image.reshape(-1, 3).T.astype(float))
    assert np.abs(channels[np.triu_indices(3, 1)]).max() < 0.05


def test_exposure_is_a_factor_in_linear_light(samples):
    image = np.clip(samples[0].image, 40, 120)
    darker = perturb("underexposure", 1, image, key=0).image
    ratio = to_linear(darker) / to_linear(image)
    assert np.abs(ratio - 0.5).max() < 0.06  # rounding to codes


def test_the_locus_of_black_bodies():
    """Daylight of 6500 K is near the sRGB white; cooler bodies are redder; luminance stays 1."""
    assert np.abs(light_of(6500.0) - 1).max() < 0.06
    ratios = [light_of(t)[0] / light_of(t)[2] for t in (2400.0, 3500.0, 5000.0, 6500.0, 12000.0, 18000.0)]
    assert (np.diff(ratios) < 0).all()
    for kelvin in (2400.0, 3999.0, 4001.0, 18000.0):
        assert light_of(kelvin) @ [0.2126, 0.7152, 0.0722] == pytest.approx(1.0, abs=0.02)


def test_colour_temperature_keeps_the_luminance(samples):
    image = np.clip(samples[0].image, 0, 120)
    for key in range(6):
        changed = perturb("colour_temperature", 2, image, key=key).image
        assert mean_luminance(changed) == pytest.approx(mean_luminance(image), rel=0.02)


def test_the_fitted_head_has_the_true_pose(samples):
    for sample in samples:
        assert geodesic_error(sample.face.head.rotation, sample.rotation) < 20
        assert np.linalg.det(sample.face.head.rotation) == pytest.approx(1.0)
        placed = sample.face.head.to_canvas(mean_points()[17:])[:, :2]
        assert np.linalg.norm(placed - sample.points[17:], axis=1).mean() < 3.5
    yaw = [
        (angles_from_rotation(s.face.head.rotation)[0], angles_from_rotation(s.rotation)[0]) for s in samples
    ]
    assert all(abs(fitted - true) < 15 for fitted, true in yaw)


def test_normals_are_unit_and_face_the_viewer(samples):
    for sample in samples:
        surface = sample.face.head.surface
        normals = surface.normals()
        length = np.linalg.norm(normals, axis=-1)
        assert np.allclose(length[surface.shown], 1.0, atol=1e-5) and (length[~surface.shown] == 0).all()
        assert (normals[surface.shown][:, 2] < 0.15).mean() > 0.99
        assert surface.shown[sample.face.hull].mean() > 0.9


def test_a_light_from_the_right_brightens_the_right(samples):
    sample = samples[0]
    hull = sample.face.hull
    left = hull & (np.arange(112)[None] < np.nonzero(hull)[1].mean())
    for azimuth, brighter in ((60.0, hull & ~left), (-60.0, left)):
        ratio = light_ratio(sample.face.head, direction(azimuth, 0.0))
        assert ratio[brighter].mean() > 1.5 * ratio[hull & ~brighter].mean()
    above, below = (light_ratio(sample.face.head, direction(0.0, e)) for e in (60.0, -60.0))
    chin = np.rint(sample.points[8]).astype(int)
    assert below[chin[1] - 3, chin[0]] > above[chin[1] - 3, chin[0]]


def test_light_angles_are_those_asked_for(samples):
    for level, angle in zip(range(1, 6), (12, 25, 50, 70, 90), strict=True):
        achieved = perturb("side_light", level, samples[0].image, key=4, face=samples[0].face).achieved
        assert angle - 0.5 <= achieved <= angle + 12


def test_the_hull_against_a_plain_polygon_test():
    rng = np.random.default_rng(3)
    for _ in range(20):
        points = rng.uniform(-10, 45, (12, 2))
        mask = convex_mask(points[np.lexsort(points.T[::-1])], 32)
        y, x = np.mgrid[:32, :32]
        inside = _in_hull(points, np.stack([x.ravel(), y.ravel()], 1)).reshape(32, 32)
        assert np.array_equal(mask, inside)


def _in_hull(points, places):
    from scipy.spatial import Delaunay

    return Delaunay(points).find_simplex(places) >= 0


def test_the_hull_holds_landmarks_and_forehead(samples):
    face: Face = samples[0].face
    x, y = np.rint(samples[0].points).astype(int).T
    assert face.hull[y[17:], x[17:]].all()
    assert 0.1 < face.hull.mean() < 0.6
