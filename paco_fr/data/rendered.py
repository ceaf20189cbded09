"""Crops of synthetic faces, drawn straight at the size of the encoder: nothing is resampled or encoded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from paco_fr.config import PretrainConfig
from paco_fr.data.cut import Cut, OneCut, crop_kind, training_crop
from paco_fr.faces.crop import apply, crop_transform, five_points
from paco_fr.faces.landmarks import box_of
from paco_fr.synthetic import FaceParameters, FaceSpec, face_parameters, photo_landmarks, render

CHUNK = 64


def rendered_crops(spec: FaceSpec, count: int, config: PretrainConfig, workers: int) -> Iterator[Cut]:
    """Yield chunks of the crops of the first ``count`` faces of a spec, in order.

    The truth is known before a pixel is drawn, so a crop is a camera: the same faces, kinds of crop and
    jitter as cutting the photographs of ``spec`` would give, only sharper.
    """
    jobs = [(spec, config, range(at, min(at + CHUNK, count))) for at in range(0, count, CHUNK)]
    if workers == 1:
        yield from map(_draw, jobs)
        return
    # Spawned, not forked: the caller may hold threads, which a forked child would find locked.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_draw, jobs)


def _draw(job: tuple[FaceSpec, PretrainConfig, range]) -> Cut:
    spec, config, chunk = job
    drawn = [draw_crop(face_parameters(spec, index), config, index) for index in chunk]
    images, anchors, points = zip(*drawn, strict=True)
    return np.stack(images), list(anchors), list(points), []


def draw_crop(face: FaceParameters, config: PretrainConfig, index: int) -> OneCut:
    """Return the crop (S, S, 3) of a synthetic face, the name of its region map and its five points (5, 2).

    Args:
        face: number ``index`` of its spec.
        config: shares of the kinds of crop, template, jitter, size.
        index: it fixes kind and jitter, as in :func:`paco_fr.data.cut.cut_record`.

    """
    points, size = photo_landmarks(face), face.framing.photo_size
    kind = crop_kind(config, index)
    transform = crop_transform(
        training_crop(kind, config),
        landmarks=points,
        scheme="ibug68",
        box=box_of(points),
        image_size=(size, size),
        image_key=index,
    )
    image = render(face, config.encoder.size, transform).image
    anchor = config.data.template if kind == "aligned" else kind
    return image, anchor, apply(transform, five_points(points, "ibug68"))
