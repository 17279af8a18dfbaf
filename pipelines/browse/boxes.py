"""Boxes of a face as they lie over its photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.rows import VerifiedFace

# The drawing over a photograph is this wide and high, whatever the photograph is.
_SIDE: Final = 1000


@dataclass(frozen=True)
class Drawn:
    """A rectangle of the drawing."""

    x: float
    y: float
    width: float
    height: float


def crop_box(face: VerifiedFace) -> Drawn | None:
    """What was cropped; None where nothing was."""
    width, height = face.image_width, face.image_height
    left, right, top, bottom = face.crop_left, face.crop_right, face.crop_top, face.crop_bottom
    if not width or not height or left is None or right is None or top is None or bottom is None:
        return None
    return _drawn(left / width, right / width, top / height, bottom / height)


def found_box(face: VerifiedFace) -> Drawn | None:
    """The face that the detector found; None where it found none."""
    width, height = face.image_width, face.image_height
    left, right, top, bottom = face.crop_left, face.crop_right, face.crop_top, face.crop_bottom
    if not width or not height or left is None or right is None or top is None or bottom is None:
        return None
    edges = face.found_left, face.found_right, face.found_top, face.found_bottom
    if edges[0] is None or edges[1] is None or edges[2] is None or edges[3] is None:
        return None
    across, down = (right - left) / width, (bottom - top) / height
    return _drawn(
        left / width + edges[0] * across,
        left / width + edges[1] * across,
        top / height + edges[2] * down,
        top / height + edges[3] * down,
    )


def _drawn(left: float, right: float, top: float, bottom: float) -> Drawn:
    edges = (left, top, right - left, bottom - top)
    return Drawn(*(round(_SIDE * edge, 2) for edge in edges))
