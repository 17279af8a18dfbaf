"""Face boxes: fractions of an image as FEC publishes them, and their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

# Vemulapalli & Agarwala's recipe in PCML: 15 % of the box's own width and height in all, half on each side.
CROP_EXPANSION = 0.15


class Box(NamedTuple):
    """A box in the order of the FEC CSV; every value a fraction in 0..1 of the image's width or height."""

    left: float
    right: float
    top: float
    bottom: float

    def expanded(self, fraction: float = CROP_EXPANSION) -> Box:
        """Grow by ``fraction`` of the box's own width and height, half on each side, clipped to the image."""
        dx = (self.right - self.left) * fraction / 2
        dy = (self.bottom - self.top) * fraction / 2
        return Box(
            max(0.0, self.left - dx),
            min(1.0, self.right + dx),
            max(0.0, self.top - dy),
            min(1.0, self.bottom + dy),
        )

    def overlap(self, other: Box) -> float:
        """Intersection over union with ``other``, 0..1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        return width * height / (self._area + other._area - width * height)

    @property
    def _area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)

    def pixels(self, width: int, height: int) -> PixelBox:
        """The smallest whole-pixel box that holds this one in an image of ``width`` x ``height`` pixels."""
        return PixelBox(
            max(0, math.floor(self.left * width)),
            min(width, math.ceil(self.right * width)),
            max(0, math.floor(self.top * height)),
            min(height, math.ceil(self.bottom * height)),
        )


@dataclass(frozen=True, order=True)
class PixelBox:
    """A box in whole pixels; ``left``/``top`` inclusive, ``right``/``bottom`` exclusive."""

    left: int
    right: int
    top: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top
