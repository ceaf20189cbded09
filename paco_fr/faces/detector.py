"""The doors to two libraries that find faces and 68 points in a photograph.

``face-alignment`` (Adrian Bulat and others, BSD licence) is imported when a detector is made, never before, and its
weights are its own affair: it looks for them in torch's hub folder and downloads what is missing. Both steps fail on
machines without a network or a desktop, so both failures are told with what to do.

``dlib`` (Davis King, Boost licence) takes its weights from the package ``face_recognition_models``, so that nothing is
downloaded after ``pip install 'paco-eval[dlib]'``. It sees frontal faces best: profiles and covered faces are for the
other one. Its 68 points were trained on 300-W, whose pictures are for research only.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import Pixels
from paco_fr.utils.errors import PacoError, one_line, unknown_name

DETECTORS = ("face-alignment", "dlib")
GET_DLIB = "pip install 'paco-eval[dlib]'."
LARGEST_SIDE = 1280
"""Photographs are detected in at most this many pixels a side; the detector's memory grows with the area."""


@dataclass(frozen=True)
class Found:
    """One face of a photograph.

    Attributes:
        box: x0 y0 x1 y1 in pixels of the photograph.
        score: the detector's, 0 to 1.
        landmarks: (68, 2) points in the scheme ``ibug68``, NaN until asked for.

    """

    box: npt.NDArray[np.float64]
    score: float
    landmarks: npt.NDArray[np.float64]


class FaceDetector(Protocol):
    """Finds faces, and the points of one that it found."""

    def faces(self, image: Pixels) -> list[Found]:
        """Return the faces of a photograph (H, W, 3), without points, best score first."""
        ...

    def points(self, image: Pixels, face: Found) -> Found:
        """Return the face with its 68 points."""
        ...


def detector_of(name: str, device: str = "cpu") -> FaceDetector:
    """Return the detector of a name.

    Raises:
        PacoError: an unknown name, or the library or its weights are not to be had.

    """
    if name == "dlib":
        return DlibDetector()
    if name == "face-alignment":
        return Detector(device)
    raise unknown_name("detector", name, DETECTORS)


class Detector:
    """Finds faces with S3FD and their points with 2DFAN-4."""

    def __init__(self, device: str = "cpu") -> None:
        library, urls = _library()
        folder = weights_folder()
        missing = {name: url for name, url in urls.items() if not (folder / name).is_file()}
        try:
            self._align: Any = library.FaceAlignment(
                library.LandmarksType.TWO_D, device=device, compile=False, flip_input=True
            )
        except OSError as error:  # urllib's errors are OSErrors
            listed = " and ".join(f"{name} (from {url})" for name, url in (missing or urls).items())
            raise PacoError(
                f"The weights of face-alignment are not here and cannot be fetched ({error}). "
                f"Put {listed} into {folder}."
            ) from error
        except Exception as error:  # torch's own for a file that is cut short or not what it should be
            raise PacoError(
                f"The weights of face-alignment in {folder} cannot be used ({type(error).__name__}: {error}). "
                f"Delete {' and '.join(urls)} there and put them in again."
            ) from error

    def faces(self, image: Pixels) -> list[Found]:
        """Return the faces of a photograph (H, W, 3), without points, best score first."""
        scale = min(1.0, LARGEST_SIDE / max(image.shape[:2]))
        boxes = self._align.face_detector.detect_from_image(_shrunk(image, scale))
        nowhere = np.full((68, 2), np.nan)
        found = [Found(np.asarray(box[:4], np.float64) / scale, float(box[4]), nowhere) for box in boxes]
        return sorted(found, key=lambda face: -face.score)

    def points(self, image: Pixels, face: Found) -> Found:
        """Return the face with its 68 points."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            points = self._align.get_landmarks_from_image(
                image, detected_faces=[np.append(face.box, face.score)]
            )
        return Found(face.box, face.score, np.asarray(points[0], np.float64))


class DlibDetector:
    """Finds faces with dlib's detector of frontal faces, or else its network, and points with its 68 point predictor."""

    def __init__(self) -> None:
        dlib = dlib_library()
        self._dlib = dlib
        self._frontal: Any = dlib.get_frontal_face_detector()
        self._any: Any = dlib.cnn_face_detection_model_v1(dlib_model("mmod_human_face_detector.dat"))
        self._points: Any = dlib.shape_predictor(dlib_model("shape_predictor_68_face_landmarks.dat"))

    def faces(self, image: Pixels) -> list[Found]:
        """Return the faces of a photograph (H, W, 3), without points, best score first.

        Of both detectors the score is a margin over their thresholds; here it is 0.8 at the threshold and nears 1.
        """
        scale = min(1.0, LARGEST_SIDE / max(image.shape[:2]))
        shown = np.ascontiguousarray(_shrunk(image, scale))
        larger = int(max(shown.shape[:2]) <= LARGEST_SIDE // 2)  # frontal faces are found from 80 pixels on
        boxes, margins, _ = self._frontal.run(shown, larger, 0.0)
        seen = list(zip(boxes, margins, strict=True))
        if not seen:
            seen = [(found.rect, found.confidence) for found in self._any(shown, 0)]
        nowhere = np.full((68, 2), np.nan)
        found = [
            Found(
                np.array([box.left(), box.top(), box.right(), box.bottom()], np.float64) / scale,
                1 / (1 + exp(-2 * float(margin)) / 4),
                nowhere,
            )
            for box, margin in seen
        ]
        return sorted(found, key=lambda face: -face.score)

    def points(self, image: Pixels, face: Found) -> Found:
        """Return the face with its 68 points."""
        box = self._dlib.rectangle(*(round(float(value)) for value in face.box))
        shape = self._points(np.ascontiguousarray(image), box)
        return Found(
            face.box, face.score, np.array([(point.x, point.y) for point in shape.parts()], np.float64)
        )


def dlib_library() -> Any:
    """Return dlib, or say how it is had."""
    try:
        import dlib
    except ImportError as error:
        raise PacoError(f"dlib cannot be imported ({one_line(error)}): {GET_DLIB}") from error
    return dlib


def dlib_model(name: str) -> str:
    """Return the path of a model in ``face_recognition_models``, which is not imported: it needs an old setuptools."""
    package = find_spec("face_recognition_models")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        if (path := Path(folder) / "models" / name).is_file():
            return str(path)
    raise PacoError(f"The models of dlib ({name}) are not here: {GET_DLIB}")


def weights_folder() -> Path:
    """Return the folder in which torch keeps downloaded weights, on this machine."""
    home = Path(
        os.environ.get("TORCH_HOME")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    )
    return home / "hub" / "checkpoints"


def weight_files() -> dict[Path, str]:
    """Return where the weights of face-alignment belong on this machine, with their addresses.

    Raises:
        PacoError: the library cannot be imported.

    """
    return {weights_folder() / name: url for name, url in _library()[1].items()}


def _library() -> tuple[Any, Mapping[str, str]]:
    """Return the library and its weight files by name with their addresses."""
    try:
        import face_alignment
        from face_alignment.api import models_urls as point_urls
        from face_alignment.detection.sfd.sfd_detector import models_urls as face_urls
    except ImportError as error:
        shared = re.search(r"(lib[\w.+-]+\.so[\w.]*)", str(error))
        if shared:
            raise PacoError(
                f"face-alignment needs the system library {shared[1]}, which is not installed. On Debian and Ubuntu: "
                "apt-get install libgl1 libglib2.0-0; or replace opencv-python by opencv-python-headless."
            ) from error
        raise PacoError(
            f"face-alignment cannot be imported ({error}): pip install 'face-alignment>=1.5'."
        ) from error
    urls = [face_urls["s3fd"], point_urls["2DFAN-4"]]
    return face_alignment, {url.rsplit("/", 1)[1]: url for url in urls}


def _shrunk(image: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return image
    from PIL import Image

    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
