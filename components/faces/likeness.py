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

from components.faces.geometry import reduced
from fec.pixels import RGB, upright

Grey = NDArray[np.uint8]
"""Grey levels of shape (height, width)."""

CROP_SIDE: Final = 160
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
    return grey_likeness(_grey(np.ascontiguousarray(upright(rgb, orientation))))


def grey_likeness(levels: Grey) -> bytes | None:
    """As ``likeness``, of grey levels: those of a face's crop as ``small_grey`` gives them."""
    small = _small(levels)
    if _quality(small) < _MIN_QUALITY:
        return None
    lowest = cv2.dct(small.astype(np.float32))[1 : _FREQUENCIES + 1, 1 : _FREQUENCIES + 1]
    # As np.median, in a tenth of its time.
    ordered = np.sort(lowest, axis=None)
    middle = len(ordered) // 2
    return np.packbits(lowest > (ordered[middle - 1] + ordered[middle]) / 2).tobytes()


def small_grey(crop: RGB) -> Grey:
    """A crop's grey levels at CROP_SIDE pixels of its longer side."""
    height, width = crop.shape[:2]
    scale = CROP_SIDE / max(height, width)
    return reduced(_grey(crop), max(1, round(width * scale)), max(1, round(height * scale)))


def _grey(rgb: RGB) -> Grey:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def _small(levels: Grey) -> Grey:
    """The picture at _SIDE x _SIDE, whatever its shape."""
    height, width = levels.shape
    # By a whole number first, which OpenCV averages many times as fast; it costs less than 1 % at the far edges.
    times = min(height, width) // _AVERAGED
    if times > 1:
        even = levels[: height // times * times, : width // times * times]
        levels = cv2.resize(even, (width // times, height // times), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    how = cv2.INTER_AREA if min(height, width) >= _SIDE else cv2.INTER_LINEAR
    return cv2.resize(levels, (_SIDE, _SIDE), interpolation=how).astype(np.uint8, copy=False)


def _quality(small: Grey) -> int:
    levels = small.astype(np.int16)
    across, down = (np.abs(steps) * 100 // 255 for steps in (levels[:, 1:] - levels[:, :-1], levels[1:] - levels[:-1]))
    return int(across.sum() + down.sum()) // _GRADIENTS_A_QUALITY
