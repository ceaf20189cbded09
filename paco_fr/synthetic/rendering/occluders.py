"""Things in front of the face: meshes with colour and opacity, in the camera frame.

Each kind is a function of the head, so that it sits on every form and moves with it. Severity 0..1 is how
much of the face it hides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.parameters import Occluder
from paco_fr.synthetic.shape import geometry as g

Floats = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sheet:
    """A grid mesh: points (R, C, 3) in the camera frame, colour (R, C, 3), opacity (R, C)."""

    points: Floats
    colour: Floats
    opacity: Floats
    lit: bool = True


def tube(path: Floats, radius: Floats, around: int = 9) -> Floats:
    """Return points (N, around, 3) of a tube along a path (N, 3) of given radii (N,)."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    # Built so that the mirrored path has the mirrored tube, its ring read the other way round.
    first = helper - (helper * along).sum(axis=1, keepdims=True) * along
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    second = np.cross(along, first)
    turn = np.linspace(0, 2 * np.pi, around)
    ring = np.cos(turn)[None, :, None] * first[:, None] + np.sin(turn)[None, :, None] * second[:, None]
    return np.asarray(path[:, None] + radius[:, None, None] * ring)


def plain(points: Floats, colour: npt.ArrayLike, opacity: float = 1.0) -> Sheet:
    """Return a sheet of one colour."""
    rows, columns = points.shape[:2]
    return Sheet(
        points, np.broadcast_to(np.asarray(colour), points.shape).copy(), np.full((rows, columns), opacity)
    )


def spectacles(rest: F32, rotation: Floats, what: Occluder) -> list[Sheet]:
    """Return frame and lenses; sunglasses have dark lenses that grow with severity."""
    dark = what.kind == "sunglasses"
    size = 0.215 + 0.055 * what.severity if dark else 0.200 + 0.04 * what.severity
    tall = size * (0.62 + 0.30 * what.numbers[0])
    power = 2.2 + 2.5 * what.numbers[1]
    rim = 0.010 + 0.016 * what.numbers[2] * (0.4 + 0.6 * what.severity)
    frame_colour = np.array(what.colour) * (0.35 if dark else 0.8)
    eye = _points_at(rest, [(-g.EYE[0], 0.02), (g.EYE[0], 0.02), (0.0, 0.06)])
    front = eye[2, 2] - 0.035
    turn = np.linspace(0, 2 * np.pi, 29)
    outline_x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * size
    outline_y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * tall
    sheets = []
    hinges = []
    for index, side in ((0, -1), (1, 1)):
        centre_x = eye[index, 0] + side * 0.012
        x = centre_x + outline_x
        z = front + 0.30 * (np.abs(x) - 0.10) ** 2
        loop = np.stack([x, eye[index, 1] + 0.015 + outline_y, z], axis=-1)
        sheets.append(plain(tube(loop, np.full(len(loop), rim), 7) @ rotation.T, frame_colour))
        rings = np.linspace(0, 1, 5)[:, None, None]
        middle = np.array([centre_x, eye[index, 1] + 0.015, front + 0.30 * (abs(centre_x) - 0.10) ** 2])
        lens = middle + rings * (loop - middle)
        if dark:
            fade = 0.97 - 0.25 * what.numbers[3] * (lens[..., 1] - middle[1] + tall) / (2 * tall)
            tint = np.array(what.second) * 0.10 + 0.004
            sheets.append(Sheet(lens @ rotation.T, np.broadcast_to(tint, lens.shape).copy(), fade))
        else:
            sheets.append(
                plain(lens @ rotation.T, (0.75, 0.8, 0.85), 0.06 + 0.16 * what.severity * what.numbers[3])
            )
        hinges.append(loop[np.argmax(side * loop[:, 0])] + np.array([0, -0.25 * tall, 0]))
    nose = np.linspace(-1, 1, 9)
    inner = [sheets_loop_inner(eye[k, 0] + s * 0.012, -s * size) for k, s in ((0, -1), (1, 1))]
    bridge_x = inner[0] + (inner[1] - inner[0]) * (nose + 1) / 2
    bridge = np.stack([bridge_x, eye[:2, 1].mean() - 0.02 - 0.03 * (1 - nose**2), front + 0 * nose], axis=-1)
    sheets.append(plain(tube(bridge, np.full(9, rim * 0.9), 7) @ rotation.T, frame_colour))
    for side, hinge in zip((-1, 1), hinges, strict=True):
        share = np.linspace(0, 1, 10)[:, None]
        ear = np.array([side * max(abs(hinge[0]) + 0.02, 0.74), hinge[1] + 0.01, 0.10])
        sheets.append(
            plain(tube(hinge + share * (ear - hinge), np.full(10, rim * 0.8), 7) @ rotation.T, frame_colour)
        )
    return sheets


def sheets_loop_inner(centre: float, toward_nose: float) -> float:
    """Return where across the inner edge of a lens stands."""
    return centre + toward_nose


def _points_at(rest: F32, places: list[tuple[float, float]]) -> Floats:
    """Return (N, 3) head points nearest to face coordinates."""
    place = np.rint(g.grid_place(*np.array(places).T)).astype(int)
    return np.asarray(rest[place[:, 1], place[:, 0]], dtype=np.float64)


def cover_sheet(
    head: F32, rows: tuple[int, int], degrees: float, gap: float, smoothing: int, count: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    """Return a cloth over part of the head: points (R, C, 3), row share (R, 1) and angle (1, C).

    The cloth stands ``gap`` off the head and is smoothed: it spans hollows and lies on what stands out.
    """
    r = np.rint(np.linspace(*rows, count[0])).astype(int)
    angle = np.radians(np.linspace(-degrees, degrees, count[1]))
    c = np.rint(g.column_of_angle(angle)).astype(int)
    skin = head[r][:, c].astype(np.float64)
    centre = np.array([0.0, 0.55, 0.35])
    ray = skin - centre
    reach = np.linalg.norm(ray, axis=-1)
    ray /= reach[..., None]
    lower = reach + gap
    reach = lower.copy()
    for _ in range(smoothing):
        padded = np.pad(reach, 1, mode="edge")
        mean = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
        reach = np.maximum(mean, lower)
    return centre + ray * reach[..., None], np.linspace(0, 1, count[0])[:, None], angle[None, :]


def surgical_mask(head: F32, rotation: Floats, what: Occluder) -> list[Sheet]:
    """Return a pleated mask from the nose (under the eyes at full severity) to below the chin."""
    top_down = 0.55 - 0.43 * what.severity
    top = int(np.rint(g.grid_place(np.zeros(1), np.array([top_down]))[0, 1]))
    points, share, angle = cover_sheet(head, (top, g.ROWS - 3), 72.0, 0.025, 40, (26, 31))
    white = np.array([0.82, 0.84, 0.86])
    blue = np.array([0.22, 0.45, 0.60])
    base = (white, blue, np.array(what.colour))[int(what.numbers[0] * 2.999)]
    pleat = 1 - 0.13 * np.clip(np.sin(share * 18.0), 0, 1) ** 2 * (np.abs(angle) < 1.0)
    edge = (share < 0.06) | (share > 0.95)
    colour = base * pleat[..., None] * np.where(edge, 0.88, 1.0)[..., None]
    # The side edges run in toward the chin; loops go to the ears.
    half = np.radians(70) * (1 - 0.18 * share)
    opacity = np.clip((half - np.abs(angle)) / 0.05 + 0.5, 0, 1)
    sheets = [Sheet(points @ rotation.T, colour, opacity)]
    for side in (-1, 1):
        column = -4 if side > 0 else 3
        for row, height in ((1, -0.02), (len(points) - 7, 0.30)):
            start = points[row, column]
            end = np.array([side * 0.74, height, 0.06])
            path = start + np.linspace(0, 1, 8)[:, None] * (end - start)
            path[:, 0] += side * 0.05 * np.sin(np.linspace(0, np.pi, 8))
            sheets.append(plain(tube(path, np.full(8, 0.010), 5) @ rotation.T, (0.8, 0.8, 0.8)))
    return sheets


def scarf(head: F32, rotation: Floats, what: Occluder) -> list[Sheet]:
    """Return a scarf around neck and lower face, up to the nose at full severity."""
    top_down = 0.98 - 0.66 * what.severity
    count = (24, 45)
    row = g.grid_place(np.zeros(1), np.array([top_down]))[0, 1]
    turn = np.linspace(-np.pi, np.pi, count[1])
    share = np.linspace(0, 1, count[0])[:, None]
    r = np.clip(np.rint(row + share * (g.ROWS - 8 - row)), 0, g.ROWS - 1).astype(int)
    c = np.rint(g.column_of_angle(turn)).astype(int)
    skin = head[r, c[None, :]].astype(np.float64)
    wide = np.maximum(np.abs(skin[..., 0]).max(axis=1, keepdims=True), 0.60)
    front = np.maximum(-skin[..., 2].min(axis=1, keepdims=True), 0.88) + 0.06
    height = skin[:, count[1] // 2, 1][:, None]
    height = height[0] + share * (1.75 - height[0]) + 0.12 * (1 - np.cos(turn)) / 2
    bulge = 0.05 * np.sin(share * 11 + 1.2 * np.sin(turn + 6 * what.numbers[1])) + 0.06 * np.sin(
        np.pi * share
    )
    x = (wide + 0.09 + bulge) * np.sin(turn)
    depth = (
        np.where(np.cos(turn) > 0, front + bulge, 0.78) * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.85
    )
    points = np.stack([x, np.broadcast_to(height, x.shape), -depth], axis=-1)
    first, second = np.array(what.colour), np.array(what.second)
    band = g.ramp(2 * np.sin(turn * (6 + int(8 * what.numbers[2])) + 3 * share)) * (what.numbers[3] > 0.5)
    fold = 1 - 0.30 * g.ramp(np.sin(share * 11 + 1.2 * np.sin(turn + 6 * what.numbers[1]) + np.pi))
    colour = (first + (second - first) * band[..., None]) * fold[..., None]
    return [Sheet(points @ rotation.T, np.clip(colour, 0, 1), np.ones(x.shape))]


def hand(head: F32, rotation: Floats, what: Occluder, skin: npt.ArrayLike) -> list[Sheet]:
    """Return a hand laid on the face from the side and below; severity moves it toward the middle."""
    tip_nose = _points_at(head, [(0.0, 0.41)])[0]
    reach = 0.62 - 0.55 * what.severity
    palm = np.array([what.side * reach, 0.78 - 0.45 * what.numbers[0] * what.severity, tip_nose[2] - 0.10])
    lean = what.side * (0.45 - 0.9 * what.numbers[1] * 0.5)
    axes = _turn_in_picture(lean)
    colour = np.asarray(skin) * (0.85 + 0.3 * what.numbers[2])
    sheets = []
    lengths = (0.62, 0.72, 0.68, 0.52)
    for finger in range(4):
        across = what.side * (finger - 1.5) * 0.175
        base = np.array([across, -0.30, 0.02])
        share = np.linspace(0, 1, 12)
        bend = 0.10 * what.numbers[3] * share**2
        path = base + np.stack(
            [
                across * 0.35 * share * what.numbers[4],
                -lengths[finger] * share,
                bend - 0.05 * np.sin(np.pi * share),
            ],
            axis=-1,
        )
        sheets.append(_finger(palm + path @ axes.T, 0.088, colour))
    share = np.linspace(0, 1, 12)
    thumb = np.stack([-what.side * (0.30 + 0.32 * share), 0.15 - 0.50 * share, -0.02 - 0.05 * share], axis=-1)
    sheets.append(_finger(palm + thumb @ axes.T, 0.10, colour))
    share = np.linspace(0, 1, 20)
    back = np.stack([0 * share, -0.42 + 2.9 * share, 0.02 + 0.0 * share], axis=-1)
    width = np.interp(
        share, [0.0, 0.03, 0.10, 0.22, 0.34, 0.42, 1.0], [0.20, 0.35, 0.40, 0.39, 0.26, 0.24, 0.36]
    )
    ring = tube(palm + back @ axes.T, width, 17)
    flat = np.interp(share, [0.2, 0.4], [0.30, 0.75])[:, None]
    ring[..., 2] = palm[2] + (ring[..., 2] - palm[2]) * flat
    sheets.append(plain(ring, colour))
    return [Sheet(s.points @ rotation.T, s.colour, s.opacity) for s in sheets]


def _turn_in_picture(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _finger(path: Floats, radius: float, colour: Floats) -> Sheet:
    share = np.linspace(0, 1, len(path))
    radii = radius * (1 - 0.22 * share) * np.sqrt(np.clip(1 - ((share - 0.86) / 0.14).clip(0) ** 2, 0.0, 1))
    joint = 1 - 0.10 * (g.gauss((share - 0.36) / 0.04) + g.gauss((share - 0.70) / 0.04))
    sheet = plain(tube(path, np.maximum(radii, 0.004), 11), colour)
    nail = 1 + 0.12 * g.ramp((share - 0.80) / 0.1)
    return Sheet(sheet.points, np.clip(sheet.colour * (joint * nail)[:, None, None], 0, 1), sheet.opacity)


def box(flat_box: Floats, distance: float, what: Occluder) -> list[Sheet]:
    """Return a flat card held before the face, covering about 10 to 50 % of it.

    Args:
        flat_box: (4,) x0 y0 x1 y1 of the landmarks, as :func:`camera.flatten` draws them.
        distance: of the camera.
        what: the occluder; the numbers place it.

    """
    low, high = flat_box[:2], flat_box[2:]
    share = 0.10 + 0.45 * what.severity
    aspect = np.exp(0.8 * (what.numbers[0] - 0.5))
    size = (high - low) * np.sqrt(share) * np.array([aspect, 1 / aspect])
    x = (0.5 + 0.5 * what.side * what.numbers[1] * 0.8) * (high - low)[0] + low[0]
    y = low[1] + (0.2 + 0.6 * what.numbers[2]) * (high - low)[1]
    depth = -1.5
    u, v = np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 9)
    grid_x, grid_y = np.meshgrid(u, v)
    flat = np.stack([x + size[0] * grid_x, y + size[1] * grid_y], axis=-1)
    points = np.concatenate([flat * ((distance + depth) / distance), np.full((9, 9, 1), depth)], axis=-1)
    first, second = np.array(what.colour), np.array(what.second)
    kind = int(what.numbers[3] * 3)
    weave = (0 * grid_x, grid_y + 0.5, 0.5 + 0.5 * np.sign(np.cos(9 * grid_x) * np.cos(9 * grid_y)))[kind]
    colour = first + (second - first) * weave[..., None]
    return [Sheet(points, colour, np.ones((9, 9)), lit=False)]
