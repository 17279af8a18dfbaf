"""The formats of pictures: for each that needs it, what its bytes say before, and after, Pillow or libjpeg reads them.

Bytes from the network are hostile: what a header announces is held against a limit before anything is
allocated, and what no pixel depends on cannot spoil the pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), red first."""


class Unreadable(Exception):
    """The bytes cannot be decoded; the message says what they seemed to be and what is wrong."""


class TooManyPixels(Exception):
    """The header announces more pixels than allowed; the message says how many."""


def check_size(width: int, height: int, what: str, max_pixels: int) -> None:
    """Raise TooManyPixels if ``what`` is larger than allowed."""
    if width * height > max_pixels:
        raise TooManyPixels(f"{width}x{height} {what}: {width * height:,} pixels, allowed are {max_pixels:,}")
