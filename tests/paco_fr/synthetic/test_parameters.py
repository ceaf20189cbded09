from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from paco_fr.synthetic import FaceSpec, face_parameters
from paco_fr.synthetic.rendering import renderer
from paco_fr.synthetic.shape import landmarks
from paco_fr.synthetic.shape.expression import ACTIONS, PROTOTYPES, prototype
from paco_fr.synthetic.shape.identity import SKEWS, shape_names
from paco_fr.synthetic.spec import (
    EXPRESSION_NAMES,
    LEVELS,
    TEST_LIGHTS,
    TEST_OCCLUDERS,
    TRAIN_LIGHTS,
    TRAIN_OCCLUDERS,
)


def test_extra_keys_and_senseless_values_are_rejected():
    with pytest.raises(ValidationError, match="extra"):
        FaceSpec(identities=1, images_per_identity=1, seed=0, yawn=3)
    with pytest.raises(ValidationError, match="occluder_share"):
        FaceSpec(identities=1, images_per_identity=1, seed=0, occluder_share=0.5)
    with pytest.raises(ValidationError, match="yaw"):
        FaceSpec(identities=1, images_per_identity=1, seed=0, yaw=(20, -20))
    with pytest.raises(ValidationError):
        FaceSpec(identities=0, images_per_identity=1, seed=0)


def test_fingerprint_changes_with_spec_and_version(monkeypatch):
    spec = FaceSpec(identities=2, images_per_identity=2, seed=1)
    assert spec.fingerprint() == FaceSpec(identities=2, images_per_identity=2, seed=1).fingerprint()
    assert spec.fingerprint() != spec.model_copy(update={"seed": 2}).fingerprint()
    before = spec.fingerprint()
    monkeypatch.setattr("paco_fr.synthetic.spec.RENDERER_VERSION", 10**6)
    assert spec.fingerprint() != before


def test_prototypes_use_known_actions():
    assert tuple(PROTOTYPES) == EXPRESSION_NAMES
    for name, strengths in PROTOTYPES.items():
        assert set(strengths) <= set(ACTIONS), name
        assert prototype(name).shape == (len(ACTIONS),)
    assert set(SKEWS) <= set(shape_names())


def test_trained_and_tested_disturbances_are_disjoint():
    assert not set(TRAIN_OCCLUDERS) & set(TEST_OCCLUDERS)
    assert not set(TRAIN_LIGHTS) & set(TEST_LIGHTS)


def test_identity_depends_on_seed_and_number_alone():
    few = FaceSpec(identities=1, images_per_identity=2, seed=4, first_identity=7, level="hard")
    many = FaceSpec(identities=9, images_per_identity=5, seed=4, lights=("dim",))
    assert face_parameters(few, 1).identity == face_parameters(many, 35).identity
    assert face_parameters(few, 1).identity_name == "s4-7"


def test_severity_changes_nothing_else():
    spec = FaceSpec(
        identities=2, images_per_identity=1, seed=4, occluders=("hand",), occluder_share=1, lights=("side",)
    )
    mild, strong = (
        face_parameters(spec.model_copy(update={"occluder_severity": s, "light_severity": s}), 1)
        for s in (0.1, 0.9)
    )
    for name in ("identity", "actions", "pose", "framing", "hair", "clothes", "background", "gaze"):
        assert getattr(mild, name) == getattr(strong, name)
    assert mild.occluder.numbers == strong.occluder.numbers
    assert mild.occluder.severity == 0.1
    assert mild.lighting.ambient > strong.lighting.ambient


def test_mirroring_twice_is_the_same_face(hard_spec):
    face = face_parameters(hard_spec, 5)
    twice = face.mirrored().mirrored()
    assert twice.identity == face.identity
    assert twice.pose == face.pose
    a, b = renderer.photo_landmarks(face), renderer.photo_landmarks(twice)
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_parameters_become_json(hard_spec):
    plain = json.loads(json.dumps(face_parameters(hard_spec, 0).as_json()))
    assert set(plain["actions"]) == set(ACTIONS)
    assert set(plain["identity"]["shape"]) == set(shape_names())


def test_index_outside_is_an_error(hard_spec):
    for index in (-1, len(hard_spec)):
        with pytest.raises(IndexError):
            face_parameters(hard_spec, index)


def draws_are_finite_and_in_range(spec: FaceSpec, count: int) -> None:
    limits = spec.ranges()
    yaws = []
    for index in range(count):
        face = face_parameters(spec, index)
        points = renderer.photo_landmarks(face)
        assert np.isfinite(points).all()
        assert limits.yaw[0] <= face.pose.yaw <= limits.yaw[1]
        assert limits.pitch[0] <= face.pose.pitch <= limits.pitch[1]
        assert limits.roll[0] <= face.pose.roll <= limits.roll[1]
        assert points.min() > 0, "an open jaw stays in the picture"
        assert points.max() < spec.photo_size - 1
        rest = replace(face, actions=(0.0,) * len(face.actions), asymmetry=0.0)
        side = np.ptp(renderer.photo_landmarks(rest), axis=0).max() / spec.photo_size
        assert limits.framing[0] - 1e-6 <= side <= limits.framing[1] + 1e-6
        yaws.append(face.pose.yaw)
    spread = np.std(yaws) / (limits.yaw[1] - limits.yaw[0])
    assert 0.15 < spread < 0.30, "poses gather around frontal and still fill the range"


def test_two_thousand_draws_are_finite():
    spec = FaceSpec(identities=1000, images_per_identity=2, seed=6, level="hard")
    draws_are_finite_and_in_range(spec, 2000)


@given(
    shape=st.lists(st.floats(-2.0, 2.0), min_size=len(shape_names()), max_size=len(shape_names())),
    actions=st.lists(st.floats(0, 1.25), min_size=len(ACTIONS), max_size=len(ACTIONS)),
)
@settings(max_examples=50, deadline=None)
def test_no_head_turns_inside_out(shape, actions):
    """However extreme, brows stay above eyes, eyes above the nose's base, that above the mouth and chin."""
    points = landmarks.head_points(np.array(shape), np.array(actions), 0.0)[-51:]
    assert np.isfinite(points).all()
    assert points[2, 1] < points[20, 1] < points[16, 1] < points[40, 1] + 0.05


def test_levels_differ():
    assert LEVELS["normal"].yaw[1] < LEVELS["hard"].yaw[1]


def test_expression_is_recoverable_from_landmarks():
    """Linear regression from frontal landmarks, less the person's own at rest, to the action strengths."""
    spec = FaceSpec(identities=600, images_per_identity=1, seed=8)
    points, strengths = [], []
    for index in range(600):
        face = face_parameters(spec, index)
        actions = np.random.default_rng(index).uniform(0, 1, len(ACTIONS))
        shape = np.array(face.identity.shape)
        moved = landmarks.head_points(shape, actions, face.asymmetry)[-51:, :2]
        rest = landmarks.head_points(shape, 0 * actions, face.asymmetry)[-51:, :2]
        points.append((moved - rest).ravel())
        strengths.append(actions)
    x, y = np.column_stack([np.array(points), np.ones(600)]), np.array(strengths)
    weights, *_ = np.linalg.lstsq(x[:400], y[:400], rcond=None)
    residual = ((x[400:] @ weights - y[400:]) ** 2).sum(axis=0)
    r2 = 1 - residual / ((y[400:] - y[400:].mean(axis=0)) ** 2).sum(axis=0)
    assert dict(zip(ACTIONS, r2.round(3), strict=True)) == pytest.approx(
        dict.fromkeys(ACTIONS, 1.0), abs=0.15
    )
