from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paco_fr.contracts import CROPS, CropContract
from paco_fr.faces import crop as alignment
from paco_fr.faces.crop import apply, compose, crop_image, crop_transform, invert, similarity
from paco_fr.faces.landmarks import FIVE_POINTS, box_of
from paco_fr.utils.errors import PacoError

FACE = np.array([(30, 40), (70, 41), (50, 60), (35, 80), (66, 79)], dtype=float)

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)
shifts = st.floats(-500, 500)


def turn(angle: float, scale: float, dx: float, dy: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, dx], [s, c, dy]])


@given(angles, scales, shifts, shifts)
def test_similarity_recovers_a_similarity(angle: float, scale: float, dx: float, dy: float) -> None:
    true = turn(angle, scale, dx, dy)
    found = similarity(FACE, apply(true, FACE))
    assert np.allclose(found, true, atol=1e-8 * (1 + scale))


def test_similarity_is_batched_and_is_the_least_squares_answer() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(4, 3, 5, 2)), random.normal(size=(5, 2))
    found = similarity(source, target)
    assert found.shape == (4, 3, 2, 3)
    # Oracle: the four parameters by numpy's own least squares.
    x, y = source[2, 1].T
    one, zero = np.ones(5), np.zeros(5)
    design = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(design, target.T.ravel(), rcond=None)[0]
    assert np.allclose(found[2, 1], [[a, -b, tx], [b, a, ty]])


def test_similarity_of_one_repeated_point_is_refused() -> None:
    with pytest.raises(PacoError, match="coincide"):
        similarity(np.ones((5, 2)), FACE)


@given(angles, scales, shifts, shifts)
def test_round_trip_is_exact(angle: float, scale: float, dx: float, dy: float) -> None:
    transform = turn(angle, scale, dx, dy)
    assert np.abs(apply(invert(transform), apply(transform, FACE)) - FACE).max() < 1e-6
    identity = compose(invert(transform), transform)
    assert np.allclose(identity, [[1, 0, 0], [0, 1, 0]], atol=1e-6)


@given(
    st.sampled_from(sorted(CROPS)),
    st.floats(0, 0.3),
    angles,
    st.floats(0.2, 8),
    shifts,
    st.integers(0, 2**40),
)
def test_crop_and_inverse_return_to_a_thousandth_of_a_pixel(
    name: str, jitter: float, angle: float, scale: float, shift: float, key: int
) -> None:
    rule = CROPS[name]
    contract = CropContract(rule.rule, rule.template, rule.margin, canvas=64, jitter=jitter)
    points = apply(turn(angle, scale, shift, -shift), FACE)
    transform = crop_transform(
        contract,
        landmarks=points,
        scheme="five",
        box=box_of(points),
        image_size=(480, 640),
        seed=3,
        image_key=key,
    )
    assert np.abs(apply(invert(transform), apply(transform, points)) - points).max() < 1e-3


def test_templates_are_the_published_ones() -> None:
    assert np.allclose(alignment.template_points("arcface", 112)[2], (56.0252, 71.7366))
    assert np.allclose(alignment.template_points("farl", 512)[3], (220, 360.4))
    transform = crop_transform(CROPS["arcface"], landmarks=FACE, scheme="five")
    assert np.abs(apply(transform, FACE) - alignment.template_points("arcface", 112)).max() < 6
    with pytest.raises(PacoError, match="Did you mean arcface"):
        alignment.template_points("arcfase", 112)


def test_a_template_means_the_same_picture_on_any_canvas() -> None:
    """Doubling the canvas splits every pixel in four: centres obey 2p + 0.5."""
    small, large = (alignment.template_points("farl", side) for side in (112, 224))
    assert np.allclose(large, 2 * small + 0.5)


@given(shifts, shifts, st.floats(1, 300), st.floats(1, 300), st.floats(0, 1))
def test_box_crop_is_square_and_centred(x: float, y: float, w: float, h: float, margin: float) -> None:
    transform = crop_transform(CropContract("box", margin=margin, canvas=50), box=[x, y, x + w, y + h])
    assert np.allclose(apply(transform, [[x + w / 2, y + h / 2]]), 24.5)
    seen = apply(invert(transform), [[-0.5, -0.5], [49.5, 49.5]])
    assert np.allclose(seen[1] - seen[0], (1 + 2 * margin) * max(w, h))


def test_whole_crop_letterboxes() -> None:
    transform = crop_transform(CropContract("whole", canvas=40), image_size=(20, 80))
    canvas = crop_image(np.full((20, 80, 3), 200, np.uint8), transform, 40)
    assert (canvas[17:23] == 200).all()
    assert (canvas[:13] == 0).all()
    assert (canvas[27:] == 0).all()


def test_jitter_is_keyed_bounded_and_applies_per_copy() -> None:
    contract = CropContract("box", canvas=100, jitter=0.1, copies=6)
    draw = [
        crop_transform(contract, box=[0, 0, 100, 100], seed=1, image_key="photo", copy=c) for c in range(200)
    ]
    again = crop_transform(contract, box=[0, 0, 100, 100], seed=1, image_key="photo", copy=7)
    assert np.array_equal(again, draw[7])
    assert not np.array_equal(
        again, crop_transform(contract, box=[0, 0, 100, 100], seed=2, image_key="photo")
    )
    scale = np.array([t[0, 0] for t in draw])
    assert 1 / 1.1 <= scale.min() < 0.93
    assert 1.07 < scale.max() <= 1.1
    centre = np.array([apply(t, [[50, 50]])[0] for t in draw])
    assert 8 < np.abs(centre - 49.5).max() <= 10


@pytest.mark.parametrize(
    ("rule", "given_", "message"),
    [
        (CROPS["arcface"], {"box": [0, 0, 9, 9]}, "needs landmarks"),
        (CROPS["arcface"], {"landmarks": FACE}, "needs landmarks and their scheme"),
        (CROPS["arcface"], {"landmarks": FACE, "scheme": "ibug86"}, "ibug68"),
        (CROPS["arcface"], {"landmarks": FACE, "scheme": "ibug68"}, "at least 55 points"),
        (CROPS["arcface"], {"landmarks": FACE * np.nan, "scheme": "five"}, "finite"),
        (CROPS["box"], {"landmarks": FACE}, "needs a box"),
        (CROPS["box"], {"box": [5, 5, 5, 5]}, "without extent"),
        (CROPS["box"], {"box": [5, np.nan, 9, 5]}, "without extent"),
        (CROPS["whole"], {}, "image_size"),
    ],
)
def test_what_a_rule_needs_is_asked_for(rule: CropContract, given_: dict, message: str) -> None:
    with pytest.raises(PacoError, match=message):
        crop_transform(rule, **given_)


def smooth(x: np.ndarray, y: np.ndarray, side: float) -> np.ndarray:
    """A picture that can be drawn at any resolution: slow waves of three colours."""
    waves = [
        np.sin(2 * np.pi * (x * a + y * b) / side + c)
        for a, b, c in ((1, 0.5, 0), (-0.6, 1, 1), (0.8, -1, 2))
    ]
    return np.stack([128 + 100 * w for w in waves], axis=-1)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.just(0.0), angles),
    st.floats(0.15, 3),
    st.floats(-0.1, 0.1),
    st.integers(16, 70),
)
def test_crops_agree_with_the_picture_drawn_on_the_canvas(
    angle: float, scale: float, off: float, size: int
) -> None:
    side = int(np.ceil(1.6 * (size / scale) + 20))
    grid = np.arange(side)
    photo = smooth(*np.meshgrid(grid, grid), side).round().astype(np.uint8)
    middle, half = (side - 1) / 2 * (1 + off * min(1.0, scale)), (size - 1) / 2
    base = turn(angle, scale, 0, 0)
    base[:, 2] = half - base[:, :2] @ (middle, middle)
    canvas = crop_image(photo, base, size)
    cells = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2)
    x, y = apply(invert(base), cells).T
    inside = ((x > 3 / scale) & (x < side - 3 / scale) & (y > 3 / scale) & (y < side - 3 / scale)).reshape(
        size, size
    )
    expected = smooth(x, y, side).reshape(size, size, 3)
    difference = np.abs(canvas[inside] - expected[inside])
    curvature = 100 * 2 * (2 * np.pi / side * max(1.0, 1 / scale)) ** 2  # what averaging a wave costs
    assert difference.max() <= 1.5 + curvature


def test_whole_pixel_shifts_are_exact() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(crop_image(photo[:, :40], np.eye(2, 3), 40), photo[:, :40])
    canvas = crop_image(photo, np.array([[1.0, 0, -8], [0, 1, 3]]), 30)
    assert np.array_equal(canvas[3:], photo[:27, 8:38])
    assert (canvas[:3] == 0).all()


def test_shrinking_does_not_alias() -> None:
    """A fine checkerboard must become grey, upright as well as turned."""
    board = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    photo = np.repeat(board[..., None], 3, axis=2)
    for angle in (0.0, 0.3):
        transform = turn(angle, 0.2, 0, 0)
        transform[:, 2] = 19.5 - transform[:, :2] @ (199.5, 199.5)
        assert np.abs(crop_image(photo, transform, 40)[5:35, 5:35].astype(int) - 127).max() <= 3


def test_crops_outside_the_photograph_are_black_or_refused() -> None:
    photo = np.full((20, 20, 3), 255, np.uint8)
    for angle in (0.0, 0.5):
        assert (crop_image(photo, turn(angle, 1, 900, 900), 16) == 0).all()
        with pytest.raises(PacoError, match="absurdly far"):
            crop_image(photo, turn(angle, 1e-5, 0, 0), 16)
        with pytest.raises(PacoError, match="finite extent"):
            crop_image(photo, turn(angle, 0, 0, 0), 16)


def test_every_scheme_reduces_to_five_points() -> None:
    assert all(len(groups) == 5 for groups in FIVE_POINTS.values())
