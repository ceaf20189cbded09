"""Safe decoding: the only door through which pictures come in.

Every picture becomes uint8 RGB of shape (H, W, 3). The size is read from the header and checked before a
single pixel is decoded, only common raster formats are tried, and a broken file raises
:class:`ImageError`, which runners count as a failure instead of stopping.

What is done to unusual files, so that no number depends on a viewer's taste:

- EXIF orientation is applied; points and boxes of a record refer to the upright photograph.
- 16-bit grey is scaled linearly to 8 bit, never clipped; grey becomes three equal channels.
- Transparency is laid over black, the colour that crops show outside a photograph.
- CMYK is converted by Pillow without colour management; embedded ICC profiles are ignored.
- Of animations and multi-page files the first picture is read.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from paco_fr.utils.errors import PacoError

Pixels = npt.NDArray[np.uint8]
Source = bytes | str | os.PathLike[str] | Mapping[str, Any]
"""Encoded bytes, a path, or the ``{"bytes", "path"}`` cell of a ``datasets.Image(decode=False)`` column."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".gif")
MAX_PIXELS = 80_000_000
"""Largest picture decoded; below the size at which Pillow itself begins to warn."""

# Everything a decoder was seen to raise on damaged input; other exceptions are bugs and stay visible.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, struct.error, zlib.error)
_UPSIDE = {5, 6, 7, 8}  # EXIF orientations that swap width and height


class ImageError(PacoError):
    """A file that cannot be read as a picture. The message names the file and what to do."""


def read_image(source: Source) -> Pixels:
    """Decode a picture to uint8 RGB of shape (H, W, 3), upright.

    Args:
        source: encoded bytes, a path, or an undecoded image cell (its bytes win over its path).

    Raises:
        ImageError: missing, empty, truncated, of another format, or larger than ``MAX_PIXELS``.

    """
    data, name = _locate(source)
    plain = _plain_jpeg(data)
    if plain is not None:
        return plain
    with _open(data, name) as image:
        try:
            upright = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(upright, name))
        except _DECODER_ERRORS as error:
            raise ImageError(f"{name}: damaged picture ({error}). Replace the file.") from error


def _plain_jpeg(data: bytes | str) -> Pixels | None:
    """Return the pixels of an ordinary JPEG, or None for whatever needs a closer look.

    Most photographs are such: whole (the end marker is there), grey or YCbCr of 8 bits, without EXIF. OpenCV decodes
    them with the same library as Pillow, to the same pixels, in half the time and without the interpreter's lock.
    """
    if isinstance(data, str):
        if not data.lower().endswith((".jpg", ".jpeg")):
            return None
        try:
            data = _whole_file(data)
        except OSError:
            return None
    if not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9") or not _is_ordinary(data):
        return None
    import cv2  # imported late: lists and help need no decoder

    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)  # damaged: Pillow says how


def _is_ordinary(data: bytes) -> bool:
    """Whether the segments before the first scan of a JPEG hold nothing that changes size, colour or orientation."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xC0, 0xC1, 0xC2):  # the frame: precision, height, width, number of components
            precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return precision == 8 and 0 < height * width <= MAX_PIXELS and components in (1, 3)
        coding = marker in range(0xC3, 0xD0) and marker not in (0xC4, 0xCC)
        if coding or marker in (0xE1, 0xEE) or length < 2:
            return False  # lossless and arithmetic coding, EXIF, Adobe's colours
        at += 2 + length
    return False


def image_size(source: Source) -> tuple[int, int]:
    """Return (height, width) of the upright picture from its header, without decoding it."""
    data, name = _locate(source)
    with _open(data, name) as image:
        width, height = image.size
        try:
            turned = image.getexif().get(ExifTags.Base.Orientation) in _UPSIDE
        except _DECODER_ERRORS:
            turned = False
        return (width, height) if turned else (height, width)


def read_bytes(source: Source) -> bytes:
    """Return the encoded bytes of a picture, e.g. to hash and decode it with one read."""
    data, name = _locate(source)
    if isinstance(data, bytes):
        return data
    try:
        return _whole_file(data)
    except OSError as error:
        raise _unreadable(name, error) from error


def _whole_file(path: str) -> bytes:
    """Return the bytes of a file, with as few calls as reading takes: small faces are read by the hundred thousand."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much as the reading
        return file.read()


def encode_png(pixels: Pixels) -> bytes:
    """Return the PNG file of uint8 pixels (H, W, 3) or (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def content_hash(data: bytes) -> str:
    """Return the sha256 of encoded bytes as 64 hex digits: the name of a picture in the cache."""
    return hashlib.sha256(data).hexdigest()


def _locate(source: Source) -> tuple[bytes | str, str]:
    """Return the bytes or the path of a source, and a name for messages."""
    if isinstance(source, bytes):
        return source, f"<picture of {len(source)} bytes>"
    if isinstance(source, Mapping):
        data, path = source.get("bytes"), source.get("path")
        if data is not None:
            return bytes(data), str(path) if path else f"<picture of {len(data)} bytes>"
        if path is None:
            raise ImageError("An image cell holds neither bytes nor a path. Write the dataset again.")
        return str(path), str(path)
    return os.fspath(source), os.fspath(source)


def _open(data: bytes | str, name: str) -> Image.Image:
    """Read the header of a picture; refuse other formats and bombs."""
    if (len(data) if isinstance(data, bytes) else _file_size(data, name)) == 0:
        raise ImageError(f"{name}: the file is empty (0 bytes). Copy or download it again.")
    try:
        image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not a picture in a known format ({', '.join(FORMATS)}). Convert or remove it."
        ) from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name}: damaged header ({error}). Replace the file.") from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _too_large(name, f" ({image.width} x {image.height})")
    return image


def _file_size(path: str, name: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> ImageError:
    return ImageError(f"{name}: cannot be read ({error.strerror}). Check the path and its permissions.")


def _too_large(name: str, size: str = "") -> ImageError:
    return ImageError(
        f"{name}: more than {MAX_PIXELS // 1_000_000} million pixels{size}, refused undecoded. "
        "If the file is genuine, scale it down first."
    )


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Convert any admitted mode to RGB."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(
                f"{name}: grey values beyond 16 bit have no known scale. Save it as 8 or 16 bit."
            )
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError(f"{name}: floating-point pixels have no known scale. Save it as 8 or 16 bit.")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
