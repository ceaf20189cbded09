from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.synthetic import FaceSpec, face_parameters, render
from paco_fr.synthetic.rendering import renderer
from paco_fr.synthetic.rendering.camera import Camera, flatten, framing_camera
from paco_fr.synthetic.shape import geometry as g
from paco_fr.synthetic.shape import landmarks
from paco_fr.synthetic.shape.expression import ACTIONS, action_basis, side_field
from paco_fr.synthetic.shape.identity import shape_basis, shape_names
from tests.paco_fr.synthetic.conftest import plain_face


def deformed_mesh(face):
    """The head of a face as a plain sum in double precision."""
    side = 1 + face.asymmetry * side_field()[..., None]
    formed = np.tensordot(face.identity.shape, shape_basis().astype(float), 1)
    return g.head_grid().points + formed + side * np.tensordot(face.actions, action_basis().astype(float), 1)


def test_mean_head_is_finite_and_mirror_symmetric():
    points = g.head_grid().points
    assert np.isfinite(points).all()
    np.testing.assert_allclose(points[:, ::-1] * [-1, 1, 1], points, atol=1e-12)


def test_mean_face_has_human_measures():
    mean = landmarks.head_points(np.zeros(len(shape_names())), np.zeros(len(ACTIONS)), 0.0)
    points = landmarks.visible_contour(mean, flatten(mean, 1e6), 0.0)
    width = np.ptp(points[:17, 0])
    pupils = points[42:48, 0].mean() - points[36:42, 0].mean()
    nose_to_chin = points[8, 1] - points[33, 1]
    bridge_to_chin = points[8, 1] - points[27, 1]
    assert 0.42 < pupils / width < 0.50
    assert 0.45 < nose_to_chin / bridge_to_chin < 0.60
    assert points[30, 2] == points[17:, 2].min(), "the tip of the nose is the foremost point"


def test_grid_place_inverts_face_coordinates():
    across, down = np.array([0.0, -0.3, 0.45, 0.1]), np.array([-0.5, 0.0, 0.3, 0.9])
    place = g.grid_place(across, down)
    head = g.head_grid()
    for field, expected in ((head.across, across), (head.down, down)):
        np.testing.assert_allclose(map_coordinates(field, place[:, ::-1].T, order=1), expected, atol=2e-3)


def test_project_by_hand():
    camera = Camera(distance=10.0, scale=40.0, centre=(63.5, 60.0))
    # A point in the plane of the origin: scale alone. One 2.0 nearer: 10/8 larger.
    assert camera.project(np.array([0.5, -0.25, 0.0])) == pytest.approx([63.5 + 20, 60 - 10])
    assert camera.project(np.array([0.5, -0.25, -2.0])) == pytest.approx([63.5 + 25, 60 - 12.5])


def test_framing_puts_the_box_where_asked():
    points = np.random.default_rng(0).normal(size=(68, 2))
    camera = framing_camera(points, 8.0, 200, 0.5, (0.1, -0.05))
    pixels = np.asarray(camera.centre) + camera.scale * points
    low, high = pixels.min(0), pixels.max(0)
    assert (high - low).max() == pytest.approx(100)
    assert (low + high) / 2 == pytest.approx([99.5 + 20, 99.5 - 10])


@pytest.mark.parametrize("index", range(6))
def test_skin_landmarks_equal_the_projected_mesh(index):
    """The linear basis at the points and the mesh that is drawn are one geometry."""
    spec = FaceSpec(identities=6, images_per_identity=1, seed=2, level="hard")
    face = face_parameters(spec, index)
    rotation = rotation_from_angles(face.pose.yaw, face.pose.pitch, face.pose.roll)
    mesh = deformed_mesh(face)
    place = landmarks._skin_places()
    skin = np.stack([map_coordinates(mesh[..., k], place[:, ::-1].T, order=1) for k in range(3)], axis=-1)
    camera = renderer.view(face).camera
    turned = skin @ rotation.T
    by_hand = camera.centre + camera.scale * turned[:, :2] * camera.distance / (
        camera.distance + turned[:, 2:]
    )
    drawn = render(face, spec.photo_size)
    np.testing.assert_allclose(drawn.landmarks[17:], by_hand, atol=2e-3)
    np.testing.assert_array_equal(drawn.rotation, rotation)


def test_jaw_points_lie_on_the_outline_of_a_turned_cheek():
    """On the far side of a turned head no point of the same height of skin reaches further out."""
    face = plain_face()
    face = replace(face, pose=replace(face.pose, yaw=40.0))  # nose to the left: the left side is far
    mesh = deformed_mesh(face) @ rotation_from_angles(40.0, 0.0, 0.0).T
    flat = renderer.view(face).camera.project(mesh)
    found = renderer.view(face).landmarks
    columns = np.arange(g.MIDDLE)
    angle = np.degrees(-g.head_grid().angle[columns])
    for point in range(1, 6):
        row = g.grid_place(np.zeros(1), np.array([landmarks._JAW_DOWN[point]]))[0, 1]
        path = [map_coordinates(flat[..., 0], [np.full(g.MIDDLE, row), columns], order=1)][0]
        on_cheek = (angle < landmarks._JAW_ANGLE[point]) & (angle > landmarks._JAW_INNERMOST[point])
        assert found[point, 0] == pytest.approx(path[on_cheek].min(), abs=0.35)


def test_crop_matrix_moves_landmarks_and_picture_alike():
    face = plain_face()
    photo = render(face, face.framing.photo_size)
    shift = np.array([[1.0, 0.0, -7.0], [0.0, 1.0, 5.0]])
    crop = render(face, face.framing.photo_size, shift)
    np.testing.assert_allclose(crop.landmarks, photo.landmarks + np.array([-7, 5]), atol=1e-3)
    difference = np.abs(crop.image[5:, :-7].astype(int) - photo.image[:-5, 7:].astype(int))
    assert difference.max() <= 1
