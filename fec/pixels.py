"""Hostile image bytes to pixels: what the header says is checked before anything is decoded.

Transparency lies on white, 16 bits become 8, and of an animation the first picture counts. Colours are as the file
stores them, beside their ICC profile, which ``fec.colour`` applies to what is looked at.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from fec.codecs import RGB, TooManyPixels, Unreadable, check_size, extras, jpeg, jxl, names, png, tiff, webp

__all__ = ["FORMATS", "RGB", "Picture", "TooManyPixels", "Unreadable", "decode", "encode_jpeg", "upright"]

FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""What is always decoded, by Pillow's names; beside these only fec.codecs.extras ever sees the bytes."""

_EXIF_ORIENTATION: Final = 0x0112

# The limit is the caller's, and it is held against the header below before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Picture:
    """A decoded picture as its file stores it, its EXIF orientation (1..8, 1: as stored) and ICC profile (or b"").

    TIFF, whose orientation is part of how its rows are stored, comes upright and as 1.
    """

    rgb: RGB
    orientation: int
    format: str
    icc: bytes = b""


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decode a whole picture of one of FORMATS.

    Raises Unreadable for bytes that are broken, cut short or of another format, and TooManyPixels, before
    decoding, for more than ``max_pixels``. The same bytes give the same pixels on every machine.
    """
    if data.startswith(jpeg.SIGNATURE):
        return _jpeg(data, max_pixels)
    if data.startswith(png.SIGNATURE):
        sound = png.read(data, max_pixels)
        image, rgb = _decoded(sound.data, max_pixels)
        return Picture(rgb, _orientation(sound.exif), "PNG", sound.icc)
    webp.check(data, max_pixels)
    data = names.named_avif(data)
    image, rgb = _decoded(data, max_pixels)
    return Picture(
        rgb, _orientation(image.info.get("exif", b"")), str(image.format), image.info.get("icc_profile") or b""
    )


def _jpeg(data: bytes, max_pixels: int) -> Picture:
    read = jpeg.read(data)
    if not read.width or not read.height:
        raise Unreadable("JPEG: broken in its first bytes")
    check_size(read.width, read.height, "JPEG", max_pixels)
    try:
        rgb = jpeg.pixels(data, read)
    except Unreadable as error:
        raise Unreadable(f"{read.width}x{read.height} JPEG: {error}") from None
    return Picture(rgb, _orientation(read.exif), "JPEG", read.icc)


def _decoded(data: bytes, max_pixels: int) -> tuple[Image.Image, RGB]:
    """The picture and its pixels by Pillow."""
    named = names.foreign(data)
    formats: tuple[str, ...] = FORMATS[1:]
    if named in extras.EXTRAS:
        formats = (extras.format_of(named),)
        jxl.check(data, max_pixels)
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        unknown = f"{named} is not decoded" if named else f"none of {', '.join(FORMATS)}, or broken in its first bytes"
        raise Unreadable(unknown) from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of hostile bytes
        raise Unreadable(_wrong(error)) from None
    name = f"{image.width}x{image.height} {image.format}"
    check_size(image.width, image.height, str(image.format), max_pixels)
    try:
        if image.format == "TIFF":
            tiff.check(image, max_pixels)
        image.load()
        return image, _as_rgb(image)
    except (MemoryError, TooManyPixels):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of hostile bytes
        raise Unreadable(f"{name}: {error if isinstance(error, Unreadable) else _wrong(error)}") from None


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


def _orientation(block: bytes) -> int:
    try:
        exif = Image.Exif()
        exif.load(block)
        value = exif.get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - hostile metadata of a sound picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _wrong(error: Exception) -> str:
    text = str(error).lower()
    return "truncated" if isinstance(error, EOFError) or "truncat" in text or "end of file" in text else "broken"
