"""HEIC and JPEG XL: decoded where what decodes them is installed, under the rules of all formats; named where not."""

import io
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from fec.codecs import TooManyPixels, Unreadable, extras, jxl
from fec.pixels import decode, upright

LIMIT = 10_000_000
FORMATS = {"HEIF": "HEIC", "JXL": "JPEG XL"}


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    for named in extras.EXTRAS:
        extras.format_of(named)
    chelsea: Callable[[], Any] = skimage.data.chelsea
    return Image.fromarray(chelsea())


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("format", "options"), [("HEIF", {}), ("JXL", {}), ("JXL", {"use_container": True})])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_it_is_decoded(cat: Image.Image, format: str, options: dict[str, Any], mode: str) -> None:
    picture = decode(encoded(cat.convert(mode), format, quality=90, **options), LIMIT)
    expected = np.asarray(cat.convert(mode).convert("RGB")).astype(int)
    assert picture.format == format
    assert np.abs(picture.rgb - expected).mean() < 4


def test_a_jpeg_in_jpeg_xl_is_decoded(cat: Image.Image, tmp_path: Any) -> None:
    path = tmp_path / "cat.jpg"
    cat.save(path, quality=90)
    with Image.open(path) as jpeg:
        data = encoded(jpeg, "JXL", lossless_jpeg=True)
    assert np.abs(decode(data, LIMIT).rgb - np.asarray(cat).astype(int)).mean() < 4


def test_transparency_lies_on_white(cat: Image.Image) -> None:
    clear = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    for format in FORMATS:
        assert decode(encoded(clear, format, quality=95), LIMIT).rgb.min() > 250


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
def test_one_cut_short_is_refused(cat: Image.Image, format: str, share: float) -> None:
    data = encoded(cat, format)
    with pytest.raises(Unreadable):
        decode(data[: int(len(data) * share)], LIMIT)


@pytest.mark.parametrize(("format", "options"), [("HEIF", {}), ("JXL", {}), ("JXL", {"use_container": True})])
@pytest.mark.parametrize("size", [(451, 300), (256, 256), (240, 240), (1200, 1000), (400, 300), (3, 5), (16, 8)])
def test_its_size_is_held_against_the_limit(
    cat: Image.Image, format: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    data = encoded(cat.resize(size), format, **options)
    assert decode(data, size[0] * size[1]).rgb.shape == (size[1], size[0], 3)
    with pytest.raises(TooManyPixels, match=f"{size[0]}x{size[1]} {FORMATS[format] if format == 'JXL' else 'HEIF'}"):
        decode(data, size[0] * size[1] - 1)


def test_a_jpeg_xl_of_a_billion_pixels_a_side_is_refused_before_its_decoder_sees_it() -> None:
    """Not small, height and width of 30 bits each."""
    bits, at = 0, 0
    for value, count in ((0, 1), (3, 2), (2**30 - 1, 30), (0, 3), (3, 2), (2**30 - 1, 30)):
        bits, at = bits | value << at, at + count
    with pytest.raises(TooManyPixels, match="1073741824x1073741824 JPEG XL"):
        jxl.check(b"\xff\x0a" + bits.to_bytes(10, "little") + bytes(50), LIMIT)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_it_is_seen_as_a_viewer_sees_it(cat: Image.Image, format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(cat, format, exif=exif.tobytes(), quality=95)
    picture = decode(data, LIMIT)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)
    seen = upright(picture.rgb, picture.orientation)
    assert seen.shape == expected.shape and np.abs(seen - expected).mean() < 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of what it finds broken
@pytest.mark.parametrize("format", FORMATS)
def test_damaged_bytes_raise_nothing_else(cat: Image.Image, format: str) -> None:
    chance = np.random.default_rng(0)
    data = encoded(cat.resize((90, 60)), format)
    for _ in range(40):
        damaged = np.frombuffer(data, np.uint8).copy()
        places = chance.integers(0, len(damaged), 12)
        damaged[places] = chance.integers(0, 256, 12)
        try:
            decode(damaged.tobytes(), LIMIT)
        except (Unreadable, TooManyPixels) as error:
            assert 0 < len(str(error)) < 120


@pytest.mark.parametrize(
    ("data", "named", "extra"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100), "HEIC", "heic"),
        (b"\xff\x0a" + bytes(100), "JPEG XL", "jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "JPEG XL", "jxl"),
    ],
)
def test_without_its_extra_it_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, data: bytes, named: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, {"heic": "pillow_heif", "jxl": "pillow_jxl"}[extra], None)
    with pytest.raises(Unreadable) as refused:
        decode(data, LIMIT)
    assert str(refused.value) == f"{named} is decoded after pip install 'fec[{extra}]'"
    assert extras.lacking(str(refused.value)) == extra
    assert not extras.is_installed(extra)


def test_other_reasons_lack_nothing() -> None:
    assert extras.lacking("512x512 JPEG: truncated") == ""
    assert not extras.is_installed("")


def test_an_avif_that_names_only_the_brand_of_any_picture_is_decoded(cat: Image.Image) -> None:
    data = encoded(cat, "AVIF")
    generic = data[:8] + b"mif1" + data[12:].replace(b"avif", b"miaf", 1)
    assert np.abs(decode(generic, LIMIT).rgb - np.asarray(cat).astype(int)).mean() < 4
