"""From photograph to canvas: templates, similarities and crops, with one pixel convention.

The centre of the top-left pixel is (0, 0), in photographs and on canvases; a canvas of side S therefore
spans [-0.5, S - 0.5]. A transform is a (2, 3) float64 matrix that takes photograph pixels to canvas
pixels. What lies outside the photograph is black on the canvas, as in the letterbox of a whole picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import ceil, floor, isfinite, sqrt

import numpy as np
import numpy.typing as npt
from PIL import Image

from paco_fr.contracts import CROPS, CropContract
from paco_fr.faces.decode import MAX_PIXELS, Pixels
from paco_fr.faces.landmarks import five_points
from paco_fr.utils.errors import PacoError, quoted, unknown_name
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array


class CropError(PacoError):
    """A face that cannot be cut because of its own points or box; others of its source can."""


def _unit(pixels: list[tuple[float, float]], side: int) -> Array:
    """Return template points as shares of the canvas; (p + 0.5) / side under the pixel convention."""
    return (np.array(pixels) + 0.5) / side


TEMPLATES: dict[str, Array] = {
    # FaRL's face parsing (github.com/FacePerceiver/FaRL): a canvas of 512, the whole head in view.
    "farl": _unit([(196, 226), (316, 226), (256, 286), (220, 360.4), (292, 360.4)], 512),
    # insightface's ArcFace (recognition/arcface_torch, 112 x 112): tight, forehead and chin cut off.
    "arcface": _unit(
        [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)],
        112,
    ),
    # dlib's get_face_chip (image_transforms/interpolation.h) at 150 pixels and its padding of 0.25: where its mean face
    # has the middles of the eyes (points 36 to 41 and 42 to 47 of 68), the nose tip (30) and the mouth corners (48, 54).
    "dlib": _unit(
        [
            (47.0490, 46.0988),
            (99.9763, 46.0988),
            (73.5127, 76.0623),
            (49.9147, 102.5235),
            (97.1106, 102.5235),
        ],
        150,
    ),
}
"""Left eye, right eye, nose tip, left and right mouth corner of each template, in the unit square."""

CORNERED: dict[str, Array] = {
    # The same points as FaRL's training places them: p / 512 of the way between the centres of the outermost pixels.
    "farl-corners": np.array([(196, 226), (316, 226), (256, 286), (220, 360.4), (292, 360.4)]) / 512,
}
"""Templates whose unit square lies between the centres of the canvas's corner pixels."""


ALIGNED: Array = np.eye(2, 3)
"""The transform that changes nothing."""


def template_points(name: str, canvas: int) -> Array:
    """Return the five points (5, 2) of a named template in pixels of a canvas."""
    if name in CORNERED:
        return CORNERED[name] * (canvas - 1)
    if name not in TEMPLATES:
        raise unknown_name("template", name, {**TEMPLATES, **CORNERED})
    return TEMPLATES[name] * canvas - 0.5


def crop_of(text: str) -> CropContract:
    """Return the crop that ``NAME[:margin=SHARE][:canvas=PIXELS]`` names, e.g. ``box:margin=0.03:canvas=150``.

    Raises:
        PacoError: an unknown name or setting, or a value out of range.

    """
    name, *settings = text.split(":")
    if name not in CROPS:
        raise unknown_name("crop", name, CROPS)
    crop, known = CROPS[name], {"canvas"} | ({"margin"} if CROPS[name].rule == "box" else set())
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in known:
            raise unknown_name(f"setting of crop {name}", key, known)
        try:
            if key == "canvas" and value.isascii() and value.isdigit() and 8 <= int(value[:6]) <= 4096:
                crop = replace(crop, canvas=int(value[:6]))
                continue
            if key == "margin" and -0.4 <= float(value) <= 4:
                crop = replace(crop, margin=float(value))
                continue
        except ValueError:
            pass
        raise PacoError(
            f"crop {quoted(text)}: canvas is 8 to 4096 pixels, margin a share of -0.4 to 4, as in box:margin=0.03:canvas=150."
        )
    return crop


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> Array:
    """Return the similarities (..., 2, 3) that take source points nearest to target points.

    Least squares over rotation, uniform scale and shift, without reflection (Umeyama 1991, in closed
    form because a plane similarity is linear in its four parameters).

    Args:
        source: points (..., K, 2) with K >= 2.
        target: points (K, 2), or of the shape of ``source``.

    Raises:
        PacoError: the source points coincide, so that no scale exists.

    """
    p, q = np.broadcast_arrays(np.asarray(source, np.float64), np.asarray(target, np.float64))
    p_mean, q_mean = p.mean(axis=-2), q.mean(axis=-2)
    p, q = p - p_mean[..., None, :], q - q_mean[..., None, :]
    spread = (p**2).sum(axis=(-2, -1))
    if not (spread > 0).all():
        raise CropError("Points that all coincide (or are not finite) cannot be aligned to a template.")
    a = (p * q).sum(axis=(-2, -1)) / spread
    b = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(axis=-1) / spread
    linear = np.stack([np.stack([a, -b], axis=-1), np.stack([b, a], axis=-1)], axis=-2)
    shift = q_mean - (linear @ p_mean[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], axis=-1)


def apply(transform: npt.ArrayLike, points: npt.ArrayLike) -> Array:
    """Return points (..., K, 2) moved by transforms (..., 2, 3)."""
    t, p = np.asarray(transform, np.float64), np.asarray(points, np.float64)
    moved: Array = p @ np.swapaxes(t[..., :2], -1, -2) + t[..., None, :, 2]
    return moved


def invert(transform: npt.ArrayLike) -> Array:
    """Return the transforms (..., 2, 3) that undo transforms (..., 2, 3)."""
    t = np.asarray(transform, np.float64)
    linear = np.linalg.inv(t[..., :2])
    return np.concatenate([linear, -(linear @ t[..., 2:])], axis=-1)


def compose(second: npt.ArrayLike, first: npt.ArrayLike) -> Array:
    """Return the transforms (..., 2, 3) that apply ``first``, then ``second``."""
    s, f = np.asarray(second, np.float64), np.asarray(first, np.float64)
    shift = s[..., :2] @ f[..., 2:] + s[..., 2:]
    return np.concatenate([s[..., :2] @ f[..., :2], shift], axis=-1)


def warped(points: npt.ArrayLike, canvas: int, warp: float) -> Array:
    """Return points (..., 2) of a canvas as they lie on it after FaRL's tanh warp; without one, as they are.

    From the middle, in half sides of the canvas, what lies beyond ``1 - warp`` is squeezed: u goes to
    ``warp * tanh((u - 1 + warp) / warp) + 1 - warp``, so that the whole plane lies on the canvas.
    """
    p = np.asarray(points, np.float64)
    if not warp:
        return p
    u = (p + 0.5) * 2 / canvas - 1
    beyond = np.abs(u) - 1 + warp
    v = np.where(beyond > 0, np.sign(u) * (warp * np.tanh(beyond / warp) + 1 - warp), u)
    return np.asarray((v + 1) * canvas / 2 - 0.5)


def unwarped(points: npt.ArrayLike, canvas: int, warp: float) -> Array:
    """Return what :func:`warped` took to these points (..., 2); beyond the canvas nothing lies (infinity)."""
    p = np.asarray(points, np.float64)
    if not warp:
        return p
    v = (p + 0.5) * 2 / canvas - 1
    beyond = (np.abs(v) - 1 + warp) / warp
    with np.errstate(divide="ignore"):
        u = np.sign(v) * (warp * np.arctanh(np.clip(beyond, 0.0, 1.0)) + 1 - warp)
    return np.asarray((np.where(beyond > 0, u, v) + 1) * canvas / 2 - 0.5)


def onto_canvas(points: npt.ArrayLike, transform: npt.ArrayLike, canvas: int, warp: float = 0.0) -> Array:
    """Return points (..., K, 2) of photographs as they lie on canvases, by transforms (..., 2, 3) and a warp."""
    return warped(apply(transform, points), canvas, warp)


def off_canvas(points: npt.ArrayLike, transform: npt.ArrayLike, canvas: int, warp: float = 0.0) -> Array:
    """Return points (..., K, 2) of canvases as they lie in photographs; undoes :func:`onto_canvas`."""
    return apply(invert(transform), unwarped(points, canvas, warp))


def enlarged(transform: npt.ArrayLike, canvas: int, side: int) -> Array:
    """Return transforms (..., 2, 3) to a canvas that show the same on a canvas of another side."""
    scale = side / canvas
    shift = (scale - 1) / 2
    return compose([[scale, 0.0, shift], [0.0, scale, shift]], transform)


def crop_transform(
    contract: CropContract,
    *,
    landmarks: npt.ArrayLike | None = None,
    scheme: str | None = None,
    box: npt.ArrayLike | None = None,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
    image_key: int | str = 0,
    copy: int = 0,
) -> Array:
    """Return the transform (2, 3) from photograph to canvas that a crop contract asks for.

    Args:
        contract: rule, margin, canvas and jitter.
        landmarks: points (L, 2) of the photograph, for rule ``template``.
        scheme: name of their scheme in :data:`paco_fr.faces.landmarks.FIVE_POINTS`.
        box: x0 y0 x1 y1, for rule ``box``.
        image_size: (height, width) of the photograph, for rule ``whole``.
        seed: seed of the jitter.
        image_key: number or id of the photograph; with ``seed`` and ``copy`` it fixes the jitter.
        copy: which of the contract's jittered copies.

    Raises:
        PacoError: what the rule needs is missing or has no extent.

    """
    base = _base_transform(contract, landmarks, scheme, box, image_size)
    if contract.jitter == 0:
        return base
    return compose(_jitter(contract, generator("crop", seed, _as_number(image_key), copy)), base)


def crop_image(
    image: Pixels, transform: npt.ArrayLike, size: int, fill: int = 0, warp: float = 0.0
) -> Pixels:
    """Return the canvas (size, size, 3) uint8 that a similarity cuts out of a photograph (H, W, 3), perhaps warped.

    Upright crops are one antialiased bicubic resize, exact where the transform shifts by whole pixels.
    Turned crops are shrunk to twice the canvas (antialiased), turned bilinearly and halved, so that
    neither aliasing nor blur depends on the angle; a warped canvas is made likewise. Outside the photograph the
    canvas is ``fill``, black by default, blended over the filter's width of two pixels.

    Raises:
        PacoError: the transform has no finite extent, or reaches absurdly far outside the photograph.

    """
    t = np.asarray(transform, np.float64)
    (xx, xy, dx), (yx, yy, dy) = t.tolist()
    scale = sqrt(abs(xx * yy - xy * yx))
    if not (isfinite(scale + dx + dy) and scale > 0):
        raise PacoError("A crop without finite extent. Check the box or the points of this photograph.")
    if warp:
        return _warp(image, t, scale, size, fill, warp)
    if xy == yx == 0 and xx > 0 and yy > 0:
        return _resize(image, t, (size, size), fill)
    fine = compose([[2, 0, 0.5], [0, 2, 0.5]], t)  # a canvas of twice the side
    shrink = min(2 * scale, 1.0)
    edges = np.array([-0.5, 2 * size - 0.5])
    reach = apply(invert(fine), np.stack(np.meshgrid(edges, edges), axis=-1).reshape(4, 2))
    low = np.floor(reach.min(axis=0) - 2 / shrink) - 0.5
    width, height = (int(n) for n in np.ceil((reach.max(axis=0) + 2 / shrink - low) * shrink))
    to_region = np.array([[shrink, 0, -0.5 - shrink * low[0]], [0, shrink, -0.5 - shrink * low[1]]])
    back = compose(to_region, invert(fine))
    back[:, 2] += 0.5 - 0.5 * back[:, :2].sum(axis=1)  # Pillow counts pixel centres from 0.5
    region = Image.fromarray(_resize(image, to_region, (width, height), fill))
    turned = region.transform(
        (2 * size, 2 * size), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR
    )
    return np.array(turned.reduce(2))


def _warp(image: Pixels, transform: Array, scale: float, size: int, fill: int, warp: float) -> Pixels:
    """Return a canvas that all of a photograph lies on: the photograph is shrunk to twice the canvas's scale first."""
    import cv2  # imported late: a task without a warp does without it

    shrink = min(2 * scale, 1.0)
    width, height = (max(1, ceil(side * shrink)) for side in (image.shape[1], image.shape[0]))
    to_region = np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2]])
    region = _resize(image, to_region, (width, height), fill)
    centres = (np.arange(2 * size) + 0.5) / 2 - 0.5
    axis = unwarped(np.stack([centres, centres], axis=-1), size, warp)[
        :, 0
    ]  # either axis is warped by itself
    back = compose(to_region, invert(transform))
    # What lies beyond 30,000 pixels, as far as remap can look, is background in any case.
    x, y = (
        np.clip(np.add.outer(of_y * axis, of_x * axis + shift), -1e4, 3e4).astype(np.float32)
        for of_x, of_y, shift in back.tolist()
    )
    colour = (fill,) * 3
    fine = cv2.remap(region, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=colour)
    return np.array(Image.fromarray(np.asarray(fine, dtype=np.uint8)).reduce(2))


def _resize(image: Pixels, transform: Array, size: tuple[int, int], fill: int) -> Pixels:
    """Cut and resize an upright region: a canvas of ``size`` (width, height), padded with ``fill``."""
    from paco_fr.faces.resize import resize_bicubic  # imported late: compiled code is heavy

    (stretch_x, _, shift_x), (_, stretch_y, shift_y) = transform.tolist()
    height, width = image.shape[:2]
    left, right, x0, x1 = _span(stretch_x, shift_x, size[0], width)
    top, bottom, y0, y1 = _span(stretch_y, shift_y, size[1], height)
    if (x1 - x0) * (y1 - y0) > MAX_PIXELS:
        raise PacoError("A crop reaches absurdly far outside its photograph. Check its box or its points.")
    return resize_bicubic(image, size, (left - x0, top - y0, right - x0, bottom - y0), (x0, y0, x1, y1), fill)


def _span(stretch: float, shift: float, size: int, length: int) -> tuple[float, float, int, int]:
    """Return along one axis where the canvas begins and ends in the photograph, and which pixels feed it.

    Pixels around the box feed the filter where the photograph has them; only the box itself is padded.
    """
    start = round((-0.5 - shift) / stretch + 0.5, 9)  # Pillow's box: the first pixel spans [0, 1]
    end = round((size - 0.5 - shift) / stretch + 0.5, 9)
    support = ceil(3 / min(stretch, 1.0))
    low = max(floor(start) - support, min(floor(start), 0))
    high = min(ceil(end) + support, max(ceil(end), length))
    return start, end, low, high


def _base_transform(
    contract: CropContract,
    landmarks: npt.ArrayLike | None,
    scheme: str | None,
    box: npt.ArrayLike | None,
    image_size: tuple[int, int] | None,
) -> Array:
    """Return the transform without jitter."""
    if contract.rule == "template":
        if landmarks is None or scheme is None:
            raise PacoError(
                f"Crop '{contract.template}' needs landmarks and their scheme, which this source does not "
                "give. Use --crop box or whole, or add landmarks: `paco-eval data align --for TASK` finds them once for a "
                "task's pictures, `paco-eval data align` makes aligned ones of a folder."
            )
        own = np.array(contract.points) * contract.canvas - 0.5 if contract.points else None
        target = template_points(contract.template or "", contract.canvas) if own is None else own
        found = similarity(five_points(landmarks, scheme), target)
        # Points that lie on the template to float32 rounding: a face already aligned is not sampled again.
        return ALIGNED.copy() if np.abs(found - ALIGNED).max() < 1e-4 else found
    if contract.rule in ("box", "stretched"):
        if box is None:
            raise PacoError("A box crop needs a box, which this source does not give. Use --crop whole.")
        x0, y0, x1, y1 = np.asarray(box, np.float64)
        if contract.rule == "stretched":
            wide = 1 + 2 * contract.margin
            x, _, dx = _square((x0 + x1) / 2, 0.0, wide * (x1 - x0), contract)[0]
            _, y, dy = _square(0.0, (y0 + y1) / 2, wide * (y1 - y0), contract)[1]
            return np.array([[x, 0.0, dx], [0.0, y, dy]])
        return _square(
            (x0 + x1) / 2, (y0 + y1) / 2, (1 + 2 * contract.margin) * max(x1 - x0, y1 - y0), contract
        )
    if image_size is None:
        raise PacoError("A crop of the whole picture needs image_size=(height, width).")
    height, width = image_size
    return _square((width - 1) / 2, (height - 1) / 2, max(height, width), contract)


def _square(x: float, y: float, side: float, contract: CropContract) -> Array:
    """Return the transform that takes the square around (x, y) onto the whole canvas."""
    if not (np.isfinite([x, y, side]).all() and side > 0):
        raise CropError(f"A box without extent (centre {x:g}, {y:g}, side {side:g}) cannot be cropped.")
    scale, middle = contract.canvas / side, (contract.canvas - 1) / 2
    return np.array([[scale, 0.0, middle - scale * x], [0.0, scale, middle - scale * y]])


def _jitter(contract: CropContract, random: np.random.Generator) -> Array:
    """Draw a transform of the canvas: scale about its centre, log-uniform, then a uniform shift."""
    limit = np.log1p(contract.jitter)
    scale = float(np.exp(random.uniform(-limit, limit)))
    shift = random.uniform(-contract.jitter, contract.jitter, size=2) * contract.canvas
    middle = (contract.canvas - 1) / 2 * (1 - scale)
    return np.array([[scale, 0.0, middle + shift[0]], [0.0, scale, middle + shift[1]]])


def _as_number(image_key: int | str) -> int:
    """Return a key of randomness that depends on nothing but the picture's number or id."""
    if isinstance(image_key, int):
        return image_key
    return int.from_bytes(hashlib.sha256(image_key.encode()).digest()[:8], "big")
