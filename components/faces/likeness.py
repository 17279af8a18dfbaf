"""A picture as 256 bits that stay nearly the same when it is encoded, scaled or lit otherwise, or cut by a little.

The method is PDQ's (Meta, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019): which of
the 16 x 16 lowest frequencies of the grey picture at 64 x 64 are above their median. Its averaging is OpenCV's here, so
the bits are not those that other programs call PDQ. Unrelated pictures differ in 128 of them.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fec.pixels import RGB, upright

_SIDE: Final = 64
_FREQUENCIES: Final = 16
# Enough pixels of the shorter side to average 64 from: of larger pictures every n-th is taken, before anything else.
_LOOKED_AT: Final = 256
_AVERAGED: Final = 2 * _SIDE
# PDQ's measure of how much there is to see, 0 to 100, and what it recommends to demand of it: of a flat
# picture the bits are noise.
_MIN_QUALITY: Final = 50
_GRADIENTS_A_QUALITY: Final = 90


def likeness(rgb: RGB, orientation: int = 1) -> bytes | None:
    """The 32 bytes that stand for a picture's look, turned by its EXIF ``orientation``.

    None for one too flat to be told from others.
    """
    height, width = rgb.shape[:2]
    step = min(height, width) // _LOOKED_AT
    if step > 1:
        rgb = cv2.resize(rgb, (width // step, height // step), interpolation=cv2.INTER_NEAREST).astype(
            np.uint8, copy=False
        )
    seen = np.ascontiguousarray(upright(rgb, orientation))
    small = _small(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False))
    if _quality(small) < _MIN_QUALITY:
        return None
    lowest = cv2.dct(small.astype(np.float32))[1 : _FREQUENCIES + 1, 1 : _FREQUENCIES + 1]
    return np.packbits(lowest > np.median(lowest)).tobytes()


def _small(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at _SIDE x _SIDE, whatever its shape."""
    height, width = grey.shape
    # By a whole number first, which OpenCV averages many times as fast; it costs less than 1 % at the far edges.
    times = min(height, width) // _AVERAGED
    if times > 1:
        even = grey[: height // times * times, : width // times * times]
        grey = cv2.resize(even, (width // times, height // times), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    how = cv2.INTER_AREA if min(height, width) >= _SIDE else cv2.INTER_LINEAR
    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=how).astype(np.uint8, copy=False)


def _quality(small: NDArray[np.uint8]) -> int:
    levels = small.astype(np.int32)
    steps = (np.abs(np.diff(levels, axis=axis)) * 100 // 255 for axis in (0, 1))
    return int(sum(int(step.sum()) for step in steps)) // _GRADIENTS_A_QUALITY
