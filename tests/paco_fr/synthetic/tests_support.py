"""Slow, plain oracles."""

from __future__ import annotations

import numpy as np

from paco_fr.synthetic import expression, renderer


def hidden_by_mesh(face, drawn):
    """How far each landmark lies behind the nearest surface of the head along its line of sight (68,)."""
    seen = renderer.view(face)
    side = expression.side_field().astype(np.float32)
    mesh = renderer.add_actions(
        renderer.rest_head(face.identity), expression.action_basis(), np.float32(face.actions), side,
        np.float32(face.asymmetry),
    ).astype(float) @ seen.rotation.T  # fmt: skip
    flat = seen.camera.project(mesh)
    corners = np.concatenate([flat, mesh[..., 2:]], axis=-1)
    a, b, c, d = corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]
    triangles = np.concatenate([np.stack(t, axis=2).reshape(-1, 3, 3) for t in ((a, b, d), (a, d, c))])
    p0, p1, p2 = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = np.cross(p1[:, :2] - p0[:, :2], p2[:, :2] - p0[:, :2])
    keep = np.abs(area) > 1e-12
    p0, p1, p2, area = p0[keep], p1[keep], p2[keep], area[keep]
    behind = np.zeros(68)
    for k, (point, depth) in enumerate(zip(seen.landmarks, seen.depth, strict=True)):
        w0 = np.cross(p1[:, :2] - point, p2[:, :2] - point) / area
        w1 = np.cross(p2[:, :2] - point, p0[:, :2] - point) / area
        w2 = 1 - w0 - w1
        hit = (w0 >= 0) & (w1 >= 0) & (w2 >= 0)
        if hit.any():
            nearest = (w0 * p0[:, 2] + w1 * p1[:, 2] + w2 * p2[:, 2])[hit].min()
            behind[k] = max(depth - nearest, 0.0)
    return behind


