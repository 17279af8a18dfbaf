"""From a published box to the pixels of its crop."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fec.boxes import Box, PixelBox
from fec.pixels import RGB

BOX: Final = "box"
SQUARE: Final = "square"


def crop_place(box: Box, margin: float, shape: str, width: int, height: int) -> PixelBox:
    """Where the crop of ``box`` lies in a picture of ``width`` x ``height`` pixels.

    The box and ``margin`` of its width and height, half on each side, clipped at the border. As a SQUARE it is grown
    on its short side, moved where the border is near, and reaches over the border where the picture is too small.
    """
    place = box.expanded(margin).pixels(width, height)
    if shape == BOX or min(place.width, place.height) < 1:
        return place
    side = max(place.width, place.height)
    left, right = _grown(place.left, place.right, side, width)
    top, bottom = _grown(place.top, place.bottom, side, height)
    return PixelBox(left, right, top, bottom)


def cut(rgb: RGB, place: PixelBox) -> RGB:
    """A copy of the pixels at ``place``; what lies over the border repeats the nearest pixels at it."""
    height, width = rgb.shape[:2]
    left, top = max(0, place.left), max(0, place.top)
    right, bottom = min(width, place.right), min(height, place.bottom)
    inside: RGB = rgb[top:bottom, left:right].copy()
    over = (top - place.top, place.bottom - bottom, left - place.left, place.right - right)
    if not any(over):
        return inside
    return cv2.copyMakeBorder(inside, *over, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def within(box: Box, place: PixelBox, width: int, height: int) -> Box:
    """``box`` (fractions of an image of ``width`` x ``height``) as fractions of its part ``place``."""
    return Box(
        (box.left * width - place.left) / place.width,
        (box.right * width - place.left) / place.width,
        (box.top * height - place.top) / place.height,
        (box.bottom * height - place.top) / place.height,
    )


def reduced(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture, of colours or grey, at ``width`` x ``height``: halved while it is twice as large, then interpolated.

    OpenCV averages by halves ten times as fast as by other shares.
    """
    while pixels.shape[0] >= 2 * height and pixels.shape[1] >= 2 * width:
        rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
        pixels = _resized(pixels[: 2 * rows, : 2 * columns], columns, rows, cv2.INTER_AREA)
    if pixels.shape[:2] == (height, width):
        return pixels
    return _resized(pixels, width, height, cv2.INTER_LINEAR)


def _resized(pixels: NDArray[np.uint8], width: int, height: int, how: int) -> NDArray[np.uint8]:
    return cv2.resize(pixels, (width, height), interpolation=how).astype(np.uint8, copy=False)


def _grown(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """``start``..``end`` grown to ``length`` about its middle, within 0..``limit`` as far as that goes."""
    start -= (length - (end - start)) // 2
    start = min(max(0, start), limit - length) if length <= limit else -((length - limit) // 2)
    return start, start + length
