"""From a crop of any shape to the small square face of a record."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def square_face(crop: bytes, size: int, quality: int) -> bytes:
    """The crop as a JPEG of ``size`` x ``size`` pixels, RGB.

    The aspect is kept, since a stretched face is another expression: the shorter side is filled up with the
    crop's own edge pixels, evenly on both sides. Shrinking averages areas, so that no detail turns into noise.
    Raises ValueError if the bytes are not an image.
    """
    pixels = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ValueError("not a readable image")
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrinking = scale < 1
    resized = cv2.resize(pixels, inner, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    across, down = size - inner[0], size - inner[1]
    padded = cv2.copyMakeBorder(
        resized, down // 2, down - down // 2, across // 2, across - across // 2, cv2.BORDER_REPLICATE
    )
    options: list[Any] = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", padded, options)[1])
