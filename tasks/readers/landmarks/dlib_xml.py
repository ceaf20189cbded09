"""dlib's imglab files: images with boxes, every box with named parts, mostly in ISO-8859-1.

Part coordinates count pixels from 0, as records do. A dlib rectangle covers whole pixels, so the box of a
record reaches from half a pixel before its first to half a pixel after its last; its width is kept.
A document type is refused: with one, an XML file can expand entities without end or name other files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from tasks.readers.files import FormatError, inside, require, to_records

REMEDY = "Save the file again with dlib's imglab."


@dataclass
class Face:
    """One box of one image: file as written, box x0 y0 x1 y1, points by part name, and imglab's flag."""

    file: str
    box: tuple[float, float, float, float]
    ignore: bool = False
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def points(self) -> npt.NDArray[np.float64]:
        """The parts (K, 2) in order of their names, as x, y in pixels."""
        return np.array([self.parts[name] for name in sorted(self.parts)], dtype=np.float64).reshape(-1, 2)


def read_faces(path: str | Path) -> list[Face]:
    """Return every box of an imglab file in order.

    Raises:
        MissingDataError: there is no such file.
        FormatError: not well formed, a document type, a missing or wrong attribute, a part twice; names
            file and line.

    """
    path = Path(path)
    data = require(path, REMEDY).read_bytes()
    parser = expat.ParserCreate()
    faces: list[Face] = []
    image: list[str] = []  # the file of the image that is open, if any

    def fail(problem: str) -> FormatError:
        return FormatError(path, parser.CurrentLineNumber, problem, REMEDY)

    def number(attributes: dict[str, str], name: str) -> float:
        try:
            return float(int(attributes[name]))
        except (KeyError, ValueError):
            raise fail(f"'{name}' is {attributes.get(name)!r}, not a whole number") from None

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "image":
            if not attributes.get("file"):
                raise fail("an image without 'file'")
            image[:] = [attributes["file"]]
        elif tag == "box":
            if not image:
                raise fail("a box outside an image")
            left, top, width, height = (
                number(attributes, name) for name in ("left", "top", "width", "height")
            )
            box = (left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5)
            faces.append(Face(image[0], box, ignore=attributes.get("ignore") == "1"))
        elif tag == "part":
            name = attributes.get("name", "")
            if not image or not faces or not name or name in faces[-1].parts:
                raise fail(f"part {name!r} is unnamed, double, or outside a box")
            faces[-1].parts[name] = (number(attributes, "x"), number(attributes, "y"))

    def end(tag: str) -> None:
        if tag == "image":
            image.clear()

    def doctype(*_: object) -> None:
        raise fail("a document type, which is refused because it can define entities")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise FormatError(
            path, parser.CurrentLineNumber, f"is not well-formed XML ({error})", REMEDY
        ) from error
    if not faces:
        raise FormatError(path, None, "no boxes", REMEDY)
    return faces


def read_dlib(path: str | Path) -> Dataset:
    """Return the boxes with 68 iBUG points that are not ignored; images lie relative to the file's folder.

    Raises:
        FormatError: as :func:`read_faces`, a face without all 68 parts, or an image outside the folder.

    """
    path = Path(path)
    rows = []
    for index, face in enumerate(read_faces(path)):
        if face.ignore:
            continue
        if len(face.parts) != 68:
            raise FormatError(path, None, f"box {index} has {len(face.parts)} parts, expected 68", REMEDY)
        rows.append(
            {
                "image": str(inside(path.parent, face.file, path)),
                "image_id": f"{face.file}#{index}",
                "group": face.file,
                "box": list(face.box),
                "landmarks": face.points.tolist(),
                "scheme": "ibug68",
            }
        )
    return to_records(rows, str(path))
