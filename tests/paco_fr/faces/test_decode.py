from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paco_fr.faces.decode import ImageError, encode_png, image_size, read_bytes, read_image
from paco_fr.faces.listing import optional_formats

RAMP = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds a hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM", "TIFF", "GIF"])
def test_lossless_formats_keep_grey_values(format: str) -> None:
    pixels = read_image(encoded(Image.fromarray(RAMP), format))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.repeat(RAMP[..., None], 3, axis=2))


def test_bytes_path_and_cell_read_alike(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(RAMP), "PNG")
    path = tmp_path / "face.png"
    path.write_bytes(data)
    for source in (data, path, str(path), {"bytes": data, "path": None}, {"bytes": None, "path": str(path)}):
        assert np.array_equal(read_image(source), read_image(data))
        assert read_bytes(source) == data


def test_png_round_trip() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(read_image(encode_png(pixels)), pixels)


@pytest.mark.parametrize("format", ["PNG", "PPM", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(format: str) -> None:
    deep = np.linspace(0, 65535, 40 * 40).reshape(40, 40).round().astype(np.uint16)
    pixels = read_image(encoded(Image.fromarray(deep), format))
    assert np.abs(pixels[..., 0] - deep / 257).max() <= 0.5
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_deeper_grey_is_refused_because_its_scale_is_unknown() -> None:
    with pytest.raises(ImageError, match="no known scale"):
        read_image(encoded(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"))
    with pytest.raises(ImageError, match="no known scale"):
        read_image(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


def test_cmyk_jpeg() -> None:
    rgb = Image.new("RGB", (32, 32), (200, 120, 40))
    pixels = read_image(encoded(rgb.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - (200, 120, 40)).max() <= 4


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_over_black(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (240, 240, 240, 255))
    image.paste((240, 240, 240, 0), (0, 0, 4, 8))
    pixels = read_image(encoded(image.convert(mode), "PNG"))
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 4:] == 240).all()


def test_palette_with_and_without_transparency() -> None:
    palette = Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4)
    assert (read_image(encoded(palette, "PNG")) == (10, 200, 30)).all()
    index = palette.getpixel((0, 0))
    assert (read_image(encoded(palette, "PNG", transparency=index)) == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int) -> None:
    from PIL import ExifTags, ImageOps

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(Image.fromarray(RAMP), "JPEG", exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    pixels = read_image(data)
    assert np.array_equal(pixels[..., 0], expected)
    assert pixels.shape[:2] == image_size(data)
    assert (pixels.shape[:2] == (64, 48)) == (orientation >= 5)


def test_image_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_header(50_000, 50_000))
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"bomb\.png: more than 80 million pixels"):
        read_image(bomb)
    with pytest.raises(ImageError, match="10000 x 8001"):
        read_image(png_header(10_000, 8_001))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_broken_files_are_named_with_a_remedy(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg = encoded(Image.fromarray(noise), "JPEG")
    broken = {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "damaged picture"),
        "head.png": (encoded(Image.fromarray(noise), "PNG")[:20], "known format|damaged"),
        "body.png": (encoded(Image.fromarray(noise), "PNG")[:2000], "damaged picture"),
        "empty.jpg": (b"", "0 bytes"),
        "page.jpg": (b"<html>not found</html>", "known format"),
        "drawing.jpg": (encoded(Image.fromarray(noise), "EPS"), "known format"),
    }
    for name, (data, message) in broken.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=message) as caught:
            read_image(path)
        assert name in str(caught.value)
    for absent in (tmp_path / "absent.jpg", tmp_path):
        with pytest.raises(ImageError, match=str(absent)):
            read_image(absent)
    with pytest.raises(ImageError, match="neither bytes nor a path"):
        read_image({"bytes": None, "path": None})


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_flipped_bytes_raise_nothing_but_image_errors() -> None:
    random = np.random.default_rng(2)
    noise = Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    for format in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"):
        good = np.frombuffer(encoded(noise, format), np.uint8)
        for _ in range(60):
            bad = good.copy()
            spots = random.integers(0, len(bad), 5)
            bad[spots] = random.integers(0, 256, 5)
            with contextlib.suppress(ImageError):
                read_image(bad.tobytes())


def photograph(side: int = 61) -> Image.Image:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (5, 7, 3), dtype=np.uint8)).resize((side + 3, side), 3)
    noisy = np.asarray(coarse, np.int16) + random.normal(0, 8, (side, side + 3, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"quality": 90}),
        ("RGB", {"quality": 60, "subsampling": 0}),
        ("RGB", {"subsampling": 1}),
        ("RGB", {"progressive": True}),
        ("RGB", {"keep_rgb": True}),
        ("RGB", {"restart_marker_rows": 1}),
        ("RGB", {"comment": b"with a comment"}),
        ("L", {}),
        ("CMYK", {}),
    ],
)
def test_jpegs_are_decoded_as_pillow_does(mode: str, options: dict, tmp_path: Path) -> None:
    data = encoded(photograph().convert(mode), "JPEG", **options)
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    for source in (data, path):
        found = read_image(source)
        assert np.array_equal(found, expected)
        assert found.flags.writeable


def test_jpegs_with_damage_fail_or_read_as_in_pillow() -> None:
    whole = encoded(photograph(), "JPEG")
    with pytest.raises(ImageError, match="damaged picture"):
        read_image(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="damaged picture"):
        read_image(whole[:-2])
    patched = bytearray(whole)
    patched[len(whole) // 2] ^= 0xFF  # inside the scan: decoders go on
    expected = np.asarray(Image.open(io.BytesIO(bytes(patched))).convert("RGB"))
    assert np.array_equal(read_image(bytes(patched)), expected)
    size = whole.index(b"\xff\xc0") + 5
    huge = whole[:size] + struct.pack(">HH", 60_000, 60_000) + whole[size + 4 :]
    with pytest.raises(ImageError, match="million pixels"):
        read_image(huge)


def test_real_photographs(data_root: Path) -> None:
    for path in sorted((data_root / "webmorph_cc0").glob("*/*.jpg")):
        height, width = image_size(path)
        assert read_image(path).shape == (height, width, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_tiffs_have_the_size_of_the_upright_picture(orientation: int) -> None:
    """The size of a TIFF with orientation 5 to 8 was exchanged, and its crop cut elsewhere."""
    data = encoded(Image.new("RGB", (40, 80)), "TIFF", tiffinfo={274: orientation})
    assert image_size(data) == read_image(data).shape[:2] == ((40, 80) if orientation >= 5 else (80, 40))


def test_one_decoder_decides_what_can_be_read() -> None:
    """Of 6,000 JPEG files with damage 54 were read as good that Pillow refuses: OpenCV keeps what it has."""
    random = np.random.default_rng(0)
    whole = np.frombuffer(encoded(photograph(), "JPEG", quality=90), np.uint8)
    refused = 0
    for _ in range(1500):
        bad = whole.copy()
        spots = random.integers(0, len(bad) - 2, 3)
        bad[spots] = random.integers(0, 256, 3)
        data = bad.tobytes()
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                expected = np.asarray(image.convert("RGB"))
        except Exception:  # whatever Pillow raises
            refused += 1
            with pytest.raises(ImageError):
                read_image(data)
        else:
            with contextlib.suppress(ImageError):  # damaged EXIF data
                assert np.array_equal(read_image(data), expected)
    assert refused > 20


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(photograph(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def test_jpegs_of_thousands_of_scans_are_refused_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JPEG of 3,000 scans in 660 kB took over a minute."""
    assert read_image(scans(1)).shape == (61, 64, 3)
    with pytest.raises(ImageError, match=r"a JPEG of \d{4} scans of 64 x 61 pixels, refused undecoded"):
        read_image(scans(3000))
    monkeypatch.setattr("paco_fr.faces.decode.MAX_WORK", 30_000)  # few scans of many pixels
    with pytest.raises(ImageError, match="refused undecoded"):
        read_image(scans(1))


def test_avif_is_read_where_pillow_can() -> None:
    if "AVIF" not in optional_formats():
        pytest.skip("this Pillow reads no AVIF")
    assert read_image(encoded(photograph(), "AVIF")).shape == (61, 64, 3)
