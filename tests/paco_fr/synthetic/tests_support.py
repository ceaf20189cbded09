"""Slow, plain oracles."""

from __future__ import annotations

import numpy as np

from paco_fr.synthetic.head import assemble as heads
from paco_fr.synthetic.rendering import renderer
from paco_fr.synthetic.rendering.canvas import SAMPLES


def hidden_by_mesh(face, drawn):
    """How far each landmark lies behind the nearest surface of the head (68,).

    The best of its line of sight and of eight neighbours one sample away counts.
    """
    seen = renderer.view(face)
    mesh = heads.deformed_head(face).astype(float) @ seen.rotation.T
    flat = seen.camera.project(mesh)
    corners = np.concatenate([flat, mesh[..., 2:]], axis=-1)
    a, b, c, d = corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]
    triangles = np.concatenate([np.stack(t, axis=2).reshape(-1, 3, 3) for t in ((a, b, d), (a, d, c))])
    p0, p1, p2 = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = cross2(p1[:, :2] - p0[:, :2], p2[:, :2] - p0[:, :2])
    keep = np.abs(area) > 1e-12
    p0, p1, p2, area = p0[keep], p1[keep], p2[keep], area[keep]
    behind = np.zeros(68)
    step = face.framing.photo_size / len(drawn.image) / SAMPLES
    around = [np.array([dx, dy]) * step for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    for k, (place, depth) in enumerate(zip(seen.landmarks, seen.depth, strict=True)):
        behind[k] = min(nearest_before(place + shift, depth, p0, p1, p2, area) for shift in around)
    return behind


def nearest_before(point, depth, p0, p1, p2, area):
    """How far ``depth`` lies behind the nearest triangle over a point of the picture, 0 if before all."""
    w0 = cross2(p1[:, :2] - point, p2[:, :2] - point) / area
    w1 = cross2(p2[:, :2] - point, p0[:, :2] - point) / area
    w2 = 1 - w0 - w1
    hit = (w0 >= 0) & (w1 >= 0) & (w2 >= 0)
    if not hit.any():
        return 0.0
    return max(depth - (w0 * p0[:, 2] + w1 * p1[:, 2] + w2 * p2[:, 2])[hit].min(), 0.0)


def cross2(u, v):
    """The z part of the cross product of plane vectors (N, 2)."""
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
