"""Hostile image bytes to pixels."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from fec.codecs.jpeg import MAX_SCANS
from fec.pixels import FORMATS, TooManyPixels, Unreadable, decode, encode_jpeg, upright

LIMIT = 10_000_000
# A portrait in the public domain, as it is and with chunks that a viewer passes over.
PICTURES = Path(__file__).with_name("pictures")


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


@pytest.mark.parametrize("sampling", ["411", "420", "422", "440", "444"])
def test_every_sampling_of_chroma_is_decoded(cat: Image.Image, sampling: str) -> None:
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    bgr = cv2.cvtColor(np.asarray(cat), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])
    assert difference(bytes(data), cat) < 6


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
    for missing in (50, 1000):
        with pytest.raises(Unreadable, match=r"^451x300 JPEG: truncated$"):
            decode(data[:-missing], LIMIT)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_its_end_marker_and_nothing_else_is_whole(
    cat: Image.Image, progressive: bool, mode: str
) -> None:
    data = encoded(cat.convert(mode), "JPEG", progressive=progressive)
    for missing in (1, 2):
        assert np.array_equal(decode(data[:-missing], LIMIT).rgb, decode(data, LIMIT).rgb)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.99])
def test_a_jpeg_cut_and_closed_with_its_end_marker_is_truncated(
    cat: Image.Image, progressive: bool, mode: str, share: float
) -> None:
    data = encoded(cat.convert(mode), "JPEG", progressive=progressive)
    with pytest.raises(Unreadable, match=r"^451x300 JPEG: truncated$"):
        decode(data[: int(share * len(data))] + b"\xff\xd9", LIMIT)


def test_a_progressive_jpeg_closed_after_any_scan_but_the_last_is_truncated(cat: Image.Image) -> None:
    data = encoded(cat, "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for scan in scans[1:]:
        with pytest.raises(Unreadable, match="truncated"):
            decode(data[:scan] + b"\xff\xd9", LIMIT)


def test_a_harmless_warning_before_the_data_does_not_spoil_a_jpeg(cat: Image.Image) -> None:
    data = encoded(cat, "JPEG")
    scan = data.index(b"\xff\xda") + 10  # the byte before the first and last coefficient and the precision
    assert data[scan + 1 : scan + 4] == b"\x00\x3f\x00"
    odd = data[: scan + 1] + b"\x00\x00\x00" + data[scan + 4 :]
    assert np.array_equal(decode(odd, LIMIT).rgb, decode(data, LIMIT).rgb)
    jfif = data.index(b"JFIF\0") + 5
    assert np.array_equal(decode(data[:jfif] + b"\x07" + data[jfif + 1 :], LIMIT).rgb, decode(data, LIMIT).rgb)
    with pytest.raises(Unreadable, match="truncated"):
        decode(odd[: len(odd) // 2] + b"\xff\xd9", LIMIT)


def test_a_hole_of_zeros_in_a_jpeg_is_truncated(cat: Image.Image) -> None:
    data = bytearray(encoded(cat, "JPEG", quality=95))
    data[20_000:24_096] = bytes(4096)
    with pytest.raises(Unreadable, match=r"truncated|broken"):
        decode(bytes(data), LIMIT)


@pytest.mark.parametrize(
    "marker",
    [
        b"\xff\xe2\0\x0fICC_PROFILE\0\x07",
        b"\xff\xe1\0\x10Exif\0\0MM\xff\xff\xff\xff\xff\xff",
        b"\xff\xe2\0\x08MPF\0\xff\xff",
    ],
    ids=["icc", "exif", "mpf"],
)
def test_faulty_metadata_does_not_spoil_a_jpeg(cat: Image.Image, marker: bytes) -> None:
    data = encoded(cat, "JPEG")
    assert np.array_equal(decode(data[:2] + marker + data[2:], LIMIT).rgb, decode(data, LIMIT).rgb)


def test_a_cmyk_jpeg_without_adobes_marker_is_read_like_one_with_it(cat: Image.Image) -> None:
    data = encoded(cat.convert("CMYK"), "JPEG")
    at = data.index(b"\xff\xee")
    without = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    assert b"Adobe" in data and b"Adobe" not in without
    assert difference(without, cat) < 4


@pytest.mark.parametrize("name", ["gama-short", "iccp-bad-crc", "iccp-large", "phys-bad-crc", "ztxt"])
def test_a_faulty_or_large_chunk_that_no_pixel_needs_does_not_spoil_a_png(name: str) -> None:
    with Image.open(PICTURES / "control.png") as control:
        expected = np.asarray(control.convert("RGB"))
    assert np.array_equal(decode((PICTURES / f"{name}.png").read_bytes(), LIMIT).rgb, expected)


def png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by kind, those of one kind as one."""
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        found[kind] = found.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_a_png_whose_sound_stream_ends_before_the_last_row_is_truncated(cat: Image.Image, mode: str) -> None:
    chunks = png_chunks(encoded(cat.convert(mode), "PNG"))
    rows = zlib.decompress(chunks[b"IDAT"])
    short = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", chunks[b"IHDR"])
    short += chunk(b"PLTE", chunks[b"PLTE"]) if b"PLTE" in chunks else b""
    end = chunk(b"IEND", b"")
    assert decode(short + chunk(b"IDAT", zlib.compress(rows)) + end, LIMIT).rgb.shape == (300, 451, 3)
    with pytest.raises(Unreadable, match=r"^451x300 PNG: truncated$"):
        decode(short + chunk(b"IDAT", zlib.compress(rows[:-1])) + end, LIMIT)


def test_a_png_whose_pixels_fail_their_checksum_is_broken(cat: Image.Image) -> None:
    data = bytearray(encoded(cat, "PNG"))
    data[-14] ^= 1
    with pytest.raises(Unreadable, match="451x300 PNG: broken"):
        decode(bytes(data), LIMIT)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 9), (16, 8), (451, 300)])
def test_an_interlaced_png_is_whole_by_its_seven_passes(size: tuple[int, int]) -> None:
    width, height = size
    grid = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
    ):  # fmt: skip
        part = grid[top::down, left::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part) if part.size else b""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1))
    data = head + chunk(b"IDAT", zlib.compress(rows))
    assert np.array_equal(decode(data, LIMIT).rgb[..., 0], grid)
    with pytest.raises(Unreadable, match="truncated"):
        decode(head + chunk(b"IDAT", zlib.compress(rows[:-1])), LIMIT)


def tiled_tiff(tile: int, samples: int = 1) -> bytes:
    """A grey TIFF of 64 x 64 pixels of one deflated tile of ``tile`` x ``tile``, whose data are a few bytes."""
    body = zlib.compress(bytes(4096))
    tags = [(256, 64), (257, 64), (258, 8), (259, 8), (262, 1), (277, samples), (322, tile), (323, tile)]
    tags += [(324, 8), (325, len(body))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    start = 8 + len(body)
    return b"II*\0" + struct.pack("<I", start) + body + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_the_tiles_of_a_tiff_are_held_against_the_limit() -> None:
    with pytest.raises(TooManyPixels, match="64x64 TIFF of 1 tiles of 46336x46336: 2,147,024,896 pixels"):
        decode(tiled_tiff(46336), LIMIT)
    assert decode(tiled_tiff(64), LIMIT).rgb.shape == (64, 64, 3)


def test_a_tiff_of_thousands_of_samples_is_refused() -> None:
    with pytest.raises(Unreadable):
        decode(tiled_tiff(64, samples=60_000), LIMIT)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "JPEG 2000"),
        (b"8BPS\0\x01" + bytes(100), "Photoshop"),
    ],
)
def test_a_format_that_is_not_decoded_is_named(data: bytes, name: str) -> None:
    with pytest.raises(Unreadable, match=f"^{name} is not decoded$"):
        decode(data, LIMIT)


def test_an_avif_whose_first_brand_is_mif1_is_decoded(cat: Image.Image) -> None:
    data = encoded(cat, "AVIF")
    assert data[4:12] == b"ftypavif"
    assert difference(data[:8] + b"mif1" + data[12:], cat) < 4


def test_a_palette_with_transparency_lies_on_white(cat: Image.Image) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    data = encoded(image, "PNG", transparency=0)
    assert decode(data, LIMIT).rgb.tolist() == [[[255, 255, 255], [0, 0, 255]]]


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
    with pytest.raises(Unreadable, match=r"none of JPEG, PNG, GIF|ICO is not decoded"):
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
