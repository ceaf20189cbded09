"""A synthetic face to its training crop, drawn straight at the size of the encoder: nothing is resampled or encoded."""

from __future__ import annotations

from paco_fr.data.cut import Cutting, OneCut, crop_kind, training_crop
from paco_fr.faces.crop import crop_transform
from paco_fr.faces.landmarks import box_of
from paco_fr.synthetic import FaceParameters, photo_landmarks, render


def draw_crop(face: FaceParameters, cutting: Cutting, index: int) -> OneCut:
    """Return the crop (S, S, 3) of a synthetic face and the name of its region map.

    The truth is known before a pixel is drawn, so a crop is a camera: the same face, kind of crop and jitter as
    cutting its photograph would give, only sharper.

    Args:
        face: number ``index`` of its spec.
        cutting: how it is cut.
        index: it fixes kind and jitter, as in :func:`paco_fr.data.cut.cut_record`.

    """
    points, size = photo_landmarks(face), face.framing.photo_size
    kind = crop_kind(cutting, index)
    transform = crop_transform(
        training_crop(kind, cutting),
        landmarks=points,
        scheme="ibug68",
        box=box_of(points),
        image_size=(size, size),
        image_key=index,
    )
    return render(face, cutting.size, transform).image, cutting.anchor(kind)
