"""TIFF: its tiles and strips are decoded whole, so their sizes are held against the limit like the picture's."""

from __future__ import annotations

from typing import Any, Final

from PIL import Image

from fec.codecs import TooManyPixels, Unreadable

_SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 277, 322, 323
# Pillow's modes have four channels at most; a file may announce 65,535.
MAX_SAMPLES: Final = 8


def check(image: Image.Image, max_pixels: int) -> None:
    """Raise TooManyPixels for tiles of more pixels, in all, than allowed, and Unreadable for too many samples."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    if _number(tags.get(_SAMPLES, 1)) > MAX_SAMPLES:
        raise Unreadable(f"{tags.get(_SAMPLES)} samples a pixel")
    width, height = _number(tags.get(_TILE_WIDTH, 0)), _number(tags.get(_TILE_HEIGHT, 0))
    if not width or not height:
        return
    across, down = -(-image.width // width), -(-image.height // height)
    if across * down * width * height > max_pixels:
        raise TooManyPixels(
            f"{image.width}x{image.height} TIFF of {across * down:,} tiles of {width}x{height}: "
            f"{across * down * width * height:,} pixels, allowed are {max_pixels:,}"
        )


def _number(value: Any) -> int:
    """A tag's value; hostile ones are no numbers, or several."""
    try:
        return int(value[0] if isinstance(value, tuple) else value)
    except (TypeError, ValueError, IndexError):
        raise Unreadable("broken") from None
