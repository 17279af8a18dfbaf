"""Hostile image bytes to pixels."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from fec.pixels import FORMATS, MAX_SCANS, TooManyPixels, Unreadable, decode, encode_jpeg, upright

LIMIT = 10_000_000


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    chelsea: Callable[[], Any] = skimage.data.chelsea
    return Image.fromarray(chelsea())


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def difference(data: bytes, expected: Image.Image) -> float:
    """Mean absolute difference of the decoded picture from ``expected``, in levels of 255."""
    got = decode(data, LIMIT).rgb
    assert got.dtype == np.uint8
    return float(np.abs(got.astype(int) - np.asarray(expected.convert("RGB"))).mean())


@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 90, "progressive": True}, {"subsampling": 0}])
def test_a_jpeg_is_the_pixels_that_pillow_decodes(cat: Image.Image, options: dict[str, Any]) -> None:
    data = encoded(cat, "JPEG", **options)
    assert np.array_equal(decode(data, LIMIT).rgb, np.asarray(Image.open(io.BytesIO(data))))


def test_a_jpeg_that_stores_rgb_is_the_pixels_that_pillow_decodes(cat: Image.Image) -> None:
    data = encoded(cat, "JPEG", keep_rgb=True, subsampling=0)
    assert np.array_equal(decode(data, LIMIT).rgb, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    ("make", "format", "tolerance"),
    [
        (lambda image: image, "PNG", 0),
        (lambda image: image, "BMP", 0),
        (lambda image: image, "WEBP", 4),
        (lambda image: image, "AVIF", 4),
        (lambda image: image, "TIFF", 0),
        (lambda image: image.convert("CMYK"), "TIFF", 4),
        (lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE), "PNG", 8),
        (lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE), "GIF", 8),
        (lambda image: image.convert("CMYK"), "JPEG", 4),
        (lambda image: image.convert("RGBA"), "PNG", 0),
    ],
)
def test_every_encoding_becomes_rgb(
    cat: Image.Image, make: Callable[[Image.Image], Image.Image], format: str, tolerance: float
) -> None:
    assert difference(encoded(make(cat), format), cat) <= tolerance


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP"])
def test_grey_becomes_three_equal_channels(cat: Image.Image, format: str) -> None:
    rgb = decode(encoded(cat.convert("L"), format), LIMIT).rgb
    assert rgb.shape == (cat.height, cat.width, 3)
    assert np.array_equal(rgb[..., 0], rgb[..., 1])
    assert np.array_equal(rgb[..., 0], rgb[..., 2])


def test_black_and_white_becomes_rgb(cat: Image.Image) -> None:
    assert difference(encoded(cat.convert("1"), "PNG"), cat.convert("1")) == 0


def test_sixteen_bits_become_the_upper_eight() -> None:
    levels = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(levels), "PNG"), LIMIT).rgb[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_transparency_lies_on_white() -> None:
    data = encoded(Image.new("RGBA", (4, 4), (200, 0, 0, 0)), "PNG")
    assert decode(data, LIMIT).rgb.min() == 255


def test_of_an_animation_the_first_picture_counts(cat: Image.Image) -> None:
    first, second = cat.convert("P", palette=Image.Palette.ADAPTIVE), Image.new("P", cat.size, 0)
    assert difference(encoded(first, "GIF", save_all=True, append_images=[second], loop=0), cat) <= 8


def test_one_pixel_is_a_picture() -> None:
    assert decode(encoded(Image.new("RGB", (1, 1), "red"), "PNG"), LIMIT).rgb.tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_picture_cut_short_is_refused(cat: Image.Image, format: str, share: float) -> None:
    data = encoded(cat, format)
    with pytest.raises(Unreadable):
        decode(data[: int(len(data) * share)], LIMIT)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_last_bytes_is_called_truncated(cat: Image.Image, progressive: bool, mode: str) -> None:
    data = encoded(cat.convert(mode), "JPEG", progressive=progressive)
    for missing in (1, 2, 50, 1000):
        with pytest.raises(Unreadable, match=r"^451x300 JPEG: truncated$"):
            decode(data[:-missing], LIMIT)


def test_the_end_of_an_embedded_thumbnail_is_not_the_end_of_the_jpeg(cat: Image.Image) -> None:
    inner = encoded(cat.resize((60, 40)), "JPEG")
    data = encoded(cat, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + inner)
    assert difference(data, cat) < 5
    with pytest.raises(Unreadable, match="truncated"):
        decode(data[: len(data) // 2], LIMIT)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(cat: Image.Image) -> None:
    assert difference(encoded(cat, "JPEG") + b"<!-- served by -->", cat) < 5


def test_a_jpeg_of_a_thousand_scans_is_refused(cat: Image.Image) -> None:
    data = encoded(cat, "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(Unreadable, match=f"more than {MAX_SCANS} scans"):
        decode(data[:scan] + data[scan:-2] * 1000 + data[-2:], LIMIT)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of what it finds broken
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\xff\xff",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"BM",
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(14),
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(14),
        b"<html><body>This photo is no longer available</body></html>",
        b"II*\0\x08\0\0\0",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
    ids=repr,
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data, LIMIT)


@pytest.mark.parametrize("format", ["PPM", "ICO", "TGA", "PCX"])
def test_a_format_that_is_not_expected_is_refused(cat: Image.Image, format: str) -> None:
    with pytest.raises(Unreadable, match="none of JPEG, PNG, GIF"):
        decode(encoded(cat.resize((64, 64)), format), LIMIT)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_bomb_is_refused_by_its_header() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")
    with pytest.raises(TooManyPixels, match="60000x60000 PNG: 3,600,000,000 pixels, allowed are 10,000,000"):
        decode(bomb, LIMIT)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_the_size_of_every_kind_of_webp_is_known_before_it_is_opened(lossless: bool, alpha: bool) -> None:
    image = Image.new("RGBA" if alpha else "RGB", (301, 201), (9, 9, 9, 9) if alpha else "green")
    data = encoded(image, "WEBP", lossless=lossless)
    with pytest.raises(TooManyPixels, match="301x201 WEBP"):
        decode(data, 300 * 201)
    assert decode(data, 301 * 201).rgb.shape == (201, 301, 3)


@pytest.mark.parametrize("format", FORMATS)
def test_the_limit_is_of_pixels_of_any_format(cat: Image.Image, format: str) -> None:
    data = encoded(cat, format)
    assert decode(data, cat.width * cat.height).format == format
    with pytest.raises(TooManyPixels):
        decode(data, cat.width * cat.height - 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_the_picture_as_a_viewer_does(cat: Image.Image, format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(cat, format, exif=exif)
    picture = decode(data, LIMIT)
    assert picture.orientation == orientation
    assert picture.rgb.shape == (cat.height, cat.width, 3)
    seen = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(upright(picture.rgb, picture.orientation), seen)


def test_a_tiff_comes_upright(cat: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(encoded(cat, "TIFF", exif=exif), LIMIT)
    assert picture.orientation == 1
    assert np.array_equal(picture.rgb, np.rot90(np.asarray(cat), -1))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_none(cat: Image.Image, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert decode(encoded(cat, "JPEG", exif=exif), LIMIT).orientation == 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of what it finds broken
def test_broken_exif_does_not_spoil_the_picture(cat: Image.Image) -> None:
    assert decode(encoded(cat, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), LIMIT).orientation == 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of what it finds broken
def test_damaged_bytes_raise_nothing_else(cat: Image.Image) -> None:
    chance = np.random.default_rng(0)
    for format in FORMATS:
        data = encoded(cat.resize((90, 60)), format)
        for _ in range(60):
            damaged = np.frombuffer(data, np.uint8).copy()
            places = chance.integers(0, len(damaged), 12)
            damaged[places] = chance.integers(0, 256, 12)
            try:
                decode(damaged.tobytes(), LIMIT)
            except (Unreadable, TooManyPixels) as error:
                assert 0 < len(str(error)) < 120


def test_encoding_keeps_the_pixels_and_repeats_its_bytes(cat: Image.Image) -> None:
    rgb = np.asarray(cat)
    data = encode_jpeg(rgb, 95)
    assert difference(data, cat) < 2
    assert data == encode_jpeg(rgb[:, ::-1][:, ::-1], 95)
    assert data == encoded(cat, "JPEG", quality=95, subsampling=0)
