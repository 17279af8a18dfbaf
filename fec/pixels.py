"""Hostile image bytes to pixels: what the header says is checked before anything is decoded.

Colours come out as a viewer without colour management shows them: an embedded ICC profile is ignored,
transparency lies on white, 16 bits become 8, and of an animation the first picture counts.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

RGB = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), red first."""

FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""What is decoded, by Pillow's names; no other of its decoders ever sees the bytes."""

# libjpeg decodes each scan over the whole picture, so thousands of empty scans are a bomb of time;
# encoders write about ten.
MAX_SCANS: Final = 100

_EXIF_ORIENTATION: Final = 0x0112
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

# The limit is the caller's, and it is held against the header below before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


class Unreadable(Exception):
    """The bytes cannot be decoded; the message says what they seemed to be and what is wrong."""


class TooManyPixels(Exception):
    """The header announces more pixels than allowed; the message says how many."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture as its file stores it, and its EXIF orientation (1..8, 1: as stored).

    TIFF, whose orientation is part of how its rows are stored, comes upright and as 1.
    """

    rgb: RGB
    orientation: int
    format: str


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decode a whole picture of one of FORMATS.

    Raises Unreadable for bytes that are broken, cut short or of another format, and TooManyPixels, before
    decoding, for more than ``max_pixels``. The same bytes give the same pixels on every machine.
    """
    try:
        _check_webp(data, max_pixels)
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise Unreadable(f"none of {', '.join(FORMATS)}, or broken in its first bytes") from None
    except (TooManyPixels, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of hostile bytes
        raise Unreadable(_wrong(error)) from None
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    name = f"{image.width}x{image.height} {kind}"
    _check_size(image.width, image.height, kind, max_pixels)
    if kind == "JPEG":
        _check_jpeg(data, name)
    try:
        rgb = _jpeg(data, image) if kind == "JPEG" and image.mode in ("RGB", "L") else None
        if rgb is None:
            image.load()
            rgb = _as_rgb(image)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of hostile bytes
        raise Unreadable(f"{name}: {_wrong(error)}") from None
    return Picture(rgb, _orientation(image), kind)


def upright(rgb: RGB, orientation: int) -> RGB:
    """The picture turned as its EXIF orientation (1..8) asks; a view of the same pixels."""
    match orientation:
        case 2:
            return rgb[:, ::-1]
        case 3:
            return rgb[::-1, ::-1]
        case 4:
            return rgb[::-1]
        case 5:
            return rgb.transpose(1, 0, 2)
        case 6:
            return rgb.transpose(1, 0, 2)[:, ::-1]
        case 7:
            return rgb.transpose(1, 0, 2)[::-1, ::-1]
        case 8:
            return rgb.transpose(1, 0, 2)[::-1]
        case _:
            return rgb


def encode_jpeg(rgb: RGB, quality: int) -> bytes:
    """Baseline JPEG without chroma subsampling; the same pixels give the same bytes."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR), options)
    return bytes(encoded)


def _check_size(width: int, height: int, kind: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise TooManyPixels(f"{width}x{height} {kind}: {width * height:,} pixels, allowed are {max_pixels:,}")


def _check_webp(data: bytes, max_pixels: int) -> None:
    """Hold a WebP's canvas against the limit; Pillow would allocate it already on opening the file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    _check_size(width, height, "WEBP", max_pixels)


def _check_jpeg(data: bytes, name: str) -> None:
    """Refuse a JPEG that ends before its end marker, or that has more scans than any encoder writes.

    Some decoders silently fill what is missing with grey.
    """
    at, scans = 2, 0
    while 0 <= at < len(data) - 1:
        code = data[at + 1]
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
        elif code == 0xFF:
            at += 1
        elif code == 0xD9:
            return
        elif code in (0x00, 0x01) or 0xD0 <= code <= 0xD8:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
            if code == 0xDA:
                scans += 1
                if scans > MAX_SCANS:
                    raise Unreadable(f"{name}: more than {MAX_SCANS} scans")
                marker = _AFTER_SCAN.search(data, at)
                at = marker.start() if marker else len(data)
    raise Unreadable(f"{name}: truncated")


def _jpeg(data: bytes, image: Image.Image) -> RGB | None:
    """The pixels through OpenCV's codec, which is faster than Pillow's; None where it refuses."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        rgb = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if rgb is None or rgb.shape != (image.height, image.width, 3):
        return None
    return rgb.astype(np.uint8, copy=False)


def _as_rgb(image: Image.Image) -> RGB:
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int32) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        page = Image.new("RGB", image.size, "white")
        page.paste(image, mask=image)
        return np.asarray(page)
    return np.asarray(image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    try:
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        value = exif.get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - hostile metadata of a sound picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _wrong(error: Exception) -> str:
    return "truncated" if isinstance(error, EOFError) or "truncat" in str(error).lower() else "broken"
