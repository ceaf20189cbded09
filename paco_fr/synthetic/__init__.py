"""A seeded renderer of 3D heads: faces whose every parameter is known.

``face_parameters`` draws all numbers of one picture from a spec, ``render`` draws the picture (or any crop
of it) with its truth, ``records`` makes face records of a whole spec. The same spec and renderer version
give the same bytes on one platform, whatever the number of workers.

Names are resolved on first use: a spec can be built without loading numpy or compiling anything.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paco_fr.synthetic.dataset import records
    from paco_fr.synthetic.parameters import FaceParameters
    from paco_fr.synthetic.rendering.renderer import RenderedFace, photo_landmarks, render
    from paco_fr.synthetic.sampling import face_parameters
    from paco_fr.synthetic.spec import RENDERER_VERSION, FaceSpec

__all__ = [
    "RENDERER_VERSION",
    "FaceParameters",
    "FaceSpec",
    "RenderedFace",
    "face_parameters",
    "photo_landmarks",
    "records",
    "render",
]

_HOME = {
    "RENDERER_VERSION": "spec",
    "FaceSpec": "spec",
    "FaceParameters": "parameters",
    "RenderedFace": "rendering.renderer",
    "photo_landmarks": "rendering.renderer",
    "render": "rendering.renderer",
    "face_parameters": "sampling",
    "records": "dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
