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

What a file may cost is bounded before it is decoded: :data:`MAX_PIXELS`, :data:`MAX_BYTES`, :data:`MAX_SCANS` and
:data:`MAX_WORK`. Pipes and devices are not opened.

One decoder decides what can be read, Pillow. OpenCV gives the pixels of those JPEG files alone of which it is known
beforehand that both read them alike (:func:`_plain_jpeg`).
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from paco_fr.faces.listing import as_path, as_text, optional_formats
from paco_fr.utils.errors import PacoError

Pixels = npt.NDArray[np.uint8]
Source = bytes | str | os.PathLike[str] | Mapping[str, Any]
"""Encoded bytes, a path, or the ``{"bytes", "path"}`` cell of a ``datasets.Image(decode=False)`` column."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF")
MAX_PIXELS = 80_000_000
"""Largest picture decoded; below the size at which Pillow itself begins to warn. It takes about 1 GB."""
MAX_BYTES = 1_000_000_000
"""Largest file read."""
MAX_SCANS = 100
"""Scans of a JPEG at most; programs write about ten. Each costs as much as decoding the whole picture once."""
MAX_WORK = 1_000_000_000
"""Scans times pixels of a JPEG of more than one scan at most: about ten seconds."""

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
    data = _content(data, name)
    plain = _plain_jpeg(data)
    if plain is not None:
        return plain
    with _open(data, name) as image:
        _check_scans(image, data, name)
        try:
            upright = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(upright, name))
        except _DECODER_ERRORS as error:
            raise ImageError(f"{name}: damaged picture ({error}). Replace the file.") from error


def read_labels(source: Source) -> npt.NDArray[np.int32]:
    """Decode a raster of class numbers to (H, W): the values that the file stores, never colours or scales.

    Grey files of 1, 8, 16 and 32 bit give their values, palette files the indices. Colour channels that all hold the
    same numbers are one number; an alpha channel says nothing of classes.

    Raises:
        ImageError: as :func:`read_image`; or colours, fractions or numbers below 0, which name no class.

    """
    data = read_bytes(source)
    name = _locate(source)[1]
    with _open(data, name) as image:
        try:
            wide = data[:8] == b"\x89PNG\r\n\x1a\n" and data[24:26] in (b"\x10\x02", b"\x10\x04", b"\x10\x06")
            values = (
                _wide_png(data) if wide else np.array(image)
            )  # Pillow halves the depth of colours of 16 bit
        except _DECODER_ERRORS as error:
            raise ImageError(f"{name}: damaged picture ({error}). Replace the file.") from error
        mode = image.mode
    if values.ndim == 3:
        colours = values[..., : values.shape[2] - (values.shape[2] in (2, 4))]
        if mode == "CMYK" or (colours != colours[..., :1]).any():
            raise ImageError(
                f"{name}: a mask of class numbers has colours that differ. Save the numbers as grey values or a palette."
            )
        values = colours[..., 0]
    if not np.issubdtype(values.dtype, np.integer) and values.dtype != bool:
        raise ImageError(f"{name}: a mask of class numbers holds fractions. Save the numbers as 8 or 16 bit.")
    if values.size and int(values.min()) < 0:
        raise ImageError(
            f"{name}: a mask of class numbers holds {int(values.min())}. Save classes from 0 on."
        )
    return np.minimum(values.astype(np.int64), np.iinfo(np.int32).max).astype(np.int32)


def _wide_png(data: bytes) -> npt.NDArray[np.uint16]:
    """Return the pixels (H, W, C) of a PNG of more than one channel of 16 bit; ValueError where they do not decode."""
    import cv2

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("it does not decode")
    return np.asarray(found, dtype=np.uint16)


def _plain_jpeg(data: bytes) -> Pixels | None:
    """Return the pixels of an ordinary JPEG, or None for whatever needs a closer look.

    Most photographs are such: one scan up to the end marker, grey or YCbCr of 8 bits, without EXIF. OpenCV decodes
    them with the same library as Pillow, to the same pixels, in half the time and without the interpreter's lock.
    Of a file with other markers behind its first scan OpenCV keeps what it has, where Pillow refuses it.
    """
    if not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9") or not _is_ordinary(data):
        return None
    import cv2  # imported late: lists and help need no decoder

    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)  # damaged: Pillow says how


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker within a scan that is neither a stuffed 255 nor a restart."""


def _is_ordinary(data: bytes) -> bool:
    """Whether a JPEG has one scan, and nothing before it that changes size, colour or orientation."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xC0, 0xC1):  # the frame: precision, height, width, number of components
            precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if precision != 8 or not 0 < height * width <= MAX_PIXELS or components not in (1, 3):
                return False
        if marker == 0xDA:  # the scan: nothing but data and restarts up to the end
            end = _MARKER.search(data, at + 2 + length)
            return end is not None and end.start() == len(data) - 2
        coding = marker in range(0xC2, 0xD0) and marker not in (0xC4, 0xCC)
        if coding or marker in (0xE1, 0xEE) or length < 2:
            return False  # progressive, lossless and arithmetic coding, EXIF, Adobe's colours
        at += 2 + length
    return False


def image_size(source: Source) -> tuple[int, int]:
    """Return (height, width) of the upright picture from its header, without decoding it."""
    data, name = _locate(source)
    with _open(data, name) as image:
        width, height = image.size
        try:  # Pillow gives the size of a TIFF as it is upright
            turned = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in _UPSIDE
        except _DECODER_ERRORS:
            turned = False
        return (width, height) if turned else (height, width)


def read_bytes(source: Source) -> bytes:
    """Return the encoded bytes of a picture, e.g. to hash and decode it with one read."""
    return _content(*_locate(source))


def _content(data: bytes | str, name: str) -> bytes:
    """Return the bytes themselves, or those of the file that was named."""
    if isinstance(data, bytes):
        return data
    try:
        return _whole_file(data, name)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise _unreadable(name, error) from error


def _whole_file(path: str, name: str) -> bytes:
    """Return the bytes of a regular file, with as few calls as reading takes: small faces are read by the hundred thousand."""
    number = os.open(
        path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    )  # a pipe without a writer does not wait
    with open(number, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no Path
        _check_file(os.fstat(number), name)
        return file.read()


def _check_file(found: os.stat_result, name: str) -> None:
    """Refuse what is no regular file, empty or too long."""
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or device"
        raise ImageError(f"{name}: is {what}, no picture file. Remove it or name another.")
    if found.st_size > MAX_BYTES:
        raise ImageError(
            f"{name}: a file of more than {MAX_BYTES // 1_000_000} MB, refused unread. Scale the picture down."
        )


def _check_scans(image: Image.Image, data: bytes, name: str) -> None:
    """Refuse a JPEG whose scans would take minutes to decode."""
    if image.format not in ("JPEG", "MPO"):
        return
    scans = data.count(b"\xff\xda")
    if scans > 1 and (scans > MAX_SCANS or scans * image.width * image.height > MAX_WORK):
        raise ImageError(
            f"{name}: a JPEG of {scans} scans of {image.width} x {image.height} pixels, refused undecoded: more than "
            f"{MAX_SCANS} scans, or {MAX_WORK // 1_000_000} million pixels in all scans. Save it again as a plain JPEG."
        )


def encode_png(pixels: Pixels) -> bytes:
    """Return the PNG file of uint8 pixels (H, W, 3) or (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


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
        return as_path(str(path)), str(path)
    return as_path(os.fspath(source)), as_text(source)


def _open(data: bytes | str, name: str) -> Image.Image:
    """Read the header of a picture; refuse other formats and bombs."""
    formats = (*FORMATS, *optional_formats())
    if (len(data) if isinstance(data, bytes) else _file_size(data, name)) == 0:
        raise ImageError(f"{name}: the file is empty (0 bytes). Copy or download it again.")
    try:
        image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=formats)
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not a picture in a known format ({', '.join(formats)}). Convert or remove it."
        ) from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name}: damaged header ({error}). Replace the file.") from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _too_large(name, f" ({image.width} x {image.height})")
    return image


def _file_size(path: str, name: str) -> int:
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error
    _check_file(found, name)
    return found.st_size


def _unreadable(name: str, error: OSError | ValueError) -> ImageError:
    reason = getattr(error, "strerror", None) or error
    return ImageError(f"{name}: cannot be read ({reason}). Check the path and its permissions.")


def _too_large(name: str, size: str = "") -> ImageError:
    return ImageError(
        f"{name}: more than {MAX_PIXELS // 1_000_000} million pixels{size}, refused undecoded. "
        "If the file is genuine, scale it down first."
    )


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Convert any admitted mode to RGB."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(
                f"{name}: grey values beyond 16 bit have no known scale. Save it as 8 or 16 bit."
            )
        eight = ((np.arange(65536) * 255 + 32767) // 65535).astype(np.uint8)
        return Image.fromarray(eight[values]).convert("RGB")
    if image.mode == "F":
        raise ImageError(f"{name}: floating-point pixels have no known scale. Save it as 8 or 16 bit.")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
