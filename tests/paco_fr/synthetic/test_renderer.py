from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.synthetic import FaceSpec, face_parameters, render
from paco_fr.synthetic.head import assemble as heads
from paco_fr.synthetic.shape import geometry as g
from paco_fr.synthetic.shape.expression import ACTIONS
from paco_fr.synthetic.spec import TEST_LIGHTS, TEST_OCCLUDERS, TRAIN_LIGHTS, TRAIN_OCCLUDERS
from tests.paco_fr.synthetic.conftest import plain_face
from tests.paco_fr.synthetic.tests_support import hidden_by_mesh

MIRROR = [
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose stays
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
    *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
]
"""Point i of a mirrored face is point ``MIRROR[i]`` of the original."""


@pytest.mark.parametrize("yaw", [-70, -35, 0, 35, 70])
@pytest.mark.parametrize("pitch", [-20, 0, 20])
def test_visibility_agrees_with_ray_casting(yaw, pitch):
    """Against every triangle of the head: a point well behind or well before the surface is told apart."""
    face = plain_face()
    face = replace(face, pose=replace(face.pose, yaw=float(yaw), pitch=float(pitch), body_yaw=float(yaw)))
    drawn = render(face, 256)
    behind = hidden_by_mesh(face, drawn)
    certain = (behind < 0.01) | (behind > 0.10)
    assert certain.sum() > 50
    wrong = (drawn.visible != (behind < 0.05)) & certain
    # Neck and ears also hide points, which the head alone does not know.
    assert wrong.sum() <= 2


def test_all_points_of_a_frontal_bare_face_are_visible():
    assert render(plain_face(), 128).visible.all()


def test_points_outside_the_picture_are_not_visible():
    face = plain_face()
    drawn = render(face, 64, np.array([[1.0, 0, -64], [0, 1.0, 0]]))
    outside = (drawn.landmarks[:, 0] < -0.5) | (drawn.landmarks[:, 0] > 63.5)
    assert outside.any()
    assert not drawn.visible[outside].any()


@pytest.mark.parametrize("kind", ["surgical_mask", "sunglasses", "scarf", "hand", "box", "hair"])
def test_occluders_hide_points_and_more_with_severity(kind):
    coverage, visible = [], []
    for severity in (0.0, 0.5, 1.0):
        shares, counts = [], []
        for index in range(6):
            face = plain_face(index=index)
            face = replace(face, occluder=replace(face.occluder, kind=kind, severity=severity))
            drawn = render(face, 64)
            shares.append(drawn.coverage)
            counts.append(drawn.visible.sum())
        coverage.append(np.mean(shares))
        visible.append(np.mean(counts))
    assert coverage[0] < coverage[1] < coverage[2]
    assert visible[2] < visible[0]
    assert visible[2] < 68


@pytest.mark.parametrize("index", range(12))
def test_mirrored_parameters_draw_the_mirrored_picture(index):
    kinds = TRAIN_OCCLUDERS + TEST_OCCLUDERS
    spec = FaceSpec(
        identities=12,
        images_per_identity=1,
        seed=9,
        level="hard",
        occluders=kinds,
        occluder_share=0.6,
        lights=TRAIN_LIGHTS + TEST_LIGHTS,
    )
    face = face_parameters(spec, index)
    face = replace(face, lighting=replace(face.lighting, noise=0.0))
    straight, mirrored = render(face, 96), render(face.mirrored(), 96)
    expected = straight.landmarks[MIRROR] * [-1, 1] + [95, 0]
    np.testing.assert_allclose(mirrored.landmarks, expected, atol=2e-3)
    difference = np.abs(mirrored.image[:, ::-1].astype(int) - straight.image.astype(int)).max(axis=-1)
    # Samples that fall on an edge may be counted to either side of it.
    assert (difference > 1).mean() < 0.004
    assert difference.mean() < 0.1
    assert (straight.visible[MIRROR] != mirrored.visible).sum() <= 2
    turn = rotation_from_angles(-face.pose.yaw, face.pose.pitch, -face.pose.roll)
    np.testing.assert_allclose(mirrored.rotation, turn)


def test_identity_is_constant_across_its_images(hard_spec):
    faces = [face_parameters(hard_spec, index) for index in range(6)]
    assert faces[0].identity == faces[1].identity == faces[2].identity
    assert faces[3].identity == faces[4].identity != faces[0].identity
    assert len({face.pose for face in faces}) == 6
    assert len({face.hair for face in faces}) == 6


def test_renders_are_repeatable_and_finite(hard_spec):
    for index in range(0, 60, 3):
        face = face_parameters(hard_spec, index)
        first, second = render(face, 32), render(face, 32)
        np.testing.assert_array_equal(first.image, second.image)
        assert np.isfinite(first.landmarks).all()
        assert first.image.std() > 2


def test_box_encloses_all_points(hard_spec):
    drawn = render(face_parameters(hard_spec, 1), 64)
    np.testing.assert_array_equal(drawn.box, [*drawn.landmarks.min(0), *drawn.landmarks.max(0)])


def test_closed_eyes_hide_the_eyeballs():
    """A white iris is seen in the picture of open eyes only."""
    face = plain_face()
    dark = replace(face, identity=replace(face.identity, iris=(0.0, 0.0, 0.0)))
    bright = replace(face, identity=replace(face.identity, iris=(1.0, 1.0, 1.0)))

    def change(closed: float) -> float:
        actions = [closed if name == "lid_close" else 0.0 for name in ACTIONS]
        a, b = (render(replace(f, actions=tuple(actions)), 128).image.astype(int) for f in (dark, bright))
        return float(np.abs(a - b).sum())

    assert change(1.0) < 0.06 * change(0.0)


def test_mouth_rows_open_only_when_asked():
    closed = heads.rest_head(plain_face().identity)
    assert abs(closed[g.LOWER_LIP_ROW, g.MIDDLE, 1] - closed[g.UPPER_LIP_ROW, g.MIDDLE, 1]) < 0.02
