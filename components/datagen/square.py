"""From a crop of any shape to the small square face of a record."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# The JPEG decoder can give half, a quarter or an eighth of the size, which is faster. It is asked for no less than
# this many times the wanted size, so that most of the shrinking is still the average of areas.
_OVERSAMPLING: Final = 2
_REDUCED: Final = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


def square_face(crop: bytes, size: int, quality: int) -> bytes:
    """The JPEG ``crop`` as a JPEG of ``size`` x ``size`` pixels, colours as they were.

    The aspect is kept, since a stretched face is another expression: the shorter side is filled up with the
    crop's own edge pixels, evenly on both sides. Shrinking averages areas, so that no detail turns into noise.
    Raises ValueError if the bytes are not a JPEG.
    """
    width, height = jpeg_size(crop)
    scale = size / max(height, width)
    flag = next((f for by, f in _REDUCED if max(height, width) >= by * _OVERSAMPLING * size), cv2.IMREAD_COLOR)
    pixels = cv2.imdecode(np.frombuffer(crop, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ValueError("not a readable JPEG")
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(pixels, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if inner != (size, size):
        left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
        right, bottom = size - inner[0] - left, size - inner[1] - top
        resized = cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height as the JPEG's frame header says; ValueError if there is none."""
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        code = data[at + 1]
        if code == 0xFF:
            at += 1
        elif 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            if width and height:
                return width, height
            break
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("not a readable JPEG")
